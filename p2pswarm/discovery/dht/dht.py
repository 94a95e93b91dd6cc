"""The node's part in the DHT: it asks, is asked, and keeps its tables (see the package for the door).

Datagrams come to `got` and leave by `send`; what others ask is answered at once or not at all. `run` keeps
the tables: it finds the first nodes, pings who is in doubt, and looks up what nobody looked up for long.

The one hard thing: everything here is caused by strangers. A query makes no more work than its answer, and an
answer counts only where it was asked for.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from random import Random

from p2pswarm.discovery.dht.answers import Answers, Handler
from p2pswarm.discovery.dht.asking import Answered, Asking, Later, Outcome
from p2pswarm.discovery.dht.limits import Outlet, Reach, Visitors
from p2pswarm.discovery.dht.lookup import Lookup
from p2pswarm.discovery.dht.network import Network, near_enough
from p2pswarm.discovery.dht.saved import SavedTable
from p2pswarm.discovery.dht.store import PeerStore
from p2pswarm.discovery.dht.tokens import Tokens
from p2pswarm.discovery.dht.walking import Found, Heard, Holder, LookupCost, Walk
from p2pswarm.formats.ids import Address, InfoHash
from p2pswarm.wire.krpc import (
    ANNOUNCE_PEER,
    FIND_NODE,
    GET_PEERS,
    PING,
    Contact,
    Family,
    NodeId,
    Query,
    Reply,
    family_of,
    read_message,
)

__all__ = ["Dht", "DhtStatus", "NetworkStatus"]

_TICK = 5.0  # seconds: one node in doubt is pinged, as libtorrent
# Seconds that a lookup waits for the first node; a walk that begins with saved nodes, too
_JOINING = 10.0
_LONGEST_REST = 300.0  # seconds between attempts to get in
_PACE = 1.0  # seconds between two announces of seeds, and between two of others
_IDLE = 100  # open questions; with more, who asks us for the first time is pinged later
_BEGIN = 16  # nodes of the table that a lookup begins with: some of them are gone


@dataclass(frozen=True, slots=True)
class NetworkStatus:
    """`nodes` have answered, `known` are in the table; `external` is our address as others see it."""

    id: NodeId
    nodes: int
    known: int
    external: str | None


@dataclass(frozen=True, slots=True)
class DhtStatus:
    """A snapshot of all."""

    networks: Mapping[Family, NetworkStatus]
    swarms: int
    """Info-hashes of which others announced peers to us."""
    open_questions: int
    read_only: bool


class Dht:
    """`dice` nobody can guess (`SystemRandom`, but for tests); `resolve` finds the addresses of names.

    Who is only `visiting` asks and does not answer, and says so (BEP 43).
    """

    def __init__(
        self,
        send: Callable[[bytes, Address], None],
        *,
        families: Sequence[Family],
        dice: Random,
        clock: Callable[[], float],
        later: Later,
        bootstrap: Sequence[Address] = (),
        saved: SavedTable | None = None,
        resolve: Callable[[Sequence[Address]], Awaitable[Sequence[Address]]] | None = None,
        visiting: bool = False,
    ) -> None:
        self._send, self._dice, self._clock = send, dice, clock
        self._visiting = visiting
        self._bootstrap, self._resolve = tuple(bootstrap), resolve or _places
        known = saved or SavedTable()
        self.networks = {each: Network(each, known.ids.get(each), dice) for each in families}
        for family, network in self.networks.items():
            for contact in known.nodes.get(family, ()):
                network.table.heard(contact)
        now = clock()
        self.tokens = Tokens(dice, now)
        self.store = PeerStore()
        self._answers = Answers(self.networks, self.tokens, self.store, dice, clock, self._noted)
        self._swarms: dict[InfoHash, Callable[[Address], None]] = {}  # that we announce
        self._asking, self._later = Asking(dice, later), later
        self._turns = {seed: asyncio.Semaphore() for seed in (False, True)}
        self._visitors, self._outlet, self._reach = Visitors(), Outlet(now), Reach(now)
        self._walks: set[Walk] = set()
        self._warm = asyncio.Event()
        self._closed = False

    # Datagrams

    def got(self, data: bytes, address: Address) -> None:
        """Raises RemoteProtocolError."""
        network = self.networks.get(family_of(address))
        if self._closed or network is None:
            return
        message = read_message(data)
        if isinstance(message, Query):
            if not self._visiting:
                self._asked(message, address, network)
        else:
            self._asking.end(message, address)

    def _asked(self, query: Query, address: Address, network: Network) -> None:
        now = self._clock()
        self._reach.heard(address, now)
        if not self._visitors.admit(address, now) or not self._outlet.is_open(now):
            return
        data = self._answers.answer(query, address).encode()
        self._outlet.replied(len(data))
        self._send(data, address)
        if query.read_only or not address.dialable:
            return
        contact = Contact(query.id, address)
        if network.table.heard(contact) and len(self._asking) < _IDLE:
            self._ask(contact, Query(method=PING), _nothing)

    # What others may do with it

    def route(self, method: bytes, handler: Handler) -> None:
        """Who answers queries of this method."""
        self._answers.route(method, handler)

    def nearest(self, query: Query, address: Address) -> Reply:
        """To begin an answer with: nodes near what the query is about, and a token."""
        return self._answers.nearest(query, address)

    def ping(self, address: Address) -> None:
        """Somebody named it: it becomes one of ours when it answers."""
        if not self._closed and address.dialable and family_of(address) in self.networks:
            self._ask(address, Query(method=PING), _nothing)

    async def ask(self, address: Address, query: Query) -> Outcome:
        """Waits for 15 seconds at most."""
        return await self._answer(address, query)

    async def tell(self, holders: Sequence[Holder], query: Query) -> list[Outcome]:
        """The query to each of them, with its token."""
        return await asyncio.gather(
            *(
                self._answer(each.contact.address, replace(query, token=each.token))
                for each in holders
            )
        )

    async def lookup(self, query: Query, heard: Heard) -> Found:
        """Asks the nodes nearest to what the query is about, in both networks; `heard` is told each reply."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_JOINING):
                await self._warm.wait()
        return await self._walk(query, heard)

    async def peers(
        self, info_hash: InfoHash, found: Callable[[Address], None], *, noseed: bool = False
    ) -> LookupCost:
        """Peers of a swarm, as they are found; some of them more than once."""
        return (await self._get_peers(info_hash, found, noseed=noseed)).cost

    async def announce(
        self,
        info_hash: InfoHash,
        port: int,
        found: Callable[[Address], None],
        *,
        seed: bool = False,
        implied_port: bool = False,
    ) -> int:
        """The same, and then we are one of them: how many nodes have noted it.

        Whoever announces itself to us is found, too, until we `withdraw`: among a few nodes that may be all.
        A node of a thousand torrents would ask its neighbours as often at its start, and not be heard any
        more: so one begins in a second. Who still fetches does not wait behind those who only give.
        """
        self._swarms[info_hash] = found
        await self._turns[seed].acquire()
        self._later(_PACE, self._turns[seed].release)
        near = await self._get_peers(info_hash, found, noseed=seed)
        query = Query(
            method=ANNOUNCE_PEER,
            info_hash=info_hash,
            port=port,
            seed=seed,
            implied_port=implied_port,
        )
        outcomes = await self.tell(near.holders, query)
        return sum(isinstance(each, Reply) for each in outcomes)

    def withdraw(self, info_hash: InfoHash, found: Callable[[Address], None]) -> None:
        """Nobody has to be found for this one any more. Other nodes forget us by themselves."""
        if self._swarms.get(info_hash) == found:  # and not for somebody who came later
            del self._swarms[info_hash]

    def _noted(self, info_hash: InfoHash, peer: Address) -> None:
        found = self._swarms.get(info_hash)
        if found is not None:
            found(peer)

    async def _get_peers(
        self, info_hash: InfoHash, found: Callable[[Address], None], *, noseed: bool
    ) -> Found:
        def heard(contact: Contact, reply: Reply) -> None:
            for peer in reply.values or ():
                if peer.dialable and near_enough(peer, contact.address):
                    found(peer)

        for family in self.networks:  # we are one of those who are told
            for peer, seed in self.store.members(info_hash, family, self._clock()):
                if not (noseed and seed):
                    found(peer)
        return await self.lookup(Query(method=GET_PEERS, info_hash=info_hash, noseed=noseed), heard)

    def warmed(self) -> None:
        """Somebody is known: lookups need not wait."""
        self._warm.set()

    # Keeping the tables

    async def run(self) -> None:
        """As long as the node lives; one task of it."""
        rest, next_join = _TICK, self._clock()
        while not self._closed:
            if not self._nodes() and self._clock() >= next_join:
                await self._join()
                rest = min(2 * rest, _LONGEST_REST)
                next_join = self._clock() + rest
            for network in self.networks.values():
                await self._keep(network)
            self.store.sweep(self._clock())
            await asyncio.sleep(_TICK)

    def _nodes(self) -> int:
        return sum(network.table.proven() for network in self.networks.values())

    async def _join(self) -> None:
        """The nodes that were known at the last end; those that the settings name only when all are gone."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_JOINING):
                await asyncio.gather(*(self._find(each.id) for each in self.networks.values()))
        if not self._nodes() and self._bootstrap:
            await asyncio.gather(*map(self._enter, await self._resolve(self._bootstrap)))

    async def _enter(self, address: Address) -> None:
        """Ask a node without a known id for its neighbours."""
        network = self.networks.get(family_of(address))
        if network is None:
            return
        reply = await self.ask(address, Query(method=FIND_NODE, target=network.id))
        if isinstance(reply, Reply):
            self._note(reply, address)

    def _note(self, reply: Reply, namer: Address) -> None:
        for family, nodes in ((Family.IPV4, reply.nodes), (Family.IPV6, reply.nodes6)):
            network = self.networks.get(family)
            for contact in nodes or ():
                if network is not None and near_enough(contact.address, namer):
                    network.table.heard(contact)

    async def _keep(self, network: Network) -> None:
        now = self._clock()
        doubtful = network.table.doubtful(now)
        if doubtful is not None:
            doubtful.asked = now
            self._ask(doubtful.contact, Query(method=PING), _nothing)
        target = network.to_look_for(now) if network.table.proven() else None
        if target is not None:
            await self._find(target)

    async def _find(self, target: NodeId) -> None:
        await self._walk(Query(method=FIND_NODE, target=target), _nothing)

    async def _walk(self, query: Query, heard: Heard) -> Found:
        target = query.target or query.info_hash
        assert target is not None, "a lookup is about something"
        lookups = {}
        for family, network in self.networks.items():
            lookups[family] = Lookup(target, network.id)
            lookups[family].add(network.table.nearest(target, _BEGIN))
            lookups[family].add(network.table.nearest(target, _BEGIN, proven=False))
        walk = Walk(query, lookups, self._ask, heard)
        began = self._clock()
        self._walks.add(walk)
        try:
            if not self._closed:
                await walk.run()
        finally:
            self._walks.discard(walk)
        return walk.found(self._clock() - began)

    # Asking

    def _answer(self, address: Address, query: Query) -> asyncio.Future[Outcome]:
        answer: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        if self._closed or family_of(address) not in self.networks:
            answer.set_result(None)
        else:
            self._ask(address, query, partial(_give, answer))
        return answer

    def _ask(
        self,
        whom: Contact | Address,
        query: Query,
        answered: Answered,
        slow: Callable[[], None] | None = None,
    ) -> None:
        """The table hears of every outcome; who is another than it was named to be has not answered."""
        address = whom.address if isinstance(whom, Contact) else whom
        network = self.networks[family_of(address)]

        def heard(outcome: Outcome) -> None:
            answered(self._outcome(whom, outcome, network))

        number = self._asking.begin(address, heard, slow)
        if number is None:
            return
        query = replace(
            query,
            transaction=number,
            id=network.id,
            read_only=self._read_only(),
            want=frozenset(self.networks) if len(self.networks) > 1 else None,
        )
        data = query.encode()
        self._outlet.asked(len(data))
        self._reach.spoke(address)
        self._send(data, address)

    def _outcome(self, whom: Contact | Address, outcome: Outcome, network: Network) -> Outcome:
        if isinstance(outcome, Reply):
            named = whom if isinstance(whom, Contact) else Contact(outcome.id, whom)
            another = named.id != outcome.id
            if another:
                network.table.failed(named, self._clock())
            contact = Contact(outcome.id, named.address)
            network.answered(contact, outcome.external, self._clock())
            self.warmed()
            return None if another else outcome
        if outcome is None and isinstance(whom, Contact) and not self._closed:
            network.table.failed(whom, self._clock())
        return outcome

    # The node's side

    def status(self) -> DhtStatus:
        return DhtStatus(
            {
                family: NetworkStatus(each.id, each.table.proven(), len(each.table), each.external)
                for family, each in self.networks.items()
            },
            len(self.store),
            len(self._asking),
            self._read_only(),
        )

    def _read_only(self) -> bool:
        return self._visiting or self._reach.read_only(self._clock())

    def saved(self) -> SavedTable:
        """For the next start."""
        return SavedTable(
            {family: each.id for family, each in self.networks.items()},
            {family: tuple(each.table.best()) for family, each in self.networks.items()},
        )

    def close(self) -> None:
        """Nobody is answered any more; lookups end with what they have."""
        self._closed = True
        for walk in list(self._walks):
            walk.stop()
        self._asking.close()
        self._warm.set()


def _nothing(*told: object) -> None:
    """The table has heard it."""


def _give(answer: asyncio.Future[Outcome], outcome: Outcome) -> None:
    if not answer.done():
        answer.set_result(outcome)


async def _places(named: Sequence[Address]) -> Sequence[Address]:
    """Late: with nobody to ask for names, nothing for it is imported."""
    from p2pswarm.discovery.places import places

    return await places(named)
