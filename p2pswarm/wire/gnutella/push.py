"""Push: a servent that cannot be connected to is asked to connect.

The request travels back along the path of the hit, by the GUID of the servent, or through a push proxy. The
servent connects to the address in it and writes one GIV line (`wire/http/giv`); HTTP follows on it.
"""

from dataclasses import dataclass, field
from struct import Struct
from typing import Self

from p2pswarm.errors import LocalProtocolError, RemoteProtocolError
from p2pswarm.formats.ids import Address
from p2pswarm.wire.gnutella.descriptor import Guid
from p2pswarm.wire.gnutella.endpoints import pack_ip, read_ip
from p2pswarm.wire.gnutella.ggep import Ggep, ggep_at, write_ggep

__all__ = ["Push"]

_PUSH = Struct("<16sI4sH")
_U32 = 0xFFFFFFFF


@dataclass(slots=True)
class Push:
    """Connect to `address` for the file with that index; 0 stands for any, if the servent knows that."""

    servent: Guid
    index: int
    address: Address
    ggep: Ggep = field(default_factory=dict)

    def encode(self) -> bytes:
        """Raises LocalProtocolError for an address that is not IPv4, and for other odd fields."""
        _check(self.servent, self.index)
        if not 0 <= self.address.port < 65536:
            raise LocalProtocolError(f"{self.address} has no port")
        ip = pack_ip(self.address.host)
        head = _PUSH.pack(self.servent, self.index, ip, self.address.port)
        return head + write_ggep(self.ggep)

    @classmethod
    def read(cls, payload: bytes) -> Self:
        """Raises RemoteProtocolError when it is too short; what follows it may be GGEP or anything."""
        if len(payload) < _PUSH.size:
            raise RemoteProtocolError(f"a push of {len(payload)} bytes")
        servent, index, ip, port = _PUSH.unpack_from(payload)
        return cls(servent, index, Address(read_ip(ip), port), ggep_at(payload[_PUSH.size :]))


def _check(servent: Guid, index: int) -> None:
    if len(servent) != 16 or not 0 <= index <= _U32:
        raise LocalProtocolError(f"file {index} of servent {servent.hex()}")
