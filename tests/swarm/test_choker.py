from collections import Counter
from collections.abc import Hashable
from dataclasses import replace
from random import Random
from statistics import mean

from hypothesis import given, strategies as st

from p2pswarm.swarm.choker import NEWCOMER, OPTIMISTIC_EVERY, RECHOKE_EVERY, Candidate, Choker

rates = st.integers(0, 20).map(float)
candidates = st.lists(
    st.builds(
        Candidate,
        key=st.integers(0, 30),
        interested=st.booleans(),
        gives=rates,
        takes=rates,
        since=st.just(-1000.0),
        snubbed=st.booleans(),
        served=st.floats(-1000, 0),
    ),
    unique_by=lambda peer: peer.key,
    max_size=15,
)


def peer(key: Hashable, gives: float = 0, takes: float = 0, *, since: float = -1000.0) -> Candidate:
    return Candidate(key, True, gives, takes, since)


def regulars(choker: Choker, peers: list[Candidate], *, seeding: bool = False) -> set[Hashable]:
    return choker.rechoke(peers, seeding, 0.0, Random(1)) - {choker.optimistic}


# Who gives most


@given(candidates, st.integers(1, 5), st.integers())
def test_the_best_uploaders_are_served(peers: list[Candidate], slots: int, seed: int) -> None:
    choker = Choker(slots)
    chosen = choker.rechoke(peers, False, 0.0, Random(seed))
    by_key = {peer.key: peer for peer in peers}
    fit = [peer for peer in peers if peer.interested and not peer.snubbed]
    best = [by_key[key] for key in chosen - {choker.optimistic} if by_key[key].interested]
    assert len(best) == min(slots, len(fit))
    assert all(not peer.snubbed for peer in best)
    least = min((peer.gives for peer in best), default=0.0)
    assert all(peer.gives <= least for peer in fit if peer.key not in chosen)


@given(candidates, st.integers(1, 5), st.booleans(), st.integers())
def test_one_more_is_served_while_somebody_waits(
    peers: list[Candidate], slots: int, seeding: bool, seed: int
) -> None:
    choker = Choker(slots)
    chosen = choker.rechoke(peers, seeding, 0.0, Random(seed))
    served = sum(peer.interested for peer in peers if peer.key in chosen)
    interested = sum(peer.interested for peer in peers)
    assert served <= slots + 1
    assert (choker.optimistic is not None) or served == interested
    assert choker.optimistic is None or choker.optimistic in chosen


def test_a_better_one_without_interest_need_not_wait_when_it_gets_some() -> None:
    peers = [peer(n, gives=n) for n in range(1, 7)]
    peers[5] = replace(peers[5], interested=False)
    peers[0] = replace(peers[0], interested=False)
    assert regulars(Choker(4), peers) == {6, 5, 4, 3, 2}


def test_who_neither_gives_nor_wants_stays_choked() -> None:
    idle = Candidate("idle", False, 0, 0, 0.0)
    assert Choker(4).rechoke([idle], False, 0.0, Random(1)) == set()
    assert Choker(4).rechoke([idle], True, 0.0, Random(1)) == set()


def test_who_snubs_us_loses_its_place_but_may_be_tried() -> None:
    peers = [peer(n, gives=n) for n in range(6)]
    peers[5] = replace(peers[5], snubbed=True)
    assert regulars(Choker(4), peers) == {1, 2, 3, 4}
    tried = {optimist(peers, seed) for seed in range(50)}
    assert tried == {0, 5}


def optimist(peers: list[Candidate], seed: int, now: float = 0.0) -> Hashable:
    choker = Choker(4)
    choker.rechoke(peers, False, now, Random(seed))
    return choker.optimistic


# The optimistic unchoke


def test_it_changes_every_thirty_seconds() -> None:
    choker, dice, now = Choker(4), Random(3), 0.0
    peers = [peer(n, gives=30 - n) for n in range(25)]
    had = []
    for _ in range(31):
        choker.rechoke(peers, False, now, dice)
        had.append(choker.optimistic)
        now += RECHOKE_EVERY
    assert OPTIMISTIC_EVERY == 3 * RECHOKE_EVERY
    rounds = [had[n : n + 3] for n in range(0, 30, 3)]
    assert all(len(set(same)) == 1 for same in rounds)
    assert len({same[0] for same in rounds}) > 5


