"""Somebody rings us."""

from p2pswarm.formats.ids import Address
from p2pswarm.overlay.people.ringing import Rung


def test_the_first_word_counts() -> None:
    said: list[object] = []
    rung = Rung(b"s" * 16, b"offer", Address("203.0.113.1", 1), said.append, said.append)
    rung.answer(b"here")
    rung.decline("busy")
    rung.answer(b"again")
    assert said == [b"here"]
    other = Rung(b"s" * 16, b"offer", Address("203.0.113.1", 1), said.append, said.append)
    other.decline()
    other.answer(b"no")
    assert said == [b"here", "refused"]
