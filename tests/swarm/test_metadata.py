"""Magnets in virtual time: from a link to the data, among peers that lie, refuse and say nothing."""

import asyncio
from collections.abc import Awaitable, Callable
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from p2pswarm.errors import HostError
from p2pswarm.formats.building import build
from p2pswarm.formats.ids import Address, PeerId, PieceIndex
from p2pswarm.formats.magnet import Magnet
from p2pswarm.formats.metainfo import Metainfo
from p2pswarm.node import Node
from p2pswarm.wire.extension.handshake import ExtendedHandshake
from p2pswarm.wire.extension.metadata import (
    MetadataPiece,
    MetadataReject,
    MetadataRequest,
    read_metadata,
)
from p2pswarm.wire.extension.numbers import METADATA, NUMBERS
from p2pswarm.wire.peer import (
    AllowedFast,
    BitfieldMessage,
    Extended,
    Have,
    HaveAll,
    HaveNone,
    Interested,
    Request,
    Reserved,
    Unchoke,
)
from tests.support.givers import THEIR_NUMBER, give, info_of, introduce, pieces, refuse, wanted
from tests.support.singly import piece_head
from tests.support.stranger import PLAIN, Stranger
from tests.support.world import Host, World, simulate

if TYPE_CHECKING:
    from p2pswarm.swarm.torrent import Torrent

PIECE = 256 << 10
DELAY = 0.1  # seconds from one host to another: a round trip is two of them


def large(world: World, count: int = 4000) -> Metainfo:
    """A torrent whose info has several pieces; nobody has its data."""
    hashes = world.dice.randbytes(20 * count)
    return build(name="large", piece_length=16384, pieces=hashes, length=16384 * count)


def magnet_to(meta: Metainfo, *hosts: Host) -> str:
    return str(Magnet.of(meta, [Address(host.name, 46881) for host in hosts]))


def seek(world: World, node: Node, meta: Metainfo, *hosts: Host) -> "asyncio.Task[Torrent]":
    folder = world.folder / node.settings.bind
    folder.mkdir(exist_ok=True)
    return asyncio.create_task(node.add(magnet_to(meta, *hosts), save_to=folder))


def crowd(
    world: World, meta: Metainfo, count: int
) -> tuple[list[Host], Callable[[], Awaitable[list[Stranger]]]]:
    """Hosts of strangers that wait to be dialed, and how to have them all."""
    hosts = [world.host(delay=DELAY) for _ in range(count)]
    strangers = asyncio.gather(*(Stranger.receive(world, host, meta.info_hash) for host in hosts))
    return hosts, lambda: strangers


