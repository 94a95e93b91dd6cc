"""Peers of a swarm and a super node's real door: the slot is found, both are introduced, and relayed."""

import asyncio
from pathlib import Path
from random import Random

import pytest

from p2pswarm.discovery.introducing import Introduction
from p2pswarm.errors import NetworkError
from p2pswarm.formats.ids import Address, InfoHash
from p2pswarm.overlay.people.carrying import Carrying
from p2pswarm.overlay.people.client import People
from p2pswarm.overlay.people.quotas import Terms
from p2pswarm.overlay.people.slots import Slots
from p2pswarm.overlay.people.swarming import Swarming
from p2pswarm.reach.offers import RelayAt
from p2pswarm.reach.relayed import NO_KEY, Credential, Relays
from p2pswarm.wire.data import DataFramer
from p2pswarm.wire.people.ringing import Prove
from tests.support.people_world import Clerk, Town, me_of, play
from tests.support.relaying import Hearing

NAME = InfoHash(b"h" * 20)


def relays_of(people: People) -> Relays:
    me = me_of(people)

    def who() -> Credential | None:
        return Credential(me.certificate.der, me.key.sign) if me.certificate else None

    relays = Relays(people._port, people._node, who)
    relays.open()
    return relays


async def serving(town: Town, terms: Terms | None) -> Clerk:
    """A super node that carries, too."""
    people = await town.people()

    def check(shown: Prove, nonce: bytes, local: Address) -> bytes:
        return people.proofs.check(shown, nonce, local).key

    carrying = Carrying(people._port, relays_of(people), terms, check, Random(1))
    return await town.supernode(people, carrying)


def slots_of(people: People) -> Slots:
    return Slots(people._port, people._node, people.walks, people.starts, Random(1))


def test_a_slot_is_all_that_its_members_name(tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        for _ in range(5):
            await town.supernode()
        people = await town.people()
        await people.open()
        members = await slots_of(people).members(b"h" * 32)
        assert {each.address for each in members} == set(town.supers)

    play(tmp_path, story, supers=0)


def test_where_udp_is_blocked_the_members_are_visited(tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        for _ in range(5):
            await town.supernode()
        people = await town.people()
        await people.open()
        town.loop.hosts[people._port.host].loss = 1.0
        slots = slots_of(people)
        for _ in range(2):
            members = await slots.members(b"h" * 32)
            assert {each.address for each in members} == set(town.supers)
        began = town.loop.time()
        await slots.members(b"i" * 32)
        assert town.loop.time() - began < 2.0, "it is known by now"

    play(tmp_path, story, supers=0)


def test_without_super_nodes_there_is_no_slot(tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        people = await town.people("", Address("10.9.9.9", 1))
        await people.open()
        with pytest.raises(NetworkError):
            await slots_of(people).members(b"h" * 32)

    play(tmp_path, story, supers=0)


def test_two_guests_are_introduced_and_relayed_by_the_real_door(tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        for _ in range(3):
            await serving(town, Terms())
        all_ = list[Swarming]()
        heard = {name: list[Introduction]() for name in ("ann", "bob")}
        for name, introductions in heard.items():
            people = await town.people(name)
            await people.open()

            async def where(port: object = people._port) -> list[Address]:
                return [Address(port.host, 46881)]  # type: ignore[attr-defined]

            relays = relays_of(people)
            members = slots_of(people).members
            swarming = Swarming(people._port, people._node, members, where, relays, Random(2))
            await swarming.join()
            swarming.seek(NAME, introductions.append)
            all_.append(swarming)
        await asyncio.sleep(10)
        assert len(heard["ann"]) == len(heard["bob"]) == 2, "by both super nodes of the swarm"
        ann, bob = (min(each, key=lambda to: to.third) for each in heard.values())
        assert ann.third == bob.third
        assert ann.speaks is not bob.speaks
        assert ann.relay is not None
        assert bob.relay is not None
        hearing = Hearing()
        both = await asyncio.gather(
            ann.relay(DataFramer(1 << 30), Hearing()), bob.relay(DataFramer(1 << 30), hearing)
        )
        both[0].send(b"hello")
        await asyncio.sleep(1)
        assert hearing.heard == b"hello"
        for each in all_:
            await each.leave()

    play(tmp_path, story, supers=0)


def test_two_users_are_relayed_by_their_certificates_and_nobody_without_one(tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        clerk = await serving(town, Terms())
        ann, bob, eve = [await town.people(name) for name in ("ann", "bob", "")]
        at = RelayAt(clerk.place.node, clerk.place.address)
        for each in (ann, bob, eve):
            await each.open()
        keys = [me_of(each).key.public for each in (ann, bob)]
        channels = await asyncio.gather(
            relays_of(ann).channel(at, b"s" * 16, keys[1]),
            relays_of(bob).channel(at, b"s" * 16, keys[0]),
        )
        heard = list[bytes]()
        channels[1].on_datagram = heard.append
        channels[0].send(b"hello")
        await asyncio.sleep(1)
        assert heard == [b"hello"]
        for each in channels:
            each.close()
        with pytest.raises(NetworkError, match="prove"):
            await relays_of(eve).channel(at, b"s" * 16, keys[0])

    play(tmp_path, story, supers=0)


def test_a_super_node_that_does_not_want_to_relays_nobody(tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        clerk = await serving(town, None)
        ann = await town.people("ann")
        at = RelayAt(clerk.place.node, clerk.place.address)
        await ann.open()
        with pytest.raises(NetworkError, match="does not relay"):
            await relays_of(ann).channel(at, b"s" * 16, NO_KEY)

    play(tmp_path, story, supers=0)
