"""The contract of every `PeerStore`: a new store is done when this is green for it."""

from collections.abc import Callable
from random import Random

import pytest
from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from p2pswarm.formats.ids import InfoHash
from p2pswarm.wire.tracker import Counts, Event
from tracker.store import Limits, PeerStore, Swarm, SwarmPeer, Totals
from tracker.store.memory import SEEDS_FOR_A_SEED, MemoryStore

MakeStore = Callable[[Limits], PeerStore]
ONE, TWO = InfoHash(b"1" * 20), InfoHash(b"2" * 20)


@pytest.fixture(params=["memory"])
def make_store() -> MakeStore:
    return lambda limits: MemoryStore(limits, Random(1))


@pytest.fixture
def store(make_store: MakeStore) -> PeerStore:
    return make_store(Limits())


def peer(number: int, *, seed: bool = False, host: int = 10 << 24) -> SwarmPeer:
    place = (host + number).to_bytes(4, "big") + b"\x1a\xe1"
    return SwarmPeer(place, number.to_bytes(20, "big"), seed)


def peer6(number: int, prefix: bytes = b"\x20\x01\x0d\xb8\0\0\0\0") -> SwarmPeer:
    return SwarmPeer(prefix + number.to_bytes(8, "big") + b"\x1a\xe1", bytes(20), False)


async def announce(
    store: PeerStore,
    who: SwarmPeer,
    event: Event = Event.NONE,
    *,
    swarm: InfoHash = ONE,
    want: int = 50,
    now: float = 100.0,
) -> Swarm:
    return await store.announce(swarm, who, event, want, now)


async def places(store: PeerStore, asker: SwarmPeer, want: int = 50) -> set[bytes]:
    return {other.address for other in (await announce(store, asker, want=want)).peers}


async def test_two_peers_meet(store: PeerStore) -> None:
    assert (await announce(store, peer(1), Event.STARTED)).peers == []
    met = await announce(store, peer(2), Event.STARTED)
    assert met == Swarm(Counts(0, 0, 2), [peer(1)], listed=True)
    assert await places(store, peer(1)) == {peer(2).address}


async def test_swarms_do_not_mix(store: PeerStore) -> None:
    await announce(store, peer(1), swarm=ONE)
    assert (await announce(store, peer(2), swarm=TWO)).peers == []
    assert await store.totals() == Totals(2, 2, 0)


async def test_nobody_is_given_itself(store: PeerStore) -> None:
    for number in range(5):
        await announce(store, peer(number))
    for number in range(5):
        assert peer(number).address not in await places(store, peer(number))
        assert len(await places(store, peer(number))) == 4


async def test_seeds_are_not_given_to_seeds(store: PeerStore) -> None:
    await announce(store, peer(1, seed=True))
    await announce(store, peer(2))
    assert await places(store, peer(3, seed=True)) == {peer(2).address}
    assert await places(store, peer(2)) == {peer(1).address, peer(3).address}


async def test_where_nobody_downloads_a_seed_hears_of_a_few_others(store: PeerStore) -> None:
    """It may not know yet what it downloads: aria2 says so of every magnet."""
    for number in range(20):
        await announce(store, peer(number, seed=True))
    told = await places(store, peer(0, seed=True))
    assert len(told) == SEEDS_FOR_A_SEED
    assert peer(0).address not in told


async def test_no_more_than_wanted_and_others_each_time(store: PeerStore) -> None:
    for number in range(100):
        await announce(store, peer(number, seed=number % 2 == 0))
    seen: set[bytes] = set()
    for _ in range(30):
        some = await places(store, peer(1), want=10)
        assert len(some) == 10
        seen |= some
    assert len(seen) > 80


async def test_who_wants_nobody_gets_nobody(store: PeerStore) -> None:
    await announce(store, peer(1))
    assert (await announce(store, peer(2), want=0)).peers == []


async def test_a_peer_is_counted_once(store: PeerStore) -> None:
    for _ in range(3):
        swarm = await announce(store, peer(1), Event.STARTED)
        assert swarm.counts == Counts(0, 0, 1)


async def test_a_new_program_at_the_same_place_replaces_the_old(store: PeerStore) -> None:
    await announce(store, peer(1))
    reborn = SwarmPeer(peer(1).address, b"another peer id here", seed=False)
    await announce(store, reborn)
    assert (await announce(store, peer(2))).peers == [reborn]


async def test_a_leech_becomes_a_seed_and_counts_as_a_download_once(store: PeerStore) -> None:
    await announce(store, peer(1), Event.STARTED)
    await announce(store, peer(2), Event.STARTED)
    done = peer(1, seed=True)
    assert (await announce(store, done, Event.COMPLETED)).counts == Counts(1, 1, 1)
    assert (await announce(store, done, Event.COMPLETED)).counts == Counts(1, 1, 1)
    assert (await announce(store, peer(1), Event.STARTED)).counts == Counts(0, 1, 2)
    assert (await announce(store, done, Event.COMPLETED)).counts == Counts(1, 1, 1)


