"""Random walkers go so many steps and no more; hits find back."""

from random import Random

import pytest

from p2pswarm.lab.architecture import Outcome, Question, Thing, names_of
from p2pswarm.lab.gnutella.walking import Walkers
from p2pswarm.lab.loop import VirtualLoop, play, virtual_loop
from p2pswarm.lab.topologies import Graph, random_graph

GRAPH = random_graph(100, 6, Random(5))
RARE, COMMON = (
    Thing("amber river 001", frozenset([60])),
    Thing("birch signal 002", frozenset(range(1, 100, 3))),
)


def walk(
    thing: Thing, k: int, steps: int, graph: Graph = GRAPH, seed: int = 1, check: int = 0
) -> Outcome:
    async def story(loop: VirtualLoop) -> Outcome:
        walkers = Walkers(loop, graph, k, steps, Random(seed), check=check)
        await walkers.build(names_of(graph.nodes, [RARE, COMMON]))
        await walkers.ask(Question(0, RARE if thing is COMMON else COMMON))  # nothing is left of it
        before = sum(walkers.loads()["peer"])
        found = await walkers.ask(Question(0, thing))
        on_links = found.total - found.messages["check"]
        assert sum(walkers.loads()["peer"]) - before == 2 * on_links
        return found

    return play(story)


@pytest.mark.parametrize(("k", "steps"), [(1, 1), (1, 40), (8, 16), (32, 64)])
def test_so_many_steps_each(k: int, steps: int) -> None:
    assert walk(COMMON, k, steps).messages["query"] == k * steps


def test_more_walkers_find_more() -> None:
    few, many = walk(COMMON, 2, 16), walk(COMMON, 32, 16)
    assert 0 < few.found < many.found <= COMMON.holders.__len__()


def test_what_is_asked_back_for_ends_early() -> None:
    found = walk(COMMON, 8, 200, check=4)
    assert found.found > 0
    assert found.messages["query"] < 8 * 200 / 4
    assert found.messages["check"] == found.messages["query"] // 4


def test_it_goes_on_while_there_is_nothing() -> None:
    nowhere = Thing("nothing like it", frozenset([60]))
    found = walk(nowhere, 4, 40, check=4)
    assert (found.found, found.first, found.hops) == (0, None, None)
    assert found.messages == {"query": 160, "check": 40 - 4}


def test_a_walker_in_a_dead_end_turns_back() -> None:
    line = Graph(100, tuple((node, node + 1) for node in range(99)), 100)
    found = walk(RARE, 1, 150, graph=line)
    assert found.messages["query"] == 150
    assert found.hops == 60
    assert found.messages["hit"] == 60


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_nobody_is_sent_the_same_query_twice_while_there_are_others(seed: int) -> None:
    star = Graph(100, tuple((0, node) for node in range(1, 100)), 100)
    assert walk(COMMON, 99, 1, graph=star, seed=seed).recall == 1


def test_a_seed_is_a_walk() -> None:
    assert walk(RARE, 8, 20, seed=1) == walk(RARE, 8, 20, seed=1)
    assert walk(COMMON, 8, 20, seed=1) != walk(COMMON, 8, 20, seed=2)


def test_a_ttl_says_no_more_steps() -> None:
    with virtual_loop() as loop, pytest.raises(ValueError, match="256 steps"):
        Walkers(loop, GRAPH, 1, 256, Random(1))
