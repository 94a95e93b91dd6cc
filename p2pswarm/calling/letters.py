"""Messages for who was not there, delivered in a call: once, in order, and gone only when the other has them.

Both sides do the same: each says what waits for the other one, and tells the number of what it has. What was
told is on the disk there, so a call that breaks costs a repetition, which is recognised.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from p2pswarm.calling.call import Call
from p2pswarm.calling.session import Session
from p2pswarm.errors import NetworkError, RemoteProtocolError
from p2pswarm.wire.calling.frames import CallFrame
from p2pswarm.wire.calling.letters import Kept, Left, Message
from p2pswarm.wire.calling.lists import ParcelKind

if TYPE_CHECKING:
    from p2pswarm.calling.outbox import Heard, Outbox

__all__ = ["Disk", "Letters"]

MOST = 200  # messages in one call
SILENCE = 30.0  # seconds without a message, or a receipt

Disk = Callable[..., Awaitable[Any]]
"""Runs a function where it may wait for the disk."""


class Letters(Session):
    """One side of such a call. `told` hears each message once, before the sender hears that it arrived."""

    def __init__(
        self,
        call: Call,
        outbox: "Outbox",
        heard: "Heard",
        told: Callable[[Message], None],
        disk: Disk,
    ) -> None:
        super().__init__(call)
        self._outbox, self._notes, self._told, self._disk = outbox, heard, told, disk
        self._came: asyncio.Queue[Message | None] = asyncio.Queue()
        self._count = 0
        self._kept = 0
        self._receipt = asyncio.Event()
        self._last = 0  # that we said

    async def run(self) -> int:
        """How many of ours arrived. Raises RemoteError, DiskError; what did not arrive, waits on."""
        waiting = (await self._disk(self._outbox.waiting, self._call.other))[:MOST]
        await self._until_over(self._exchange(waiting))
        return len(waiting)

    async def _exchange(self, waiting: list[Message]) -> None:
        self._last = waiting[-1].number if waiting else 0
        for message in waiting:
            await self._call.line.room()
            self._call.line.say(message.kind, message.encode())
        self._call.line.say(Left.kind, Left().encode())
        await self._hear()
        await self._until_kept()
        await self._call.line.settle()

    async def _hear(self) -> None:
        """All of theirs."""
        last = await self._disk(self._notes.last, self._call.key)
        while (message := await self._next()) is not None:
            if message.number > last:
                last = message.number
                self._told(message)
                await self._disk(self._notes.note, self._call.key, last)
            self._call.line.say(Kept.kind, Kept(last).encode())

    async def _next(self) -> Message | None:
        try:
            async with asyncio.timeout(SILENCE):
                return await self._came.get()
        except TimeoutError as error:
            raise NetworkError(f"{self._call.other} says no more") from error

    async def _until_kept(self) -> None:
        done = 0
        while done < self._last:
            self._receipt.clear()
            if self._kept == done:
                await self._until_receipt()
            done = self._kept
            await self._disk(self._outbox.kept, self._call.other, done)

    async def _until_receipt(self) -> None:
        try:
            async with asyncio.timeout(SILENCE):
                await self._receipt.wait()
        except TimeoutError as error:
            raise NetworkError(f"{self._call.other} does not take our messages") from error

    @override
    def _heard(self, frame: CallFrame) -> None:
        match frame.kind:
            case ParcelKind.MESSAGE:
                self._count += 1
                if self._count > MOST:
                    raise RemoteProtocolError(f"{self._call.other} has too much to say")
                self._came.put_nowait(Message.read(frame.body))
            case ParcelKind.LEFT:
                Left.read(frame.body)
                self._came.put_nowait(None)
            case ParcelKind.KEPT:
                kept = Kept.read(frame.body)
                self._kept = min(max(self._kept, kept.number), self._last)
                self._receipt.set()
            case _:
                """Of tomorrow."""
