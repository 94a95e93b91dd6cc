"""The first words of a stream of a meeting, in any chunking, and what follows them."""

import pytest
from hypothesis import given, settings, strategies as st

from p2pswarm.errors import RemoteProtocolError
from p2pswarm.wire.reaching import CHOSEN, OPENING, Chosen, Greeting, GreetingFramer
from p2pswarm.wire.sniff import Guest, SniffFramer
from tests.support.feeding import chunkings, feed, feed_until_error

GREETING = Greeting(bytes(16), b"t" * 16)


@given(st.binary(max_size=100), chunkings)
@settings(max_examples=40)
def test_what_follows_the_choice_is_somebody_elses(rest: bytes, sizes: list[int]) -> None:
    framer = GreetingFramer()
    data = GREETING.encode() + CHOSEN
    heard = feed(framer, data + rest[:1], sizes)
    assert heard[0] == GREETING
    assert isinstance(heard[1], Chosen)
    assert framer.unread() == rest[:1]


def test_who_was_greeted_at_the_door_is_only_chosen() -> None:
    assert isinstance(feed(GreetingFramer(greeted=True), CHOSEN)[0], Chosen)


@pytest.mark.parametrize(
    "data", [b"\x0fp2pswarm people", b"\x16\x03\x01", GREETING.encode() + b"\x02"]
)
def test_other_words_are_refused(data: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        feed(GreetingFramer(), data)


@given(st.binary(max_size=120), chunkings)
@settings(max_examples=40)
def test_any_bytes_are_words_or_an_error(data: bytes, sizes: list[int]) -> None:
    feed_until_error(GreetingFramer(), data, sizes)
    feed_until_error(GreetingFramer(), OPENING + data, sizes)


def test_the_port_knows_who_it_is() -> None:
    assert feed(SniffFramer(), GREETING.encode()) == [Guest.REACH]
