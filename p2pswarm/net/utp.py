"""uTP connections on the node's own number, for streams that need not know that it is not TCP.

A datagram is its connection's by the sender's address and a number. What came in one turn of the event loop
is answered in one go; one tick, twenty times a second, is everybody's clock.

The one hard thing: what "the kernel has it" means where no kernel has it. Here it is: all bytes are copied
into packets. Packets are sent again until they arrive, even after the stream has closed; of too many
connections that only wait for that, the oldest end.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from random import Random
from typing import Any

from typing_extensions import override

from p2pswarm.formats.ids import Address
from p2pswarm.net.stream import Stream
from p2pswarm.wire.utp.connection import Connection, Phase
from p2pswarm.wire.utp.door import Door
from p2pswarm.wire.utp.packet import HEADER, RESET, SYN, Packet, read

__all__ = ["Utp", "UtpTransport"]

TICK = 0.05  # seconds
MOST_LINGERING = 200
_MASK = 0xFFFFFFFF

_Send = Callable[[Sequence[bytes], Address], None]


class Utp:
    """All uTP connections of one port. `close` at the end."""

    def __init__(self, send: _Send, knock: Callable[[], Stream], dice: Random) -> None:
        self.send = send
        self._knock = knock
        self._dice = dice
        self._door = Door(dice)
        self._connections: dict[tuple[Address, int], UtpTransport] = {}
        self._lingering: dict[UtpTransport, None] = {}
        self._touched: dict[UtpTransport, None] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._open = True

    async def dial(self, address: Address, stream: Stream) -> None:
        """Raises OSError."""
        address, ip = address.normal, address.ip
        if ip is None or not self._open:
            raise OSError(f"uTP cannot connect to {address}")
        loop = asyncio.get_running_loop()
        while True:
            connection = Connection.dial(self._dice, loop.time(), ip.version)
            if (address, connection.receives) not in self._connections:
                break
        transport = UtpTransport(self, connection, address, stream)
        self._add(transport)
        try:
            await transport.opened
        except BaseException:
            transport.abort()
            raise

    def take(self, data: bytes, address: Address) -> bool:
        """Whether this is of a connection that is known; then it is done with. Raises RemoteProtocolError."""
        if len(data) < HEADER.size or data[0] & 15 != 1:
            return False
        transport = self._connections.get((address, data[2] << 8 | data[3]))
        if transport is None:
            return False
        packet = read(data)
        if packet.kind == SYN:
            return False  # of another connection, which they give our number plus one
        transport.connection.got(packet, transport.loop.time())
        if transport not in self._touched:
            self.touch(transport)
        return True

    def got(self, data: bytes, address: Address) -> None:
        """Anything else that looks like uTP. Raises RemoteProtocolError."""
        packet, now = read(data), asyncio.get_running_loop().time()
        if not self._open:
            return
        if packet.kind == SYN:
            if (address, (packet.connection + 1) & 0xFFFF) not in self._connections:
                self.send([self._door.knocked(packet, address, now)], address)
        elif packet.kind == RESET:
            self._got_reset(packet, address, now)
        elif not self._accepts(data, packet, address):
            micros = int(now * 1e6) & _MASK
            over = Packet(RESET, packet.connection, micros, 0, 0, 0, packet.seq)
            self.send([over.pack()], address)

    def touch(self, transport: "UtpTransport") -> None:
        """It has something to do at the end of this turn."""
        if not self._touched:
            transport.loop.call_soon(self._settle)
        self._touched[transport] = None

    def linger(self, transport: "UtpTransport") -> None:
        """Nobody uses it any more; it sends what is left."""
        self._lingering[transport] = None
        if len(self._lingering) > MOST_LINGERING:
            next(iter(self._lingering)).drop()

    def forget(self, transport: "UtpTransport") -> None:
        """It is over."""
        self._lingering.pop(transport, None)
        self._connections.pop((transport.address, transport.connection.receives), None)

    def close(self) -> None:
        """Everybody is told. May be called twice."""
        self._open = False
        for transport in list(self._connections.values()):
            transport.drop()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _accepts(self, data: bytes, packet: Packet, address: Address) -> bool:
        ip = address.ip
        connection = self._door.proved(packet, address, 4 if ip is None else ip.version)
        if connection is None:
            return False
        transport = UtpTransport(self, connection, address, self._knock())
        self._add(transport)
        self.take(data, address)
        return True

    def _got_reset(self, packet: Packet, address: Address, now: float) -> None:
        """It names the number of our packets, which is one beside that of theirs."""
        for receives in (packet.connection - 1, packet.connection + 1):
            transport = self._connections.get((address, receives & 0xFFFF))
            if transport is not None and transport.connection.sends == packet.connection:
                transport.connection.got(packet, now)
                self.touch(transport)

    def _add(self, transport: "UtpTransport") -> None:
        self._connections[transport.address, transport.connection.receives] = transport
        self.touch(transport)
        if self._timer is None:
            self._timer = transport.loop.call_later(TICK, self._tick, transport.loop)

    def _settle(self) -> None:
        touched, self._touched = self._touched, {}
        for transport in touched:
            transport.settle()

    def _tick(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = loop.call_later(TICK, self._tick, loop) if self._connections else None
        for transport in list(self._connections.values()):
            transport.connection.tick(loop.time())
            transport.settle()


class UtpTransport(asyncio.Transport):
    """What a stream sees of a connection.

    Invariant: `protocol` hears `connection_made` before anything else, and `connection_lost` once, last.
    """

    def __init__(self, utp: Utp, connection: Connection, address: Address, stream: Stream) -> None:
        super().__init__({"peername": tuple(address), "utp": True})
        self.connection = connection
        self.address = address
        self.loop = asyncio.get_running_loop()
        self.opened: asyncio.Future[None] = self.loop.create_future()
        self._utp = utp
        self._stream: Stream | None = stream
        self._made = False
        self._unread: list[bytes] = []
        self._reads = True
        self._stuffed = False  # the stream was told to wait
        self._out: list[bytes] = []

    # What the stream may do

    @override
    def write(self, data: bytes | bytearray | memoryview) -> None:
        connection = self.connection
        if not data or connection.phase is not Phase.OPEN:
            return
        connection.write(data)
        self._out += connection.flush(self.loop.time())
        if connection.sender.queued and not self._stuffed and self._stream is not None:
            self._stuffed = True
            self._stream.pause_writing()
        self._utp.touch(self)

    @override
    def writelines(self, list_of_data: Iterable[Any]) -> None:
        self.write(b"".join(list_of_data))

    @override
    def get_write_buffer_size(self) -> int:
        return self.connection.sender.queued

    @override
    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """They are 0 and 0."""

    @override
    def pause_reading(self) -> None:
        self._reads = False

    @override
    def resume_reading(self) -> None:
        self._reads = True
        self._utp.touch(self)

    @override
    def is_closing(self) -> bool:
        return self.connection.phase in (Phase.CLOSING, Phase.OVER)

    @override
    def close(self) -> None:
        self._end(now=False)

    @override
    def abort(self) -> None:
        """What is in packets still arrives, as with TCP."""
        self._end(now=True)

    def _end(self, *, now: bool) -> None:
        if self.connection.phase is not Phase.OVER:
            self.connection.close(now=now)
            self._utp.touch(self)

    def drop(self) -> None:
        """Over this moment, and the other side is told."""
        if self.connection.phase is not Phase.OVER:
            micros = int(self.loop.time() * 1e6)
            self._utp.send([self.connection.reset(micros)], self.address)
            self.connection.give_up(None)
        self.settle()

    # What the connection has for it

    def settle(self) -> None:
        """After what came in one go: hand it on, and answer it in one go."""
        connection = self.connection
        if connection.phase is Phase.OPEN and not self._made:
            self._begin()
        if self._reads and self._has_unread:
            self._deliver()
        if connection.phase is Phase.OPEN and connection.receiver.ended and not self._has_unread:
            self.close()
        self._out += connection.flush(self.loop.time())
        if self._stuffed and not connection.sender.queued and self._stream is not None:
            self._stuffed = False
            self._stream.resume_writing()
        if self._out:
            out, self._out = self._out, []
            self._utp.send(out, self.address)
        if connection.sender.hurries:
            self._utp.touch(self)
        if self.is_closing() and self._stream is not None:
            self._finish()
        if connection.phase is Phase.OVER:
            self._utp.forget(self)

    @property
    def _has_unread(self) -> bool:
        return bool(self._unread or self.connection.receiver.ready)

    def _begin(self) -> None:
        if self._stream is not None and not self.opened.cancelled():
            self._made = True
            self._stream.connection_made(self)
            self.opened.set_result(None)

    def _deliver(self) -> None:
        stream = self._stream
        parts = self._unread + self.connection.receiver.take()
        self._unread = []
        if stream is None:
            return
        data = memoryview(b"".join(parts))
        while data and self._reads and not self.is_closing():
            buffer = stream.get_buffer(len(data))
            size = min(len(data), len(buffer))
            buffer[:size] = data[:size]
            data = data[size:]
            stream.buffer_updated(size)
        if data:
            self._unread = [bytes(data)]

    def _finish(self) -> None:
        """The stream hears nothing more once all is in packets that it gave us."""
        connection = self.connection
        if connection.phase is Phase.CLOSING and connection.sender.queued:
            return
        stream, self._stream = self._stream, None
        if not self.opened.done():
            why = connection.over_because or ConnectionAbortedError("given up")
            self.opened.set_exception(why)
            self.opened.exception()  # whoever was cancelled does not ask
        elif stream is not None and self._made:
            self.loop.call_soon(stream.connection_lost, connection.over_because)
        if connection.phase is Phase.CLOSING:
            self._utp.linger(self)
