"""Who is joined with whom: both have to mean the other, and wait neither long nor in great number."""

import pytest

from p2pswarm.errors import BusyError, RefusedError
from p2pswarm.overlay.people.pairing import MOST_OF_OWNER, MOST_WAITING, WAIT, Asked, Pairing

ANN, BOB, EVE = b"a" * 32, b"b" * 32, b"e" * 32
S = b"s" * 16


def asked(me: bytes, peer: bytes, *, session: bytes = S, datagrams: bool = False) -> Asked:
    return Asked(session, me, peer, datagrams, me or "8.8.8.8")


def test_two_that_mean_each_other_are_joined() -> None:
    pairing: Pairing[str] = Pairing()
    assert pairing.ask("ann", asked(ANN, BOB), 0.0) is None
    assert pairing.ask("bob", asked(BOB, ANN), 1.0) == ("ann", asked(ANN, BOB))
    assert not len(pairing)


@pytest.mark.parametrize(
    "other",
    [
        asked(EVE, ANN),
        asked(BOB, EVE),
        asked(BOB, ANN, session=b"t" * 16),
        asked(BOB, ANN, datagrams=True),
    ],
)
def test_nobody_else_is(other: Asked) -> None:
    pairing: Pairing[str] = Pairing()
    pairing.ask("ann", asked(ANN, BOB), 0.0)
    assert pairing.ask("other", other, 0.0) is None
    assert len(pairing) == 2


def test_nobody_is_joined_with_himself() -> None:
    pairing: Pairing[str] = Pairing()
    with pytest.raises(RefusedError):
        pairing.ask("ann", asked(ANN, ANN), 0.0)


def test_who_came_last_is_joined_first() -> None:
    """The one before may be cut off, and nobody has noticed."""
    pairing: Pairing[str] = Pairing()
    pairing.ask("ann", asked(ANN, BOB), 0.0)
    pairing.ask("ann again", asked(ANN, BOB), 1.0)
    for joined in ("ann again", "ann"):
        found = pairing.ask("bob", asked(BOB, ANN), 2.0)
        assert found is not None
        assert found[0] == joined
    assert not len(pairing)


def test_without_a_key_it_takes_a_ticket_that_is_good_for_a_while() -> None:
    pairing: Pairing[str] = Pairing()
    with pytest.raises(RefusedError):
        pairing.ask("one", asked(b"", b""), 0.0)
    with pytest.raises(RefusedError):
        pairing.ask("one", asked(b"", BOB), 0.0)
    pairing.expect(S, 0.0)
    assert pairing.ask("one", asked(b"", b""), 1.0) is None
    found = pairing.ask("other", asked(b"", b""), 2.0)
    assert found is not None
    assert found[0] == "one"
    with pytest.raises(RefusedError):
        pairing.ask("one", asked(b"", b""), WAIT)


def test_who_waits_too_long_is_told_and_who_left_is_not() -> None:
    pairing: Pairing[str] = Pairing()
    pairing.ask("ann", asked(ANN, BOB), 0.0)
    pairing.ask("eve", asked(EVE, BOB), 1.0)
    pairing.give_up("eve")
    pairing.give_up("eve")
    assert pairing.late(WAIT - 1) == []
    assert pairing.late(WAIT + 5) == ["ann"]
    assert pairing.ask("bob", asked(BOB, ANN), WAIT + 6) is None


def test_few_wait_for_one_owner_and_not_many_in_all() -> None:
    pairing: Pairing[int] = Pairing()
    for number in range(MOST_OF_OWNER):
        pairing.ask(number, asked(ANN, BOB, session=number.to_bytes(16)), 0.0)
    with pytest.raises(BusyError):
        pairing.ask(99, asked(ANN, BOB), 0.0)
    for number in range(MOST_WAITING - MOST_OF_OWNER):
        pairing.ask(100 + number, asked(number.to_bytes(32), BOB), 0.0)
    with pytest.raises(BusyError):
        pairing.ask(9999, asked(EVE, BOB), 0.0)
    assert len(pairing.late(WAIT)) == MOST_WAITING
    assert not pairing._owners
