"""A peer under a test's hands: it says what it is told to, however wrong, and remembers what it hears.

It speaks on the network of a `World`, from a host of its own, and knows of the protocol only how to cut
messages. Nobody answers for it: no request is served, no choke obeyed.
"""

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar, cast

from typing_extensions import override

from p2pswarm.formats.ids import InfoHash, PeerId
from p2pswarm.node import Node
from p2pswarm.wire.extension.handshake import ExtendedHandshake
from p2pswarm.wire.framer import Scratch
from p2pswarm.wire.peer import (
    HANDSHAKE,
    Extended,
    Hello,
    Ident,
    KeepAlive,
    Request,
    Reserved,
)
from tests.support.singly import Piece, SingleFramer
from tests.support.world import Host, Transport, World

__all__ = ["PLAIN", "Stranger"]

PLAIN = Reserved(8)  # as clients were in 2003
_HANDSHAKE = 68

T = TypeVar("T")


class Stranger(asyncio.BufferedProtocol):
    """`heard` is every message after the other side's handshake; blocks are kept in `blocks`."""

    def __init__(self) -> None:
        self.hello = b""
        self.heard: list[object] = []
        self.times: list[float] = []  # of the loop, for each message heard
        self.blocks: dict[tuple[int, int], bytes] = {}
        self.over = False
        self.answer: Callable[[Stranger, Any], None] | None = None
        self._handshake = bytearray(_HANDSHAKE)
        self._framer = SingleFramer(Scratch(512 << 10))  # there may be many of us
        self._bell = asyncio.Event()
        self._transport: Transport | None = None

    @classmethod
    async def dial(cls, world: World, host: Host, node: Node) -> "Stranger":
        """A connection on which nothing was said yet."""
        _, stranger = await world.loop.create_connection(
            cls, node.settings.bind, node.port, local_addr=(host.name, 0)
        )
        return cast("Stranger", stranger)

    @classmethod
    async def meet(
        cls,
        world: World,
        host: Host,
        node: Node,
        info_hash: InfoHash,
        *,
        reserved: Reserved | None = None,
        peer_id: PeerId | None = None,
    ) -> "Stranger":
        """A connection with the handshake done, the answer read."""
        stranger = await cls.dial(world, host, node)
        stranger.introduce(
            info_hash, reserved or Reserved.ours(), peer_id or PeerId.new(world.dice)
        )
        await stranger.until(lambda: len(stranger.hello) == _HANDSHAKE)
        return stranger

    @classmethod
    async def receive(
        cls, world: World, host: Host, info_hash: InfoHash, *, reserved: Reserved | None = None
    ) -> "Stranger":
        """Wait on the host's usual port until somebody dials, and answer the handshake.

        Like clients of old it hangs up on one that is obfuscated.
        """
        stranger = cls()
        world.loop.listeners[host.name, 46881] = lambda: stranger
        await stranger.until(lambda: len(stranger.hello) == _HANDSHAKE)
        stranger.introduce(info_hash, reserved or Reserved.ours(), PeerId.new(world.dice))
        return stranger

    @property
    def host(self) -> str:
        assert self._transport is not None
        return self._transport.host.name

    def introduce(self, info_hash: InfoHash, reserved: Reserved, peer_id: PeerId) -> None:
        self.send(Hello(reserved, info_hash), Ident(peer_id))

    def send(self, *messages: Any) -> None:
        """Messages, or bytes as they are."""
        assert self._transport is not None
        data = [m if isinstance(m, bytes) else m.encode() for m in messages]
        self._transport.write(b"".join(data))

    def introduce_port(self, port: int) -> None:
        self.send(Extended(0, ExtendedHandshake(port=port).encode()))

    def close(self) -> None:
        assert self._transport is not None
        self._transport.close()

    def keep_talking(self) -> None:
        """A keep-alive every minute, so that it is not dropped for its silence."""
        if not self.over:
            self.send(KeepAlive())
            asyncio.get_running_loop().call_later(60, self.keep_talking)

    def stop_reading(self) -> None:
        assert self._transport is not None
        self._transport.pause_reading()

    def all(self, kind: type[T]) -> list[T]:
        return [message for message in self.heard if isinstance(message, kind)]

    def times_of(self, *kinds: type) -> list[float]:
        both = zip(self.heard, self.times, strict=True)
        return [at for message, at in both if isinstance(message, kinds)]

    @property
    def requests(self) -> list[Request]:
        return self.all(Request)

    async def until(self, condition: Callable[[], Any], seconds: float = 60.0) -> None:
        """Until this holds; looked at whenever something was heard. Raises TimeoutError."""
        async with asyncio.timeout(seconds):
            while not condition():
                self._bell.clear()
                await self._bell.wait()

    async def hears(self, kind: type[T], seconds: float = 60.0) -> T:
        """The first message of this kind, heard already or to come."""
        await self.until(lambda: self.all(kind) or self.over, seconds)
        return self.all(kind)[0]

    async def dropped(self, seconds: float = 60.0) -> None:
        """Until the other side has closed the connection."""
        await self.until(lambda: self.over, seconds)

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.over = False
        self._transport = cast("Transport", transport)
        self._transport.set_write_buffer_limits(high=0, low=0)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self.over = True
        self._bell.set()

    @override
    def pause_writing(self) -> None:
        """It says everything at once."""

    @override
    def resume_writing(self) -> None:
        """It does not care."""

    @override
    def get_buffer(self, sizehint: int) -> memoryview:
        if len(self.hello) < _HANDSHAKE:
            return memoryview(self._handshake)[len(self.hello) :]
        return self._framer.get_buffer(sizehint)

    @override
    def buffer_updated(self, nbytes: int) -> None:
        if len(self.hello) < _HANDSHAKE:
            self.hello = bytes(self._handshake[: len(self.hello) + nbytes])
            if not self.hello.startswith(HANDSHAKE[: len(self.hello)]):
                self.hello = b""
                self.close()
        else:
            self._hear(nbytes)
        self._bell.set()

    def _hear(self, nbytes: int) -> None:
        for message in self._framer.received(nbytes):
            if isinstance(message, Piece):
                self.blocks[message.piece, message.begin] = message.data
            self.heard.append(message)
            self.times.append(asyncio.get_running_loop().time())
            if self.answer is not None:
                self.answer(self, message)
