"""Real nodes that find, reach and hear each other in virtual time, without a login service."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from random import Random

from p2pswarm.calling.call import Call
from p2pswarm.calling.phone import Incoming, Phone
from p2pswarm.calling.wav import WavReader, WavWriter
from p2pswarm.config import NetworkSettings
from p2pswarm.formats.ids import Address
from p2pswarm.formats.people.issuing import Issuer
from p2pswarm.identity import FOLDER, Identity
from p2pswarm.lab.loop import VirtualLoop, play
from p2pswarm.node import Node
from tests.support.quiet import quiet
from tests.support.sound import likeness, read_wav, speech, write_wav

PORT = 46881


class Town:
    """Three super nodes, and whoever moves in."""

    def __init__(self, loop: VirtualLoop, folder: Path) -> None:
        self.loop, self.folder = loop, folder
        self.issuer = Issuer.new(bytes(32), time.time() - 1000)
        self.supers = tuple(Address(f"10.0.1.{n}", PORT) for n in range(1, 4))
        self.nodes: list[Node] = []
        self.phones: list[Phone] = []

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

    async def phone(self, host: str, name: str) -> Phone:
        people = (await self.node(host, name)).people
        await people.join()
        phone = Phone(people.network, people.reach, people.identity, people.relays)
        self.phones.append(phone)
        return phone

    async def close(self) -> None:
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


async def connected(alice: Phone, bob: Phone) -> tuple[Call, Call]:
    came: asyncio.Queue[Incoming] = asyncio.Queue()
    bob.on_incoming = came.put_nowait

    async def answer() -> Call:
        call = await bob.answer(await came.get())
        await call.open()
        return call

    async def ring() -> Call:
        call = await alice.call(bob.name, "call")
        await call.open()
        return call

    near, far = await asyncio.gather(ring(), answer())
    return near, far


def test_a_name_is_found_reached_and_heard(tmp_path: Path) -> None:
    write_wav(tmp_path / "in.wav", speech(5.0))

    async def story(town: Town) -> None:
        alice, bob = await town.phone("10.0.2.1", "alice"), await town.phone("10.0.2.2", "bob")
        await asyncio.sleep(5)  # until the directory knows them
        near, far = await connected(alice, bob)
        assert (near.other, far.other) == ("bob", "alice")
        assert str(near.path) == "direct, 20 ms"
        source, sink = WavReader(tmp_path / "in.wav"), WavWriter(tmp_path / "out.wav")
        ours, theirs = near.talk(source, None), far.talk(None, sink)
        talking = [asyncio.create_task(each.run()) for each in (ours, theirs)]
        await ours.said.wait()
        await asyncio.sleep(1)
        for each in talking:
            each.cancel()
        await asyncio.gather(*talking, return_exceptions=True)
        await near.hang_up("good night")
        assert await far.ended == "good night"
        await far.close()
        source.close()
        sink.close()

    told(tmp_path, story)
    assert likeness(speech(5.0), read_wav(tmp_path / "out.wav"))[0] > 0.97
