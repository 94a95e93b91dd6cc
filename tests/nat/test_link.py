"""The bad link is what it says: its lanes on a clock of their own, and packets of a real one, counted."""

import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from tests.nat.link import TUN, Lane, Weather
from tests.nat.world import Host, World, world
from tests.support.patience import PATIENCE

pytestmark = pytest.mark.nat

PACKET = bytes(1000)


def lane(weather: Weather) -> Lane:
    made = Lane(Random(1))
    made.weather = weather
    return made


def arrivals(through: Lane, packets: int, every: float = 0.01) -> dict[int, list[float]]:
    """When each of those that were sent so many seconds apart was there."""
    there: dict[int, list[float]] = {number: [] for number in range(packets)}
    moments = {number * every: number.to_bytes(4, "big") + PACKET[4:] for number in range(packets)}
    for now, packet in moments.items():
        through.put(packet, now)
    while (now := through.next) < float("inf"):
        for packet in through.take(now):
            there[int.from_bytes(packet[:4], "big")].append(now)
    return there


def test_packets_take_their_time_in_order() -> None:
    there = arrivals(lane(Weather(delay=0.1, jitter=0.05)), 200)
    times = [when for [when] in there.values()]
    assert times == sorted(times)
    assert all(0.1 <= when - number * 0.01 < 0.151 for number, when in enumerate(times))


def test_what_overtakes_others_is_there_at_once() -> None:
    there = arrivals(lane(Weather(delay=0.1, reorder=0.1)), 1000)
    early = [number for number, [when] in there.items() if when - number * 0.01 < 0.05]
    assert 60 < len(early) < 140


def test_some_come_twice() -> None:
    there = arrivals(lane(Weather(duplicate=0.1)), 1000)
    assert 60 < sum(len(times) == 2 for times in there.values()) < 140


@pytest.mark.parametrize(("burst", "runs"), [(1.0, 90), (10.0, 10)])
def test_as_many_are_lost_as_it_says_alone_or_in_a_row(burst: float, runs: int) -> None:
    there = arrivals(lane(Weather(loss=0.1, burst=burst)), 1000)
    lost = [not times for times in there.values()]
    begins = sum(now and not before for before, now in zip([False, *lost], lost, strict=False))
    assert 50 < sum(lost) < 160
    assert runs / 2 < begins < runs * 2


def test_a_rate_is_kept_and_a_full_queue_drops() -> None:
    there = arrivals(lane(Weather(rate=50_000, queue=10_000)), 200)  # twice as much is sent
    times = [when for [when] in (each for each in there.values() if each)]
    assert 100 <= len(times) <= 112
    assert max(times) == pytest.approx(2.0 + 0.2, abs=0.05)


def test_what_is_larger_than_the_path_is_lost() -> None:
    assert not any(arrivals(lane(Weather(mtu=999)), 10).values())
    assert all(arrivals(lane(Weather(mtu=1000)), 10).values())


@pytest.fixture(scope="module")
def lab() -> Iterator[World]:
    with world() as made:
        yield made


def echoed(lab: World, far: Host, within: float) -> float:
    """Seconds to a host and back; raises TimeoutError."""
    near = lab.host()
    with near.inside():
        here = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with far.inside():
        there = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with here, there:
        there.bind((far.public, 9))
        for each in (here, there):
            each.settimeout(within)
        begun = time.monotonic()
        here.sendto(PACKET, (far.public, 9))
        there.sendto(*there.recvfrom(2000))
        here.recv(2000)
        return time.monotonic() - begun


@pytest.mark.skipif(not Path("/dev/net/tun").exists(), reason="NOT TESTED: there is no TUN here")
@pytest.mark.skipif(not os.access(TUN, os.R_OK | os.W_OK), reason="there is no TUN device to use")
def test_a_host_may_hang_on_one(lab: World) -> None:
    far = lab.host(weather=Weather(delay=0.1))
    assert echoed(lab, far, PATIENCE) > 0.2
    assert far.link is not None
    far.link.set(Weather(mtu=800))
    with pytest.raises(TimeoutError):
        echoed(lab, far, 0.5)
