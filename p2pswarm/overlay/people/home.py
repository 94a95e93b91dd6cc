"""A super node that we are connected to: it rings us, carries our rings to its guests, and asks for us.

A home is kept for hours; somebody else's home, which we visit to ring him, for a moment. What waits for an
answer waits in the coroutine that asked, so many at a time and for so long.
"""

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress
from random import Random
from typing import TYPE_CHECKING, Protocol

from typing_extensions import override

from p2pswarm.errors import (
    BusyError,
    DeclinedError,
    LocalProtocolError,
    NetworkError,
    OfflineError,
    RemoteProtocolError,
)
from p2pswarm.formats.ids import Address
from p2pswarm.net.port import Port
from p2pswarm.overlay.limits import Tokens
from p2pswarm.overlay.people.greeting import greet, prove
from p2pswarm.overlay.people.proving import Proofs
from p2pswarm.overlay.people.ringing import Rung
from p2pswarm.overlay.supernode.link import Link
from p2pswarm.wire.people.datagrams import TOKEN_SIZE
from p2pswarm.wire.people.dictionary import PeopleMessage, TokenMessage
from p2pswarm.wire.people.frames import PeopleKind
from p2pswarm.wire.people.hello import Bye, Ping, Pong, Want, Welcome
from p2pswarm.wire.people.ringing import Answer, Cancel, Decline, No, Ring, Rung as WireRung
from p2pswarm.wire.supernode.frames import Frame

if TYPE_CHECKING:
    from p2pswarm.wire.people.nodes import SuperNode

__all__ = ["AlreadyHomeError", "Hears", "Home"]

ASK_TIME = 10.0  # seconds that a question may take which the super node asks on
RING_TIME = 35.0  # seconds until nobody answers; the super node gives up after us
MOST_ASKED = 32  # questions, or rings, that wait for their answers
SILENCE = 15.0  # seconds without a word after which it is asked whether it is there: we rely on it
ALIVE = 3.0  # seconds in which it shows that it is there when it is asked something
RINGS = (1.0, 20.0)  # a second, and saved up: what a home may ring us

_ANSWERS = frozenset(
    (
        PeopleKind.FOUND,
        PeopleKind.REFERRAL,
        PeopleKind.UNKNOWN,
        PeopleKind.STORED,
        PeopleKind.REJECTED,
    )
)


class AlreadyHomeError(NetworkError):
    """We are at home there, by another address.

    Or somebody between says so, who would show our proof there and be rung in our place: he gets none.
    """

    def __init__(self, home: "Home") -> None:
        super().__init__(f"it says to be {home.address}, where we are at home")
        self.home = home


class Hears(Protocol):
    """Whoever answers for our homes."""

    def rung(self, rung: Rung) -> None:
        """Somebody rings."""

    def cancelled(self, session: bytes, home: Address) -> None:
        """Who rang by way of this home gave up."""

    def lost(self, home: "Home") -> None:
        """It is none any more; it may have named others."""


