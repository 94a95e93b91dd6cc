"""Bencode, bytes only, with caps. The only room that imports `bencodepy`.

What we read, we read ourselves, in one pass without recursion: the library accepts junk (`i1_0e`,
`i+5e`, duplicate keys, `d-4:e`), recurses as deep as a stranger likes, cannot tell where a value lies,
and needs a second pass that doubles the time a hostile file costs. Unsorted keys are read, because real
peers send them. What we write is canonical and comes from the library, behind a check of the types.
Source: BEP 3, "bencoding".
"""

import re
from collections import Counter
from typing import Any

import bencodepy

from p2pswarm.errors import BencodeError

__all__ = [
    "MAX_DEPTH",
    "MAX_SIZE",
    "MAX_TOKENS",
    "decode",
    "decode_located",
    "decode_prefix",
    "encode",
    "span",
]

MAX_DEPTH = 100  # libtorrent's limit for a .torrent
MAX_SIZE = 10 << 20  # bytes; libtorrent's limit too
MAX_TOKENS = 3_000_000

# Only the canonical numbers of BEP 3; 20 digits hold every 64-bit value.
_INTEGER_OR_LENGTH = re.compile(rb"i(0|-?[1-9][0-9]{0,19})e|(0|[1-9][0-9]{0,19}):")
_DICT, _END, _INTEGER, _LIST = b"deil"
_NUMBER = re.compile(rb"i(-?[0-9]++)e|([0-9]++):")  # canonical or not
_CUT_NUMBER = re.compile(rb"i?-?[0-9]*+\Z")
_library = bencodepy.Bencode(encoding=None)


def decode(
    data: bytes,
    *,
    max_depth: int = MAX_DEPTH,
    max_size: int = MAX_SIZE,
    max_tokens: int = MAX_TOKENS,
) -> Any:
    """The one value that `data` is: int, bytes, list or dict with bytes keys. Raises BencodeError."""
    value, end = decode_prefix(data, max_depth=max_depth, max_size=max_size, max_tokens=max_tokens)
    _nothing_follows(data, end)
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
    value, end, _ = _read(data, max_depth, max_tokens, None)
    return value, end


def decode_located(data: bytes, key: bytes) -> tuple[Any, tuple[int, int] | None]:
    """Like `decode`, and like `span` for `key` where the value is a dictionary: both in one pass."""
    if len(data) > MAX_SIZE:
        raise BencodeError(f"{len(data)} bytes of bencode, at most {MAX_SIZE} are read")
    value, end, where = _read(data, MAX_DEPTH, MAX_TOKENS, key)
    _nothing_follows(data, end)
    return value, where


def encode(value: Any) -> bytes:
    """Canonical bencode of int, bytes, bytearray, memoryview, list, tuple, dict with bytes keys.

    Raises BencodeError for anything else: a `str` has no bytes until somebody chooses an encoding.
    """
    try:
        return bytes(_library.encode(_plain(value)))
    except RecursionError:
        raise BencodeError("nested too deep to be bencoded") from None


def span(data: bytes, key: bytes) -> tuple[int, int] | None:
    """Where the raw value of `key` lies in the dictionary `data`: (start, end), or None.

    An info-hash is over these original bytes, not over what we would write. Raises BencodeError.
    """
    if data[:1] != b"d":
        raise BencodeError("not a bencoded dictionary")
    return _read(data, MAX_DEPTH, MAX_TOKENS, key)[2]


def _read(
    data: bytes, max_depth: int, max_tokens: int, wanted: bytes | None
) -> tuple[Any, int, tuple[int, int] | None]:
    """The value at the start, where it ends, and where the value of the top key `wanted` lies.

    One loop for the whole tree: 3 million tokens take a second. A dictionary is gathered as a flat
    list of keys and values, and made when its end comes.
    """
    data = bytes(data)
    match, size, at = _INTEGER_OR_LENGTH.match, len(data), 0
    outer: list[
        tuple[list[Any], bool]
    ] = []  # what we are inside of, and whether it is a dictionary
    inside: list[Any] = []
    where, start = None, -1
    value: Any
    for _ in range(max_tokens):
        kind = data[at] if at < size else 0
        if kind == _END and outer:
            at += 1
            value, (inside, is_dict) = inside, outer.pop()
            if is_dict:
                value = _dictionary(value, at)
        elif kind in (_LIST, _DICT):
            at += 1
            if len(outer) >= max_depth:
                raise BencodeError(f"nested deeper than {max_depth} levels")
            outer.append((inside, kind == _DICT))
            inside = []
            continue
        else:
            number = match(data, at)
            if number is None:
                raise BencodeError(_what_is_wrong(data, at))
            at = number.end()
            if kind == _INTEGER:
                value = int(number[1])
            else:
                begin, at = at, at + int(number[2])
                if at > size:
                    raise BencodeError(f"a string of {at - begin} bytes runs past the end")
                value = data[begin:at]
        if not outer:
            return value, at, where
        inside.append(value)
        if len(outer) == 1:
            if start >= 0:
                where, start = (start, at), -1
            elif value == wanted and len(inside) % 2:
                start = at
    raise BencodeError(f"more than {max_tokens} values")


def _dictionary(flat: list[Any], end: int) -> dict[bytes, Any]:
    if len(flat) == 2 and type(flat[0]) is bytes:  # the trees of BEP 52 are full of these
        return {flat[0]: flat[1]}
    if len(flat) % 2:
        raise BencodeError(f"a dictionary key without a value at byte {end - 1}")
    keys = flat[::2]
    if not {bytes}.issuperset(map(type, keys)):
        raise BencodeError(f"a key is not a string in the dictionary that ends at byte {end}")
    table = dict(zip(keys, flat[1::2], strict=True))
    if len(table) < len(keys):
        twice = next(key for key, times in Counter(keys).items() if times > 1)
        raise BencodeError(f"the key {twice[:24]!r} stands twice in one dictionary")
    return table


def _nothing_follows(data: bytes, end: int) -> None:
    if end != len(data):
        raise BencodeError(f"{len(data) - end} bytes follow the end of the bencoded value")


def _what_is_wrong(data: bytes, at: int) -> str:
    """Words for the token at `at`, which is none."""
    if not data:
        return "no bencoded data: empty"
    if at >= len(data) or _CUT_NUMBER.match(data, at):
        return "the bencoded data ends too early"
    if data[at] == _END:
        return f"an end without a beginning at byte {at}"
    number = _NUMBER.match(data, at)
    if number is None:
        return f"not bencode at byte {at}: {bytes(data[at : at + 8])!r}"
    digits = number[number.lastindex or 0]
    kind = "integer" if number[1] else "string length"
    if len(digits.lstrip(b"-0")) > 20:
        return f"the {kind} at byte {at} has {len(digits)} digits"
    return f"the {kind} {digits[:24].decode()} at byte {at} is not canonical"


def _plain(value: Any) -> Any:
    """The same value in the exact types that the library knows; it would fail on a subclass."""
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return int(value)
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        if not all(isinstance(key, bytes) for key in value):
            raise BencodeError("a dictionary key that is not bytes cannot be bencoded")
        return {bytes(key): _plain(item) for key, item in value.items()}
    raise BencodeError(f"{type(value).__name__} cannot be bencoded")
