"""Names from strangers become paths that may be created, or a clear error.

A torrent says where its files go, so every element is checked after decoding: nothing leads out of the
target directory, nothing means another thing on another system, nothing shows a reader something
else than it is. Three treatments:

- unsafe: MetainfoError that names the element and the fault; what Windows alone takes for something else is
  as libtorrent has it on POSIX: `Film: Part 2` and `R.E.M.` are names, a drive and a device are not;
- too long for a file system (255 bytes): shortened, the extension kept;
- twins, equal once case and Unicode are folded, or a file where another file needs a directory: the
  later file gets a number, `name (2).ext`.

All of it depends on the torrent's bytes only, so a restart finds the same files again.
"""

import codecs
import re
import unicodedata
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import pairwise

from p2pswarm.errors import MetainfoError

__all__ = [
    "MAX_ELEMENT",
    "MAX_ELEMENTS",
    "MAX_PATH",
    "decoded",
    "safe_path",
    "shown",
    "without_twins",
]

MAX_ELEMENT = 255  # bytes of UTF-8: NAME_MAX of the file systems in use
MAX_ELEMENTS = 100  # directories in directories; libtorrent's max_directory_depth
MAX_PATH = 3500  # bytes; Linux ends at 4096, the rest is for the torrent's folder and what it is in
_MAX_EXTENSION = 32  # bytes; a longer one is no extension, and is cut like the rest
_ROOM_FOR_NUMBER = 12  # bytes for " (1234567)"

_WINDOWS_DEVICES = r"(?i:con|prn|aux|nul|(?:com|lpt)[1-9\u00b9\u00b2\u00b3]) *"
_CONTROLS = r"\x01-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029"  # a terminal's escapes among them
_TURNING = r"\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
_INVISIBLE = r"\u00ad\u180e\u200b\u2060-\u2065\u206a-\u206f\ufeff\ufff9-\ufffb"
# name:$DATA, readme.txt:hidden; a title has no extension before its colon
_STREAM = r":\$|\.\w{1,8}:\w"
_OUT_BY_PERCENT = r"(?i:(?:^|%2f|%5c)(?:\.|%2e){1,2}(?:$|%2f|%5c))"

# What one element is searched for, and what is said when it is found.
_FAULTS = [
    (re.compile(pattern), words)
    for pattern, words in (
        (r"\A\Z", "is empty"),
        (r"\A\.\.?\Z", "would lead out of the target directory"),
        (r"\x00", "holds a NUL"),
        (rf"[\n{_CONTROLS}]", "holds a control character"),
        (r"[/\\]", "holds a slash or a backslash"),
        (rf"\A.:|{_STREAM}", "holds a colon as a drive or a hidden stream of Windows does"),
        (r" \Z|\A[. ]{3,}\Z|\A \.\Z", "ends with a space or is dots and spaces alone"),
        # Microsoft, "Naming Files, Paths, and Namespaces": with any extension or stream too
        (rf"\A{_WINDOWS_DEVICES}(?:[.:]|\Z)", "is a reserved name on Windows"),
        (rf"[{_TURNING}]", "holds a character that turns text around"),
        # The joiners U+200C and U+200D spell Persian and emoji: refused where nothing else stands.
        (rf"[{_INVISIBLE}]|\A[\u200c\u200d]+\Z", "holds an invisible character"),
        (_OUT_BY_PERCENT, "would lead out of the directory once it is percent-decoded"),
    )
]
# The same rules for a whole path at once, each element between two newlines: a million elements
# take a second. test_paths holds both against each other.
_BAD = re.compile(rf"[\x00{_CONTROLS}/\\{_TURNING}{_INVISIBLE}]|{_STREAM}")
_BAD_ELEMENT = re.compile(rf"\n(?:[\u200c\u200d]*\n|[. ]+\n|.:|{_WINDOWS_DEVICES}[.:\n])")
_PERCENT = re.compile(_OUT_BY_PERCENT, re.MULTILINE)
# Full-width dots and dot leaders become dots under NFKC. A full-width slash alone stays: titles
# have it, and no file system takes it for a slash.
_DOTS = re.compile(r"(?:^|[/\\])\.\.?(?:$|[/\\])", re.MULTILINE)

_DOTS_AT_END = re.compile(r"(?<![. ])[. ]*\.$", re.MULTILINE)  # from where they begin: linear

# Windows-1252, with `_` for what is no letter: a wrong guess shall be ugly, not dangerous.
_GUESS = "".join(
    char if char.isascii() or char.isalnum() else "_"
    for char in bytes(range(256)).decode("cp1252", "replace")
)


