"""Keys of a torrent's dictionaries: there and of the right kind, or a MetainfoError that names the key."""

from typing import Any, TypeVar

from p2pswarm.errors import MetainfoError
from p2pswarm.formats import paths

__all__ = ["WORDS", "date", "need", "preferred", "text"]

_T = TypeVar("_T", int, bytes, list[Any], dict[bytes, Any])
WORDS = {int: "an integer", bytes: "a string", list: "a list", dict: "a dictionary"}
_LAST_DATE = 253402300799  # seconds since 1970: the end of the year 9999


def need(table: dict[bytes, Any], key: bytes, kind: type[_T], where: str = "") -> _T:
    """`table[key]`, which must be there and of this kind; `where` is the table's own name."""
    value = table.get(key)
    if isinstance(value, kind):
        return value
    name = where + key.decode()
    if value is None:
        raise MetainfoError(f"{name} is missing")
    raise MetainfoError(f"{name} is {WORDS[type(value)]}, not {WORDS[kind]}")


def preferred(table: dict[bytes, Any], key: bytes, kind: type[_T], where: str = "info.") -> _T:
    """`key.utf-8` where a client of the days before UTF-8 wrote both, else `key`."""
    utf8 = key + b".utf-8"
    return need(table, utf8 if utf8 in table else key, kind, where)


def text(value: object) -> str:
    """One printable line: these go to a terminal. What is no string is nothing."""
    words = paths.decoded(value) if isinstance(value, bytes) else ""
    if not words.isprintable():
        words = "".join(char if char.isprintable() else " " for char in words)
    return words.strip()


def date(value: object) -> int | None:
    """Seconds since 1970, where it is a date."""
    return value if isinstance(value, int) and 0 <= value <= _LAST_DATE else None
