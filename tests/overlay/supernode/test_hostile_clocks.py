"""Clocks that jump and processes that slept; and two networks on one port, whose words get mixed up."""

import asyncio
from pathlib import Path
from random import Random

import pytest

from p2pswarm.config import NetworkSettings
from p2pswarm.formats.ids import Address
from p2pswarm.node import Node
from p2pswarm.overlay.network import Cost
from p2pswarm.overlay.query import Query
from p2pswarm.overlay.supernode.options import Wish
from p2pswarm.wire.supernode.frames import OPENING, Frame
from p2pswarm.wire.supernode.hello import Hello, Want
from tests.support.crowd import PORT, Crowd, file, names, play
from tests.support.quiet import quiet
from tests.support.servent import dial
from tests.support.world import World, simulate

DAY = 86_400.0


@pytest.mark.parametrize("days", [-400, 400])
def test_a_wall_clock_that_jumps_costs_nobody_a_parent(tmp_path: Path, days: int) -> None:
    """The host cache keeps times of the world's clock."""

    async def story(crowd: Crowd) -> None:
        one, two = await crowd.supers(2)
        kid = await crowd.child(one, two, files=[file(1, "blue ocean")])
        await asyncio.sleep(100)
        known, clock = len(kid.known.hosts), crowd.world.loop.time
        for each in crowd.all:
            each.known._wall = lambda: clock() + days * DAY
        await asyncio.sleep(60)
        assert kid.member.parent is not None
        assert len(kid.known.hosts) == known
        lost, other = (one, two) if kid.member.parent.address == one.address else (two, one)
        lost.die()
        await asyncio.sleep(0.1)
        await crowd.world.until(lambda: kid.member.parent is not None, 10)
        await asyncio.sleep(1)
        assert names(await other.found("ocean")) == ["blue ocean"]
        kid.known.hosts.check()

    play(tmp_path, story)


def test_who_slept_for_an_hour_is_back_at_once(tmp_path: Path) -> None:
    """All timers ring in the same moment, for super nodes and their children."""

    async def story(crowd: Crowd) -> None:
        one, two = await crowd.supers(2)
        kids = [await crowd.child(one, two, files=[file(n, f"ocean {n}")]) for n in range(5)]
        asker = await crowd.child(two)
        await asyncio.sleep(30)
        crowd.world.loop.now += 3600.0
        await asyncio.sleep(15)
        assert all(kid.member.parent is not None for kid in kids)
        await crowd.world.until(lambda: two.address in one.believed, 30)
        assert len(await asker.found("ocean")) == 5

    play(tmp_path, story)


HELLO = OPENING + Hello(b"s" * 16, PORT, Want.PARENT, "x", True, False).encode().encode()
MIXED = {
    "http after a greeting": HELLO + b"GET /get/1/a HTTP/1.1\r\nHost: a\r\n\r\n",
    "gnutella after a greeting": HELLO + b"GNUTELLA CONNECT/0.6\r\n\r\n",
    "a greeting in gnutella": b"GNUTELLA CONNECT/0.6\r\nUser-Agent: a\r\n" + HELLO,
    "a greeting after gnutella's": b"GNUTELLA CONNECT/0.6\r\nX-Ultrapeer: True\r\n\r\n" + HELLO,
    "a greeting in http": b"GET / HTTP/1.1\r\nX: " + HELLO + b"\r\n\r\n",
    "a giv nobody waits for": b"GIV 0:" + b"ab" * 16 + b"/file\n\n" + HELLO,
    "a giv after a greeting": HELLO + b"GIV 0:" + b"ab" * 16 + b"/file\n\n",
    "a push for nobody": b"GET /gnutella/push-proxy?guid=" + b"AB" * 16 + b" HTTP/1.1\r\n"
    b"X-Node: 82.1.1.1:80\r\n\r\n",
    "bittorrent after a greeting": HELLO + b"\x13BitTorrent protocol" + bytes(48),
    "a greeting in bittorrent": b"\x13BitTorrent protocol" + bytes(8) + HELLO + bytes(40),
    "another opening": OPENING[:-1] + b"X" + HELLO,
    "two greetings": HELLO + HELLO,
    "an empty frame of tomorrow": HELLO + Frame(0xEE, b"").encode() * 100,
}


@pytest.mark.parametrize("said", MIXED.values(), ids=MIXED.keys())
def test_words_of_another_network_end_that_connection_alone(tmp_path: Path, said: bytes) -> None:
    async def story(world: World) -> None:
        share = tmp_path / "Music"
        share.mkdir()
        (share / "blue ocean.ogg").write_bytes(b"ocean" * 1000)
        host = world.host()
        where = quiet(bind=host.name, data_dir=tmp_path / "state", disk_threads=0, port=PORT)
        networks = NetworkSettings(flood=True, supernode_role="super", wait=2.0)
        async with Node(where, networks, dice=Random(1)) as node, Crowd.of(world) as crowd:
            await (await node.networks.share([share])).settled()
            await node.networks.join("gnutella")
            await node.networks.join("supernode")
            here = Address(host.name, node.port)
            asker = await crowd.someone(wish=Wish.ORDINARY)
            asker.known.answered(here)
            await asker.member.settled()
            for _ in range(3):
                caller = await dial(world, here, world.host().name)
                caller.say(said)
                await asyncio.sleep(1)
                caller.hang_up()
            (hit,) = [hit async for hit in asker.member.search(Query(("ocean",)), Cost())]
            assert hit.host == here
            assert asker.member.parent is not None

    simulate(tmp_path, story)
