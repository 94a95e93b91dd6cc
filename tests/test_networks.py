"""Nodes in a search network: share, search, fetch from several hosts at once; over real sockets."""

import asyncio
import os
import struct
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from hashlib import md5
from pathlib import Path

import pytest

from p2pswarm.config import NetworkSettings
from p2pswarm.errors import HostError, NetworkError
from p2pswarm.formats.ids import Address
from p2pswarm.node import Node
from p2pswarm.overlay.network import FileNetwork
from p2pswarm.overlay.query import Hit, Query
from p2pswarm.overlay.search import Find
from p2pswarm.swarm.events import PeerBanned, Seeding
from tests.support.liar import Liar
from tests.support.quiet import quiet
from tests.support.scripted_napster import PATIENCE
from tracker.napster.server import NapsterServer, NapsterSettings

SONG = os.urandom(3_000_000)
BLUE = Query.parse("blue moon")
SLOW = 700_000  # bytes a second, so that others have the time to take part


@asynccontextmanager
async def serving() -> AsyncIterator[Address]:
    server = NapsterServer(NapsterSettings(host="127.0.0.1", port=0))
    await server.start()
    try:
        yield Address("127.0.0.1", server.port)
    finally:
        await server.aclose()


class Town:
    """A server and nodes, each with an address and a home of its own."""

    def __init__(self, folder: Path, server: Address, stack: AsyncExitStack) -> None:
        self.folder, self.server, self._stack = folder, server, stack
        self._number = 1

    async def node(
        self, *share: Path, join: bool = True, up: int = 2_000_000, **more: object
    ) -> Node:
        self._number += 1
        home = self.folder / f"home{self._number}"
        settings = quiet(
            port=0,
            bind=f"127.0.0.{self._number}",
            data_dir=home,
            up_limit=up if share else 0,
        )
        networks = NetworkSettings(napster_server=self.server, **more)  # type: ignore[arg-type]
        node = await self._stack.enter_async_context(Node(settings, networks))
        if share:
            catalog = await node.networks.share(share)
            await catalog.settled()
        if join:
            await node.networks.join("napster")
        return node

    def file(self, name: str, data: bytes = SONG) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return path.parent


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    async with serving() as server, AsyncExitStack() as stack:
        yield Town(tmp_path, server, stack)


async def found(node: Node, hosts: int, query: Query = BLUE) -> Find:
    """One file, once so many hosts are known to have it, with an info-hash."""
    async with asyncio.timeout(PATIENCE):
        while True:
            async with node.search(query) as search:
                finds = [find async for find in search]
            for find in finds:
                if len(find.hits) >= hosts and all(hit.info_hash for hit in find.hits):
                    return find
            await asyncio.sleep(0)


async def test_a_file_comes_verified_from_two_nodes_at_once(town: Town, tmp_path: Path) -> None:
    one = await town.node(town.file("one/blue moon.mp3"))
    two = await town.node(town.file("two/Blue Moon (copy).mp3"))
    three = await town.node()
    find = await found(three, 2)
    torrent = await three.download(find, save_to=tmp_path / "to")
    await torrent.finished()
    assert torrent.path == tmp_path / "to" / find.hits[0].filename
    assert torrent.path.read_bytes() == SONG
    given = [next(iter(node.torrents.values())).status().uploaded for node in (one, two)]
    assert sum(given) >= len(SONG)
    assert min(given) > 0


@pytest.mark.parametrize("both", [False, True])
async def test_hosts_that_cannot_be_dialed_give_in_a_row(
    town: Town, tmp_path: Path, both: bool
) -> None:
    await town.node(town.file("one/blue moon.mp3"), firewalled=True, up=SLOW)
    await town.node(town.file("two/blue moon.mp3"), firewalled=both, up=SLOW)
    three = await town.node()
    find = await found(three, 2)
    assert sum(hit.peer is None for hit in find.hits) == 1 + both
    torrent = await three.download(find, save_to=tmp_path / "to")
    await torrent.finished()
    assert torrent.path.read_bytes() == SONG
    assert torrent.status().hash_failures == 0
    assert sum(source.down.total for source in torrent.sources) > 0


async def test_a_download_goes_on_after_a_restart(town: Town, tmp_path: Path) -> None:
    await town.node(town.file("one/blue moon.mp3"), firewalled=True)
    three = await town.node()
    find = await found(three, 1)
    to = tmp_path / "to"
    torrent = await three.download(find, save_to=to)
    async for _ in torrent.events():
        if torrent.status().have >= 4:
            break
    await three.remove(torrent)
    again = await three.download(find.hits[0], save_to=to)
    await again.finished()
    assert again.path.read_bytes() == SONG
    fetched = again.sources[0].down.total
    assert fetched <= len(SONG) - 4 * again.metainfo.piece_length + (2 << 20)