def decoded(raw: bytes) -> str:
    """UTF-8; anything else by its bytes, as Windows-1252 with `_` for what is no letter. Never fails."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return codecs.charmap_decode(raw, "strict", _GUESS)[0]


def shown(text: str) -> str:
    """`text` quoted for an error: printable, one line, at most 61 characters."""
    quoted = repr(text[:41])
    return quoted if len(text) <= 40 and len(quoted) <= 60 else quoted[:60] + "\u2026"


def safe_path(elements: Sequence[bytes], where: str) -> tuple[str, ...]:
    """`elements` decoded, checked, short enough. Raises MetainfoError that begins with `where`."""
    if not 0 < len(elements) <= MAX_ELEMENTS:
        raise MetainfoError(f"{where} has {len(elements)} elements, not 1 to {MAX_ELEMENTS}")
    path = tuple(map(decoded, elements))
    _refuse_unsafe(path, where)
    if _size("\n".join(path)) <= MAX_ELEMENT:
        return path
    path = tuple(_cut(name, MAX_ELEMENT) for name in path)
    _refuse_unsafe(path, where)
    if (size := _size("/".join(path))) > MAX_PATH:
        raise MetainfoError(f"{where} has {size} bytes, at most {MAX_PATH} fit into a file system")
    return path


def without_twins(paths: Sequence[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """The same paths; a file that would fall onto another one, or onto a directory, gets a number.

    Directories that differ in case only are left: nothing in them collides. Time: O(n log n).
    """
    keys = [_undotted(_folded("\n".join(path))) for path in paths]
    ordered = sorted(keys)
    if all(a != b and not b.startswith(a + "\n") for a, b in pairwise(ordered)):
        return list(paths)
    places = _Places(ordered)
    return [
        path if places.take(key) else places.numbered(path)
        for path, key in zip(paths, keys, strict=True)
    ]


class _Places:
    """Which folded paths are free. A number avoids every given name, so no given name moves for it."""

    def __init__(self, ordered: list[str]) -> None:
        self._ordered = ordered
        self._given = set(ordered)
        self._taken: set[str] = set()
        self._last: dict[tuple[str, str], int] = {}  # so that a million twins take linear time

    def take(self, key: str) -> bool:
        """Whether it was free for a file; now it is not."""
        if key in self._taken or self._is_directory(key):
            return False
        self._taken.add(key)
        return True

    def numbered(self, path: tuple[str, ...]) -> tuple[str, ...]:
        """`path` with the first number that is free: `name (2).ext`."""
        stem, extension = _halves(path[-1])
        stem = _cut(stem, MAX_ELEMENT - _ROOM_FOR_NUMBER - _size(extension))
        above = "".join(f"{name}\n" for name in path[:-1])
        before, after = _undotted(_folded(above)) + _folded(stem), _undotted(_folded(extension))
        number = self._last.get((before, after), 1) + 1
        while (key := f"{before} ({number}){after}") in self._given or not self.take(key):
            number += 1
        self._last[before, after] = number
        return (*path[:-1], f"{stem} ({number}){extension}")

    def _is_directory(self, key: str) -> bool:
        # A newline sorts before every character of a name, so what lies inside comes right after.
        inside = key + "\n"
        at = bisect_left(self._ordered, inside)
        return at < len(self._ordered) and self._ordered[at].startswith(inside)


def _refuse_unsafe(path: tuple[str, ...], where: str) -> None:
    if not _is_plain(path):
        faults = [f"{shown(name)} {words}" for name in path for words in _faults(name)]
        raise MetainfoError(f"{where}: {faults[0]}")


def _faults(name: str) -> Iterator[str]:
    for pattern, words in _FAULTS:
        if pattern.search(name):
            yield words
    if _DOTS.search(_look(name)):
        yield "looks like a way out of the directory"


def _is_plain(path: tuple[str, ...]) -> bool:
    """Whether no element has a fault: all that `_faults` looks for, at once."""
    text = "\n".join(("", *path, ""))
    return not (
        text.count("\n") != len(path) + 1
        or " \n" in text
        or _BAD.search(text)
        or _BAD_ELEMENT.search(text)
        or ("%" in text and _PERCENT.search(text))
        or (not text.isascii() and _DOTS.search(_look(text)))
    )


def _look(text: str) -> str:
    return unicodedata.normalize("NFKC", _without_joiners(text))


def _folded(text: str) -> str:
    """What case-blind and normalising file systems make of a name (HFS+ ignores the joiners too)."""
    if text.isascii():
        return text.lower()
    text = unicodedata.normalize("NFD", _without_joiners(text))
    return unicodedata.normalize("NFD", text.casefold())


def _undotted(text: str) -> str:
    """VFAT drops dots at the end of an element, and Windows spaces before them, too."""
    return _DOTS_AT_END.sub("", text) if "." in text else text


def _without_joiners(text: str) -> str:
    return text.replace("\u200c", "").replace("\u200d", "")


def _halves(name: str) -> tuple[str, str]:
    """The name without its extension, and the extension with its dot, or nothing."""
    stem, dot, extension = name.rpartition(".")
    if not stem or _size(extension) >= _MAX_EXTENSION:
        return name, ""
    return stem, dot + extension


def _cut(name: str, limit: int) -> str:
    """At most `limit` bytes of `name`, its extension kept, nothing unsafe left at the seam."""
    if _size(name) <= limit:
        return name
    stem, extension = _halves(name)
    head = stem.encode()[: limit - _size(extension)].decode(errors="ignore")
    return head.rstrip(" .") + extension


def _size(text: str) -> int:
    return len(text.encode())
