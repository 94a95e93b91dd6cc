"""Swarms in this process's memory: fast, gone with it, and rebuilt by the peers within one interval.

Most swarms of a big tracker have one peer, and whoever floods us with invented info-hashes makes more of
that kind. So a swarm of one is a packed record of about 40 bytes; only a swarm of several is a `Crowd` of
objects. An announce unpacks, changes and packs again, so the rules are written once, for crowds.

The calendar says which swarms may have somebody to forget: each is filed under the second in which its
longest silent peer was last heard. A sweep opens the pages that are due and touches nothing else.
"""

from collections import Counter, OrderedDict
from collections.abc import Iterator, Sequence
from ipaddress import ip_address
from itertools import islice
from random import Random
from struct import Struct

from typing_extensions import override

from p2pswarm.formats.ids import InfoHash
from p2pswarm.wire.tracker import Counts, Event
from tracker.store import Limits, PeerStore, Swarm, SwarmPeer, Totals

__all__ = ["MemoryStore"]

_RECORD = Struct(">dIB20s")  # last heard, downloads, flags, peer id; the address follows
_SEED, _COUNTED = 1, 2
SEEDS_FOR_A_SEED = 5


class _Entry:
    """A peer of a crowd. `at` is its place in the list it is in; `counted`: it has finished once."""

    __slots__ = ("at", "counted", "peer", "seen")

    def __init__(self, peer: SwarmPeer, seen: float, counted: bool) -> None:
        self.peer, self.seen, self.counted = peer, seen, counted
        self.at = 0


class _Crowd:
    """The peers of one swarm.

    Every entry of `peers`, which is in the order of last hearing, stands in exactly one of `seeds` and
    `leeches`, at its `at`: lists, because somebody has to be picked from them at random.
    """

    __slots__ = ("downloaded", "leeches", "peers", "seeds")

    def __init__(self, downloaded: int = 0) -> None:
        self.peers: OrderedDict[bytes, _Entry] = OrderedDict()
        self.seeds: list[_Entry] = []
        self.leeches: list[_Entry] = []
        self.downloaded = downloaded

    @property
    def counts(self) -> Counts:
        return Counts(len(self.seeds), self.downloaded, len(self.leeches))

    @property
    def oldest(self) -> float:
        return next(iter(self.peers.values())).seen

    def hear(self, peer: SwarmPeer, event: Event, now: float) -> None:
        """`peer` is here, new or not."""
        known = self.peers.pop(peer.address, None)
        if known is not None:
            self._unlist(known)
        finished = event is Event.COMPLETED and peer.seed
        counted = known is not None and known.counted
        if finished and not counted:
            self.downloaded += 1
        self.add(_Entry(peer, now, counted or finished or (known is None and peer.seed)))

    def add(self, entry: _Entry) -> None:
        members = self.seeds if entry.peer.seed else self.leeches
        entry.at = len(members)
        members.append(entry)
        self.peers[entry.peer.address] = entry

    def drop(self, address: bytes) -> bool:
        """Forget a peer; False when it was not here."""
        entry = self.peers.pop(address, None)
        if entry is not None:
            self._unlist(entry)
        return entry is not None

    def silent(self, before: float) -> Iterator[bytes]:
        """The addresses of those who were last heard before that time."""
        for address, entry in self.peers.items():
            if entry.seen >= before:
                return
            yield address

    def pick(self, asker: SwarmPeer, want: int, dice: Random) -> list[SwarmPeer]:
        """At most `want` others. A seed hears of leeches; where there is none, of a few seeds: aria2 says
        that nothing is left as long as it does not know what its magnet is."""
        leeches, seeds = self.leeches, self.seeds
        if asker.seed:
            some = seeds[: SEEDS_FOR_A_SEED + 1]
            others = [entry for entry in some if entry.peer.address != asker.address]
            seeds = [] if leeches else others[:SEEDS_FOR_A_SEED]
        border = len(leeches)
        size = border + len(seeds)
        chosen = dice.sample(range(size), min(want + 1, size))
        entries = (leeches[n] if n < border else seeds[n - border] for n in chosen)
        return [entry.peer for entry in entries if entry.peer.address != asker.address][:want]

    def _unlist(self, entry: _Entry) -> None:
        """The last of the list takes the free place."""
        members = self.seeds if entry.peer.seed else self.leeches
        last = members.pop()
        if last is not entry:
            members[entry.at] = last
            last.at = entry.at


