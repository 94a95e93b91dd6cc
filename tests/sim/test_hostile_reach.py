"""Promises 2, 10 and 12, of how peers find and reach each other: whoever lies there wins nothing.

A seed and one who downloads from it are nodes in virtual time, with uTP and the DHT; while they are at it,
somebody attacks both. Each room has such tests of its own; here all of them stand behind one port.
"""

import asyncio
import struct
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any, Self

import pytest
from typing_extensions import override

from p2pswarm.formats import bencode
from p2pswarm.formats.ids import BLOCK, Address, InfoHash
from p2pswarm.node import Node
from p2pswarm.swarm.extensions import MOST_SAID
from p2pswarm.wire.extension.holepunch import Holepunch, HolepunchKind
from p2pswarm.wire.extension.numbers import HOLEPUNCH, NUMBERS, PEX
from p2pswarm.wire.extension.pex import Pex, PexFlag
from p2pswarm.wire.peer import Extended, PortMessage
from tests.support.stranger import Stranger
from tests.support.world import Host, World, simulate

pytestmark = pytest.mark.sim

TOTAL = 20 * BLOCK

Attack = Callable[[World, Node, InfoHash], Any]


def under_attack(tmp_path: Path, attack: Attack) -> None:
    """On a downloader and on its seed; the copy must be there, and nothing may reach the loop."""

    async def story(world: World) -> None:
        meta, folder = world.content(TOTAL, BLOCK)
        home = world.host(up=50_000)
        reach = {"dht": True, "dht_bootstrap": (Address("10.0.0.200", 1),), "transport": "both"}
        seed = await world.node(home, **reach)
        await seed.add(meta, data=folder)
        node = await world.node(world.host(), **reach)
        torrent = await world.download(node, meta, home)
        await asyncio.gather(*(attack(world, each, meta.info_hash) for each in (seed, node)))
        async with asyncio.timeout(300):
            await torrent.finished()
        assert world.copy_of(node) == (folder / "file").read_bytes()

    simulate(tmp_path, story)


# Datagrams


class Mouth(asyncio.DatagramProtocol):
    """Somebody with a socket: what it said, and what it heard."""

    def __init__(self) -> None:
        self.said = self.heard = 0
        self.transport: Any = None

    @override
    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    @override
    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.heard += len(data)

    def say(self, data: bytes, node: Node) -> None:
        self.said += len(data)
        self.transport.sendto(data, (node.settings.bind, node.port))

    @classmethod
    async def at(cls, world: World, host: Host) -> Self:
        place = (host.name, 0)
        _, mouth = await world.loop.create_datagram_endpoint(cls, local_addr=place)
        assert isinstance(mouth, cls)
        return mouth


def query(method: bytes, **body: object) -> bytes:
    arguments = {b"id": bytes(20), **{key.encode(): value for key, value in body.items()}}
    return bencode.encode({b"t": b"aa", b"y": b"q", b"q": method, b"a": arguments})


UTP = struct.Struct(">BBHIIIHH")
SYN, DATA, RESET = (
    UTP.pack(kind << 4 | 1, 0, 7, 1, 0, 1 << 20, 5, 9) + bytes(4) for kind in (4, 0, 3)
)
SEEDS_OF_NOISE = (
    b"",
    SYN,
    DATA,
    RESET,
    SYN[:1] + b"\1" + SYN[2:20] + b"\2\xff" * 200,
    query(b"ping"),
    query(b"find_node", target=bytes(20)),
    query(b"get_peers", info_hash=bytes(20), scrape=1),
    query(b"announce_peer", info_hash=bytes(20), port=1, token=b"12345678"),
    query(b"get", target=bytes(20)),
    query(b"put", v=b"x" * 100, token=b"x", k=bytes(32), sig=bytes(64), seq=1, salt=b"s"),
    query(b"sample_infohashes", target=bytes(20)),
    bencode.encode({b"t": b"aa", b"y": b"r", b"r": {b"id": bytes(20), b"nodes": b"x" * 208}}),
    bencode.encode({b"t": b"aa", b"y": b"e", b"e": [201, b"x"]}),
    struct.pack(">QII", 0x41727101980, 0, 7),
    struct.pack(">IIIII", 1, 7, 60, 1, 1) + bytes(60),
    b"d" * 1000,
    b"GND\x10" + bytes(40),
)
TOKENS = (b"d", b"l", b"e", b"i-1e", b"i99999999999999999999e", b"0:", b"9999999:", b"\xff", b"\0")


