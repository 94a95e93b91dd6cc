from dataclasses import dataclass

import pytest
from hypothesis import given, strategies as st

from p2pswarm.formats.ids import Address
from p2pswarm.formats.zones import Zone
from p2pswarm.overlay.gnutella.routing.pongs import FRESH, KEPT, MOST_HOPS, WANT, Pongs


@dataclass(frozen=True)
class Pong:
    address: Address
    files: int = 0


def pong(n: int, net: int = 8) -> Pong:
    return Pong(Address(f"{net}.8.{n // 250}.{n % 250 + 1}", 6346))


def filled(links: int, each: int) -> Pongs[str, Pong]:
    pongs: Pongs[str, Pong] = Pongs()
    for link in range(links):
        for n in range(each):
            assert pongs.heard(pong(n, 20 + link), f"link {link}", n % 4, 0.0)
    return pongs


def test_ten_pongs_spread_over_links_and_hops() -> None:
    answer = filled(5, 20).answer("asker", 7, 1, 1.0)
    assert len(answer) == WANT
    nets = [pong.address.host.partition(".")[0] for pong, _ in answer]
    assert all(nets.count(net) == 2 for net in nets)
    hops = [far for _, far in answer]
    assert {1, 2, 3, 4} == set(hops)


def test_hops_go_up_from_link_to_link() -> None:
    pongs = filled(4, 4)
    for _ in range(5):
        assert sorted(far for _, far in pongs.answer("asker", 5, 1, 1.0, 4)) == [1, 2, 3, 4]


def test_of_one_link_and_hops_the_latest_goes_first() -> None:
    pongs: Pongs[str, Pong] = Pongs()
    for n in (*range(20), 3):
        pongs.heard(pong(n), "a", 1, n / 100)
    answer = pongs.answer("asker", 7, 1, 1.0, 3)
    assert [each for each, _ in answer] == [pong(3), pong(19), pong(18)]


def test_nothing_goes_back_to_the_link_it_came_from() -> None:
    pongs = filled(2, 20)
    answer = pongs.answer("link 0", 7, 1, 1.0)
    assert answer
    assert {pong.address.host.partition(".")[0] for pong, _ in answer} == {"21"}
    assert filled(1, 20).answer("link 0", 7, 1, 1.0) == []


def test_the_ttl_of_the_ping_says_how_far_a_pong_may_have_come() -> None:
    pongs = filled(3, 20)
    assert pongs.answer("asker", 1, 0, 1.0) == []
    assert pongs.answer("asker", 1, 1, 1.0) == []
    assert {far for _, far in pongs.answer("asker", 2, 1, 1.0)} == {1}
    assert {far for _, far in pongs.answer("asker", 3, 0, 1.0)} == {1, 2}


def test_a_crawler_gets_every_neighbour() -> None:
    pongs = filled(30, 1)
    assert len(pongs.answer("crawler", 2, 0, FRESH + 1)) == 30
    assert pongs.answer("asker", 2, 1, FRESH + 1) == []


def test_an_address_that_two_links_told_is_given_once() -> None:
    pongs: Pongs[str, Pong] = Pongs()
    pongs.heard(pong(1), "a", 0, 0.0)
    pongs.heard(pong(1), "b", 2, 0.0)
    assert len(pongs.answer("asker", 7, 0, 0.0)) == 1


def test_each_ping_gets_other_pongs() -> None:
    pongs = filled(30, 1)
    first, second = (pongs.answer("asker", 7, 0, 1.0) for _ in range(2))
    assert first != second


def test_old_pongs_are_not_given_but_to_a_crawler_for_a_minute() -> None:
    pongs = filled(2, 2)
    assert pongs.answer("asker", 7, 0, FRESH) == []
    assert len(pongs.answer("asker", 2, 0, FRESH)) == 2
    assert pongs.answer("asker", 2, 0, KEPT) == []


def test_a_link_that_tells_much_is_one_of_many() -> None:
    pongs = filled(9, 1)
    for n in range(5000):
        pongs.heard(pong(n), "liar", 0, 1.0)
    pongs.check()
    lies = [each for each, _ in pongs.answer("asker", 7, 0, 1.0) if each.address.host[:2] == "8."]
    assert len(lies) == 1


def test_a_link_that_has_ended_vouches_for_nothing() -> None:
    pongs = filled(1, 5)
    pongs.forget("link 0")
    pongs.forget("link 0")
    assert pongs.answer("asker", 7, 0, 0.0) == []


@pytest.mark.parametrize(
    "address",
    [
        *(Address("8.8.8.8", 0), Address("0.0.0.0", 1), Address("224.0.0.1", 1)),
        *(Address("255.255.255.255", 1), Address("127.0.0.1", 1), Address("192.168.0.9", 1)),
    ],
)
def test_what_cannot_be_dialed_from_there_is_not_kept(address: Address) -> None:
    pongs: Pongs[str, Pong] = Pongs()
    assert not pongs.heard(Pong(address), "a", 0, 0.0)
    assert not pongs.heard(pong(1), "a", MOST_HOPS + 1, 0.0)
    assert pongs.answer("asker", 7, 0, 0.0) == []


def test_near_addresses_stay_near() -> None:
    pongs: Pongs[str, Pong] = Pongs()
    home = Pong(Address("192.168.0.9", 6346))
    assert pongs.heard(home, "a", 0, 0.0, Zone.LOCAL_NETWORK)
    assert pongs.answer("asker", 7, 0, 0.0) == []
    assert pongs.answer("asker", 7, 0, 0.0, asker=Zone.LOCAL_NETWORK) == [(home, 1)]


def test_each_neighbour_is_pinged_every_three_seconds() -> None:
    pongs: Pongs[str, Pong] = Pongs()
    assert sum(pongs.may_ping("a", now / 10) for now in range(600)) == 20
    assert sum(pongs.may_ping("b", now / 10, caches=False) for now in range(600)) == 2


@given(
    st.lists(
        st.tuples(st.integers(0, 100), st.integers(0, 4), st.integers(-1, 255), st.floats(0, 100)),
        max_size=100,
    ),
    st.integers(0, 255),
    st.integers(0, 255),
    st.integers(0, 20),
)
def test_an_answer_is_always_within_the_rules(
    told: list[tuple[int, int, int, float]], ttl: int, hops: int, want: int
) -> None:
    pongs: Pongs[int, Pong] = Pongs()
    for n, link, far, at in sorted(told, key=lambda each: each[3]):
        pongs.heard(pong(n), link, far, at)
    pongs.check()
    answer = pongs.answer(0, ttl, hops, 100.0, want)
    assert len(answer) <= max(want, 5)
    assert len({each.address for each, _ in answer}) == len(answer)
    assert all(far <= ttl - 1 for _, far in answer)
    by_others = {n for n, link, *_ in told if link != 0}
    assert all(each in [pong(n) for n in by_others] for each, _ in answer)
