"""Where we are at home, and how fast we look for others when many lost theirs."""

from collections.abc import Collection
from random import Random

from p2pswarm.formats.ids import Address
from p2pswarm.overlay.people.choosing import (
    DIAL_TIME,
    FULL,
    HOMES,
    LONGEST,
    STABLE,
    Choosing,
)

ALL = [Address(f"203.0.113.{number}", 4000) for number in range(1, 20)]


def choosing(seed: int = 1) -> Choosing:
    def candidates(n: int, busy: Collection[Address]) -> list[Address]:
        return [address for address in ALL if address not in busy][:n]

    return Choosing(candidates, Random(seed), 0.0)


def settle(choosing: Choosing, now: float) -> float:
    """Everybody who is dialed takes us in; when we are content."""
    while not choosing.content:
        now = max(now, choosing.due)
        address = choosing.step(now)
        if address is not None:
            choosing.settled(address, now)
    return now


def test_three_homes_within_moments() -> None:
    each = choosing()
    assert settle(each, 0.0) <= 2.0
    assert len(each.homes) == HOMES
    assert each.due == float("inf")


def test_who_says_nothing_and_who_is_full_make_room_for_others() -> None:
    each = choosing()
    first = each.step(0.0)
    assert first is not None
    now = each.due
    second = each.step(now)
    assert second is not None
    each.refused(second, now)
    now += DIAL_TIME
    dialed: list[Address] = []
    while now < FULL:
        address = each.step(now)
        if address is not None:
            dialed.append(address)
            each.failed(address, now)
        now = max(now + 0.1, each.due)
    others = len(ALL) - 2
    assert set(dialed[:others]) == set(ALL) - {first, second}  # each once, and all
    assert second not in dialed
    assert first in (*dialed[others:], each.step(now))


def test_whoever_lost_all_is_at_home_within_a_minute_when_half_of_all_are_dead() -> None:
    """A thousand users, each of whom knows nineteen, of whom ten do not answer any more."""
    waits: list[float] = []
    for seed in range(1000):
        dice = Random(seed)
        dead = set(dice.sample(ALL, 10))

        def candidates(n: int, busy: Collection[Address], dice: Random = dice) -> list[Address]:
            left = [address for address in ALL if address not in busy]
            return dice.sample(left, min(n, len(left)))

        each = Choosing(candidates, dice, 0.0)
        now = settle(each, 0.0) + STABLE
        lost = now
        for home in list(each.homes):
            each.lost(home, now)
        while not each.homes:
            now = max(now, each.due)
            address = each.step(now)
            if address in dead:
                each.failed(address, now)
            elif address is not None:
                each.settled(address, now)
        waits.append(now - lost)
    assert max(waits) < 60.0
    assert sorted(waits)[500] < 3.0


def test_nobody_to_dial_is_no_busy_loop() -> None:
    each = Choosing(lambda n, busy: [], Random(1), 0.0)
    now, looks = 0.0, 0
    while now < 600.0:
        assert each.step(now) is None
        assert each.due > now
        now, looks = each.due, looks + 1
    assert looks <= 600.0 / (LONGEST / 2) + 10


def test_the_only_one_that_is_known_is_tried_again_soon() -> None:
    """It may have begun in the same moment as we."""
    each = Choosing(lambda n, busy: [a for a in ALL[:1] if a not in busy], Random(1), 0.0)
    now, dials = 0.0, 0
    while now < 12.0:
        address = each.step(now)
        if address is not None:
            dials += 1
            each.failed(address, now)
        now = each.due
    assert 6 <= dials <= 12
    dials_at_first = dials
    while now < 120.0:
        address = each.step(now)
        if address is not None:
            dials += 1
            each.failed(address, now)
        now = each.due
    assert dials - dials_at_first <= 36  # it is not there


def test_losses_of_many_at_once_are_spread() -> None:
    """A thousand users lose all homes at once, and no fifth of them dials in one tenth of a second."""
    starts = []
    for seed in range(1000):
        each = choosing(seed)
        now = settle(each, 0.0) + STABLE
        for home in list(each.homes):
            each.lost(home, now)
        starts.append(each.due - now)
    assert max(starts) < 2.0
    busiest = max(sum(at <= start < at + 0.1 for start in starts) for at in starts)
    assert busiest < 200


def test_who_has_two_homes_is_in_no_hurry() -> None:
    waits = []
    for seed in range(100):
        each = choosing(seed)
        now = settle(each, 0.0) + STABLE
        each.lost(next(iter(each.homes)), now)
        waits.append(each.due - now)
    assert sum(waits) / len(waits) > 3.0


def test_dials_to_the_dead_grow_rare() -> None:
    each, now, dials = choosing(), 0.0, 0
    while now < 600.0:
        address = each.step(now)
        if address is not None:
            dials += 1
            each.failed(address, now)
        assert each.due > now
        now = each.due
    assert dials < 600.0 / LONGEST * 1.5
