"""Files chosen of a torrent, before it begins and while it runs: what lies on the disk, what is told."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from p2pswarm.errors import HostError
from p2pswarm.formats import bencode
from p2pswarm.formats.ids import BLOCK, Address
from p2pswarm.formats.magnet import Magnet
from p2pswarm.formats.metainfo import Metainfo
from p2pswarm.node import Node
from p2pswarm.swarm.events import Completed, Downloading, Seeding
from p2pswarm.swarm.selection import Priority, Selection
from p2pswarm.swarm.torrent import Torrent
from p2pswarm.wire.peer import BitfieldMessage, HaveAll
from tests.support.stranger import Stranger
from tests.support.world import Host, World, simulate

pytestmark = pytest.mark.sim

PIECE = 2 * BLOCK
SIZES = {"a": 10 * PIECE + 9, "b": 20 * PIECE + 99, "sub/c": 7, "sub/d": 5 * PIECE, "none/e": 0}
ONLY_A = Selection(only=("a",))


async def seeded(world: World, up: float = 1e300) -> tuple[Metainfo, Path, Host]:
    meta, folder = world.many_files(SIZES, PIECE)
    home = world.host(up=up)
    await (await world.node(home)).add(meta, data=folder)
    return meta, folder / "many", home


async def fetched(
    world: World, node: Node, meta: Metainfo, home: Host, select: Selection | None = None
) -> Torrent:
    folder = world.folder / node.settings.bind
    folder.mkdir(exist_ok=True)
    peers = [Address(home.name, 46881)]
    return await node.add(meta, save_to=folder, peers=peers, select=select)


def on_disk(world: World, node: Node) -> set[str]:
    root = world.folder / node.settings.bind
    return {str(path.relative_to(root)) for path in root.rglob("*") if not path.is_dir()}


def same(world: World, node: Node, source: Path, names: Sequence[str]) -> bool:
    root = world.folder / node.settings.bind / "many"
    return all((root / name).read_bytes() == (source / name).read_bytes() for name in names)


def parts(meta: Metainfo) -> str:
    return f".{meta.info_hash.hex()}.parts"


def test_only_one_file(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        meta, source, home = await seeded(world)
        node = await world.node(world.host())
        torrent = await fetched(world, node, meta, home, ONLY_A)
        events = torrent.events()
        await torrent.finished()
        assert on_disk(world, node) == {"many/a", parts(meta)}
        assert same(world, node, source, ["a"])
        status = torrent.status()
        assert status.state == Seeding()
        assert (status.done, status.total, status.size) == (11 * PIECE, 11 * PIECE, meta.total)
        assert (status.have, status.eta) == (11, None)
        progress = torrent.progress()
        assert (progress.left, progress.partial) == (meta.total - 11 * PIECE, True)
        assert [file.done for file in torrent.files()] == [SIZES["a"], PIECE - 9, 0, 0, 0]
        assert [file.priority for file in torrent.files()] == ["normal"] + ["skipped"] * 4
        assert home.sent < 13 * PIECE
        await node.aclose()
        assert Completed() in [event async for event in events]

    simulate(tmp_path, story)


def test_edges_of_unwanted_files_are_served_from_the_part_file(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        meta, source, home = await seeded(world)
        away = world.host()
        node = await world.node(away)
        torrent = await fetched(world, node, meta, home, ONLY_A)
        await torrent.finished()
        world.unplug(home)
        stranger = await Stranger.meet(world, world.host(), node, meta.info_hash)
        assert isinstance(await stranger.hears(BitfieldMessage), BitfieldMessage)
        assert not stranger.all(HaveAll)
        other = await world.node(world.host())
        copy = await fetched(world, other, meta, away, ONLY_A)
        await copy.finished()
        assert same(world, other, source, ["a"])

    simulate(tmp_path, story)


def test_after_a_restart_the_part_file_counts(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        meta, source, home = await seeded(world)
        host = world.host()
        node = await world.node(host)
        await (await fetched(world, node, meta, home, ONLY_A)).finished()
        await node.aclose()
        sent = home.sent
        node = await world.node(host)
        torrent = await fetched(world, node, meta, home, ONLY_A)
        await torrent.finished()
        assert torrent.status().have == 11
        assert home.sent - sent < 2 * BLOCK
        await node.aclose()
        node = await world.node(host)  # and now all of it
        torrent = await fetched(world, node, meta, home)
        await torrent.finished()
        assert on_disk(world, node) == {f"many/{name}" for name in SIZES}
        assert same(world, node, source, [*SIZES])
        assert home.sent - sent < meta.total - 10 * PIECE
        assert not torrent.progress().partial

    simulate(tmp_path, story)


def test_a_crash_costs_nothing_that_was_kept_aside(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        meta, source, home = await seeded(world)
        host = world.host()
        node = await world.node(host)
        await (await fetched(world, node, meta, home, ONLY_A)).finished()
        await world.kill(node)
        sent = home.sent
        node = await world.node(host)
        torrent = await fetched(world, node, meta, home, Selection(only=("b",)))
        await torrent.finished()
        assert same(world, node, source, ["b"])
        assert torrent.status().have == 11 + 20  # the piece of both is not fetched again
        assert home.sent - sent < 20.9 * PIECE

    simulate(tmp_path, story)


def test_a_part_file_that_somebody_removed_is_fetched_again(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        meta, source, home = await seeded(world)
        host = world.host()
        node = await world.node(host)
        await (await fetched(world, node, meta, home, ONLY_A)).finished()
        await node.aclose()
        (world.folder / host.name / parts(meta)).unlink()
        node = await world.node(host)
        torrent = await fetched(world, node, meta, home, ONLY_A)
        await world.until(lambda: torrent.status().have)
        await torrent.finished()
        assert torrent.status().have == 11
        assert (world.folder / host.name / parts(meta)).exists()
        assert same(world, node, source, ["a"])

    simulate(tmp_path, story)


def test_more_files_are_chosen_while_it_runs(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        meta, source, home = await seeded(world)
        node = await world.node(world.host())
        torrent = await fetched(world, node, meta, home, ONLY_A)
        await torrent.finished()
        await torrent.select(Selection(only=("a", "sub")))
        assert torrent.status().state == Downloading()
        await torrent.finished()
        assert on_disk(world, node) == {"many/a", "many/sub/c", "many/sub/d", parts(meta)}
        assert same(world, node, source, ["a", "sub/c", "sub/d"])
        await torrent.select(Selection())
        await torrent.finished()
        assert on_disk(world, node) == {f"many/{name}" for name in SIZES}
        assert same(world, node, source, [*SIZES])
        assert torrent.picker.whole
        assert home.sent < 1.1 * meta.total
        torrent.picker.check()

    simulate(tmp_path, story)


def test_fewer_files_are_chosen_while_it_runs(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        meta, source, home = await seeded(world, up=100_000)
        node = await world.node(world.host())
        torrent = await fetched(world, node, meta, home)
        await world.until(lambda: torrent.status().have >= 5)
        await torrent.select(Selection(skip=("b",)))
        torrent.picker.check()
        await torrent.finished()
        assert same(world, node, source, [name for name in SIZES if name != "b"])
        assert not torrent.picker.whole
        assert home.sent < 0.9 * meta.total
        torrent.picker.check()

    simulate(tmp_path, story)


def test_choosing_what_is_here_already_completes_it(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        meta, _, home = await seeded(world, up=100_000)
        node = await world.node(world.host())
        torrent = await fetched(
            world, node, meta, home, Selection(priorities=(("a", Priority.HIGH),))
        )
        await world.until(lambda: torrent.files()[0].done == SIZES["a"])
        await torrent.select(ONLY_A)
        assert torrent.status().state == Seeding()
        await torrent.finished()

    simulate(tmp_path, story)


def test_more_wanted_files_come_first(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        meta, _, home = await seeded(world, up=100_000)
        node = await world.node(world.host())
        wanted = Selection(priorities=(("b", Priority.LOW), ("d", Priority.HIGH)))
        torrent = await fetched(world, node, meta, home, wanted)
        await world.until(lambda: torrent.files()[3].done == SIZES["sub/d"])
        assert torrent.files()[1].done < 6 * PIECE  # what was asked for ahead
        await world.until(lambda: torrent.files()[0].done == SIZES["a"])
        assert torrent.files()[1].done < 10 * PIECE

    simulate(tmp_path, story)


def test_in_order(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        meta, _, home = await seeded(world, up=100_000)
        node = await world.node(world.host())
        torrent = await fetched(world, node, meta, home, Selection(sequential=True))
        order: list[int] = []
        events = torrent.events()
        await torrent.finished()
        await node.aclose()
        order = [event.piece async for event in events if hasattr(event, "piece")]
        assert order == [*range(meta.piece_count)]  # also while choked (BEP 6)

    simulate(tmp_path, story)


@pytest.mark.parametrize("select", [Selection(only=("x*",)), Selection(skip=("*",))])
def test_a_selection_that_fits_nothing_is_refused(tmp_path: Path, select: Selection) -> None:
    async def story(world: World) -> None:
        meta, _, home = await seeded(world)
        node = await world.node(world.host())
        with pytest.raises(HostError):
            await fetched(world, node, meta, home, select)
        torrent = await fetched(world, node, meta, home, ONLY_A)
        await torrent.finished()
        with pytest.raises(HostError):
            await torrent.select(select)
        assert torrent.status().state == Seeding()

    simulate(tmp_path, story)


def test_a_magnet_says_which_files(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        meta, source, home = await seeded(world)
        node = await world.node(world.host())
        magnet = Magnet(meta.info_hash, peers=(Address(home.name, 46881),), select=(range(2, 4),))
        torrent = await fetched(world, node, str(magnet), home)  # type: ignore[arg-type]
        await torrent.finished()
        assert on_disk(world, node) == {"many/sub/c", "many/sub/d", parts(meta)}
        assert same(world, node, source, ["sub/c", "sub/d"])

    simulate(tmp_path, story)


def test_other_names_stay_after_a_restart(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        meta, source, home = await seeded(world)
        host = world.host()
        root = world.folder / host.name
        root.mkdir()
        for renames in ([("sub", "else"), ("a", "first")], []):
            node = await world.node(host)
            peers = [Address(home.name, 46881)]
            torrent = await node.add(meta, save_to=root, peers=peers, rename=renames)
            await torrent.finished()
            assert on_disk(world, node) == {
                f"many/{name}" for name in ("first", "b", "else/c", "else/d", "none/e")
            }
            assert torrent.files()[0].path == "many/first"
            sent = home.sent
            await node.aclose()
        assert (root / "many" / "first").read_bytes() == (source / "a").read_bytes()
        assert sent < 1.1 * meta.total  # nothing was fetched again

    simulate(tmp_path, story)


def test_executables_and_links(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        plain, folder = world.many_files({"run": 9, "sub/x": PIECE}, PIECE)
        info: Any = bencode.decode(bytes(plain.info))
        info[b"files"][0][b"attr"] = b"x"
        link = {b"path": [b"sub", b"link"], b"length": 0, b"attr": b"l", b"symlink path": [b"run"]}
        info[b"files"].append(link)
        meta = Metainfo.from_info(bencode.encode(info))
        home = world.host()
        await (await world.node(home)).add(meta, data=folder)
        node = await world.node(world.host())
        torrent = await fetched(world, node, meta, home)
        await torrent.finished()
        await node.aclose()
        copy = world.folder / node.settings.bind / "many"
        assert (copy / "run").stat().st_mode & 0o111
        assert not (copy / "sub" / "x").stat().st_mode & 0o111
        assert (copy / "sub" / "link").readlink() == Path("../run")

    simulate(tmp_path, story)


async def test_a_partial_seed_tells_its_trackers_that_it_is_paused() -> None:
    from p2pswarm.discovery.source import Progress
    from p2pswarm.discovery.trackers import _Tracker
    from p2pswarm.wire.tracker import Event, Reply

    tracker: Any = _Tracker("http://t/announce", 0, ["http"])
    assert tracker.event(Progress(0, 0, 5, partial=True)) is Event.STARTED
    tracker.succeeded(Reply(interval=60), 0, 5, 0.0)
    assert tracker.event(Progress(0, 0, 5)) is Event.NONE
    assert tracker.event(Progress(0, 0, 5, partial=True)) is Event.PAUSED
    assert tracker.event(Progress(0, 0, 0)) is Event.COMPLETED
