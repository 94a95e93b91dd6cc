"""Packets put in order."""

from random import Random

from hypothesis import given, settings, strategies as st

from p2pswarm.wire.utp.receiving import FIRST_WINDOW, MOST_WINDOW, Receiver


@settings(max_examples=40)
@given(st.integers(0, 0xFFFF), st.integers(1, 60), st.integers(0, 1000))
def test_in_any_order_and_more_than_once(last: int, count: int, seed: int) -> None:
    receiver, dice = Receiver(last), Random(seed)
    packets = [((last + 1 + n) & 0xFFFF, bytes((n,)) * (n % 3)) for n in range(count)]
    order = packets * 2
    dice.shuffle(order)
    got = b""
    for seq, payload in order:
        receiver.got(seq, payload)
        if dice.random() < 0.5:
            got += b"".join(receiver.take())
    got += b"".join(receiver.take())
    assert got == b"".join(payload for _, payload in packets)
    assert receiver.last == packets[-1][0]
    assert receiver.early == 0
    assert receiver.window == receiver._limit


def test_what_is_early_has_its_bit() -> None:
    receiver = Receiver(0xFFFE)
    for seq in (1, 4, 1, 3):
        receiver.got(seq, b"x")
    assert receiver.early == 0b11010
    receiver.got(0xFFFF, b"x")
    assert (receiver.last, receiver.early) == (0xFFFF, 0b1101)
    receiver.got(0, b"x")
    assert (receiver.last, receiver.early) == (1, 0b11)
    assert receiver.take() == [b"x"] * 3


def test_the_window_of_a_stranger_is_small_and_holds() -> None:
    receiver = Receiver(0)
    for seq in range(2, 2000):
        receiver.got(seq, bytes(1400))
    assert 0 <= receiver.window < 1400
    assert receiver._held <= FIRST_WINDOW
    assert len(receiver._kept) <= 1024


def test_tiny_packets_are_counted_too() -> None:
    receiver = Receiver(0)
    for seq in range(2, 5000):
        receiver.got(seq, b"")
    assert len(receiver._kept) == 1023


def test_the_window_grows_by_what_is_read() -> None:
    receiver = Receiver(0)
    for seq in range(1, 4000):
        receiver.got(seq, bytes(1400))
        receiver.take()
    assert receiver.window == MOST_WINDOW


def test_room_again_is_told() -> None:
    receiver = Receiver(0)
    for seq in range(1, 180):
        receiver.got(seq, bytes(1400))
    receiver.must_ack = False
    receiver.take()
    assert receiver.must_ack


def test_nothing_comes_behind_the_end() -> None:
    receiver = Receiver(10)
    receiver.got(14, b"beyond")
    receiver.got(12, b"b")
    receiver.got_end(13, b"")
    receiver.got_end(12, b"")  # there is one end
    assert not receiver.ended
    receiver.got(14, b"beyond")
    receiver.got(11, b"a")
    assert receiver.ended
    assert receiver.take() == [b"a", b"b"]
    assert receiver.early == 0
    receiver.got(14, b"beyond")
    assert receiver.take() == []
    assert receiver.window == receiver._limit
