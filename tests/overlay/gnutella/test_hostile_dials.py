"""One victim, named in every way there is: how often a whole node dials it (promise 12)."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from random import Random

from p2pswarm.config import NetworkSettings
from p2pswarm.errors import P2PSwarmError
from p2pswarm.formats.ids import Address
from p2pswarm.net.stream import Stream
from p2pswarm.node import Node
from p2pswarm.overlay.query import Hit, Query as Wanted
from p2pswarm.wire.framer import KeepingFramer
from p2pswarm.wire.gnutella.descriptor import Kind, oob_guid
from p2pswarm.wire.gnutella.endpoints import pack_endpoints
from p2pswarm.wire.gnutella.hit import QueryHit
from p2pswarm.wire.gnutella.pings import Pong, pong_ggep
from p2pswarm.wire.gnutella.push import Push
from p2pswarm.wire.gnutella.query import Query, QueryFlags
from p2pswarm.wire.gnutella.results import Result
from p2pswarm.wire.gnutella.vendor import OobHits, UdpConnectBack
from tests.support.gnutella import Stranger
from tests.support.quiet import quiet
from tests.support.world import Host, World, simulate

WEB = 80
SONG = (Result(1, 70_000, "blue moon.mp3", sha1=b"\1" * 20, tth=b"\2" * 24),)


class Victim:
    """A web server that has nothing to do with any of it, and what came to it."""

    def __init__(self, host: Host, *, answers: bool) -> None:
        self.address = Address(host.name, WEB)
        self.dials: Counter[int] = Counter()
        self.datagrams = 0
        self._answers = answers

    async def open(self, loop: asyncio.AbstractEventLoop) -> None:
        for port in range(WEB, WEB + 8):
            await loop.create_server(lambda port=port: self._knock(port), self.address.host, port)
        await loop.create_datagram_endpoint(lambda: _Ear(self), (self.address.host, WEB))

    def _knock(self, port: int) -> Stream:
        self.dials[port] += 1
        guest = _Guest(answers=self._answers)
        guest.stream = Stream(KeepingFramer(), guest)
        return guest.stream


class _Ear(asyncio.DatagramProtocol):
    def __init__(self, victim: Victim) -> None:
        self._victim = victim

    def datagram_received(self, data: bytes, addr: object) -> None:
        self._victim.datagrams += 1


class _Guest:
    stream: Stream

    def __init__(self, *, answers: bool) -> None:
        self._answers = answers

    def got(self, message: object) -> None:
        """A web server understands none of it."""

    def caught_up(self) -> None:
        if self._answers:
            self.stream.send(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")

    def drained(self) -> None:
        """Nothing waits."""

    def closed(self, reason: Exception | None) -> None:
        """They gave up."""


@asynccontextmanager
async def joined(world: World, folder: Path) -> AsyncIterator[tuple[Node, Address]]:
    """A whole node in Gnutella, which shares something."""
    share = folder / "Music"
    share.mkdir()
    (share / "green cheese.ogg").write_bytes(b"cheese" * 100)
    host = world.host()
    settings = quiet(bind=host.name, data_dir=folder / "state", disk_threads=0, port=46881)
    networks = NetworkSettings(flood=True, wait=3.0)
    async with Node(settings, networks, dice=Random(world.dice.random())) as node:
        catalog = await node.networks.share([share])
        await node.networks.join("gnutella")
        await catalog.settled()
        yield node, Address(host.name, node.port)


class _Here:
    def __init__(self, address: Address) -> None:
        self.address = address


def name_it(liar: Stranger, victim: Address) -> None:
    """As somebody to be a neighbour of, to whom hits go by UDP, who tests its port, and who wants a push."""
    ports = [victim._replace(port=port) for port in range(WEB, WEB + 8)]
    for port in ports:
        pong = Pong(port, 5, 1 << 10, pong_ggep(guess=True, slots=(5, 5), hosts=ports))
        liar.say(Kind.PONG, pong.encode(), hops=1)
    wish = Query("green cheese", ggep={"SO": b""}, flags=QueryFlags.OOB)
    liar.say(Kind.QUERY, wish.encode(), hops=2, guid=oob_guid(victim, liar.dice))
    liar.say(Kind.VENDOR, UdpConnectBack(WEB, bytes(16)).encode())


def push_to(liar: Stranger, victim: Address) -> None:
    """Somebody who saw our hits names it."""
    for head in liar.heard(Kind.HIT):
        hit = QueryHit.read(head.payload)
        for port in range(WEB, WEB + 8):
            push = Push(hit.servent, hit.results[0].index, victim._replace(port=port))
            liar.say(Kind.PUSH, push.encode(), hops=1)
            liar.say(Kind.PUSH, push.encode(), hops=1)


def answer(liar: Stranger, victim: Address) -> None:
    """A hundred servents have the song, all of them there, or behind a push proxy that is there."""
    for head in liar.heard(Kind.QUERY):
        for _ in range(50):
            guid = liar.dice.randbytes(16)
            liar.hit(head.guid, hops=2, address=victim, servent=guid, results=SONG)
            proxied = {"push": True, "ggep": {"PUSH": pack_endpoints([victim] * 4)}}
            guid = liar.dice.randbytes(16)
            liar.hit(head.guid, hops=2, address=victim, servent=guid, results=SONG, **proxied)
        liar.say(Kind.VENDOR, OobHits(9, True, 3).encode(), guid=head.guid)
    liar.heads.clear()


async def fetched(node: Node, liar: Stranger, victim: Address, folder: Path) -> int:
    """Look for the song, and try to get it of everybody; how many hits there were."""
    hits: list[Hit] = []
    async with node.search(Wanted(("blue", "moon")), ["gnutella"]) as looking:
        asyncio.get_running_loop().call_later(0.5, answer, liar, victim)
        async for _ in looking:
            pass
        hits = [hit for find in looking.finds for hit in find.hits]
    with suppress(P2PSwarmError, TimeoutError):
        async with asyncio.timeout(120):
            torrent = await node.download(hits, save_to=folder)
            await torrent.finished()
    return len(hits)


def dials_at_a_victim(folder: Path, *, answers: bool) -> Counter[int]:
    victims: list[Victim] = []

    async def story(world: World) -> None:
        victim = Victim(world.host(), answers=answers)
        victims.append(victim)
        await victim.open(world.loop)
        async with joined(world, folder) as (node, address):
            liar = Stranger(world, world.host())  # type: ignore[arg-type]  # its dice are enough
            await liar.dial(_Here(address))  # type: ignore[arg-type]
            liar.ask("green cheese")
            await asyncio.sleep(1)
            assert liar.heard(Kind.HIT)
            push_to(liar, victim.address)
            name_it(liar, victim.address)
            assert await fetched(node, liar, victim.address, folder / "got") >= 50
            push_to(liar, victim.address)
            name_it(liar, victim.address)
            await asyncio.sleep(200)
            assert await fetched(node, liar, victim.address, folder / "again") >= 50
            assert victim.datagrams <= 12

    simulate(folder, story)
    return victims[0].dials


def test_a_victim_that_hangs_is_dialed_once(tmp_path: Path) -> None:
    dials = dials_at_a_victim(tmp_path, answers=False)
    assert max(dials.values()) == 1
    assert len(dials) <= 3  # ports of one host


def test_a_web_server_is_no_servent(tmp_path: Path) -> None:
    dials = dials_at_a_victim(tmp_path, answers=True)
    assert max(dials.values()) == 1
    assert len(dials) <= 3
