"""One connection to a Napster server: questions and their answers, and what it says by itself.

The one hard thing: answers carry no number. So one question is asked at a time, and one that nobody waits for
any more still has the line to itself until its last answer has come.
"""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncGenerator, Callable, Sequence

from p2pswarm.errors import LocalProtocolError, NetworkError, RemoteProtocolError
from p2pswarm.formats.ids import Address
from p2pswarm.net.port import Port
from p2pswarm.net.stream import Stream
from p2pswarm.overlay.napster.results import fits
from p2pswarm.overlay.network import Cost
from p2pswarm.wire.napster import Greeting, Message, NapsterFramer, NoSuch, Ping, PingServer, Pong

__all__ = ["Session"]

log = logging.getLogger(__name__)

Kinds = tuple[type[Message], ...]

CONNECT_TIME = 10.0  # seconds
ANSWER_TIME = 30.0  # seconds between two answers to one question
SILENT = 60.0  # seconds without a word after which the server is asked whether it is there
MOST_WAITING = 10_000  # answers that nobody has read


class _Question:
    """Which answers are part of it, which end it, and those that came."""

    def __init__(self, parts: Kinds, ends: Kinds) -> None:
        self.parts, self.ends = parts, ends
        self.answers: deque[Message] = deque()
        self.abandoned = False
        self.done = asyncio.Event()
        self.bell = asyncio.Event()

    def takes(self, message: object) -> bool:
        if not isinstance(message, self.parts + self.ends):
            return False
        if not self.abandoned:
            self.answers.append(message)
        if isinstance(message, self.ends):
            self.done.set()
        self.bell.set()
        return True


class Session:
    """`await Session.connect(...)`. Once it is `over` every call raises NetworkError with the reason.

    `hear` is given whatever is no answer to a question.
    """

    stream: Stream

    def __init__(self, hear: Callable[[object], None]) -> None:
        self.over = asyncio.Event()
        self.reason: Exception | None = None
        self.messages = self.bytes = 0  # both ways
        self.greeted = False  # the server knows p2pswarm's own messages
        self._hear = hear
        self._turn = asyncio.Lock()
        self._question: _Question | None = None
        self._room = asyncio.Event()  # everything sent is with the kernel
        self._room.set()
        self._heard = asyncio.get_running_loop().time()

    @classmethod
    async def connect(
        cls, port: Port, server: Address, hear: Callable[[object], None]
    ) -> "Session":
        """Raises NetworkError."""
        session = cls(hear)
        try:
            async with asyncio.timeout(CONNECT_TIME):
                session.stream = await port.dial(server, NapsterFramer(port.scratch), session)
        except TimeoutError as error:
            raise NetworkError(f"{server} does not answer") from error
        except OSError as error:
            reason = error.strerror or str(error)
            raise NetworkError(f"cannot reach {server}: {reason}") from error
        return session

    def send(self, *messages: Message) -> None:
        """Raises NetworkError when the connection is gone."""
        self._check()
        data = b"".join(message.encode() for message in messages)
        self.messages += len(messages)
        self.bytes += len(data)
        if not self.stream.send(data):
            self._room.clear()

    async def sent(self) -> None:
        """Until the server has taken what was sent. Raises NetworkError."""
        await self._room.wait()
        self._check()

    async def ask(
        self, question: Sequence[Message], parts: Kinds, ends: Kinds, cost: Cost | None = None
    ) -> AsyncGenerator[Message, None]:
        """The answers as they come, the last one too; use `aclosing`. Raises NetworkError."""
        async with self._turn:
            await self._previous_done()
            before = self.messages, self.bytes
            asked = self._question = _Question(parts, ends)
            try:
                self.send(*question)
                async for answer in self._answers(asked):
                    if cost is not None:
                        cost.messages += self.messages - before[0]
                        cost.bytes += self.bytes - before[1]
                        before = self.messages, self.bytes
                    yield answer
            finally:
                asked.abandoned = True

    async def answer(self, question: Message, *kinds: type[Message]) -> Message:
        """The one answer to a question. Raises NetworkError."""
        found: Message | None = None
        async for each in self.ask([question], (), kinds):
            found = each
        assert found is not None
        return found

    async def _previous_done(self) -> None:
        """The answers to a question that was given up are not taken for answers to the next."""
        if self._question is not None:
            await self._within_time(self._question.done)
        self._check()

    async def _answers(self, asked: _Question) -> AsyncGenerator[Message, None]:
        while True:
            while asked.answers:
                answer = asked.answers.popleft()
                yield answer
                if isinstance(answer, asked.ends):
                    return
            asked.bell.clear()
            await self._within_time(asked.bell)
            self._check()

    async def _within_time(self, event: asyncio.Event) -> None:
        try:
            async with asyncio.timeout(ANSWER_TIME):
                await event.wait()
        except TimeoutError as error:
            # It may still answer, and that would be taken for the answer to something else.
            self.close(NetworkError("the server does not answer"))
            raise NetworkError("the server does not answer") from error

    def _check(self) -> None:
        if self.over.is_set():
            raise self.lost()

    def lost(self) -> NetworkError:
        """Why it is over, in words."""
        why = f": {self.reason}" if self.reason and str(self.reason) else ""
        return NetworkError(f"the connection to {self.stream.remote} is lost{why}")

    async def keep_alive(self) -> None:
        """Until it is over: a server that says nothing is asked, and left when it does not answer."""
        clock = asyncio.get_running_loop().time
        while not self.over.is_set():
            quiet = clock() - self._heard
            if quiet >= SILENT + ANSWER_TIME:
                self.close(NetworkError("the server is silent"))
                return
            if quiet >= SILENT:
                self.send(PingServer())
            try:
                async with asyncio.timeout(max(SILENT - quiet, ANSWER_TIME)):
                    await self.over.wait()
            except TimeoutError:
                continue

    def close(self, reason: Exception | None = None) -> None:
        self.stream.close(reason)

    # What the stream tells

    def got(self, message: object) -> None:
        """Raises RemoteProtocolError."""
        self._heard = asyncio.get_running_loop().time()
        if isinstance(message, Message):
            self.messages += 1
            self.bytes += _size(message)
        if isinstance(message, Greeting):
            self.greeted = True
        if isinstance(message, NoSuch):
            self._hear(message)  # what it is about, only its words say
        if isinstance(message, Ping):
            pong = Pong(message.nick, message.text)
            self.send(pong if fits(pong) else Pong(message.nick))
        elif self._question is None or not self._question.takes(message):
            if not isinstance(message, NoSuch):
                self._hear(message)
        elif len(self._question.answers) > MOST_WAITING:
            raise RemoteProtocolError("more answers than anybody asked for")

    def caught_up(self) -> None:
        """Everything is answered where it is heard."""

    def drained(self) -> None:
        self._room.set()

    def closed(self, reason: Exception | None) -> None:
        self.reason = reason
        self.over.set()
        self._room.set()
        if self._question is not None:
            self._question.done.set()
            self._question.bell.set()


def _size(message: Message) -> int:
    """Bytes of it on the wire, as nearly as what was read can tell."""
    try:
        return len(message.encode())
    except LocalProtocolError:
        return 0