class MemoryStore(PeerStore):
    """A swarm is in exactly one of `_lone` (one peer) and `_crowds` (several), and on one calendar page."""

    def __init__(self, limits: Limits, dice: Random) -> None:
        self._limits, self._dice = limits, dice
        self._lone: dict[InfoHash, bytes] = {}
        self._crowds: dict[InfoHash, _Crowd] = {}
        self._calendar: dict[int, set[InfoHash]] = {}
        self._hosts: Counter[bytes] = Counter()
        self._peers = self._seeds = 0

    @override
    async def announce(
        self, swarm: InfoHash, peer: SwarmPeer, event: Event, want: int, now: float
    ) -> Swarm:
        crowd = self._open(swarm)
        page = int(crowd.oldest) if crowd.peers else None
        seeds = len(crowd.seeds)
        listed = False
        others: list[SwarmPeer] = []
        if event is Event.STOPPED:
            self._drop(crowd, peer.address)
        else:
            listed = self._hear(swarm, crowd, peer, event, now)
            others = crowd.pick(peer, want, self._dice) if want else []
        self._seeds += len(crowd.seeds) - seeds
        self._close(swarm, crowd, page)
        return Swarm(crowd.counts, others, listed)

    @override
    async def scrape(self, swarms: Sequence[InfoHash]) -> list[Counts]:
        return [self._open(swarm).counts for swarm in swarms]

    @override
    async def expire(self, before: float) -> int:
        had = self._peers
        for page in [page for page in self._calendar if page + 1 <= before]:
            for swarm in tuple(self._calendar[page]):
                if swarm in self._lone:
                    self._forget(swarm)
                else:
                    self._thin(swarm, before, page)
        return had - self._peers

    @override
    async def totals(self) -> Totals:
        return Totals(len(self._lone) + len(self._crowds), self._peers, self._seeds)

    @override
    async def aclose(self) -> None:
        """Nothing is open."""

    def _hear(
        self, swarm: InfoHash, crowd: _Crowd, peer: SwarmPeer, event: Event, now: float
    ) -> bool:
        """Note that the peer is there; False when there is no room for it."""
        if peer.address not in crowd.peers:
            host = _host(peer.address)
            if not self._has_room(swarm, crowd, host):
                return False
            self._hosts[host] += 1
            self._peers += 1
        crowd.hear(peer, event, now)
        return True

    def _drop(self, crowd: _Crowd, address: bytes) -> None:
        if crowd.drop(address):
            self._peers -= 1
            host = _host(address)
            self._hosts[host] -= 1
            if not self._hosts[host]:
                del self._hosts[host]

    def _thin(self, swarm: InfoHash, before: float, page: int) -> None:
        crowd = self._crowds[swarm]
        seeds = len(crowd.seeds)
        for address in tuple(crowd.silent(before)):
            self._drop(crowd, address)
        self._seeds += len(crowd.seeds) - seeds
        self._close(swarm, crowd, page)

    def _forget(self, swarm: InfoHash) -> None:
        """Drop a swarm of one."""
        crowd = _unpack(self._lone[swarm])
        page = int(crowd.oldest)
        self._seeds -= len(crowd.seeds)
        self._drop(crowd, next(iter(crowd.peers)))
        self._close(swarm, crowd, page)

    def _has_room(self, swarm: InfoHash, crowd: _Crowd, host: bytes) -> bool:
        limits = self._limits
        if len(crowd.peers) >= limits.peers_per_swarm:
            return False
        if self._hosts[host] >= limits.per_host and _is_public(host):
            return False
        swarms = len(self._lone) + len(self._crowds)
        if self._peers < limits.peers and (crowd.peers or swarms < limits.swarms):
            return True
        return self._make_room(swarm)

    def _make_room(self, wanted: InfoHash) -> bool:
        """Forget one in a thousand of the swarms of one, longest silent first; not the one `wanted`.

        That is what a flood of invented info-hashes leaves behind. A swarm in which somebody could meet
        somebody is never touched by it.
        """
        longest_silent = islice(self._lone, 1 + len(self._lone) // 1000)
        victims = [swarm for swarm in longest_silent if swarm != wanted]
        for swarm in victims:
            self._forget(swarm)
        return bool(victims)

    def _open(self, swarm: InfoHash) -> _Crowd:
        """The swarm as a crowd, empty when it is not known."""
        crowd = self._crowds.get(swarm)
        if crowd is None:
            record = self._lone.get(swarm)
            crowd = _Crowd() if record is None else _unpack(record)
        return crowd

    def _close(self, swarm: InfoHash, crowd: _Crowd, page: int | None) -> None:
        """Keep the crowd in the form that fits its size, and on its page; it was on `page`."""
        size = len(crowd.peers)
        self._lone.pop(swarm, None)  # and in again at the end: it is in the order of last hearing
        if size > 1:
            self._crowds[swarm] = crowd
        else:
            self._crowds.pop(swarm, None)
        if size == 1:
            self._lone[swarm] = _pack(crowd)
        self._file(swarm, page, int(crowd.oldest) if size else None)

    def _file(self, swarm: InfoHash, page: int | None, new_page: int | None) -> None:
        if page == new_page:
            return
        if page is not None:
            swarms = self._calendar[page]
            swarms.remove(swarm)
            if not swarms:
                del self._calendar[page]
        if new_page is not None:
            self._calendar.setdefault(new_page, set()).add(swarm)

    def check(self) -> None:
        """The invariants, for tests."""
        assert not self._lone.keys() & self._crowds.keys()
        crowds = {swarm: self._open(swarm) for swarm in (*self._lone, *self._crowds)}
        hosts: Counter[bytes] = Counter()
        for swarm, crowd in crowds.items():
            assert swarm in self._calendar[int(crowd.oldest)]
            assert len(crowd.peers) == 1 if swarm in self._lone else len(crowd.peers) > 1
            for members, seed in ((crowd.seeds, True), (crowd.leeches, False)):
                for at, entry in enumerate(members):
                    assert entry.at == at
                    assert entry.peer.seed is seed
                    assert crowd.peers[entry.peer.address] is entry
            assert len(crowd.peers) == len(crowd.seeds) + len(crowd.leeches)
            hosts.update(map(_host, crowd.peers))
        assert hosts == self._hosts
        assert sum(map(len, self._calendar.values())) == len(crowds)
        assert self._peers == hosts.total()
        assert self._seeds == sum(len(crowd.seeds) for crowd in crowds.values())


def _pack(crowd: _Crowd) -> bytes:
    (entry,) = crowd.peers.values()
    flags = _SEED * entry.peer.seed + _COUNTED * entry.counted
    head = _RECORD.pack(entry.seen, crowd.downloaded, flags, entry.peer.peer_id)
    return head + entry.peer.address


def _unpack(record: bytes) -> _Crowd:
    seen, downloaded, flags, peer_id = _RECORD.unpack_from(record)
    peer = SwarmPeer(record[_RECORD.size :], peer_id, bool(flags & _SEED))
    crowd = _Crowd(downloaded)
    crowd.add(_Entry(peer, seen, bool(flags & _COUNTED)))
    return crowd


def _host(address: bytes) -> bytes:
    """Who somebody is for the purpose of counting: an IPv4 address, or the /64 of an IPv6 one."""
    return address[:4] if len(address) == 6 else address[:8]


def _is_public(host: bytes) -> bool:
    return ip_address(host if len(host) == 4 else host + bytes(8)).is_global
