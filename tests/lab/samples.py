"""A small result of every kind: two tiers, a flood over them, all charts; always the same."""

from random import Random

from p2pswarm.lab.results import Chart, Kind, Line, Node, Result, Spread, Table

__all__ = ["chart", "flat", "many_bars", "result", "two_tiers"]

Step = tuple[tuple[int, int], ...]


def flood(neighbours: dict[int, list[int]], origin: int, ttl: int) -> tuple[Step, ...]:
    """The messages of each hop when everybody passes a query on to all others than who gave it."""
    reached = {origin}
    steps = [tuple((origin, other) for other in neighbours[origin])]
    while steps[-1] and len(steps) < ttl:
        passing = {}
        for teller, node in steps[-1]:
            if node not in reached:
                reached.add(node)
                passing[node] = teller
        steps.append(
            tuple((n, other) for n, t in passing.items() for other in neighbours[n] if other != t)
        )
    return tuple(step for step in steps if step)


def ring(count: int, chords: int, dice: Random) -> list[tuple[int, int]]:
    """Nobody is left alone in a ring with chords."""
    edges = {(a, (a + 1) % count) for a in range(count)}
    while len(edges) < count + chords:
        a, b = dice.sample(range(count), 2)
        if (b, a) not in edges:
            edges.add((a, b))
    return sorted(edges)


def neighbours(edges: list[tuple[int, int]]) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for a, b in edges:
        found.setdefault(a, []).append(b)
        found.setdefault(b, []).append(a)
    return found


def two_tiers(supers: int = 12, children: int = 8, seed: int = 7) -> Spread:
    """A child asks its parent, which floods the super nodes; two children have the file."""
    dice = Random(seed)
    edges = ring(supers, supers, dice)
    parents = [node for node in range(supers) for _ in range(dice.randint(2, children))]
    nodes = [Node("super node") for _ in range(supers)]
    nodes += [Node("ordinary node", parent) for parent in parents]
    origin = supers
    steps = ((origin, 0),), *flood(neighbours(edges), 0, 6)
    hits = tuple(sorted(dice.sample(range(supers + 3, len(nodes)), 3)))
    return Spread("A query of a child, TTL 7", tuple(nodes), tuple(edges), origin, steps, hits)


def flat(count: int = 40, seed: int = 7) -> Spread:
    dice = Random(seed)
    edges = ring(count, count, dice)
    steps = flood(neighbours(edges), 0, 4)
    nodes = tuple(Node("servent") for _ in range(count))
    return Spread("A flat flood, TTL 4", nodes, tuple(edges), 0, steps, (7, 23))


def chart(kind: Kind) -> Chart:
    if kind == "bar":
        lines = (
            Line("median", ((0, 2.0), (1, 40.0))),
            Line("95th percentile", ((0, 6.0), (1, 900.0))),
        )
        ticks = ("ordinary node", "super node")
        return Chart(
            "Load per role", "role", "messages per query", lines, "bar", log_y=True, ticks=ticks
        )
    if kind == "scatter":
        lines = (
            Line("flood", ((31_000, 0.98),)),
            Line("random walks", ((2_400, 0.31),)),
            Line("super nodes", ((900, 0.97),)),
            Line("central index", ((2, 1.0),)),
        )
        return Chart(
            "Cost against recall", "messages per query", "recall", lines, "scatter", log_x=True
        )
    lines = (
        Line("flood", tuple((ttl, min(1.0, 0.004 * 2.6**ttl)) for ttl in range(1, 8))),
        Line("super nodes", tuple((ttl, min(1.0, 0.02 * 3.0**ttl)) for ttl in range(1, 8))),
    )
    return Chart("Coverage by TTL", "TTL", "share of nodes reached", lines)


def many_bars() -> Chart:
    """Names that do not fit below bars."""
    ticks = tuple(
        f"{each}: {role}"
        for each in ("flat flood", "dynamic querying", "super nodes")
        for role in ("ordinary node", "super node")
    )
    lines = (
        Line("mean", tuple((x, 2.0 + x) for x in range(6))),
        Line("max", ((0, 9.0), (5, 800.0))),
    )
    return Chart("Load", "", "messages", lines, "bar", log_y=True, ticks=ticks)


def result(title: str = "Load of a query") -> Result:
    table = Table(
        title,
        ("architecture", "messages", "recall", "recall by hash"),
        (("flood", 31_000, 0.98, None), ("super nodes", 900, 0.97, 1.0)),
        "Means over 200 queries.",
    )
    return Result(
        name="compare",
        question="What does a search cost, and what does it find?",
        facts={"seed": 7, "nodes": 6301, "topology": "p2p-Gnutella08", "replication": 0.002},
        tables=(table,),
        charts=(chart("scatter"), chart("line"), chart("bar")),
        spreads=(two_tiers(), flat()),
    )
