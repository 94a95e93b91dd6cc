"""Whole nodes in the supernode network, in virtual time: joined as in the program, with files on a disk."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from p2pswarm.config import NetworkSettings
from p2pswarm.errors import NetworkError
from p2pswarm.formats.ids import Address
from p2pswarm.node import Node
from p2pswarm.overlay.network import Cost
from p2pswarm.overlay.query import Hit, Query
from p2pswarm.overlay.supernode.client import Supernode
from tests.support.members import put
from tests.support.quiet import quiet
from tests.support.world import World, simulate

PORT = 46881


async def node(
    world: World,
    files: dict[str, bytes] | None = None,
    *connect: Node,
    join: bool = True,
    **more: Any,
) -> Node:
    host = world.host()
    settings = quiet(
        bind=host.name, data_dir=world.folder / f"{host.name}-state", disk_threads=0, port=PORT
    )
    named = tuple(Address(each.settings.bind, each.port) for each in connect)
    node = Node(settings, NetworkSettings(connect=named, wait=3.0, **more))
    await node.open()
    world.nodes.append(node)
    if files:
        catalog = await node.networks.share([put(world.folder / f"{host.name}-share", files)])
        await catalog.settled()
    if join:
        await node.networks.join("supernode")
    return node


def supernode_of(node: Node) -> Supernode:
    network = node.networks._joined["supernode"]
    assert isinstance(network, Supernode)
    return network


async def found(node: Node, *words: str) -> list[Hit]:
    return [hit async for hit in supernode_of(node).search(Query(words), Cost())]


async def fetched(node: Node, hit: Hit) -> bytes:
    data = bytearray()

    def sink(chunk: bytes) -> bool:
        data.extend(chunk)
        return True

    assert await supernode_of(node).fetch(hit, 0, sink) == hit.size
    return bytes(data)


def test_what_a_child_has_is_found_and_fetched(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        first = await node(world, supernode_role="super")
        data = world.dice.randbytes(100_000)
        await node(world, {"blue ocean.ogg": data}, first)
        asker = await node(world, None, first)
        (hit,) = await found(asker, "ocean")
        assert await fetched(asker, hit) == data

    simulate(tmp_path, story)


def test_what_nobody_can_dial_is_fetched_by_a_push_of_its_parent(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        first = await node(world, supernode_role="super")
        second = await node(world, None, first, supernode_role="super")
        data = world.dice.randbytes(50_000)
        kid = await node(world, {"blue ocean.ogg": data}, second, firewalled=True)
        world.loop.listeners.pop((kid.settings.bind, PORT))
        asker = await node(world, None, first)
        await world.until(lambda: supernode_of(first).status().links == 1)
        hits: list[Hit] = []
        while not hits:
            hits = await found(asker, "ocean")
        (hit,) = hits
        assert hit.firewalled
        assert await fetched(asker, hit) == data

    simulate(tmp_path, story)


def test_its_parent_pushes_to_its_own_child_without_a_proxy(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        first = await node(world, supernode_role="super")
        data = world.dice.randbytes(50_000)
        kid = await node(world, {"blue ocean.ogg": data}, first, firewalled=True)
        world.loop.listeners.pop((kid.settings.bind, PORT))
        await asyncio.sleep(1)
        (hit,) = await found(first, "ocean")
        assert await fetched(first, hit) == data

    simulate(tmp_path, story)


def test_who_leaves_while_it_joins_is_told(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        first = await node(world, supernode_role="super")
        second = await node(world, None, first, join=False)
        joining = asyncio.ensure_future(second.networks.join("supernode"))
        await world.until(lambda: "supernode" in second.networks._joined)
        network = supernode_of(second)
        await network.leave()
        await network.leave()
        with pytest.raises(NetworkError):
            await joining
        await network.join()
        assert network.status().links == 1
        await network.leave()
        await world.until(lambda: not supernode_of(first).status().leaves, 5)

    simulate(tmp_path, story)


def test_what_is_gone_from_the_disk_between_two_sessions_is_not_told(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        first = await node(world, supernode_role="super")
        kid = await node(world, {"blue ocean": b"1", "red ocean": b"2"}, first)
        asker = await node(world, None, first)
        assert len(await found(asker, "ocean")) == 2
        network = supernode_of(kid)
        await network.leave()
        await asyncio.sleep(0.1)
        assert await found(asker, "ocean") == []
        (world.folder / f"{kid.settings.bind}-share" / "red ocean").unlink()
        catalog = kid.networks.catalog
        assert catalog is not None
        catalog.rescan()
        await catalog.settled()
        await network.join()
        await asyncio.sleep(2)
        assert [hit.name for hit in await found(asker, "ocean")] == ["10.0.0.2-share/blue ocean"]

    simulate(tmp_path, story)


def test_nobody_to_join_is_said(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        first = await node(world, supernode_role="super")
        world.nodes.remove(first)
        await first.aclose()
        lonely = await node(world, None, first, join=False, supernode_role="ordinary")
        with pytest.raises(NetworkError, match="no super node takes us in"):
            await lonely.networks.join("supernode")

    simulate(tmp_path, story)
