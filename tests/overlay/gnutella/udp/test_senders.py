"""The account of each sender: answers cost what came in, and a little more."""

from hypothesis import given, strategies as st

from p2pswarm.formats.ids import Address
from p2pswarm.overlay.gnutella.udp.senders import COMMON, GIFT, GIFT_EVERY, Senders
from p2pswarm.wire.gnutella.descriptor import Kind

VICTIM = Address("82.0.113.5", 6346)


def victim(number: int) -> Address:
    return Address(f"1.{number >> 16}.{number >> 8 & 255}.{number & 255}", 6346)


@given(
    st.lists(st.tuples(st.integers(23, 600), st.integers(37, 600), st.floats(0, 5)), max_size=200)
)
def test_one_source_gets_what_it_sent_and_its_gift(steps: list[tuple[int, int, float]]) -> None:
    senders, now, came, went = Senders(0.0), 0.0, 0, 0
    for size, answer, pause in steps:
        now += pause
        came += size
        if senders.takes(Kind.PING, VICTIM, size, now) and senders.may_answer(VICTIM, answer, now):
            went += answer
        assert went <= came + GIFT + GIFT * now / GIFT_EVERY + 1e-6


def test_a_flood_brings_its_victim_less_than_it_costs() -> None:
    senders, came, went = Senders(0.0), 0, 0
    for number in range(60_000):  # a thousand a second for a minute, from many ports
        now = number / 1000
        address = Address(VICTIM.host, 1024 + number % 5000)
        came += 30
        if senders.takes(Kind.PING, address, 30, now) and senders.may_answer(address, 130, now):
            went += 130
    assert 0 < went < came / 100


def test_many_false_names_share_one_gift_and_the_table_has_an_end() -> None:
    senders, went = Senders(0.0), 0
    for number in range(20_000):
        now = number / 1000
        address = victim(number)
        if senders.takes(Kind.PING, address, 30, now) and senders.may_answer(address, 530, now):
            went += 500
    assert len(senders) <= Senders.MOST
    assert 0 < went <= COMMON[1] + 20 * COMMON[0]


def test_who_is_proven_is_answered_and_the_proof_ends() -> None:
    senders = Senders(0.0)
    assert not senders.may_answer(VICTIM, 10_000, 0.0)
    senders.prove(VICTIM, 0.0)
    assert all(senders.may_answer(VICTIM, 10_000, 1.0) for _ in range(100))
    assert not senders.may_answer(Address(VICTIM.host, 1), 10_000, 1.0)
    assert not senders.may_answer(VICTIM, 10_000, 61.0)


def test_proofs_have_an_end_as_well() -> None:
    senders = Senders(0.0)
    for number in range(2 * Senders.MOST):
        senders.prove(victim(number), 0.0)
    assert len(senders) == Senders.MOST


def test_an_unknown_kind_is_not_looked_at() -> None:
    assert not Senders(0.0).takes(0x77, VICTIM, 100, 0.0)


def test_on_this_machine_each_port_is_somebody_else() -> None:
    senders = Senders(0.0)
    taken = [
        senders.takes(Kind.PING, Address("127.0.0.1", 1000 + port), 30, 0.0) for port in range(300)
    ]
    assert all(taken)
    taken = [
        senders.takes(Kind.PING, Address("192.0.3.1", 1000 + port), 30, 0.0) for port in range(300)
    ]
    assert not all(taken)


def test_many_senders_together_have_an_end() -> None:
    senders = Senders(0.0)
    taken = sum(senders.takes(Kind.PING, victim(n), 30, n / 1000) for n in range(20_000))
    assert taken <= 1000 + 20 * 200
