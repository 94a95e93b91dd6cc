"""Super nodes with the real directory on their ports, in virtual time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from p2pswarm.errors import UnknownNameError
from p2pswarm.formats.ids import Address
from p2pswarm.formats.people.certificate import Revocations
from p2pswarm.formats.people.names import name_hash
from p2pswarm.overlay.people.client import People
from p2pswarm.overlay.people.serving import Serving
from p2pswarm.wire.people.datagrams import REQUEST_SIZE, pack_datagram
from p2pswarm.wire.people.finding import Find
from p2pswarm.wire.people.frames import PeopleFrame
from tests.support.people import NOW, issuer, person
from tests.support.people_world import PORT, Town, me_of, play


class Super:
    """One of them, and the task that it lives in."""

    def __init__(self, town: Town, people: People, first: Address | None) -> None:
        self.people, self.address = people, Address(people._port.host, PORT)
        known = [first] if first is not None else []
        self.serving = Serving(
            people,
            people._port,
            people._node,
            lambda: self.address,
            lambda: known,
            self.keep,
            town.dice,
        )
        self.life = asyncio.create_task(self.serving.run())

    def keep(self, revoked: Revocations) -> None:
        me_of(self.people).revoked = revoked

    def knows(self, others: int) -> bool:
        directory = self.serving.directory
        return directory.ready and len(directory.contacts.live) == others

    async def rest(self) -> None:
        self.life.cancel()
        await asyncio.wait([self.life])


@asynccontextmanager
async def supers(town: Town, count: int) -> AsyncIterator[list[Super]]:
    made: list[Super] = []
    try:
        for _ in range(count):
            first = made[0].address if made else None
            made.append(Super(town, await town.people(), first))
        await town.until(lambda: all(each.knows(count - 1) for each in made), 120)
        yield made
    finally:
        for each in made:
            await each.rest()


async def user(town: Town, name: str, *there: Super) -> People:
    people = await town.people(name, *(each.address for each in there))
    await people.join()
    await town.until(lambda: people.status().published, 120)
    return people


def test_a_record_is_at_the_whole_slot(tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        async with supers(town, 3) as made:
            await user(town, "bob", made[0])
            held = [name_hash("bob") in each.serving.directory.records._kept for each in made]
            assert held == [True] * 3
            asker = await town.people("", made[2].address)
            assert (await asker.find("bob")).record.name == "bob"
            assert (await asker.find("bob", recursive=True)).record.name == "bob"
            with pytest.raises(UnknownNameError):
                await asker.find("carol")

    play(tmp_path, story, supers=0)


def test_what_the_authority_took_back_spreads(tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        async with supers(town, 3) as made:
            bob = await user(town, "bob", made[0])
            await user(town, "alice", made[0])
            revoked = issuer().revoke([person("bob").certificate.serial], 7, NOW)
            made[0].serving.revoke(revoked)
            await town.until(lambda: all(each.serving._revoked.number == 7 for each in made), 120)
            await town.until(lambda: me_of(made[1].people).revoked == revoked)  # in its next step
            await asyncio.sleep(5)
            asker = await town.people("", made[1].address)
            with pytest.raises(UnknownNameError):
                await asker.find("bob")
            assert (await asker.find("alice")).record.name == "alice"
            await bob.leave()
            again = await town.people("bob", *(each.address for each in made[1:]))
            joining = asyncio.ensure_future(again.join())
            await town.until(lambda: "has been revoked" in again.status().trouble)
            joining.cancel()

    play(tmp_path, story, supers=0)


def test_no_answer_is_longer_than_its_question(tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        async with supers(town, 2) as made:
            await user(town, "bob", made[0])
            stranger = await town.people()
            heard: list[bytes] = []
            stranger._heard = lambda data, source: heard.append(data)  # type: ignore[method-assign]
            await stranger.open()
            port, there = stranger._port, made[0].address
            for hash_ in (name_hash("bob"), name_hash("carol")):
                question = pack_datagram(Find(bytes(8), hash_).encode(), request=True)
                port.send_datagram(question, there)
            for noise in (b"P2PD", b"P2PD\x30", b"P2PD\x30" + bytes(40), b"P2PD\x7fabcdefghijde"):
                port.send_datagram(noise, there)
            await asyncio.sleep(1)
            assert len(heard) == 2
            assert all(len(data) <= REQUEST_SIZE for data in heard)
            for each in made:
                each.serving.heard(PeopleFrame(0x7F, bytes(20)), there)  # of tomorrow

    play(tmp_path, story, supers=0)
