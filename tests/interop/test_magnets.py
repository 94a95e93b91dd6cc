"""Magnet links (BEP 9): a client that has only the link gets the metadata of ours, and ours of it."""

import asyncio
from functools import partial
from pathlib import Path

import libtorrent as lt
import pytest

from p2pswarm.config import Settings
from p2pswarm.discovery.dht.dht import Dht
from p2pswarm.formats.magnet import Magnet
from p2pswarm.formats.metainfo import Metainfo
from p2pswarm.node import Node
from tests.interop.lab import ODD_FILES, Lab, StartClient, kept_by
from tests.interop.table import GIVES, TAKES, part
from tests.support.foreign import aria2, libtorrent, transmission, until
from tests.support.foreign_dht import LibtorrentDht
from tests.support.patience import stopwatch
from tests.support.quiet import quiet

pytestmark = pytest.mark.interop

ALL = pytest.mark.parametrize("client", [libtorrent, aria2, transmission])
# 2000 pieces: metadata of 40 000 bytes, which goes from peer to peer in three parts.
MANY_PIECES = {"large": bytes(range(256)) * (2000 * 64)}


@part("magnet links and ut_metadata", GIVES)
@ALL
def test_gives_its_metadata_to_our_get(client: StartClient, lab: Lab) -> None:
    lab.share(ODD_FILES)
    with lab.foreign_seed(client), lab.get(source=lab.link) as get:
        assert get.wait() == 0, get.stderr
    assert lab.fetched("get") == ODD_FILES


@part("magnet links and ut_metadata", TAKES)
@pytest.mark.parametrize("client", [libtorrent, transmission])
def test_takes_the_metadata_of_our_seed_which_dials_it(client: StartClient, lab: Lab) -> None:
    lab.share(ODD_FILES)
    with lab.foreign_get(client, lab.link) as peer:
        until(lambda: lab.counts().incomplete == 1, "the client announces")
        with lab.seed():
            until(peer.is_complete, "the download")
    assert lab.fetched(client.__name__) == kept_by(client, ODD_FILES)


@part("magnet links and ut_metadata", TAKES)
@pytest.mark.parametrize("client", [aria2])
def test_takes_the_metadata_of_whoever_dials_it(client: StartClient, lab: Lab) -> None:
    """With a link alone it tells a tracker that it is a seed, and so no seed of ours dials it."""
    lab.share(ODD_FILES, tracked=False)
    with (
        lab.foreign_get(client, lab.link) as peer,
        lab.get("-o", lab.source, "--stay", "--peer", peer.address),
    ):
        until(peer.is_complete, "the download")
    assert lab.fetched(client.__name__) == kept_by(client, ODD_FILES)


def test_metadata_of_many_parts(lab: Lab) -> None:
    lab.share(MANY_PIECES, "16KiB")
    with lab.foreign_seed(libtorrent), lab.get(source=lab.link) as get:
        assert get.wait() == 0, get.stderr
    with lab.seed(), lab.foreign_get(libtorrent, lab.link) as peer:
        until(peer.is_complete, "the download")
    assert lab.fetched("libtorrent") == lab.fetched("get") == MANY_PIECES


def knows_nodes(dht: Dht) -> bool:
    return any(network.nodes for network in dht.status().networks.values())


async def test_with_a_warm_dht_metadata_comes_in_two_seconds(lab: Lab, tmp_path: Path) -> None:
    """Two of ours, one of which has the torrent, and between them a node of libtorrent."""
    lab.share(ODD_FILES, tracked=False)
    meta, between = Metainfo.from_file(lab.torrent), LibtorrentDht()

    def in_the_dht(name: str) -> Settings:
        place = {"bind": lab.new_address(), "port": 0, "data_dir": tmp_path / name}
        return quiet(dht=True, dht_bootstrap=(between.address,), **place)

    async with Node(in_the_dht("seed state")) as seed, Node(in_the_dht("get state")) as node:
        await seed.add(meta, data=lab.source)
        await asyncio.to_thread(between.wait_for, lt.dht_announce_alert)
        assert node.dht is not None
        await asyncio.to_thread(until, partial(knows_nodes, node.dht), "nodes")
        with stopwatch() as watch:
            found = await node.fetch_metadata(Magnet(info_hash=meta.info_hash))
        assert found.info_hash == meta.info_hash
        assert watch.seconds <= 5, "two seconds are promised, on a machine that has them"
