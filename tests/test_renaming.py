"""Files of a torrent at work get other names: nothing is lost, and the next start knows them."""

import os
from pathlib import Path
from typing import Any

import pytest

from p2pswarm.disk import renaming
from p2pswarm.disk.create import create
from p2pswarm.disk.gathering import Choice, Links
from p2pswarm.errors import HostError, TargetExistsError
from p2pswarm.formats.ids import Address
from p2pswarm.formats.metainfo import Metainfo
from p2pswarm.node import Node
from p2pswarm.swarm.events import Downloading, Seeding
from p2pswarm.swarm.selection import Selection
from p2pswarm.swarm.torrent import Torrent
from tests.support.world import Host, World, simulate

pytestmark = pytest.mark.sim

PIECE = 16 << 10
SIZES = {"a": 300_000, "in/b": 200_000, "in/c": 100_000, "in/none": 0}


async def seeded(world: World, up: float = 1e300) -> tuple[Metainfo, Path, Host]:
    meta, folder = world.many_files(SIZES, PIECE)
    home = world.host(up=up)
    await (await world.node(home)).add(meta, data=folder)
    return meta, folder / "many", home


async def fetched(world: World, node: Node, meta: Metainfo, home: Host, **more: Any) -> Torrent:
    peers = [Address(home.name, 46881)]
    return await node.add(meta, save_to=world.folder / "got", peers=peers, **more)


def there(world: World) -> set[str]:
    root = world.folder / "got/many"
    return {str(path.relative_to(root)) for path in root.rglob("*") if not path.is_dir()}


def same(world: World, source: Path, **names: str) -> bool:
    root = world.folder / "got/many"
    return all(
        (root / new).read_bytes() == (source / old).read_bytes() for old, new in names.items()
    )


