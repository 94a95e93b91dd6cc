"""One connection: it reads no faster than it may, and writes no more than the other side takes.

Messages wait in the inbox while there is a reason to hold them: the client asked too much for a while, has
not taken what was sent, waits for an answer from a database, or gets a long list. Meanwhile nothing is read,
so the inbox holds at most what came in one go. What is said and what it means is the business of the state:
`Visitor` before login, `Member` after it.
"""

from collections import deque
from collections.abc import Callable
from enum import Enum, auto
from typing import Protocol, TypeVar

from p2pswarm.errors import RemoteProtocolError
from p2pswarm.net.stream import Stream
from p2pswarm.wire.napster import Message

__all__ = ["Hold", "Later", "Session", "State"]

Later = Callable[[float, Callable[[], None]], object]

T = TypeVar("T")

_FULL = 64 << 10  # bytes unsent; nothing is read before they are with the kernel
_FAREWELL = 1.0  # seconds that the last words have to arrive


class Hold(Enum):
    """Why messages wait."""

    RATE = auto()
    SENDING = auto()
    ASKING = auto()
    ADDING = auto()
    RECITING = auto()


class State(Protocol):
    """Who answers on a session."""

    def handle(self, message: object) -> float:
        """Answer; how many seconds later the next message may be looked at."""

    def ready(self) -> None:
        """What was sent has left; there is room for more."""

    def gone(self) -> None:
        """The connection has ended; called once, and last."""


class Session:
    """Invariant: outside of its own work, the stream is paused exactly while something is held."""

    stream: Stream

    def __init__(
        self,
        clock: Callable[[], float],
        later: Later,
        left: Callable[["Session"], None],
    ) -> None:
        self._clock, self._later, self._left = clock, later, left
        self._inbox: deque[object] = deque()
        self._outbox: list[bytes] = []
        self._size = 0  # bytes in it
        self._holds: set[Hold] = set()
        self._leaving = self._working = self._paused = False
        self.state: State
        self.heard = clock()  # when something was heard last
        self.stuck: float | None = None  # since when the other side takes nothing

    # What a state may do

    def send(self, *messages: Message) -> None:
        """They leave together with whatever else is said in this turn."""
        for message in messages:
            data = message.encode()
            self._outbox.append(data)
            self._size += len(data)
        if not self._working or self._size > _FULL:
            self._flush()

    def relay(self, message: Message) -> bool:
        """Somebody else's words: dropped when the other side does not read."""
        if self.stream.unsent > _FULL:
            return False
        self.send(message)
        return True

    @property
    def full(self) -> bool:
        """Whether the other side has to read first."""
        return Hold.SENDING in self._holds

    def ask(self, verb: Callable[[Callable[[T], None]], None], answer: Callable[[T], None]) -> None:
        """Call `verb` with what takes its answer; until that comes, nothing else is looked at."""
        answered = False

        def done(result: T) -> None:
            nonlocal answered
            answered = True
            if not self.stream.over:
                answer(result)
                self.release(Hold.ASKING)

        verb(done)
        if not answered:
            self.hold(Hold.ASKING)

    @property
    def asking(self) -> bool:
        """Whether an answer is waited for."""
        return Hold.ASKING in self._holds

    def hold(self, why: Hold) -> None:
        self._holds.add(why)
        if not self._paused:
            self._paused = True
            self.stream.pause()

    def release(self, why: Hold) -> None:
        """Go on with what waits, unless there is another reason to hold it."""
        self._holds.discard(why)
        self._go_on()

    def refuse(self, *messages: Message) -> None:
        """Last words, and a moment for them to arrive; nothing more is listened to."""
        self.send(*messages)
        self._leaving = True
        self._inbox.clear()
        self._later(_FAREWELL, self.stream.close)

    def close(self, why: str) -> None:
        self.stream.close(RemoteProtocolError(why))

    # What the stream tells

    def got(self, message: object) -> None:
        if not self._leaving:
            self._inbox.append(message)

    def caught_up(self) -> None:
        self.heard = self._clock()
        self._go_on()

    def drained(self) -> None:
        self.stuck = None
        self._holds.discard(Hold.SENDING)
        self.state.ready()
        self._go_on()

    def closed(self, reason: Exception | None) -> None:
        self._inbox.clear()
        self.state.gone()
        self._left(self)

    def _go_on(self) -> None:
        if self._working or self._holds or self.stream.over:
            return
        self._work()
        if self._paused and not self._holds:
            self._paused = False
            self.stream.resume()

    def _work(self) -> None:
        """Look at what waits, until something has to be waited for."""
        self._working = True
        try:
            while self._inbox and not self._holds and not self.stream.over:
                wait = self.state.handle(self._inbox.popleft())
                if wait > 0:
                    self.hold(Hold.RATE)
                    self._later(wait, lambda: self.release(Hold.RATE))
        finally:
            self._working = False
        self._flush()

    def _flush(self) -> None:
        if self._outbox:
            data, self._outbox, self._size = b"".join(self._outbox), [], 0
            self.stream.send(data)
            if self.stream.unsent > _FULL and not self.full:
                self.stuck = self._clock()
                self.hold(Hold.SENDING)

    def check(self) -> None:
        """The invariant, for tests."""
        assert self._paused == bool(self._holds)
        assert not self._working
        assert self._holds or self._leaving or not self._inbox