async def test_a_seed_from_the_start_has_downloaded_nothing(store: PeerStore) -> None:
    await announce(store, peer(1, seed=True), Event.STARTED)
    assert (await announce(store, peer(1, seed=True), Event.COMPLETED)).counts == Counts(1, 0, 0)


async def test_who_completes_before_it_was_known_counts(store: PeerStore) -> None:
    assert (await announce(store, peer(1, seed=True), Event.COMPLETED)).counts == Counts(1, 1, 0)


async def test_completed_with_something_left_is_no_download(store: PeerStore) -> None:
    assert (await announce(store, peer(1), Event.COMPLETED)).counts == Counts(0, 0, 1)


async def test_a_stopped_peer_is_forgotten(store: PeerStore) -> None:
    await announce(store, peer(1, seed=True))
    await announce(store, peer(2))
    gone = await announce(store, peer(1, seed=True), Event.STOPPED)
    assert gone == Swarm(Counts(0, 0, 1), [], listed=False)
    assert await places(store, peer(2)) == set()
    await announce(store, peer(2), Event.STOPPED)
    assert await store.totals() == Totals(0, 0, 0)


async def test_who_stops_without_having_started_changes_nothing(store: PeerStore) -> None:
    await announce(store, peer(1))
    await announce(store, peer(2), Event.STOPPED)
    await announce(store, peer(2), Event.STOPPED, swarm=TWO)
    assert await store.totals() == Totals(1, 1, 0)


async def test_scrape_answers_in_order_with_zeros_for_the_unknown(store: PeerStore) -> None:
    await announce(store, peer(1), Event.STARTED, swarm=TWO)
    await announce(store, peer(2, seed=True), Event.COMPLETED, swarm=TWO)
    assert await store.scrape([ONE, TWO]) == [Counts(0, 0, 0), Counts(1, 1, 1)]


async def test_the_silent_are_forgotten_and_the_others_not(store: PeerStore) -> None:
    for number in range(3):
        await announce(store, peer(number), now=100.0 + 10 * number)
    await announce(store, peer(9), swarm=TWO, now=100.0)
    assert await store.expire(90.0) == 0
    assert await store.expire(115.0) == 3
    assert await places(store, peer(2)) == set()
    assert await store.totals() == Totals(1, 1, 0)


async def test_who_is_heard_again_stays(store: PeerStore) -> None:
    await announce(store, peer(1), now=100.0)
    await announce(store, peer(2), now=100.0)
    await announce(store, peer(1), now=200.0)
    assert await store.expire(150.0) == 1
    assert await places(store, peer(2)) == {peer(1).address}


async def test_downloads_outlive_the_downloaders_but_not_the_swarm(store: PeerStore) -> None:
    await announce(store, peer(1, seed=True), Event.COMPLETED, now=100.0)
    await announce(store, peer(2), now=200.0)
    await store.expire(150.0)
    assert await store.scrape([ONE]) == [Counts(0, 1, 1)]
    await store.expire(250.0)
    assert await store.scrape([ONE]) == [Counts(0, 0, 0)]


async def test_both_families_are_kept(store: PeerStore) -> None:
    await announce(store, peer6(1))
    await announce(store, peer(1))
    assert await places(store, peer(2)) == {peer6(1).address, peer(1).address}


async def test_a_full_swarm_serves_without_listing(make_store: MakeStore) -> None:
    store = make_store(Limits(peers_per_swarm=3))
    for number in range(3):
        assert (await announce(store, peer(number))).listed
    extra = await announce(store, peer(3))
    assert not extra.listed
    assert len(extra.peers) == 3
    assert extra.counts == Counts(0, 0, 3)
    assert (await announce(store, peer(0), now=150.0)).listed


async def test_a_flood_of_swarms_is_bounded_and_spares_those_that_meet(
    make_store: MakeStore,
) -> None:
    store = make_store(Limits(swarms=100))
    await announce(store, peer(1))
    await announce(store, peer(2))
    for number in range(1000):
        flood = InfoHash(number.to_bytes(20, "big"))
        assert (await announce(store, peer(3), swarm=flood, now=200.0 + number)).listed
        assert (await store.totals()).swarms <= 100
    assert await places(store, peer(1)) == {peer(2).address}
    late = await announce(store, peer(4), swarm=TWO, now=2000.0)
    assert late.listed


async def test_the_longest_silent_lone_swarm_makes_room(make_store: MakeStore) -> None:
    store = make_store(Limits(swarms=2))
    three = InfoHash(b"3" * 20)
    await announce(store, peer(1), swarm=ONE, now=100.0)
    await announce(store, peer(1), swarm=TWO, now=110.0)
    await announce(store, peer(1), swarm=ONE, now=120.0)
    await announce(store, peer(1), swarm=three, now=130.0)
    sizes = [counts.incomplete for counts in await store.scrape([ONE, TWO, three])]
    assert sizes == [1, 0, 1]


