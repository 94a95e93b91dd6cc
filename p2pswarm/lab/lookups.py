"""Iterative against recursive, as DNS calls it: the same questions in one network of super nodes, both ways.

Recursive, the asker sends one query and the network floods it; iterative, the asker visits one super node
after the other, as long as it lacks results. Asked are things that many, some and one have, and the whole
again when some super nodes have vanished.
"""

from collections import Counter
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass
from random import Random
from statistics import fmean

from p2pswarm.lab.architecture import Question, Thing, names_of, questions, scatter
from p2pswarm.lab.loop import VirtualLoop, play
from p2pswarm.lab.progress import Progress, quietly
from p2pswarm.lab.results import Chart, Line, Result, Table
from p2pswarm.lab.supernodes.architecture import Supernodes
from p2pswarm.lab.topologies import drawn_graph, two_tier
from p2pswarm.overlay.network import Cost
from p2pswarm.overlay.query import Lookup, Query

__all__ = ["lookups"]

PEERS = 2020
CHILDREN, LINKS = 100, 12  # of one super node
WANTED = 10  # results, after which a search ends
SHARES = (0.05, 0.002, 0.0)  # of the peers that have a thing; 0 is one of them
VANISHED = 0.2  # of the super nodes, in the end
REHOMED = 30.0  # seconds, after which the children of these have other parents


@dataclass(frozen=True, slots=True)
class _Asked:
    """What one question took."""

    found: int
    copies: int
    cost: Cost
    inside: int
    """Messages that others sent for it."""


def lookups(
    peers: int = PEERS, things: int = 5, seed: int = 1, progress: Progress = quietly
) -> Result:
    """So many things of each kind are asked for, by peers that have them not."""

    async def story(loop: VirtualLoop) -> tuple[Table, ...]:
        bench = _Bench(loop, peers, things, seed)
        try:
            progress(f"lookups: {peers} nodes join")
            await bench.build()
            whole = await bench.table("Everybody is there", progress)
            await bench.lose(VANISHED)
            return whole, await bench.table(
                f"{VANISHED:.0%} of the super nodes have vanished", progress
            )
        finally:
            await bench.network.close()

    tables = play(story)
    facts = {
        "peers": peers,
        "results wanted": WANTED,
        "questions of each kind": things,
        "seed": seed,
    }
    question = "What does a search cost who asks, and the others: iterative against recursive?"
    return Result("lookups", question, facts, tables, (_chart(tables[0]),))


class _Bench:
    def __init__(self, loop: VirtualLoop, peers: int, things: int, seed: int) -> None:
        self._loop, self._peers, self._things = loop, peers, things
        self._dice = Random(seed)
        supers = max(round(peers / (1 + CHILDREN)), 4)
        graph = two_tier(drawn_graph(supers, LINKS, self._dice), peers - supers)
        self.network = Supernodes(loop, graph, self._dice)
        self._supers = supers
        self._asked: list[tuple[str, tuple[Question, ...]]] = []

    async def build(self) -> None:
        scattered: list[tuple[Thing, ...]] = []
        for copies in dict.fromkeys(max(round(share * self._peers), 1) for share in SHARES):
            some = scatter(self._peers, self._things * (len(scattered) + 1), copies, self._dice)
            scattered.append(some[-self._things :])  # names that no other kind has
            told = f"{copies} of {self._peers}"
            self._asked.append((told, questions(self._peers, scattered[-1], self._dice)))
        every = [thing for some in scattered for thing in some]
        await self.network.build(names_of(self._peers, every))

    async def lose(self, share: float) -> None:
        """So many super nodes are switched off."""
        for number in self._dice.sample(range(self._supers), round(share * self._supers)):
            await self.network.town.all[number].vanish()
        await self.network.town.until(lambda: False, REHOMED)

    async def table(self, title: str, progress: Progress) -> Table:
        rows = []
        for told, asked in self._asked:
            for lookup in Lookup:
                progress(f"lookups: {title}: {told}, {lookup}")
                rows.append(_row(told, lookup, [await self._ask(each, lookup) for each in asked]))
        columns = (
            "copies", "lookup", "found", "asker: messages", "asker: bytes", "others: messages",
            "first hit, ms", "all, ms",
        )  # fmt: skip
        note = "Means. The way to any host takes 10 ms; all: until the last hit came."
        return Table(title, columns, tuple(rows), note)

    async def _ask(self, question: Question, lookup: Lookup) -> _Asked:
        town, cost, began = self.network.town, Cost(), self._loop.time()
        asker = town.all[question.origin]
        query = Query(tuple(question.thing.words.split()), limit=WANTED, lookup=lookup)
        before, found = self._sent(), set[int]()
        async with aclosing(asker.member.search(query, cost)) as hits:
            async for hit in hits:
                found.add(int(hit.nick, 16))
                cost.last = self._loop.time() - began
                cost.first = cost.last if cost.first is None else cost.first
                if len(found) >= WANTED:
                    break
        return _Asked(len(found), len(question.thing.holders), cost, self._sent() - before)

    def _sent(self) -> int:
        sent: Counter[str] = Counter()
        for each in self.network.town.all[: self._supers]:
            sent.update(each.member.status().sent)
        return sent.total()


def _row(told: str, lookup: Lookup, asked: Sequence[_Asked]) -> tuple[object, ...]:
    firsts = [each.cost.first for each in asked if each.cost.first is not None]
    lasts = [each.cost.last for each in asked if each.cost.last is not None]
    return (
        told,
        lookup.value,
        f"{sum(each.found > 0 for each in asked)} of {len(asked)}",
        round(fmean(each.cost.messages for each in asked), 1),
        round(fmean(each.cost.bytes for each in asked)),
        round(fmean(each.inside for each in asked), 1),
        round(1000 * fmean(firsts)) if firsts else None,
        round(1000 * fmean(lasts)) if lasts else None,
    )


def _chart(table: Table) -> Chart:
    ticks = tuple(dict.fromkeys(str(row[0]) for row in table.rows))
    lines = []
    for lookup in Lookup:
        rows = [row for row in table.rows if row[1] == lookup.value]
        points = tuple(
            (float(x), float(str(row[3])) + float(str(row[5]))) for x, row in enumerate(rows)
        )
        lines.append(Line(lookup.value, points))
    title, unit = "Messages of one question, of all nodes", "messages"
    return Chart(title, "copies", unit, tuple(lines), "bar", log_y=True, ticks=ticks)
