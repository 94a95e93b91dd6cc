"""Our torrents at the super nodes where their peers meet: an `Introducer` for those whom nobody can dial.

Each swarm has two super nodes, found by a hash of its info-hash as a name is, and the same ones for all who
look: those of its slot that come first by a hash of both. We stay connected to them while the torrent seeks
peers, say where we are, and hear of others.

The one hard thing: where we are is true for a minute. So we look again before a NAT forgets us, and whoever
we are told of was told of us in the same moment.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from random import Random

from p2pswarm.discovery.introducing import Heard, Introduction
from p2pswarm.errors import BusyError, RemoteError
from p2pswarm.formats.ids import Address, InfoHash
from p2pswarm.formats.people.swarms import SwarmName
from p2pswarm.formats.zones import owner_of
from p2pswarm.net.port import Port
from p2pswarm.net.stream import Conversation, Stream
from p2pswarm.overlay.limits import Introductions
from p2pswarm.overlay.living import Life, at_once
from p2pswarm.overlay.people.post import Post
from p2pswarm.reach.offers import RelayAt
from p2pswarm.reach.relayed import NO_KEY, Relays
from p2pswarm.wire.framer import Framer
from p2pswarm.wire.people.nodes import SuperNode
from p2pswarm.wire.people.relaying import ADDRESSES_MOST, SWARMS_MOST, Meet

__all__ = ["Swarming"]

log = logging.getLogger(__name__)

POSTS = 2  # super nodes of each swarm
MOST_POSTS = 16  # connections
MOST_WAITING = 16  # relays at a time that we wait for, of all torrents
MOST_SOUGHT = 4 * SWARMS_MOST  # swarms
AT_A_TIME = 4  # swarms whose super nodes are looked up together
EVERY = 20.0  # seconds between looks at where we are: some NATs forget after 30
# Seconds between lookups of the super nodes of a swarm, and half of that more. Soon at first, doubled each
# time: in a network that begins, one of two peers may have seen one of them where the other saw three.
LOOK_SOON, LOOK_EVERY = 10.0, 900.0
SAY_EVERY = 120.0  # seconds after which the same is said again, to hear of more
REST = 5.0  # seconds until something is tried again, doubled with each failure
MOST_REST = 900.0
MOST_DOUBLED = 10  # times

Place = Callable[[bytes], Awaitable[Sequence[SuperNode]]]
"""The super nodes of the slot of a hash. Raises NetworkError."""
Where = Callable[[], Awaitable[Sequence[Address]]]
"""Where others see our port, by UDP."""


@dataclass(slots=True, eq=False)
class _Sought:
    name: SwarmName
    heard: Heard
    nodes: Sequence[SuperNode] = ()  # the nearest first
    look: float = float("-inf")  # when to look them up again
    failures: int = 0
    looks: int = 0


@dataclass(slots=True)
class _Rest:
    until: float
    failures: int = 1


@dataclass(slots=True)
class _Staff:
    """Super nodes that we are connected to, or were in vain."""

    posts: dict[bytes, Post] = field(default_factory=dict)
    resting: "OrderedDict[bytes, _Rest]" = field(default_factory=OrderedDict)


class Swarming:
    """`join` once the port is open, `leave` at the end; both may be called twice."""

    def __init__(
        self,
        port: Port,
        node: bytes,
        place: Place,
        where: Where,
        relays: Relays,
        dice: Random,
    ) -> None:
        """`node` is how we call ourselves there."""
        self._port, self._node, self._place, self._where = port, node, place, where
        self._relays, self._dice = relays, dice
        self._clock = asyncio.get_running_loop().time
        self._sought: OrderedDict[InfoHash, _Sought] = OrderedDict()  # by the names told there
        self._staff = _Staff()
        self._named = Introductions()
        self._waiting = 0  # for relays
        self._bell = asyncio.Event()
        self._life = Life("meeting peers")

    async def join(self) -> None:
        await self._life.begin(at_once, self._live)

    async def leave(self) -> None:
        await self._life.end(self._part)

    # An introducer

    def seek(self, info_hash: InfoHash, heard: Heard) -> None:
        """From now on; again when we are short of peers."""
        name = SwarmName.of(info_hash)
        sought = self._sought.get(name.name)
        if sought is None:
            self._sought[name.name] = _Sought(name, heard)
            while len(self._sought) > MOST_SOUGHT:
                self._sought.popitem(last=False)
        else:
            sought.heard = heard
            for post in self._staff.posts.values():
                if name.name in post.names:
                    post.said = float("-inf")  # what was said is said again
        self._bell.set()

    def forget(self, info_hash: InfoHash) -> None:
        """May be called of what was never sought."""
        self._sought.pop(SwarmName.of(info_hash).name, None)
        self._bell.set()

    @property
    def posts(self) -> Sequence[Post]:
        """Super nodes that we are connected to."""
        return list(self._staff.posts.values())

    # Life

    async def _live(self) -> None:
        while True:
            self._bell.clear()
            if self._sought or self._staff.posts:
                await self._look()
                wanted = self._wanted()
                await self._connect(wanted)
                self._say(wanted, await self._where() if self._staff.posts else ())
            with suppress(TimeoutError):
                async with asyncio.timeout(self._until_next()):
                    await self._bell.wait()

    def _until_next(self) -> float | None:
        """Seconds until there is something to do; None for never."""
        look = min((each.look for each in self._sought.values()), default=None)
        return None if look is None else min(EVERY, max(look - self._clock(), 0.1))

    async def _look(self) -> None:
        """Who introduces, for those swarms whose time it is."""
        now = self._clock()
        due = [each for each in self._sought.values() if each.look <= now]
        for at in range(0, len(due), AT_A_TIME):
            await asyncio.gather(*map(self._look_up, due[at : at + AT_A_TIME]))

    async def _look_up(self, sought: _Sought) -> None:
        try:
            nodes = await self._place(sought.name.place)
        except RemoteError as error:
            log.debug("nobody knows who introduces: %s", error)
            sought.look = self._clock() + self._pause(sought.failures)
            sought.failures += 1
            return
        sought.failures = 0
        sought.nodes = sorted(nodes, key=lambda each: sought.name.nearness(each.node))
        pause = _doubled(LOOK_SOON, sought.looks, LOOK_EVERY)
        sought.look = self._clock() + pause * self._dice.uniform(1.0, 1.5)
        sought.looks += 1

    def _pause(self, failures: int) -> float:
        return _doubled(REST, failures, MOST_REST) * self._dice.uniform(0.5, 1.5)

    def _wanted(self) -> dict[bytes, tuple[SuperNode, set[InfoHash]]]:
        """The super nodes to be connected to, and the swarms of each."""
        wanted: dict[bytes, tuple[SuperNode, set[InfoHash]]] = {}
        for sought in reversed(self._sought.values()):  # the newest have room in any case
            nodes = [each for each in sought.nodes if self._may_connect(each)]
            for each in nodes[:POSTS]:
                if each.node in wanted or len(wanted) < MOST_POSTS:
                    _, names = wanted.setdefault(each.node, (each, set()))
                    if len(names) < SWARMS_MOST:
                        names.add(sought.name.name)
        return wanted

    def _may_connect(self, to: SuperNode) -> bool:
        rest = self._staff.resting.get(to.node)
        return to.node != self._node and (rest is None or rest.until <= self._clock())

    async def _connect(self, wanted: dict[bytes, tuple[SuperNode, set[InfoHash]]]) -> None:
        posts = self._staff.posts
        for node in posts.keys() - wanted.keys():
            posts.pop(node).part()
        missing = [to for node, (to, _) in wanted.items() if node not in posts]
        await asyncio.gather(*map(self._dial, missing))

    async def _dial(self, to: SuperNode) -> None:
        try:
            post = await Post.dial(self._port, to, self._node, self._met, self._lost)
        except RemoteError as error:
            log.debug("no introductions by %s: %s", to.address, error)
            self._rests(to.node)
            return
        self._staff.resting.pop(to.node, None)
        self._staff.posts[to.node] = post

    def _rests(self, node: bytes) -> None:
        resting = self._staff.resting
        failures = resting[node].failures + 1 if node in resting else 1
        resting[node] = _Rest(self._clock() + self._pause(failures - 1), failures)
        while len(resting) > MOST_SOUGHT:
            resting.popitem(last=False)

    def _say(
        self,
        wanted: dict[bytes, tuple[SuperNode, set[InfoHash]]],
        places: Sequence[Address],
    ) -> None:
        now = self._clock()
        for node, post in list(self._staff.posts.items()):
            post.tick(now)
            _, names = wanted.get(node, (None, set[InfoHash]()))
            again = now - post.said >= SAY_EVERY
            post.say(frozenset(names), tuple(places)[:ADDRESSES_MOST], now, again=again)

    def _lost(self, post: Post) -> None:
        if self._staff.posts.get(post.node) is post:
            del self._staff.posts[post.node]
            self._rests(post.node)
            self._bell.set()

    def _met(self, post: Post, meet: Meet) -> None:
        sought = self._sought.get(meet.hash)
        if sought is None:
            return
        third, places = post.address, meet.addresses[:1]
        if places and not self._named.may_meet(owner_of(places[0]), self._clock()):
            places = ()  # a relay harms nobody
        relay = partial(self._relayed, post, meet) if post.relays else None
        sought.heard(Introduction(third, meet.peer, places, relay, meet.speaks))

    async def _relayed(
        self, post: Post, meet: Meet, framer: Framer, conversation: Conversation
    ) -> Stream:
        """Raises OSError, RemoteError."""
        if self._waiting >= MOST_WAITING:
            raise BusyError("too many relays are waited for")
        self._waiting += 1
        at = RelayAt(post.node, post.address)
        try:
            return await self._relays.stream(at, meet.session, NO_KEY, framer, conversation)
        finally:
            self._waiting -= 1

    def _part(self) -> None:
        posts, self._staff = self._staff.posts, _Staff()
        for post in posts.values():
            post.part()


def _doubled(seconds: float, times: int, most: float) -> float:
    return min(seconds * 2.0 ** min(times, MOST_DOUBLED), most)
