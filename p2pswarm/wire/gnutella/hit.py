"""Query hits: who has files that match, how to reach them, and the files.

Results stand first, then what BearShare added (vendor, flags, private data with GGEP), and the GUID of the
servent in the last 16 bytes, whatever is before them.

The one hard thing: the flags. Each has a bit in two bytes, "it is so" and "I know whether it is so"; for the
push flag those two bytes are swapped (specification, 2.2.6).
"""

from dataclasses import dataclass, field
from struct import Struct
from typing import NamedTuple, Self

from p2pswarm.errors import LocalProtocolError, RemoteProtocolError
from p2pswarm.formats.ids import Address
from p2pswarm.wire.gnutella.descriptor import MAX_PAYLOAD, Guid
from p2pswarm.wire.gnutella.endpoints import pack_ip, read_endpoints, read_ip
from p2pswarm.wire.gnutella.ggep import MAGIC, Ggep, ggep_at, write_ggep
from p2pswarm.wire.gnutella.results import Result, read_result, skip_result

__all__ = ["MAX_RESULTS", "OUR_VENDOR", "Glance", "QueryHit"]

MAX_RESULTS = 255  # the count is one byte
OUR_VENDOR = b"P2PS"
MAX_PROXIES = 16  # of a PUSH list we look at; servents keep 4 or so

_HEAD = Struct("<BH4sI")
_GUID_SIZE = 16
_U32 = 0xFFFFFFFF
_FLAGS = (0x01, 0x04, 0x08, 0x10)  # push, busy, uploaded, measured
_PUSH, _GGEP = _FLAGS[0], 0x20


class Glance(NamedTuple):
    """What everybody on the way of a hit has to know; the files are read where they are wanted."""

    address: Address
    results: int
    servent: Guid
    push: bool | None

    @classmethod
    def at(cls, payload: bytes) -> Self:
        """Raises RemoteProtocolError for what `QueryHit.read` would not read."""
        at, end = _HEAD.size, len(payload) - _GUID_SIZE
        if end < at:
            raise RemoteProtocolError(f"a hit of {len(payload)} bytes")
        count, port, ip, _ = _HEAD.unpack_from(payload)
        for _ in range(count):
            at = skip_result(payload, at, end)
        size = payload[at + 4] if end - at > 4 else 0
        push = _said(payload[at + 5 : min(at + 5 + size, end)])[0]
        return cls(Address(read_ip(ip), port), count, payload[end:], push)


@dataclass(slots=True)
class QueryHit:
    """Files of one servent. A flag that is None is not known, `measured` is about `speed` (kbit/s)."""

    address: Address
    speed: int
    results: tuple[Result, ...]
    servent: Guid
    vendor: bytes = OUR_VENDOR  # empty when the hit has no such block at all
    push: bool | None = None
    busy: bool | None = None
    uploaded: bool | None = None
    measured: bool | None = None
    ggep: Ggep = field(default_factory=dict)

    @property
    def proxies(self) -> tuple[Address, ...]:
        """Who brings a push to it (PUSH)."""
        return read_endpoints(self.ggep.get("PUSH", b""), MAX_PROXIES)

    @property
    def token(self) -> bytes | None:
        """What an out-of-band hit gives back (SO)."""
        return self.ggep.get("SO")

    def encode(self) -> bytes:
        """Raises LocalProtocolError for what cannot be said, and for more than a message holds."""
        count, port = len(self.results), self.address.port
        if count > MAX_RESULTS or not 0 <= port < 65536 or len(self.servent) != _GUID_SIZE:
            raise LocalProtocolError(f"{count} results at {self.address} of {self.servent.hex()}")
        speed = min(max(self.speed, 0), _U32)
        head = _HEAD.pack(count, port, pack_ip(self.address.host), speed)
        results = [result.encode() for result in self.results]
        payload = b"".join([head, *results, self._trailer(), self.servent])
        if len(payload) > MAX_PAYLOAD:
            raise LocalProtocolError(f"a hit of {len(payload)} bytes")
        return payload

    @classmethod
    def read(cls, payload: bytes) -> Self:
        """Raises RemoteProtocolError, also when there are fewer results than it counts.

        Where the results end the rest begins: in a hit whose count lies the flags and the GGEP would be read
        from names of files, so nothing in it can be believed.
        """
        at, end = _HEAD.size, len(payload) - _GUID_SIZE
        if end < at:
            raise RemoteProtocolError(f"a hit of {len(payload)} bytes")
        count, port, ip, speed = _HEAD.unpack_from(payload)
        results = []
        for _ in range(count):
            result, at = read_result(payload, at, end)
            results.append(result)
        address, guid = Address(read_ip(ip), port), payload[end:]
        hit = cls(address, speed, tuple(results), guid)
        hit._take_trailer(payload[at:end])
        return hit

    def _trailer(self) -> bytes:
        if len(self.vendor) != 4:
            raise LocalProtocolError(f"{self.vendor!r} is no vendor code")
        known, is_so = 0, 0
        for bit, flag in zip((*_FLAGS, _GGEP), self._flags(), strict=True):
            known |= bit if flag is not None else 0
            is_so |= bit if flag else 0
        first = known & ~_PUSH | is_so & _PUSH
        second = is_so & ~_PUSH | known & _PUSH
        return self.vendor + bytes([2, first, second]) + write_ggep(self.ggep)

    def _take_trailer(self, data: bytes) -> None:
        """What is between the results and the GUID: vendor, size of the open data, open and private data.

        Open data of less than two bytes has no flags; what we do not know of a longer one is ignored.
        """
        self.vendor, size = (data[:4], data[4]) if len(data) > 4 else (b"", 0)
        opened, private = data[5 : 5 + size], data[5 + size :]
        if len(opened) < 2:
            return
        self.push, self.busy, self.uploaded, self.measured = _said(opened)
        xml = int.from_bytes(opened[2:4], "little") if size >= 4 else 0
        self.ggep = _private(private[: max(len(private) - xml, 0)])

    def _flags(self) -> tuple[bool | None, ...]:
        return self.push, self.busy, self.uploaded, self.measured, bool(self.ggep)


def _said(opened: bytes) -> tuple[bool | None, bool | None, bool | None, bool | None]:
    """The flags of the open data: push, busy, uploaded, measured."""
    if len(opened) < 2:
        return None, None, None, None
    known = opened[0] & ~_PUSH | opened[1] & _PUSH
    is_so = opened[1] & ~_PUSH | opened[0] & _PUSH
    push, busy, uploaded, measured = (bool(is_so & bit) if known & bit else None for bit in _FLAGS)
    return push, busy, uploaded, measured


def _private(data: bytes) -> Ggep:
    """GGEP starts at the first magic byte (GGEP 0.51): some vendors put something before it.

    The flag for it is not asked: what is no GGEP cannot be read as such, and BearShare's secrets are none.
    """
    start = data.find(MAGIC)
    return ggep_at(data[start:]) if start >= 0 else {}
