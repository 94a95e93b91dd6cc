"""WAV: what the head of such a file says, and its samples as numbers of 16 bits.

Read as it comes from many programs: chunks of any kind before the sound, the head of WAVE_FORMAT_EXTENSIBLE
that more than two channels or 16 bits need, RF64 beyond 4 GiB, samples as whole numbers, floats, or of a
telephone's logarithms (G.711).

The one hard thing: who writes into a pipe does not know how much there will be, and says nothing, or the
greatest number. Then the sound goes on until the end of the file.
"""

import struct
from array import array
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import IntEnum
from sys import byteorder
from typing import Any

from p2pswarm.errors import FormatError

__all__ = ["Coding", "WavHead", "read_head", "samples_of"]


class Coding(IntEnum):
    """How samples are written; the numbers are those of RFC 2361."""

    WHOLE = 1
    FLOAT = 3
    A_LAW = 6
    MU_LAW = 7


_WIDTHS = {
    Coding.WHOLE: (1, 2, 3, 4),
    Coding.FLOAT: (4, 8),
    Coding.A_LAW: (1,),
    Coding.MU_LAW: (1,),
}
_EXTENSIBLE = 0xFFFE
_GUID = bytes.fromhex("000000001000800000aa00389b71")  # behind the number of a coding (RFC 2361, 4)
_FORMAT = struct.Struct("<HHIIHH")
_UNKNOWN = (0, 0xFFFFFFFF)  # sizes of who could not know
_MOST_FORMAT = 1 << 12  # bytes of a format chunk
_MOST_CHUNKS = 1000  # before the sound
_AT_ONCE = 1 << 16
_RATES = range(1000, 1_000_001)
_MOST_CHANNELS = 64


@dataclass(frozen=True, slots=True)
class WavHead:
    """`width` is the bytes of a sample, `size` those of the sound: None is all that there is."""

    coding: Coding
    channels: int
    rate: int
    width: int
    size: int | None


def read_head(read: Callable[[int], bytes]) -> WavHead:
    """What is before the sound, which comes next. `read` gives less only at the end. Raises FormatError."""
    kind, _, form = struct.unpack("<4sI4s", _exactly(read, 12))
    if kind not in (b"RIFF", b"RF64") or form != b"WAVE":
        raise FormatError("it is no WAV file")
    head, long = None, 0
    for _ in range(_MOST_CHUNKS):
        name, size = struct.unpack("<4sI", _exactly(read, 8))
        if name == b"data":
            return _with_size(head, long if kind == b"RF64" else size)
        if name == b"fmt " and size <= _MOST_FORMAT:
            head = _head(_exactly(read, size + size % 2))
        elif name == b"ds64" and 16 <= size <= _MOST_FORMAT:
            # EBU Tech 3306: of the file, of the sound
            long = int.from_bytes(_exactly(read, size + size % 2)[8:16], "little")
        else:
            _skip(read, size + size % 2)
    raise FormatError("there is no sound in it")


def samples_of(data: bytes, head: WavHead) -> "array[int]":
    """Whole samples of `data`, each of 16 bits; what is left at the end is not looked at."""
    width = head.width
    data = data[: len(data) // width * width]
    match head.coding:
        case Coding.WHOLE:
            return _highest(data, width)
        case Coding.FLOAT:
            return _rounded(data, "f" if width == 4 else "d")
        case Coding.A_LAW:
            return array("h", map(_A_LAW.__getitem__, data))
        case Coding.MU_LAW:
            return array("h", map(_MU_LAW.__getitem__, data))


# The head


def _head(body: bytes) -> WavHead:
    """Raises FormatError."""
    if len(body) < _FORMAT.size:
        raise FormatError("its format is cut off")
    coding, channels, rate, _, together, _ = _FORMAT.unpack_from(body)
    if coding == _EXTENSIBLE and body[26:40] == _GUID:
        coding = int.from_bytes(body[24:26], "little")
    if coding not in _WIDTHS:
        raise FormatError(f"sound of kind {coding} is not known here, only plain samples")
    width = together // max(channels, 1)  # bits in a sample may be fewer: they are the highest
    if width not in _WIDTHS[coding] or channels > _MOST_CHANNELS or together != width * channels:
        raise FormatError(f"{channels} channels of {together} bytes together")
    if rate not in _RATES:
        raise FormatError(f"{rate} samples in a second")
    return WavHead(Coding(coding), channels, rate, width, None)


def _with_size(head: WavHead | None, size: int) -> WavHead:
    if head is None:
        raise FormatError("nothing says of which kind its sound is")
    return head if size in _UNKNOWN else replace(head, size=size)


def _exactly(read: Callable[[int], bytes], size: int) -> bytes:
    data = read(size)
    if len(data) < size:
        raise FormatError(
            "it ends before there is any sound" if data else "there is no sound in it"
        )
    return data


def _skip(read: Callable[[int], bytes], size: int) -> None:
    while size:
        size -= len(_exactly(read, min(size, _AT_ONCE)))


# Samples


def _highest(data: bytes, width: int) -> "array[int]":
    """Of each sample the two bytes that weigh most."""
    if width == 1:
        return array("h", [(each - 128) << 8 for each in data])
    highest = bytearray(len(data) // width * 2)
    highest[0::2], highest[1::2] = data[width - 2 :: width], data[width - 1 :: width]
    return _in_order(array("h", bytes(highest)))


def _rounded(data: bytes, code: str) -> "array[int]":
    """Floats from -1 to 1; what is beyond is as loud as can be, and so is what is no number."""
    return array(
        "h", [round(32767 * min(max(-1.0, each), 1.0)) for each in _in_order(array(code, data))]
    )


def _in_order(samples: "array[Any]") -> "array[Any]":
    if byteorder == "big":
        samples.byteswap()
    return samples


def _mu_law(code: int) -> int:
    """ITU-T G.711, table 2: sign, the power of two, four bits after it; all bits turned."""
    code ^= 0xFF
    loud = ((((code & 0x0F) << 3) + 0x84) << (code >> 4 & 7)) - 0x84
    return -loud if code & 0x80 else loud


def _a_law(code: int) -> int:
    """ITU-T G.711, table 1: every second bit turned; the lowest power has no hidden one."""
    code ^= 0x55
    power, loud = code >> 4 & 7, ((code & 0x0F) << 4) + 8
    loud = loud if power == 0 else (loud + 0x100) << (power - 1)
    return loud if code & 0x80 else -loud


_MU_LAW = [_mu_law(code) for code in range(256)]
_A_LAW = [_a_law(code) for code in range(256)]
