"""The stream of a call: one after the other, as paths come and go; what is said on it arrives all the same.

`connect` makes a stream to the other side, secured, whichever way is best at the time. While one works, the
next is waited for; once it is there, it is used and the old one closed. A call that has had no stream for
half a minute is over.

The one hard thing: both sides change streams, but not in the same moment. What comes on an old stream is not
heard any more, which loses nothing: it is said again on the new one.
"""

import asyncio
from collections.abc import Awaitable, Callable

from p2pswarm.calling.control import Control
from p2pswarm.errors import NetworkError, RemoteError, first_of
from p2pswarm.net.stream import Conversation, Stream
from p2pswarm.wire.calling.frames import CallFrame, CallFramer, CallKind
from p2pswarm.wire.framer import Framer

__all__ = ["Connect", "Line"]

Connect = Callable[[Framer, Conversation], Awaitable[Stream]]
"""Raises RemoteError, OSError."""

LOST_AFTER = 30.0  # seconds without a stream
# Seconds without a byte, then a stream is given up: after five another relay carries it.
SILENT_AFTER = 4.0
KEEP_EVERY = 1.0  # seconds; who has nothing to say tells what was heard
AGAIN = 1.0  # seconds between two attempts
MOST_UNSENT = 8 << 10  # bytes; media behind more than that would come too late


class Line:
    """`keep` runs for as long as the call lasts. Invariant: `control` is about the stream in use."""

    def __init__(
        self, control: Control, connect: Connect, heard: Callable[[CallFrame], None]
    ) -> None:
        """`heard` is told each frame; it may raise RemoteError, which closes the stream."""
        self._control = control
        self._connect = connect
        self._heard_by = heard
        self._listener: _Listener | None = None
        self._loop = asyncio.get_running_loop()
        self._renew = asyncio.Event()
        self._moved = asyncio.Event()  # something was heard: there may be room
        self._last_stream = self._loop.time()
        self.trouble = ""
        """Why there is no other stream."""
        self.greeted = asyncio.Event()
        """The other side greeted us: who is there is there."""
        self.changed: Callable[[], None] = _nothing
        """Another stream is in use; it may be the first one, where the greeting came early."""

    # What others may do

    def say(self, kind: int, body: bytes = b"") -> None:
        """Raises LocalProtocolError when more is said than the other side hears: see `room`."""
        self._control.say(kind, body)
        self._flush()

    def mention(self, kind: int, body: bytes) -> None:
        """It is heard soon or never."""
        listener = self._listener
        if listener is not None and listener.stream.unsent < MOST_UNSENT:
            self._control.mention(kind, body)
            self._flush()

    async def room(self) -> None:
        """Until the other side has heard enough of what was said."""
        while not self._control.has_room:
            self._moved.clear()
            await self._moved.wait()

    def hold(self) -> None:
        """We cannot take more: nothing is told to be heard, until `free`."""
        self._control.hold()

    def free(self) -> None:
        self._control.free()
        self._control.caught_up()
        self._flush()

    async def settle(self) -> None:
        """Until it heard everything."""
        while not self._control.settled:
            self._moved.clear()
            await self._moved.wait()

    @property
    def is_up(self) -> bool:
        """There is a stream, or was a moment ago."""
        return self._listener is not None

    def renew(self) -> None:
        """There is a better path, or ours is lost."""
        self._renew.set()

    async def keep(self) -> None:
        """Raises NetworkError when there is no stream for too long."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._breathe())
                await self._change_streams()
        except ExceptionGroup as group:
            # Not `except*`: before Python 3.11.4 that wraps again what is raised in it.
            raise first_of(group) from None

    def close(self) -> None:
        """May be called twice."""
        listener, self._listener = self._listener, None
        self._control.end()
        if listener is not None:
            listener.stream.close()

    # Streams

    async def _change_streams(self) -> None:
        while True:
            self._renew.clear()
            listener = _Listener(self)
            try:
                stream = await self._connect(CallFramer(), listener)
            except (RemoteError, OSError) as error:
                self._look_at_clock(error)
                await asyncio.sleep(AGAIN)
                continue
            if stream.over:
                continue
            self._use(listener, stream)
            await self._renew.wait()

    def _use(self, listener: "_Listener", stream: Stream) -> None:
        old, self._listener = self._listener, listener
        self._control.begin()
        listener.stream = stream
        listener.old = old
        self._last_stream = listener.last = self._loop.time()
        self._flush()
        listener.begin()
        if self.greeted.is_set() and self._listener is listener:
            self.changed()

    def _look_at_clock(self, error: Exception) -> None:
        """Raises NetworkError after too long without a stream."""
        self.trouble = str(error) or type(error).__name__
        listener, now = self._listener, self._loop.time()
        if listener is not None:
            self._last_stream = now
        elif now - self._last_stream > LOST_AFTER:
            raise NetworkError(f"the call was lost: {self.trouble}") from error

    async def _breathe(self) -> None:
        """Tell that we are there, and notice when the other side is not. Raises NetworkError."""
        while True:
            due = self._loop.time() + KEEP_EVERY
            await asyncio.sleep(KEEP_EVERY)
            listener, now = self._listener, self._loop.time()
            if listener is None:
                if now - self._last_stream > LOST_AFTER:
                    raise NetworkError("the call was lost: there is no path to the other side")
                continue
            # While we stood still ourselves, we could hear nobody.
            listener.last = min(now, listener.last + now - due)
            if now - listener.last > SILENT_AFTER:
                listener.stream.close(NetworkError("the other side is silent"))
            else:
                self._control.mention(CallKind.HEARD, b"")
                self._flush()

    # What the stream in use tells

    def got(self, listener: "_Listener", frame: CallFrame) -> None:
        if listener is not self._listener:
            return
        listener.last = self._loop.time()
        new = self._control.got(frame)
        if self._control.greeted:
            self.greeted.set()
            listener.close_old()
        self._moved.set()
        if new is not None:
            self._heard_by(new)

    def caught_up(self, listener: "_Listener") -> None:
        if listener is self._listener:
            self._control.caught_up()
            self._flush()

    def lost(self, listener: "_Listener") -> None:
        listener.close_old()
        if listener is self._listener:
            self._listener = None
            self._control.end()
            self._last_stream = self._loop.time()
            self.renew()

    def _flush(self) -> None:
        data = self._control.take() if self._listener is not None else b""
        if data and self._listener is not None:
            self._listener.stream.send(data)


class _Listener:
    """The conversation of one stream; what comes before it is used waits here, one read at most."""

    stream: Stream
    last = 0.0
    """When something came."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._early: list[CallFrame] | None = []
        self.old: _Listener | None = None
        """The stream before this one; closed when both use this one."""

    def begin(self) -> None:
        early, self._early = self._early or [], None
        try:
            for frame in early:
                self._line.got(self, frame)
            self._line.caught_up(self)
        except RemoteError as error:
            self.stream.close(error)

    def close_old(self) -> None:
        old, self.old = self.old, None
        if old is not None:
            old.stream.close()

    def got(self, message: object) -> None:
        assert isinstance(message, CallFrame)
        if self._early is not None:
            self._early.append(message)
        else:
            self._line.got(self, message)

    def caught_up(self) -> None:
        if self._early is None:
            self._line.caught_up(self)

    def drained(self) -> None:
        """Frames are copied, and who says much asks for room."""

    def closed(self, reason: Exception | None) -> None:
        self._line.lost(self)


def _nothing() -> None:
    """Nobody wants to know."""
