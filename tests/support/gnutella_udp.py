"""Gnutella nodes that speak by UDP only, and a network in memory where anybody can be the sender."""

from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from random import Random
from typing import TYPE_CHECKING, Any

from p2pswarm.formats.ids import Address
from p2pswarm.overlay.gnutella.udp.claims import Claims
from p2pswarm.overlay.gnutella.udp.datagrams import Datagrams
from p2pswarm.overlay.gnutella.udp.guess_hosts import GuessHosts
from p2pswarm.overlay.gnutella.udp.guess_server import GuessServer, Way
from p2pswarm.overlay.gnutella.udp.guessing import Guessing
from p2pswarm.overlay.gnutella.udp.keys import Keys
from p2pswarm.overlay.gnutella.udp.offers import Offers
from p2pswarm.overlay.gnutella.udp.out_of_band import OutOfBand
from p2pswarm.overlay.gnutella.udp.probing import Probing
from p2pswarm.overlay.gnutella.udp.proxies import Proxies
from p2pswarm.wire.gnutella.descriptor import Descriptor, Guid, Kind, new_guid, read_datagram
from p2pswarm.wire.gnutella.hit import QueryHit
from p2pswarm.wire.gnutella.pings import Pong, pong_ggep
from p2pswarm.wire.gnutella.query import Query
from p2pswarm.wire.gnutella.results import Result

if TYPE_CHECKING:
    from p2pswarm.wire.gnutella.push import Push

__all__ = ["PORT", "Ether", "FakeLink", "Servent", "hit_of"]

PORT = 6346


class Ether:
    """A network without delay: what is sent arrives at `deliver`. Bytes are counted by receiver."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.servents: dict[Address, Servent] = {}
        self.received: defaultdict[Address, int] = defaultdict(int)
        self.caught: defaultdict[Address, list[Descriptor]] = defaultdict(list)
        self._flying: deque[tuple[bytes, Address, Address]] = deque()

    def clock(self) -> float:
        return self.now

    def send(self, data: bytes, sender: Address, to: Address) -> None:
        self._flying.append((data, sender, to))

    def deliver(self) -> None:
        while self._flying:
            data, sender, to = self._flying.popleft()
            self.received[to] += len(data)
            if to in self.servents:
                self.servents[to].udp.got(data, sender)
            else:
                self.caught[to].append(read_datagram(data))

    def say(self, message: Descriptor, sender: Address, to: Address) -> list[Descriptor]:
        """As `sender`, whoever that is; what came back to it now."""
        self.caught[sender].clear()
        self.send(message.encode(), sender, to)
        self.deliver()
        return list(self.caught[sender])


class FakeLink:
    """A leaf's connection: keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[Descriptor] = []

    def tell(self, message: Descriptor) -> bool:
        self.told.append(message)
        return True


class Servent:
    """All rooms for datagrams. It shares `names`, knows `others`, and keeps what it is told."""

    def __init__(
        self,
        clock: Callable[[], float],
        send: Callable[[bytes, Address], None],
        address: Address,
        dice: Random,
        *,
        ultrapeer: bool = True,
    ) -> None:
        now = clock()
        self.address, self.ultrapeer = address, ultrapeer
        self.names: list[str] = []
        self.others: list[Address] = []
        self.answering: list[Address] = []  # those of the others that answer queries by UDP
        self.tellings: list[tuple[Address, Address, bool]] = []
        self.asked: list[tuple[Descriptor, Query, Way]] = []
        self.found: list[tuple[QueryHit, Address]] = []
        self.pushes: list[tuple[Push, Address]] = []
        self.leaves: dict[Guid, FakeLink] = {}
        self.seen: set[Guid] = set()
        self.guid = new_guid(dice)
        self.keys = Keys(now, dice.randbytes)
        self.udp = Datagrams(send, clock)
        self.probing = Probing(self.udp, self, self.keys, clock, dice)
        self.hosts = GuessHosts()
        self.guessing = Guessing(self.udp, self.hosts, lambda host: host == address, clock, dice)
        self.server = GuessServer(self.udp, self, self.keys, self.spread)
        self.offers = Offers(self.udp.send, now)
        self.claims = Claims(self.keys, self.udp.send)
        self.proxies: Proxies[FakeLink] = Proxies(self.guid)
        OutOfBand(
            self.udp,
            self.offers,
            self.claims,
            lambda head, hit, sender: self.found.append((hit, sender)),
            lambda push, sender: self.pushes.append((push, sender)),
            self.guid,
            self.proxies.leaf,
        )

    @classmethod
    def on(cls, ether: Ether, host: str, *, ultrapeer: bool = True) -> "Servent":
        address = Address(host, PORT)
        servent = cls(
            ether.clock,
            lambda data, to: ether.send(data, address, to),
            address,
            Random(host),
            ultrapeer=ultrapeer,
        )
        ether.servents[address] = servent
        return servent

    # Surroundings

    def pong(self, asker: Address) -> Pong:
        slots = (5, 3) if self.ultrapeer else None
        ggep = pong_ggep(vendor=b"P2PS", slots=slots, uptime=60)
        return Pong(self.address, len(self.names), 8, ggep)

    def ultrapeers(self, n: int, *, guess: bool) -> list[Address]:
        return (self.answering if guess else self.others)[:n]

    def told(self, address: Address, teller: Address, *, guess: bool) -> None:
        self.tellings.append((address, teller, guess))

    def spread(self, head: Descriptor, query: Query, way: Way) -> bool:
        if head.guid in self.seen:
            return False
        self.seen.add(head.guid)
        self.asked.append((head, query, way))
        names = [name for name in self.names if query.text in name]
        if names:
            hit = hit_of(self.address, names, self.guid)
            way.tell(Descriptor(head.guid, Kind.HIT, 2, 0, hit.encode()))
        return True


def hit_of(
    address: Address, names: Sequence[str], servent: Guid = bytes(16), **more: Any
) -> QueryHit:
    results = tuple(Result(n, 1000, name, bytes([n % 256]) * 20) for n, name in enumerate(names))
    return QueryHit(address, 1000, results, servent, **more)


def ping_of(guid: bytes, payload: bytes = b"") -> Descriptor:
    return Descriptor(guid, Kind.PING, 1, 0, payload)
