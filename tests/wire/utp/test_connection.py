"""Two machines back to back over a bad path."""

from random import Random

import pytest
from hypothesis import given, settings, strategies as st

from p2pswarm.errors import LocalProtocolError
from p2pswarm.wire.utp.connection import Connection, Phase
from p2pswarm.wire.utp.mtu import PathMtu
from p2pswarm.wire.utp.packet import DATA, FIN, RESET, STATE, SYN, Packet, ahead, read
from p2pswarm.wire.utp.sending import Sender
from tests.support.utp import Path, World


def opened(**path: float) -> World:
    world = World(Path(**path), Path(**path))  # type: ignore[arg-type]
    world.open()
    return world


def connection(side: object) -> Connection:
    held = side.connection  # type: ignore[attr-defined]
    assert isinstance(held, Connection)
    return held


@settings(max_examples=15, deadline=None)
@given(
    st.integers(0, 1 << 30),
    st.sampled_from((0.0, 0.01, 0.05)),
    st.sampled_from((0.0, 0.05)),
    st.sampled_from((0.0, 0.1)),
    st.sampled_from((0.001, 0.05, 0.3)),
    st.integers(1, 150_000),
    st.sampled_from((600, 1300, 1500)),
)
def test_all_bytes_arrive_in_order_both_ways(
    seed: int, loss: float, repeats: float, overtakes: float, delay: float, size: int, mtu: int
) -> None:
    paths = [Path(delay, repeats=repeats, overtakes=overtakes, mtu=mtu, rate=2e6) for _ in "ab"]
    world = World(*paths, seed=seed)
    world.open()
    for path in paths:  # a dialer gives up too soon to be tried with it
        path.loss = loss
    there, back = Random(seed).randbytes(size), Random(seed + 1).randbytes(size // 2)
    world.write(world.near, there)
    world.run(300, lambda: bool(world.far.heard))
    world.write(world.far, back)
    world.run(300, lambda: len(world.far.heard) == size and len(world.near.heard) == len(back))
    assert world.far.heard == there
    assert world.near.heard == back
    world.close(world.near)
    world.run(world.now + 60, lambda: connection(world.far).receiver.ended)
    assert connection(world.far).receiver.ended
    world.close(world.far)
    world.run(world.now + 100)
    assert [connection(side).phase for side in (world.near, world.far)] == [Phase.OVER] * 2
    assert max(world.near.most_sent, world.far.most_sent) <= 1472


def test_it_is_open_after_one_round_trip_and_closed_by_both() -> None:
    world = opened(delay=0.05)
    assert world.now == pytest.approx(0.1)
    world.write(world.near, b"hello")
    world.run(1)
    assert world.far.heard == b"hello"
    world.close(world.near)
    world.run(2)
    assert connection(world.far).receiver.ended
    assert connection(world.near).phase is Phase.OVER
    assert connection(world.near).over_because is None
    world.close(world.far)
    world.run(3)
    assert (
        connection(world.far).phase is Phase.CLOSING
    )  # nobody answers any more: a reset would end it


def test_who_closes_first_acks_the_other_end_and_both_are_over_at_once() -> None:
    world = opened()
    world.write(world.near, b"hello")
    world.run(1)
    world.far.closes = True
    world.close(world.near)
    world.run(1.2)
    for side in (world.near, world.far):
        assert connection(side).phase is Phase.OVER
        assert connection(side).over_because is None


def test_what_is_missing_is_told_beside_data_too() -> None:
    world = opened()
    world.write(world.near, b"first")
    world.run(1)
    near, now = connection(world.near), world.near.clock(world.now)
    near.write(b"lost")
    near.flush(now)
    near.write(b"early")
    (early,) = near.flush(now)
    connection(world.far).write(b"data")
    data, state = map(read, world.far.got(early, world.now))
    assert (data.kind, data.sacked) == (DATA, 0)
    assert (state.kind, state.sacked) == (STATE, 1)


def settled(**path: float) -> tuple[World, Path, float]:
    """A world that has sent something, the path to the far side, and the window now."""
    world = opened(**path)
    world.write(world.near, bytes(300_000))
    world.run(2)
    assert len(world.far.heard) == 300_000
    return world, world.paths[id(world.near)][0], connection(world.near).sender.ledbat.window


def test_a_lost_packet_halves_the_window() -> None:
    world, to, before = settled()
    to.loss = 1.0
    world.write(world.near, bytes(1000))
    to.loss = 0.0
    world.write(world.near, bytes(20_000))
    world.run(4)
    assert len(world.far.heard) == 321_000
    assert connection(world.near).sender.ledbat.window == pytest.approx(before / 2, rel=0.1)


def test_a_lost_probe_does_not() -> None:
    world, _, before = settled(mtu=1000)
    assert before > 100_000
    assert connection(world.near).sender.ledbat._doubles


def test_no_more_packets_are_on_their_way_than_others_keep() -> None:
    sender = Sender(1, 1 << 20, PathMtu(4))
    sender.ledbat.window = 1e6
    for _ in range(1500):
        sender.write(b"x")
        sender.due(0.0)
    assert ahead(sender.seq, sender.acked) - 1 == 1000
    assert sender.queued == 500


def test_the_end_comes_after_all_data() -> None:
    world = World(Path(loss=0.3), Path(), seed=4)
    world.open()
    world.write(world.near, bytes(100_000))
    world.close(world.near)
    world.run(100, lambda: bool(world.far.connection and world.far.connection.receiver.ended))
    assert len(world.far.heard) == 100_000


@pytest.mark.parametrize("seed", range(3))
def test_one_packet_in_seven_is_lost_both_ways(seed: int) -> None:
    world = World(Path(loss=0.15), Path(loss=0.15), seed=seed)
    world.open()
    world.write(world.near, bytes(400_000))
    world.run(60, lambda: len(world.far.heard) == 400_000)
    assert len(world.far.heard) == 400_000


def test_nobody_answers() -> None:
    world = World(Path(loss=1.0), Path())
    world.run(6.9)
    assert connection(world.near).phase is Phase.DIALING
    world.run(7.1)
    assert connection(world.near).phase is Phase.OVER
    assert isinstance(connection(world.near).over_because, TimeoutError)
    assert world.near.sent == 3


def test_silence_ends_it_after_five_resends() -> None:
    world = opened()
    world.write(world.near, b"x")
    world.run(1)
    before = world.near.sent
    world.paths[id(world.near)][0].loss = 1.0
    world.write(world.near, b"y")
    world.run(60)
    assert isinstance(connection(world.near).over_because, TimeoutError)
    assert world.near.sent == before + 1 + 1 + 5  # one that asks comes before the first timeout


def test_a_path_that_is_down_for_ten_seconds_ends_nothing() -> None:
    world = opened()
    to = world.paths[id(world.near)][0]
    world.write(world.near, bytes(3_000_000))
    world.run(0.3)
    to.loss = 1.0
    world.run(10.3)
    assert len(world.far.heard) < 3_000_000
    to.loss = 0.0
    world.run(40)
    assert len(world.far.heard) == 3_000_000


def test_who_does_not_read_is_sent_no_more_than_the_window_and_is_asked_for_ever() -> None:
    world = opened()
    world.far.reads = False
    world.write(world.near, bytes(1_000_000))
    world.run(3)
    far = connection(world.far).receiver
    assert 200_000 < sum(map(len, far.ready)) <= 256 << 10
    before = world.near.sent
    world.run(300)
    assert 5 < world.near.sent - before < 60  # one now and then
    assert connection(world.near).phase is Phase.OPEN
    world.far.reads = True
    world.run(400, lambda: len(world.far.heard) == 1_000_000)
    assert len(world.far.heard) == 1_000_000
    assert world.now < 335


def test_when_all_of_a_window_is_lost_a_few_packets_find_it_out() -> None:
    world = opened()
    to = world.paths[id(world.near)][0]
    world.write(world.near, bytes(50_000))
    world.run(2)
    to.loss = 1.0
    world.write(world.near, bytes(30_000))
    to.loss = 0.0
    began = world.now
    world.run(10, lambda: len(world.far.heard) == 80_000)
    assert len(world.far.heard) == 80_000
    assert world.now - began < 0.4  # a timeout alone takes half a second
    assert connection(world.near).sender.timeouts == 0


def test_a_gap_that_is_filled_late_says_nothing_about_the_round_trip() -> None:
    world = opened(delay=0.01)
    to, back = world.paths[id(world.near)][0], world.paths[id(world.far)][0]
    world.write(world.near, bytes(50_000))
    world.run(1)
    to.loss = 1.0
    world.write(world.near, b"lost")
    to.loss = 0.0
    back.loss = 1.0
    for _ in range(5):  # more than are sent again to ask
        world.write(world.near, b"early")
    world.run(world.now + 0.015)
    back.loss = 0.0
    world.run(3)
    assert len(world.far.heard) == 50_029
    assert connection(world.near).sender.round_trip < 0.03


def test_a_lost_word_that_there_is_room_again_is_asked_for() -> None:
    world = opened()
    world.far.reads = False
    world.write(world.near, bytes(400_000))
    world.run(3)
    back = world.paths[id(world.far)][0]
    back.loss = 1.0
    world.far.reads = True
    world.send(world.far, world.far.flush(world.now))
    back.loss = 0.0
    world.run(30)
    assert len(world.far.heard) == 400_000


@pytest.mark.parametrize("mtu", [576, 1000, 1280, 1492, 1500])
def test_the_largest_packet_that_the_path_takes_is_found(mtu: int) -> None:
    world = opened(mtu=mtu, delay=0.01)
    world.write(world.near, bytes(2_000_000))
    world.run(60)
    assert len(world.far.heard) == 2_000_000
    assert mtu - 28 - 16 <= connection(world.near).sender.mtu.size <= mtu - 28
    assert connection(world.near).over_because is None


def test_a_slow_path_is_filled_and_its_queue_kept_near_the_target() -> None:
    world = opened(delay=0.02, rate=1e6)
    to = world.paths[id(world.near)][0]
    waits = []
    world.write(world.near, bytes(20_000_000))
    for second in range(4, 16):
        world.run(second)
        waits.append(max(0.0, to.free_at - world.now))
    assert 0.9e6 < len(world.far.heard) / world.now < 1e6
    assert 0.03 < max(waits[4:]) < 0.15


@pytest.mark.parametrize("drift", [-2e-4, 2e-4])
def test_a_clock_that_drifts_does_not_starve_it(drift: float) -> None:
    """200 ppm are 60 ms in five minutes. Nothing is in the queue, so nothing may be felt there."""
    world = World(Path(0.01, rate=2e5), Path(0.01), drift=drift)
    world.open()
    for second in range(300):
        world.write(world.near, bytes(1000))
        world.write(world.far, bytes(100)) if second else None
        world.run(second + 1)
    for side in (world.near, world.far):
        assert connection(side)._ours.queueing < 0.03


def lying(**wrong: int) -> Connection:
    """A connection that has sent three packets and hears something."""
    world = opened()
    world.write(world.near, b"1")
    world.run(world.now + 1)
    near = connection(world.near)
    world.write(world.near, b"2")
    world.write(world.near, b"3")
    seq = (near.receiver.last + 1) & 0xFFFF
    said = Packet(STATE, near.receives, 0, 0, 1 << 20, seq, (near.sender.seq - 1) & 0xFFFF)
    fields = {
        name: (getattr(said, name) + value) & 0xFFFF if name in ("seq", "ack") else value
        for name, value in wrong.items()
    }
    near.got(said._replace(**fields), world.near.clock(world.now))
    return near


def test_an_ack_of_what_was_never_sent_ends_it() -> None:
    assert lying().phase is Phase.OPEN
    assert lying().sender.idle
    near = lying(ack=1)
    assert near.phase is Phase.OVER
    assert "never sent" in str(near.over_because)
    assert "never sent" in str(lying(ack=-1, sacked=1).over_because)
    assert lying(ack=-2, sacked=1).phase is Phase.OPEN


@pytest.mark.parametrize("kind", [DATA, FIN, STATE])
def test_what_is_far_from_anything_true_is_ignored(kind: int) -> None:
    near = lying(kind=kind, seq=30_000, ack=1)
    assert near.phase is Phase.OPEN
    assert not near.sender.idle


def test_a_reset_must_name_what_was_sent() -> None:
    assert isinstance(lying(kind=RESET).over_because, ConnectionResetError)
    assert lying(kind=RESET, ack=1).phase is Phase.OPEN
    assert lying(kind=RESET, ack=-1000).phase is Phase.OPEN


def test_a_syn_on_an_open_connection_is_ignored() -> None:
    assert not lying(kind=SYN).sender.idle


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.builds(
            Packet,
            st.sampled_from((DATA, FIN, STATE, RESET, SYN)),
            st.just(0),
            st.integers(0, 0xFFFFFFFF),
            st.integers(0, 0xFFFFFFFF),
            st.integers(0, 0xFFFFFFFF),
            st.integers(0, 0xFFFF) | st.integers(0, 8),
            st.integers(0, 0xFFFF) | st.integers(0, 8),
            st.binary(max_size=9),
            st.integers(0, 2**64),
        ),
        max_size=30,
    )
)
def test_whatever_a_stranger_says_nothing_else_is_raised(packets: list[Packet]) -> None:
    near = Connection.dial(Random(1), 0.0)
    near.sender.seq, near.sender.acked = 1, 0
    now = 0.0
    near.got(Packet(STATE, 0, 0, 0, 9999, 1, 0), now)
    near.write(bytes(5000))
    for packet in packets:
        now += 0.3
        near.got(packet, now)
        near.tick(now)
        for data in near.flush(now):
            read(data)
        assert near.sender._bytes >= 0
        assert near.receiver._held <= 256 << 10


def test_nothing_is_written_behind_the_end() -> None:
    near = lying()
    near.close()
    near.close()
    with pytest.raises(LocalProtocolError):
        near.write(b"x")
