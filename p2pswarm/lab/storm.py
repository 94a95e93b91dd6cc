"""A join storm: a settled network of super nodes, and ten times as many who want in within seconds.

Nobody is told who serves: the first node does, and all others are promoted by the product's own rules, by
tests that cost the time which their uplinks need. Some nodes are firewalled or have slow lines, as in any
network. What is looked at is whether the bounds hold while it rains, how long who comes has no parent, and
whether what is shared can be found afterwards.
"""

import asyncio
from contextlib import aclosing
from dataclasses import dataclass, field
from random import Random
from statistics import median, quantiles

from p2pswarm.lab.loop import VirtualLoop, play
from p2pswarm.lab.progress import Progress, quietly
from p2pswarm.lab.results import Chart, Line, Result, Table
from p2pswarm.lab.supernodes.members import Inhabitant, Town, files_of
from p2pswarm.overlay.network import Cost
from p2pswarm.overlay.query import Query
from p2pswarm.overlay.supernode.options import Options, Wish

__all__ = ["storm"]

NODES = 550
TIMES = 10  # as many as before want in
CALM = 300.0  # seconds in which the first ones come, one after the other
RAIN = 60.0  # seconds in which all others do
AFTER = 300.0  # seconds at most until everybody is in
SETTLED = 15.0  # seconds after which it is asked what can be found
PROMOTE_AFTER = 60.0  # seconds; ten minutes by default, which the laboratory need not wait
KNOWN = 5  # super nodes that a newcomer has heard of
QUERIES = 20
FIREWALLED, SLOW = 0.3, 0.3  # shares of the nodes
SLOW_LINE, LINE = 10_000.0, 1_000_000.0  # bytes per second upwards; 20 000 are needed to serve
WAIT = 2.0  # seconds without a new hit after which a search ends


@dataclass
class _Moment:
    """What was seen at one time."""

    at: float
    nodes: int
    homeless: int
    supers: int
    most_children: int
    most_links: int


@dataclass
class _Story:
    """What happened."""

    moments: list[_Moment] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)  # seconds until a newcomer had a parent
    recalls: list[float] = field(default_factory=list)
    queries: list[int] = field(default_factory=list)
    calm: int = 0


def storm(
    nodes: int = NODES, queries: int = QUERIES, seed: int = 1, progress: Progress = quietly
) -> Result:
    """`nodes` is how many there are in the end."""

    async def tell(loop: VirtualLoop) -> _Story:
        storm = _Storm(loop, nodes, queries, seed, progress)
        try:
            return await storm.run()
        finally:
            await storm.town.aclose()

    return _result(play(tell), nodes, seed)