def test_in_the_middle_of_a_download(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        meta, source, home = await seeded(world, up=100_000)
        host = world.host()
        node = await world.node(host)
        torrent = await fetched(world, node, meta, home)
        await world.until(lambda: torrent.picker.have.count() > 5)
        assert await torrent.rename("a", "x/y") == world.folder / "got/many"
        await torrent.rename("in", "out")
        assert isinstance(torrent.state, Downloading)
        assert [file.path for file in torrent.files()][:2] == ["many/x/y", "many/out/b"]
        await world.until(lambda: torrent.picker.have.count() > 20)
        await world.kill(node)
        node = await world.node(host)
        torrent = await fetched(world, node, meta, home)
        await world.until(lambda: isinstance(torrent.state, Downloading))
        assert torrent.picker.have.count() > 18
        await torrent.rename("x/y", "z")
        await torrent.finished()
        assert there(world) == {"z", "out/b", "out/c", "out/none"}
        assert same(world, source, a="z", **{"in/b": "out/b", "in/c": "out/c"})
        assert not (world.folder / "got/many/x").exists()
        assert torrent.status().hash_failures == 0

    simulate(tmp_path, story)


def test_a_seed_goes_on_to_give_it(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        meta, home = world.many_files(SIZES, PIECE)
        host = world.host(up=100_000)
        node = await world.node(host)
        torrent = await node.add(meta, save_to=world.folder / "got", reuse=[home])
        await torrent.finished()
        copy = await world.download(await world.node(world.host()), meta, host)
        for number in range(20):
            await world.until(lambda n=number: copy.picker.have.count() > n)
            await torrent.rename("a" if not number else f"a{number - 1}", f"a{number}")
            await torrent.rename(
                "in" if not number % 2 else "out", "out" if not number % 2 else "in"
            )
        await copy.finished()
        assert copy.status().downloaded == meta.total
        assert isinstance(torrent.state, Seeding)
        assert there(world) == {"a19", "in/b", "in/c", "in/none"}
        await node.remove(torrent)
        again = await node.add(meta, save_to=world.folder / "got")
        assert again._data._recalled.saved.trusted.count() == meta.piece_count  # type: ignore[union-attr]
        await again.finished()
        moved = await again.move(world.folder / "new")
        assert (moved / "a19").read_bytes() == (home / "many/a").read_bytes()
        await again.rename("a19", "b")
        assert (moved / "b").read_bytes() == (home / "many/a").read_bytes()

    simulate(tmp_path, story)


def test_a_crash_between_the_note_and_the_act(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: object) -> None:
        raise RuntimeError

    async def story(world: World) -> None:
        meta, _, home = await seeded(world)
        host = world.host()
        node = await world.node(host)
        torrent = await fetched(world, node, meta, home)
        await torrent.finished()
        with monkeypatch.context() as patch:
            patch.setattr(renaming, "_move", crash)
            with pytest.raises(RuntimeError):
                await torrent.rename("in", "out")
        assert "in/b" in there(world)
        await world.kill(node)
        node = await world.node(host)
        torrent = await fetched(world, node, meta, home)
        await torrent.finished()
        assert there(world) == {"a", "out/b", "out/c", "out/none"}
        assert not torrent.status().downloaded  # nothing anew

    simulate(tmp_path, story)


def test_what_cannot_be_renamed_keeps_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = os.rename

    def refuse(old: str, new: str, **folders: int) -> None:
        if old == "c":
            raise PermissionError(1, "no")
        rename(old, new, **folders)

    async def story(world: World) -> None:
        meta, _, home = await seeded(world)
        node = await world.node(world.host())
        torrent = await fetched(world, node, meta, home)
        await torrent.finished()
        with monkeypatch.context() as patch:
            patch.setattr(os, "rename", refuse)
            with pytest.raises(HostError, match="cannot rename"):
                await torrent.rename("in", "out")
        assert there(world) == {"a", "out/b", "in/c", "in/none"}
        copy = await world.download(await world.node(world.host()), meta, home)
        await copy.finished()
        assert isinstance(torrent.state, Seeding)
        await torrent.rename("in/c", "out/c")
        assert there(world) == {"a", "out/b", "out/c", "in/none"}

    simulate(tmp_path, story)


@pytest.mark.parametrize(
    ("old", "new", "error"),
    [
        ("a", "../a", HostError),
        ("a", "/", HostError),
        ("a", "nul\0", HostError),
        ("nobody", "x", HostError),
        ("a", "in/b", HostError),
        ("a", "mine", TargetExistsError),
        ("a", "mine/x", TargetExistsError),
        ("a", "way/x", TargetExistsError),
        ("in/b", "mine", TargetExistsError),  # of which nothing is here
    ],
)
def test_names_that_cannot_be(tmp_path: Path, old: str, new: str, error: type[HostError]) -> None:
    async def story(world: World) -> None:
        meta, _, home = await seeded(world)
        node = await world.node(world.host())
        torrent = await fetched(world, node, meta, home, select=Selection(only=("a",)))
        await torrent.finished()
        got = world.folder / "got/many"
        (got / "mine").write_text("mine")
        (got / "way").symlink_to(world.folder)
        before = there(world)
        with pytest.raises(error):
            await torrent.rename(old, new)
        assert there(world) == before
        assert (got / "mine").read_text() == "mine"
        assert isinstance(torrent.state, Seeding)

    simulate(tmp_path, story)


def test_a_file_that_nobody_wanted_is_made_under_its_name(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        meta, source, home = await seeded(world)
        node = await world.node(world.host())
        torrent = await fetched(world, node, meta, home, select=Selection(only=("a",)))
        await torrent.finished()
        await torrent.rename("in/b", "b")
        assert there(world) == {"a"}
        await torrent.select(Selection(only=("a", "b")))
        await torrent.finished()
        assert there(world) == {"a", "b"}
        assert same(world, source, **{"in/b": "b"})

    simulate(tmp_path, story)


def test_a_file_alone(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        meta, home = world.content(100_000, PIECE)
        node = await world.node(world.host())
        seed = await node.add(meta, data=home)
        await seed.finished()
        with pytest.raises(HostError, match="read-only"):
            await seed.rename("file", "other")
        await node.remove(seed)
        torrent = await node.add(meta, save_to=world.folder / "got", reuse=[home])
        await torrent.finished()
        with pytest.raises(HostError, match="alone"):
            await torrent.rename("file", "sub/other")
        assert await torrent.rename("file", "other") == world.folder / "got/other"
        assert torrent.status().path == world.folder / "got/other"
        await node.remove(torrent)
        with pytest.raises(HostError, match="now"):
            await torrent.rename("other", "third")
        again = await node.add(meta, save_to=world.folder / "got")
        await again.finished()
        assert again.path == world.folder / "got/other"

    simulate(tmp_path, story)


def test_links_follow(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        files = {"a": b"a" * 100_000, "in/b": b"b" * 100_000}
        home = world.folder / "home/many"
        for name, data in files.items():
            (home / name).parent.mkdir(parents=True, exist_ok=True)
            (home / name).write_bytes(data)
        (home / "to a").symlink_to("a")
        meta = create(home, choice=Choice(links=Links.KEEP))
        node = await world.node(world.host())
        torrent = await node.add(meta, save_to=world.folder / "got", reuse=[home])
        await torrent.finished()
        link = world.folder / "got/many/to a"
        await world.until(link.is_symlink)
        await torrent.rename("a", "in/z")
        assert link.readlink() == Path("in/z")
        await torrent.rename("to a", "in/to")
        assert not link.is_symlink()
        assert (link.parent / "in/to").read_bytes() == files["a"]

    simulate(tmp_path, story)
