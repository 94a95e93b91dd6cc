"""Route tables: gathered from a catalog, kept true to it; told to neighbours as rarely as they want it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random

import pytest

from p2pswarm.disk.pool import DiskPool
from p2pswarm.formats.urns import btih_urn, sha1_urn
from p2pswarm.overlay.catalog import Catalog
from p2pswarm.overlay.gnutella.links.agreement import Role
from p2pswarm.overlay.gnutella.place.slots import Wish
from p2pswarm.overlay.gnutella.routing import interests as room
from p2pswarm.overlay.gnutella.routing.interests import Interests
from p2pswarm.overlay.query import Query as Asked
from p2pswarm.wire.gnutella.descriptor import Kind
from p2pswarm.wire.gnutella.qrp import QueryTable, TableReader, size_for
from p2pswarm.wire.gnutella.query import Query
from p2pswarm.wire.gnutella.routes import Reset, read_routes
from tests.support.gnutella import Mesh, Servent, Stranger, play


@asynccontextmanager
async def followed(folder: Path, tmp_path: Path) -> AsyncIterator[tuple[Interests, Catalog]]:
    disk, index = DiskPool(threads=1), DiskPool(threads=1)
    catalog = await Catalog.open(tmp_path / "catalog.db", [folder], disk=disk, index=index)
    interests = Interests(Random(1))
    working = [asyncio.ensure_future(work) for work in (catalog.run(), interests.follow(catalog))]
    try:
        yield interests, catalog
    finally:
        for task in working:
            task.cancel()
        await asyncio.wait(working)
        await catalog.aclose()
        await index.aclose()
        await disk.aclose()


async def settled(interests: Interests, catalog: Catalog) -> None:
    """Scanned, hashed and gathered."""
    catalog.rescan()
    await catalog.settled()
    while interests._noted < len(await catalog.search(Asked(limit=1000))) or interests._gone:
        await catalog.noted(0, 1)  # a turn of the catalog's thread
    for _ in range(5):
        await catalog.noted(0, 1)


def may(interests: Interests, text: str = "", *urns: str) -> bool:
    return interests.ours(interests.words(Query(text, urns)))


@pytest.fixture
def share(tmp_path: Path) -> Path:
    folder = tmp_path / "Music"
    folder.mkdir()
    (folder / "Blue Moon.mp3").write_bytes(b"blue")
    (folder / "Züge.ogg").write_bytes(b"trains")
    return folder


async def test_our_words_and_hashes(share: Path, tmp_path: Path) -> None:
    async with followed(share, tmp_path) as (interests, catalog):
        await settled(interests, catalog)
        assert may(interests, "blue MOON")
        assert may(interests, "moo music")  # beginnings of words, and folders
        assert may(interests, "zuge")
        assert not may(interests, "blue train")
        (file,) = await catalog.search(Asked.parse("blue"))
        assert file.sha1 is not None
        assert file.info_hash is not None
        assert may(interests, "", sha1_urn(file.sha1))
        assert may(interests, "no such words", btih_urn(file.info_hash))
        assert not may(interests, "blue", sha1_urn(bytes(20)))
        assert may(interests, "of", "urn:")  # nothing that a table could tell


async def test_nothing_is_missed_before_it_is_known(share: Path, tmp_path: Path) -> None:
    interests = Interests(Random(1))
    assert not may(interests, "blue")
    async with followed(share, tmp_path) as (interests, catalog):
        await asyncio.sleep(0)
        assert may(interests, "whatever there is")
        await settled(interests, catalog)
        assert not may(interests, "whatever there is")


async def test_what_is_gone_is_not_told_any_more(share: Path, tmp_path: Path) -> None:
    async with followed(share, tmp_path) as (interests, catalog):
        await settled(interests, catalog)
        version = interests._version
        (share / "Blue Moon.mp3").unlink()
        (share / "Green Cheese.txt").write_bytes(b"cheese")
        await settled(interests, catalog)
        assert not may(interests, "blue")
        assert may(interests, "green cheese")
        assert interests._version > version


async def test_a_table_grows_with_what_is_in_it(
    share: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "size_for", lambda words: size_for(words * 1000))
    async with followed(share, tmp_path) as (interests, catalog):
        await settled(interests, catalog)
        assert interests._own is not None
        assert interests._own.size > 1 << 16
        assert may(interests, "blue moon")
        assert not may(interests, "green")


# Told to others


def read(stranger: Stranger) -> QueryTable | None:
    """The table it was told."""
    reader = TableReader()
    for head in stranger.heard(Kind.ROUTES):
        message = read_routes(head.payload)
        assert message is not None
        reader.feed(message)
    return reader.table


def learn(servent: Servent, *names: str) -> None:
    for name in names:
        servent.interests._gathering.add_name(name)
    servent.interests._publish()


def resets(stranger: Stranger) -> int:
    return sum(isinstance(read_routes(head.payload), Reset) for head in stranger.heard(Kind.ROUTES))


def test_a_leaf_tells_its_ultrapeer_at_once() -> None:
    async def story(mesh: Mesh) -> None:
        leaf = mesh.servent("blue moon.ogg")
        await leaf.open(Wish.LEAF)
        top = await mesh.stranger().dial(leaf, Role.ULTRAPEER)
        table = read(top)
        assert table is not None
        assert table.may_have(["blue", "moon"])
        assert not table.may_have(["green"])
        learn(leaf, "green cheese.txt")
        await asyncio.sleep(2)
        table = read(top)
        assert table is not None
        assert table.may_have(["green"])
        assert resets(top) == 1  # the second was a difference

    play(story)


def test_many_changes_are_told_together() -> None:
    async def story(mesh: Mesh) -> None:
        leaf = mesh.servent()
        await leaf.open(Wish.LEAF)
        top = await mesh.stranger().dial(leaf, Role.ULTRAPEER)
        for number in range(120):
            learn(leaf, f"file{number}.txt")
            top.say(Kind.PING, b"", ttl=1)
            await asyncio.sleep(1)
        assert len(top.heard(Kind.ROUTES)) <= 2 + 7
        await asyncio.sleep(60)
        table = read(top)
        assert table is not None
        assert all(table.may_have([f"file{number}"]) for number in range(120))

    play(story)


def test_an_ultrapeer_tells_of_its_leaves_too() -> None:
    async def story(mesh: Mesh) -> None:
        top = mesh.servent("above.ogg")
        await top.open(Wish.ULTRAPEER)
        other = await mesh.stranger().dial(top, Role.ULTRAPEER)
        leaf = mesh.servent("blue moon.ogg")
        await leaf.open(Wish.LEAF, [top.address])
        await asyncio.sleep(5)
        table = read(other)
        assert table is not None
        assert table.may_have(["blue", "moon"])
        assert table.may_have(["above"])
        await leaf.close()
        await asyncio.sleep(5)
        table = read(other)
        assert table is not None
        assert not table.may_have(["blue"])

    play(story)


def test_flat_nodes_tell_no_tables() -> None:
    async def story(mesh: Mesh) -> None:
        flat = mesh.servent("blue moon.ogg")
        await flat.open()
        one = await mesh.stranger().dial(flat, Role.ULTRAPEER)
        other = await mesh.stranger().dial(flat)
        await asyncio.sleep(5)
        assert not one.heard(Kind.ROUTES)
        assert not other.heard(Kind.ROUTES)

    play(story)
