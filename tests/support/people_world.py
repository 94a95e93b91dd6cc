"""A people network in virtual time, with a directory that could not be simpler: one slot, and what one super
node is told, all know at once."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from p2pswarm.disk.pool import DiskPool
from p2pswarm.formats.ids import Address
from p2pswarm.formats.people.certificate import Authority, Certificate, Revocations
from p2pswarm.formats.people.record import Record
from p2pswarm.formats.signing import SigningKey
from p2pswarm.lab.loop import VirtualLoop, virtual_loop
from p2pswarm.net.port import Port
from p2pswarm.overlay.people.carrying import Carrying
from p2pswarm.overlay.people.client import People
from p2pswarm.overlay.people.visitor import Visitor
from p2pswarm.overlay.supernode.options import Options
from p2pswarm.wire.people.datagrams import pack_datagram
from p2pswarm.wire.people.dictionary import TokenMessage
from p2pswarm.wire.people.finding import Find, Found, Put, Stored, Unknown
from p2pswarm.wire.people.frames import PeopleKind
from p2pswarm.wire.people.nodes import WHOLE, SuperNode
from p2pswarm.wire.supernode.frames import Frame
from tests.support.people import NOW, authority, person

__all__ = ["PORT", "Clerk", "Me", "Town", "me_of", "play"]

PORT = 46881


@dataclass
class Me:
    """Who somebody is."""

    key: SigningKey
    certificate: Certificate | None = None
    authority: Authority | None = field(default_factory=authority)
    revoked: Revocations | None = None

    @classmethod
    def named(cls, name: str) -> "Me":
        if not name:
            return cls(SigningKey(b"n" * 32))
        return cls(person(name).key, person(name).certificate)


def me_of(people: People) -> Me:
    """Who somebody of a town is, to be changed."""
    who = people._who
    assert isinstance(who, Me)
    return who


class Clerk:
    """What one super node says for the directory; a test replaces `answer` to make it a liar."""

    def __init__(self, town: "Town", people: People, node: bytes, address: Address) -> None:
        self.town, self.people = town, people
        self.place = SuperNode(node, address, WHOLE)
        self.questions: list[Frame] = []
        self.deaf = False
        self.answer: Callable[[Frame], TokenMessage | None] = self.honest

    def honest(self, frame: Frame) -> TokenMessage | None:
        records = self.town.records
        if frame.kind == PeopleKind.FIND:
            find = Find.read(frame.body)
            record = records.get(find.hash)
            if record is not None:
                return Found(find.token, record.encode(), record.ttl)
            others = tuple(self.others())
            return Unknown(find.token, 60, authoritative=True, slot=WHOLE, nodes=others)
        put = Put.read(frame.body)
        record = Record.parse(put.record)
        records[record.hash] = record
        return Stored(put.token, 3, 3)

    def heard(self, frame: Frame, source: Address) -> None:
        self.questions.append(frame)
        if not self.deaf and (answer := self.answer(frame)) is not None:
            self.people._port.send_datagram(pack_datagram(answer.encode()), source)

    def asked(self, visitor: Visitor, frame: Frame) -> None:
        self.questions.append(frame)
        if (answer := self.answer(frame)) is not None:
            visitor.say(answer)

    def others(self) -> Sequence[SuperNode]:
        return [clerk.place for clerk in self.town.clerks if clerk is not self][:10]


class Town:
    """Super nodes and users. `close` at the end."""

    def __init__(self, loop: VirtualLoop, folder: Path) -> None:
        self.loop, self.folder = loop, folder
        self.dice = Random(1)
        self.records: dict[bytes, Record] = {}
        self.clerks: list[Clerk] = []
        self.everybody: list[tuple[People, Port]] = []
        self.serving: dict[People, asyncio.Task[None]] = {}

    async def people(self, name: str = "", *connect: Address, host: str = "") -> People:
        """Somebody who is not in the network yet."""
        host = host or f"10.0.{len(self.loop.hosts) // 250}.{len(self.loop.hosts) % 250 + 1}"
        if host not in self.loop.hosts:
            self.loop.host(host)
        port = Port(host, PORT)
        await port.open()
        dice, disk = Random(self.dice.random()), DiskPool(threads=0)
        node = hashlib.sha256(host.encode()).digest()[:16]
        options = Options(connect=connect or tuple(self.supers[:5]))
        wall = lambda: NOW + 1 + self.loop.time()  # noqa: E731
        me, folder = Me.named(name), self.folder / host
        people = People(port, disk, dice, me, node, folder, options, wall)
        self.everybody.append((people, port))
        return people

    async def supernode(
        self, people: People | None = None, carrying: Carrying | None = None
    ) -> Clerk:
        people = people or await self.people()
        port = people._port
        clerk = Clerk(self, people, people._node, Address(port.host, PORT))
        self.serving[people] = asyncio.create_task(people.serve(clerk, carrying))
        await people._life.begin(people.open, people._live)
        self.clerks.append(clerk)
        return clerk

    @property
    def supers(self) -> list[Address]:
        return [clerk.place.address for clerk in self.clerks]

    async def kill(self, people: People) -> None:
        """As SIGKILL does: connections are reset, and nobody is there any more."""
        host = people._port.host
        self.loop.listeners.pop((host, PORT), None)
        for transport in list(self.loop.transports):
            if transport.host.name == host:
                transport.abort()
        for name, ear in list(self.loop.ears.items()):
            if name[0] == host:
                ear.abort()
        await self.rest(people)
        await people._life.end()

    def unplug(self, people: People) -> None:
        """Nobody hears anything of its machine any more, and nothing tells so."""
        self.loop.hosts[people._port.host].online = False

    async def until(self, condition: Callable[[], object], seconds: float = 60.0) -> None:
        async with asyncio.timeout(seconds):
            while not condition():
                await asyncio.sleep(0.05)

    async def rest(self, people: People) -> None:
        """It is a super node no longer."""
        if people in self.serving:
            self.serving[people].cancel()
            await asyncio.wait([self.serving.pop(people)])

    async def close(self) -> None:
        for people in list(self.serving):
            await self.rest(people)
        for people, port in self.everybody:
            await people.leave()
            await port.close()


def play(folder: Path, story: Callable[[Town], Awaitable[None]], supers: int = 4) -> float:
    """Run a story in a town with so many super nodes; how long it took there."""

    async def told(loop: VirtualLoop) -> None:
        town = Town(loop, folder)
        for _ in range(supers):
            await town.supernode()
        try:
            async with asyncio.timeout(3600.0):
                await story(town)
        finally:
            await town.close()

    with virtual_loop() as loop:
        asyncio.set_event_loop(loop)
        try:
            loop.run_until_complete(told(loop))
        finally:
            asyncio.set_event_loop(None)
        assert not loop.complaints, loop.complaints[:3]
        return loop.now
