"""Nodes of ours in one Gnutella network over real sockets, and room for neighbours of other makes."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TypeVar

from p2pswarm.config import NetworkSettings
from p2pswarm.formats.ids import Address
from p2pswarm.node import Node
from p2pswarm.overlay.query import Query
from p2pswarm.overlay.search import Find
from p2pswarm.swarm.torrent import Torrent
from tests.support.neighbour import Neighbour
from tests.support.patience import PATIENCE
from tests.support.quiet import quiet

__all__ = ["Street"]

N = TypeVar("N", bound=Neighbour)


class Street:
    """Everybody has an address and a home of its own."""

    def __init__(self, folder: Path, stack: AsyncExitStack) -> None:
        self.folder, self._stack = folder, stack
        self._number = 0

    def host(self) -> str:
        self._number += 1
        return f"127.0.8.{self._number}"

    async def node(
        self, role: str, *connect: Address, firewalled: bool = False, **files: bytes
    ) -> tuple[Node, Address]:
        """One of ours, which shares these files and is connected to those."""
        host = self.host()
        settings = quiet(port=0, bind=host, data_dir=self.folder / host)
        networks = NetworkSettings(
            connect=connect, gnutella_role=role, wait=1.0, firewalled=firewalled
        )
        node = await self._stack.enter_async_context(Node(settings, networks))
        share = self.folder / f"share of {host}"
        share.mkdir()
        for name, data in files.items():
            (share / f"{name.replace('_', ' ')}.mp3").write_bytes(data)
        catalog = await node.networks.share([share])
        await catalog.settled()
        await node.networks.join("gnutella")
        return node, Address(host, node.port)

    async def enter(self, neighbour: N) -> N:
        return await self._stack.enter_async_context(neighbour)

    async def found(self, node: Node, text: str, hosts: int = 1) -> Find:
        """One file, once so many hosts are known to have it."""
        async with asyncio.timeout(PATIENCE):
            while True:
                async with node.search(Query.parse(text)) as search:
                    finds = [find async for find in search]
                for find in finds:
                    if len(find.hits) >= hosts:
                        return find

    async def downloaded(self, node: Node, find: Find) -> Torrent:
        torrent = await node.download(find, save_to=self.folder / "to")
        async with asyncio.timeout(PATIENCE):
            await torrent.finished()
        return torrent
