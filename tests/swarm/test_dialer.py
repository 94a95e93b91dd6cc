"""Which transport, which handshake, and how often: nodes of every policy in virtual time."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from p2pswarm.formats.ids import Address
from p2pswarm.net.stream import Stream
from p2pswarm.net.utp import UtpTransport
from p2pswarm.node import Node
from p2pswarm.swarm.dialer import MOST_HALF_OPEN
from p2pswarm.swarm.torrent import Torrent
from p2pswarm.wire.peer import HANDSHAKE
from tests.support.world import Host, World, simulate

SIZE, PIECE = 200_000, 32 << 10
RC4, PLAIN = "rc4", "plain"


class Answers(asyncio.BufferedProtocol):
    """Somebody at an address who may be no peer at all; hears what is said and does one thing."""

    def __init__(self, then: "Callable[[asyncio.Transport, bytes], None]") -> None:
        self.heard = b""
        self._then = then
        self._buffer = bytearray(4096)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.set_write_buffer_limits(0, 0)

    def get_buffer(self, sizehint: int) -> bytearray:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        self.heard += self._buffer[:nbytes]
        self._then(self._transport, self.heard)

    def pause_writing(self) -> None: ...

    def resume_writing(self) -> None: ...


def hangs_up(transport: asyncio.Transport, _: bytes) -> None:
    transport.close()


def says_nothing(_: asyncio.Transport, __: bytes) -> None:
    """As a port of something else does."""


def talks_nonsense(transport: asyncio.Transport, _: bytes) -> None:
    transport.write(b"HTTP/1.1 400 Bad Request\r\n" * 40)
    transport.close()


def dials_of(world: World, host: Host, then: Callable[..., None]) -> list[tuple[float, Answers]]:
    """Everybody who connects to the host's usual port from now on."""
    dials: list[tuple[float, Answers]] = []

    def accept() -> Answers:
        dials.append((world.loop.time(), Answers(then)))
        return dials[-1][1]

    world.loop.listeners[host.name, 46881] = accept
    return dials


def connections_to(world: World, host: Host) -> list[Stream]:
    """The same where a node listens already."""
    streams: list[Stream] = []
    knock = world.loop.listeners[host.name, 46881]

    def accept() -> Any:
        streams.append(knock())
        return streams[-1]

    world.loop.listeners[host.name, 46881] = accept
    return streams


async def seed_and_get(world: World, theirs: str, ours: str) -> tuple[Torrent, list[Stream]]:
    """A download by somebody of one policy from a seed of another, and the connections it made."""
    meta, folder = world.content(SIZE, PIECE)
    home, away = world.host(), world.host()
    seed = await world.node(home, encryption=theirs)
    await seed.add(meta, data=folder)
    streams = connections_to(world, home)
    node = await world.node(away, encryption=ours)
    return await world.download(node, meta, home), streams


def kind(stream: Stream) -> str:
    assert (stream._incoming is None) == (stream._outgoing is None)
    return PLAIN if stream._outgoing is None else RC4


@pytest.mark.parametrize(
    ("theirs", "ours", "kinds"),
    [
        ("prefer", "prefer", [PLAIN]),
        ("prefer", "require", [RC4]),
        ("require", "prefer", [RC4]),
        ("require", "require", [RC4]),
        ("prefer", "off", [PLAIN]),
        ("off", "off", [PLAIN]),
        ("off", "prefer", [PLAIN, PLAIN]),  # the first was hung up on
    ],
)
def test_nodes_of_different_policies_meet(
    theirs: str, ours: str, kinds: list[str], tmp_path: Path
) -> None:
    async def story(world: World) -> None:
        torrent, streams = await seed_and_get(world, theirs, ours)
        async with asyncio.timeout(5):
            await torrent.finished()
        assert [kind(stream) for stream in streams] == kinds
        assert [stream.over for stream in streams] == [True] * (len(kinds) - 1) + [False]
        assert world.copy_of(world.nodes[1]) == (world.folder / "seed" / "file").read_bytes()

    simulate(tmp_path, story)


@pytest.mark.parametrize(("theirs", "ours"), [("require", "off"), ("off", "require")])
def test_nodes_that_cannot_agree_do_not_meet(theirs: str, ours: str, tmp_path: Path) -> None:
    async def story(world: World) -> None:
        torrent, streams = await seed_and_get(world, theirs, ours)
        await asyncio.sleep(4)
        assert torrent.peers == {}
        assert len(streams) == 1
        assert streams[0].over

    simulate(tmp_path, story)


