"""What is on this machine already is not downloaded: counted in virtual swarms."""

import errno
import shutil
from pathlib import Path

import pytest
from typing_extensions import override

from p2pswarm.disk.copying import Way
from p2pswarm.disk.create import create
from p2pswarm.errors import DiskFullError
from p2pswarm.formats.building import Generation, build
from p2pswarm.formats.ids import Address
from p2pswarm.formats.metainfo import Metainfo
from p2pswarm.formats.related import related
from p2pswarm.swarm.torrent import Torrent
from tests.support.disks import WrappedStorage
from tests.support.world import World, _hashes, simulate

PIECE = 16 << 10
SIZES = {"a": 200_000, "sub/b": 40_000, ".hidden": 5_000, "sub/c": 100_001, "d": 100_001}


def old_copy(world: World, meta: Metainfo, home: Path, name: str) -> Path:
    """Another folder with the same files as the seed's."""
    copy = world.folder / "old" / name
    shutil.copytree(home / meta.name, copy)
    return copy


async def fetched(world: World, meta: Metainfo, home: Path, reuse: list[Path]) -> Torrent:
    """The download, complete."""
    host = world.host()
    await (await world.node(host)).add(meta, data=home)
    node = await world.node(world.host())
    peers = [Address(host.name, 46881)]
    torrent = await node.add(meta, save_to=world.folder / "new", reuse=reuse, peers=peers)
    await torrent.finished()
    same(home / meta.name, world.folder / "new" / meta.name)
    return torrent


def same(one: Path, other: Path) -> None:
    files = {path.relative_to(one): path for path in one.rglob("*") if path.is_file()}
    assert files
    for name, path in files.items():
        assert (other / name).read_bytes() == path.read_bytes()


@pytest.mark.parametrize("inside", [True, False], ids=["the folder", "what holds it"])
def test_an_identical_folder_costs_no_byte_of_the_network(tmp_path: Path, inside: bool) -> None:
    async def story(world: World) -> None:
        meta, home = world.many_files(SIZES, PIECE)
        copy = old_copy(world, meta, home, meta.name)
        torrent = await fetched(world, meta, home, [copy if inside else copy.parent])
        status = torrent.status()
        assert status.downloaded == 0
        assert status.reused == meta.total

    simulate(tmp_path, story)


