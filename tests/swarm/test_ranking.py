"""Who keeps a place when there is none for all (BEP 40)."""

import asyncio
from pathlib import Path

import pytest

from p2pswarm.formats.ids import Address
from p2pswarm.formats.metainfo import Metainfo
from p2pswarm.formats.priority import priority
from p2pswarm.node import Node
from p2pswarm.swarm.addresses import AddressBook
from p2pswarm.swarm.events import Seeding
from p2pswarm.swarm.ranking import NEAR, UNKNOWN, Ranking
from p2pswarm.wire.extension.handshake import ExtendedHandshake
from p2pswarm.wire.peer import Extended
from tests.support.stranger import Stranger
from tests.support.world import FAST, Host, World, simulate

OURS = Address("123.213.32.10", 0)
FAR = [Address(f"{n}.76.54.32", 6881) for n in (98, 99, 101, 102, 103, 104)]


def known(ranking: Ranking) -> Ranking:
    for voter in FAR[:3]:
        ranking.seen_as(voter, bytes((123, 213, 32, 10)))
    return ranking


def test_nobody_far_is_ranked_before_we_know_who_we_are() -> None:
    ranking = Ranking()
    assert {ranking.of(address) for address in FAR} == {UNKNOWN}
    for voter in (FAR[0], Address("10.0.0.1", 1), Address("10.0.0.2", 1), Address("127.0.0.1", 1)):
        ranking.seen_as(voter, bytes((123, 213, 32, 10)))
        ranking.seen_as(voter, bytes((10, 0, 0, 7)))
    assert ranking.of(FAR[0]) == UNKNOWN, "one alone, and those near, do not tell"


def test_those_far_are_ranked_as_they_rank_us_and_those_near_above() -> None:
    ranking = known(Ranking())
    for address in FAR:
        there = priority(Address(address.host, 0), OURS)
        assert ranking.of(address) == there
    assert ranking.of(FAR[0]) == 0xEC2D7224
    assert ranking.of(Address("192.168.0.1", 1)) == NEAR
    assert ranking.of(Address("2001:db8:1::1", 1)) in (UNKNOWN, NEAR)
    assert ranking.of(Address("host.example", 1)) == UNKNOWN


def test_those_that_matter_most_are_dialed_first() -> None:
    ranking, book = known(Ranking()), AddressBook()
    for address in FAR:
        book.add(address, 0.0)
    named = Address("105.76.54.32", 6881)
    book.add(named, 0.0, trusted=True)
    first = book.due(0.0, 3, ranking.of)
    best = sorted(FAR, key=ranking.of, reverse=True)
    assert first == [named, *best[:2]]
    assert set(book.due(0.0, 9, ranking.of)) == set(best[2:])


async def meet(world: World, node: Node, meta: Metainfo, address: Address) -> Stranger:
    """Somebody comes from there and says who we are."""
    host = world.loop.hosts[address.host] = Host(address.host, FAST, 0.01)
    stranger = await Stranger.meet(world, host, node, meta.info_hash)
    hello = ExtendedHandshake(yourip=bytes((123, 213, 32, 10)))
    stranger.send(Extended(0, hello.encode()))
    await asyncio.sleep(0.2)
    return stranger


@pytest.mark.sim
def test_one_host_does_not_keep_all_places(tmp_path: Path) -> None:
    """However many ids it has; others get in until all have equally many."""

    async def story(world: World) -> None:
        meta, folder = world.content(50_000, 1 << 15)
        node = await world.node(world.host(), max_peers=4)
        torrent = await node.add(meta, data=folder)
        await world.until(lambda: torrent.state == Seeding())
        crowd = [await meet(world, node, meta, FAR[0]) for _ in range(6)]
        assert [stranger.over for stranger in crowd] == [False] * 4 + [True] * 2
        others = [await meet(world, node, meta, address) for address in FAR[1:4]]
        assert [stranger.over for stranger in others] == [False] * 3
        assert sum(not stranger.over for stranger in crowd) == 1
        again = [await meet(world, node, meta, address) for address in FAR[:3]]
        assert all(stranger.over for stranger in again), "who has a place takes nobody else's"
        assert len(torrent.peers) == 4

    simulate(tmp_path, story)


@pytest.mark.sim
@pytest.mark.parametrize("full_of", ["best", "worst"])
def test_a_newcomer_takes_the_place_of_one_that_matters_less(tmp_path: Path, full_of: str) -> None:
    async def story(world: World) -> None:
        meta, folder = world.content(50_000, 1 << 15)
        node = await world.node(world.host(), max_peers=3)
        torrent = await node.add(meta, data=folder)
        await world.until(lambda: torrent.state == Seeding())
        ranked = sorted(FAR, key=known(Ranking()).of, reverse=full_of == "best")

        places = [await meet(world, node, meta, address) for address in ranked[:3]]
        newcomer = await meet(world, node, meta, ranked[3])
        assert newcomer.over is (full_of == "best")
        assert [stranger.over for stranger in places] == [full_of == "worst", False, False]
        assert len(torrent.peers) == 3

    simulate(tmp_path, story)
