"""The laboratory is what it says: each router behaves as its kind, and punching works where it should."""

from collections.abc import Iterator
from itertools import combinations_with_replacement

import pytest

from tests.nat.prober import Behaviour, behaviour, opens_tcp, punches
from tests.nat.routers import KINDS
from tests.nat.world import Host, World, world

pytestmark = pytest.mark.nat

BEHAVIOUR = {
    "none": Behaviour("nothing", "nothing"),
    "full": Behaviour("nothing", "nothing"),
    "addr": Behaviour("nothing", "address"),
    "port": Behaviour("nothing", "address and port"),
    "symmetric": Behaviour("address and port", "address and port"),
    "blocked": None,
}
PAIRS = list(combinations_with_replacement(KINDS, 2))


@pytest.fixture(scope="module")
def lab() -> Iterator[World]:
    with world() as made:
        yield made


@pytest.fixture(scope="module")
def server(lab: World) -> Host:
    return lab.host()


@pytest.fixture(scope="module")
def ones(lab: World) -> dict[str, Host]:
    return {kind: lab.host(kind) for kind in KINDS}


@pytest.fixture(scope="module")
def others(lab: World) -> dict[str, Host]:
    return {kind: lab.host(kind) for kind in KINDS}


def udp_is_direct(one: str, other: str) -> bool:
    """OVERLAYS.md §4.4."""
    kinds = {one, other}
    return "blocked" not in kinds and kinds not in ({"port", "symmetric"}, {"symmetric"})


@pytest.mark.parametrize("kind", KINDS)
def test_mapping_and_filtering_are_those_of_the_kind(
    lab: World, server: Host, ones: dict[str, Host], kind: str
) -> None:
    assert behaviour(ones[kind], lab.host(), server) == BEHAVIOUR[kind]


@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_udp_is_punched_exactly_where_the_table_says(
    server: Host, ones: dict[str, Host], others: dict[str, Host], one: str, other: str
) -> None:
    a, b = ones[one], others[other]
    assert punches(a, b, server) is udp_is_direct(one, other)


@pytest.mark.parametrize("other", KINDS)
def test_tcp_opens_from_behind_a_wall_for_udp_unless_the_other_is_symmetric(
    server: Host, ones: dict[str, Host], others: dict[str, Host], other: str
) -> None:
    assert opens_tcp(ones["blocked"], others[other], server) is (other != "symmetric")


def test_a_router_that_answers_for_itself_is_a_trap(lab: World, server: Host) -> None:
    """Without the drop in INPUT the peer's early packet takes the number that ours would have had."""
    a, b = lab.host("port"), lab.host("port", careless=True)
    assert not punches(a, b, server, together=False)
    assert punches(a, lab.host("port"), server, together=False)


def test_counters_count_what_was_delivered(lab: World, server: Host) -> None:
    a, b, c = lab.host("port"), lab.host("port"), lab.host("symmetric")
    for one in (b, c):
        one.count_from(a)
    assert punches(a, b, server)
    assert not punches(a, c, server)
    assert b.delivered_from(a) > 0
    assert c.delivered_from(a) == 0


def test_links_lose_packets(lab: World, server: Host) -> None:
    a, b = lab.host("port"), lab.host("port")
    lab.silence(b)
    assert not punches(a, b, server)
