"""Swarms of two whom nobody can dial, in virtual time: introduced by a super node, directly or relayed."""

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random

import pytest

from p2pswarm.discovery.introducing import Introduction
from p2pswarm.errors import NetworkError
from p2pswarm.formats.ids import Address, InfoHash
from p2pswarm.formats.people.swarms import SwarmName
from p2pswarm.lab.nats import Kind
from p2pswarm.node import Node
from p2pswarm.overlay.people.quotas import Terms
from p2pswarm.overlay.people.swarming import Swarming
from p2pswarm.reach.relayed import Relays
from p2pswarm.swarm.events import Seeding
from p2pswarm.wire.people.nodes import WHOLE, SuperNode as Told
from p2pswarm.wire.people.relaying import Meet
from tests.support.relaying import SuperNode
from tests.support.world import Host, World, simulate


class Town:
    """Super nodes, and nodes behind routers that meet there."""

    def __init__(self, world: World, supers: int = 2, *, consents: bool = True) -> None:
        self.world = world
        self.supers = [
            SuperNode(world.host(), number + 1, Terms(), consents=consents)
            for number in range(supers)
        ]
        self.all: list[Swarming] = []

    async def open(self) -> None:
        for each in self.supers:
            await each.port.open()

    @property
    def told(self) -> list[Told]:
        return [Told(each.at.node, each.at.address, WHOLE) for each in self.supers]

    async def place(self, _: bytes) -> Sequence[Told]:
        return self.told

    async def node(self, kind: Kind, **settings: object) -> tuple[Node, Swarming]:
        """A node behind a router of its own."""
        host, number = self.world.host(), len(self.all) + 1
        self.world.loop.behind(host, kind, f"20.0.0.{number}")
        node = await self.world.node(host, **settings)
        relays = Relays(node._port, bytes([100 + number]) * 16, lambda: None)
        relays.open()

        async def where() -> Sequence[Address]:
            return self.seen(host)

        name = bytes([100 + number]) * 16
        swarming = Swarming(node._port, name, self.place, where, relays, Random(number))
        assert node._machinery is not None
        node._machinery.discovery.introducer = swarming
        await swarming.join()
        self.all.append(swarming)
        return node, swarming

    def seen(self, host: Host) -> Sequence[Address]:
        there = self.supers[0].at.address
        place = self.world.loop.leaving(host, "udp", (host.name, 46881), (there.host, there.port))
        return [] if place is None else [Address(*place)]

    @property
    def relayed(self) -> int:
        return sum(len(each.relay) for each in self.supers)

    async def close(self) -> None:
        for each in self.all:
            await each.leave()
        await self.world.aclose()
        self.world.nodes.clear()
        for each in self.supers:
            each.relay.close()
            await each.port.close()


SIZE = 300_000


@pytest.mark.sim
@pytest.mark.parametrize(
    ("one", "other", "direct"),
    [
        (Kind.PORT, Kind.PORT, True),
        (Kind.SYMMETRIC, Kind.ADDRESS, True),
        (Kind.PORT, Kind.SYMMETRIC, False),
        (Kind.SYMMETRIC, Kind.SYMMETRIC, False),
        (Kind.BLOCKED, Kind.BLOCKED, False),
    ],
)
def test_two_that_nobody_can_dial_complete_a_swarm(
    one: Kind, other: Kind, tmp_path: Path, *, direct: bool
) -> None:
    async def story(world: World) -> None:
        town = Town(world)
        await town.open()
        (seed, _), (away, _) = await town.node(one), await town.node(other)
        meta, folder = world.content(SIZE, 1 << 15)
        giver = await seed.add(meta, data=folder)
        await world.until(lambda: giver.state == Seeding())
        torrent = await world.download(away, meta)
        started = world.loop.time()
        await world.until(lambda: torrent.peers, 30.0)
        [peer] = torrent.peers.values()
        assert peer.stream.utp is direct
        assert town.relayed == (0 if direct else 1)
        await torrent.finished()
        assert world.loop.time() - started < 20.0
        assert world.copy_of(away) == (folder / "file").read_bytes()
        await town.close()

    simulate(tmp_path, story)


