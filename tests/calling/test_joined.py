"""Real nodes that find, reach and hear each other in virtual time, without a login service."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from random import Random

import pytest

from p2pswarm.calling.call import Call
from p2pswarm.calling.phone import Incoming, Phone
from p2pswarm.calling.statistics import Quality
from p2pswarm.calling.waiting import when_there
from p2pswarm.calling.wav import WavReader, WavWriter
from p2pswarm.config import NetworkSettings
from p2pswarm.formats.ids import Address
from p2pswarm.formats.people.issuing import Issuer
from p2pswarm.identity import FOLDER, Identity
from p2pswarm.lab.loop import VirtualLoop, play
from p2pswarm.lab.nats import Kind
from p2pswarm.node import Node
from tests.support.quiet import quiet
from tests.support.sound import likeness, read_wav, speech, write_wav

PORT = 46881


class Town:
    """Three super nodes, and whoever moves in."""

    def __init__(self, loop: VirtualLoop, folder: Path) -> None:
        self.loop, self.folder = loop, folder
        self.issuer = Issuer.new(bytes(32), time.time() - 1000)
        self.supers = tuple(Address(f"40.0.{n}.1", PORT) for n in range(1, 4))
        self.nodes: list[Node] = []
        self.phones: list[Phone] = []
        self.calls: list[Call] = []

    async def node(self, host: str, name: str = "", role: str = "ordinary") -> Node:
        self.loop.host(host)
        folder = self.folder / host
        identity = Identity.load(folder / FOLDER)
        identity.trust(self.issuer.authority, "http://login.invalid")
        if name:
            now, serial = time.time(), len(self.nodes) + 1
            key = identity.key.public
            identity.certify(self.issuer.issue(name, key, serial, now - 9, now + 10**7), now)
        settings = quiet(bind=host, port=PORT, data_dir=folder, disk_threads=0)
        networks = NetworkSettings(supernode_role=role, supernodes=self.supers)
        node = Node(settings, networks, dice=Random(len(self.nodes)))
        self.nodes.append(node)
        await node.open()
        return node

    async def open(self) -> None:
        for address in self.supers:
            node = await self.node(address.host, role="super")
            await node.networks.join("supernode")

    async def phone(self, number: int, name: str, nat: Kind | None) -> Phone:
        """Behind a router of its own, or without one."""
        host = f"20.0.{number}.1" if nat is None else f"10.{number}.0.1"
        node = await self.node(host, name)
        if nat is not None:
            self.loop.behind(self.loop.hosts[host], nat, f"30.0.{number}.1")
        people = node.people
        await people.join()
        phone = Phone(people.network, people.reach, people.identity, people.relays)
        self.phones.append(phone)
        return phone

    async def close(self) -> None:
        for call in self.calls:
            await call.close()
        for phone in self.phones:
            phone.close()
        for node in self.nodes:
            await node.aclose()


def told(folder: Path, story: Callable[[Town], Awaitable[None]]) -> None:
    async def begin(loop: VirtualLoop) -> None:
        loop.dice = Random(1)
        town = Town(loop, folder)
        try:
            await town.open()
            await story(town)
        finally:
            await town.close()

    play(begin)


async def connected(town: Town, alice: Phone, bob: Phone) -> tuple[Call, Call]:
    came: asyncio.Queue[Incoming] = asyncio.Queue()
    bob.on_incoming = came.put_nowait

    async def answer() -> Call:
        call = await bob.answer(await came.get())
        town.calls.append(call)
        await call.open()
        return call

    async def ring() -> Call:
        call = await alice.call(bob.name, "call")
        town.calls.append(call)
        await call.open()
        return call

    async with asyncio.TaskGroup() as tasks:
        calling, answering = tasks.create_task(ring()), tasks.create_task(answer())
    return calling.result(), answering.result()


async def nothing(near: Call) -> None:
    """Goes on."""


Meanwhile = Callable[[Call], Awaitable[None]]


async def talk(
    town: Town, alice: Phone, bob: Phone, meanwhile: Meanwhile = nothing
) -> tuple[str, list[Quality]]:
    """Alice says a file that Bob records; the path at the end, and how well she was heard each second."""
    near, far = await connected(town, alice, bob)
    heard: list[Quality] = []
    source, sink = WavReader(town.folder / "in.wav"), WavWriter(town.folder / "out.wav")
    ours, theirs = near.talk(source, None), far.talk(None, sink, heard.append)
    talking = [asyncio.create_task(each.run()) for each in (ours, theirs)]
    await meanwhile(near)
    await ours.said.wait()
    await asyncio.sleep(1)
    for each in talking:
        each.cancel()
    await asyncio.gather(*talking, return_exceptions=True)
    path = str(near.path)
    await near.hang_up("good night")
    assert await far.ended == "good night"
    await far.close()
    source.close()
    sink.close()
    return path, heard


@pytest.mark.parametrize(
    ("one", "other", "path"),
    [
        (None, None, "direct, 20 ms"),
        (Kind.PORT, Kind.PORT, "direct, 20 ms"),
        (Kind.SYMMETRIC, Kind.SYMMETRIC, "relay via 40.0."),
        (Kind.BLOCKED, Kind.SYMMETRIC, "relay via 40.0."),
    ],
)
def test_a_name_is_found_reached_and_heard(
    tmp_path: Path, one: Kind | None, other: Kind | None, path: str
) -> None:
    write_wav(tmp_path / "in.wav", speech(2.0))

    async def story(town: Town) -> None:
        alice, bob = await town.phone(1, "alice", one), await town.phone(2, "bob", other)
        await asyncio.sleep(1)  # until the directory knows them
        assert (await talk(town, alice, bob))[0].startswith(path)

    told(tmp_path, story)
    assert likeness(speech(2.0), read_wav(tmp_path / "out.wav"))[0] > 0.9


def test_a_voice_over_a_relay_with_a_tenth_of_all_datagrams_lost(tmp_path: Path) -> None:
    write_wav(tmp_path / "in.wav", speech(8.0))

    async def story(town: Town) -> None:
        alice = await town.phone(1, "alice", Kind.SYMMETRIC)
        bob = await town.phone(2, "bob", Kind.SYMMETRIC)
        await asyncio.sleep(1)
        town.loop.hosts["10.1.0.1"].loss = 0.1
        path, heard = await talk(town, alice, bob)
        assert path.startswith("relay via 40.0.")
        lost, all_of_it = sum(q.lost for q in heard), sum(q.lost + q.heard for q in heard)
        assert 0.06 < lost / all_of_it < 0.15
        assert 0.1 < (heard[-1].delay or 0) < 0.2

    told(tmp_path, story)
    assert likeness(speech(8.0), read_wav(tmp_path / "out.wav"))[0] > 0.9


def test_a_relay_that_dies_is_left_within_five_seconds(tmp_path: Path) -> None:
    write_wav(tmp_path / "in.wav", speech(9.0))

    async def story(town: Town) -> None:
        alice = await town.phone(1, "alice", Kind.SYMMETRIC)
        bob = await town.phone(2, "bob", Kind.SYMMETRIC)
        await asyncio.sleep(1)

        async def die(near: Call) -> None:
            await asyncio.sleep(3)
            assert near.path is not None
            assert near.path.relay is not None
            dead.append(near.path.relay.address.host)
            town.loop.hosts[dead[0]].online = False

        dead: list[str] = []
        path, heard = await talk(town, alice, bob, die)
        assert path.startswith("relay via 40.0.")
        assert dead[0] not in path
        assert sum(q.heard < 25 for q in heard[1:-1]) <= 5
        assert heard[-3].lost == 0

    told(tmp_path, story)


def test_who_gives_up_is_heard_no_longer_and_who_comes_home_is_reached(tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        alice = await town.phone(1, "alice", Kind.PORT)
        bob = await town.phone(2, "bob", Kind.SYMMETRIC)
        await asyncio.sleep(20)
        came: asyncio.Queue[Incoming] = asyncio.Queue()
        bob.on_incoming = came.put_nowait
        calling = asyncio.ensure_future(alice.call("bob", "call"))
        incoming = await came.get()
        assert (incoming.name, incoming.want) == ("alice", "call")
        began = town.loop.now
        calling.cancel()
        await incoming.over.wait()
        assert town.loop.now - began < 0.1  # there and back takes as long
        away = town.nodes[-1].people.network
        await away.leave()
        ring = partial(alice.call, "bob", "call")
        waiting = asyncio.ensure_future(
            when_there(ring, 600, lambda error: None, Random(1), friend=False)
        )
        await asyncio.sleep(100)
        assert not waiting.done()
        began = town.loop.now
        await away.join()
        town.calls.append(await bob.answer(await came.get()))
        town.calls.append(await waiting)
        assert town.loop.now - began < 45
        await asyncio.gather(*(call.open() for call in town.calls))

    told(tmp_path, story)
