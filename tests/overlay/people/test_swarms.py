"""Who is introduced to whom: both in one moment, seldom, and never to a host that is not theirs."""

from random import Random

import pytest
from hypothesis import given, settings, strategies as st

from p2pswarm.errors import RemoteProtocolError
from p2pswarm.formats.ids import Address, InfoHash
from p2pswarm.formats.people.swarms import SwarmName
from p2pswarm.overlay.people import swarms as room
from p2pswarm.overlay.people.swarms import Swarms
from p2pswarm.wire.people.dictionary import PeopleMessage
from p2pswarm.wire.people.relaying import Meet, Swarm

ONE, TWO = InfoHash(b"1" * 20), InfoHash(b"2" * 20)


class Guest:
    """Remembers what it is told."""

    def __init__(self, number: int) -> None:
        self.host = f"8.8.{number // 250}.{number % 250 + 1}"
        self.place, self.node = Address(self.host, 5000), number.to_bytes(16)
        self.heard: list[Meet] = []

    def say(self, message: PeopleMessage) -> None:
        assert isinstance(message, Meet)
        message.encode()
        self.heard.append(message)


class Room:
    def __init__(self) -> None:
        self.tickets: list[bytes] = []
        self.swarms = Swarms(Random(1), lambda session, now: self.tickets.append(session))

    def say(self, guest: Guest, *names: InfoHash, now: float = 0.0, at: str = "") -> None:
        places = (Address(at, 5000),) if at else (guest.place,)
        self.swarms.told(guest, guest.node, Swarm(names, places), guest.host, now)
        self.swarms.check()


def test_two_of_a_swarm_are_told_of_each_other_and_one_speaks_first() -> None:
    ann, bob, other, room_ = Guest(1), Guest(2), Guest(3), Room()
    room_.say(ann, ONE)
    room_.say(other, TWO)
    room_.say(bob, ONE, TWO)
    [to_ann], [to_bob, _] = ann.heard, bob.heard
    assert (to_ann.addresses, to_bob.addresses) == ((bob.place,), (ann.place,))
    assert to_ann.session == to_bob.session == room_.tickets[0]
    assert to_ann.peer == SwarmName.member(ONE, bob.node)
    assert {to_ann.speaks, to_bob.speaks} == {True, False}
    assert len(other.heard) == 1


def test_the_same_two_meet_once_in_two_minutes() -> None:
    ann, bob, room_ = Guest(1), Guest(2), Room()
    for now in (0.0, 1.0, 109.0):
        room_.say(ann, ONE, now=now)
        room_.say(bob, ONE, now=now)
    assert len(ann.heard) == 1
    room_.say(ann, ONE, now=111.0)
    assert len(ann.heard) == len(bob.heard) == 2


def test_nobody_is_told_of_a_place_that_is_not_the_guests() -> None:
    ann, eve, room_ = Guest(1), Guest(2), Room()
    room_.say(ann, ONE)
    room_.say(eve, ONE, at="9.9.9.9")
    assert ann.heard[0].addresses == ()
    assert eve.heard[0].addresses == (ann.place,)


def test_a_crowd_is_told_of_a_few_at_a_time() -> None:
    crowd, room_ = [Guest(n) for n in range(30)], Room()
    for guest in crowd:
        room_.say(guest, ONE)
    assert len(crowd[-1].heard) == room.MOST_AT_ONCE
    assert all(len(guest.heard) <= room.MEETINGS[1] for guest in crowd)


def test_one_guest_is_not_named_to_everybody_at_once() -> None:
    famous, room_ = Guest(0), Room()
    for n in range(40):
        name = InfoHash(n.to_bytes(20))
        for k in range(5):
            room_.say(Guest(1 + 5 * n + k), name)
    names = [InfoHash(n.to_bytes(20)) for n in range(40)]
    room_.say(famous, *names)
    assert len(famous.heard) == room.MEETINGS[1]


def test_who_left_is_named_to_nobody() -> None:
    ann, bob, room_ = Guest(1), Guest(2), Room()
    room_.say(ann, ONE, TWO)
    room_.swarms.left(ann)
    room_.swarms.left(ann)
    room_.say(bob, ONE)
    assert not bob.heard
    assert len(room_.swarms) == 1
    room_.say(bob)
    assert not len(room_.swarms)


def test_who_says_it_too_often_is_at_fault() -> None:
    room_, ann = Room(), Guest(1)
    for _ in range(int(room.WORDS[1])):
        room_.say(ann, ONE)
    with pytest.raises(RemoteProtocolError):
        room_.say(ann, ONE)


def test_without_a_relay_there_are_no_tickets() -> None:
    swarms, ann, bob = Swarms(Random(1), None), Guest(1), Guest(2)
    for guest in (ann, bob):
        swarms.told(guest, guest.node, Swarm((ONE,), ()), guest.host, 0.0)
    assert ann.heard[0].session


def test_a_swarm_has_room_for_so_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "MOST_OF_SWARM", 3)
    monkeypatch.setattr(room, "MOST_MEMBERS", 4)
    room_ = Room()
    for n in range(5):
        room_.say(Guest(n), ONE, TWO)
    assert room_.swarms._count == 4


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 4), st.lists(st.integers(0, 3), max_size=3), st.booleans()),
        max_size=30,
    )
)
def test_the_books_are_right_whatever_is_said(words: list[tuple[int, list[int], bool]]) -> None:
    guests, room_ = [Guest(n) for n in range(5)], Room()
    for now, (who, names, leaves) in enumerate(words):
        room_.say(guests[who], *(InfoHash(n.to_bytes(20)) for n in names), now=5.0 * now)
        if leaves:
            room_.swarms.left(guests[who])
            room_.swarms.check()


def test_a_swarm_is_named_by_a_hash_of_its_name() -> None:
    name = SwarmName.of(ONE)
    assert name.name != ONE
    assert len(name.place) == 32
    assert name.nearness(b"n" * 16) != SwarmName.of(TWO).nearness(b"n" * 16)
