"""When hosts that the user named are dialed again: soon, and not so often that they ban us."""

from collections.abc import Callable
from random import Random

import pytest

from p2pswarm.formats.ids import Address
from p2pswarm.overlay.budget import DialBudget
from p2pswarm.overlay.gnutella.place.prospects import Prospects
from p2pswarm.overlay.hosts.hosts import Hosts

HOST = Address("10.0.0.1", 6346)
Told = Callable[[Prospects, float], None]


def refused(prospects: Prospects, now: float) -> None:
    prospects.refused(HOST, now, now)


def lost(prospects: Prospects, now: float) -> None:
    """Let in, and thrown out at once."""
    prospects.succeeded(HOST, now, now, ultrapeer=True)


def refused_and_changed(prospects: Prospects, now: float) -> None:
    refused(prospects, now)
    prospects.again(now + 1)


def crossed(prospects: Prospects, now: float) -> None:
    """It connects to us itself, and fails."""
    prospects.refused(HOST, now, now, crossed=True)


def failed(prospects: Prospects, now: float) -> None:
    """Nobody is there."""
    prospects.failed(HOST, now)


def dials(told: Told, seconds: float, seed: int = 1) -> list[float]:
    prospects = Prospects([HOST], Hosts("gnutella"), DialBudget(), Random(seed))
    times, now = list[float](), 1000.0
    while now < 1000.0 + seconds:
        if prospects.next(1, (), now, now):
            times.append(now)
            told(prospects, now)
        now += 1.0
    return times


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("told", [refused, lost, refused_and_changed, crossed])
def test_who_answered_is_not_greeted_so_often_that_it_bans_us(told: Told, seed: int) -> None:
    """As gtk-gnutella counts: two in a minute, each forgotten in half a minute."""
    times, counter, before = dials(told, 600, seed), 0.0, 0.0
    for now in times:
        counter = max(counter - (now - before) * 2 / 60, 0.0) + 1
        before = now
        assert counter <= 2
    assert len(times) >= 9
    if told is not refused:  # at first it may have been a mishap, or our role
        assert times[1] - times[0] <= 3


def test_who_is_not_there_yet_is_dialed_soon() -> None:
    assert len(dials(failed, 30)) >= 4