async def test_a_host_that_brings_garbage_is_found_out_and_banned(
    town: Town, tmp_path: Path
) -> None:
    await town.node(town.file("one/blue moon.mp3"), up=SLOW)
    three = await town.node()
    honest = await found(three, 1)
    liar = Liar(honest.hits[0])
    lying = asyncio.ensure_future(liar.run(town.server))
    try:
        find = await found(three, 2)
        assert {hit.nick for hit in find.hits} >= {"liar"}
        find.hits.sort(key=lambda hit: hit.nick != "liar")  # it comes first
        torrent = await three.download(find, save_to=tmp_path / "to")
        banned: list[Address] = []
        async for event in torrent.events():
            if isinstance(event, PeerBanned):
                banned.append(event.address)
            if torrent.state == Seeding():
                break
        assert [address.host for address in banned] == ["127.0.0.66"]
        assert torrent.path.read_bytes() == SONG
        assert 0 < torrent.sources[0].down.total < len(SONG)
    finally:
        lying.cancel()
        await asyncio.wait([lying])


@pytest.mark.parametrize("torrent_known", [True, False])
async def test_one_file_comes_from_hosts_of_two_networks(
    town: Town, tmp_path: Path, torrent_known: bool
) -> None:
    await town.node(town.file("one/blue moon.mp3"), up=SLOW)
    two = await town.node(
        town.file("two/blue moon.mp3"), join=False, up=SLOW, gnutella_role="ultrapeer"
    )
    await two.networks.join("gnutella")
    place = Address(two.settings.bind, two.port)
    three = await town.node(connect=(place,), gnutella_role="leaf", wait=1.0)
    await three.networks.join("gnutella")
    assert {status.name: status.links for status in three.networks.status()} == {
        "napster": 1,
        "gnutella": 1,
    }
    find = await found(three, 2)
    assert {hit.network for hit in find.hits} == {"napster", "gnutella"}
    hits = find.hits
    if not torrent_known:
        hits = [replace(hit, info_hash=None, peer=None) for hit in hits]
    torrent = await three.download(hits, save_to=tmp_path / "to")
    await torrent.finished()
    assert torrent.path.read_bytes() == SONG
    if not torrent_known:
        assert min(source.down.total for source in torrent.sources) > 0
        assert len(torrent.sources) == 2


