"""Files chosen of a hybrid and of version 2 alone: pads part the files, nothing else comes or is written."""

from pathlib import Path

import pytest

from p2pswarm.disk.create import create
from p2pswarm.formats.building import Generation
from p2pswarm.formats.ids import BLOCK, Address
from p2pswarm.formats.magnet import Magnet
from p2pswarm.formats.metainfo import Metainfo
from p2pswarm.node import Node
from p2pswarm.swarm.selection import Priority, Selection
from tests.support.world import Host, World, simulate
from tests.swarm.test_selecting import PIECE, SIZES, on_disk, same

pytestmark = [
    pytest.mark.sim,
    pytest.mark.parametrize("generation", [Generation.HYBRID, Generation.V2]),
]

ALL = {f"many/{name}" for name in SIZES}


async def seeded(
    world: World, generation: Generation, up: float = 1e300
) -> tuple[Metainfo, Path, Host, Node]:
    """The torrent, its files, who gives them, and who will fetch them."""
    _, folder = world.many_files(SIZES, PIECE)
    meta = create(folder / "many", generation=generation, piece_length=PIECE, workers=1)
    home = world.host(up=up)
    await (await world.node(home)).add(meta, data=folder)
    node = await world.node(world.host())
    (world.folder / node.settings.bind).mkdir()
    return meta, folder / "many", home, node


def asked(meta: Metainfo, size: int) -> int:
    """Bytes that a file of this size costs: of its last block a hybrid brings the pad, too."""
    return -(-size // BLOCK) * BLOCK if meta.has_v1 else size


def test_nothing_but_the_chosen_file_comes_and_then_the_rest(
    tmp_path: Path, generation: Generation
) -> None:
    async def story(world: World) -> None:
        meta, source, home, node = await seeded(world, generation)
        place, peers = world.folder / node.settings.bind, [Address(home.name, 46881)]
        select = Selection(only=("b",))
        torrent = await node.add(meta, save_to=place, peers=peers, select=select)
        await torrent.finished()
        assert on_disk(world, node) == {"many/b"}
        status = torrent.status()
        assert status.downloaded == asked(meta, SIZES["b"])
        assert [file.done for file in torrent.files()] == [0, SIZES["b"], 0, 0, 0]
        await torrent.select(Selection(skip=("sub/c",)))
        await torrent.finished()
        assert on_disk(world, node) == ALL - {"many/sub/c"}
        await torrent.select(Selection())
        await torrent.finished()
        assert on_disk(world, node) == ALL
        assert same(world, node, source, list(SIZES))
        assert torrent.status().downloaded == sum(asked(meta, size) for size in SIZES.values())
        assert torrent.progress().left == 0

    simulate(tmp_path, story)


def test_more_wanted_files_come_first_and_in_order(tmp_path: Path, generation: Generation) -> None:
    async def story(world: World) -> None:
        meta, _, home, node = await seeded(world, generation, up=100_000)
        place, peers = world.folder / node.settings.bind, [Address(home.name, 46881)]
        wanted = Selection(priorities=(("sub/d", Priority.HIGH),), sequential=True)
        torrent = await node.add(meta, save_to=place, peers=peers, select=wanted)
        events = torrent.events()
        await torrent.finished()
        await node.aclose()
        order = [event.piece async for event in events if hasattr(event, "piece")]
        first = [meta.file_of(piece).path[-1] for piece in order[:15]]
        assert first.count("d") == 5  # ten others may be had while choked (BEP 6)
        rest = [piece for piece in order[10:] if meta.file_of(piece).path[-1] != "d"]
        assert rest == sorted(rest)
        assert len(order) == meta.piece_count

    simulate(tmp_path, story)


def test_a_link_counts_the_pads_of_both(tmp_path: Path, generation: Generation) -> None:
    async def story(world: World) -> None:
        meta, source, home, node = await seeded(world, generation)
        place, peer = world.folder / node.settings.bind, Address(home.name, 46881)
        number = next(n for n, file in enumerate(meta.files) if file.path[-1] == "d")
        names = (meta.info_hash if meta.has_v1 else None, meta.v2)
        magnet = Magnet(*names, peers=(peer,), select=(range(number, number + 1),))
        torrent = await node.add(magnet, save_to=place)
        await torrent.finished()
        assert on_disk(world, node) == {"many/sub/d"}
        assert same(world, node, source, ["sub/d"])

    simulate(tmp_path, story)


def test_what_was_chosen_and_renamed_is_moved(tmp_path: Path, generation: Generation) -> None:
    async def story(world: World) -> None:
        meta, source, home, node = await seeded(world, generation)
        place, peers = world.folder / node.settings.bind, [Address(home.name, 46881)]
        select, rename = Selection(only=("b",)), [("b", "in/other"), ("sub", "under")]
        torrent = await node.add(meta, save_to=place, peers=peers, select=select, rename=rename)
        await torrent.finished()
        await torrent.move(world.folder / "new")
        assert (world.folder / "new/many/in/other").read_bytes() == (source / "b").read_bytes()
        await torrent.select(Selection())
        await torrent.finished()
        assert (world.folder / "new/many/under/d").read_bytes() == (source / "sub/d").read_bytes()
        assert torrent.status().downloaded == sum(asked(meta, size) for size in SIZES.values())
        assert on_disk(world, node) == set()

    simulate(tmp_path, story)
