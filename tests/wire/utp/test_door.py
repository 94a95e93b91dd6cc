"""Who said SYN, before it has proved its address."""

from random import Random

import pytest

from p2pswarm.formats.ids import Address
from p2pswarm.wire.utp.connection import Connection, Phase
from p2pswarm.wire.utp.door import MOST, Door
from p2pswarm.wire.utp.packet import DATA, FIN, RESET, STATE, SYN, Packet, read

HERE = Address("192.0.2.1", 1)


def syn(connection: int = 5, seq: int = 100) -> Packet:
    return Packet(SYN, connection, 1, 0, 9, seq, 0)


def test_the_answer_is_no_larger_and_comes_the_same_again() -> None:
    door = Door(Random(1))
    answers = [door.knocked(syn(), HERE, 1.0) for _ in range(2)]
    assert [len(answer) for answer in answers] == [len(syn().pack())] * 2
    one, two = map(read, answers)
    assert (one.kind, one.connection, one.ack) == (STATE, 5, 100)
    assert one.seq == two.seq
    assert len(door) == 1


@pytest.mark.parametrize("kind", [DATA, STATE, FIN])
def test_who_heard_the_answer_is_connected(kind: int) -> None:
    door = Door(Random(1))
    answer = read(door.knocked(syn(), HERE, 1.0))
    said = Packet(kind, 6, 1, 0, 9, 101, (answer.seq - 1) & 0xFFFF, b"hello")
    connection = door.proved(said, HERE, 4)
    assert connection is not None
    connection.got(said, 1.0)
    assert connection.phase is Phase.OPEN
    assert connection.receiver.take() == ([] if kind == STATE else [b"hello"])
    assert (connection.receives, connection.sends) == (6, 5)
    assert door.proved(said, HERE, 4) is None


def test_what_comes_second_may_arrive_first() -> None:
    door = Door(Random(1))
    answer = read(door.knocked(syn(), HERE, 1.0))
    first, second = (
        Packet(DATA, 6, 1, 0, 9, seq, (answer.seq - 1) & 0xFFFF, text)
        for seq, text in ((101, b"one"), (102, b"two"))
    )
    connection = door.proved(second, HERE, 4)
    assert connection is not None
    for packet in (second, first):
        connection.got(packet, 1.0)
    assert connection.receiver.take() == [b"one", b"two"]


def test_a_guess_proves_nothing() -> None:
    door = Door(Random(1))
    answer = read(door.knocked(syn(), HERE, 1.0))
    right = Packet(DATA, 6, 1, 0, 9, 101, (answer.seq - 1) & 0xFFFF)
    for wrong in (
        right._replace(ack=answer.seq),
        right._replace(connection=5),
        right._replace(kind=RESET),
        right._replace(seq=99),
        right._replace(seq=5000),
    ):
        assert door.proved(wrong, HERE, 4) is None
    assert door.proved(right, Address("192.0.2.1", 2), 4) is None
    assert door.proved(right, HERE, 4) is not None


def test_a_flood_leaves_no_more_than_so_much() -> None:
    door = Door(Random(1))
    for port in range(1, MOST + 100):
        door.knocked(syn(), Address("192.0.2.1", port), 1.0)
    assert len(door) == MOST


def test_a_dialer_that_begins_anew_is_counted_anew() -> None:
    door = Door(Random(1))
    door.knocked(syn(seq=1), HERE, 1.0)
    answer = read(door.knocked(syn(seq=500), HERE, 1.0))
    assert answer.ack == 500
    said = Packet(DATA, 6, 1, 0, 9, 501, (answer.seq - 1) & 0xFFFF, b"x")
    assert door.proved(said, HERE, 4) is not None


def test_a_dialer_listens_to_the_answer_alone() -> None:
    near = Connection.dial(Random(2), 0.0)
    (sent,) = near.flush(0.0)
    asked = read(sent)
    assert asked.kind == SYN
    answer = Packet(STATE, near.receives, 1, 0, 9, 77, asked.seq)
    for wrong in (
        answer._replace(ack=asked.seq + 1 & 0xFFFF),
        answer._replace(kind=DATA),
        answer._replace(kind=FIN),
        answer._replace(kind=RESET, ack=asked.seq + 1 & 0xFFFF),
    ):
        near.got(wrong, 0.1)
        assert near.phase is Phase.DIALING
    near.got(answer, 0.1)
    assert near.phase is Phase.OPEN
    assert near.receiver.last == 76
    refused = Connection.dial(Random(2), 0.0)
    refused.got(answer._replace(kind=RESET, connection=refused.receives), 0.1)
    assert refused.phase is Phase.OVER
