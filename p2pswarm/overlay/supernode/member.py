"""One node of the supernode network: ordinary or super, and how it turns from one into the other.

Whoever comes stands at the `door` first, and `candidacy` says which role it is; what either role hears for
the node is heard here. Nothing here touches a disk: the laboratory runs thousands of members in one process.

The one hard thing: a role ends while others talk to it. Its task is cancelled and waited for, it says
goodbye, and only then the other role begins; questions that are open are asked anew.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Collection, Iterable, Sequence
from contextlib import aclosing
from random import Random

from typing_extensions import override

from p2pswarm.formats.ids import Address
from p2pswarm.formats.zones import Zone, zone_of
from p2pswarm.net.port import Port
from p2pswarm.net.rate import Limiter
from p2pswarm.overlay.network import Cost, NetworkStatus
from p2pswarm.overlay.query import Hit, Lookup, Query as Wanted
from p2pswarm.overlay.supernode.candidacy import Candidacy
from p2pswarm.overlay.supernode.door import Door
from p2pswarm.overlay.supernode.known import Known
from p2pswarm.overlay.supernode.link import Link
from p2pswarm.overlay.supernode.options import Wish
from p2pswarm.overlay.supernode.ordinary import Ordinary
from p2pswarm.overlay.supernode.parents import Seeking
from p2pswarm.overlay.supernode.pinging import Pinging
from p2pswarm.overlay.supernode.results import NAME
from p2pswarm.overlay.supernode.searching import Searching, Spent
from p2pswarm.overlay.supernode.serving import Serving
from p2pswarm.overlay.supernode.testing import Nonces, Tester
from p2pswarm.overlay.supernode.us import Us
from p2pswarm.wire.http.heads import AGENT
from p2pswarm.wire.supernode.datagrams import UdpPong
from p2pswarm.wire.supernode.frames import HEAD_SIZE
from p2pswarm.wire.supernode.hits import Found, Hits
from p2pswarm.wire.supernode.hosts import Entry
from p2pswarm.wire.supernode.pushing import Push
from p2pswarm.wire.supernode.queries import Query
from p2pswarm.wire.supernode.shares import SharedFile

__all__ = ["Member"]

TICK = 1.0  # seconds
PATIENCE = 12.0  # seconds until one of the hosts we know should have taken us in

Pushed = Callable[[Push, Address], None]
"""Somebody wants us to dial him; the second is our parent, who brings it."""


class Member:
    """`await open()`, `run` in a task of the owner's, which ends by being cancelled."""

    def __init__(
        self,
        port: Port,
        dice: Random,
        us: Us,
        known: Known,
        up: Limiter,
        pushed: Pushed = lambda push, parent: None,
    ) -> None:
        self.us, self._port, self._dice, self._known = us, port, dice, known
        self._push = pushed
        self.on_turned: Callable[[bool], None] = lambda serves: None
        """Hears whether we serve, in whatever we are from now on."""
        self._clock = asyncio.get_running_loop().time
        self._nonces = Nonces()
        self._tester = Tester(port, us.node, AGENT, self._clock)
        self._pinging = Pinging(port, dice, self._state, self._ponged)
        self._turned, self._moved = asyncio.Event(), asyncio.Event()
        self._door = Door(port, us, known, self._nonces, up, lambda: self._open)
        self._candidacy = Candidacy(
            port, us, known, dice, self._nonces, turned=self._turned.set, failed=self._not_fit
        )
        self._role: Ordinary | Serving = self._ordinary()
        self.searching = Searching(self, port, us, known, dice)

    async def open(self) -> None:
        """Raises PortTakenError."""
        await self._pinging.open()
        self._door.open()

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            self._tick(tasks)
            tasks.create_task(self._watch(tasks))
            while True:
                self._turned.clear()
                serving = self._candidacy.serving
                if serving is not self.serves:
                    self._role = self._serving() if serving else self._ordinary()
                role = tasks.create_task(self._role.run())
                self.on_turned(serving)
                self.moved()
                await self._turned.wait()
                role.cancel()
                await asyncio.wait([role])

    def _ordinary(self) -> Ordinary:
        seeking = Seeking(self._known, self._dice)
        return Ordinary(self, self._port, seeking, self._pinging.ping)

    def _serving(self) -> Serving:
        return Serving(self, self._port, self._known, self._dice, self._nonces, self._tester)

    # What we are

    @property
    def serves(self) -> bool:
        return isinstance(self._role, Serving)

    @property
    def _open(self) -> Serving | None:
        """Our role, if it takes in who comes; at its end nobody would look after them."""
        role = self._role
        return role if isinstance(role, Serving) and not role.closed else None

    @property
    def parent(self) -> Link | None:
        return self._role.parent if isinstance(self._role, Ordinary) else None

    @property
    def neighbours(self) -> Collection[Link]:
        """Our parent, or children and links."""
        if isinstance(self._role, Serving):
            return self._role.neighbours
        return [self._role.parent] if self._role.parent is not None else []

    @property
    def trouble(self) -> str:
        """Why nobody takes us in."""
        trouble = self._role.trouble if isinstance(self._role, Ordinary) else ""
        if trouble:
            return trouble
        known = self._known.candidates(5)
        return f"none of {', '.join(map(str, known)) or 'those that we know'} answers"

    async def settled(self) -> None:
        """Until we have a parent, serve, or want neither. Raises TimeoutError when that takes too long."""
        visits = self.us.options.wish is Wish.VISITOR
        async with asyncio.timeout(PATIENCE):
            while not (visits or self.serves or self.parent):
                self._moved.clear()
                await self._moved.wait()

    async def _watch(self, tasks: asyncio.TaskGroup) -> None:
        while True:
            await asyncio.sleep(TICK)
            self._tick(tasks)

    def _tick(self, tasks: asyncio.TaskGroup) -> None:
        if isinstance(self._role, Ordinary):
            self._role.tick(self._clock())
        self._candidacy.tick(tasks)

    # Who asks us by UDP, and whom we ask

    def _state(self, token: bytes) -> UdpPong:
        if self._open is not None:
            return self._open.state(token)
        return UdpPong(token, 0, False, 0, 0, 0)

    def _ponged(self, address: Address, pong: UdpPong, rtt: float) -> None:
        if isinstance(self._role, Ordinary):
            self._role.pong(address, pong, rtt)

    # What our role hears

    def told(self, hosts: Iterable[Entry], teller: Address) -> None:
        """Somebody names super nodes."""
        zone, ours = zone_of(teller.host), self.us.addresses
        for entry in hosts:
            if entry.address.normal not in ours:
                self._known.told(entry.address, teller.host, zone)

    def ourselves(self, address: Address) -> None:
        self._known.ourselves(address)

    def invited(self) -> None:
        self._candidacy.invited()

    def _not_fit(self) -> None:
        """Who invited us hears that it was in vain, and asks another."""
        if isinstance(self._role, Ordinary):
            self._role.failed_tests()

    def hits(self, body: bytes, teller: Link) -> None:
        """Raises RemoteProtocolError."""
        hits, zone = Hits.read(body), zone_of(teller.remote.host)
        self.searching.hits(hits, hits.hops + 1, zone, len(body) + HEAD_SIZE)

    def pushed(self, push: Push, teller: Link) -> None:
        self._push(push, teller.remote)

    def moved(self) -> None:
        self._moved.set()
        self.searching.moved()

    # What we share and ask

    def share(self, files: Sequence[SharedFile]) -> None:
        """From now on; one of a known number takes the place of the old one."""
        self.us.files.update((file.number, file) for file in files)
        self._role.shared(files)

    def unshare(self, numbers: Sequence[int]) -> None:
        for number in numbers:
            self.us.files.pop(number, None)
        self._role.withdrawn(numbers)

    async def search(self, wanted: Wanted, cost: Cost) -> AsyncGenerator[Hit, None]:
        """Raises NetworkError."""
        iterative = wanted.lookup is Lookup.ITERATIVE
        ask = self.searching.iterative if iterative else self.searching.recursive
        async with aclosing(ask(wanted, cost)) as hits:
            async for hit in hits:
                yield hit

    def ask(self, query: Query) -> Spent:
        """A question of ours leaves."""
        if isinstance(self._role, Ordinary):
            size = self._role.ask(query)
            return Spent(int(size > 0), size)
        messages = self._role.ask(query, self._found)
        return Spent(messages, messages * (len(query.encode().body) + HEAD_SIZE))

    def stop(self, guid: bytes) -> None:
        self._role.stop(guid)

    def searched(self, *, found: bool) -> None:
        """A question of ours has ended."""
        if isinstance(self._role, Ordinary):
            self._role.searched(found=found)

    def here(self, query: Query) -> Sequence[Found]:
        """What we know without asking anybody: our children's."""
        return self._role.here(query) if isinstance(self._role, Serving) else ()

    def _found(self, hits: Hits) -> None:
        """For a question of ours, as a super node; who told it was looked at already."""
        self.searching.hits(hits, hits.hops, Zone.THIS_MACHINE)

    def push(self, node: bytes, number: int, address: Address) -> bool:
        """Tell a child of ours to dial somebody; False when it is none, or that is too much."""
        serving = self._role if isinstance(self._role, Serving) else None
        return serving is not None and serving.family.push(node, number, address, self._clock())

    def status(self) -> NetworkStatus:
        role = self._role
        if isinstance(role, Serving):
            counts = role.flood.counts
            return NetworkStatus(
                NAME,
                role="super",
                links=len(role.peers),
                leaves=len(role.family),
                known=len(self._known.hosts),
                sent=dict(counts.sent),
                received=dict(counts.received),
                dropped=dict(counts.dropped),
            )
        links = int(role.parent is not None)
        return NetworkStatus(NAME, role="ordinary", links=links, known=len(self._known.hosts))

    @override
    def __repr__(self) -> str:
        return f"<Member {self.us.node.hex()[:8]} {self._role!r}>"
