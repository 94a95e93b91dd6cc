"""Ultrapeers and leaves: tables are really told, and questions go as the product asks them."""

from collections.abc import Callable
from random import Random

from p2pswarm.lab.architecture import Architecture, Outcome, Question, names_of, scatter
from p2pswarm.lab.gnutella.architectures import Dynamic, Flood
from p2pswarm.lab.loop import VirtualLoop, play
from p2pswarm.lab.topologies import random_graph, two_tier

GRAPH = two_tier(random_graph(20, 6, Random(2)), 160)
(THING,) = scatter(GRAPH.nodes, 1, 9, Random(4))
LEAF = 150


def outcome(make: Callable[..., Architecture], *arguments: object, **options: object) -> Outcome:
    async def story(loop: VirtualLoop) -> Outcome:
        architecture = make(loop, GRAPH, *arguments, Random(1), **options)
        await architecture.build(names_of(GRAPH.nodes, [THING]))
        before = sum(map(sum, architecture.loads().values()))
        found = await architecture.ask(Question(LEAF, THING))
        loads = architecture.loads()
        assert {role: len(values) for role, values in loads.items()} == {
            "ultrapeer": 20,
            "leaf": 160,
        }
        assert sum(map(sum, loads.values())) - before == 2 * found.total
        return found

    return play(story)


def test_a_flood_asks_all_ultrapeers_and_only_leaves_that_have_it() -> None:
    found = outcome(Flood, 7)
    leaves = sum(holder >= GRAPH.supers for holder in THING.holders)
    assert found.recall == 1
    assert found.messages["query"] == 2 * 60 - 20 + 1 + leaves


def test_tables_of_ultrapeers_spare_the_last_hop() -> None:
    plain, spared = outcome(Flood, 2), outcome(Flood, 2, routing=True)
    assert plain.found == spared.found > 0
    assert spared.messages["query"] < plain.messages["query"]


def test_a_dynamic_query_ends_when_there_is_enough() -> None:
    few, all_of_them = outcome(Dynamic, 2), outcome(Dynamic, 50)
    assert few.found >= 2
    assert all_of_them.recall == 1
    assert few.total < all_of_them.total
    assert all_of_them.messages["vendor"] > 0  # leaf and ultrapeer speak of it
