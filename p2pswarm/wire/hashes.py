"""Hashes of version 2 between peers (BEP 52): messages 21, 22 and 23, both directions.

A request names a run of one layer of a file's tree, and how many layers of proof are wanted. The one hard
thing is how many hashes an answer has: layers of proof are counted from the one above the run's own, and
those that follow from the run itself are counted, but not sent.
"""

from dataclasses import dataclass
from struct import Struct
from typing import ClassVar, NamedTuple

from p2pswarm.errors import RemoteProtocolError
from p2pswarm.formats.merkle import HASH

__all__ = ["MOST_HASHES", "HashRange", "HashReject", "HashRequest", "Hashes", "read_hash_message"]

MOST_HASHES = 512  # in one request: BEP 52's SHOULD, and what libtorrent asks for
MOST_PROOF = 64  # layers: more than a file of 2^63 bytes has

_FIELDS = Struct(">32sIIII")
_HEAD = Struct(">IB")


class HashRange(NamedTuple):
    """`length` hashes of the layer `base` (0 is that of the blocks), from number `first` on."""

    root: bytes
    base: int
    first: int
    length: int
    proof: int

    @property
    def well_formed(self) -> bool:
        """Whether anybody may answer: a power of two, not too many, at a place that is a multiple of it."""
        length = self.length
        power = length >= 2 and not length & (length - 1)
        bounded = length <= MOST_HASHES and self.base <= MOST_PROOF and self.proof <= MOST_PROOF
        return power and bounded and not self.first % length

    @property
    def uncles(self) -> int:
        """Hashes of proof that are sent after the run."""
        return max(0, self.proof - (self.length.bit_length() - 2))


@dataclass(slots=True)
class _AboutRange:
    number: ClassVar[int]
    range: HashRange

    def encode(self) -> bytes:
        return _HEAD.pack(1 + _FIELDS.size, self.number) + _FIELDS.pack(*self.range)


class HashRequest(_AboutRange):
    """The sender wants these hashes; also while choked."""

    number = 21


class HashReject(_AboutRange):
    """The request will not be answered with hashes."""

    number = 23


@dataclass(slots=True)
class Hashes:
    """The run, then its uncles from below."""

    number: ClassVar[int] = 22
    range: HashRange
    hashes: bytes

    def encode(self) -> bytes:
        head = _HEAD.pack(1 + _FIELDS.size + len(self.hashes), self.number)
        return head + _FIELDS.pack(*self.range) + self.hashes

    @property
    def run(self) -> bytes:
        return self.hashes[: self.range.length * HASH]

    @property
    def uncles(self) -> list[bytes]:
        rest = self.hashes[self.range.length * HASH :]
        return [rest[at : at + HASH] for at in range(0, len(rest), HASH)]


NUMBERS = frozenset({HashRequest.number, Hashes.number, HashReject.number})


def read_hash_message(number: int, body: memoryview) -> HashRequest | Hashes | HashReject:
    """Raises RemoteProtocolError for a body that is cut short or too long for what it says."""
    if len(body) < _FIELDS.size:
        raise RemoteProtocolError(f"message {number} with {len(body)} bytes")
    asked = HashRange(*_FIELDS.unpack_from(body))
    rest = body[_FIELDS.size :]
    if number == Hashes.number:
        if not asked.well_formed or len(rest) != (asked.length + asked.uncles) * HASH:
            raise RemoteProtocolError(f"{len(rest)} bytes of hashes for {asked.length}")
        return Hashes(asked, rest.tobytes())
    if rest:
        raise RemoteProtocolError(f"message {number} with {len(body)} bytes")
    return HashRequest(asked) if number == HashRequest.number else HashReject(asked)