def test_it_changes_at_once_when_its_peer_is_gone_or_has_earned_a_place() -> None:
    peers = [peer(n, gives=30 - n) for n in range(10)]
    for change in ("gone", "earned", "content"):
        choker, dice = Choker(4), Random(1)
        choker.rechoke(peers, False, 0.0, dice)
        first = choker.optimistic
        now_there = {
            "gone": [p for p in peers if p.key != first],
            "earned": [replace(p, gives=99) if p.key == first else p for p in peers],
            "content": [
                replace(p, interested=False, gives=0) if p.key == first else p for p in peers
            ],
        }[change]
        chosen = choker.rechoke(now_there, False, 10.0, dice)
        assert choker.optimistic not in (first, None)
        assert (first in chosen) == (change == "earned")


def test_when_nobody_waits_there_is_none_until_somebody_does() -> None:
    choker, dice = Choker(4), Random(1)
    peers = [peer(n, gives=9) for n in range(4)]
    assert choker.rechoke(peers, False, 0.0, dice) == {0, 1, 2, 3}
    assert choker.optimistic is None
    assert choker.rechoke([*peers, peer("new")], False, 10.0, dice) == {0, 1, 2, 3, "new"}


def test_newcomers_are_tried_three_times_as_often() -> None:
    """One newcomer and two old ones wait: three chances of five."""
    best = [peer(n, gives=9) for n in range(4)]
    waiting = [peer("old"), peer("older"), peer("new", since=1000 - NEWCOMER + 1)]
    tried = Counter(optimist(best + waiting, seed, now=1000.0) for seed in range(3000))
    assert abs(tried["new"] / 3000 - 3 / 5) < 0.03
    assert abs(tried["old"] / 3000 - 1 / 5) < 0.03
    grown = [peer("old"), peer("older"), peer("new", since=1000 - NEWCOMER)]
    tried = Counter(optimist(best + grown, seed, now=1000.0) for seed in range(3000))
    assert abs(tried["new"] / 3000 - 1 / 3) < 0.03


# Seeds


def test_a_seed_serves_those_who_take_fastest() -> None:
    peers = [peer(n, gives=-n, takes=n) for n in range(9)]
    assert regulars(Choker(4), peers, seeding=True) == {5, 6, 7, 8}


def test_at_a_seed_everybodys_turn_comes() -> None:
    """In virtual time: a fresh place every 30 s, for whoever waited longest."""
    choker, dice, now = Choker(4), Random(1), 0.0
    peers = {n: peer(n, takes=max(0, n - 15)) for n in range(20)}
    served: dict[Hashable, float] = {}
    before: set[Hashable] = set()
    while now <= 16 * OPTIMISTIC_EVERY:
        chosen = choker.rechoke(list(peers.values()), True, now, dice)
        for key in chosen - before:
            served[key] = now
            peers[int(str(key))] = replace(peers[int(str(key))], served=now)
        before, now = chosen, now + RECHOKE_EVERY
    assert set(served) == set(peers)


# An hour of a swarm


def an_hour(capacity: list[float], seed: int) -> list[float]:
    """Everybody wants from everybody and divides what it can give; what each received, in the end."""
    dice, everybody = Random(seed), range(len(capacity))
    chokers = [Choker() for _ in everybody]
    gives = [[0.0] * len(capacity) for _ in everybody]  # from row to column, in the last round
    received = [0.0] * len(capacity)
    for round_ in range(360):
        now = round_ * RECHOKE_EVERY
        chosen = [
            chokers[me].rechoke(
                [peer(n, gives[n][me]) for n in everybody if n != me], False, now, dice
            )
            for me in everybody
        ]
        for me in everybody:
            share = capacity[me] / max(1, len(chosen[me]))
            gives[me] = [share if n in chosen[me] else 0.0 for n in everybody]
            for n in everybody:
                received[n] += gives[me][n]
    return received


def test_who_gives_more_gets_more_and_who_gives_nothing_little() -> None:
    """On average: five that serve each other have no place for a sixth, however fast it is."""
    received = an_hour([100.0] * 10 + [20.0] * 10 + [0.0] * 2, seed=5)
    fast, slow, free = received[:10], received[10:20], received[20:]
    assert mean(fast) > 2 * mean(slow)
    assert min(slow) > 0
    assert max(free) < mean(fast) / 4
