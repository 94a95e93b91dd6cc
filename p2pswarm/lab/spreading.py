"""One question on its way, hop by hop, through networks small enough to look at."""

from collections.abc import Callable, Sequence
from itertools import groupby
from random import Random

from p2pswarm.lab.architecture import Question, names_of, questions, scatter
from p2pswarm.lab.gnutella.network import Network
from p2pswarm.lab.gnutella.watching import Step
from p2pswarm.lab.loop import VirtualLoop, play
from p2pswarm.lab.results import Node, Spread
from p2pswarm.lab.supernodes.architecture import Supernodes
from p2pswarm.lab.supernodes.members import Inhabitant
from p2pswarm.lab.topologies import Graph, random_graph, two_tier
from p2pswarm.overlay.supernode.link import Hearer, Link
from p2pswarm.wire.supernode.frames import Frame, FrameKind

__all__ = ["spreads"]

ENOUGH = 10  # results


def spreads(seed: int = 1) -> tuple[Spread, ...]:
    """The same flood among equals and among ultrapeers, a dynamic query, and a flood among super nodes."""
    dice = Random(seed)
    flat = random_graph(48, 4, dice)
    tiers = two_tier(random_graph(12, 4, dice), 96)
    return (
        _spread("Flood, TTL 4, among equals", flat, 4, dice),
        _spread("Flood, TTL 3, among ultrapeers; leaves by their tables", tiers, 3, dice),
        _spread("Dynamic query of a leaf", tiers, None, dice),
        _among_supers("Flood among super nodes, for one of their children", tiers, dice),
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
        return Spread(title, nodes, top, origin, _by_moment(network.watch.steps), hits)

    return play(story)


def _among_supers(title: str, graph: Graph, dice: Random) -> Spread:
    things = scatter(graph.nodes, 1, 5, dice)
    origin = graph.supers + dice.randrange(graph.nodes - graph.supers)
    while origin in things[0].holders:
        origin = graph.supers + dice.randrange(graph.nodes - graph.supers)

    async def story(loop: VirtualLoop) -> Spread:
        network = Supernodes(loop, graph, dice)
        try:
            await network.build(names_of(graph.nodes, things))
            heard: list[Step] = []
            for inhabitant in network.town.all[: graph.supers]:
                _overhear(inhabitant, heard, loop)
            outcome = await network.ask(Question(origin, things[0]))
        finally:
            await network.close()
        nodes = tuple(_member(graph, number) for number in range(graph.nodes))
        top = tuple(edge for edge in graph.edges if max(edge) < graph.supers)
        assert outcome.found == len(things[0].holders)
        return Spread(
            title, nodes, top, origin, _by_moment(heard), tuple(sorted(things[0].holders))
        )

    return play(story)


class _Ear:
    """Hears what comes over one link before who really listens there."""

    def __init__(self, hearer: Hearer, note: Callable[[Link], None]) -> None:
        self._hearer, self._note = hearer, note

    def got(self, link: Link, frame: Frame) -> None:
        if frame.kind == FrameKind.QUERY:
            self._note(link)
        self._hearer.got(link, frame)

    def left(self, link: Link, reason: Exception) -> None:
        self._hearer.left(link, reason)


def _overhear(inhabitant: Inhabitant, heard: list[Step], loop: VirtualLoop) -> None:
    """Each query that comes to this super node is written down."""

    def note(link: Link) -> None:
        heard.append((loop.time(), int.from_bytes(link.node, "big"), inhabitant.number))

    for link in inhabitant.member.neighbours:
        if link.hearer is not None:
            link.listen(_Ear(link.hearer, note))


def _member(graph: Graph, number: int) -> Node:
    if number < graph.supers:
        return Node("super node", None)
    return Node("leaf", graph.neighbours[number][0])


def _node(network: Network, number: int) -> Node:
    parent = network.above(number).number
    return Node(network.role(number).value, None if parent == number else parent)


def _by_moment(steps: Sequence[Step]) -> tuple[tuple[tuple[int, int], ...], ...]:
    """What came at one moment is one step."""
    moments = groupby(steps, key=lambda step: round(step[0], 6))
    return tuple(tuple((source, node) for _, source, node in moment) for _, moment in moments)