@pytest.mark.parametrize(("policy", "handshakes"), [("off", 2), ("prefer", 1), ("require", 0)])
def test_what_somebody_between_the_two_sees(policy: str, handshakes: int, tmp_path: Path) -> None:
    """Where the payload is plain, the answer to the hidden handshake is part of it."""

    async def story(world: World) -> None:
        meta, folder = world.content(SIZE, PIECE)
        home, away = world.host(), world.host()
        await (await world.node(home, encryption=policy)).add(meta, data=folder)
        line, join = bytearray(), world.loop._join

        def tapped(near: Any, far: Any, *protocols: Any) -> None:
            for end in (near, far):
                end.write = tap(end.write, line)
            join(near, far, *protocols)

        world.loop._join = tapped  # type: ignore[method-assign]
        torrent = await world.download(await world.node(away, encryption=policy), meta, home)
        await torrent.finished()
        assert len(line) > SIZE
        assert line.count(HANDSHAKE) == line.count(meta.info_hash) == handshakes
        secret = (folder / "file").read_bytes()[1000:1100]
        assert (secret in line) == (policy != "require")

    simulate(tmp_path, story)


def tap(write: Callable[[Any], None], line: bytearray) -> Callable[[Any], None]:
    def tapped(data: Any) -> None:
        line.extend(data)
        write(data)

    return tapped