@pytest.mark.sim
@pytest.mark.parametrize("kind", [Kind.SYMMETRIC, Kind.BLOCKED])
def test_when_a_relay_dies_another_one_is_taken_and_the_rest_comes(
    kind: Kind, tmp_path: Path
) -> None:
    async def story(world: World) -> None:
        town = Town(world, supers=3)
        await town.open()
        (seed, _), (away, _) = [await town.node(kind) for _ in range(2)]
        meta, folder = world.content(3_000_000, 1 << 15)
        await seed.add(meta, data=folder)
        torrent = await world.download(away, meta)
        await world.until(lambda: torrent.status().downloaded > 300_000, 60.0)
        (relay,) = [each for each in town.supers if len(each.relay)]
        relay.host.online = False
        for transport in list(world.loop.transports):
            if transport.host is relay.host:
                transport.abort()
        await relay.port.close()
        await world.until(lambda: torrent.status().done == 3_000_000, 300.0)
        await town.close()

    simulate(tmp_path, story)


@pytest.mark.sim
def test_two_who_saw_different_super_nodes_of_a_network_that_begins_meet_soon(
    tmp_path: Path,
) -> None:
    async def story(world: World) -> None:
        town = Town(world)
        await town.open()
        (seed, one), (away, other) = [await town.node(Kind.PORT) for _ in range(2)]
        meta, folder = world.content(SIZE, 1 << 15)
        for swarming, seen in ((one, town.told[:1]), (other, town.told[1:])):
            looks = iter([seen])

            async def place(_: bytes, looks: Iterator[Sequence[Told]] = looks) -> Sequence[Told]:
                return next(looks, town.told)

            swarming._place = place
        await seed.add(meta, data=folder)
        torrent = await world.download(away, meta)
        await world.until(lambda: torrent.peers, 30.0)
        await town.close()

    simulate(tmp_path, story)


