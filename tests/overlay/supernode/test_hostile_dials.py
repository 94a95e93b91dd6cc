"""One victim, named in every way there is: how often nodes dial it, what they send it (promises 10, 12)."""

import asyncio
from collections import Counter
from contextlib import suppress
from pathlib import Path
from random import Random

import pytest

from p2pswarm.config import NetworkSettings
from p2pswarm.errors import P2PSwarmError
from p2pswarm.formats.ids import Address, InfoHash
from p2pswarm.node import Node
from p2pswarm.overlay.query import Hit, Lookup, Query as Wanted
from p2pswarm.overlay.supernode.link import Link
from p2pswarm.wire.supernode.datagrams import UdpPing
from p2pswarm.wire.supernode.frames import Frame, FrameKind
from p2pswarm.wire.supernode.hello import Bye, Reason, Refuse, Want
from p2pswarm.wire.supernode.hits import Found, Hits
from p2pswarm.wire.supernode.hosts import Entry, Hosts
from p2pswarm.wire.supernode.pushing import Push
from p2pswarm.wire.supernode.queries import End, Query
from p2pswarm.wire.supernode.shares import SharedFile
from p2pswarm.wire.supernode.testing import Invite, Test as AskedTest
from tests.support.crowd import Crowd, file, play
from tests.support.quiet import quiet
from tests.support.supernode_liar import PORT, Liar, Victim
from tests.support.world import World, simulate

TEN_MINUTES = 590.0  # in which nobody dials it twice
MOST_PORTS = 3
SONG = SharedFile(1, 70_000, "blue moon.mp3", b"\1" * 20, b"\2" * 24)
TORRENT = SharedFile(2, 70_000, "blue moon.mp3", b"\1" * 20, b"\2" * 24, InfoHash(b"\3" * 20))


class Names:
    """What a liar says about a victim whenever it can."""

    def __init__(self, liar: Liar, victim: Victim) -> None:
        self.liar, self.victim = liar, victim
        self.hosts = tuple(Entry(address, 0, 0) for address in victim.ports)
        liar.says = self.says

    def says(self, link: Link, frame: Frame) -> None:
        if frame.kind == FrameKind.QUERY:
            self.hit(link, Query.read(frame.body).guid)
        elif frame.kind == FrameKind.HELLO:
            loop = asyncio.get_running_loop()
            loop.call_later(0.5, self.name_it, link)  # at once it would be too much

    def hit(self, link: Link, guid: bytes) -> None:
        """Hosts that are there, or behind a parent that is there."""
        dice, found = self.liar.world.dice, list[Found]()
        for number, address in enumerate(self.victim.ports[:40]):
            song = TORRENT if number % 3 == 0 else SONG
            found.append(Found(address, dice.randbytes(16), False, None, (song,)))
            found.append(Found(self.liar.address, dice.randbytes(16), True, address, (song,)))
        for hits in Hits.pack(guid, 0, tuple(found)):
            link.send(hits.encode().encode())
        link.send(End(guid, 80, self.hosts).encode().encode())

    def name_it(self, link: Link) -> None:
        link.send(Hosts(self.hosts).encode().encode(), Invite(self.hosts).encode().encode())
        for address in self.victim.ports[:50]:
            link.send(Push(link.node, 0, address).encode().encode())
            link.send(Push(link.node, 1, address).encode().encode())
            link.send(AskedTest(address.port, bytes(16)).encode().encode())

    async def go_on(self, *targets: Address, pause: float = 10.0) -> None:
        """Again and again; now and then whoever comes is sent there."""
        for turn in range(1_000_000):
            self.liar.refuses = None
            if turn % 4 == 3:
                self.liar.refuses = Refuse(Reason.FULL, "full", self.hosts, invited=True)
                for link in list(self.liar.links):
                    link.part(Bye("go there", self.hosts).encode().encode(), "bye")
            for link in list(self.liar.links):
                if not link.over:
                    self.name_it(link)
            for number, target in enumerate(targets):
                for want in (Want.LINK, Want.PARENT, Want.VISIT):
                    node = bytes([turn % 256, number % 256]) * 8
                    with suppress(P2PSwarmError):
                        port = self.victim.ports[turn % 100].port
                        self.name_it(await self.liar.dial(target, want, node, port))
            await asyncio.sleep(pause)


def forged_pings(world: World, target: Address, victim: Victim, count: int) -> int:
    """Bytes of pings that say to come from there."""
    ear = world.loop.ears[target.host, target.port]
    for _ in range(count):
        data = UdpPing(world.dice.randbytes(8)).encode()
        ear.protocol.datagram_received(data, tuple(victim.address))
    return count * len(data)


async def asks(node: Node, folder: Path) -> int:
    """It looks for the song, and tries to get it of everybody; how many hits there were."""
    hits: list[Hit] = []
    for number, lookup in enumerate(Lookup):
        with suppress(P2PSwarmError, TimeoutError):
            async with node.search(Wanted(("blue", "moon"), lookup=lookup), ["supernode"]) as look:
                async for _ in look:
                    pass
            hits = [hit for find in look.finds for hit in find.hits] or hits
            if not hits:
                continue
            async with asyncio.timeout(60):
                torrent = await node.download(hits, save_to=folder / str(number))
                await torrent.finished()
    return len(hits)


