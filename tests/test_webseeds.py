"""A node takes files from real web servers: who may be asked, and what is shown."""

import asyncio
from hashlib import sha1
from pathlib import Path
from random import Random
from urllib.parse import quote

import pytest

from p2pswarm.formats.building import build
from p2pswarm.formats.ids import Address
from p2pswarm.formats.magnet import Magnet
from p2pswarm.formats.metainfo import Metainfo
from p2pswarm.formats.zones import Zone
from p2pswarm.node import Node
from p2pswarm.swarm.torrent import Torrent
from tests.support.generations import contents, generation
from tests.support.patience import PATIENCE
from tests.support.quiet import quiet
from tests.support.web import WebServer

PIECE = 64 << 10
SIZES = {"a b.bin": 300_000, "sub/é#?.bin": 1_000_000, "empty": 0, "big": 2_000_000}


class Content:
    """A folder of files, as a web server has it and as a torrent."""

    def __init__(self) -> None:
        dice = Random(1)
        self.files = {name: dice.randbytes(size) for name, size in SIZES.items()}
        self.served = {f"/root/many/{quote(name)}": data for name, data in self.files.items()}
        stream = b"".join(self.files.values())
        rows = (stream[at : at + PIECE] for at in range(0, len(stream), PIECE))
        self.hashes = b"".join(sha1(row).digest() for row in rows)

    def torrent(self, *web_seeds: str, private: bool = False) -> Metainfo:
        return build(
            name="many",
            piece_length=PIECE,
            pieces=self.hashes,
            files=[(name.split("/"), len(data)) for name, data in self.files.items()],
            web_seeds=web_seeds,
            private=private,
        )

    def write(self, folder: Path) -> None:
        for name, data in self.files.items():
            path = folder / "many" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)

    def is_in(self, folder: Path) -> bool:
        return all((folder / "many" / name).read_bytes() == self.files[name] for name in SIZES)


async def ended(torrent: Torrent) -> None:
    async with asyncio.timeout(PATIENCE):
        await torrent.finished()


async def refused(torrent: Torrent) -> str:
    """Why its first web seed is not asked."""
    async with asyncio.timeout(PATIENCE):
        while not torrent.status().web_seeds[0].message:
            await asyncio.sleep(0)
    return torrent.status().web_seeds[0].message


@pytest.mark.parametrize("private", [False, True])
@pytest.mark.parametrize("ranges", [False, True])
async def test_a_torrent_with_only_a_web_seed_completes(
    tmp_path: Path, private: bool, ranges: bool
) -> None:
    content = Content()
    async with WebServer(content.served, ranges=ranges) as web, _node(tmp_path) as node:
        meta = content.torrent(web.url + "root", private=private)
        torrent = await node.add(meta, save_to=tmp_path)
        await ended(torrent)
        assert content.is_in(tmp_path)
        assert web.given == meta.total


def _node(folder: Path, **settings: int) -> Node:
    return Node(quiet(data_dir=folder / "state", port=0, **settings))


@pytest.mark.parametrize("hybrid", [True, False])
async def test_torrents_of_both_generations_complete(tmp_path: Path, hybrid: bool) -> None:
    """Pads are nowhere on the server, and count in the hashes of a hybrid only."""
    sizes = {"a": 100_000, "b": 7, "c": 5 * PIECE, "d": 20_000}
    files = {name: contents(size, seed) for seed, (name, size) in enumerate(sizes.items())}
    served = {f"/t/{name}": data for name, data in files.items()}
    async with WebServer(served) as web, _node(tmp_path) as node:
        raw = generation(
            files,
            v1=hybrid,
            piece_length=PIECE,
            change=lambda torrent: torrent.update({b"url-list": web.url.encode()}),
        )
        torrent = await node.add(raw, save_to=tmp_path)
        await ended(torrent)
        for name, data in files.items():
            assert (tmp_path / "t" / name).read_bytes() == data
        assert web.given == sum(sizes.values()) == torrent.status().downloaded
        assert torrent.status().wasted == 0


