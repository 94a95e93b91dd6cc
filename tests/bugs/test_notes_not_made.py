"""A note that was not made, because files were in doubt, counted as made: what it had to say was lost."""

from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest

from p2pswarm.discovery.source import Progress
from p2pswarm.formats.geometry import Geometry
from p2pswarm.formats.metainfo import Metainfo
from p2pswarm.swarm.blocks import Blocks, BufferPool
from p2pswarm.swarm.keeper import Keeper
from p2pswarm.swarm.picker import PiecePicker
from tests.swarm.test_data import PIECE, STREAM, Room, full, meta

__all__ = ["meta"]  # a fixture


class Home(SimpleNamespace):
    """A seed that has served `uploaded` bytes."""

    uploaded = 0

    def progress(self) -> Progress:
        return Progress(self.uploaded, 0, self.picker.left)

    def ignore(self, *_args: Any) -> None:
        """What a torrent would hear."""

    piece_found = pieces_lost = disk_failed = disk_works = checking = ignore


@pytest.fixture
def room(tmp_path: Path, meta: Metainfo) -> Room:
    return Room(tmp_path, meta)


async def seeding(room: Room) -> tuple[Keeper, Home]:
    """The keeper of a seed that was just loaded."""
    room.put("a", "b", "c", "d")
    data = room.open(writable=False)
    geometry = Geometry(len(STREAM), PIECE)
    blocks = Blocks(BufferPool(PIECE), geometry)
    home = Home(picker=PiecePicker(geometry, Random(1)), blocks=blocks)
    keeper = Keeper(data, home, "many")  # type: ignore[arg-type]
    assert await room.load(data) == list(range(10))
    return keeper, home


async def test_it_is_news_still_and_is_noted_after_the_look(room: Room) -> None:
    keeper, home = await seeding(room)
    await keeper.prepare(full())
    assert not keeper.has_news
    room.path("d").touch()
    home.uploaded = 5000
    await keeper._note()
    assert keeper.has_news
    await keeper._look()
    await keeper._note()
    assert not keeper.has_news
    await keeper.close(known=True)
    again = room.open(writable=False)
    await room.load(again)
    assert again.uploaded_before == 5000


async def test_the_first_note_too(room: Room) -> None:
    keeper, _ = await seeding(room)
    room.path("d").touch()
    await keeper.prepare(full())
    assert keeper.has_news
    await keeper._look()
    await keeper._note()
    assert not keeper.has_news
