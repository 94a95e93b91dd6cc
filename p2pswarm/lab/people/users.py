"""Users of the directory on virtual time: at home at super nodes, in the directory, and looking for others.

They decide by the product's own rooms (`lookup`, `choosing`, `publishing`); what is simulated is the
connection to a home: it takes its round trips, and is reset when the super node dies.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from random import Random

from typing_extensions import override

from p2pswarm.errors import FormatError
from p2pswarm.formats.ids import Address
from p2pswarm.lab.people.recursion import Outcome, Recursion, Then
from p2pswarm.lab.people.world import Host, Server, World, delay_of, judge, make_record
from p2pswarm.overlay.people.choosing import Choosing
from p2pswarm.overlay.people.lookup import Walk, Way
from p2pswarm.overlay.people.publishing import Publishing
from p2pswarm.overlay.people.questions import Sent
from p2pswarm.wire.people.datagrams import TOKEN_SIZE
from p2pswarm.wire.people.dictionary import TokenMessage
from p2pswarm.wire.people.finding import Find, Found, Put, Referral, Rejected, Stored, Unknown
from p2pswarm.wire.people.nodes import Prefix, SuperNode

__all__ = ["User"]

STARTS = 3  # super nodes that a walk begins with, as in `finder`
KNOWN = 30  # super nodes in the host cache of one user; the product keeps 200
VISITED = 4
GREETING = 4  # ways to a home and back: TCP, HELLO and WELCOME, PROVE and PROVED


@dataclass(slots=True)
class _Search:
    """A walk that is under way."""

    walk: Walk[bytes]
    target: bytes
    then: Callable[["_Search"], None]
    began: float
    size: int = 0
    put: Put | None = None
    stored: bool = False
    waiting: dict[bytes, Address] = field(default_factory=dict)


class User(Host):
    """`begin`, then `find`; `lost` when a home died."""

    def __init__(self, world: World, name: bytes, known: Sequence[Address]) -> None:
        super().__init__(world.place())
        self.world, self.name = world, name
        self.dice = Random(world.dice.random())
        self.known = list(known)[:KNOWN]
        self.choosing = Choosing(self._candidates, self.dice, world.now)
        self.publishing = Publishing(self.dice)
        self.logins = 0
        self._seq = 0
        self._searches: dict[bytes, _Search] = {}
        world.hosts[self.address] = self

    def begin(self) -> None:
        self._look()

    # Homes

    def _candidates(self, n: int, busy: Collection[Address]) -> list[Address]:
        left = [address for address in self.known if address not in busy]
        return self.dice.sample(left, min(n, len(left)))

    def _look(self) -> None:
        now = self.world.now
        while (address := self.choosing.step(now)) is not None:
            self._dial(address)
        due = self.choosing.due
        if due < float("inf"):
            self.world.later(max(due - now, 0.01), self._look_again(due))

    def _look_again(self, due: float) -> Callable[[], None]:
        """Only the last of several alarms rings."""

        def ring() -> None:
            if self.choosing.due <= self.world.now + 0.02:
                self._look()

        return ring

    def _dial(self, address: Address) -> None:
        server = self.world.hosts[address]
        self.logins += 1
        trip = GREETING * delay_of(self.address, address)

        def answered() -> None:
            now = self.world.now
            if isinstance(server, Server) and server.alive:
                self.choosing.settled(address, now)
                server.guests.add(self)
                server.logins.append(now)
                self._changed()
            else:
                self.choosing.failed(address, now)
            self._look()

        if server.alive:
            self.world.later(trip, answered)
        else:  # nobody is at the port any more, and the host says so
            self.world.later(2 * delay_of(self.address, address), answered)

    def lost(self, address: Address) -> None:
        """The connection was reset."""
        if address in self.choosing.homes:
            self.choosing.lost(address, self.world.now)
            self._changed()
            self._look()

    @property
    def homes(self) -> list[Server]:
        servers = [self.world.hosts[address] for address in self.choosing.homes]
        return [server for server in servers if isinstance(server, Server)]

    # The record

    def _changed(self) -> None:
        self.publishing.changed(frozenset(self.choosing.homes), self.world.now)
        self._plan()

    def _plan(self) -> None:
        due = self.publishing.due
        if due < float("inf"):
            self.world.later(max(due - self.world.now, 0.0), self._publish)

    def _publish(self) -> None:
        if self.publishing.due > self.world.now:
            return
        self.publishing.begin()
        self._seq = max(self._seq + 1, int(1000 * self.world.now))
        record = make_record(self.name, self._seq)
        put = Put(bytes(TOKEN_SIZE), record, 72 * 3600)
        self._start(_Search(self._walk(), self.name, self._published, self.world.now, put=put))

    def _published(self, search: _Search) -> None:
        if search.stored:
            self.publishing.stored(self.world.now)
        else:
            self.publishing.failed(self.world.now)
        self._plan()

    # Looking for somebody

    def find(self, name: bytes, then: Then) -> None:
        """By a walk of ours."""

        def done(search: _Search) -> None:
            verdict = search.walk.verdict
            assert verdict is not None
            took = self.world.now - search.began
            found = verdict.record is not None
            then(Outcome(found, verdict.hops, verdict.messages, search.size, took))

        self._start(_Search(self._walk(), name, done, self.world.now))

    def _walk(self) -> Walk[bytes]:
        homes = [server.address for server in self.homes]
        more = self._candidates(STARTS, homes)
        return Walk((homes + more)[:STARTS], self.dice)

    def _start(self, search: _Search) -> None:
        self._step(search)

    def _step(self, search: _Search) -> None:
        if search.walk.verdict is None and not search.stored:
            for address in search.walk.step(self.world.now):
                self._ask(search, address)
        if search.walk.verdict is not None or search.stored:
            for token in search.waiting:
                self._searches.pop(token, None)
            search.waiting.clear()
            search.then(search)
            search.then = lambda _: None
            return
        due = search.walk.due
        self.world.later(max(due - self.world.now, 0.001), lambda: self._step(search))

    def _ask(self, search: _Search, address: Address) -> None:
        token = self.dice.randbytes(TOKEN_SIZE)
        question: TokenMessage = Find(token, search.target)
        if search.put is not None:
            question = Put(token, search.put.record, search.put.ttl)
        search.waiting[token] = address
        self._searches[token] = search
        search.size += World.size(question, request=True)
        self.world.send(self, [Sent(address, question, request=True)])

    @override
    def heard(self, message: TokenMessage, source: Address, now: float) -> Iterable[Sent]:
        search = self._searches.pop(message.token, None)
        if search is None or search.waiting.pop(message.token, None) != source:
            return []
        search.size += World.size(message, request=False)
        self._tell(search, message, source)
        self._step(search)
        return []

    def _tell(self, search: _Search, message: TokenMessage, source: Address) -> None:
        walk = search.walk
        match message:
            case Found(_, record):
                self._judge(search, record, source)
            case Stored() if message.majority:
                search.stored = True
            case Referral(_, nodes):
                walk.referred(source, _ways(search.target, nodes))
            case Unknown(_, _, authoritative, _, nodes):
                ways = _ways(search.target, nodes)
                walk.unknown(source, ways, authoritative=authoritative)
            case Rejected(_, _, seq):
                self._seq = max(self._seq, seq)
                walk.lied(source)
            case _:
                walk.lied(source)

    def _judge(self, search: _Search, record: bytes, source: Address) -> None:
        try:
            judged = judge(record)
        except FormatError:
            judged = None
        if judged is None or judged.hash != search.target:
            search.walk.lied(source)
        else:
            search.walk.found(source, record, judged.seq)

    def find_recursively(self, name: bytes, then: Then) -> None:
        """By our homes, one after the other; who has none visits some super nodes for it."""
        visited = [self.world.hosts[each] for each in self._candidates(VISITED, ())]
        there = self.homes or [each for each in visited if isinstance(each, Server)]
        Recursion(self.world, self.address, name, there, then, self.dice).begin()


def _ways(target: bytes, nodes: Iterable[SuperNode]) -> list[Way]:
    at = Prefix.of(target)
    return [Way.to(each, at) for each in nodes]
