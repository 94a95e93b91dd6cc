"""Channels: nothing goes to an address that did not prove itself, and nothing grows on the way."""

from random import Random

import pytest

from p2pswarm.errors import RemoteProtocolError
from p2pswarm.formats.ids import Address
from p2pswarm.overlay.people.channels import MOST_PAYLOAD, Channel, Channels
from p2pswarm.wire.people.knocking import NOBODY, Knock
from p2pswarm.wire.people.marked import Relayed

ANN, BOB, EVE = (Address(f"8.8.8.{n}", 46881) for n in (1, 2, 3))


class Room:
    """A relay of two, `ann` and `bob`, and what it sends."""

    def __init__(self) -> None:
        self.sent: list[tuple[bytes, Address]] = []
        self.asked: list[int] = []
        self.full = False
        self.channels = Channels(lambda data, to: self.sent.append((data, to)), Random(1))
        self.ann, self.bob = self.channels.open(self._may_pass)

    def _may_pass(self, size: int) -> bool:
        self.asked.append(size)
        return not self.full

    def prove(self, channel: Channel, address: Address) -> None:
        self.channels.got(Knock(channel.id, channel.secret).encode(), address)
        answer, to = self.sent.pop()
        assert to == address
        self.channels.got(answer, address)
        assert self.sent.pop() == (answer, address)

    def both(self) -> None:
        self.prove(self.ann, ANN)
        self.prove(self.bob, BOB)

    def say(self, channel: Channel, payload: bytes, address: Address) -> None:
        self.channels.got(Relayed(channel.id, channel.secret, payload).encode(), address)

    @property
    def heard(self) -> list[tuple[Relayed, Address]]:
        return [(Relayed.read(data), to) for data, to in self.sent]


def through(channel: Channel, payload: bytes) -> Relayed:
    return Relayed(channel.id, channel.secret, payload)


def test_what_one_says_the_other_hears_by_his_own_channel() -> None:
    room = Room()
    room.both()
    room.say(room.ann, b"hello", ANN)
    room.say(room.bob, b"hi", BOB)
    assert room.heard == [(through(room.bob, b"hello"), BOB), (through(room.ann, b"hi"), ANN)]
    assert room.asked == [5, 2]


def test_nothing_goes_to_who_was_only_named() -> None:
    """Ann knocks with the address of a victim: it is sent one datagram, no longer than hers."""
    room = Room()
    room.prove(room.bob, BOB)
    knock = Knock(room.ann.id, room.ann.secret).encode()
    room.channels.got(knock, EVE)
    [(answer, to)] = room.sent
    assert to == EVE
    assert len(answer) == len(knock)
    room.sent.clear()
    room.say(room.bob, b"a flood", BOB)
    assert not room.sent
    room.channels.got(answer, ANN)
    room.sent.clear()
    room.say(room.bob, b"a flood", BOB)
    assert not room.sent, "a cookie is good for one address"


def test_only_who_proved_himself_is_heard() -> None:
    room = Room()
    room.both()
    room.say(room.ann, b"not me", EVE)
    room.say(Channel(b"unknown!", b"pass", bool), b"nobody", ANN)
    room.say(Channel(room.ann.id, b"pass", bool), b"a guess", ANN)
    room.channels.got(Knock(room.ann.id, b"pass").encode(), EVE)
    assert not room.sent


def test_who_gets_another_address_proves_it_and_goes_on_there() -> None:
    room = Room()
    room.both()
    room.prove(room.ann, EVE)
    room.say(room.bob, b"hi", BOB)
    room.say(room.ann, b"old", ANN)
    assert room.heard == [(through(room.ann, b"hi"), EVE)]


def test_what_may_not_pass_is_dropped() -> None:
    room = Room()
    room.both()
    room.full = True
    room.say(room.ann, b"hello", ANN)
    assert not room.sent


def test_a_closed_channel_is_no_more() -> None:
    room = Room()
    room.both()
    room.channels.close(room.ann)
    room.channels.close(room.bob)
    room.say(room.bob, b"hi", BOB)
    room.channels.got(Knock(room.ann.id, room.ann.secret).encode(), ANN)
    assert not room.sent
    assert not len(room.channels)


@pytest.mark.parametrize(
    "noise",
    [b"P2PR", b"P2PR" + bytes(30), Relayed(NOBODY, b"pass", b"short").encode()],
)
def test_noise_is_the_strangers_fault(noise: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        Room().channels.got(noise, ANN)


def test_what_would_have_to_be_cut_on_its_way_is_not_passed_on() -> None:
    room = Room()
    room.both()
    room.say(room.ann, bytes(MOST_PAYLOAD), ANN)
    assert len(room.sent) == 1
    with pytest.raises(RemoteProtocolError):
        room.say(room.ann, bytes(MOST_PAYLOAD + 1), ANN)
