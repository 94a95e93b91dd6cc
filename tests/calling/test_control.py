"""What is said arrives once and in order, whatever becomes of the connections."""

from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings, strategies as st

from p2pswarm.calling.control import MOST, ROOM, Control
from p2pswarm.errors import LocalProtocolError, RemoteProtocolError
from p2pswarm.wire.calling.frames import CallFrame, CallFramer, CallHello, CallKind
from tests.support.feeding import feed

SESSION = b"0123456789abcdef"


def side(key: bytes = b"k", session: bytes = SESSION) -> Control:
    return Control(CallHello(session, "call", key * 32))


class Two:
    """Two sides and the bytes between them."""

    def __init__(self) -> None:
        self.sides = side(b"a"), side(b"b")
        self.heard: tuple[list[CallFrame], list[CallFrame]] = [], []
        self.connect()

    def connect(self) -> None:
        for each in self.sides:
            each.begin()

    def carry(self, source: int) -> bool:
        """All that one side has to send reaches the other."""
        target = self.sides[1 - source]
        data = self.sides[source].take()
        for frame in feed(CallFramer(), data):
            assert isinstance(frame, CallFrame)
            new = target.got(frame)
            if new is not None:
                self.heard[1 - source].append(new)
        target.caught_up()
        for each in self.sides:
            each.check()
        return bool(data)

    def carry_all(self) -> None:
        while self.carry(0) | self.carry(1):
            pass

    def texts(self, at: int) -> list[bytes]:
        return [frame.body for frame in self.heard[at]]


def test_what_is_said_is_heard_and_then_forgotten() -> None:
    two = Two()
    two.sides[0].say(CallKind.TEXT, b"before the greeting")
    two.carry_all()
    two.sides[0].say(CallKind.TEXT, b"hello")
    two.sides[1].say(CallKind.TEXT, b"good evening")
    two.sides[0].mention(CallKind.MEDIA, b"hum")
    two.carry_all()
    assert two.texts(1) == [b"before the greeting", b"hello", b"hum"]
    assert two.texts(0) == [b"good evening"]
    assert two.sides[0].settled
    assert two.sides[1].settled


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 1 << 30))
def test_connections_that_break_lose_and_double_nothing(seed: int) -> None:
    dice, two, said = Random(seed), Two(), ([], [])
    for number in range(60):
        who = dice.randrange(2)
        match dice.randrange(4):
            case 0:
                two.carry(who)
            case 1 if dice.random() < 0.3:
                two.connect()  # what was on its way is lost
            case _:
                text = str(number).encode()
                two.sides[who].say(CallKind.TEXT, text)
                said[who].append(text)
    two.connect()
    two.carry_all()
    assert two.texts(1) == said[0]
    assert two.texts(0) == said[1]
    assert two.sides[0].settled


def test_what_is_only_mentioned_is_not_said_again() -> None:
    two = Two()
    two.carry_all()
    two.sides[0].mention(CallKind.MEDIA, b"lost")
    two.connect()
    two.sides[0].mention(CallKind.MEDIA, b"nobody listens yet")
    two.carry_all()
    assert two.texts(1) == []


def test_who_says_more_than_is_heard_waits() -> None:
    control = side()
    while control.has_room:
        control.say(CallKind.DATA, bytes(16 << 10))
    assert ROOM <= control._bytes < ROOM + (17 << 10)
    while control._bytes <= MOST:
        control.say(CallKind.DATA, bytes(16 << 10))
    with pytest.raises(LocalProtocolError):
        control.say(CallKind.TEXT, b"")


def feed_frames(control: Control, count: int) -> None:
    for number in range(1, count):
        control.got(CallFrame(CallKind.DATA, number, body=bytes(16 << 10)))


def hello(key: bytes = b"b", session: bytes = SESSION, heard: int = 0) -> CallFrame:
    return CallFrame(CallKind.HELLO, 0, heard, CallHello(session, "call", key * 32).encode())


@pytest.mark.parametrize(
    ("frames", "why"),
    [
        ([CallFrame(CallKind.TEXT, 1)], "begins without a greeting"),
        ([hello(), hello()], "second greeting"),
        ([hello(session=bytes(16))], "of another call"),
        ([hello(heard=1)], "never said"),
        ([hello(), CallFrame(CallKind.TEXT, 2)], "after 0 comes 2"),
        ([hello(), CallFrame(CallKind.TEXT, 1, heard=7)], "never said"),
        ([CallFrame(CallKind.HELLO, body=b"de")], "without its session"),
    ],
)
def test_who_breaks_the_rules_is_told_so(frames: list[CallFrame], why: str) -> None:
    control = side()
    control.begin()
    for frame in frames[:-1]:
        control.got(frame)
    with pytest.raises(RemoteProtocolError, match=why):
        control.got(frames[-1])


def test_nobody_becomes_somebody_else_on_another_connection() -> None:
    control = side()
    control.begin()
    control.got(hello())
    control.begin()
    with pytest.raises(RemoteProtocolError, match="another greeting"):
        control.got(hello(key=b"c"))


def test_a_kind_from_tomorrow_is_counted() -> None:
    two = Two()
    two.sides[0].say(0x77, b"?")
    two.carry_all()
    assert two.sides[0].settled
    assert [a.number <= b.number for a, b in pairwise(two.heard[1])] == []


def test_who_holds_is_not_sent_more_than_there_is_room_for() -> None:
    two = Two()
    two.carry_all()
    two.sides[1].hold()
    while two.sides[0].has_room:
        two.sides[0].say(CallKind.DATA, bytes(16 << 10))
        two.carry_all()
    assert len(two.heard[1]) == ROOM >> 14
    two.connect()
    two.carry_all()
    assert len(two.heard[1]) == ROOM >> 14  # again, but not heard twice
    two.sides[1].free()
    two.sides[1].caught_up()
    two.carry_all()
    assert two.sides[0].settled


def test_who_says_more_all_the_same_is_hung_up_on() -> None:
    control = side()
    control.begin()
    control.got(hello())
    control.hold()
    with pytest.raises(RemoteProtocolError, match="than there is room for"):
        feed_frames(control, 300)