@pytest.mark.parametrize("hybrid", [True, False])
async def test_a_web_seed_that_lies_is_found_out_in_both_generations(
    tmp_path: Path, hybrid: bool
) -> None:
    data = contents(30 * PIECE)
    bad = b"".join(data[at : at + PIECE - 1] + b"?" for at in range(0, len(data), PIECE))
    async with WebServer({"/t/a": bad}) as liar, _node(tmp_path) as node:
        raw = generation(
            {"a": data, "b": b""},
            v1=hybrid,
            piece_length=PIECE,
            change=lambda torrent: torrent.update({b"url-list": liar.url.encode()}),
        )
        torrent = await node.add(raw, save_to=tmp_path)
        async with asyncio.timeout(PATIENCE):
            while torrent.status().web_seeds[0].state != "banned":
                await asyncio.sleep(0)
        assert torrent.status().hash_failures
        assert not torrent.status().have


async def test_what_is_here_already_is_not_asked_for(tmp_path: Path) -> None:
    content = Content()
    content.write(tmp_path)
    with (tmp_path / "many" / "big").open("r+b") as file:
        file.seek(PIECE * 20)
        file.write(bytes(PIECE))
    async with WebServer(content.served) as web, _node(tmp_path) as node:
        torrent = await node.add(content.torrent(web.url + "root"), save_to=tmp_path)
        await ended(torrent)
        assert content.is_in(tmp_path)
        assert web.given <= 2 * PIECE


async def test_nobody_is_asked_when_the_settings_say_so(tmp_path: Path) -> None:
    content = Content()
    async with WebServer(content.served) as web, _node(tmp_path, web_seeds=False) as node:
        torrent = await node.add(content.torrent(web.url + "root"), save_to=tmp_path)
        assert torrent.web_seeds is None
        assert torrent.status().web_seeds == ()


async def test_a_torrent_from_the_own_network_may_name_a_server_in_it(tmp_path: Path) -> None:
    content = Content()
    async with WebServer(content.served) as web, _node(tmp_path) as node:
        web.files["/x.torrent"] = content.torrent(web.url + "root").raw
        torrent = await node.add(web.url + "x.torrent", save_to=tmp_path)
        await ended(torrent)
        assert content.is_in(tmp_path)


FAR = "127.0.0.77"


@pytest.fixture
def internet(monkeypatch: pytest.MonkeyPatch) -> None:
    """One of our own addresses is taken for far away."""

    def zone(host: str) -> Zone:
        return Zone.INTERNET if host == FAR else Zone.THIS_MACHINE

    monkeypatch.setattr("p2pswarm.discovery.client.zone_of", zone)


@pytest.mark.usefixtures("internet")
async def test_a_torrent_from_the_internet_may_not(tmp_path: Path) -> None:
    content = Content()
    async with (
        WebServer(content.served) as web,
        WebServer(content.served, host=FAR) as far,
        _node(tmp_path) as node,
    ):
        far.files["/x.torrent"] = content.torrent(web.url + "root", far.url + "root").raw
        torrent = await node.add(far.url + "x.torrent", save_to=tmp_path)
        assert "our own network" in await refused(torrent)
        await ended(torrent)
        assert content.is_in(tmp_path)
        assert not web.asked


@pytest.mark.usefixtures("internet")
async def test_nor_may_a_link_though_others_of_its_web_seeds_are_asked(tmp_path: Path) -> None:
    """The torrent comes from a peer that gives next to nothing else."""
    content = Content()
    content.write(tmp_path / "1")
    async with (
        WebServer(content.served) as web,
        WebServer(content.served, host=FAR) as far,
        _node(tmp_path / "1", up_limit=300_000) as one,
        _node(tmp_path / "2") as two,
    ):
        seed = await one.add(content.torrent(), data=tmp_path / "1")
        await ended(seed)
        link = Magnet(seed.info_hash, web_seeds=(web.url + "root", far.url + "root"))
        here = Address("127.0.0.1", one.port)
        torrent = await two.add(str(link), save_to=tmp_path / "2", peers=[here])
        assert "our own network" in await refused(torrent)
        await ended(torrent)
        assert content.is_in(tmp_path / "2")
        assert far.given > torrent.metainfo.total / 2
        assert not web.asked