@pytest.mark.parametrize("role", ["ordinary", "super", "auto"])
def test_a_whole_node_dials_a_victim_once_in_ten_minutes(tmp_path: Path, role: str) -> None:
    async def story(world: World) -> None:
        victim = await Victim(world, "82.1.1.1").open()
        liar = await Liar(world, "81.1.1.1").open()
        names = Names(liar, victim)
        share = tmp_path / "Music"
        share.mkdir()
        (share / "green cheese.ogg").write_bytes(b"cheese" * 100)
        host = world.host()
        where = quiet(bind=host.name, data_dir=tmp_path / "state", disk_threads=0, port=PORT)
        networks = NetworkSettings(connect=(liar.address,), supernode_role=role, wait=3.0)
        async with Node(where, networks, dice=Random(1)) as node:
            await node.networks.share([share])
            await node.networks.join("supernode")
            hits: list[int] = []

            async def ask() -> None:
                while True:
                    hits.append(await asks(node, tmp_path / str(len(hits))))
                    await asyncio.sleep(40)

            here = Address(host.name, node.port)
            everything = [asyncio.ensure_future(each) for each in (names.go_on(here), ask())]
            await asyncio.sleep(TEN_MINUTES)
            for going in everything:
                going.cancel()
        assert max(hits) >= 3  # so its lies were heard
        dials = Counter({port: count for (_, port), count in victim.dials.items()})
        assert dials
        assert max(dials.values()) == 1, dials
        assert len(dials) <= MOST_PORTS, dials
        assert victim.datagrams[host.name] <= MOST_PORTS, victim.datagrams
        await liar.close()

    simulate(tmp_path, story)


def test_a_network_of_twenty_does_not_either(tmp_path: Path) -> None:
    async def story(crowd: Crowd) -> None:
        world = crowd.world
        victim = await Victim(world, "82.1.1.1").open()
        liars = [await Liar(world, f"81.1.1.{n}", node=bytes([n]) * 16).open() for n in (1, 2)]
        supers = await crowd.supers(5)
        for number in range(15):
            await crowd.child(supers[number % 5], files=[file(1, "ocean")])
        for each in crowd.all:
            for liar in liars:
                each.known.answered(liar.address)
        targets = [each.address for each in crowd.all]
        everything = [
            asyncio.ensure_future(Names(liar, victim).go_on(*targets, pause=40.0)) for liar in liars
        ]

        async def ask() -> None:
            while True:
                for each in crowd.all[::4]:
                    for lookup in Lookup:
                        with suppress(P2PSwarmError):
                            await each.found("ocean", lookup)

        everything.append(asyncio.ensure_future(ask()))
        await asyncio.sleep(TEN_MINUTES)
        for going in everything:
            going.cancel()
        assert max(victim.dials.values(), default=0) <= 1, victim.dials
        sources = Counter(host for host, _ in victim.dials)
        assert max(sources.values(), default=0) <= MOST_PORTS
        assert max(victim.datagrams.values(), default=0) <= MOST_PORTS
        for liar in liars:
            await liar.close()

    play(tmp_path, story)


def test_forged_pings_bring_no_more_than_they_cost(tmp_path: Path) -> None:
    async def story(crowd: Crowd) -> None:
        (one,) = await crowd.supers(1)
        victim = await Victim(crowd.world, "82.1.1.1").open()
        went = forged_pings(crowd.world, one.address, victim, 10_000)
        await asyncio.sleep(1)
        assert 0 < victim.bytes < went / 2

    play(tmp_path, story)


def test_a_storm_of_pings_takes_no_child_away(tmp_path: Path) -> None:
    """No pong of the parent's comes through any more; the link still answers."""

    async def story(crowd: Crowd) -> None:
        (one,) = await crowd.supers(1)
        kids = [await crowd.child(one) for _ in range(5)]
        parents = [kid.member.parent for kid in kids]
        victim = await Victim(crowd.world, "82.1.1.1").open()
        await asyncio.sleep(10)  # they know that it answers by UDP
        forged_pings(crowd.world, one.address, victim, 2000)  # what was saved up
        for _ in range(20_000):
            forged_pings(crowd.world, one.address, victim, 2)
            await asyncio.sleep(0.001)
        assert [kid.member.parent for kid in kids] == parents

    play(tmp_path, story)


def test_who_is_told_hosts_of_a_victim_alone_serves_nobody_else_with_it(tmp_path: Path) -> None:
    """The lists of honest nodes name nobody who did not answer."""

    async def story(crowd: Crowd) -> None:
        victim = await Victim(crowd.world, "82.1.1.1").open()
        liar = await Liar(crowd.world, "81.1.1.1").open()
        names = Names(liar, victim)
        one, two = await crowd.supers(2)
        one.known.answered(liar.address)
        going = asyncio.ensure_future(names.go_on(one.address))
        await asyncio.sleep(120)
        for each in (one, two):
            hosts = {entry.address.host for entry in each.serving.hosts()}
            assert victim.host not in hosts
        going.cancel()
        await liar.close()

    play(tmp_path, story)
