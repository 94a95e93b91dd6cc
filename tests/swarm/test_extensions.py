"""What a peer and we say beyond the base protocol, as a stranger sees it."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from p2pswarm.formats import bencode
from p2pswarm.formats.ids import BLOCK, Address, PeerId, PieceIndex
from p2pswarm.formats.metainfo import Metainfo
from p2pswarm.node import Node
from p2pswarm.swarm.events import Seeding
from p2pswarm.swarm.peer import Peer
from p2pswarm.swarm.torrent import Torrent
from p2pswarm.wire.extension.handshake import ExtendedHandshake
from p2pswarm.wire.extension.metadata import (
    METADATA_PIECE,
    MetadataPiece,
    MetadataReject,
    MetadataRequest,
    read_metadata,
)
from p2pswarm.wire.extension.news import DontHave, UploadOnly
from p2pswarm.wire.extension.numbers import (
    DONT_HAVE,
    FEED,
    METADATA,
    NUMBERS,
    PEX,
    UPLOAD_ONLY,
)
from p2pswarm.wire.extension.pex import Pex, PexFlag
from p2pswarm.wire.peer import (
    Extended,
    Have,
    HaveAll,
    Interested,
    PortMessage,
    Request,
    Reserved,
    Unchoke,
)
from tests.support.stranger import Stranger
from tests.support.world import World, simulate

pytestmark = pytest.mark.sim

PIECE = 2 * BLOCK
THEIRS = {METADATA: 33, PEX: 34, DONT_HAVE: 35, UPLOAD_ONLY: 36}  # the stranger's numbers


class Scene:
    """A node with one torrent, and strangers who meet it."""

    def __init__(self, world: World, node: Node, torrent: Torrent, meta: Metainfo) -> None:
        self.world, self.node, self.torrent, self.meta = world, node, torrent, meta

    async def meet(self, **said: object) -> Stranger:
        """A stranger that speaks every extension and listens on port 7000."""
        host = self.world.host()
        peer_id = PeerId.new(self.world.dice)
        stranger = await Stranger.meet(
            self.world, host, self.node, self.meta.info_hash, peer_id=peer_id
        )
        hello = ExtendedHandshake(**{"messages": THEIRS, "port": 7000, **said})  # type: ignore[arg-type]
        stranger.send(Extended(0, hello.encode()))
        return stranger

    def peer(self, stranger: Stranger) -> Peer:
        peers = self.torrent.peers.values()
        return next(peer for peer in peers if peer.stream.remote.host == stranger.host)


Story = Callable[[Scene], Awaitable[None]]


def play(
    tmp_path: Path,
    story: Story,
    *,
    pieces: int = 8,
    length: int = PIECE,
    seed: bool = True,
    private: bool = False,
) -> None:
    async def tell(world: World) -> None:
        meta, folder = world.content(pieces * length, length)
        meta = made_private(meta) if private else meta
        node = await world.node(world.host(), encryption="off")
        if seed:
            torrent = await node.add(meta, data=folder)
            await world.until(lambda: torrent.state == Seeding())
        else:
            torrent = await world.download(node, meta)
            await asyncio.sleep(0.1)
        await story(Scene(world, node, torrent, meta))
        torrent.picker.check()

    simulate(tmp_path, tell)


def made_private(meta: Metainfo) -> Metainfo:
    torrent = bencode.decode(meta.raw)
    torrent[b"info"][b"private"] = 1
    return Metainfo.from_bytes(bencode.encode(torrent))


def say(stranger: Stranger, name: str, payload: bytes) -> None:
    stranger.send(Extended(NUMBERS[name], payload))


def heard(stranger: Stranger, name: str) -> list[bytes]:
    said = stranger.all(Extended)
    return [message.payload for message in said if message.id == THEIRS[name]]


def hello_of(stranger: Stranger) -> ExtendedHandshake:
    return ExtendedHandshake.decode(stranger.all(Extended)[0].payload)


# The handshake


def test_what_we_offer(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        stranger = await scene.meet()
        await stranger.hears(Extended)
        hello = hello_of(stranger)
        assert hello.metadata_size == len(scene.meta.info)
        assert {METADATA, PEX, DONT_HAVE, UPLOAD_ONLY} <= hello.messages.keys()

    play(tmp_path, story)


def test_a_private_torrent_offers_neither_its_info_nor_addresses(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        first, second = await scene.meet(), await scene.meet()
        await first.hears(Extended)
        hello = hello_of(first)
        assert hello.metadata_size is None
        assert not {METADATA, PEX} & hello.messages.keys()
        say(first, METADATA, MetadataRequest(0).encode())
        say(first, PEX, Pex([(Address("10.9.9.9", 1), PexFlag(0))]).encode())
        await asyncio.sleep(100)
        assert not heard(first, METADATA)
        assert not heard(first, PEX)
        assert not heard(second, PEX)
        assert len(scene.torrent.finding.book) == 0

    play(tmp_path, story, private=True, seed=False)


def test_a_second_handshake_adds_to_the_first(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        stranger = await scene.meet(messages={METADATA: 33}, reqq=77)
        stranger.send(Extended(0, ExtendedHandshake(upload_only=True).encode()))
        await asyncio.sleep(0.5)
        peer = scene.peer(stranger)
        assert peer.extensions.speaks(METADATA)
        assert (peer.download.pipeline.reqq, peer.upload_only, peer.address.port) == (
            77,
            True,
            7000,
        )
        stranger.send(Extended(0, ExtendedHandshake({METADATA: 0}, upload_only=False).encode()))
        await asyncio.sleep(0.5)
        assert not peer.extensions.speaks(METADATA)
        assert not peer.upload_only

    play(tmp_path, story, seed=False)


def test_numbers_that_nobody_offered_are_ignored(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        stranger = await scene.meet()
        for number in (9, 200, 255):
            stranger.send(Extended(number, b"what is this"))
        await asyncio.sleep(1)
        assert not stranger.over

    play(tmp_path, story)


@pytest.mark.parametrize("name", [name for name in NUMBERS if name != FEED])
def test_junk_under_our_numbers_ends_the_connection_and_nothing_else(
    tmp_path: Path, name: str
) -> None:
    async def story(scene: Scene) -> None:
        for junk in (b"", b"\xff" * 7, b"d", b"i5e", b"x" * 60_000):
            stranger = await scene.meet()
            say(stranger, name, junk)
            await stranger.dropped()
        assert scene.torrent.state == Seeding()

    play(tmp_path, story)


# The DHT


async def with_dht(
    world: World, *, private: bool, reserved: Reserved
) -> tuple[Stranger, list[Address]]:
    """A stranger met by a node of the DHT, and where that looked for others."""
    meta, folder = world.content(8 * PIECE, PIECE)
    meta = made_private(meta) if private else meta
    node = await world.node(world.host(), encryption="off")
    pinged: list[Address] = []
    surroundings = replace(node._working().surroundings, dht=pinged.append)
    node._machinery = replace(node._working(), surroundings=surroundings)
    node._welcoming._settings = replace(node.settings, dht=True)  # as its handshake says
    torrent = await node.add(meta, data=folder)
    await world.until(lambda: torrent.state == Seeding())
    stranger = await Stranger.meet(world, world.host(), node, meta.info_hash, reserved=reserved)
    for port in (0, 7001, 7002, 7003, 7004):
        stranger.send(PortMessage(port))
    await asyncio.sleep(1)
    assert Reserved(stranger.hello[20:28]).dht
    return stranger, pinged


@pytest.mark.parametrize("private", [False, True])
@pytest.mark.parametrize("both", [True, False])
def test_nodes_of_the_dht_tell_each_other_where(
    tmp_path: Path, *, private: bool, both: bool
) -> None:
    async def story(world: World) -> None:
        reserved = Reserved.ours(dht=both)
        stranger, pinged = await with_dht(world, private=private, reserved=reserved)
        kinds = [type(message) for message in stranger.heard]
        if both and not private:
            assert stranger.all(PortMessage) == [PortMessage(46881)]
            assert kinds.index(PortMessage) > kinds.index(HaveAll)
        else:
            assert PortMessage not in kinds
        places = [] if private else [Address(stranger.host, port) for port in (7001, 7002)]
        assert pinged == places

    simulate(tmp_path, story)


def test_one_without_the_dht_does_not_say_that_it_has_it(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        stranger = await scene.meet()
        assert not Reserved(stranger.hello[20:28]).dht
        stranger.send(PortMessage(7001))
        await asyncio.sleep(1)
        assert not stranger.all(PortMessage)
        assert not stranger.over

    play(tmp_path, story)


# The info


def test_the_info_is_given_whole(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        stranger = await scene.meet()
        size = len(scene.meta.info)
        pieces = -(-size // METADATA_PIECE)
        assert pieces > 1, "else this shows little"
        for piece in range(pieces):
            say(stranger, METADATA, MetadataRequest(piece).encode())
        await stranger.until(lambda: len(heard(stranger, METADATA)) == pieces)
        given = list(map(read_metadata, heard(stranger, METADATA)))
        assert all(isinstance(each, MetadataPiece) and each.total == size for each in given)
        parts = [each.data for each in given if isinstance(each, MetadataPiece)]
        assert b"".join(parts) == bytes(scene.meta.info)

    play(tmp_path, story, pieces=1000, length=1024)


def test_what_is_not_there_is_refused_and_too_much_as_well(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        stranger = await scene.meet()
        say(stranger, METADATA, MetadataRequest(5).encode())
        for _ in range(20):
            say(stranger, METADATA, MetadataRequest(0).encode())
        await stranger.until(lambda: len(heard(stranger, METADATA)) == 21)
        answers = [type(read_metadata(payload)) for payload in heard(stranger, METADATA)]
        assert answers[0] is MetadataReject
        assert answers.count(MetadataPiece) == 3
        assert read_metadata(heard(stranger, METADATA)[0]) == MetadataReject(5)

    play(tmp_path, story)


def test_one_who_does_not_read_is_not_given_more(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        stranger = await scene.meet()
        await asyncio.sleep(1)
        stranger.stop_reading()
        for piece in range(30):
            say(stranger, METADATA, MetadataRequest(piece % 8).encode())
        await asyncio.sleep(5)
        peer = scene.peer(stranger)
        assert peer.stream.unsent < 100_000
        assert len(peer.extensions.info) > 0
        await scene.node.remove(scene.torrent)

    play(tmp_path, story, pieces=7000, length=1024)


# Addresses


def test_each_hears_of_the_other_and_of_its_leaving(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        first = await scene.meet()
        await asyncio.sleep(3)
        assert not heard(first, PEX), "there was nobody to tell of"
        second = await scene.meet()
        second.send(HaveAll())
        await asyncio.sleep(7)
        (told,) = heard(first, PEX)
        assert Pex.decode(told) == Pex([(Address(second.host, 7000), PexFlag.SEED)], [])
        assert Pex.decode(heard(second, PEX)[0]).added == [(Address(first.host, 7000), 0)]
        first.keep_talking()
        second.close()
        await asyncio.sleep(70)
        assert Pex.decode(heard(first, PEX)[1]) == Pex([], [Address(second.host, 7000)])

    play(tmp_path, story, seed=False)


def test_who_does_not_say_where_it_listens_is_not_told_of(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        first = await scene.meet()
        await scene.meet(port=None)
        await asyncio.sleep(20)
        assert not heard(first, PEX)

    play(tmp_path, story, seed=False)


def test_whom_a_peer_names_is_dialed(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        other = scene.world.host()
        waiting = asyncio.create_task(Stranger.receive(scene.world, other, scene.meta.info_hash))
        stranger = await scene.meet()
        say(stranger, PEX, Pex([(Address(other.name, 46881), PexFlag(0))]).encode())
        met = await waiting
        assert met.hello

    play(tmp_path, story, seed=False)


def test_a_seed_does_not_dial_seeds_that_are_named(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        stranger = await scene.meet()
        seed, other = (Address("10.7.7.1", 1), PexFlag.SEED), (Address("10.7.7.2", 1), PexFlag(0))
        say(stranger, PEX, Pex([seed, other]).encode())
        await asyncio.sleep(0.5)
        assert len(scene.torrent.finding.book) == 1

    play(tmp_path, story)


def test_we_are_not_dialed_by_ourselves(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        stranger = await scene.meet(yourip=bytes((8, 8, 4, 4)))
        ours = [Address(host, 46881) for host in (scene.node.settings.bind, "8.8.4.4")]
        others = [Address("10.7.7.1", 46881), Address(ours[0].host, 7)]
        said = [(address, PexFlag(0)) for address in (*ours, *others)]
        say(stranger, PEX, Pex(said).encode())
        await asyncio.sleep(0.5)
        assert set(scene.torrent.finding.book._known) == {*others}

    play(tmp_path, story, seed=False)


def test_who_tells_too_often_is_dropped(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        stranger = await scene.meet()
        for _ in range(6):
            say(stranger, PEX, Pex().encode())
        await asyncio.sleep(1)
        assert not stranger.over
        say(stranger, PEX, Pex().encode())
        await stranger.dropped()

    play(tmp_path, story)


# Losses and ends


def test_a_piece_that_a_peer_lost_is_no_longer_asked_of_it(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        stranger = await scene.meet()
        stranger.send(HaveAll(), Unchoke())
        await stranger.hears(Request)
        await asyncio.sleep(0.5)
        lost = stranger.requests[0].piece
        say(stranger, DONT_HAVE, DontHave(lost).encode())
        await asyncio.sleep(1.5)
        peer, picker = scene.peer(stranger), scene.torrent.picker
        assert not peer.have[lost]
        assert not peer.is_seed
        assert picker.seeds == 0
        assert lost not in {block // picker.per_piece for block in peer.download.asked}
        for piece in range(8):
            say(stranger, DONT_HAVE, DontHave(PieceIndex(piece)).encode())
        await asyncio.sleep(1.5)
        assert not peer.download.asked
        assert not peer.am_interested
        stranger.send(Have(lost))
        await asyncio.sleep(1.5)
        assert {block // picker.per_piece for block in peer.download.asked} == {lost}

    play(tmp_path, story, seed=False)


def test_losing_what_does_not_exist_is_a_fault(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        stranger = await scene.meet()
        say(stranger, DONT_HAVE, DontHave(PieceIndex(8)).encode())
        await stranger.dropped()

    play(tmp_path, story)


def test_losing_everything_again_and_again_is_a_fault(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        stranger = await scene.meet()
        for _ in range(6):
            stranger.send(HaveAll())
            say(stranger, DONT_HAVE, DontHave(PieceIndex(1)).encode())
        await stranger.dropped()

    play(tmp_path, story)


def test_peers_are_told_what_we_lost_and_others_are_sent_away(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        knows, does_not = await scene.meet(), await scene.meet(messages={})
        await asyncio.sleep(1)
        path = scene.world.folder / "seed" / "file"
        data = path.read_bytes()
        path.write_bytes(data[:PIECE] + bytes(PIECE) + data[2 * PIECE :])
        await knows.until(lambda: heard(knows, DONT_HAVE), 100.0)
        assert DontHave(PieceIndex(1)).encode() in heard(knows, DONT_HAVE)
        assert heard(knows, UPLOAD_ONLY) == [UploadOnly(on=False).encode()]
        await does_not.dropped()
        assert not knows.over
        lost = {DontHave.decode(payload).piece for payload in heard(knows, DONT_HAVE)}
        await asyncio.sleep(5)
        assert {message.piece for message in knows.all(Have)} == lost - {1}

    play(tmp_path, story)


def test_one_who_is_being_given_what_we_lost_is_sent_away(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        stranger = await scene.meet()
        stranger.send(Interested())
        await stranger.hears(Unchoke)
        peer = scene.peer(stranger)
        peer.upload.owe([(PieceIndex(3), 0, BLOCK)])
        assert peer.upload.concerns([PieceIndex(3)])
        assert not peer.tell_lost([PieceIndex(3)])
        assert peer.tell_lost([PieceIndex(2)])

    play(tmp_path, story)


def test_peers_hear_that_we_only_upload_from_now_on(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        stranger = await scene.meet()
        data = (scene.world.folder / "seed" / "file").read_bytes()
        give_to(stranger, data)
        stranger.send(HaveAll(), Unchoke())
        await scene.torrent.finished()
        await stranger.until(lambda: heard(stranger, UPLOAD_ONLY))
        assert heard(stranger, UPLOAD_ONLY) == [b"\1"]

    play(tmp_path, story, seed=False)


def give_to(stranger: Stranger, data: bytes) -> None:
    def answer(me: Stranger, said: object) -> None:
        if isinstance(said, Request):
            at = said.piece * PIECE + said.begin
            head = (9 + said.length).to_bytes(4, "big") + b"\7"
            place = said.piece.to_bytes(4, "big") + said.begin.to_bytes(4, "big")
            me.send(head + place + data[at : at + said.length])

    stranger.answer = answer


def test_a_peer_may_say_that_it_only_uploads(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        stranger = await scene.meet()
        say(stranger, UPLOAD_ONLY, b"\1")
        await asyncio.sleep(0.5)
        assert scene.peer(stranger).upload_only
        say(stranger, UPLOAD_ONLY, b"\0")
        await asyncio.sleep(0.5)
        assert not scene.peer(stranger).upload_only

    play(tmp_path, story, seed=False)
