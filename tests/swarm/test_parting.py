"""Who goes, decided without any connection; `tests/swarm/test_ranking.py` and the simulations see it done."""

from dataclasses import dataclass

import pytest

from p2pswarm.formats.ids import Address, PeerId
from p2pswarm.swarm.parting import SEEDS_PART_AFTER, displaced, doubles, fellow_seeds

HERE = Address("192.0.2.1", 1)
LOW, ME, HIGH = (PeerId(bytes([n]) * 20) for n in (1, 2, 3))


@dataclass(eq=False)
class Someone:
    remote: Address = HERE
    since: float = 0.0
    is_seed: bool = False
    upload_only: bool = False
    gave: int = 0
    uploaded: int = 0


def at(host: str, port: int = 1, **facts: int) -> Someone:
    return Someone(Address(host, port), **facts)  # type: ignore[arg-type]


def test_who_wants_nothing_parts_from_a_seed_after_a_while() -> None:
    seed, done, young = (
        Someone(is_seed=True),
        Someone(upload_only=True),
        Someone(is_seed=True, since=1.0),
    )
    peers = [seed, done, young, Someone()]
    assert list(fellow_seeds(peers, SEEDS_PART_AFTER)) == []
    assert list(fellow_seeds(peers, SEEDS_PART_AFTER + 1)) == [seed, done]


def test_who_is_here_twice_stays_where_it_gave_good_pieces() -> None:
    idle, giver, other = Someone(), Someone(gave=2), Someone()
    assert list(doubles([(LOW, idle), (LOW, giver), (HIGH, other)], ME)) == [(idle, giver)]


@pytest.mark.parametrize(("peer_id", "seed", "goes"), [(LOW, 0, 1), (HIGH, 0, 0), (HIGH, 1, 1)])
def test_where_both_download_one_of_them_decides(peer_id: PeerId, seed: int, goes: int) -> None:
    kept = Someone(gave=1, is_seed=bool(seed))
    assert len(list(doubles([(peer_id, kept), (peer_id, Someone())], ME))) == goes


def test_nobody_is_sent_away_for_an_id_alone() -> None:
    assert list(doubles([(LOW, Someone()), (LOW, Someone())], ME)) == []
    assert list(doubles([(LOW, Someone()), (HIGH, Someone(gave=1))], ME)) == []


def test_a_host_with_several_places_gives_one_up_which_was_of_least_use() -> None:
    useful, least, fed = (at("1.2.3.4", n, gave=n == 1, uploaded=n == 3) for n in (1, 2, 3))
    peers = [useful, fed, least, at("1.2.3.5")]
    newcomer = Address("1.2.3.6", 1)
    assert displaced(peers, newcomer, lambda _: 0) == (least, "its host has other places")


def test_otherwise_whoever_matters_least_if_the_newcomer_matters_more() -> None:
    low, high = at("1.2.3.4"), at("1.2.3.8")
    ranks = {"1.2.3.4": 1, "1.2.3.5": 1, "1.2.3.6": 2, "1.2.3.8": 3}

    def going(host: str) -> tuple[Someone, str] | None:
        return displaced([low, high], Address(host, 9), lambda address: ranks[address.host])

    assert going("1.2.3.6") == (low, "its place is another's")
    assert going("1.2.3.5") is None
    assert going("1.2.3.8") is None, "it has a place already"
