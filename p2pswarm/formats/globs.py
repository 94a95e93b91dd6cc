"""Globs over the paths in a torrent: `*.iso`, `extras/`, `**/sample/*.mkv`.

A glob without a slash is looked for in every element, so it means files and folders at any depth; one with a
slash is the path from the torrent's own folder on. `*` and `?` stay within an element, `**` is any number of
elements, `[a-c]` and `[!a-c]` are one character. What means a folder means all in it. Case counts.
"""

import re
from collections.abc import Sequence
from functools import cache

__all__ = ["matches"]

_PIECES = re.compile(r"\*+|\?|\[!?[^]/]+\]|.", re.DOTALL)
_RANGES = re.compile(r"(.)-(.)|(.)", re.DOTALL)


def matches(glob: str, path: Sequence[str]) -> bool:
    """Whether the file, or a folder that it is in, is meant. A glob of nothing means none.

    Raises ValueError for a range turned around, such as `[c-a]`.
    """
    pattern, alone = _compiled(glob)
    if alone:
        return any(pattern.fullmatch(element) for element in path)
    return pattern.fullmatch("".join([element + "/" for element in path])) is not None


@cache
def _compiled(glob: str) -> tuple[re.Pattern[str], bool]:
    """The pattern, and whether it is one for an element alone; else a slash ends every element."""
    try:
        return _pattern(glob)
    except re.error as error:
        raise ValueError(f"{glob!r} is not a glob: {error}") from error


def _pattern(glob: str) -> tuple[re.Pattern[str], bool]:
    elements = [element for element in glob.split("/") if element]
    if len(elements) == 1 and not glob.startswith("/") and elements[0] != "**":
        return re.compile(_element(elements[0]), re.DOTALL), True
    parts = ["(?:[^/]+/)*" if each == "**" else f"{_element(each)}/" for each in elements]
    return re.compile("".join(parts) + ".*" if parts else "(?!)", re.DOTALL), False


def _element(glob: str) -> str:
    return "".join(map(_translated, _PIECES.findall(glob)))


def _translated(piece: str) -> str:
    if piece[0] == "*":
        return "[^/]*"
    if piece == "?":
        return "[^/]"
    if piece[0] == "[" and len(piece) > 1:
        ranges = _RANGES.sub(_escaped, piece[1:-1].removeprefix("!"))
        return f"[^/{ranges}]" if piece[1] == "!" else f"[{ranges}]"
    return re.escape(piece)


def _escaped(found: re.Match[str]) -> str:
    first, last, alone = found.groups()
    return re.escape(alone) if alone else f"{re.escape(first)}-{re.escape(last)}"
