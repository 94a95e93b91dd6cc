"""Which files are hashed, which come next, and the torrents that follow from it.

Plain calls that block, for one thread at a time. Files are taken in the order of their numbers, first all for
Napster's cheap MD5, so that they can be announced, then one after the other for everything else. A file that
cannot be read is noted without an MD5 and left alone until it changes.
"""

from collections.abc import Sequence

from p2pswarm.disk.database import Database
from p2pswarm.disk.digests import Digests, torrent_of
from p2pswarm.errors import MetainfoError
from p2pswarm.formats.ids import InfoHash
from p2pswarm.formats.metainfo import Metainfo
from p2pswarm.formats.thex import TigerTree
from p2pswarm.formats.tiger import available
from p2pswarm.overlay.tables import Place, Shared, place_of, rows_of

__all__ = ["Hashes"]

_WITHOUT_MD5 = """
live AND file.id > (SELECT coalesce(max(id), 0) FROM hash) ORDER BY file.id LIMIT ?
"""
_PUT_MD5 = "INSERT INTO hash (id, md5) SELECT id, ? FROM file WHERE id = ?"
_NEXT = "file.id = (SELECT min(id) FROM hash WHERE sha1 IS NULL AND md5 IS NOT NULL)"
_PUT = "UPDATE hash SET sha1 = ?, info_hash = ?, pieces = ?, tth = ? WHERE id = ?"
_PUT_TREE = "INSERT OR REPLACE INTO tree (id, nodes) SELECT id, ? FROM hash WHERE id = ?"
_TREE = "SELECT tth, nodes FROM hash LEFT JOIN tree ON tree.id = hash.id WHERE hash.id = ?"
_GIVE_UP = "UPDATE hash SET md5 = NULL WHERE id = ?"


class Hashes:
    """Every call may raise DamagedError or DiskError."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def without_md5(self, most: int) -> list[tuple[Shared, Place]]:
        """The next files that nobody has looked into."""
        return self._placed(rows_of(self._db, _WITHOUT_MD5, most))

    def put_md5(self, found: Sequence[tuple[Shared, bytes | None]]) -> None:
        """None for a file that cannot be read."""
        with self._db.writing():
            self._db.many(_PUT_MD5, [(md5, shared.id) for shared, md5 in found])

    def undigested(self) -> list[tuple[Shared, Place]]:
        """The next file of which every byte is to be read, or none."""
        return self._placed(rows_of(self._db, _NEXT))

    def put_digests(self, shared: Shared, digests: Digests) -> None:
        # A single piece has the hash of the whole.
        pieces = None if digests.pieces == digests.sha1 else digests.pieces
        tree, info_hash = digests.tree, _info_hash(digests, shared.size)
        tth = None if tree is None else tree.root
        with self._db.writing():
            self._db.many(_PUT, [(digests.sha1, info_hash, pieces, tth, shared.id)])
            if tree is not None and len(tree) > 1:
                self._db.many(_PUT_TREE, [(tree.nodes, shared.id)])

    def tree(self, shared: Shared) -> TigerTree | None:
        """The file's tiger tree; None when it is not hashed, or this machine has no Tiger."""
        tth, nodes = self._db.one(_TREE, shared.id) or (None, None)
        return TigerTree(shared.size, nodes or tth) if tth and available() else None

    def give_up(self, shared: Shared) -> None:
        """It cannot be read."""
        with self._db.writing():
            self._db.many(_GIVE_UP, [(shared.id,)])

    def torrent(self, info_hash: InfoHash) -> tuple[Shared, Metainfo] | None:
        """The torrent of one of our files, and that file."""
        found = rows_of(self._db, "live AND info_hash = ? LIMIT 1", info_hash)
        if not found:
            return None
        (pieces,) = self._db.one("SELECT pieces FROM hash WHERE id = ?", found[0].id)
        sha1 = found[0].sha1
        assert sha1 is not None
        return found[0], torrent_of(Digests(sha1, pieces or sha1), found[0].size)

    def _placed(self, files: Sequence[Shared]) -> list[tuple[Shared, Place]]:
        places = ((shared, place_of(self._db, shared)) for shared in files)
        return [(shared, place) for shared, place in places if place is not None]


def _info_hash(digests: Digests, size: int) -> bytes | None:
    """None for a file with more pieces than a torrent can have."""
    try:
        return torrent_of(digests, size).info_hash
    except MetainfoError:
        return None
