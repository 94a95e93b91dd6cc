"""A call: two people who know for certain who the other one is, until one of them hangs up.

It joins what the rooms beside it do: a line for whatever must arrive, media for what may be lost, voice and a
pipe on top. The path may change at any time; `on_path` tells how it goes now.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from typing_extensions import override

from p2pswarm.calling.control import Control
from p2pswarm.calling.line import Connect, Line
from p2pswarm.calling.media import Datagrams, Media
from p2pswarm.calling.pipe import Pipe
from p2pswarm.calling.roaming import Roaming
from p2pswarm.calling.sealing import media_keys
from p2pswarm.calling.statistics import Quality
from p2pswarm.calling.talk import Sink, Source, Talk
from p2pswarm.errors import LocalProtocolError, NetworkError, RemoteProtocolError, first_of
from p2pswarm.reach.paths import Path
from p2pswarm.wire.calling.frames import CallFrame, CallHello, CallKind
from p2pswarm.wire.calling.media import Report, Voice

__all__ = ["MOST_TEXT", "Call", "Paths"]

log = logging.getLogger(__name__)

MOST_TEXT = 4000  # bytes of one line of chat
_MOST_REASON = 100  # characters
GREETING_TIME = 25.0  # seconds from the answer to the first greeting; ways are looked for meanwhile
FAREWELL_TIME = 2.0  # seconds for what was said last to arrive


class Paths(Protocol):
    """What a call needs of a meeting (`p2pswarm.reach.meeting`)."""

    changed: Callable[[], None]
    moved: Callable[[], None]

    @property
    def datagrams(self) -> Datagrams | None: ...

    @property
    def path(self) -> Path | None: ...

    def close(self) -> None: ...


class Call:
    """`open` it, and `close` it at the end. Invariant: `ended` is set once, and nothing is heard after it."""

    def __init__(
        self, other: str, paths: Paths, connect: Connect, hello: CallHello, *, calls: bool
    ) -> None:
        """`other` is the name of who is at the other end; `calls` whether it is we who called."""
        loop = asyncio.get_running_loop()
        self.other = other
        self.key = b""
        """The other side's, where it matters from which device somebody speaks; the phone says it."""
        self.agreed = ""
        """What was rung for, where we were called: it may be nothing else."""
        self._paths, self._calls = paths, calls
        self._clock = loop.time
        self._control = Control(hello)
        self.line = Line(self._control, connect, self._got)
        self.pipe = Pipe(self.line)
        self._media: Media | None = None
        self._talk: Talk | None = None
        self._keeping: asyncio.Task[None] | None = None
        self._roaming: Roaming | None = None
        self.ended: asyncio.Future[str] = loop.create_future()
        """Why the other side hung up; or a NetworkError, when it was lost."""
        self._listens: Callable[[CallFrame], None] | None = None
        self._early: list[CallFrame] = []
        self.on_path: Callable[[Path | None], None] = lambda path: None

    async def open(self) -> None:
        """Until the other side has greeted us. Raises NetworkError, RemoteProtocolError."""
        self._paths.changed, self._paths.moved = self._path_changed, self._path_moved
        self._attach()
        self._keeping = asyncio.create_task(self._keep())
        greeted = asyncio.create_task(self.line.greeted.wait())
        try:
            async with asyncio.timeout(GREETING_TIME):
                await asyncio.wait({greeted, self._keeping}, return_when=asyncio.FIRST_COMPLETED)
        except TimeoutError as error:
            why = self.line.trouble or "no answer"
            raise NetworkError(f"no way leads to {self.other}: {why}") from error
        finally:
            greeted.cancel()
        if self.ended.done():
            self.ended.result()
        if self.agreed and self.wants != self.agreed:
            raise RemoteProtocolError(
                f"{self.other} rang for {self.agreed}, and wants {self.wants}"
            )

    def roams(self, roaming: Roaming) -> None:
        """Before it is opened: either side may be elsewhere later."""
        self._roaming = roaming
        self.line.changed = roaming.woke

    @property
    def wants(self) -> str:
        """What the caller wants: `call`, `pipe` or whatever is agreed upon."""
        theirs = self._control.theirs
        if theirs is None:
            raise LocalProtocolError("nobody has greeted us yet")
        return self._control.hello.want if self._calls else theirs.want

    @property
    def path(self) -> Path | None:
        """How it goes now."""
        return self._paths.path

    def say(self, text: str) -> None:
        """A line of chat. Raises LocalProtocolError when it is too long, or nobody listens."""
        body = text.encode("utf-8", "replace")
        if len(body) > MOST_TEXT:
            raise LocalProtocolError(f"a line of {len(body)} bytes, at most {MOST_TEXT} are said")
        self.line.say(CallKind.TEXT, body)

    def listen(
        self,
        on_text: Callable[[str], None] = lambda text: None,
        on_frame: Callable[[CallFrame], None] = lambda frame: None,
    ) -> None:
        """From now on chat is heard, and frames of kinds that a call does not know.

        What came before waited, and so did the other side. Both may raise RemoteError, and so does this.
        """

        def heard(frame: CallFrame) -> None:
            if frame.kind == CallKind.TEXT:
                on_text(_text(frame.body, MOST_TEXT))
            else:
                on_frame(frame)

        early, self._early, self._listens = self._early, [], heard
        if early:
            self.line.free()  # first, for whoever hears may hold on
        for frame in early:
            heard(frame)

    def talk(
        self,
        source: Source | None,
        sink: Sink | None,
        told: Callable[[Quality], None] = lambda quality: None,
    ) -> Talk:
        """Voice from now on, once: `run` what is returned. Raises HostError without libopus."""
        self._talk = Talk(source, sink, self._send_media, told)
        return self._talk

    async def said(self) -> None:
        """Our voice is at its end: until the other side has heard that, so it was there."""
        self.line.say(CallKind.SAID)
        await self.line.settle()

    async def hang_up(self, reason: str = "") -> None:
        """The other side hears it, if it can still hear anything."""
        if not self.ended.done():
            self.ended.set_result("we hung up")
            if not self.line.greeted.is_set():
                await self.close()
                return
            with suppress(TimeoutError, LocalProtocolError):
                self._say_bye(reason)
                async with asyncio.timeout(FAREWELL_TIME):
                    await self.line.settle()
        await self.close()

    def break_off(self, why: str) -> None:
        """Nothing goes on with the other side, who hears why if it still can."""
        if not self.ended.done():
            self._lost(NetworkError(why))
            with suppress(LocalProtocolError):
                self._say_bye(why)

    async def close(self) -> None:
        """Now. May be called twice."""
        keeping, self._keeping = self._keeping, None
        if keeping is not None:
            keeping.cancel()
            await asyncio.wait([keeping])
        self.line.close()
        self._paths.close()
        if not self.ended.done():
            self.ended.set_result("we hung up")

    async def _keep(self) -> None:
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._roam())
                await self.line.keep()
        except ExceptionGroup as group:
            error = first_of(group)
            if not isinstance(error, NetworkError):
                log.exception("a bug in p2pswarm", exc_info=error)
                error = NetworkError("the call was lost by a fault of this program")
            if not self.ended.done():
                self._lost(error)

    async def _roam(self) -> None:
        async def say(offer: bytes) -> None:
            await self.line.room()
            self.line.say(CallKind.PLACES, offer)

        if self._roaming is not None:
            await self._roaming.run(say)

    def _lost(self, why: NetworkError) -> None:
        self.ended.set_exception(why)
        self.ended.exception()  # whoever has hung up meanwhile does not ask

    def _say_bye(self, reason: str) -> None:
        """Raises LocalProtocolError."""
        self.line.say(CallKind.BYE, reason[:_MOST_REASON].encode("utf-8", "replace"))

    # Paths

    def _path_changed(self) -> None:
        self.line.renew()
        self._path_moved()

    def _path_moved(self) -> None:
        self._attach()
        self.on_path(self._paths.path)

    def _attach(self) -> None:
        """Datagrams go the way that there is now."""
        datagrams = self._paths.datagrams
        if datagrams is not None:
            datagrams.on_datagram = self._got_datagram
        if self._media is not None:
            self._media.datagrams = datagrams

    # What is heard

    def _got(self, frame: CallFrame) -> None:
        """Raises RemoteProtocolError."""
        match frame.kind:
            case CallKind.MEDIA:
                self._sealed().got_frame(frame.body)
            case CallKind.DATA | CallKind.DATA_END:
                self.pipe.got(frame)
            case CallKind.BYE:
                self._got_bye(frame)
            case CallKind.PLACES if self._roaming is not None:
                self._roaming.got(frame.body)
            case _:
                self._got_other(frame)

    def _got_other(self, frame: CallFrame) -> None:
        """Raises RemoteError."""
        if self._listens is not None:
            self._listens(frame)
        elif frame.number:
            self._early.append(frame)
            self.line.hold()

    def _got_bye(self, frame: CallFrame) -> None:
        reason = _text(frame.body, 4 * _MOST_REASON)
        if not self.ended.done():
            self.ended.set_result(reason)

    def _got_datagram(self, data: bytes) -> None:
        if self._control.theirs is not None:
            self._sealed().got_datagram(data, self._clock())

    def _send_media(self, message: Voice | Report) -> None:
        if self._control.theirs is not None:
            self._attach()  # a way may have come that changes nothing of the path that is shown
            self._sealed().send(message, self._clock())

    def _sealed(self) -> Media:
        """Media under the keys that the greetings brought."""
        if self._media is None:
            ours, theirs = self._control.hello, self._control.theirs
            assert theirs is not None, "frames come after the greeting"
            caller, callee = (ours, theirs) if self._calls else (theirs, ours)
            said, heard = media_keys(caller, callee)
            keys = (said, heard) if self._calls else (heard, said)
            self._media = Media(keys, ours.session, self._mention, self._got_media)
            self._attach()
        return self._media

    def _mention(self, body: bytes) -> None:
        self.line.mention(CallKind.MEDIA, body)

    def _got_media(self, message: Voice | Report) -> None:
        if self._talk is not None:
            self._talk.got(message)

    @override
    def __repr__(self) -> str:
        return f"<Call with {self.other} {'over' if self.ended.done() else self.path}>"


def _text(body: bytes, most: int) -> str:
    """Raises RemoteProtocolError."""
    try:
        if len(body) <= most:
            return body.decode("utf-8")
    except UnicodeDecodeError:
        pass
    raise RemoteProtocolError("text that is too long or none")
