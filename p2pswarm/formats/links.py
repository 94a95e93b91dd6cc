"""Symbolic links among a torrent's files (BEP 47): none may lead in a circle.

A link may lead to another link, and through one that leads to a folder. Each is followed once, as the kernel
would: the first name of its target that is a link is replaced by what that leads to. So a chain costs no more
than its links, and one that comes back to itself, or is longer than the kernel follows, is refused.
"""

from collections.abc import Mapping

from p2pswarm.errors import MetainfoError
from p2pswarm.formats.paths import MAX_ELEMENTS, shown

__all__ = ["refuse_loops"]

_MOST = 40  # links in a chain: MAXSYMLINKS of Linux

Path = tuple[str, ...]


def refuse_loops(links: Mapping[Path, Path]) -> None:
    """`links` are paths and targets, both from the same root. Raises MetainfoError."""
    known: dict[Path, Path] = {}
    for link in links:
        end = _followed(link, links, known, 0)
        if link[: len(end)] == end:
            raise _circle(link)


def _followed(link: Path, links: Mapping[Path, Path], known: dict[Path, Path], depth: int) -> Path:
    """Where a link ends."""
    if link in known:
        return known[link]
    if depth >= _MOST:
        raise _circle(link)
    end: Path = ()
    for name in links[link]:
        end += (name,)
        if end in links:
            end = _followed(end, links, known, depth + 1)
        if len(end) > MAX_ELEMENTS:
            raise _circle(link)
    known[link] = end
    return end


def _circle(link: Path) -> MetainfoError:
    return MetainfoError(f"the symbolic link {shown('/'.join(link))} leads in a circle")
