"""Nodes that find each other without a tracker, in one process and on real sockets."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from p2pswarm.config import Settings
from p2pswarm.discovery.dht.file import read_table
from p2pswarm.formats.building import build
from p2pswarm.formats.ids import Address, InfoHash
from p2pswarm.formats.metainfo import Metainfo
from p2pswarm.node import Node
from p2pswarm.swarm.events import Seeding
from p2pswarm.wire.krpc import Family
from tests.support.patience import PATIENCE
from tests.test_node import done, made, reach


def settings(home: Path, host: str, *known: Node, **more: Any) -> Settings:
    """In the DHT, of which only these are known."""
    bootstrap = tuple(Address(node.settings.bind, node.port) for node in known)
    own = {"bind": host, "port": 0, "data_dir": home / host, "lsd": False}
    return Settings(dht_bootstrap=bootstrap, **own, **more)


async def until(condition: Callable[[], object]) -> None:
    """Nobody rings a bell when a stranger's answer has come, so the loop is let turn."""
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0)


def swarm_at(node: Node, info_hash: InfoHash) -> list[object]:
    """Who is in it, as far as others have told this node."""
    assert node.dht is not None
    return list(node.dht.store.members(info_hash, Family.IPV4, asyncio.get_running_loop().time()))


def nodes_known(node: Node) -> int:
    assert node.dht is not None
    return sum(network.nodes for network in node.dht.status().networks.values())


def private(meta: Metainfo) -> Metainfo:
    return build(
        name=meta.name,
        piece_length=meta.piece_length,
        pieces=meta.pieces,
        length=meta.total,
        private=True,
    )


async def test_peers_find_each_other_by_the_dht_alone(tmp_path: Path) -> None:
    meta = made(tmp_path / "a")
    first = Node(settings(tmp_path, "127.0.0.1"))
    async with first, Node(settings(tmp_path, "127.0.0.2", first, pex=False)) as seed:
        await reach(await seed.add(meta, data=tmp_path / "a"), Seeding)
        await until(lambda: swarm_at(first, meta.info_hash))
        async with Node(settings(tmp_path, "127.0.0.3", first, pex=False)) as leech:
            await done(await leech.add(meta, save_to=tmp_path / "b"))


async def test_of_a_private_torrent_the_dht_never_hears(tmp_path: Path) -> None:
    """Both begin at the same moment, and the public one is known already."""
    meta, other = made(tmp_path / "a"), made(tmp_path / "b", name="other")
    hidden = private(other)
    first = Node(settings(tmp_path, "127.0.0.1"))
    async with first, Node(settings(tmp_path, "127.0.0.2", first)) as seed:
        await reach(await seed.add(hidden, data=tmp_path / "b"), Seeding)
        await reach(await seed.add(meta, data=tmp_path / "a"), Seeding)
        await until(lambda: swarm_at(first, meta.info_hash))
        assert swarm_at(first, hidden.info_hash) == []


async def test_peers_tell_each_other_where_their_dht_node_is_and_the_next_start_is_warm(
    tmp_path: Path,
) -> None:
    meta = made(tmp_path / "a")
    where = settings(tmp_path, "127.0.0.3")
    async with Node(settings(tmp_path, "127.0.0.2")) as seed:
        await reach(await seed.add(meta, data=tmp_path / "a"), Seeding)
        async with Node(where) as leech:
            peers = [Address("127.0.0.2", seed.port)]
            await done(await leech.add(meta, save_to=tmp_path / "b", peers=peers))
            await until(lambda: nodes_known(leech))
        (known,) = read_table(where.data_dir).nodes[Family.IPV4]
        assert known.address == Address("127.0.0.2", seed.port)
        async with Node(replace(where, port=leech.port)) as again:
            await until(lambda: nodes_known(again))