@pytest.mark.sim
def test_a_super_node_that_does_not_consent_relays_nobody(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        town = Town(world, consents=False)
        await town.open()
        nodes = [await town.node(Kind.SYMMETRIC) for _ in range(2)]
        meta, folder = world.content(SIZE, 1 << 15)
        await nodes[0][0].add(meta, data=folder)
        torrent = await world.download(nodes[1][0], meta)
        with pytest.raises(TimeoutError):
            await world.until(lambda: torrent.peers, 60.0)
        await town.close()

    simulate(tmp_path, story)


@pytest.mark.sim
def test_who_obfuscates_nothing_is_not_relayed(tmp_path: Path) -> None:
    """The super node would see what it carries."""

    async def story(world: World) -> None:
        town = Town(world)
        await town.open()
        nodes = [await town.node(Kind.SYMMETRIC, encryption="off") for _ in range(2)]
        meta, folder = world.content(SIZE, 1 << 15)
        await nodes[0][0].add(meta, data=folder)
        torrent = await world.download(nodes[1][0], meta)
        with pytest.raises(TimeoutError):
            await world.until(lambda: torrent.peers or town.relayed, 60.0)
        await town.close()

    simulate(tmp_path, story)


@pytest.mark.sim
def test_a_relayed_peer_is_hidden_from_the_relay(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        town, seen = Town(world), bytearray()
        await town.open()
        for each in town.supers:
            asked = each.relay.asked

            def tapped(guest: object, wish: object, asked: object = asked) -> None:
                stream = guest.stream  # type: ignore[attr-defined]
                send = stream.send
                stream.send = lambda *data: (seen.extend(b"".join(data)), send(*data))[1]
                asked(guest, wish)  # type: ignore[operator]

            each.relay.asked = tapped  # type: ignore[method-assign]
        nodes = [await town.node(Kind.SYMMETRIC) for _ in range(2)]
        meta, folder = world.content(SIZE, 1 << 15)
        await nodes[0][0].add(meta, data=folder)
        torrent = await world.download(nodes[1][0], meta)
        await torrent.finished()
        assert len(seen) > SIZE
        data = (folder / "file").read_bytes()
        assert not any(data[at : at + 32] in seen for at in range(0, SIZE, 1000))
        assert b"BitTorrent" not in seen
        assert meta.info_hash not in seen
        await town.close()

    simulate(tmp_path, story)


@pytest.mark.sim
def test_private_torrents_are_named_to_nobody(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        from p2pswarm.formats.building import build

        town = Town(world)
        await town.open()
        node, swarming = await town.node(Kind.PORT)
        meta = build(name="file", piece_length=1 << 15, pieces=bytes(20), length=1000, private=True)
        await world.download(node, meta)
        await world.until(lambda: world.loop.time() > 30.0)
        assert not swarming.posts
        assert not any(len(each.swarms) for each in town.supers)
        await town.close()

    simulate(tmp_path, story)


@pytest.mark.sim
def test_the_same_two_of_many_super_nodes_are_visited_by_all_and_others_when_they_die(
    tmp_path: Path,
) -> None:
    async def story(world: World) -> None:
        town = Town(world, supers=6)
        await town.open()
        name = SwarmName.of(InfoHash(b"h" * 20))
        both = [(await town.node(Kind.PORT))[1] for _ in range(2)]
        for each in both:
            each.seek(InfoHash(b"h" * 20), lambda _: None)
        await world.until(lambda: all(len(each.posts) == 2 for each in both), 30.0)
        order = sorted((each.node for each in town.told), key=name.nearness)
        for each in both:
            assert {post.node for post in each.posts} == set(order[:2])
        dead = next(each for each in town.supers if each.at.node == order[0])
        await dead.port.close()
        for transport in list(world.loop.transports):
            if transport.host is dead.host:
                transport.abort()
        await world.until(
            lambda: all({p.node for p in each.posts} == set(order[1:3]) for each in both), 60.0
        )
        for each in both:
            each.forget(InfoHash(b"h" * 20))
        await world.until(lambda: not any(each.posts for each in both), 30.0)
        await town.close()

    simulate(tmp_path, story)


@pytest.mark.sim
def test_where_nobody_knows_the_slot_it_is_asked_for_again(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        town, asked = Town(world), list[float]()
        await town.open()
        _, swarming = await town.node(Kind.PORT)

        async def place(_: bytes) -> Sequence[Told]:
            asked.append(world.loop.time())
            if len(asked) < 3:
                raise NetworkError("nobody answers")
            return town.told

        swarming._place = place
        swarming.seek(InfoHash(b"h" * 20), lambda _: None)
        await world.until(lambda: swarming.posts, 200.0)
        assert len(asked) == 3
        await town.close()

    simulate(tmp_path, story)


@pytest.mark.sim
def test_no_super_node_has_us_dial_one_host_again_and_again(tmp_path: Path) -> None:
    """It would name a victim in every torrent of ours."""

    async def story(world: World) -> None:
        town, heard = Town(world, supers=1), list[Introduction]()
        await town.open()
        _, swarming = await town.node(Kind.PORT)
        names = [InfoHash(bytes([n]) * 20) for n in range(30)]
        for name in names:
            swarming.seek(name, heard.append)
        await world.until(lambda: len(town.supers[0].swarms) == 30, 30.0)
        (guest,) = {m.guest for m in town.supers[0].swarms._members.values()}
        for n, name in enumerate(names):
            victim = (Address("8.8.8.8", 1 + n),)
            told = SwarmName.of(name).name
            guest.say(Meet(told, bytes([n]) * 16, bytes([n]) * 32, victim, speaks=True))
        await asyncio.sleep(1)
        assert sum(bool(each.addresses) for each in heard) == 6
        for n in range(50):
            guest.say(Meet(told, bytes(16), bytes(32), (Address(f"9.9.9.{n}", 1),), speaks=True))
        await asyncio.sleep(1)
        assert len(heard) < 70, "and who names too many is cut"
        await world.until(lambda: swarming._staff.resting, 5.0)
        await town.close()

    simulate(tmp_path, story)


@pytest.mark.sim
def test_a_relayed_peer_moves_to_a_direct_path_as_soon_as_there_is_one(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        town = Town(world)
        await town.open()
        (seed, _), (away, _) = [await town.node(Kind.PORT, down_limit=500) for _ in range(2)]
        routers = [world.loop.routers[f"20.0.0.{number}"] for number in (1, 2)]
        for router in routers:
            router.lets_in = lambda protocol, source: not source[0].startswith("20.")
        meta, folder = world.content(SIZE, 1 << 15)
        await seed.add(meta, data=folder)
        torrent = await world.download(away, meta)
        await world.until(lambda: torrent.peers, 30.0)
        [peer] = torrent.peers.values()
        assert peer.stream.relayed
        for router in routers:
            router.lets_in = lambda protocol, source: True
        await world.until(lambda: not town.relayed, 300.0)
        [peer] = torrent.peers.values()
        assert peer.stream.utp
        await town.close()

    simulate(tmp_path, story)