async def test_the_peers_of_all_swarms_are_bounded(make_store: MakeStore) -> None:
    store = make_store(Limits(peers=4))
    for number in range(10):
        await announce(store, peer(number))
    assert await store.totals() == Totals(1, 4, 0)
    for number in range(10):
        await announce(store, peer(number), Event.STOPPED)
    assert await store.totals() == Totals(0, 0, 0)
    await announce(store, peer(1))
    for number in range(10):
        await announce(store, peer(2), swarm=InfoHash(number.to_bytes(20, "big")))
    assert (await announce(store, peer(3))).listed
    assert (await store.totals()).peers <= 4


async def test_a_public_host_takes_its_share_and_no_more(make_store: MakeStore) -> None:
    store = make_store(Limits(per_host=3))
    public = 8 << 24
    hashes = [InfoHash(number.to_bytes(20, "big")) for number in range(5)]
    listed = [(await announce(store, peer(1, host=public), swarm=each)).listed for each in hashes]
    assert listed == [True, True, True, False, False]
    await announce(store, peer(1, host=public), Event.STOPPED, swarm=hashes[0])
    assert (await announce(store, peer(1, host=public), swarm=hashes[4])).listed
    assert (await announce(store, peer(2, host=public), swarm=hashes[0])).listed


async def test_an_ipv6_host_is_its_64(make_store: MakeStore) -> None:
    store = make_store(Limits(per_host=3))
    prefix = b"\x26\x06\x47\0\0\0\0\0"
    listed = [(await announce(store, peer6(number, prefix))).listed for number in range(5)]
    assert listed == [True, True, True, False, False]


async def test_private_hosts_are_not_counted(make_store: MakeStore) -> None:
    store = make_store(Limits(per_host=3))
    for number in range(10):
        assert (await announce(store, peer(1), swarm=InfoHash(number.to_bytes(20, "big")))).listed


async def test_closing_twice_is_fine(store: PeerStore) -> None:
    await store.aclose()
    await store.aclose()


def now(coroutine: object) -> object:
    """What a coroutine that never waits returns."""
    try:
        coroutine.send(None)  # type: ignore[attr-defined]
    except StopIteration as stop:
        return stop.value
    raise AssertionError("it waits")


class AnyLife(RuleBasedStateMachine):
    """Whatever happens to the memory store, its invariants hold and its sums agree with a plain model."""

    def __init__(self) -> None:
        super().__init__()
        self.store = MemoryStore(Limits(), Random(2))
        self.model: dict[tuple[int, int], tuple[bool, float]] = {}
        self.time = 0.0

    @rule(
        swarm=st.integers(0, 2),
        who=st.integers(0, 4),
        seed=st.booleans(),
        event=st.sampled_from(Event),
        want=st.integers(0, 3),
        wait=st.floats(0, 5),
    )
    def announces(
        self, swarm: int, who: int, seed: bool, event: Event, want: int, wait: float
    ) -> None:
        self.time += wait
        asked = self.store.announce(
            InfoHash(bytes([swarm]) * 20), peer(who, seed=seed), event, want, self.time
        )
        got = now(asked)
        assert isinstance(got, Swarm)
        if event is Event.STOPPED:
            self.model.pop((swarm, who), None)
            return
        self.model[swarm, who] = (seed, self.time)
        others = [s for (h, w), (s, _) in self.model.items() if h == swarm and w != who]
        if seed:
            leeches = [is_seed for is_seed in others if not is_seed]
            others = leeches or others[:SEEDS_FOR_A_SEED]
        assert len(got.peers) == min(want, len(others))

    @rule(ago=st.floats(0, 20))
    def expires(self, ago: float) -> None:
        before = self.time - ago
        now(self.store.expire(before))
        # A page of the calendar is a second wide, so somebody may stay for one second more.
        assert all(
            entry.seen >= before - 1
            for swarm in (*self.store._lone, *self.store._crowds)
            for entry in self.store._open(swarm).peers.values()
        )
        kept = {
            (swarm[0], int.from_bytes(place[:4], "big") - (10 << 24))
            for swarm in (*self.store._lone, *self.store._crowds)
            for place in self.store._open(swarm).peers
        }
        assert {key for key, (_, seen) in self.model.items() if seen >= before} <= kept
        self.model = {key: value for key, value in self.model.items() if key in kept}

    @invariant()
    def is_consistent(self) -> None:
        self.store.check()
        seeds = sum(seed for seed, _ in self.model.values())
        swarms = len({swarm for swarm, _ in self.model})
        assert now(self.store.totals()) == Totals(swarms, len(self.model), seeds)


TestAnyLife = AnyLife.TestCase
TestAnyLife.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)


def test_a_full_memory_store_stays_consistent() -> None:
    store, dice = MemoryStore(Limits(swarms=5, peers=8, peers_per_swarm=3), Random(3)), Random(4)
    for step in range(3000):
        who = peer(dice.randrange(6), seed=dice.random() < 0.5)
        event = dice.choice(list(Event))
        now(store.announce(InfoHash(bytes([dice.randrange(12)]) * 20), who, event, 5, step / 10))
        if step % 50 == 0:
            now(store.expire(step / 10 - 20))
        store.check()
