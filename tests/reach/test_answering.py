"""What a super node tells, and what it lets nobody make it do."""

from random import Random

import pytest

from p2pswarm.errors import FormatError
from p2pswarm.formats.ids import Address
from p2pswarm.reach import stun
from p2pswarm.reach.answering import CHANGE_HOST, CHANGE_PORT, Answering, Reply

WHO, OTHER = Address("9.9.9.9", 999), Address("8.8.8.8", 46881)
NAME = b"n" * 12


def room() -> Answering:
    return Answering(Random(1), lambda: [OTHER])


def ask(
    answering: Answering, source: Address = WHO, now: float = 1.0, **more: object
) -> list[Reply]:
    data = stun.ask(NAME, **more)
    return answering.asked(stun.read(data), len(data), source, now)


def sign_of(answering: Answering) -> bytes:
    [reply] = ask(answering)
    sign = stun.read(reply.data).attributes["NONCE"]
    assert isinstance(sign, bytes)
    return sign


@pytest.mark.parametrize("who", [WHO, Address("2001:db8::7", 7)])
def test_where_it_sees_who_asks(who: Address) -> None:
    [reply] = ask(room(), who)
    assert reply.to == who
    assert stun.mapped(stun.read(reply.data)) == who
    assert len(reply.data) <= len(stun.ask(NAME))


def test_a_request_that_is_too_short_is_not_answered() -> None:
    data = stun.ask(NAME)
    assert room().asked(stun.read(data), 40, WHO, 1.0) == []


@pytest.mark.parametrize("change", [CHANGE_PORT, CHANGE_HOST])
def test_nothing_comes_from_elsewhere_without_a_sign(change: int) -> None:
    answering = room()
    sign = sign_of(answering)
    for source, shown in ((WHO, b""), (WHO, b"x" * 16), (Address("7.7.7.7", 7), sign)):
        with pytest.raises(FormatError):
            ask(answering, source, NONCE=shown, CHANGE_REQUEST=change)


def test_from_another_number() -> None:
    answering = room()
    [reply] = ask(answering, NONCE=sign_of(answering), CHANGE_REQUEST=CHANGE_PORT)
    assert (reply.to, reply.elsewhere) == (WHO, True)


def test_from_another_super_node_that_is_known_and_was_not_asked() -> None:
    answering = room()
    sign = sign_of(answering)
    [request] = ask(answering, NONCE=sign, CHANGE_REQUEST=CHANGE_HOST)
    assert request.to == OTHER
    there = Answering(Random(2), lambda: [Address("6.6.6.6", 46881)])
    message, size = stun.read(request.data), len(request.data)
    assert there.asked(message, size, Address("5.5.5.5", 1), 1.0) == []  # nobody it knows
    [reply] = there.asked(message, size, Address("6.6.6.6", 46881), 1.0)
    assert reply.to == WHO
    assert stun.mapped(stun.read(reply.data)) == WHO
    asked = {"NONCE": sign, "CHANGE_REQUEST": CHANGE_HOST, "OTHER_ADDRESS": OTHER}
    assert ask(answering, **asked) == []


@pytest.mark.parametrize("victim", ["10.0.0.1", "127.0.0.1", "224.0.0.1"])
def test_a_super_node_far_away_names_nobody_near(victim: str) -> None:
    there = Answering(Random(2), lambda: [OTHER])
    assert ask(there, OTHER, XOR_PEER_ADDRESS=(victim, 53)) == []


def test_nobody_is_flooded_through_it() -> None:
    answering = room()
    sign = sign_of(answering)
    asked = {"NONCE": sign, "CHANGE_REQUEST": CHANGE_PORT}
    assert sum(len(ask(answering, **asked)) for _ in range(100)) <= 20
    everywhere = [ask(answering, Address(f"1.1.{n % 256}.{n // 256}", 1)) for n in range(3000)]
    assert sum(map(len, everywhere)) <= 500
    assert len(ask(answering, now=2.5)) == 1  # the next second
