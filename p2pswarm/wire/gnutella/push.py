"""Push: a servent that cannot be connected to is asked to connect, and the line it then says first.

The request travels back along the path of the hit, by the GUID of the servent, or through a push proxy. The
servent connects to the address in it, writes one GIV line, and HTTP follows on that connection.
"""

import re
from dataclasses import dataclass, field
from struct import Struct
from typing import Self

from typing_extensions import override

from p2pswarm.errors import LocalProtocolError, RemoteProtocolError
from p2pswarm.formats.ids import Address
from p2pswarm.wire.framer import CuttingFramer, Scratch
from p2pswarm.wire.gnutella.descriptor import Guid
from p2pswarm.wire.gnutella.endpoints import pack_ip, read_ip
from p2pswarm.wire.gnutella.ggep import Ggep, ggep_at, write_ggep
from p2pswarm.wire.gnutella.numbers import pack_text, read_text

__all__ = ["MAX_GIV", "Giv", "GivFramer", "Push"]

MAX_GIV = 4096  # bytes; a file's name is the only long thing in it

_PUSH = Struct("<16sI4sH")
_GIV = re.compile(rb"GIV ([0-9]{1,10}):([0-9a-fA-F]{32})/([^\x00\n]*?)\r?\n\r?\n")
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


@dataclass(slots=True)
class Giv:
    """The first line of a servent that was asked to connect. `name` is for people: it may be anything."""

    index: int
    servent: Guid
    name: str

    def encode(self) -> bytes:
        """Raises LocalProtocolError for a name that is longer than a line."""
        _check(self.servent, self.index)
        name = pack_text(self.name)
        line = b"GIV %d:%s/%s\n\n" % (self.index, self.servent.hex().encode("ascii"), name)
        if b"\n" in name or name.endswith(b"\r") or len(line) > MAX_GIV:
            raise LocalProtocolError(f"{self.name!r} cannot stand in one line")
        return line


class GivFramer(CuttingFramer):
    """Cuts the one GIV line; what follows it stays unread, it is HTTP. Raises RemoteProtocolError."""

    def __init__(self, scratch: Scratch | None = None) -> None:
        super().__init__(scratch)
        self._done = False

    @override
    def _cut(self, view: memoryview, into: list[object]) -> int:
        if self._done:
            return 0
        head = view[:MAX_GIV].tobytes()
        line = _GIV.match(head)
        if line is None:
            _refuse_unless_unfinished(head)
            return 0
        self._done = True
        index, servent, name = line.groups()
        number = min(int(index), _U32)
        into.append(Giv(number, bytes.fromhex(servent.decode("ascii")), read_text(name)))
        return line.end()


def _refuse_unless_unfinished(head: bytes) -> None:
    ended = b"\n\n" in head or b"\n\r\n" in head
    if ended or len(head) >= MAX_GIV or head[:4] != b"GIV "[: len(head)]:
        raise RemoteProtocolError(f"{head[:60]!r} is no GIV line")


def _check(servent: Guid, index: int) -> None:
    if len(servent) != 16 or not 0 <= index <= _U32:
        raise LocalProtocolError(f"file {index} of servent {servent.hex()}")