class Home:
    """`close` at the end, which may be called twice."""

    def __init__(
        self,
        link: Link,
        address: Address,
        welcome: Welcome,
        dice: Random,
        hears: Hears | None,
        *,
        proved: bool,
    ) -> None:
        self.address, self.node, self.proved = address, welcome.node, proved
        self.you = welcome.you
        """Where it sees us."""
        self.relays = welcome.relays
        self.others: tuple[SuperNode, ...] = ()
        """Where to go instead, as it said at the end."""
        self._link, self._dice, self._hears = link, dice, hears
        self._clock = asyncio.get_running_loop().time
        self._rings = Tokens(*RINGS, self._clock())
        self._words, self._word = 0, asyncio.Event()
        self._asked: dict[bytes, asyncio.Future[Frame]] = {}  # by token, or by session

    @classmethod
    async def dial(
        cls,
        port: Port,
        address: Address,
        node: bytes,
        proofs: Proofs,
        dice: Random,
        hears: Hears | None = None,
        homes: Iterable["Home"] = (),
    ) -> "Home":
        """With somebody who hears it, it is a home; without, a visit. `homes` are ours already.

        Raises AlreadyHomeError, TurnedDownError, NetworkError, RemoteError.
        """
        want = Want.VISIT if hears is None else Want.HOME
        meeting, welcome = await greet(port, address, node, want)
        for home in homes:
            if home.node == welcome.node:
                meeting.close()
                raise AlreadyHomeError(home)
        proved = await prove(meeting, address, welcome, proofs)
        link = meeting.stay()
        home = cls(link, address, welcome, dice, hears, proved=proved)
        link.listen(home)
        if home.over:
            raise NetworkError(f"{address} hung up: {link.reason}")
        return home

    @property
    def over(self) -> bool:
        return self._link.over

    @property
    def local(self) -> Address:
        """Our end of the connection."""
        return self._link.stream.local

    def say(self, message: PeopleMessage) -> bool:
        """Whether it will leave, if the other side goes on reading."""
        return self._link.send(message.encode().encode())

    def tick(self, now: float) -> None:
        if now - self._link.heard > SILENCE:
            self._link.ask(now)
        self._link.tick(now)

    def close(self) -> None:
        if not self.over:
            self._link.part(Bye("").encode().encode(), "we left")
            self._end()

    # Asking

    async def ask(self, question: Callable[[bytes], TokenMessage]) -> Frame:
        """Its answer to a question. Raises NetworkError."""
        token = self._dice.randbytes(TOKEN_SIZE)
        with suppress(TimeoutError):
            async with asyncio.timeout(ASK_TIME):
                return await self._answer(token, question(token))
        raise NetworkError(f"{self.address} does not answer what it was asked")

    async def ring(self, to: bytes, offer: bytes, session: bytes) -> bytes:
        """Ring its guest of this key, who hears when we give up.

        Raises OfflineError, DeclinedError, NetworkError.
        """
        try:
            async with asyncio.timeout(RING_TIME):
                frame = await self._rung_for(Ring(to, session, offer))
        except TimeoutError as error:
            raise DeclinedError("nobody answers the ring", "no-answer") from error
        if frame.kind == PeopleKind.ANSWER:
            return Answer.read(frame.body).offer
        reason = Decline.read(frame.body).reason
        if reason is No.OFFLINE:
            raise OfflineError(f"not at home at {self.address}")
        raise DeclinedError(_WORDS[reason], reason)

    async def _rung_for(self, ring: Ring) -> Frame:
        """Raises NetworkError."""
        try:
            return await self._answer(ring.session, ring)
        except asyncio.CancelledError:
            self.say(Cancel(ring.session))
            raise

    async def _answer(self, name: bytes, message: PeopleMessage) -> Frame:
        """Raises NetworkError."""
        if len(self._asked) >= MOST_ASKED or name in self._asked:
            raise BusyError(f"{self.address} is asked too much at once")
        waiting: asyncio.Future[Frame] = asyncio.get_running_loop().create_future()
        self._asked[name] = waiting
        try:
            if not self.say(message):
                raise NetworkError(f"{self.address} is gone")
            await self._alive()
            return await waiting
        finally:
            del self._asked[name]
            if waiting.done() and not waiting.cancelled():
                waiting.exception()  # it is seen, also when we were cancelled in the same moment

    async def _alive(self) -> None:
        """Until it says anything: who answers may take long, but it does not. Raises NetworkError."""
        words = self._words
        self.say(Ping())
        try:
            async with asyncio.timeout(ALIVE):
                while self._words == words and not self.over:
                    self._word.clear()
                    await self._word.wait()
        except TimeoutError as error:
            dead = NetworkError(f"{self.address} says nothing")
            self._link.close(dead)
            raise dead from error

    # What it says

    def got(self, link: Link, frame: Frame) -> None:
        """Raises RemoteError."""
        self._words += 1
        self._word.set()
        match frame.kind:
            case PeopleKind.PING:
                self.say(Pong())
            case PeopleKind.RUNG:
                self._rung(WireRung.read(frame.body))
            case PeopleKind.ANSWER:
                self._heard(Answer.read(frame.body).session, frame)
            case PeopleKind.DECLINE:
                self._heard(Decline.read(frame.body).session, frame)
            case PeopleKind.CANCEL:
                self._cancelled(Cancel.read(frame.body))
            case PeopleKind.BYE:
                bye = Bye.read(frame.body)
                self.others = bye.nodes
                link.close(NetworkError(bye.text or "it said goodbye"))
            case kind if kind in _ANSWERS:
                self._heard(frame.body[:TOKEN_SIZE], frame)
            case _:
                pass  # of tomorrow

    def _heard(self, name: bytes, frame: Frame) -> None:
        waiting = self._asked.get(name)
        if waiting is not None and not waiting.done():
            waiting.set_result(frame)

    def _rung(self, rung: WireRung) -> None:
        """Raises RemoteProtocolError."""
        if not self._rings.take(self._clock()):
            raise RemoteProtocolError("it rings too often")
        session = rung.session
        if self._hears is not None:
            self._hears.rung(
                Rung(
                    session,
                    rung.offer,
                    self.address,
                    lambda offer: self._say_if_there(Answer(session, offer)),
                    lambda reason: self._say_if_there(Decline(session, _no(reason))),
                )
            )

    def _cancelled(self, cancel: Cancel) -> None:
        if self._hears is not None:
            self._hears.cancelled(cancel.session, self.address)

    def _say_if_there(self, message: PeopleMessage) -> None:
        self.say(message)

    def left(self, link: Link, reason: Exception) -> None:
        self._end()

    def _end(self) -> None:
        for waiting in self._asked.values():
            if not waiting.done():
                waiting.set_exception(NetworkError(f"{self.address} hung up"))
        self._word.set()
        hears, self._hears = self._hears, None
        if hears is not None:
            hears.lost(self)

    @override
    def __repr__(self) -> str:
        return f"<Home {self.address}{' over' if self.over else ''}>"


_WORDS = {
    No.BUSY: "the other side is busy",
    No.REFUSED: "the other side does not want to talk",
    No.TOO_OFTEN: "it was rung too often: try again in a minute",
}


def _no(reason: str) -> No:
    """Raises LocalProtocolError."""
    try:
        return No(reason)
    except ValueError as error:
        raise LocalProtocolError(f"{reason!r} is no reason to decline") from error
