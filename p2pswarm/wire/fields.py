"""Lines of text made of fields, as the Napster protocol writes them: `nick "file name" 1234`.

A message class states its layout in the words of the protocol document; reading and writing follow from it:

    nick        a word without blanks        "name"      in double quotes, there is no escaping
    #size       a decimal number             @ip         an IPv4 address, see `ip_number`
    text...     the rest of the line         [#port]     may be missing, at the end only: None then

The one hard thing: text is bytes of no stated encoding. UTF-8 is read as such, and a byte that is none
becomes a surrogate (PEP 383), so what was read is written again exactly as it was.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import fields
from functools import lru_cache
from ipaddress import IPv4Address
from typing import Any, ClassVar, NamedTuple, Self

from typing_extensions import override

from p2pswarm.errors import LocalProtocolError

__all__ = [
    "Line",
    "as_bytes",
    "as_text",
    "ip_number",
    "number_ip",
    "quoted",
    "read_number",
    "split",
]

MAX_NUMBER = (1 << 63) - 1  # what a database column holds; no file is larger

_PIECES = re.compile(r'"([^"]*)"?|([^\s"]\S*)', re.ASCII)
_NUMBER = re.compile(r"-?[0-9]{1,19}")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f]")
_FIELD = re.compile(r'(\[?)([#@"]?)(\w+)(\.\.\.)?"?\]?')


def as_text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def as_bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def split(text: str) -> list[str]:
    """The fields of a line; what stands in quotes is one of them. A quote left open ends with the line."""
    return [piece[1] or piece[2] or "" for piece in _PIECES.finditer(text)]


def quoted(text: str) -> str:
    """In double quotes. Raises LocalProtocolError for what cannot stand in them."""
    if '"' in text:
        raise LocalProtocolError(f"{text!r} cannot be quoted: the protocol has no escaping")
    return f'"{text}"'


def read_number(text: str) -> int:
    """A decimal number, below zero taken as zero. Raises ValueError."""
    if not _NUMBER.fullmatch(text):
        raise ValueError(f"{text[:40]!r} is not a number")
    return min(max(int(text), 0), MAX_NUMBER)


@lru_cache(maxsize=4096)
def ip_number(ip: str) -> int:
    """An IPv4 address as the protocol writes it: its four bytes read as a little-endian number.

    50.11.5.1 is 17107762. Raises LocalProtocolError when it is no IPv4 address.
    """
    try:
        return int.from_bytes(IPv4Address(ip).packed, "little")
    except ValueError as error:
        raise LocalProtocolError(f"{ip!r} is not an IPv4 address") from error


@lru_cache(maxsize=4096)
def number_ip(number: int) -> str:
    """Raises ValueError when the number is no IPv4 address."""
    if number >> 32:
        raise ValueError(f"{number} is not an IPv4 address")
    return str(IPv4Address(number.to_bytes(4, "little")))


class _Field(NamedTuple):
    name: str
    read: Callable[[str], Any]
    write: Callable[[Any], str]
    rest: bool
    optional: bool


class Line:
    """What a message says, without its number. A subclass is a dataclass with the fields of its layout."""

    __slots__ = ()
    layout: ClassVar[str] = ""
    _fields: ClassVar[tuple[_Field, ...]] = ()

    @override
    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls._fields = tuple(_parse(cls.layout))

    def written(self) -> str:
        """Raises LocalProtocolError when a field cannot be said in this protocol."""
        pieces = []
        for name, _, write, _, _ in self._fields:
            value = getattr(self, name)
            if value is None:
                break
            pieces.append(write(value))
        return " ".join(pieces)

    @classmethod
    def read(cls, text: str) -> Self:
        """More fields than the layout has are ignored, as every server does. Raises ValueError."""
        values: list[Any] = []
        for field in cls._fields:
            piece, text = _rest(text, bool(values)) if field.rest else _next(text)
            if piece is None and field.optional:
                break
            if piece is None:
                raise ValueError(f"{field.name} is missing")
            values.append(field.read(piece))
        return cls(*values)

    @classmethod
    def check(cls) -> None:
        """That the layout and the dataclass tell of the same fields; for tests."""
        names = [field.name for field in fields(cls)]  # type: ignore[arg-type]
        assert [field.name for field in cls._fields] == names, cls


def _next(text: str) -> tuple[str | None, str]:
    """The next field and what is left after it; None when there is none."""
    found = _PIECES.search(text)
    if found is None:
        return None, ""
    return found[1] or found[2] or "", text[found.end() :]


def _rest(text: str, after_others: bool) -> tuple[str | None, str]:
    """All of it, after the one blank that ends the field before; None when that is missing."""
    if after_others:
        return text[1:] if text.startswith(" ") else None, ""
    return text, ""


def _parse(layout: str) -> Iterator[_Field]:
    for bracket, sign, name, dots in _FIELD.findall(layout):
        read, write = _REST if dots else _KINDS[sign]
        yield _Field(name, read, write, bool(dots), bool(bracket))


def _read_word(piece: str) -> str:
    if not piece or not _is_word(piece):
        raise ValueError(f"{piece[:40]!r} is not one word")
    return piece


def _write_word(value: str) -> str:
    if not value or not _is_word(value):
        raise LocalProtocolError(f"{value!r} is not one word")
    return value


def _is_word(piece: str) -> bool:
    return '"' not in piece and not _CONTROLS.search(piece) and " " not in piece


def _read_quoted(piece: str) -> str:
    if '"' in piece or _CONTROLS.search(piece):
        raise ValueError(f"{piece[:40]!r} has characters that no name may have")
    return piece


def _read_rest(piece: str) -> str:
    """Free text ends up on screens, so control characters are not let through."""
    return _CONTROLS.sub(" ", piece)


def _read_ip(piece: str) -> str:
    return number_ip(read_number(piece))


def _write_ip(ip: str) -> str:
    return str(ip_number(ip))


_REST = (_read_rest, str)
_KINDS: dict[str, tuple[Callable[[str], Any], Callable[[Any], str]]] = {
    "": (_read_word, _write_word),
    '"': (_read_quoted, quoted),
    "#": (read_number, str),
    "@": (_read_ip, _write_ip),
}
