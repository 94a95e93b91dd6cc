"""Hole punching with libtorrent as the third: it introduces two of ours that cannot dial each other."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from p2pswarm.formats.ids import Address
from p2pswarm.formats.metainfo import Metainfo
from p2pswarm.net.stream import Stream
from p2pswarm.node import Node
from p2pswarm.swarm.torrent import Torrent
from tests.interop.lab import Lab, StartClient
from tests.interop.table import GIVES, part
from tests.interop.test_variants import some_files
from tests.support.foreign import libtorrent
from tests.support.patience import PATIENCE
from tests.support.quiet import quiet

pytestmark = pytest.mark.interop


@asynccontextmanager
async def hidden(home: Path, host: str, meta: Metainfo) -> AsyncIterator[tuple[str, Torrent]]:
    """A node of ours that waits to be dialed, as whoever it dials is out of reach. Where it listens."""

    async def dial(address: Address, *_: Any) -> Stream:
        raise OSError(f"{address} is behind a NAT")

    settings = quiet(bind=host, port=0, data_dir=home / "state")
    async with Node(settings) as node:
        ours = node._working()
        surroundings = replace(ours.surroundings, dials=(dial,))
        node._machinery = replace(ours, surroundings=surroundings)
        yield f"{host}:{node.port}", await node.add(meta, save_to=home)


@part("hole punching", GIVES)
@pytest.mark.parametrize("client", [libtorrent])
async def test_it_introduces_two_of_ours(client: StartClient, lab: Lab, tmp_path: Path) -> None:
    lab.share(some_files(1 << 20), tracked=False)
    meta = Metainfo.from_file(lab.torrent)
    places = [(tmp_path / name, lab.new_address()) for name in ("one", "other")]
    for home, _ in places:
        home.mkdir()
    async with hidden(*places[0], meta) as (one, torrent), hidden(*places[1], meta) as (other, _):
        joined = torrent.events()
        with lab.foreign_get(client, peers=[one, other]):
            async with asyncio.timeout(PATIENCE):
                async for _ in joined:
                    peers = torrent.peers.values()
                    if any(p.stream.utp and p.address.host == places[1][1] for p in peers):
                        break
