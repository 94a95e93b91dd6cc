"""The line that a servent says first when it connects because it was asked to: GIV. HTTP follows on it."""

import re
from dataclasses import dataclass

from typing_extensions import override

from p2pswarm.errors import LocalProtocolError, RemoteProtocolError
from p2pswarm.wire.framer import CuttingFramer, Scratch
from p2pswarm.wire.text import pack_text, read_text

__all__ = ["MAX_GIV", "Giv", "GivFramer"]

MAX_GIV = 4096  # bytes; a file's name is the only long thing in it

_GIV = re.compile(rb"GIV ([0-9]{1,10}):([0-9a-fA-F]{32})/([^\x00\n]*?)\r?\n\r?\n")
_U32 = 0xFFFFFFFF


@dataclass(slots=True)
class Giv:
    """The first line of a servent that was asked to connect. `name` is for people: it may be anything."""

    index: int
    servent: bytes  # GUID, 16 bytes
    name: str

    def encode(self) -> bytes:
        """Raises LocalProtocolError for a name that is longer than a line."""
        if len(self.servent) != 16 or not 0 <= self.index <= _U32:
            raise LocalProtocolError(f"file {self.index} of servent {self.servent.hex()}")
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
