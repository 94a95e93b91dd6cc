"""Messages 0x30: one servent tells its neighbour, piece by piece, which words it has (QRP 1.0, 4).

What they carry is put together in `qrp`.
"""

import struct
from dataclasses import dataclass
from typing import ClassVar

from p2pswarm.errors import LocalProtocolError, RemoteProtocolError

__all__ = ["Patch", "Reset", "read_routes"]

_RESET = struct.Struct("<BIB")
_PATCH = struct.Struct("<5B")


@dataclass(frozen=True, slots=True)
class Reset:
    """From here on the table has `length` slots, all of them `infinity`: nothing is there."""

    variant: ClassVar[int] = 0
    length: int
    infinity: int

    def encode(self) -> bytes:
        try:
            return _RESET.pack(self.variant, self.length, self.infinity)
        except struct.error as error:
            raise LocalProtocolError(f"{self} cannot be said") from error

    @classmethod
    def read(cls, payload: bytes) -> "Reset":
        if len(payload) < _RESET.size or payload[0] != cls.variant:
            raise RemoteProtocolError("not a RESET of a route table")
        _, length, infinity = _RESET.unpack_from(payload)
        return cls(length, infinity)


@dataclass(frozen=True, slots=True)
class Patch:
    """Message `seq` of `count`, from 1: a part of the differences, `bits` for each slot, maybe compressed."""

    variant: ClassVar[int] = 1
    seq: int
    count: int
    compressor: int
    bits: int
    data: bytes

    def encode(self) -> bytes:
        try:
            head = _PATCH.pack(self.variant, self.seq, self.count, self.compressor, self.bits)
        except struct.error as error:
            raise LocalProtocolError(f"patch {self.seq} of {self.count}") from error
        return head + self.data

    @classmethod
    def read(cls, payload: bytes) -> "Patch":
        if len(payload) < _PATCH.size or payload[0] != cls.variant:
            raise RemoteProtocolError("not a PATCH of a route table")
        _, seq, count, compressor, bits = _PATCH.unpack_from(payload)
        return cls(seq, count, compressor, bits, bytes(payload[_PATCH.size :]))


def read_routes(payload: bytes) -> Reset | Patch | None:
    """Either; None for a variant that is newer than the document, to be ignored.

    Raises RemoteProtocolError.
    """
    if not payload:
        raise RemoteProtocolError("an empty update of a route table")
    match payload[0]:
        case Reset.variant:
            return Reset.read(payload)
        case Patch.variant:
            return Patch.read(payload)
        case _:
            return None
