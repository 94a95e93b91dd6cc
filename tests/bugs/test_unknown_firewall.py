"""A host that did not know of its firewall gave nothing at all, and peers were dialed on a hit's word.

Its downloaders said so (626) and asked it to come (500), and servers refuse that while its port is not 0; it
heard of it and did nothing. And whoever sent the torrent of a hit made us dial, again and again, whatever
address the hit named as its peer, also one of our own network named by a server on the Internet.
"""

import asyncio
from contextlib import AsyncExitStack, aclosing
from dataclasses import replace
from pathlib import Path

import pytest

from p2pswarm.formats.ids import Address
from p2pswarm.node import Node
from p2pswarm.overlay.napster import downloads
from p2pswarm.overlay.napster.client import Napster
from tests.support.scripted_napster import PATIENCE, Server, client
from tests.test_networks import SONG, Town, found, serving
from tracker.napster.server import NapsterServer, NapsterSettings


class Clock:
    """Of `downloads`: a moment is over once the server knows of the firewall."""

    def __init__(self, server: NapsterServer) -> None:
        self.nick = ""
        self._server = server

    def __getattr__(self, name: str) -> object:
        return getattr(asyncio, name)

    async def sleep(self, _: float) -> None:
        async with asyncio.timeout(PATIENCE):
            while (host := self._server.people.named(self.nick)) is None or host.port:
                await asyncio.sleep(0)


async def test_it_learns_of_it_and_brings_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = NapsterServer(NapsterSettings(host="127.0.0.1", port=0))
    await server.start()
    clock = Clock(server)
    monkeypatch.setattr(downloads, "asyncio", clock)
    async with aclosing(server), AsyncExitStack() as stack:
        town = Town(tmp_path, Address("127.0.0.1", server.port), stack)
        one = await town.node(town.file("one/blue moon.mp3"), join=False)
        await claim_port(one, 9)  # nobody listens there
        await one.networks.join("napster")
        network = one.networks._joined["napster"]
        assert isinstance(network, Napster)
        clock.nick = network.nick
        two = await town.node()
        find = await found(two, 1)
        assert find.hits[0].peer == Address("127.0.0.2", 9)
        torrent = await two.download(find, save_to=tmp_path / "to")
        await torrent.finished()
        assert torrent.path.read_bytes() == SONG
        assert (await found(two, 1)).hits[0].peer is None


async def claim_port(node: Node, number: int) -> None:
    network = await node.networks._made("napster")
    assert isinstance(network, Napster)
    network._connection.account.port = number
    if node.networks.catalog is not None:
        network.share(node.networks.catalog)
    node.networks._joined["napster"] = network


async def test_nobody_else_can_make_it_believe_that(tmp_path: Path) -> None:
    share = tmp_path / "Music"
    share.mkdir()
    (share / "song.mp3").write_bytes(b"la")
    async with Server() as server, client(server.address, share=share) as network:
        joining = asyncio.ensure_future(network.join())
        guest = await server.member()
        await joining
        guest.say(626, "mallory")  # who did not ask for anything
        guest.say(607, r'bob "Music\song.mp3"')
        assert await guest.hear(608, 703) == r'bob "Music\song.mp3"'
        port = network._tools.port
        reader, writer = await asyncio.open_connection(port.host, port.number)
        assert await reader.read(1) == b"1"
        writer.write(rb'GETbob "Music\song.mp3" 0')
        async with asyncio.timeout(PATIENCE):
            assert await reader.readexactly(3) == b"2la"
        writer.close()
        guest.say(607, r'bob "Music\song.mp3"')
        await guest.hear(608)
        guest.say(626, "bob")  # who could come before
        guest.say(751, "bob still there")
        assert await guest.hear(703, 752) == "bob still there"


async def test_no_hit_has_a_stranger_dialed(tmp_path: Path) -> None:
    dialed: list[str] = []
    victim = await asyncio.start_server(lambda *_: dialed.append("victim"), "127.0.0.99", 0)
    place = Address("127.0.0.99", victim.sockets[0].getsockname()[1])
    async with serving() as server, AsyncExitStack() as stack:
        town = Town(tmp_path, server, stack)
        await town.node(town.file("one/blue moon.mp3"))
        two = await town.node()
        (hit,) = (await found(two, 1)).hits
        torrent = await two.download(replace(hit, peer=place), save_to=tmp_path / "to")
        await torrent.finished()
        assert torrent.path.read_bytes() == SONG
    assert not dialed
    victim.close()
    await victim.wait_closed()
