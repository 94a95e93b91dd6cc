"""One question on its way, hop by hop, through networks small enough to look at."""

from itertools import groupby
from random import Random

from p2pswarm.lab.architecture import Question, names_of, questions, scatter
from p2pswarm.lab.gnutella.network import Network
from p2pswarm.lab.gnutella.watching import Watch
from p2pswarm.lab.loop import VirtualLoop, play
from p2pswarm.lab.results import Node, Spread
from p2pswarm.lab.topologies import Graph, random_graph, two_tier

__all__ = ["spreads"]

ENOUGH = 10  # results


def spreads(seed: int = 1) -> tuple[Spread, ...]:
    """The same flood among equals and among ultrapeers, then a dynamic query."""
    dice = Random(seed)
    flat = random_graph(48, 4, dice)
    tiers = two_tier(random_graph(12, 4, dice), 96)
    return (
        _spread("Flood, TTL 4, among equals", flat, 4, dice),
        _spread("Flood, TTL 3, among ultrapeers; leaves by their tables", tiers, 3, dice),
        _spread("Dynamic query of a leaf", tiers, None, dice),
    )


def _spread(title: str, graph: Graph, ttl: int | None, dice: Random) -> Spread:
    """`ttl` None: as the product asks in two tiers."""
    things = scatter(graph.nodes, 1, 5, dice)
    (question,) = questions(graph.nodes, things, dice)
    if ttl is None:
        question = Question(graph.supers + dice.randrange(graph.nodes - graph.supers), things[0])

    async def story(loop: VirtualLoop) -> Spread:
        network = Network(loop, graph, dice, routing=ttl is None)
        await network.build(names_of(graph.nodes, things))
        network.watch.begin(steps=True)
        origin, words = question.origin, question.thing.words
        if ttl is None:
            await network.ask(origin, words, ENOUGH)
        else:
            origin = network.above(origin).number
            await network.flood(origin, words, ttl)
        nodes = tuple(_node(network, number) for number in range(graph.nodes))
        top = tuple(edge for edge in graph.edges if max(edge) < graph.supers)
        hits = tuple(sorted(network.watch.hits))
        return Spread(title, nodes, top, origin, _steps(network.watch), hits)

    return play(story)


def _node(network: Network, number: int) -> Node:
    parent = network.above(number).number
    return Node(network.role(number).value, None if parent == number else parent)


def _steps(watch: Watch) -> tuple[tuple[tuple[int, int], ...], ...]:
    """What came at one moment is one step."""
    moments = groupby(watch.steps, key=lambda step: round(step[0], 6))
    return tuple(tuple((source, node) for _, source, node in moment) for _, moment in moments)
