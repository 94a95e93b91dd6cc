"""Whole nodes in a Gnutella network, in virtual time: everything is joined as it is in the program."""

from pathlib import Path
from random import Random
from typing import Any

from p2pswarm.config import NetworkSettings
from p2pswarm.formats.ids import Address
from p2pswarm.node import Node
from p2pswarm.overlay.files.exchange import Exchange
from p2pswarm.overlay.gnutella.client import Gnutella
from p2pswarm.overlay.query import Query
from p2pswarm.overlay.search import Find
from tests.support.quiet import quiet
from tests.support.servent import UPLINK
from tests.support.world import Host, World

__all__ = ["address_of", "exchange_of", "finds", "gnutella_of", "member", "put"]

PORT = 46881


async def member(
    world: World,
    files: dict[str, bytes] | None = None,
    *connect: Node,
    host: Host | None = None,
    join: bool = True,
    **networks: Any,
) -> Node:
    """A node that shares these files, all of them hashed, and is connected to those."""
    host = host or world.host(up=UPLINK)
    settings = quiet(
        bind=host.name, data_dir=world.folder / f"{host.name}-state", disk_threads=0, port=PORT
    )
    named = networks.pop("named", [address_of(node) for node in connect])
    wishes = NetworkSettings(connect=tuple(named), wait=3.0, **networks)
    node = Node(settings, wishes, dice=Random(world.dice.random()))
    await node.open()
    world.nodes.append(node)
    if files:
        catalog = await node.networks.share([put(world.folder / f"{host.name}-share", files)])
        await catalog.settled()
    if join:
        await node.networks.join("gnutella")
    return node


def put(folder: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def address_of(node: Node) -> Address:
    return Address(node.settings.bind, node.port)


def gnutella_of(node: Node) -> Gnutella:
    network = node.networks._joined["gnutella"]
    assert isinstance(network, Gnutella)
    return network


def exchange_of(node: Node) -> Exchange:
    exchange = node.networks._exchange
    assert exchange is not None
    return exchange


async def finds(node: Node, text: str, **query: Any) -> list[Find]:
    """All that one search brings."""
    parsed = Query.parse(text)
    asked = Query(parsed.words, parsed.without, **query)
    async with node.search(asked) as search:
        return [find async for find in search]
