"""Streams between two sides in virtual time: both ask for one, and get its two ends."""

import asyncio

from p2pswarm.lab.loop import VirtualLoop
from p2pswarm.lab.wires import Host, Transport
from p2pswarm.net.stream import Conversation, Stream
from p2pswarm.wire.framer import Framer

__all__ = ["Ways"]


class Ways:
    """Between two hosts. `connect(side)` is what a side asks with."""

    def __init__(self, loop: VirtualLoop) -> None:
        self.loop = loop
        self.hosts = loop.host("10.0.0.1"), loop.host("10.0.0.2")
        self.blocked = False
        """Nobody gets a stream."""
        self.made: list[tuple[Transport, Transport]] = []
        self._asking: dict[int, tuple[Stream, asyncio.Future[Stream]]] = {}

    async def connect(self, side: int, framer: Framer, conversation: Conversation) -> Stream:
        if self.blocked:
            await asyncio.sleep(0.5)
            raise OSError("no way")
        stream = Stream(framer, conversation)
        came: asyncio.Future[Stream] = self.loop.create_future()
        self._asking[side] = stream, came
        if len(self._asking) == 2:
            (near, first), (far, second) = self._asking[0], self._asking[1]
            self._asking = {}
            self.made.append(self._joined(near, far))
            for each, future in ((near, first), (far, second)):
                if not future.done():
                    future.set_result(each)
        return await came

    def _joined(self, near: Stream, far: Stream) -> tuple[Transport, Transport]:
        here: Host = self.hosts[0]
        return self.loop.connect(here, self.hosts[1], near, far, port=1)

    def cut(self) -> None:
        """The newest stream breaks."""
        self.made[-1][0].abort()
