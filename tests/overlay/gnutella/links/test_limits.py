import pytest
from hypothesis import given, strategies as st

from p2pswarm.overlay.gnutella.links.agreement import FLAT_TTL
from p2pswarm.overlay.gnutella.links.limits import Allowance, clamp
from p2pswarm.wire.gnutella.descriptor import Kind


@pytest.mark.parametrize(
    ("ttl", "hops", "now"),
    [
        *((7, 0, (7, 0)), (4, 0, (4, 0)), (3, 4, (3, 4)), (0, 2, (0, 2))),
        *((10, 0, (7, 0)), (7, 3, (4, 3)), (15, 0, (7, 0)), (3, 7, (0, 7)), (1, 9, (0, 9))),
        *((16, 0, None), (255, 0, None), (1, 11, None), (1, 255, None), (-1, 0, None)),
    ],
)
def test_ttl_and_hops_are_what_the_specification_allows(
    ttl: int, hops: int, now: tuple[int, int] | None
) -> None:
    assert clamp(ttl, hops) == now


@given(st.integers(0, 255), st.integers(0, 255))
def test_a_clamped_message_ends(ttl: int, hops: int) -> None:
    clamped = clamp(ttl, hops)
    steps = 0
    while clamped is not None and clamped[0] > 0:
        assert sum(clamped) <= FLAT_TTL
        clamped = clamp(clamped[0] - 1, clamped[1] + 1)
        steps += 1
    assert steps <= FLAT_TTL


def taken(allowance: Allowance, kind: int, seconds: int, rate: int) -> int:
    return sum(allowance.takes(kind, n / rate) for n in range(seconds * rate))


@pytest.mark.parametrize("leaf", [True, False])
def test_one_ping_a_second(leaf: bool) -> None:
    assert taken(Allowance(0.0, leaf=leaf), Kind.PING, 60, 10) == 60


def test_a_leaf_asks_as_a_person_and_an_ultrapeer_as_many() -> None:
    assert taken(Allowance(0.0, leaf=True), Kind.QUERY, 60, 100) == 30 + 59
    assert taken(Allowance(0.0, leaf=False), Kind.QUERY, 60, 100) > 3000


def test_kinds_do_not_use_up_each_others_allowance() -> None:
    allowance = Allowance(0.0, leaf=True)
    assert taken(allowance, Kind.QUERY, 1, 1000) == 30
    assert allowance.takes(Kind.HIT, 1.0)
    assert allowance.takes(Kind.BYE, 1.0)


def test_kinds_nobody_knows_share_one_allowance() -> None:
    allowance = Allowance(0.0, leaf=False)
    assert sum(allowance.takes(kind, 0.0) for kind in range(0x90, 0x100)) == 50
    assert len(allowance._buckets) == 1


def test_a_storm_is_borne_and_an_attack_is_not() -> None:
    allowance = Allowance(0.0, leaf=True)
    assert all(allowance.bears(n / 100) for n in range(6000))
    assert not all(allowance.bears(60 + n / 100) for n in range(6000))


def test_broken_messages_are_forgiven_now_and_then() -> None:
    often = Allowance(0.0, leaf=True)
    assert [often.forgives(0.0) for _ in range(11)] == [True] * 10 + [False]
    seldom = Allowance(0.0, leaf=True)
    assert all(seldom.forgives(n * 31.0) for n in range(100))
