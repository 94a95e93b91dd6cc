"""The children of a super node: who has a place, what each shares, which of them could serve as well.

A child is where its connection comes from, with the port that it named; nobody else's address gets into a hit
for it. What it shared is forgotten the moment it leaves.
"""

from collections import OrderedDict
from collections.abc import Callable, Collection
from random import Random

from p2pswarm.errors import RemoteProtocolError
from p2pswarm.formats.ids import Address
from p2pswarm.formats.zones import Zone, zone_of
from p2pswarm.overlay.limits import Aims, Tokens
from p2pswarm.overlay.remembering import remember
from p2pswarm.overlay.supernode.asking import Ours
from p2pswarm.overlay.supernode.index import Index
from p2pswarm.overlay.supernode.link import Link
from p2pswarm.overlay.supernode.options import Options
from p2pswarm.overlay.supernode.promotion import Grooming, Peer
from p2pswarm.wire.supernode.frames import Frame, FrameKind
from p2pswarm.wire.supernode.hello import Hello
from p2pswarm.wire.supernode.hits import Found
from p2pswarm.wire.supernode.hosts import Entry
from p2pswarm.wire.supernode.keeping import Ping
from p2pswarm.wire.supernode.pushing import Push
from p2pswarm.wire.supernode.shares import Share, SharedFile, Unshare
from p2pswarm.wire.supernode.testing import Invite

__all__ = ["Family"]

SHARES = (200.0, 24_000.0)  # files told, a second and saved up: twice of what a child says at most
PER_FRAME = 10  # files that a frame counts as at least
PUSHES = (1 / 6, 10.0)  # to one child
HIT_TIME = 600.0  # seconds after a hit of a child in which it can be pushed to
MOST_TOLD = 10_000
LEAST_OF_HOST = 5  # children of one host on the Internet that have a place, if not a tenth of all
PING_EVERY = 60.0  # seconds: how much of its CPU is free?


class Family:
    """`takes`, then `got` what it shares, until `left`."""

    def __init__(self, options: Options, index: Index[Link | Ours], dice: Random) -> None:
        self._most = options.children[1]
        self._index = index
        self._grooming: Grooming[Link] = Grooming(options, dice)
        self.children: dict[Link, Hello] = {}
        self._nodes: dict[bytes, Link] = {}
        self._shares: dict[Link, Tokens] = {}
        self._pushes: dict[Link, Tokens] = {}
        self._aims = Aims()
        self._told: OrderedDict[bytes, float] = OrderedDict()  # whose files were found lately
        self._next_ping = 0.0

    def __len__(self) -> int:
        return len(self.children)

    @property
    def room(self) -> int:
        """Children that have a place yet."""
        return max(self._most - len(self.children), 0)

    @property
    def load(self) -> int:
        """In percent."""
        return min(100 * len(self.children) // self._most, 100)

    def takes(self, link: Link, hello: Hello, now: float) -> bool:
        """Whether it has a place. Who comes again from the same host takes its own."""
        twin = self._nodes.get(hello.node)
        if twin is not None and twin.remote.host == link.remote.host:
            twin.close()
        if hello.node in self._nodes:
            return False
        if self._crowded(link.remote):
            return False
        if not self.room:
            self._grooming.refused(hello.node, now)
            return False
        self.children[link], self._nodes[hello.node], link.node = hello, link, hello.node
        self._shares[link], self._pushes[link] = Tokens(*SHARES, now), Tokens(*PUSHES, now)
        self._grooming.joined(
            link, hello.node, now, willing=hello.willing, firewalled=hello.firewalled
        )
        return True

    def _crowded(self, remote: Address) -> bool:
        """Whether its host has its places already, however many nodes it says to be."""
        if zone_of(remote.host) is not Zone.INTERNET:
            return False
        there = sum(child.remote.host == remote.host for child in self.children)
        return there >= max(self._most // 10, LEAST_OF_HOST)

    def left(self, link: Link) -> None:
        hello = self.children.pop(link, None)
        if hello is not None:
            self._index.forget(link)
            self._grooming.left(link)
            for table in (self._shares, self._pushes):
                del table[link]
            del self._nodes[hello.node]

    def got(self, link: Link, frame: Frame, now: float) -> None:
        """What it shares, or no longer. Raises RemoteProtocolError."""
        if link not in self.children:
            return
        if frame.kind == FrameKind.SHARE:
            files = Share.read(frame.body).files
            self._count(link, len(files), now)
            self._index.add(link, files)
            return
        numbers = Unshare.read(frame.body).numbers
        self._count(link, len(numbers), now)
        if numbers:
            self._index.remove(link, numbers)
        else:
            self._index.forget(link)

    def _count(self, link: Link, files: int, now: float) -> None:
        """Passed over, a file would be missed, or found for ever. Raises RemoteProtocolError."""
        if not self._shares[link].take(now, max(files, PER_FRAME)):
            raise RemoteProtocolError("it tells too often what it shares")

    def pong(self, link: Link, spare: int) -> None:
        self._grooming.pong(link, spare)

    def failed(self, link: Link, now: float) -> None:
        """It was invited, and others found that it cannot serve."""
        self._grooming.failed(link, now)

    def invites_refused(self, now: float, peers: Collection[Peer]) -> bool:
        """Whether somebody without a place here had better serve itself."""
        return self._grooming.invites_refused(now, peers)

    def tick(
        self, now: float, hosts: Callable[[], tuple[Entry, ...]], peers: Collection[Peer]
    ) -> None:
        """Invite whom we need, unless our links have room; and ask all how they are."""
        child = self._grooming.invite(now, peers)
        if child is not None:
            child.send(Invite(hosts()).encode().encode())
        if now >= self._next_ping:
            self._next_ping = now + PING_EVERY
            self.say(Ping().encode().encode())

    def say(self, data: bytes) -> None:
        """This to all of them."""
        for link in list(self.children):  # one that does not read may leave over it
            link.send(data)

    def tell(
        self, link: Link, here: Address | None, files: tuple[SharedFile, ...], now: float
    ) -> Found | None:
        """How a hit names it; nothing when nobody could get there."""
        hello = self.children.get(link)
        if hello is None or (hello.firewalled and here is None):
            return None
        remember(self._told, hello.node, now, MOST_TOLD)
        parent = here if hello.firewalled else None
        host = Address(link.remote.host, hello.port)
        return Found(host, hello.node, hello.firewalled, parent, files)

    def push(self, node: bytes, number: int, address: Address, now: float) -> bool:
        """Tell a child of ours to dial somebody, who knows its hit; whether it was told."""
        link = self._nodes.get(node)
        if link is None or now > self._told.get(node, float("-inf")) + HIT_TIME:
            return False
        if not self._pushes[link].take(now) or not self._aims.may_name(address.host, now):
            return False
        return link.send(Push(node, number, address).encode().encode())
