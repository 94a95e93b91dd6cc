"""Floods in the laboratory are the product's floods, and as a walk over the graph counts them."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from itertools import accumulate
from random import Random

import pytest

from p2pswarm.lab.architecture import Outcome, Question, Thing
from p2pswarm.lab.coverage import WORDS, flood_from, floods, saturation
from p2pswarm.lab.gnutella.architectures import Flood
from p2pswarm.lab.gnutella.network import Network
from p2pswarm.lab.gnutella.servents import table_of
from p2pswarm.lab.loop import VirtualLoop, play
from p2pswarm.lab.topologies import Graph, load, random_graph
from p2pswarm.wire.gnutella.query import Query

GRAPH = random_graph(120, 4, Random(3))


def counted(graph: Graph, origin: int, ttl: int) -> tuple[int, int]:
    """Messages and nodes, without any messages: everybody nearer than the TTL sends to all but one."""
    far = graph.distances(origin)
    sent = [len(graph.neighbours[node]) - bool(hops) for node, hops in far.items() if hops < ttl]
    return sum(sent), sum(0 < hops <= ttl for hops in far.values())


def told_and_done(graph: Graph, origin: int) -> tuple[list[int], list[int], list[int], list[int]]:
    """Messages and nodes by TTL: of a flood for each, and as the last one tells them."""

    async def story(loop: VirtualLoop) -> tuple[list[int], list[int], list[int], list[int]]:
        network = Network(loop, graph, Random(1), routing=False)
        await network.build([()] * graph.nodes, table_of([WORDS]))
        messages, nodes = [], []
        for ttl in range(1, 8):
            network.watch.begin()
            await network.flood(origin, WORDS, ttl)
            messages.append(sum(network.watch.queries()))
            nodes.append(sum(network.watch.reach.values()))
        told = await flood_from(network, origin)
        return messages, nodes, list(told.messages), list(told.nodes)

    return play(story)


def check(graph: Graph, origin: int) -> list[int]:
    messages, nodes, told_messages, told_nodes = told_and_done(graph, origin)
    assert messages == told_messages
    assert nodes == told_nodes
    assert list(zip(messages, nodes, strict=True)) == [
        counted(graph, origin, ttl) for ttl in range(1, 8)
    ]
    return messages


@pytest.mark.parametrize("origin", [0, 77])
def test_one_flood_tells_what_every_smaller_one_does(origin: int) -> None:
    assert check(GRAPH, origin)[-1] == saturation(GRAPH)


def test_it_does_so_on_a_crawl_and_saturates_it_exactly() -> None:
    """Node 0 of the crawl is at most six hops from everybody, so that a TTL of seven is enough."""
    graph = load("p2p-Gnutella08").largest()
    assert check(graph, 0)[-1] == saturation(graph) == 35254


def test_the_product_floods_the_same_way() -> None:
    async def story(loop: VirtualLoop) -> list[int]:
        network = Network(loop, GRAPH, Random(1), routing=False)
        await network.build([()] * GRAPH.nodes, table_of([WORDS]))
        network.servents[5].router.ask(Query(WORDS), bytes(16), 10)
        await network.settle(7)
        return network.watch.queries()

    (reach,) = floods(GRAPH, [5], Random(1))
    assert list(accumulate(play(story)))[-1] == reach.messages[-1] == saturation(GRAPH)


def asked(
    graph: Graph, holders: Sequence[int], ttl: int, *, routing: bool = False, origin: int = 0
) -> tuple[Outcome, dict[str, Sequence[int]]]:
    thing = Thing("amber river 001", frozenset(holders))
    shelves = [[thing.name] if node in holders else [] for node in range(graph.nodes)]

    async def story(loop: VirtualLoop) -> tuple[Outcome, dict[str, Sequence[int]]]:
        flood = Flood(loop, graph, ttl, Random(1), routing=routing)
        await flood.build(shelves)
        outcome = await flood.ask(Question(origin, thing))
        return outcome, dict(flood.loads())

    return play(story)


def test_hits_come_back_over_as_many_hops() -> None:
    far = GRAPH.distances(0)
    holders = [3, 50, 99, 111]
    outcome, _ = asked(GRAPH, holders, 7)
    assert outcome.found == outcome.copies == 4
    assert outcome.recall == 1
    assert outcome.messages["hit"] == sum(far[holder] for holder in holders)
    assert outcome.hops == min(far[holder] for holder in holders)


@pytest.mark.parametrize("ttl", [1, 2, 3])
def test_only_who_is_near_enough_is_found(ttl: int) -> None:
    far = GRAPH.distances(0)
    outcome, _ = asked(GRAPH, range(1, 120), ttl)
    assert outcome.found == sum(hops <= ttl for hops in far.values()) - 1
    assert outcome.messages["query"] == counted(GRAPH, 0, ttl)[0]


def test_every_message_is_somebodys_load_at_both_ends() -> None:
    outcome, loads = asked(GRAPH, [50, 99], 4)
    assert sum(map(sum, loads.values())) == 2 * outcome.total
    assert set(loads) == {"peer"}


@pytest.mark.parametrize("ttl", [3, 4])
def test_tables_spare_the_last_hop_and_lose_nothing(ttl: int) -> None:
    holders = [3, 50, 99, 111]
    plain, _ = asked(GRAPH, holders, ttl)
    spared, _ = asked(GRAPH, holders, ttl, routing=True)
    assert spared.found == plain.found > 0
    without_last = counted(GRAPH, 0, ttl - 1)[0]
    last = sum(len(GRAPH.neighbours[holder]) for holder in holders)
    assert without_last <= spared.messages["query"] <= without_last + last
    assert spared.messages["query"] < plain.messages["query"]


def test_nothing_but_duplicates_is_dropped() -> None:
    async def story(loop: VirtualLoop) -> Counter[str]:
        network = Network(loop, GRAPH, Random(1), routing=False)
        await network.build([()] * GRAPH.nodes, table_of([WORDS]))
        for _ in range(30):
            await network.flood(0, WORDS, 7)
        await asyncio.sleep(1)
        links = [link for servent in network.servents for link in servent.router.links]
        assert len(links) == 2 * len(GRAPH.edges)
        assert not any(link.outbox.dropped for link in links)
        return sum((servent.router.dropped for servent in network.servents), Counter[str]())

    assert set(play(story)) == {"duplicates"}