def test_of_a_changed_folder_only_what_changed(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        meta, home = world.many_files(SIZES, PIECE)
        copy = old_copy(world, meta, home, "another name")
        with (copy / "a").open("r+b") as file:
            file.seek(5 * PIECE + 17)
            file.write(b"changed")
        (copy / "d").write_bytes((copy / "d").read_bytes() + b"grown")
        torrent = await fetched(world, meta, home, [copy])
        assert torrent.status().downloaded == PIECE
        assert (
            torrent.status().reused
            == sum(file.length for file in meta.files if not file.pad) - PIECE
        )

    simulate(tmp_path, story)


def test_files_under_other_names(tmp_path: Path) -> None:
    """Twins in size and all; what lies in one piece with a file that is not there has to be fetched."""

    async def story(world: World) -> None:
        meta, home = world.many_files(
            {"one": 5 * PIECE, "two": 5 * PIECE, "three": 3 * PIECE}, PIECE
        )
        old = world.folder / "old" / "deep"
        old.mkdir(parents=True)
        shutil.copy(home / "many/one", old / "x")
        shutil.copy(home / "many/two", old / "y")
        torrent = await fetched(world, meta, home, [old.parent])
        assert torrent.status().downloaded == 3 * PIECE

    simulate(tmp_path, story)


def test_a_single_file_named_itself(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        meta, home = world.content(300_000, PIECE)
        (world.folder / "elsewhere").write_bytes((home / "file").read_bytes())
        host = world.host()
        await (await world.node(host)).add(meta, data=home)
        node = await world.node(world.host())
        torrent = await node.add(
            meta, save_to=world.folder / "new", reuse=[world.folder / "elsewhere"]
        )
        await torrent.finished()
        assert (world.folder / "new/file").read_bytes() == (home / "file").read_bytes()

    simulate(tmp_path, story)


def test_another_torrent_of_the_node_has_the_file(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        meta, home = world.many_files({"one": 5 * PIECE, "two": 9 * PIECE}, PIECE)
        data = (home / "many/two").read_bytes()
        single = build(
            name="other", piece_length=PIECE, pieces=_hashes(data, PIECE), length=len(data)
        )
        node = await world.node(world.host())
        await (await node.add(meta, data=home)).finished()
        torrent = await node.add(single, save_to=world.folder / "new")
        await torrent.finished()
        assert (world.folder / "new/other").read_bytes() == data
        assert torrent.status().reused == len(data)

    simulate(tmp_path, story)


def test_nothing_that_is_not_of_the_torrent_is_written(tmp_path: Path) -> None:
    """A stranger names a file like one of ours: not a byte of it gets into the download's folder."""

    async def story(world: World) -> None:
        secret = world.folder / "home" / "many" / "key"
        secret.parent.mkdir(parents=True)
        secret.write_bytes(b"secret" * 10_000)
        meta, _ = world.many_files({"key": 60_000, "rest": 100}, PIECE)
        node = await world.node(world.host())
        torrent = await node.add(meta, save_to=world.folder / "new", reuse=[world.folder / "home"])
        await world.until(lambda: torrent.asking)
        written = b"".join(p.read_bytes() for p in (world.folder / "new").rglob("*") if p.is_file())
        assert b"secret" not in written
        assert torrent.status().reused == 0

    simulate(tmp_path, story)


def test_links_in_the_folder_are_not_followed(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        meta, home = world.many_files({"one": 5 * PIECE}, PIECE)
        old = world.folder / "old"
        old.mkdir()
        (old / "one").symlink_to(home / "many/one")
        (old / "many").symlink_to(home / "many")
        node = await world.node(world.host())
        torrent = await node.add(meta, save_to=world.folder / "new", reuse=[old])
        await world.until(lambda: torrent.asking)
        assert torrent.status().reused == 0

    simulate(tmp_path, story)


def test_a_folder_that_is_not_there_is_no_reason_to_fail(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        meta, home = world.many_files(SIZES, PIECE)
        torrent = await fetched(world, meta, home, [world.folder / "nowhere"])
        assert torrent.status().downloaded == meta.total

    simulate(tmp_path, story)


def test_kin_that_is_not_in_the_node_is_found_where_it_was(tmp_path: Path) -> None:
    """BEP 38: the newer torrent names the older one, whose files the resume data remembers."""

    async def story(world: World) -> None:
        meta, home = world.many_files(SIZES, PIECE)
        node = await world.node(world.host())
        old = await node.add(meta, data=home)
        await old.finished()
        await node.remove(old)
        newer = build(
            name="newer",
            piece_length=PIECE,
            pieces=meta.pieces,
            files=[(file.path[1:], file.length) for file in meta.files],
        )
        torrent = b"d" + b"4:info" + bytes(newer.info) + b"7:similarl20:" + meta.info_hash + b"ee"
        assert related(Metainfo.from_bytes(torrent)).similar == (meta.info_hash,)
        again = await node.add(torrent, save_to=world.folder / "new")
        await again.finished()
        assert again.status().reused == meta.total

    simulate(tmp_path, story)


def test_after_a_crash_what_was_taken_is_there(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        meta, home = world.many_files({"big": 1 << 20}, PIECE)
        host = world.host()
        node = await world.node(host)
        torrent = await node.add(meta, save_to=world.folder / "new", reuse=[home])
        await torrent.finished()
        await world.kill(node)
        node = await world.node(host)
        torrent = await node.add(meta, save_to=world.folder / "new", reuse=[home])
        await torrent.finished()
        assert torrent.status().reused == 0
        same(home / "many", world.folder / "new/many")

    simulate(tmp_path, story)


def test_a_disk_that_is_full_ends_it_and_the_download_waits(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        meta, home = world.many_files({"big": 1 << 20}, PIECE)
        node = await world.node(world.host())
        torrent = await node.add(meta, save_to=world.folder / "new", reuse=[home])
        world.put_disk(torrent, Full)
        await world.until(lambda: torrent.asking)
        assert torrent.status().reused == 0

    simulate(tmp_path, story)


def test_a_copy_that_differs_is_not_believed(tmp_path: Path) -> None:
    """Somebody changes the file between the look and the copy."""

    async def story(world: World) -> None:
        meta, home = world.many_files({"big": 1 << 20}, PIECE)
        node = await world.node(world.host())
        torrent = await node.add(meta, save_to=world.folder / "new", reuse=[home])
        world.put_disk(torrent, Changing)
        await world.until(lambda: torrent.asking)
        assert (
            torrent.status().reused
            == sum(file.length for file in meta.files if not file.pad) - PIECE
        )
        assert not torrent.picker.have[0]

    simulate(tmp_path, story)


class Full(WrappedStorage):
    @override
    def take(self, offset: int, length: int, source: int, at: int) -> Way:
        raise DiskFullError("no room", errno.ENOSPC)


class Changing(WrappedStorage):
    @override
    def take(self, offset: int, length: int, source: int, at: int) -> Way:
        way = super().take(offset, length, source, at)
        self.inner.write(0, b"changed")
        return way


def made(folder: Path, generation: Generation) -> Metainfo:
    return create(folder, generation=generation, piece_length=PIECE, workers=1)


@pytest.mark.parametrize("generation", [Generation.HYBRID, Generation.V2])
@pytest.mark.parametrize("magnet", [False, True], ids=["a torrent", "a magnet's, without layers"])
def test_both_generations(tmp_path: Path, generation: Generation, magnet: bool) -> None:
    async def story(world: World) -> None:
        _, home = world.many_files(SIZES, PIECE)
        meta = made(home / "many", generation)
        old = world.folder / "old"
        old.mkdir()
        for number, name in enumerate(SIZES):  # other names, other order
            shutil.copy(home / "many" / name, old / f"{9 - number}")
        source = Metainfo.from_info(bytes(meta.info)) if magnet else meta
        node = await world.node(world.host())
        torrent = await node.add(source, save_to=world.folder / "new", reuse=[old])
        await torrent.finished()
        assert torrent.status().reused == sum(SIZES.values())  # without pads
        assert torrent.metainfo.layers == meta.layers or meta.has_v1
        same(home / "many", world.folder / "new/many")

    simulate(tmp_path, story)


def test_layers_that_no_file_here_can_tell_come_from_peers(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        _, home = world.many_files(SIZES, PIECE)
        meta = made(home / "many", Generation.V2)
        old = old_copy(world, meta, home, "old")
        (old / "sub/c").unlink()
        (old / "d").unlink()
        host = world.host()
        await (await world.node(host)).add(meta, data=home)
        node = await world.node(world.host())
        bare = Metainfo.from_info(bytes(meta.info))
        peers = [Address(host.name, 46881)]
        torrent = await node.add(bare, save_to=world.folder / "new", reuse=[old], peers=peers)
        await torrent.finished()
        same(home / "many", world.folder / "new/many")
        assert torrent.status().downloaded <= SIZES["sub/c"] + SIZES["d"] + 2 * PIECE
        assert torrent.metainfo.layers == meta.layers

    simulate(tmp_path, story)


def test_of_many_files_the_new_one_is_missing(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        _, home = world.many_files({f"{n // 100}/{n}": 900 + n for n in range(120)}, PIECE)
        old = old_copy(world, made(home / "many", Generation.HYBRID), home, "version 1")
        (home / "many/1/112").write_bytes(b"a new version")
        meta = made(home / "many", Generation.HYBRID)
        node = await world.node(world.host())
        torrent = await node.add(meta, save_to=world.folder / "new", reuse=[old])
        await world.until(lambda: torrent.asking)
        [missing] = torrent.picker.missing.pieces()
        assert meta.file_of(missing).path == ("many", "1", "112")

    simulate(tmp_path, story)
