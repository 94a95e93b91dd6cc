"""The flat network: everybody is asked once, and a flood takes 2|E| - |V| + 1 queries."""

import asyncio
from collections.abc import Sequence
from itertools import pairwise
from random import Random

from hypothesis import given, settings, strategies as st

from p2pswarm.wire.gnutella.descriptor import Kind
from tests.support.gnutella import Mesh, play

Edges = Sequence[tuple[int, int]]


async def graph(mesh: Mesh, nodes: int, edges: Edges) -> None:
    """Everybody shares `blue moon` and is linked to whom the edges say, and to nobody else."""
    servents = [mesh.servent(f"blue moon {number}.mp3") for number in range(nodes)]
    for number, servent in enumerate(servents):
        mine = [servents[other].address for one, other in edges if one == number]
        await servent.open(connect=mine, goal=0)
    wanted: dict[int, set[str]] = {number: set() for number in range(nodes)}
    for one, other in edges:
        wanted[one].add(servents[other].host.name)
        wanted[other].add(servents[one].host.name)
    await mesh.until(lambda: all(s.neighbours_of == wanted[n] for n, s in enumerate(servents)))


async def flood(mesh: Mesh, nodes: int, edges: Edges, start: int = 0) -> None:
    await graph(mesh, nodes, edges)
    asker = mesh.servents[start]
    asker.ask("blue moon")
    await asyncio.sleep(5)
    assert mesh.sent(Kind.QUERY) == 2 * len(edges) - nodes + 1
    assert [len(servent.queries) for servent in mesh.servents if servent is not asker] == [1] * (
        nodes - 1
    )
    found = {result.name for _, hit in asker.hits for result in hit.results}
    assert found == {name for s in mesh.servents if s is not asker for name in s.names}
    assert set(mesh.dropped) <= {"duplicates"}


RING = [*pairwise(range(12)), (11, 0)]


def test_a_ring() -> None:
    play(lambda mesh: flood(mesh, 12, RING))


def test_a_star() -> None:
    play(lambda mesh: flood(mesh, 12, [(number, 0) for number in range(1, 12)], start=3))


def test_everybody_with_everybody() -> None:
    play(lambda mesh: flood(mesh, 8, [(a, b) for a in range(8) for b in range(a)]))


@settings(max_examples=15, deadline=None)
@given(st.randoms(use_true_random=False), st.integers(2, 12), st.integers(0, 20))
def test_any_graph(dice: Random, nodes: int, more: int) -> None:
    """A random tree of small depth, and some edges more."""
    edges = {(number, dice.randrange(min(number, 3))) for number in range(1, nodes)}
    for _ in range(more):
        one, other = sorted(dice.sample(range(nodes), 2))
        edges.add((other, one))
    start = dice.randrange(nodes)
    play(lambda mesh: flood(mesh, nodes, sorted(edges), start))


def test_a_query_goes_seven_hops_and_no_further() -> None:
    async def story(mesh: Mesh) -> None:
        await graph(mesh, 10, list(pairwise(range(10))))
        mesh.servents[0].ask("blue moon")
        await asyncio.sleep(5)
        assert [len(servent.queries) for servent in mesh.servents] == [0, *[1] * 7, 0, 0]
        assert len(mesh.servents[0].hits) == 7  # the farthest one's comes all the way back
        assert mesh.sent(Kind.QUERY) == 7

    play(story)


def test_nodes_find_each_other_through_one() -> None:
    """Nobody names anybody but the first; pongs and X-Try lists tell of the others."""

    async def story(mesh: Mesh) -> None:
        first = mesh.servent()
        await first.open()
        for _ in range(6):
            await mesh.servent().open(connect=[first.address])
        everybody = {servent.host.name for servent in mesh.servents}
        await mesh.until(
            lambda: all(s.neighbours_of == everybody - {s.host.name} for s in mesh.servents)
        )
        links = sum(len(servent.router.links) for servent in mesh.servents)
        assert links == 7 * 6  # each pair has one

    play(story)
