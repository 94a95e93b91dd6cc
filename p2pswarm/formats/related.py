"""Which other torrents share files with this one, as it says itself (BEP 38).

`similar` names torrents by info-hash, `collections` names sets that it belongs to; both may stand inside
the info dictionary and beside it. They are hints: a stranger wrote them, so few are read, and what they lead
to is believed only after it was hashed.
"""

from typing import Any, NamedTuple

from p2pswarm.formats import bencode
from p2pswarm.formats.ids import InfoHash
from p2pswarm.formats.metainfo import Metainfo

__all__ = ["Related", "related"]

MOST = 64  # hints of a kind that are read
_MOST_NAME = 256  # bytes in the name of a collection
_HASHES = (20, 32)  # bytes of an info-hash: version 1, version 2


class Related(NamedTuple):
    """Info-hashes, of version 2 the first 20 bytes; and names."""

    similar: tuple[InfoHash, ...]
    collections: tuple[bytes, ...]


def related(metainfo: Metainfo) -> Related:
    """Reads the torrent again: ten thousand that are only seeded need not keep this."""
    torrent = bencode.decode(metainfo.raw)
    assert isinstance(torrent, dict)
    tables = [torrent, torrent[b"info"]]
    hashes = [each for table in tables for each in _strings(table.get(b"similar"))]
    names = [each for table in tables for each in _strings(table.get(b"collections"))]
    similar = [InfoHash(each[:20]) for each in hashes if len(each) in _HASHES]
    collections = [each for each in names if 0 < len(each) <= _MOST_NAME]
    return Related(tuple(dict.fromkeys(similar))[:MOST], tuple(dict.fromkeys(collections))[:MOST])


def _strings(value: Any) -> list[bytes]:
    return [each for each in value if isinstance(each, bytes)] if isinstance(value, list) else []
