"""A torrent is built before anything is hashed, with hashes of nothing.

So what no torrent can hold is told at once and not an hour later, and whoever hashes has a plan: where each
file lies in the stream, and which part of a tree each piece is.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

from p2pswarm.disk.gathering import Found
from p2pswarm.errors import BencodeError, HostError, MetainfoError
from p2pswarm.formats import bencode
from p2pswarm.formats.building import Generation
from p2pswarm.formats.files import Given
from p2pswarm.formats.merkle import HASH
from p2pswarm.formats.metainfo import Metainfo

__all__ = ["given", "rehearsed"]

_SHA1 = 20  # bytes
_ROOT = b"?" * HASH  # a tree's that is not known yet
_KEY = 45  # bytes of a piece layer beside the layer: its root, and the lengths of both


def given(file: Found, root: bytes | None) -> Given:
    """The file as a torrent names it."""
    return Given(file.path, file.size, False, root, file.executable, False, file.link)


def rehearsed(
    path: Path,
    found: Sequence[Found],
    torrent: Callable[..., Metainfo],
    piece_length: int,
    generation: Generation,
    warn: Callable[[str], None],
) -> Metainfo:
    """`torrent` with all that it needs, and hashes of nothing. Raises HostError for what none can hold."""
    counts = [-(-file.size // piece_length) for file in found]
    total = sum(file.size for file in found)
    pieces = sum(counts) if generation.has_v2 else -(-total // piece_length)
    sha1s = bytes(pieces * _SHA1 if generation.has_v1 else 0)
    layers = sum(n * HASH + _KEY for n in counts if n > 1) if generation.has_v2 else 0
    if len(sha1s) + layers > bencode.MAX_SIZE:
        raise HostError(f"{path} makes {pieces} pieces: choose a larger piece length")
    roots = [_ROOT if file.size and generation.has_v2 else None for file in found]
    try:
        plan = torrent(files=list(map(given, found, roots)), pieces=sha1s)
    except BencodeError as error:
        raise HostError(f"{path} makes a torrent that nobody reads: {error}") from error
    except MetainfoError as error:
        raise HostError(f"{path} cannot be shared: {error}") from error
    if len(plan.raw) + layers > bencode.MAX_SIZE:
        raise HostError(f"{path} makes a torrent of more than 10 MiB")
    _tell_twins(plan, warn)
    return plan


def _tell_twins(plan: Metainfo, warn: Callable[[str], None]) -> None:
    for number, path in plan.renamed.items():
        saved = plan.files[number].path[-1]
        warn(f"{'/'.join(path)} has a twin on systems blind to case: peers will save it as {saved}")
