"""What peers tell of themselves: that they want nothing more (BEP 21), that a piece is gone (BEP 54)."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from p2pswarm.formats.ids import Address, PieceIndex
from p2pswarm.formats.metainfo import Metainfo
from p2pswarm.node import Node
from p2pswarm.swarm.torrent import Torrent
from tests.interop.lab import Lab, StartClient
from tests.interop.table import GIVES, TAKES, part
from tests.interop.test_variants import some_files
from tests.support.foreign import libtorrent, transmission, until
from tests.support.quiet import quiet

pytestmark = pytest.mark.interop

LIBTORRENT = pytest.mark.parametrize("client", [libtorrent])
SLOW = 100_000  # bytes a second, so that there is time to look


@asynccontextmanager
async def ours(lab: Lab, home: Path, **how: Any) -> AsyncIterator[tuple[Torrent, str]]:
    """A node of ours in this process, and where it is."""
    host = lab.new_address()
    settings = quiet(bind=host, port=0, data_dir=home / "state", down_limit=SLOW)
    async with Node(settings) as node:
        yield await node.add(Metainfo.from_file(lab.torrent), **how), f"{host}:{node.port}"


async def soon(condition: Callable[[], bool], what: str) -> None:
    await asyncio.to_thread(until, condition, what)


@part("upload_only (BEP 21)", GIVES)
@pytest.mark.parametrize("client", [libtorrent, transmission])
async def test_it_says_that_it_only_gives(client: StartClient, lab: Lab, tmp_path: Path) -> None:
    lab.share(some_files(300_000), tracked=False)
    place = (lab.home / "seeds", lab.torrent, lab.source, lab.new_address())
    with client(*place, seed=True) as seed:
        peers = [Address.parse(seed.address)]
        async with ours(lab, tmp_path, save_to=tmp_path, peers=peers) as (torrent, _):

            def says_it() -> bool:
                return any(peer.upload_only for peer in list(torrent.peers.values()))

            await soon(says_it, "upload_only")


@part("upload_only (BEP 21)", TAKES)
@part("lt_donthave (BEP 54)", TAKES)
@LIBTORRENT
async def test_it_is_told(client: StartClient, lab: Lab, tmp_path: Path) -> None:
    """As a seed that nothing is wanted; then that a piece is gone, and so that something is."""
    lab.share(some_files(3 << 20), tracked=False)
    pieces = len(Metainfo.from_file(lab.torrent).pieces) // 20
    async with ours(lab, tmp_path, data=lab.source) as (torrent, place):
        await torrent.finished()
        with lab.foreign_get(client, peers=[place], download_rate_limit=SLOW) as peer:

            def sees(number: int, *, upload_only: bool) -> bool:
                seen = {"pieces": number, "upload_only": upload_only}.items()
                return any(seen <= each.items() for each in peer.status().get("peers", ()))

            await soon(lambda: sees(pieces, upload_only=True), "our seed")
            torrent._keeper._disown({PieceIndex(pieces - 1)})
            await soon(lambda: sees(pieces - 1, upload_only=False), "our loss")
