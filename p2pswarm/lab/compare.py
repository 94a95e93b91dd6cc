"""All ways to search side by side: the same peers, the same files, the same questions.

Each architecture is built in a virtual world of its own, all questions are asked in it one after the other,
and its world is given up before the next is built.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from statistics import fmean, quantiles
from typing import TypeAlias

from p2pswarm.lab.against import COUNTED, against
from p2pswarm.lab.architecture import Architecture, Outcome, Question, names_of, questions, scatter
from p2pswarm.lab.central import Central
from p2pswarm.lab.gnutella.architectures import Dynamic, Flood
from p2pswarm.lab.gnutella.walking import MOST_STEPS, Walkers
from p2pswarm.lab.graphs import named
from p2pswarm.lab.loop import VirtualLoop, play
from p2pswarm.lab.progress import Progress, quietly
from p2pswarm.lab.results import Chart, Line, Result, Table
from p2pswarm.lab.spreading import spreads
from p2pswarm.lab.supernodes.architecture import Supernodes
from p2pswarm.lab.topologies import Graph, drawn_graph, random_graph, two_tier
from p2pswarm.overlay.gnutella.links.agreement import FLAT_TTL

__all__ = ["ALL", "GNUTELLA", "Maker", "Tried", "compare", "super_nodes", "tried", "ultrapeers"]

Maker: TypeAlias = Callable[[VirtualLoop, Graph, Random], Architecture]
"""Makes an architecture for the peers of a flat graph, with their edges or with others."""


@dataclass(frozen=True, slots=True)
class Tried:
    """What one architecture did with all questions."""

    name: str
    outcomes: tuple[Outcome, ...]
    loads: Mapping[str, tuple[float, ...]]
    """Messages of each node for one question, on average, by role."""

    @property
    def recall(self) -> float:
        return fmean(outcome.recall for outcome in self.outcomes)

    @property
    def total(self) -> float:
        return fmean(outcome.total for outcome in self.outcomes)

    def mean(self, kind: str) -> float:
        return fmean(outcome.messages.get(kind, 0) for outcome in self.outcomes)


def ultrapeers(peers: int, dice: Random, *, exact: bool = False) -> Graph:
    """200 with 32 links each; fewer of them where there are not enough peers."""
    return _tiers(peers, min(200, max(peers // 16 * 2, 4)), 32, dice, exact=exact)


def super_nodes(peers: int, dice: Random, *, exact: bool = False) -> Graph:
    """One for a hundred children, with 40 links each."""
    return _tiers(peers, max(round(peers / 101), 3), 40, dice, exact=exact)


def _tiers(peers: int, supers: int, links: int, dice: Random, *, exact: bool) -> Graph:
    """Of links that are drawn fewer are left; `exact`: all have as many, or there are too few others."""
    if exact:
        top = random_graph(supers, min(links, (supers - 1) // 2 * 2), dice)
    else:
        top = drawn_graph(supers, links, dice)
    return two_tier(top, peers - supers)


def _flat(ttl: int) -> Maker:
    return lambda loop, graph, dice: Flood(loop, graph, ttl, dice)


def _last_hop(ttl: int) -> Maker:
    return lambda loop, graph, dice: Flood(loop, graph, ttl, dice, routing=True)


def _two_tier(ttl: int, *, exact: bool = False) -> Maker:
    return lambda loop, graph, dice: Flood(
        loop, ultrapeers(graph.nodes, dice, exact=exact), ttl, dice
    )


def _two_tier_last_hop(ttl: int) -> Maker:
    return lambda loop, graph, dice: Flood(
        loop, ultrapeers(graph.nodes, dice), ttl, dice, routing=True
    )


def _dynamic(enough: int) -> Maker:
    return lambda loop, graph, dice: Dynamic(loop, ultrapeers(graph.nodes, dice), enough, dice)


def _walkers(k: int, steps: int, check: int = 0) -> Maker:
    return lambda loop, graph, dice: Walkers(loop, graph, k, steps, dice, check=check)


GNUTELLA: tuple[Maker, ...] = (
    *(_flat(ttl) for ttl in range(1, FLAT_TTL + 1)),
    _last_hop(5),
    _walkers(16, 64),
    _walkers(32, 64),
    _walkers(64, 64),
    _walkers(32, MOST_STEPS),
    _walkers(32, MOST_STEPS, check=4),
    _two_tier(3),
    _two_tier(3, exact=True),
    _two_tier_last_hop(3),
    _dynamic(10),
    _dynamic(50),
)
"""Flat, with last-hop tables, walking, and with ultrapeers."""


def _central(loop: VirtualLoop, graph: Graph, _: Random) -> Architecture:
    return Central(loop, graph.nodes)


def _supernodes(*, exact: bool = False) -> Maker:
    return lambda loop, graph, dice: Supernodes(
        loop, super_nodes(graph.nodes, dice, exact=exact), dice
    )


FAMILIES = (
    (r"flood TTL \d", f"flood, TTL 1 to {FLAT_TTL}"),
    (r"flood TTL \d \+ QRP", "flood, TTL 5, with QRP"),
    (r"\d+ walkers x 64 steps", "16, 32 and 64 walkers"),
    (r".* walkers x 255 steps", "32 walkers, 255 steps"),
    (r".* walkers .*asking back .*", "32 walkers that ask back"),
    (r".* ultrapeers, .*flood TTL \d", "ultrapeers, TTL 3"),
    (r".* ultrapeers, .*flood TTL \d \+ QRP", "ultrapeers, TTL 3, with QRP"),
    (r".* ultrapeers, .*dynamic, .*", "ultrapeers, dynamic, 10 and 50 wanted"),
    (r".* super nodes, .*", "super nodes"),
)
"""Names, and what the dots in a chart are called."""

ALL: tuple[Maker, ...] = (*GNUTELLA, _supernodes(), _supernodes(exact=True), _central)


def tried(
    maker: Maker,
    graph: Graph,
    shelves: Sequence[Sequence[str]],
    asked: Sequence[Question],
    seed: int,
) -> Tried:
    """One architecture, in a world of its own."""

    async def story(loop: VirtualLoop) -> Tried:
        architecture = maker(loop, graph, Random(seed))
        try:
            return await _tried(architecture, shelves, asked)
        finally:
            await architecture.close()

    return play(story)


async def _tried(
    architecture: Architecture, shelves: Sequence[Sequence[str]], asked: Sequence[Question]
) -> Tried:
    await architecture.build(shelves)
    before = architecture.loads()
    outcomes = [await architecture.ask(question) for question in asked]
    loads = {
        role: tuple(
            (now - then) / len(asked) for now, then in zip(after, before[role], strict=True)
        )
        for role, after in architecture.loads().items()
    }
    return Tried(architecture.name, tuple(outcomes), loads)


def compare(
    makers: Sequence[Maker] = ALL,
    topology: str = "p2p-Gnutella08",
    things: int = 20,
    replication: float = 0.002,
    seed: int = 1,
    progress: Progress = quietly,
    nodes: int | None = None,
) -> Result:
    """So many things are asked for once each; `replication` is the share of the peers that have each."""
    dice = Random(seed)
    graph = named(topology, nodes, dice)
    copies = max(round(replication * graph.nodes), 1)
    scattered = scatter(graph.nodes, things, copies, dice)
    shelves, asked = names_of(graph.nodes, scattered), questions(graph.nodes, scattered, dice)
    found = []
    for number, maker in enumerate(makers, 1):
        progress(f"compare: {number} of {len(makers)} architectures, {things} questions each")
        found.append(tried(maker, graph, shelves, asked, seed))
    facts = {
        "topology": topology,
        "peers": graph.nodes,
        "copies of each file": copies,
        "questions": things,
        "seed": seed,
    }
    return Result(
        "compare",
        "What does it cost to find all copies of a file, and how many are found?",
        facts,
        (_costs(found), *_against(found, topology, copies), _loads(found)),
        (_recall_chart(found), _load_chart(found)),
        spreads(seed),
    )


def _costs(found: Sequence[Tried]) -> Table:
    columns = (
        "architecture", "queries", "hits", "other", "all messages", "recall",
        "messages until the first hit", "hops to it", "nothing found",
    )  # fmt: skip
    note = (
        "Means over all questions. A message is one copy on one connection; hits count once for each hop "
        "that they travel. Others are check-backs of walkers, and what leaves and ultrapeers say of a "
        "question. The first hit: only questions that found something."
    )
    return Table("Cost and recall", columns, tuple(map(_cost, found)), note)


def _cost(each: Tried) -> tuple[object, ...]:
    queries, hits = each.mean("query"), each.mean("hit")
    firsts = [outcome.first for outcome in each.outcomes if outcome.first is not None]
    hops = [outcome.hops for outcome in each.outcomes if outcome.hops is not None]
    return (
        each.name,
        round(queries, 1),
        round(hits, 1),
        round(fmean(map(_others, each.outcomes)), 1),
        round(each.total, 1),
        round(each.recall, 3),
        round(fmean(firsts), 1) if firsts else None,
        round(fmean(hops), 2) if hops else None,
        len(each.outcomes) - len(hops),
    )


def _others(outcome: Outcome) -> int:
    return outcome.total - outcome.messages.get("query", 0) - outcome.messages.get("hit", 0)


def _against(found: Sequence[Tried], topology: str, copies: int) -> list[Table]:
    """Where others have counted the same."""
    if (topology, copies) != COUNTED:
        return []
    measured = [
        (
            each.name,
            [outcome.messages.get("query", 0) for outcome in each.outcomes],
            [outcome.recall for outcome in each.outcomes],
        )
        for each in found
    ]
    return [against(measured)]


def _loads(found: Sequence[Tried]) -> Table:
    rows = [
        (each.name, role, len(loads), *(round(value, 2) for value in _summary(loads)))
        for each in found
        for role, loads in each.loads.items()
    ]
    note = (
        "Messages that one node sends or receives for one question, on average over all questions."
    )
    return Table(
        "Load by role", ("architecture", "role", "nodes", "mean", "p95", "max"), tuple(rows), note
    )


def _summary(loads: Sequence[float]) -> tuple[float, float, float]:
    p95 = quantiles(loads, n=20)[-1] if len(loads) > 1 else loads[0]
    return fmean(loads), p95, max(loads)


def _recall_chart(found: Sequence[Tried]) -> Chart:
    families: dict[str, list[tuple[float, float]]] = {}
    for each in found:
        families.setdefault(_family(each.name), []).append((each.total, each.recall))
    lines = tuple(Line(name, tuple(points)) for name, points in families.items())
    return Chart(
        "Recall against cost", "messages of one question", "recall", lines, "scatter", log_x=True
    )


def _family(name: str) -> str:
    """Those that differ in one figure are dots of one colour: twenty names would hide what they name."""
    for pattern, family in FAMILIES:
        if re.fullmatch(pattern, name):
            return family
    return name


def _load_chart(found: Sequence[Tried]) -> Chart:
    rows = [
        (f"{each.name}: {role}", _summary(loads))
        for each in found
        for role, loads in each.loads.items()
    ]
    lines = tuple(
        Line(label, tuple((float(x), values[at]) for x, (_, values) in enumerate(rows)))
        for at, label in enumerate(("mean", "p95", "max"))
    )
    ticks = tuple(name for name, _ in rows)
    return Chart(
        "Load by role",
        "",
        "messages of one node for one question",
        lines,
        "bar",
        log_y=True,
        ticks=ticks,
    )
