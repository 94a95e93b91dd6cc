"""Pings and pongs, and what their extensions say.

Over TCP a pong is an address from a cache. Over UDP, a ping asks with its extensions, and the pong
answers: `SCP` for hosts to connect to and `GUE` for hosts to query, both answered by `IPP`; `QK` for a
query key, the proof that who queries by UDP is where it says it is.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from struct import Struct
from typing import Self

from p2pswarm.errors import LocalProtocolError, RemoteProtocolError
from p2pswarm.formats.ids import Address
from p2pswarm.wire.gnutella.endpoints import pack_endpoints, pack_ip, read_endpoints, read_ip
from p2pswarm.wire.gnutella.ggep import Ggep, ggep_at, write_ggep
from p2pswarm.wire.gnutella.numbers import pack_number

__all__ = ["GUESS_VERSION", "Ping", "Pong", "pong_ggep"]

# 0.2, of GUESS as gtk-gnutella documents it: the major number in the high half
GUESS_VERSION = 0x02
MAX_HOSTS = 64  # of an IPP list we look at; gtk-gnutella sends 10

_PONG = Struct("<H4sII")
_U32 = 0xFFFFFFFF
_SCP_ULTRAPEER = 0x01


@dataclass(slots=True)
class Ping:
    """Who is there? `ggep` asks for more than that."""

    ggep: Ggep = field(default_factory=dict)

    @classmethod
    def asking(cls, *, hosts: bool = False, ultrapeer: bool = False, key: bool = False) -> Self:
        """By UDP: for hosts, as an ultrapeer or as a leaf who looks for ultrapeers; for a query key."""
        ggep = {}
        if hosts:
            ggep["SCP"] = bytes([_SCP_ULTRAPEER if ultrapeer else 0])
        if key:
            ggep["QK"] = b""
        return cls(ggep)

    @property
    def wants_hosts(self) -> bool:
        return "SCP" in self.ggep

    @property
    def wants_key(self) -> bool:
        return "QK" in self.ggep

    def encode(self) -> bytes:
        return write_ggep(self.ggep)

    @classmethod
    def read(cls, payload: bytes) -> Self:
        """Whatever a ping carries that is no GGEP is ignored."""
        return cls(ggep_at(payload))


@dataclass(slots=True)
class Pong:
    """A host that is there, and how much it shares."""

    address: Address
    files: int
    kib: int
    ggep: Ggep = field(default_factory=dict)

    @property
    def ultrapeer(self) -> bool:
        """Marked by GGEP UP, or as of old by a power of two of at least 8 for the KiB shared."""
        return "UP" in self.ggep or (self.kib >= 8 and self.kib & (self.kib - 1) == 0)

    @property
    def guess(self) -> int | None:
        """The version of GUESS it answers (GUE): 0x02 is 0.2. None when it does not."""
        told = self.ggep.get("GUE")
        return None if told is None else told[0] if told else 0x01

    @property
    def key(self) -> bytes | None:
        """The query key it gives us (QK)."""
        return self.ggep.get("QK")

    @property
    def hosts(self) -> tuple[Address, ...]:
        """Other hosts (IPP)."""
        return read_endpoints(self.ggep.get("IPP", b""), MAX_HOSTS)

    def encode(self) -> bytes:
        """Raises LocalProtocolError for an address that is not IPv4."""
        if not 0 <= self.address.port < 65536 or self.files < 0 or self.kib < 0:
            raise LocalProtocolError(f"a pong cannot say {self!r}")
        ip, files, kib = pack_ip(self.address.host), min(self.files, _U32), min(self.kib, _U32)
        return _PONG.pack(self.address.port, ip, files, kib) + write_ggep(self.ggep)

    @classmethod
    def read(cls, payload: bytes) -> Self:
        """Raises RemoteProtocolError when it is too short; what follows it may be GGEP or anything."""
        if len(payload) < _PONG.size:
            raise RemoteProtocolError(f"a pong of {len(payload)} bytes")
        port, ip, files, kib = _PONG.unpack_from(payload)
        return cls(Address(read_ip(ip), port), files, kib, ggep_at(payload[_PONG.size :]))


def pong_ggep(
    *,
    vendor: bytes = b"",
    slots: tuple[int, int] | None = None,
    uptime: int | None = None,
    guess: bool = False,
    key: bytes = b"",
    hosts: Iterable[Address] | None = None,
) -> dict[str, bytes]:
    """The extensions of a pong of ours; what is left away is not said."""
    ggep = {}
    if vendor:
        ggep["VC"] = vendor + b"\x01"  # and the version, a byte: 0.1
    if guess:
        ggep["GUE"] = bytes([GUESS_VERSION])
    if slots is not None:
        ggep["UP"] = bytes([0x01, *(min(max(free, 0), 255) for free in slots)])
    if uptime is not None:
        ggep["DU"] = pack_number(uptime)
    if key:
        ggep["QK"] = key
    if hosts is not None:
        ggep["IPP"] = pack_endpoints(hosts)
    return ggep
