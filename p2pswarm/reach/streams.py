"""Streams of one meeting, from the first byte until somebody has one: greeted, chosen, handed out.

Both sides make streams in whatever way they can, and each that was greeted from both sides waits here. The
side that leads chooses the best one when it wants a stream; the other side hears of it on that stream.

The one hard thing: the other side may choose before anybody wants a stream here. Such a one is read no
further and waits.
"""

import asyncio
import hmac
from collections import deque
from collections.abc import Callable
from enum import IntEnum
from hashlib import sha256
from math import inf

from p2pswarm.errors import NetworkError, RemoteProtocolError
from p2pswarm.net.stream import Conversation, Stream
from p2pswarm.reach.offers import Offer, RelayAt
from p2pswarm.wire.framer import Framer, Scratch
from p2pswarm.wire.reaching import CHOSEN, Chosen, Greeting, GreetingFramer

__all__ = ["Offered", "StreamKind", "Streams", "greeting_to"]

MOST_OFFERED = 16
GREETING_TIME = 10.0  # seconds
KEPT_TIME = 20.0  # seconds for which one that was greeted waits
CHOOSING_TIME = 2.0  # seconds


class StreamKind(IntEnum):
    """The lower the better."""

    TCP = 0
    UTP = 1
    RELAY = 2


def greeting_to(other: Offer) -> Greeting:
    """Nobody can say it who has not read the other side's offer."""
    key = other.password.encode()
    tag = hmac.new(key, b"p2pswarm reach " + other.session, sha256).digest()[:16]
    return Greeting(other.session, tag)


class Streams:
    """`bell` rings when there may be one to take, `better` when it is better than the one in use."""

    def __init__(
        self,
        ours: Offer,
        theirs: Offer,
        *,
        leads: bool,
        clock: Callable[[], float],
        scratch: Scratch,
    ) -> None:
        self.leads, self.clock, self.scratch = leads, clock, scratch
        self.says = greeting_to(theirs)
        self._hears = greeting_to(ours)
        self._offered: dict[Offered, None] = {}
        self._chosen: deque[Offered] = deque()
        self.used: Offered | None = None
        """The one that was taken last."""
        self.bell: Callable[[], None] = _nothing
        self.better: Callable[[], None] = _nothing
        self.wanted: Callable[[], bool] = bool
        """Whether somebody waits for one."""

    @property
    def direct(self) -> bool:
        """Whether the one in use goes through no relay."""
        return self.used is not None and self.used.works and self.used.relay is None

    @property
    def waiting(self) -> bool:
        """Whether there is one to take."""
        return any(each.greeted for each in self._offered)

    def offer(
        self, kind: StreamKind, relay: RelayAt | None = None, *, crossing: bool = False
    ) -> "Offered":
        """The conversation for a stream that is about to be made; do both sides speak first?

        Raises NetworkError when there are many.
        """
        if len(self._offered) >= MOST_OFFERED:
            raise NetworkError("too many streams at the same time")
        offered = Offered(self, kind, relay, crossing=crossing)
        self._offered[offered] = None
        return offered

    def adopt(self, stream: Stream, greeting: Greeting) -> None:
        """Somebody dialed us and said this. Raises RemoteProtocolError, NetworkError."""
        offered = self.offer(StreamKind.UTP if stream.utp else StreamKind.TCP)
        offered.stream = stream
        try:
            offered.got(greeting)
        except RemoteProtocolError:
            self.gone(offered)
            raise
        stream.switch(GreetingFramer(self.scratch, greeted=True), offered)

    def fits(self, greeting: Greeting) -> bool:
        """Whether the other side said it."""
        same = greeting.session == self._hears.session
        return same and hmac.compare_digest(greeting.tag, self._hears.tag)

    def pick(self) -> "Offered | None":
        """The best there is, for whoever waits; None when there is none. Of who leads, `confirm` it."""
        picked = self._best() if self.leads else self._next_chosen()
        if picked is not None:
            self._offered.pop(picked, None)
        return picked

    async def confirm(self, picked: "Offered") -> bool:
        """Say that it is chosen. Whether the other side heard it; else it is over."""
        assert picked.stream is not None
        picked.stream.send(CHOSEN)
        said = self.clock()
        try:
            async with asyncio.timeout(CHOOSING_TIME):
                await picked.agreed.wait()
            picked.rtt = self.clock() - said
        except TimeoutError:
            if not picked.agreed.is_set():  # it is when the answer came while we stood still
                picked.close()
        except BaseException:
            picked.close()
            raise
        return picked.works

    def hand_out(self, picked: "Offered", framer: Framer, conversation: Conversation) -> Stream:
        """It is in use."""
        stream = picked.stream
        assert stream is not None
        self.used = picked
        if self.leads:
            self._close_worse(picked)
        stream.switch(framer, conversation)
        stream.resume()
        return stream

    def arrived(self, offered: "Offered") -> None:
        """It was greeted from both sides."""
        if not self.leads:
            return
        used = self.used if self.used is not None and self.used.works else None
        if used is not None and offered.kind < used.kind:
            self.better()
        elif used is not None and not self.wanted():
            offered.close()  # when it is wanted, it may be dead
        self.bell()

    def chosen(self, offered: "Offered") -> None:
        """The other side wants this one."""
        self._chosen.append(offered)
        if self.used is not None:
            self.better()
        self.bell()

    def gone(self, offered: "Offered") -> None:
        """It is over, or was never made."""
        self._offered.pop(offered, None)

    def tick(self, now: float) -> None:
        """Who is silent, or wanted by nobody, is left."""
        for each in list(self._offered):
            if now - each.since > (KEPT_TIME if each.greeted else GREETING_TIME):
                each.close()

    def close(self) -> None:
        """All but those that were taken. May be called twice."""
        for each in list(self._offered):
            each.close()

    def _best(self) -> "Offered | None":
        greeted = [each for each in self._offered if each.greeted]
        return min(greeted, key=lambda each: each.kind, default=None)

    def _next_chosen(self) -> "Offered | None":
        while self._chosen:
            offered = self._chosen.popleft()
            if offered in self._offered:
                return offered
        return None

    def _close_worse(self, taken: "Offered") -> None:
        for each in list(self._offered):
            if each.greeted and each.kind >= taken.kind:
                each.close()