def test_what_worked_is_tried_first_the_next_time(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        meta, folder = world.content(SIZE, PIECE)
        home, away = world.host(), world.host()
        seed = await world.node(home, encryption="off")
        streams = connections_to(world, home)
        torrent = await world.download(await world.node(away, encryption="prefer"), meta, home)
        seeding = await seed.add(meta, data=folder)
        await world.until(lambda: torrent.peers)
        before = len(streams)
        for peer in list(seeding.peers.values()):
            peer.close(None)
        await world.until(lambda: not torrent.peers)
        await world.until(lambda: torrent.peers)
        assert before == 2  # it hung up on the first
        assert len(streams) == 3

    simulate(tmp_path, story)


@pytest.mark.parametrize(
    ("then", "policy", "openings"),
    [
        (hangs_up, "prefer", ["noise", "plain"]),
        (hangs_up, "require", ["noise"]),
        (hangs_up, "off", ["plain"]),
        (says_nothing, "prefer", ["noise"]),
        (talks_nonsense, "prefer", ["noise"]),
    ],
)
def test_a_stranger_is_tried_once_in_ten_minutes(
    then: Callable[..., None], policy: str, openings: list[str], tmp_path: Path
) -> None:
    """Promise 12, whatever a victim does with the connection."""

    async def story(world: World) -> None:
        meta, _ = world.content(SIZE, PIECE)
        victim, away = world.host(), world.host()
        dials = dials_of(world, victim, then)
        node = await world.node(away, encryption=policy)
        torrent = await world.download(node, meta)
        for _ in range(59):
            torrent.found(Address(victim.name, 46881))
            await asyncio.sleep(10)
        said = [victim.heard for _, victim in dials]
        assert ["plain" if HANDSHAKE in heard else "noise" for heard in said] == openings
        await asyncio.sleep(30)
        assert len(dials) == 2 * len(openings)

    simulate(tmp_path, story)


def test_who_waits_in_silence_hears_the_other_handshake_the_next_time(tmp_path: Path) -> None:
    """WebTorrent that cannot read a hidden handshake keeps the connection, and says nothing."""

    async def story(world: World) -> None:
        meta, _ = world.content(SIZE, PIECE)
        home, away = world.host(), world.host()
        dials = dials_of(world, home, says_nothing)
        await world.download(await world.node(away, encryption="prefer"), meta, home)
        await world.until(lambda: len(dials) == 3 and dials[2][1].heard)
        assert [HANDSHAKE in peer.heard for _, peer in dials] == [False, True, False]

    simulate(tmp_path, story)


class Ear(asyncio.DatagramProtocol):
    def __init__(self, world: World, host: Host) -> None:
        self.heard: list[float] = []
        self._world = world

    async def listen(self, host: Host) -> None:
        await self._world.loop.create_datagram_endpoint(lambda: self, (host.name, 46881))

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.heard.append(self._world.loop.time())


def test_where_nobody_listens_a_stranger_hears_one_attempt_by_utp(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        meta, _ = world.content(SIZE, PIECE)
        victim, away = world.host(), world.host()
        ear = Ear(world, victim)
        await ear.listen(victim)
        torrent = await world.download(await world.node(away), meta)
        for _ in range(59):
            torrent.finding.found(Address(victim.name, 46881))
            await asyncio.sleep(10)
        assert 1 <= len(ear.heard) <= 3  # the first, and again while it is silent
        assert ear.heard[-1] < 15

    simulate(tmp_path, story)


@pytest.mark.parametrize(
    ("theirs", "ours", "by"),
    [
        ("both", "both", "tcp"),
        ("utp", "utp", "utp"),
        ("both", "utp", "utp"),
        ("both", "tcp", "tcp"),
        ("utp", "both", "tcp"),  # what one dials is its own business: it takes what comes
    ],
)
@pytest.mark.parametrize("encryption", ["prefer", "require"])
def test_nodes_meet_by_tcp_or_utp(
    theirs: str, ours: str, by: str, encryption: str, tmp_path: Path
) -> None:
    async def story(world: World) -> None:
        meta, folder = world.content(SIZE, PIECE)
        home, away = world.host(), world.host()
        seed = await world.node(home, transport=theirs, encryption=encryption)
        await seed.add(meta, data=folder)
        node = await world.node(away, transport=ours, encryption=encryption)
        torrent = await world.download(node, meta, home)
        async with asyncio.timeout(5):
            await torrent.finished()
        (peer,) = torrent.peers.values()
        transport = peer.stream._transport
        assert by == ("utp" if isinstance(transport, UtpTransport) else "tcp")
        assert kind(peer.stream) == (RC4 if encryption == "require" else PLAIN)

    simulate(tmp_path, story)


def test_who_hangs_up_by_utp_is_tried_the_other_way_by_utp(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        meta, folder = world.content(SIZE, PIECE)
        home, away = world.host(), world.host()
        seed = await world.node(home, encryption="off")
        await seed.add(meta, data=folder)
        world.loop.listeners.pop((home.name, 46881))  # a firewall
        torrent = await world.download(await world.node(away, encryption="prefer"), meta, home)
        async with asyncio.timeout(5):
            await torrent.finished()

    simulate(tmp_path, story)


def test_a_swarm_that_was_taken_out_is_not_known_any_more(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        torrent, streams = await seed_and_get(world, "require", "require")
        await torrent.finished()
        (seeding,) = world.nodes[0].torrents.values()
        await world.nodes[0].remove(seeding)
        name = seeding.info_hash.obfuscated
        assert world.nodes[0]._welcoming._revealed(name) is None
        await asyncio.sleep(20)
        assert all(stream.over for stream in streams)

    simulate(tmp_path, story)


def with_dials(node: Node, *dials: Any) -> None:
    assert node._machinery is not None
    around = replace(node._machinery.surroundings, dials=dials)
    node._machinery = replace(node._machinery, surroundings=around)


@pytest.mark.parametrize(
    ("seconds", "after"), [(0.0, 0.0), (5.0, 0.3), (None, 0.0)], ids=["fails", "slow", "never"]
)
def test_another_way_follows_when_the_first_fails_or_is_slow(
    seconds: float | None, after: float, tmp_path: Path
) -> None:
    async def story(world: World) -> None:
        meta, folder = world.content(SIZE, PIECE)
        home, away = world.host(), world.host()
        await (await world.node(home)).add(meta, data=folder)
        node = await world.node(away)
        began = world.loop.time()
        tried: list[float] = []

        async def closed(*_: Any) -> Stream:
            tried.append(world.loop.time() - began)
            if seconds is not None:
                await asyncio.sleep(seconds)
            raise ConnectionRefusedError

        async def other(*args: Any) -> Stream:
            tried.append(world.loop.time() - began)
            return await node._port.dial(*args)

        with_dials(node, closed, other)
        torrent = await world.download(node, meta, home)
        await torrent.finished()
        assert tried == [0.0, pytest.approx(after)]

    simulate(tmp_path, story)


def test_all_torrents_of_a_node_dial_a_hundred_at_a_time(tmp_path: Path) -> None:
    """Each dial is an open file, also while nobody answers; and one that is given up is none any more."""

    async def story(world: World) -> None:
        silent = world.host()
        dials = dials_of(world, silent, says_nothing)
        node = await world.node(world.host(), transport="tcp")
        torrents = [
            await world.download(node, world.content(SIZE, PIECE, name=f"file {n}")[0])
            for n in range(6)
        ]
        others = [Address(f"10.1.{torrent}.{n}", 46881) for torrent in range(6) for n in range(50)]
        for address in others:
            world.loop.listeners[address] = world.loop.listeners[silent.name, 46881]
            world.loop.hosts[address.host] = silent
        for n, address in enumerate(others):
            torrents[n // 50].found(address)
        await asyncio.sleep(5)
        assert len(dials) == MOST_HALF_OPEN
        for torrent in torrents[:5]:
            torrent.finding.dial_more()  # what begins now is cancelled before its first step
            await node.remove(torrent)
        await asyncio.sleep(5)
        assert len(dials) > MOST_HALF_OPEN
        await node.remove(torrents[5])
        assert not node._places.dialing

    simulate(tmp_path, story)
