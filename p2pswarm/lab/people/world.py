"""Super nodes of the directory on virtual time, without sockets and loops: a clock hands messages over.

A directory's rooms are sans-IO, so a world is a heap of what happens when. Each pair of hosts has a delay of
its own; what is sent to somebody who is dead is lost.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha256
from heapq import heappop, heappush
from itertools import count
from random import Random
from zlib import crc32

from typing_extensions import override

from p2pswarm.errors import FormatError
from p2pswarm.formats.ids import Address
from p2pswarm.overlay.people.directory import Directory
from p2pswarm.overlay.people.questions import Sent, Source
from p2pswarm.overlay.people.records import Judged
from p2pswarm.overlay.people.revoking import RevokedList
from p2pswarm.wire.people.datagrams import REQUEST_SIZE
from p2pswarm.wire.people.dictionary import TokenMessage
from p2pswarm.wire.people.finding import Find, Found, Referral, Unknown

__all__ = ["STEP", "Host", "Server", "World", "delay_of", "judge", "make_record"]

STEP = 0.5  # seconds between two steps of a super node
SEED = b"a record: "
_LOOKUPS = (Find, Found, Referral, Unknown)
_OVER = 28  # bytes of IP and UDP


def make_record(hash_: bytes, seq: int, ttl: int = 72 * 3600) -> bytes:
    """In place of a signed one: signatures are not what a laboratory of networks measures."""
    return SEED + hash_ + seq.to_bytes(8, "big") + ttl.to_bytes(4, "big") + bytes(700)


def judge(record: bytes) -> Judged:
    """Raises FormatError."""
    body = record[len(SEED) :]
    if not record.startswith(SEED) or len(body) < 44:
        raise FormatError("no record of this laboratory")
    return Judged(body[:32], int.from_bytes(body[32:40], "big"), int.from_bytes(body[40:44], "big"))


@lru_cache(maxsize=1 << 16)
def delay_of(here: Address, there: Address) -> float:
    """10 to 90 ms, always the same for a pair."""
    return 0.01 + crc32(repr(sorted((here, there))).encode()) % 1000 * 8e-5


class Host(ABC):
    """Somebody with an address; `heard` is given what comes."""

    def __init__(self, address: Address) -> None:
        self.address, self.alive = address, True
        self.sent = self.got = self.bytes = 0

    @abstractmethod
    def heard(self, message: TokenMessage, source: Address, now: float) -> Iterable[Sent]:
        """What is to be sent then."""


class Server(Host):
    """A super node."""

    def __init__(self, address: Address, dice: Random) -> None:
        super().__init__(address)
        node = sha256(str(address).encode()).digest()[:16]
        revoked = RevokedList(lambda data: int.from_bytes(data[:4], "big") if data else None)
        self.revoked = revoked
        self.guests: set[Host] = set()
        self.logins: list[float] = []
        """When somebody came to be at home here."""
        self.lie: Callable[[Find], TokenMessage] | None = None
        """What a hostile one answers to questions by datagram."""
        self.directory = Directory(node, lambda: address, judge, revoked, dice)

    @override
    def heard(self, message: TokenMessage, source: Address, now: float) -> Iterable[Sent]:
        if isinstance(message, Find) and self.lie is not None:
            return [Sent(source, self.lie(message))]
        return self.directory.got(message, source, now)


@dataclass(slots=True)
class World:
    """`start` super nodes, `run` so many seconds; `later` what is to happen."""

    dice: Random
    loss: float = 0.0
    now: float = 0.0
    hosts: dict[Address, Host] = field(default_factory=dict)
    guests: dict[Source, Callable[[TokenMessage], None]] = field(default_factory=dict)
    """What those hear who ask by stream."""
    messages: int = 0
    inside: int = 0
    """Messages of lookups from one super node to another,"""
    inside_bytes: int = 0
    """and their bytes."""
    _heap: list[tuple[float, int, Callable[[], None]]] = field(default_factory=list)
    _order: "count[int]" = field(default_factory=count)

    def servers(self) -> list[Server]:
        """Those alive."""
        return [each for each in self.hosts.values() if isinstance(each, Server) and each.alive]

    def start(self, known: Iterable[Address] = (), address: Address | None = None) -> Server:
        """A super node more, with an address anywhere on the Internet."""
        server = Server(address or self.place(), Random(self.dice.random()))
        self.hosts[server.address] = server
        self.send(server, server.directory.join(known, self.now))
        self.later(self.dice.uniform(0, STEP), lambda: self._tick(server))
        return server

    def place(self) -> Address:
        """A new address, of a network of its own."""
        while True:
            a, b, c, d = (
                self.dice.choice((5, 24, 37, 62, 81)),
                *self.dice.choices(range(1, 255), k=3),
            )
            address = Address(f"{a}.{b}.{c}.{d}", 6881)
            if address not in self.hosts:
                return address

    def _tick(self, server: Server) -> None:
        if server.alive:
            self.send(server, server.directory.step(self.now))
            self.later(STEP, lambda: self._tick(server))

    def later(self, delay: float, what: Callable[[], None]) -> None:
        heappush(self._heap, (self.now + delay, next(self._order), what))

    def run(self, seconds: float) -> None:
        """Everything that happens in so long."""
        end = self.now + seconds
        while self._heap and self._heap[0][0] <= end:
            self.now, _, what = heappop(self._heap)
            what()
        self.now = end

    def send(self, host: Host, sent: Iterable[Sent]) -> None:
        for to, message, request in sent:
            if isinstance(to, Address):
                self._send(host, to, message, request=request)
            else:
                self.guests[to](message)

    def _send(self, host: Host, to: Address, message: TokenMessage, *, request: bool) -> None:
        self.messages += 1
        host.sent += 1
        inside = isinstance(host, Server) and isinstance(self.hosts.get(to), Server)
        if inside and isinstance(message, _LOOKUPS):
            self.inside += 1
            self.inside_bytes += self.size(message, request=request)
        if self.loss and self.dice.random() < self.loss:
            return
        delay = delay_of(host.address, to) * self.dice.uniform(0.9, 1.1)
        self.later(delay, lambda: self._arrive(host.address, to, message))

    def _arrive(self, source: Address, to: Address, message: TokenMessage) -> None:
        host = self.hosts.get(to)
        if host is not None and host.alive:
            host.got += 1
            self.send(host, host.heard(message, source, self.now))

    @staticmethod
    def size(message: TokenMessage, *, request: bool) -> int:
        """Bytes on the line."""
        return _OVER + (REQUEST_SIZE if request else len(message.encode().body) + 5)
