"""Sources of addresses, and who uses them: a torrent, or a magnet and then its torrent."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from p2pswarm.discovery.source import Progress
from p2pswarm.formats.ids import Address
from p2pswarm.formats.names import Names
from p2pswarm.node import Node
from p2pswarm.swarm.finding import Finding
from p2pswarm.swarm.greeting import Greeted
from tests.support.world import World, simulate

PIECE = 256 << 10


class Source:
    """Names whom it is told to; remembers what it was told."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.found: Callable[[Address], None] = lambda _: None
        self.progress: Callable[[], Progress] = lambda: Progress(0, 0, 0)
        self.error: Exception | None = None

    async def run(self, progress: Callable[[], Progress], found: Callable[[Address], None]) -> None:
        self.calls.append("run")
        self.progress, self.found = progress, found
        try:
            if self.error is not None:
                raise self.error
            await asyncio.Event().wait()
        finally:
            self.calls.append("ended")

    def need_more(self) -> None:
        self.calls.append("more")

    async def leave(self) -> None:
        self.calls.append("left")


class Seeker:
    """Wants nobody."""

    def __init__(self, left: int) -> None:
        self.left = left
        self.stopped: list[Exception] = []

    def welcome(self, who: Greeted) -> bool:
        who.stream.close()
        return False

    def connected(self) -> set[Address]:
        return set()

    def progress(self) -> Progress:
        return Progress(0, 0, self.left)

    def dialing(self) -> None:
        """It does not care."""

    def unreached(self, address: Address) -> None:
        """Nor about this."""

    def stop(self, error: Exception) -> None:
        self.stopped.append(error)


def finding_of(node: Node, world: World, *sources: Source) -> Finding:
    meta, _ = world.content(PIECE, PIECE)
    plain = node._finding(Names.of(meta), [])
    finding = Finding(plain.names, plain._node)
    finding.add_swarm(meta.info_hash, *plain.trackers, sources)
    return finding


def test_sources_search_once_for_whoever_seeks(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        source = Source()
        finding = finding_of(await world.node(world.host()), world, source)
        finding.begin(Seeker(5))
        await asyncio.sleep(0.1)
        assert source.progress().left == 5
        finding.begin(Seeker(3))
        finding.need_more()
        await asyncio.sleep(0.1)
        assert source.progress().left == 3
        assert source.calls == ["run", "more"]
        finding.rest()
        finding.rest()
        await asyncio.sleep(0.1)
        assert not finding.tasks
        await finding.leave()
        assert source.calls == ["run", "more", "ended", "left"]
        assert source.progress().left == 3  # a good-bye says so: it said 0 of everything

    simulate(tmp_path, story)


class SomeTrackers(Source):
    any = True


def test_trackers_are_told_nothing_where_another_torrent_of_ours_goes_on(tmp_path: Path) -> None:
    """They would strike off their list whoever this node is there."""

    async def story(world: World) -> None:
        for replaced, last in ((True, "ended"), (False, "left")):
            source, trackers = Source(), SomeTrackers()
            finding = finding_of(await world.node(world.host()), world, source)
            finding.trackers = (trackers,)  # type: ignore[assignment]
            finding.begin(Seeker(0))
            await asyncio.sleep(0.1)
            finding.rest()
            await finding.leave(replaced=replaced)
            assert source.calls[-1] == "left"
            assert trackers.calls[-1] == last

    simulate(tmp_path, story)


def test_who_has_not_searched_does_not_say_good_bye(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        source = Source()
        finding = finding_of(await world.node(world.host()), world, source)
        finding.begin(Seeker(0), wait=10)
        await asyncio.sleep(1)
        finding.rest()
        await finding.leave()
        await asyncio.sleep(20)
        assert source.calls == []

    simulate(tmp_path, story)


def test_a_private_torrent_forgets_who_came_from_elsewhere(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        source = Source()
        finding = finding_of(await world.node(world.host()), world, source)
        finding.begin(Seeker(5))
        await asyncio.sleep(0.1)
        source.found(Address("10.0.0.50", 1))
        finding.tracked(Address("10.0.0.51", 1))
        finding.add(Address("10.0.0.52", 1))
        finding.add(Address("10.0.0.53", 1), named=False)
        finding.only_trackers()
        await asyncio.sleep(0.1)
        finding.add(Address("10.0.0.53", 1), named=False)  # its name was looked up meanwhile
        private = [finding.book.is_private(Address(f"10.0.0.{n}", 1)) for n in range(50, 54)]
        assert private == [False, True, True, False]
        assert len(finding.book) == 2
        finding.need_more()
        assert source.calls == ["run", "ended", "left"]

    simulate(tmp_path, story)


def test_a_bug_of_a_source_stops_the_seeker(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        source, seeker = Source(), Seeker(5)
        source.error = ZeroDivisionError()
        finding = finding_of(await world.node(world.host()), world, source)
        finding.begin(seeker)
        await asyncio.sleep(0.1)
        assert seeker.stopped == [source.error]

    simulate(tmp_path, story)


def test_each_swarm_has_sources_and_what_they_name_is_told_apart(tmp_path: Path) -> None:
    """One of them is known late: when a magnet's torrent turned out to be a hybrid."""

    async def story(world: World) -> None:
        first, second, late = Source(), Source(), Source()
        finding = finding_of(await world.node(world.host()), world, first)
        names = Names(finding.names.v1, bytes(32))
        finding.learn(names)
        assert names.short is not None
        finding.add_swarm(names.short, *finding.trackers, [second])
        finding.begin(Seeker(5))
        await asyncio.sleep(0.1)
        finding.add_swarm(names.short, finding.trackers[0], [late])
        await asyncio.sleep(0.1)
        assert first.calls == second.calls == late.calls == ["run"]
        for source, port in ((first, 1), (second, 2), (late, 3)):
            source.found(Address("10.0.0.50", port))
        known = [finding.book.is_v2(Address("10.0.0.50", port)) for port in (1, 2, 3)]
        assert known == [False, True, True]
        finding.only_trackers()
        await asyncio.sleep(0.1)
        assert set(late.calls) == set(second.calls) == {"run", "left", "ended"}
        finding.add_swarm(names.short, finding.trackers[0], [forbidden := Source()])
        await asyncio.sleep(0.1)
        assert forbidden.calls == []
        finding.rest()

    simulate(tmp_path, story)
