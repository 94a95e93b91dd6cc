"""The machine of checks, back to back: a small network of two NATs that only passes messages of STUN."""

from random import Random

import pytest
from hypothesis import given, settings, strategies as st

from p2pswarm.errors import FormatError
from p2pswarm.formats.ids import Address
from p2pswarm.lab.nats import Kind, Router
from p2pswarm.reach import stun
from p2pswarm.reach.checking import (
    MAX_WAYS,
    MOST_SLOW,
    MOST_TRIES,
    SLOWLY,
    Out,
    Rank,
    Reaching,
    Secrets,
    Way,
)

A, B = Secrets("aaaaaaaa", "A" * 24), Secrets("bbbbbbbb", "B" * 24)
LEADER, FOLLOWER = Address("10.0.0.1", 1000), Address("10.0.0.2", 2000)
ASKED = ("8.8.8.8", 3478)


class Pair:
    """Two machines, each behind a router; channel 7 is a relay that can die."""

    def __init__(self, leader: Kind | None, follower: Kind | None, *, relay: bool = True) -> None:
        self.now = 0.0
        self.sides = (
            Reaching(A, B, leads=True, dice=Random(1)),
            Reaching(B, A, leads=False, dice=Random(2)),
        )
        self.names = (tuple(LEADER), tuple(FOLLOWER))
        self.routers = tuple(
            kind and Router(f"9.9.9.{n}", kind) for n, kind in enumerate((leader, follower))
        )
        self.relay, self.direct = relay, True
        self.sent = 0
        seen = [r.leaves("udp", n, ASKED) if r else n for r, n in zip(self.routers, self.names)]  # noqa: B905
        for side, theirs in zip(self.sides, reversed(seen), strict=True):
            if theirs is not None:
                side.add([(Address(*theirs), Rank.REFLEXIVE)], 0.0)
            if relay:
                side.add([(7, Rank.RELAY)], 0.0)

    def run(self, seconds: float) -> None:
        until = self.now + seconds
        while self.now < until:
            self.now += 0.02
            for side in (0, 1):
                self.carry(side, self.sides[side].tick(self.now))

    def carry(self, side: int, out: Out) -> None:
        for way, data in out:
            self.sent += 1
            came = self.arrives(side, way)
            if came is not None:
                there = self.sides[1 - side]
                self.carry(1 - side, there.got(stun.read(data), came, self.now))

    def arrives(self, side: int, way: Way) -> Way | None:
        if isinstance(way, int):
            return way if self.relay else None
        ours, theirs = self.routers[side], self.routers[1 - side]
        source = ours.leaves("udp", self.names[side], way) if ours else self.names[side]
        if source is None or not self.direct:
            return None
        name = theirs.enters("udp", way.port, source) if theirs else tuple(way)
        return Address(*source) if name == self.names[1 - side] else None

    @property
    def bests(self) -> list[int | None]:
        return [side.best and side.best.rank for side in self.sides]


KINDS = [None, Kind.FULL, Kind.ADDRESS, Kind.PORT, Kind.SYMMETRIC, Kind.BLOCKED]
NEVER = {
    (Kind.PORT, Kind.SYMMETRIC),
    (Kind.SYMMETRIC, Kind.PORT),
    (Kind.SYMMETRIC, Kind.SYMMETRIC),
}


@pytest.mark.parametrize("follower", KINDS)
@pytest.mark.parametrize("leader", KINDS)
def test_ways_are_direct_exactly_where_they_can_be(
    leader: Kind | None, follower: Kind | None
) -> None:
    pair = Pair(leader, follower)
    pair.run(4.0)
    relayed = (leader, follower) in NEVER or Kind.BLOCKED in (leader, follower)
    bests = pair.bests
    assert None not in bests
    assert [best == Rank.RELAY for best in bests] == [relayed, relayed]


def test_where_nothing_leads_there_is_no_way_and_soon_silence() -> None:
    pair = Pair(Kind.SYMMETRIC, Kind.SYMMETRIC, relay=False)
    pair.run(40.0)
    assert pair.bests == [None, None]
    assert pair.sent <= 2 * MOST_TRIES
    pair.run(SLOWLY * MOST_SLOW + 20.0)
    assert pair.sent == 2 * (MOST_TRIES + MOST_SLOW)
    pair.run(60.0)
    assert pair.sent == 2 * (MOST_TRIES + MOST_SLOW)