class Foreign:
    """A member of another make: it knows nothing of hashes, and is dialed and asked with GET."""

    def __init__(self, nick: str, host: str, data: bytes, digest: bytes) -> None:
        self.nick, self.host, self.data, self.digest = nick, host, data, digest
        self.asked: list[str] = []

    async def run(self, server: Address) -> None:
        listening = await asyncio.start_server(self._give, self.host, 0)
        port = listening.sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection(*server, local_addr=(self.host, 0))
        name = rf"C:\mp3\{self.nick}\Red Sun.mp3"

        def say(number: int, text: str) -> None:
            writer.write(struct.pack("<HH", len(text), number) + text.encode())

        say(2, f'{self.nick} pw {port} "nap v1.5" 4')
        say(100, f'"{name}" {self.digest.hex()} {len(self.data)} 128 44100 60')
        try:
            while True:
                length, number = struct.unpack("<HH", await reader.readexactly(4))
                text = (await reader.readexactly(length)).decode()
                assert number < 0x7000
                if number == 607:
                    say(608, f'{text.split()[0]} "{name}"')
        finally:
            writer.close()
            listening.close()

    async def _give(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            writer.write(b"1")
            head = (await reader.read(500)).decode()
            self.asked.append(head)
            writer.write(b"%d" % len(self.data))
            writer.write(self.data[int(head.split()[-1]) :])
            await reader.read()
        except ConnectionError:
            pass
        finally:
            writer.close()


async def test_a_file_of_foreign_programs_is_fetched_by_ranges_and_marked(
    town: Town, tmp_path: Path
) -> None:
    digest = md5(SONG[:299008]).digest()
    hosts = [
        Foreign("good1", "127.0.0.71", SONG, digest),
        Foreign("good2", "127.0.0.72", SONG, digest),
        Foreign("liar", "127.0.0.73", bytes(len(SONG)), digest),
    ]
    running = [asyncio.ensure_future(host.run(town.server)) for host in hosts]
    try:
        node = await town.node()
        async with asyncio.timeout(PATIENCE):
            find = Find()
            while len(find.hits) < 3:
                async with node.search(Query.parse("red sun")) as search:
                    async for find in search:
                        assert "btih" not in find.known
        find.hits.sort(key=lambda hit: hit.nick != "liar")  # it comes first
        torrent = await node.download(find, save_to=tmp_path / "to")
        await torrent.finished()
        status = torrent.status()
        assert status.verified_by == "its size and the MD5 of its first 299008 bytes only"
        assert status.path == tmp_path / "to" / "Red Sun.mp3"
        assert status.path.read_bytes()[:299008] == SONG[:299008]
        assert status.hash_failures == 1
        assert all(host.asked for host in hosts)
    finally:
        for each in running:
            each.cancel()
        await asyncio.wait(running)


async def test_foreign_hosts_give_to_the_same_piece_map_as_ours(town: Town, tmp_path: Path) -> None:
    """Theirs are known by MD5 and size alone, and verified by our host's info-hash all the same."""
    await town.node(town.file("one/red sun.mp3"), up=SLOW)
    foreign = Foreign("good1", "127.0.0.71", SONG, md5(SONG[:299008]).digest())
    running = asyncio.ensure_future(foreign.run(town.server))
    try:
        node = await town.node()
        async with asyncio.timeout(PATIENCE):
            finds: list[Find] = []
            while not finds or len(finds[0].hits) < 2 or "btih" not in finds[0].known:
                async with node.search(Query.parse("red sun")) as search:
                    finds = [find async for find in search]
        torrent = await node.download(finds[0], save_to=tmp_path / "to")
        await torrent.finished()
        assert torrent.path.read_bytes() == SONG
        assert torrent.status().verified_by == "the SHA-1 of every piece"
        assert sum(source.down.total for source in torrent.sources) > 0
        assert foreign.asked
    finally:
        running.cancel()
        await asyncio.wait([running])


async def test_a_name_from_the_network_stays_in_the_folder(town: Town, tmp_path: Path) -> None:
    await town.node(town.file("one/blue moon.mp3"))
    three = await town.node()
    (hit,) = (await found(three, 1)).hits
    to = tmp_path / "to" / "here"
    to.mkdir(parents=True)
    network = three.networks._joined["napster"]
    real = network.torrent
    asked: list[Hit] = []

    async def torrent_of(evil: Hit) -> bytes:
        asked.append(evil)
        return await real(hit)

    network.torrent = torrent_of  # type: ignore[method-assign]
    torrent = await three.download(replace(hit, name=r"..\..\..\evil.sh"), save_to=to)
    await torrent.finished()
    assert asked
    assert torrent.path == to / "evil.sh"
    assert sorted(path.name for path in to.iterdir()) == ["evil.sh"]


async def test_what_is_not_set_up_or_not_joined_is_said(town: Town, tmp_path: Path) -> None:
    node = await town.node(join=False)
    with pytest.raises(HostError, match="kazaa is not a network we know: gnutella, napster"):
        await node.networks.join("kazaa")
    with pytest.raises(HostError, match="napster was not joined"):
        node.search(BLUE, ["napster"])
    hit = Hit("a", 1, "napster", nick="bob", info_hash=None)
    with pytest.raises(NetworkError, match="napster was not joined"):
        await node.download(hit, save_to=tmp_path)
    async with Node(quiet(port=0, bind="127.0.0.50", data_dir=tmp_path / "x")) as bare:
        with pytest.raises(HostError, match="which Napster server"):
            await bare.networks.join("napster")
        with pytest.raises(HostError, match="no network is set up: name a Gnutella host"):
            bare.networks.set_up()


async def test_who_is_closed_while_it_joins_is_in_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = Node(quiet(port=0, bind="127.0.0.50", data_dir=tmp_path / "x"))
    await node.open()
    real, taken, go_on = node.networks._made, asyncio.Event(), asyncio.Event()

    async def slow(name: str, **how: bool) -> FileNetwork:
        network = await real(name, **how)
        taken.set()
        await go_on.wait()
        return network

    monkeypatch.setattr(node.networks, "_made", slow)
    joining = asyncio.create_task(node.networks.join("gnutella"))
    await taken.wait()
    await node.aclose()
    go_on.set()
    with pytest.raises(HostError, match="closed meanwhile"):
        await joining
    assert not node.networks.status()


async def test_a_hit_whose_host_is_gone_is_an_error(town: Town, tmp_path: Path) -> None:
    one = await town.node(town.file("one/blue moon.mp3"))
    three = await town.node()
    find = await found(three, 1)
    await one.aclose()
    with pytest.raises(NetworkError, match="cannot get its torrent"):
        await three.download(find, save_to=tmp_path / "to")