class _Storm:
    def __init__(
        self, loop: VirtualLoop, nodes: int, queries: int, seed: int, progress: Progress
    ) -> None:
        self._loop, self._nodes, self._progress = loop, nodes, progress
        self._dice, self._queries = Random(seed), queries
        self.town = Town(loop, self._dice)
        self._story = _Story(calm=max(nodes // (1 + TIMES), 2))

    async def run(self) -> _Story:
        async with asyncio.TaskGroup() as tasks:
            watching = tasks.create_task(self._watch())
            await self._come(self._story.calm, CALM)
            await self.town.until(self._all_in, AFTER)
            await asyncio.sleep(PROMOTE_AFTER)
            await self._come(self._nodes - self._story.calm, RAIN)
            await self.town.until(self._all_in, AFTER)
            await asyncio.sleep(SETTLED)
            watching.cancel()
        await self._search()
        return self._story

    async def _come(self, count: int, seconds: float) -> None:
        """So many, evenly in that time."""
        for _ in range(count):
            inhabitant = self._newcomer()
            await inhabitant.start()
            await asyncio.sleep(seconds / count)

    def _newcomer(self) -> Inhabitant:
        number = len(self.town.all)
        known = self._supers()
        chosen = self._dice.sample(known, min(KNOWN, len(known)))
        firewalled = bool(number) and self._dice.random() < FIREWALLED
        slow = bool(number) and self._dice.random() < SLOW
        options = Options(
            Wish.AUTO,
            connect=tuple(each.address for each in chosen),
            firewalled=firewalled,
            promote_after=PROMOTE_AFTER,
            wait=WAIT,
        )
        files = files_of([_name(number)])
        return self.town.settle(options, files, up=SLOW_LINE if slow else LINE)

    def _supers(self) -> list[Inhabitant]:
        return [each for each in self.town.all if each.member.serves]

    def _all_in(self) -> bool:
        return not any(_is_homeless(each) for each in self.town.all)

    async def _watch(self) -> None:
        """Once a second."""
        waiting: dict[int, Inhabitant] = {}
        seen = 0
        while True:
            now = self._loop.time()
            waiting.update((each.number, each) for each in self.town.all[seen:])
            seen = len(self.town.all)
            for number, each in list(waiting.items()):
                if not _is_homeless(each):
                    del waiting[number]
                    if number >= self._story.calm:
                        self._story.waits.append(now - each.began)
            self._note(now)
            await asyncio.sleep(1.0)

    def _note(self, now: float) -> None:
        supers = self._supers()
        states = [each.member.status() for each in supers]
        moment = _Moment(
            now,
            len(self.town.all),
            sum(map(_is_homeless, self.town.all)),
            len(supers),
            max((state.leaves for state in states), default=0),
            max((state.links for state in states), default=0),
        )
        self._story.moments.append(moment)
        self._progress(
            f"storm: {moment.nodes} nodes, {moment.homeless} without a parent, {moment.supers} super"
        )

    async def _search(self) -> None:
        """Everybody has one file of its own; is it found?"""
        for _ in range(self._queries):
            asker, holder = self._dice.sample(self.town.all, 2)
            before = self._sent()
            query = Query(tuple(_name(holder.number).removesuffix(".ogg").split()))
            found: set[int] = set()
            async with aclosing(asker.member.search(query, Cost())) as hits:
                async for hit in hits:
                    found.add(int(hit.nick, 16))
            self._story.recalls.append(float(holder.number in found))
            self._story.queries.append(self._sent() - before)

    def _sent(self) -> int:
        return sum(each.member.status().sent.get("query", 0) for each in self._supers())


def _is_homeless(inhabitant: Inhabitant) -> bool:
    return not inhabitant.member.serves and inhabitant.member.parent is None


def _name(number: int) -> str:
    return f"storm song {number:06}.ogg"


def _result(story: _Story, nodes: int, seed: int) -> Result:
    last = story.moments[-1]
    waits = sorted(story.waits)
    cuts = quantiles(waits, n=100)
    rows = (
        ("nodes before the storm", story.calm),
        ("nodes after it", nodes),
        ("super nodes before it", _before(story).supers),
        ("super nodes after it", last.supers),
        ("most children of one, ever", max(each.most_children for each in story.moments)),
        ("most links of one, ever", max(each.most_links for each in story.moments)),
        ("without a parent in the end", last.homeless),
        ("seconds until a newcomer has a parent: median", round(median(waits), 1)),
        ("95 of 100", round(cuts[94], 1)),
        ("the slowest", round(waits[-1], 1)),
        ("files found afterwards", f"{sum(story.recalls):.0f} of {len(story.recalls)}"),
        ("queries among super nodes for one question", round(median(story.queries))),
    )
    facts = {
        "seed": seed,
        "storm": f"{nodes - story.calm} nodes within {RAIN:.0f} s",
        "firewalled": f"{FIREWALLED:.0%}",
        "too slow to serve": f"{SLOW:.0%}",
        "uptime to serve": f"{PROMOTE_AFTER:.0f} s",
    }
    return Result(
        "storm",
        "Do the bounds hold when ten times as many nodes want in as there are?",
        facts,
        (Table("A ten-fold join storm", ("", "value"), rows),),
        (
            _chart(story, "Nodes without a parent", "nodes", homeless="homeless"),
            _chart(story, "Super nodes", "super nodes", supers="super nodes"),
            _chart(
                story,
                "The fullest super node",
                "neighbours",
                most_children="most children",
                most_links="most links",
            ),
        ),
    )


def _before(story: _Story) -> _Moment:
    return [each for each in story.moments if each.nodes <= story.calm][-1]


def _chart(story: _Story, title: str, unit: str, **fields: str) -> Chart:
    lines = tuple(
        Line(label, tuple((each.at, float(getattr(each, name))) for each in story.moments))
        for name, label in fields.items()
    )
    return Chart(title, "virtual seconds", unit, lines)
