"""A node of ours and a neighbour that demands what gtk-gnutella 1.2.3 demands, each dialing the other."""

import asyncio
from base64 import b32encode
from collections.abc import Awaitable, Callable
from hashlib import sha1
from pathlib import Path
from random import Random
from typing import Any

import pytest

from p2pswarm.config import NetworkSettings
from p2pswarm.formats.ids import Address
from p2pswarm.node import Node
from p2pswarm.overlay.query import Digest, Query
from tests.support.gtkg import PORT, Gtkg
from tests.support.gtkg_rules import HIT, PONG, QUERY, ROUTES
from tests.support.quiet import quiet
from tests.support.world import World, simulate

OURS = 46881
Story = Callable[["Stage"], Awaitable[None]]


class Stage:
    """One node of ours, and one neighbour or more."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.node: Node
        self.others: list[Gtkg] = []

    def other(self, *names: str, ultrapeer: bool, patch_bits: int = 8) -> Gtkg:
        host = self.world.host().name
        self.others.append(Gtkg(host, *names, ultrapeer=ultrapeer, patch_bits=patch_bits))
        return self.others[-1]

    async def open(self, role: str, *connect: Gtkg, files: dict[str, bytes] | None = None) -> None:
        host, folder = self.world.host().name, self.world.folder / "Music"
        settings = quiet(bind=host, data_dir=folder.with_name("home"), disk_threads=0, port=OURS)
        dialed = tuple(Address(other.host, PORT) for other in connect)
        networks = NetworkSettings(connect=dialed, gnutella_role=role)
        self.node = Node(settings, networks, dice=Random(1))
        await self.node.open()
        self.world.nodes.append(self.node)
        folder.mkdir()
        for name, data in (files or {}).items():
            (folder / name).write_bytes(data)
        catalog = await self.node.networks.share([folder])
        await catalog.settled()
        await self.node.networks.join("gnutella")

    async def meet(self, other: Gtkg, role: str, *, we_dial: bool, **more: Any) -> None:
        if we_dial:
            await other.listen(self.world.loop)
            await self.open(role, other, **more)
        else:
            await self.open(role, **more)
            await other.dial(self.world.loop, (self.node.settings.bind, OURS))
        await self.world.until(lambda: other.up or other.over)
        await asyncio.sleep(5)  # tables

    async def find(self, query: Query) -> list[str]:
        async with self.node.search(query) as search:
            return [find.hits[0].name async for find in search]


def play(tmp_path: Path, story: Story) -> None:
    async def whole(world: World) -> None:
        stage = Stage(world)
        await story(stage)
        for other in stage.others:
            assert not other.complaints
            assert not other.over
            other.bye()

    simulate(tmp_path, whole)


FILES = {"blue moon.mp3": b"blue" * 999, "red sun.mp3": b"red" * 999}


@pytest.mark.parametrize("we_dial", [True, False])
@pytest.mark.parametrize(("ours", "ultrapeer"), [("leaf", True), ("ultrapeer", False)])
@pytest.mark.parametrize("patch_bits", [8, 1])
def test_each_finds_the_files_of_the_other(
    tmp_path: Path, we_dial: bool, ours: str, ultrapeer: bool, patch_bits: int
) -> None:
    async def story(stage: Stage) -> None:
        other = stage.other("green cheese.ogg", ultrapeer=ultrapeer, patch_bits=patch_bits)
        await stage.meet(other, ours, we_dial=we_dial, files=FILES)
        assert other.their_role == ours
        assert await stage.find(Query.parse("green cheese")) == ["green cheese.ogg"]
        assert other.heard_of(QUERY)[-1].hops == 0
        guid = other.ask("moon blue")
        assert guid is not None
        await asyncio.sleep(5)
        assert other.hits[guid] == ["blue moon.mp3"]
        tables = [message.payload for message in other.heard_of(ROUTES)]
        assert {(payload[0], payload[4]) for payload in tables[1:]} == (
            {(1, 4)} if tables else set()
        )
        assert bool(tables) is ultrapeer
        await asyncio.sleep(150)  # it asks every 20 seconds whether we live
        assert other.pongs >= 7

    play(tmp_path, story)


def test_ultrapeers_of_both_makes_tell_each_other_their_tables(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        other = stage.other("green cheese.ogg", ultrapeer=True)
        await stage.meet(other, "ultrapeer", we_dial=True, files=FILES)
        assert other.table.entry_bits == {4}
        assert other.table.may_have("blue moon")
        assert other.ask("green cheese") is None
        assert await stage.find(Query.parse("green")) == ["green cheese.ogg"]
        assert all(message.ttl <= 4 for message in other.heard_of(QUERY))

    play(tmp_path, story)


def test_two_leaves_that_have_nobody(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        other = stage.other("green cheese.ogg", ultrapeer=False)
        await stage.meet(other, "auto", we_dial=False, files=FILES)
        assert other.their_role == "ultrapeer"
        assert await stage.find(Query.parse("cheese")) == ["green cheese.ogg"]

    play(tmp_path, story)


@pytest.mark.parametrize(("ours", "ultrapeer"), [("leaf", True), ("ultrapeer", False)])
def test_a_hash_is_found_though_its_tables_have_none(
    tmp_path: Path, ours: str, ultrapeer: bool
) -> None:
    async def story(stage: Stage) -> None:
        other = stage.other("green cheese.ogg", "x.txt", ultrapeer=ultrapeer)
        await stage.meet(other, ours, we_dial=True)
        digest = sha1(b"green cheese.ogg", usedforsecurity=False).digest()
        assert await stage.find(Query(digest=Digest("sha1", digest))) == ["green cheese.ogg"]
        (query,) = other.heard_of(QUERY)
        assert query.payload[2:] == b"\\\x00urn:sha1:" + b32encode(digest)

    play(tmp_path, story)


def test_copies_and_a_mebibyte_are_no_reason_to_ban_us(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        other = stage.other(ultrapeer=True)
        half = b"half" * (1 << 17)
        files = {"blue moon.mp3": half, "blue moon (copy).mp3": half}
        await stage.meet(other, "leaf", we_dial=True, files=files)
        guid = other.ask("blue moon")
        assert guid is not None
        await asyncio.sleep(5)
        assert sorted(other.hits[guid]) == sorted(files)
        assert len(other.heard_of(HIT)) == 2

    play(tmp_path, story)


def test_a_leaf_of_ours_tells_one_ultrapeer_nothing_of_another(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        one, other = stage.other(ultrapeer=True), stage.other(ultrapeer=True)
        for each in (one, other):
            await each.listen(stage.world.loop)
        await stage.open("leaf", one, other, files=FILES)
        await stage.world.until(lambda: one.up and other.up)
        await asyncio.sleep(3)  # it was not pinged this second
        other.tell_of("10.0.0.99")
        await asyncio.sleep(1)
        before = len(one.heard_of(PONG))
        one.ping(ttl=4)
        await asyncio.sleep(5)
        assert len(one.heard_of(PONG)) == before + 1

    play(tmp_path, story)


@pytest.mark.parametrize(("ours", "ultrapeer"), [("leaf", True), ("ultrapeer", False)])
def test_whoever_asks_for_it_is_dialed_once(tmp_path: Path, ours: str, ultrapeer: bool) -> None:
    async def story(stage: Stage) -> None:
        other = stage.other(ultrapeer=ultrapeer)
        await other.open_door(stage.world.loop)
        await stage.meet(other, ours, we_dial=False)
        await asyncio.sleep(5)
        assert other.knocks == [b"\n\n"]

    play(tmp_path, story)
