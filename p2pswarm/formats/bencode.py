"""Bencode, bytes only, with caps. The only room that imports `bencodepy`.

A scan comes first: it refuses what the library lets pass (depth, size, junk integers such as `i1_0e`,
duplicate keys) and knows where each value ends. Unsorted keys are read, because real peers send them;
what we write is canonical. Source: BEP 3, "bencoding".
"""

import re
from typing import Any

import bencodepy

from p2pswarm.errors import BencodeError

__all__ = ["MAX_DEPTH", "MAX_SIZE", "MAX_TOKENS", "decode", "decode_prefix", "encode", "span"]

MAX_DEPTH = 100  # libtorrent's limit for a .torrent
MAX_SIZE = 10 << 20  # bytes; libtorrent's limit too
MAX_TOKENS = 3_000_000
_MAX_DIGITS = 20  # 2**63 has 19

# One token: an integer, a string's length, the start of a list or a dictionary, or an end.
_TOKEN = re.compile(rb"i(-?[0-9]+)e|([0-9]+):|[lde]")
_bytes_only = bencodepy.Bencode(encoding=None)


def decode(
    data: bytes,
    *,
    max_depth: int = MAX_DEPTH,
    max_size: int = MAX_SIZE,
    max_tokens: int = MAX_TOKENS,
) -> Any:
    """The one value that `data` is: int, bytes, list or dict with bytes keys. Raises BencodeError."""
    value, end = decode_prefix(data, max_depth=max_depth, max_size=max_size, max_tokens=max_tokens)
    if end != len(data):
        raise BencodeError(f"{len(data) - end} bytes follow the end of the bencoded value")
    return value


def decode_prefix(
    data: bytes,
    *,
    max_depth: int = MAX_DEPTH,
    max_size: int = MAX_SIZE,
    max_tokens: int = MAX_TOKENS,
) -> tuple[Any, int]:
    """The value that `data` begins with, and how many bytes it took. Raises BencodeError."""
    if len(data) > max_size:
        raise BencodeError(f"{len(data)} bytes of bencode, at most {max_size} are read")
    end = _scan(data, 0, max_depth, max_tokens)
    try:
        return _bytes_only.decode(bytes(data[:end])), end
    except (bencodepy.BencodeDecodeError, RecursionError, ValueError) as error:
        raise BencodeError("not bencode") from error


def encode(value: Any) -> bytes:
    """Canonical bencode of int, bytes, list and dict with bytes keys. Raises BencodeError."""
    try:
        return _bytes_only.encode(value)
    except (bencodepy.BencodeEncodeError, RecursionError, TypeError, AttributeError) as error:
        raise BencodeError(f"{type(value).__name__} cannot be bencoded") from error


def span(data: bytes, key: bytes) -> tuple[int, int] | None:
    """Where the raw value of `key` lies in the dictionary `data`: (start, end), or None.

    An info-hash is over these original bytes, not over what we would write. Raises BencodeError.
    """
    if data[:1] != b"d":
        raise BencodeError("not a bencoded dictionary")
    at = 1
    while data[at : at + 1] != b"e":
        key_end = _scan(data, at, MAX_DEPTH, MAX_TOKENS)
        value_end = _scan(data, key_end, MAX_DEPTH, MAX_TOKENS)
        if data[at:key_end].partition(b":")[2] == key:
            return key_end, value_end
        at = value_end
    return None


class _Open:
    """A list or dictionary whose end has not come yet."""

    __slots__ = ("is_dict", "keys", "needs_value")

    def __init__(self, is_dict: bool) -> None:
        self.is_dict = is_dict
        self.keys: set[bytes] = set()
        self.needs_value = False

    def take_key(self, key: bytes) -> None:
        if key in self.keys:
            raise BencodeError(f"the key {key[:40]!r} stands twice in one dictionary")
        self.keys.add(key)


def _scan(data: bytes, at: int, max_depth: int, max_tokens: int) -> int:
    """Check one value that starts at `at`; return where it ends."""
    stack: list[_Open] = []
    match_token = _TOKEN.match
    for _ in range(max_tokens):
        token = match_token(data, at)
        if token is None:
            raise BencodeError(_what_is_wrong(data, at))
        text = None
        start, at = at, token.end()
        number, length = token.groups()
        if length is not None:
            text, at = _string(data, at, length)
        elif number is not None:
            _check_integer(number)
        elif data[start] == 0x65:  # e
            _close(stack, start)
            if not stack:
                return at
            continue
        if stack and stack[-1].is_dict:
            _place_in_dict(stack[-1], text, start)
        if length is None and number is None:
            if len(stack) >= max_depth:
                raise BencodeError(f"nested deeper than {max_depth} levels")
            stack.append(_Open(data[start] == 0x64))  # d
        elif not stack:
            return at
    raise BencodeError(f"more than {max_tokens} values")


def _string(data: bytes, at: int, length: bytes) -> tuple[bytes, int]:
    if len(length) > _MAX_DIGITS or (length[:1] == b"0" and length != b"0"):
        raise BencodeError(f"string length {length[:24].decode()} at byte {at - len(length) - 1}")
    end = at + int(length)
    if end > len(data):
        raise BencodeError(f"a string of {int(length)} bytes at byte {at} runs past the end")
    return data[at:end], end


def _check_integer(number: bytes) -> None:
    digits = number.removeprefix(b"-")
    if len(digits) > _MAX_DIGITS:
        raise BencodeError(f"an integer of {len(digits)} digits")
    if (digits[:1] == b"0" and digits != b"0") or number == b"-0":
        raise BencodeError(f"the integer {number.decode()} is not canonical")


def _place_in_dict(inside: _Open, text: bytes | None, at: int) -> None:
    if inside.needs_value:
        inside.needs_value = False
        return
    if text is None:
        raise BencodeError(f"a dictionary key at byte {at} is not a string")
    inside.take_key(text)
    inside.needs_value = True


def _close(stack: list[_Open], at: int) -> None:
    if not stack:
        raise BencodeError(f"an end without a beginning at byte {at}")
    if stack.pop().needs_value:
        raise BencodeError(f"a dictionary key without a value at byte {at}")


def _what_is_wrong(data: bytes, at: int) -> str:
    if at >= len(data):
        return "the bencoded data ends too early" if data else "no bencoded data: empty"
    return f"not bencode at byte {at}: {bytes(data[at : at + 8])!r}"
