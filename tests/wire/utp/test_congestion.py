"""The window, the delays and the packet size, each by itself."""

import pytest

from p2pswarm.wire.utp.delays import DelayHistory
from p2pswarm.wire.utp.ledbat import Ledbat
from p2pswarm.wire.utp.mtu import PathMtu


def filled(ledbat: Ledbat, queueing: float) -> None:
    """A whole window arrives."""
    ledbat.acked(int(ledbat.window), queueing, limited=True)


def test_it_doubles_until_the_queue_is_felt() -> None:
    ledbat = Ledbat()
    for _ in range(5):
        filled(ledbat, 0.0)
    assert ledbat.window == 3000 * 2**5
    filled(ledbat, 0.06)
    assert ledbat.window == pytest.approx(3000 * 2**5 + 1200)
    filled(ledbat, 0.0)
    assert ledbat.window == pytest.approx(3000 * 2**5 + 4200)


def test_it_keeps_at_the_target_and_shrinks_above() -> None:
    ledbat = Ledbat()
    ledbat.window, ledbat._doubles = 100_000.0, False
    filled(ledbat, 0.1)
    assert ledbat.window == 100_000
    filled(ledbat, 0.3)
    assert ledbat.window == pytest.approx(94_000)
    filled(ledbat, 60.0)
    assert ledbat.window == pytest.approx(47_000)


def test_a_window_that_is_not_filled_does_not_grow() -> None:
    ledbat = Ledbat()
    ledbat.acked(1000, 0.0, limited=False)
    assert ledbat.window == 3000


def test_it_is_halved_once_in_a_round_trip() -> None:
    ledbat = Ledbat()
    ledbat.window = 100_000.0
    for now, window in ((1.0, 50_000), (1.05, 50_000), (1.11, 25_000), (1.3, 12_500)):
        ledbat.lost(now, 0.02)
        assert ledbat.window == window
    ledbat.lost(2.0, 0.5)
    ledbat.lost(2.4, 0.5)
    assert ledbat.window == 6250


def test_after_a_timeout_it_doubles_up_to_half() -> None:
    ledbat = Ledbat()
    ledbat.window = 100_000.0
    ledbat.timed_out(1000)
    assert ledbat.window == 1000
    for _ in range(6):
        filled(ledbat, 0.0)
    assert ledbat.window == 64_000
    filled(ledbat, 0.0)
    assert ledbat.window == 67_000


def test_a_delay_is_what_is_above_the_smallest_even_around_zero() -> None:
    delays = DelayHistory()
    for sample in (0xFFFFFFF0, 0x10, 0xFFFFFFE0):
        delays.add(sample, 0.0)
    for _ in range(3):
        delays.add((0xFFFFFFE0 + 50_000) & 0xFFFFFFFF, 1.0)
    assert delays.base == 0xFFFFFFE0
    assert delays.queueing == pytest.approx(0.05)


def test_the_smallest_is_forgotten_after_minutes() -> None:
    delays = DelayHistory()
    delays.add(1000, 0.0)
    for minute in range(1, 13):
        delays.add(90_000, minute * 60.0)
    assert delays.base == 1000
    delays.add(90_000, 13 * 60.0)
    assert delays.base == 90_000


def test_one_late_packet_is_no_queue() -> None:
    delays = DelayHistory()
    for sample in (1000, 1000, 90_000):
        delays.add(sample, 0.0)
    assert delays.queueing == 0


def test_their_new_minimum_moves_ours_but_not_far() -> None:
    delays = DelayHistory()
    assert delays.add(5000, 0.0) == 0
    assert delays.add(4900, 1.0) == 100
    assert delays.add(5100, 2.0) == 0
    delays.shift(100)
    assert delays.base == 5000
    delays.shift(20_000)
    assert delays.base == 5000


def found(version: int, takes: int) -> tuple[int, int]:
    """The size found on a path that takes this, and after how many probes."""
    mtu, probes = PathMtu(version), 0
    while mtu.probe is not None:
        probes += 1
        size = mtu.probe
        mtu.sent(probes)
        if size <= takes:
            mtu.arrived(probes)
        else:
            assert mtu.lost(probes)
        assert probes < 20
    return mtu.size, probes


def test_most_paths_need_one_probe() -> None:
    assert found(4, 1472) == (1472, 1)
    assert found(6, 1452) == (1452, 1)


@pytest.mark.parametrize("takes", [548, 700, 1232, 1452, 1471])
def test_the_size_is_found_within_a_few_bytes(takes: int) -> None:
    size, probes = found(4, takes)
    assert takes - 24 <= size <= takes
    assert probes <= 14


def test_one_loss_is_no_proof_and_other_packets_are_none_of_its_business() -> None:
    mtu = PathMtu(4)
    assert mtu.size == 548
    mtu.sent(7)
    assert mtu.probe is None
    assert not mtu.lost(6)
    mtu.arrived(6)
    assert mtu.lost(7)
    assert mtu.probe == 1472
    mtu.sent(9)
    mtu.arrived(9)
    assert mtu.size == 1472
    assert mtu.probe is None