def changed(data: bytes, dice: Random) -> bytes:
    noise = bytearray(data)
    for _ in range(dice.randrange(5)):
        at = dice.randrange(len(noise) + 1)
        noise[at : at + dice.randrange(4)] = dice.choice(TOKENS)
    return bytes(noise)


def test_noise_on_the_port_for_datagrams(tmp_path: Path) -> None:
    async def attack(world: World, node: Node, _: InfoHash) -> None:
        mouths = [await Mouth.at(world, world.host()) for _ in range(5)]
        for n in range(1500):
            mouths[n % 5].say(changed(world.dice.choice(SEEDS_OF_NOISE), world.dice), node)
            if not n % 50:
                await asyncio.sleep(0.05)

    under_attack(tmp_path, attack)


@pytest.mark.parametrize("data", [SYN, DATA, RESET, *SEEDS_OF_NOISE[14:]])
def test_nobody_hears_more_than_was_said_in_its_name(tmp_path: Path, data: bytes) -> None:
    async def story(world: World) -> None:
        node = await world.node(world.host())
        mouth = await Mouth.at(world, world.host())
        for _ in range(20):
            mouth.say(data, node)
        await asyncio.sleep(100)
        assert mouth.heard <= mouth.said

    simulate(tmp_path, story)


# Peers that are connected


async def say_and_be_dropped(stranger: Stranger, *messages: Any) -> None:
    stranger.send(*messages)
    async with asyncio.timeout(2):
        await stranger.dropped()


def hello(**ours: int) -> Extended:
    return Extended(0, bencode.encode({b"m": {key.encode(): n for key, n in ours.items()}}))


FLOODS: Sequence[tuple[str, bytes]] = (
    ("hello", hello().encode()),
    ("ut_metadata", Extended(NUMBERS["ut_metadata"], b"d8:msg_typei0e5:piecei9ee").encode()),
    ("ut_holepunch", Extended(NUMBERS[HOLEPUNCH], bytes(12)).encode()),
    ("nobody's", Extended(200, b"").encode()),
)


@pytest.mark.parametrize("words", [words for _, words in FLOODS], ids=[name for name, _ in FLOODS])
def test_extended_messages_have_a_measure(tmp_path: Path, words: bytes) -> None:
    async def attack(world: World, node: Node, info_hash: InfoHash) -> None:
        stranger = await Stranger.meet(world, world.host(), node, info_hash)
        await say_and_be_dropped(stranger, words * (MOST_SAID + 100))

    under_attack(tmp_path, attack)


def test_many_words_over_a_long_time_are_none_too_many(tmp_path: Path) -> None:
    async def attack(world: World, node: Node, info_hash: InfoHash) -> None:
        stranger = await Stranger.meet(world, world.host(), node, info_hash)
        for _ in range(5):
            stranger.send(hello().encode() * (MOST_SAID - 1))
            await asyncio.sleep(30)
        assert not stranger.over

    under_attack(tmp_path, attack)


def test_many_that_name_one_victim_have_it_dialed_once(tmp_path: Path) -> None:
    victim = Address("10.0.0.99", 6881)

    async def story(world: World) -> None:
        calls: Counter[str] = Counter()
        world.loop.hosts[victim.host] = Host(victim.host, 1e9, 0.01)
        datagrams = await world.loop.create_datagram_endpoint(Mouth, local_addr=victim)
        meta, _ = world.content(TOTAL, BLOCK)
        node = await world.node(world.host(), encryption="off")
        await world.download(node, meta)

        class Victim(asyncio.Protocol):
            @override
            def connection_made(self, transport: Any) -> None:
                calls["tcp"] += 1
                transport.close()

        world.loop.listeners[victim.host, victim.port] = Victim
        for _ in range(8):
            stranger = await Stranger.meet(world, world.host(), node, meta.info_hash)
            stranger.send(hello(ut_pex=1, ut_holepunch=2), PortMessage(victim.port))
            stranger.send(Extended(NUMBERS[PEX], Pex([(victim, PexFlag.HOLEPUNCH)]).encode()))
            call = Holepunch(HolepunchKind.CONNECT, victim)
            stranger.send(Extended(NUMBERS[HOLEPUNCH], call.encode()))
            stranger.keep_talking()
            await asyncio.sleep(20)
        assert calls["tcp"] + datagrams[1].heard, "it was worth a try"
        assert calls["tcp"] <= 1
        # One that is met by uTP is called three times (SYN) before that is given up.
        assert datagrams[1].heard <= 3 * 20

    simulate(tmp_path, story)