class Offered:
    """A stream that is not in use yet, and the conversation on it."""

    def __init__(
        self, streams: Streams, kind: StreamKind, relay: RelayAt | None, *, crossing: bool
    ) -> None:
        self.kind, self.relay = kind, relay
        self.greeted = False
        self.settled = asyncio.Event()
        """It was greeted, or is over."""
        self.agreed = asyncio.Event()
        """Both sides said that it is chosen, or it is over."""
        self._legs = 2 if crossing else 1  # how often their word is on its way in one round trip
        self.since = streams.clock()
        self.rtt: float | None = None
        self.stream: Stream | None = None
        self._streams = streams
        self._heard = self._closed = False
        self._said = inf

    @property
    def works(self) -> bool:
        return self.stream is not None and not self.stream.over

    def begin(self, stream: Stream) -> None:
        """It is connected; we speak first, and perhaps they do, too."""
        self.stream = stream
        if self._closed:
            stream.close()
            return
        self._say()
        self._settle()

    def close(self) -> None:
        self.closed(None)
        if self.stream is not None:
            self.stream.close()

    def got(self, message: object) -> None:
        """Raises RemoteProtocolError."""
        if self._closed:
            raise RemoteProtocolError("nobody wants it any more")
        if isinstance(message, Greeting):
            self._greeted(message)
        elif isinstance(message, Chosen) and self.stream is not None:
            if not self.greeted:
                raise RemoteProtocolError("chosen before it was greeted")
            self._agree(self.stream)

    def _agree(self, stream: Stream) -> None:
        """What follows is for the framer of whoever gets it."""
        stream.pause()
        self.agreed.set()
        if not self._streams.leads:
            if self.rtt is None:  # we were dialed: this came in return for our greeting
                self.rtt = self._streams.clock() - self._said
            stream.send(CHOSEN)
            self._streams.chosen(self)

    def _greeted(self, greeting: Greeting) -> None:
        if not self._streams.fits(greeting):
            raise RemoteProtocolError("it is of another meeting")
        self._heard = True
        if self._said < inf:
            self.rtt = self._legs * (self._streams.clock() - self._said)
        if self.stream is not None:
            self._say()
            self._settle()

    def _say(self) -> None:
        if self._said == inf and self.stream is not None:
            self._said = self._streams.clock()
            self.stream.send(self._streams.says.encode())

    def _settle(self) -> None:
        if self._heard and not self.greeted:
            self.greeted, self.since = True, self._streams.clock()
            self.settled.set()
            self._streams.arrived(self)

    def caught_up(self) -> None:
        """Each word is answered when it comes."""

    def drained(self) -> None:
        """Nothing large is sent."""

    def closed(self, reason: Exception | None) -> None:
        self._closed = True
        self.settled.set()
        self.agreed.set()
        self._streams.gone(self)


def _nothing() -> None:
    """Nobody waits."""
