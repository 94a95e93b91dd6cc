"""Two people with telephones in virtual time: a directory that knows both, and ways between them."""

import asyncio
import time
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from p2pswarm.calling.phone import Phone
from p2pswarm.errors import DeclinedError, OfflineError, UnknownNameError
from p2pswarm.formats.ids import Address
from p2pswarm.formats.people.certificate import Certificate
from p2pswarm.formats.people.issuing import Issuer
from p2pswarm.formats.people.record import Record
from p2pswarm.formats.signing import SigningKey
from p2pswarm.identity import Identity
from p2pswarm.lab.loop import VirtualLoop
from p2pswarm.net.stream import Conversation, Stream
from p2pswarm.overlay.people.client import Found
from p2pswarm.overlay.people.ringing import Rung
from p2pswarm.reach.offers import Candidates, Offer, new_session
from p2pswarm.reach.paths import Path as Way
from p2pswarm.wire.framer import Framer
from tests.support.ways import Ways

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Exchange", "Link", "Someone", "Stranger"]

HOME = Address("192.0.2.1", 46881)


class Link:
    """Datagrams to the other side: late by so much, unevenly, and some not at all."""

    def __init__(
        self, loop: VirtualLoop, delay: float = 0.03, uneven: float = 0.0, loss: float = 0.0
    ) -> None:
        self.on_datagram: Callable[[bytes], None] = lambda data: None
        self.other: Link
        self._loop, self._delay, self._uneven, self.loss = loop, delay, uneven, loss
        self._dice = Random(11)
        self.sent = 0

    def send(self, data: bytes) -> None:
        self.sent += 1
        if self._dice.random() >= self.loss:
            late = self._delay + self._dice.random() * self._uneven
            self._loop.call_later(late, lambda: self.other.on_datagram(data))


class FakeMeeting:
    """One side of two who reach each other."""

    def __init__(self, exchange: "Exchange", side: int) -> None:
        self.leads = side == 1  # whoever calls need not lead
        self.changed: Callable[[], None] = lambda: None
        self.moved: Callable[[], None] = lambda: None
        self.datagrams: Link | None = exchange.links[side] if exchange.udp else None
        self.path: Way | None = Way(None, 0.06, udp=exchange.udp)
        self.closes = 0
        self._exchange, self._side = exchange, side

    async def stream(self, framer: Framer, conversation: Conversation) -> Stream:
        return await self._exchange.ways.connect(self._side, framer, conversation)

    def close(self) -> None:
        self.closes += 1


class Someone:
    """A name, its files, and the telephone; `directory` and `ways` of the phone are this object."""

    def __init__(self, exchange: "Exchange", folder: Path, name: str, side: int) -> None:
        self.exchange, self.side = exchange, side
        self.identity = Identity.load(folder / name / "identity")
        self.identity.trust(exchange.issuer.authority, "http://login")
        self.certificate = exchange.certify(name, self.identity.key.public)
        self.identity.certify(self.certificate, exchange.wall())
        self.on_ring: Callable[[Rung], None]
        self.meetings: list[FakeMeeting] = []
        self.phone = Phone(self, self, self.identity, tuple, exchange.wall)

    @property
    def record(self) -> Record:
        return Record.sign(self.identity.key, self.certificate, seq=1, ttl=3600, homes=[HOME])

    async def find(self, name: str, *, recursive: bool = False) -> Found:
        if name not in self.exchange.people:
            raise UnknownNameError(f"nobody is called {name}")
        return Found(self.exchange.people[name].record, 1, 2)

    async def ring(self, record: Record, offer: bytes, *, session: bytes) -> bytes:
        return await self.exchange.ring(record.name, offer, session)

    async def gather(self, *, anew: bool = False) -> Candidates:
        return Candidates()

    def begin(self, mine: Offer, theirs: Offer) -> FakeMeeting:
        self.meetings.append(FakeMeeting(self.exchange, self.side))
        return self.meetings[-1]


class Exchange:
    """What stands between telephones."""

    def __init__(self, loop: VirtualLoop, folder: Path, *, udp: bool = True) -> None:
        began = time.time()  # OpenSSL looks at the real clock
        self.wall: Callable[[], float] = lambda: began + loop.now
        self.issuer = Issuer.new(bytes(32), self.wall() - 1000)
        self.serial = 0
        self.udp = udp
        self.ways = Ways(loop)
        self.links = Link(loop), Link(loop)
        self.links[0].other, self.links[1].other = self.links[1], self.links[0]
        self.people: dict[str, Someone] = {}
        self.away: set[str] = set()
        """Who is at home nowhere."""
        for side, name in enumerate(("alice", "bob")):
            self.people[name] = Someone(self, folder, name, side)
        self.alice, self.bob = self.people["alice"], self.people["bob"]

    def certify(self, name: str, key: bytes) -> Certificate:
        self.serial += 1
        return self.issuer.issue(name, key, self.serial, self.wall() - 100, self.wall() + 10**6)

    async def ring(self, name: str, offer: bytes, session: bytes) -> bytes:
        """A super node between the two."""
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

        def decline(reason: str) -> None:
            if not answer.done():  # else its caller gives up in this moment
                answer.set_exception(DeclinedError(f"{name} does not answer: {reason}", reason))

        if name in self.away:
            raise OfflineError(f"{name} is not there: at home nowhere")
        rung = Rung(session, offer, HOME, answer.set_result, decline)
        self.people[name].on_ring(rung)
        try:
            return await answer
        finally:
            rung.cancel()  # unless it was answered, or declined


class Stranger:
    """Somebody with a name, who rings Bob as he likes."""

    def __init__(self, exchange: Exchange, name: str) -> None:
        self.exchange, self.key = exchange, SigningKey.new()
        self.certificate = exchange.certify(name, self.key.public)
        self.declined: list[str] = []

    def ring(self, want: str = "call", session: bytes = b"") -> Rung:
        session = session or new_session()
        offer = Offer.new(
            self.key, self.certificate.der, self.exchange.bob.identity.key.public, Candidates(), (),
            session=session, now=self.exchange.wall(), want=want,
        )  # fmt: skip
        words = lambda answer: None, self.declined.append
        rung = Rung(session, offer.encode(), HOME, *words)
        self.exchange.bob.on_ring(rung)
        return rung