def test_a_relay_is_left_for_a_way_that_opens_minutes_later() -> None:
    pair = Pair(Kind.PORT, Kind.PORT)
    pair.direct = False
    pair.run(240.0)
    assert pair.bests == [Rank.RELAY] * 2
    pair.direct = True
    pair.run(40.0)
    assert Rank.RELAY not in pair.bests


def test_a_relay_carries_until_the_direct_way_is_found_and_again_when_it_is_lost() -> None:
    pair = Pair(Kind.PORT, Kind.PORT)
    pair.direct = False
    pair.run(2.0)
    assert pair.bests == [Rank.RELAY] * 2
    pair.direct = True
    pair.run(8.0)
    assert Rank.RELAY not in pair.bests
    pair.direct = False
    pair.run(5.0)
    assert pair.bests == [Rank.RELAY] * 2


def test_a_dead_relay_is_left_within_five_seconds_and_a_closed_one_at_once() -> None:
    pair = Pair(None, None)
    for side in pair.sides:
        side.add([(8, Rank.RELAY)], 0.0)
    pair.direct = False
    pair.run(2.0)
    assert pair.sides[0].best is not None
    first = pair.sides[0].best.way
    for side in pair.sides:
        side.drop(first)
        assert side.best is not None
        assert side.best.way == 15 - int(first)  # type: ignore[arg-type]
    pair.relay = False
    pair.run(5.0)
    assert pair.bests == [None, None]


def test_both_sides_use_the_way_that_the_leader_chose() -> None:
    pair = Pair(None, None)
    for n, side in enumerate(pair.sides):
        side.add([(8, Rank.RELAY), (9, Rank.RELAY)][:: 1 - 2 * n], 0.0)
    pair.direct = False
    pair.run(6.0)
    assert pair.sides[0].best
    assert pair.sides[1].best
    assert pair.sides[0].best.way == pair.sides[1].best.way


def test_who_does_not_know_the_secrets_is_not_answered() -> None:
    side, place = Reaching(A, B, leads=True, dice=Random(1)), Address("9.9.9.9", 9)
    other = Secrets("bbbbbbbb", "C" * 24)
    for ours, theirs in ((B, Secrets("aaaaaaaa", "C" * 24)), (other, B)):
        stranger = Reaching(ours, theirs, leads=False, dice=Random(2))
        stranger.add([(place, Rank.HOST)], 0.0)
        [(_, data)] = stranger.tick(0.0)
        with pytest.raises(FormatError):
            side.got(stun.read(data), place, 0.0)
    assert side.tick(0.0) == []


def test_an_answer_counts_only_from_where_it_was_asked() -> None:
    pair = Pair(None, None, relay=False)
    (_, asked), *_ = pair.sides[0].tick(1.0)
    [(_, answer), *_] = pair.sides[1].got(stun.read(asked), LEADER, 1.0)
    with pytest.raises(FormatError):
        pair.sides[0].got(stun.read(answer), Address("6.6.6.6", 6), 1.0)
    assert pair.sides[0].best is None
    pair.sides[0].got(stun.read(answer), FOLLOWER, 1.0)
    assert pair.sides[0].best is not None


def test_a_friend_who_turns_bad_gets_few_ways_and_few_answers() -> None:
    ours, theirs = Pair(None, None, relay=False).sides
    (_, asked), *_ = theirs.tick(1.0)
    out = [
        sent
        for n in range(2000)
        for sent in ours.got(stun.read(asked), Address("6.6.6.6", 1 + n), 1.0)
    ]
    assert len(out) <= 2 * MAX_WAYS + 60


@given(st.binary(max_size=120), st.integers(0, 84), st.binary(min_size=1, max_size=4))
@settings(max_examples=80, deadline=None)
def test_any_bytes_are_a_message_or_an_error(junk: bytes, at: int, patch: bytes) -> None:
    side = Pair(None, None).sides[0]
    (_, data), *_ = Pair(None, None).sides[1].tick(1.0)
    changed = data[:at] + patch + data[at + len(patch) :]
    for each in (junk, data[:4] + junk, data[:20] + junk, changed):
        if each == data:
            continue
        with pytest.raises(FormatError):
            side.got(stun.read(each), LEADER, 1.0)


def test_no_answer_is_longer_than_what_was_asked() -> None:
    for seen in (Address("9.9.9.9", 9), Address("2001:db8::1", 9)):
        asked = stun.ask(bytes(12))
        assert len(stun.answer(stun.read(asked), seen)) <= len(asked)
        checked = stun.check(bytes(12), ("a" * 8, "b" * 8), "p" * 24, PRIORITY=1)
        assert len(stun.answer(stun.read(checked), seen, "p" * 24)) <= len(checked)