def test_a_magnet_with_a_peer_begins_within_a_round_trip_of_its_metadata(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        meta, _ = world.content(4 * PIECE, PIECE)
        node, host = await world.node(world.host(delay=DELAY)), world.host(delay=DELAY)
        adding = seek(world, node, meta, host)
        stranger = await Stranger.receive(world, host, meta.info_hash)
        stranger.send(HaveAll())
        give(stranger, len(info_of(meta)), pieces(info_of(meta)))
        await stranger.hears(Interested)
        stranger.send(Unchoke())
        await stranger.hears(Request)
        (asked_for_info,) = [
            at for at, m in zip(stranger.times, stranger.heard, strict=True) if wanted(m) == 0
        ]
        assert stranger.times_of(Request)[0] - asked_for_info == pytest.approx(2 * DELAY, abs=0.01)
        assert stranger.all(HaveNone)
        assert len(stranger.all(BitfieldMessage)) == 0  # which has its place at the start only
        torrent = await adding
        assert torrent.metainfo == Metainfo.from_bytes(meta.raw)
        assert len(torrent.peers) == 1
        assert torrent.status().name == "file"
        assert node._places.taken == 1

    simulate(tmp_path, story)


def test_pieces_are_asked_of_many_at_once_two_of_each(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        meta = large(world)
        info = info_of(meta)
        hosts, receive = crowd(world, meta, 3)
        adding = seek(world, await world.node(world.host(delay=DELAY)), meta, *hosts)
        strangers = await receive()
        for stranger in strangers:
            give(stranger, len(info), pieces(info))
        await adding
        asked = [[wanted(m) for m in s.heard if wanted(m) is not None] for s in strangers]
        assert sorted(piece for each in asked for piece in each) == [0, 1, 2, 3, 4]
        assert max(map(len, asked)) == 2

    simulate(tmp_path, story)


def test_who_refuses_is_asked_again_after_a_minute(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        meta, _ = world.content(PIECE, PIECE)
        node, host = await world.node(world.host()), world.host()
        adding = seek(world, node, meta, host)
        stranger = await Stranger.receive(world, host, meta.info_hash)
        give(stranger, len(info_of(meta)), refuse)
        stranger.keep_talking()
        await stranger.until(lambda: sum(wanted(m) == 0 for m in stranger.heard) == 3, 200)
        times = [at for at, m in zip(stranger.times, stranger.heard, strict=True) if wanted(m) == 0]
        assert all(60 <= b - a <= 62 for a, b in pairwise(times))
        assert not adding.done()
        adding.cancel()

    simulate(tmp_path, story)


def test_who_says_nothing_does_not_hold_up_the_rest(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        meta = large(world)
        info = info_of(meta)
        hosts, receive = crowd(world, meta, 6)
        adding = seek(world, await world.node(world.host(delay=DELAY)), meta, *hosts)
        *silent, honest = await receive()
        for stranger in silent:
            give(stranger, len(info), lambda _: None)
        await asyncio.sleep(1)
        began = world.loop.now
        give(honest, len(info), pieces(info))
        await adding
        assert world.loop.now - began < 10

    simulate(tmp_path, story)


def test_liars_are_found_and_banned_and_the_honest_stay(tmp_path: Path) -> None:
    """Each gives some of a whole that is wrong; asked alone, a liar is proven one."""

    async def story(world: World) -> None:
        meta = large(world)
        info = info_of(meta)
        hosts, receive = crowd(world, meta, 8)
        node = await world.node(world.host(delay=DELAY))
        adding = seek(world, node, meta, *hosts)
        *liars, honest = await receive()
        for liar in liars:
            give(liar, len(info), pieces(bytes(len(info))))
        give(honest, len(info), pieces(info))
        torrent = await adding
        assert world.loop.now < 10
        await asyncio.sleep(1)
        banned = [torrent.finding.book.is_banned(_at(stranger)) for stranger in (*liars, honest)]
        assert sum(banned) >= 1
        assert not banned[-1]
        assert [stranger.over for stranger in (*liars, honest)] == banned

    simulate(tmp_path, story)


def _at(stranger: Stranger) -> Address:
    return Address(stranger.host, 46881)


def test_lies_about_the_size_do_not_keep_out_the_truth(tmp_path: Path) -> None:
    """Six sizes of ten megabytes and more: three at a time cost memory, and who has no answer waits."""

    async def story(world: World) -> None:
        meta = large(world)
        info = info_of(meta)
        hosts, receive = crowd(world, meta, 7)
        node = await world.node(world.host(delay=DELAY))
        adding = seek(world, node, meta, *hosts)
        *liars, honest = await receive()
        for number, stranger in enumerate(liars):
            junk = bytes((10 << 20) - number)
            give(
                stranger, len(junk), pieces(junk, total=len(junk)) if number % 2 else lambda _: None
            )
        await asyncio.sleep(2)
        give(honest, len(info), pieces(info))
        torrent = await adding
        assert torrent.metainfo.info_hash == meta.info_hash
        assert world.loop.now < 200

    simulate(tmp_path, story)


@pytest.mark.parametrize("size", [0, -5, (10 << 20) + 1, 1 << 40])
def test_a_size_that_no_info_has_is_not_believed(tmp_path: Path, size: int) -> None:
    async def story(world: World) -> None:
        meta, _ = world.content(PIECE, PIECE)
        node, host = await world.node(world.host()), world.host()
        adding = seek(world, node, meta, host)
        stranger = await Stranger.receive(world, host, meta.info_hash)
        introduce(stranger, size)
        await asyncio.sleep(5)
        assert not any(wanted(m) is not None for m in stranger.heard)
        assert not stranger.over
        give(stranger, len(info_of(meta)), pieces(info_of(meta)))  # it has it by now
        await adding

    simulate(tmp_path, story)


def test_a_peer_without_the_fast_extension_keeps_its_words(tmp_path: Path) -> None:
    """Plain clients of 2003 give no metadata; their bitfield counts all the same when it is there."""

    async def story(world: World) -> None:
        meta, _ = world.content(4 * PIECE, PIECE)
        node = await world.node(world.host(delay=DELAY))
        plain_host, giver_host = world.host(delay=DELAY), world.host(delay=DELAY)
        adding = seek(world, node, meta, plain_host, giver_host)
        plain = await Stranger.receive(world, plain_host, meta.info_hash, reserved=PLAIN)
        giver = await Stranger.receive(world, giver_host, meta.info_hash)
        plain.send(BitfieldMessage(b"\xf0"))
        await plain.hears(Interested)
        assert plain.heard == [Interested()]
        plain.send(Unchoke())
        await asyncio.sleep(1)
        began = world.loop.now
        give(giver, len(info_of(meta)), pieces(info_of(meta)))
        await plain.hears(Request)
        assert world.loop.now - began < 5 * DELAY
        await adding

    simulate(tmp_path, story)


@pytest.mark.parametrize("words", [BitfieldMessage(b"\xf0\0"), BitfieldMessage(b"\xff")])
def test_a_bitfield_of_another_size_ends_the_connection_when_it_can_be_seen(
    tmp_path: Path, words: BitfieldMessage
) -> None:
    async def story(world: World) -> None:
        meta, _ = world.content(4 * PIECE, PIECE)
        node, host = await world.node(world.host()), world.host()
        adding = seek(world, node, meta, host)
        stranger = await Stranger.receive(world, host, meta.info_hash)
        stranger.send(words)
        await asyncio.sleep(1)
        assert not stranger.over
        give(stranger, len(info_of(meta)), pieces(info_of(meta)))
        torrent = await adding
        await stranger.dropped()
        assert not torrent.peers

    simulate(tmp_path, story)


@pytest.mark.parametrize(
    "words",
    [
        Request(PieceIndex(0), 0, 16384),
        Have(PieceIndex(1 << 31)),
        piece_head(0, 0, 5) + b"block",
        BitfieldMessage(bytes(66_000)),
        Extended(0, b"junk"),
        Extended(NUMBERS[METADATA], b"junk"),
        Extended(NUMBERS[METADATA], MetadataPiece(0, 5, b"words").encode()),
        (70 << 10).to_bytes(4, "big"),
    ],
    ids=lambda words: str(words)[:30],
)
def test_what_no_honest_peer_says_to_a_magnet_ends_the_connection(
    tmp_path: Path, words: object
) -> None:
    async def story(world: World) -> None:
        meta, _ = world.content(PIECE, PIECE)
        node = await world.node(world.host())
        adding = seek(world, node, meta)
        await world.until(lambda: node.status().magnets)
        stranger = await Stranger.meet(world, world.host(), node, meta.info_hash)
        await asyncio.sleep(1)
        assert not stranger.over
        stranger.send(words)
        await stranger.dropped(1)
        assert node._places.taken == 0
        adding.cancel()

    simulate(tmp_path, story)


def test_strangers_that_say_anything_cost_their_connection_at_most(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        meta, _ = world.content(PIECE, PIECE)
        info = info_of(meta)
        node = await world.node(world.host())
        adding = seek(world, node, meta)
        await world.until(lambda: node.status().magnets)
        for _ in range(60):
            stranger = await Stranger.meet(world, world.host(), node, meta.info_hash)
            introduce(stranger, world.dice.choice([1, len(info), len(info) + 1, 20_000, None]))
            for _ in range(20):
                stranger.send(_anything(world, len(info)))
                await asyncio.sleep(0.01)
        (swarm,) = node._machinery.magnets.swarms.values()  # type: ignore[union-attr]
        assert len(swarm.peers) <= 60
        for peer in swarm.peers.values():
            assert len(peer.heard._have) <= 64 << 10
        assert not adding.done()
        honest = await Stranger.meet(world, world.host(), node, meta.info_hash)
        give(honest, len(info), pieces(info))
        torrent = await adding
        assert torrent.metainfo.info_hash == meta.info_hash

    simulate(tmp_path, story)


def _anything(world: World, size: int) -> bytes:
    dice = world.dice
    number = PieceIndex(dice.choice([0, 1, 7, 1000, 1 << 20]))
    said = MetadataPiece(dice.randrange(2), dice.choice([0, 1, size]), dice.randbytes(size))
    return dice.choice(
        [
            HaveAll(),
            HaveNone(),
            Unchoke(),
            Interested(),
            Have(number),
            AllowedFast(number),
            BitfieldMessage(dice.randbytes(dice.randrange(9))),
            Extended(NUMBERS[METADATA], said.encode()),
            Extended(NUMBERS[METADATA], MetadataReject(0).encode()),
            Extended(NUMBERS[METADATA], MetadataRequest(dice.randrange(3)).encode()),
            Extended(dice.randrange(9), dice.randbytes(9)),
        ]
    ).encode()


def test_requests_for_metadata_are_refused_while_there_is_none(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        meta, _ = world.content(PIECE, PIECE)
        node = await world.node(world.host())
        adding = seek(world, node, meta)
        await world.until(lambda: node.status().magnets)
        stranger = await Stranger.meet(world, world.host(), node, meta.info_hash)
        introduce(stranger)
        stranger.send(Extended(NUMBERS[METADATA], MetadataRequest(0).encode()))
        await stranger.until(lambda: len(stranger.all(Extended)) == 2)
        said = stranger.all(Extended)[1]
        assert (said.id, read_metadata(said.payload)) == (THEIR_NUMBER, MetadataReject(0))
        adding.cancel()

    simulate(tmp_path, story)


def test_when_all_places_are_taken_those_without_metadata_make_room(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        meta, _ = world.content(PIECE, PIECE)
        host = world.host()
        node = await world.node(world.host(), max_peers=2)
        adding = seek(world, node, meta)
        await world.until(lambda: node.status().magnets)
        useless = [await Stranger.meet(world, world.host(), node, meta.info_hash) for _ in range(2)]
        late = await Stranger.dial(world, world.host(), node)
        late.introduce(meta.info_hash, Reserved.ours(), PeerId.new(world.dice))
        await late.dropped(1)
        (swarm,) = node._machinery.magnets.swarms.values()  # type: ignore[union-attr]
        swarm.finding.add(Address(host.name, 46881))
        began = world.loop.now
        giver = await Stranger.receive(world, host, meta.info_hash)
        assert 29 < world.loop.now - began < 35
        assert any(stranger.over for stranger in useless)
        give(giver, len(info_of(meta)), pieces(info_of(meta)))
        await adding

    simulate(tmp_path, story)


def test_whoever_dials_a_magnet_is_asked_too(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        meta, _ = world.content(PIECE, PIECE)
        node = await world.node(world.host())
        adding = seek(world, node, meta)
        await world.until(lambda: node.status().magnets)
        assert node.status().magnets[0].name == "file"
        stranger = await Stranger.meet(world, world.host(), node, meta.info_hash)
        give(stranger, len(info_of(meta)), pieces(info_of(meta)))
        torrent = await adding
        await world.until(lambda: not node.status().magnets)
        assert len(torrent.peers) == 1

    simulate(tmp_path, story)


def test_of_a_private_torrent_only_tracked_and_named_peers_stay(tmp_path: Path) -> None:
    """BEP 27; that it is private is known when the metadata is."""

    async def story(world: World) -> None:
        meta = build(name="p", piece_length=PIECE, pieces=bytes(20), length=5, private=True)
        node = await world.node(world.host())
        hosts, receive = crowd(world, meta, 3)
        linked, named, tracked = hosts
        link = magnet_to(meta, linked)
        adding = asyncio.create_task(
            node.add(link, save_to=world.folder, peers=[Address(named.name, 46881)])
        )
        await world.until(lambda: node.status().magnets)
        finding = node._machinery.magnets.swarms[meta.info_hash].finding  # type: ignore[union-attr]
        finding.tracked(Address(tracked.name, 46881))
        strangers = await receive()
        slow, slow_host = Stranger(), world.host()
        world.loop.listeners[slow_host.name, 46881] = lambda: slow
        finding.found(Address(slow_host.name, 46881))
        await slow.until(lambda: len(slow.hello) == 68)
        dialer = await Stranger.meet(world, world.host(), node, meta.info_hash)
        give(strangers[1], len(info_of(meta)), pieces(info_of(meta)))
        torrent = await adding
        await dialer.dropped()
        slow.introduce(meta.info_hash, Reserved.ours(), PeerId.new(world.dice))
        await slow.dropped(5)
        await strangers[0].dropped()
        last = ExtendedHandshake.decode(_handshakes(strangers[2])[1])
        assert last.messages == {"ut_metadata": 0, "ut_pex": 0}
        assert {peer.address.host for peer in torrent.peers.values()} == {named.name, tracked.name}
        assert len(finding.book) == 2
        await world.until(lambda: not node.status().magnets)

    simulate(tmp_path, story)


def test_what_was_found_once_is_kept(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        meta, folder = world.content(PIECE, PIECE)
        node, host = await world.node(world.host()), world.host()
        fetching = asyncio.create_task(node.fetch_metadata(magnet_to(meta, host)))
        stranger = await Stranger.receive(world, host, meta.info_hash)
        give(stranger, len(info_of(meta)), pieces(info_of(meta)))
        assert (await fetching).info_hash == meta.info_hash
        await stranger.dropped()
        link = f"{magnet_to(meta)}&tr=http%3A%2F%2Flate%2F&ws=http%3A%2F%2Fseed%2F"
        again = await node.fetch_metadata(link)
        assert again.trackers == (("http://late/",),)
        assert again.web_seeds == ("http://seed/",)
        kept = node.settings.data_dir / "torrents" / f"{meta.info_hash}.torrent"
        torrent = await node.add(magnet_to(meta), data=folder)
        await torrent.finished()
        assert await node.fetch_metadata(magnet_to(meta)) is torrent.metainfo
        await node.remove(torrent)
        for junk in (b"junk", meta.raw.replace(b"file", b"life")):
            kept.write_bytes(junk)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(5):
                    await node.fetch_metadata(magnet_to(meta))

    simulate(tmp_path, story)


def test_a_magnet_is_given_up_with_its_node_and_refused_twice(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        meta, _ = world.content(PIECE, PIECE)
        node = await world.node(world.host())
        adding = seek(world, node, meta)
        await world.until(lambda: node.status().magnets)
        with pytest.raises(HostError, match="already"):
            await node.add(magnet_to(meta))
        stranger = await Stranger.meet(world, world.host(), node, meta.info_hash)
        await node.aclose()
        with pytest.raises(HostError, match="given up"):
            await adding
        await stranger.dropped()
        assert node._places.taken == 0

    simulate(tmp_path, story)


def test_a_seed_of_what_a_magnet_names_tells_its_peers_what_it_has(tmp_path: Path) -> None:
    """To the peers of the magnet it said that it has nothing: now they hear of each piece."""

    async def story(world: World) -> None:
        meta, folder = world.content(3 * PIECE, PIECE)
        node, host = await world.node(world.host()), world.host()
        adding = asyncio.create_task(node.add(magnet_to(meta, host), data=folder))
        stranger = await Stranger.receive(world, host, meta.info_hash)
        give(stranger, len(info_of(meta)), pieces(info_of(meta)))
        torrent = await adding
        await torrent.finished()
        await stranger.until(lambda: len(_haves(stranger)) == 3)

    simulate(tmp_path, story)


def _handshakes(stranger: Stranger) -> list[bytes]:
    return [message.payload for message in stranger.all(Extended) if message.id == 0]


def _haves(stranger: Stranger) -> list[object]:
    return [message for message in stranger.heard if type(message).__name__ == "Have"]
