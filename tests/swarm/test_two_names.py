"""Torrents of version 2 and hybrids among nodes of ours, in virtual time: who meets whom by which name."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from p2pswarm.errors import FormatError, HostError
from p2pswarm.formats.ids import Address, InfoHash, PieceIndex
from p2pswarm.formats.magnet import Magnet
from p2pswarm.formats.metainfo import Metainfo
from p2pswarm.formats.names import Names
from p2pswarm.node import Node
from p2pswarm.swarm.heard import MOST_PIECES
from p2pswarm.swarm.torrent import Torrent
from p2pswarm.wire.peer import HANDSHAKE, BitfieldMessage, Have, Reserved
from tests.support.generations import PIECE, contents, generation
from tests.support.givers import give, info_of, pieces
from tests.support.stranger import Stranger
from tests.support.world import Host, World, simulate
from tests.swarm.test_dialer import dials_of

FILES = {"a": contents(3 * PIECE + 5), "b/c": contents(PIECE, 1), "d": contents(100, 2)}
HYBRID = Metainfo.from_bytes(generation(FILES, v1=True))
SECOND = Metainfo.from_bytes(generation(FILES))
V1, V2 = HYBRID.names


def written(world: World) -> Path:
    """The folder that the files' folder lies in."""
    for name, data in FILES.items():
        path = world.folder / "seed" / "t" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return world.folder / "seed"


def at(*hosts: Host) -> tuple[Address, ...]:
    return tuple(Address(host.name, 46881) for host in hosts)


async def seeding(world: World, meta: Metainfo, **settings: Any) -> tuple[Torrent, Host]:
    host = world.host()
    node = await world.node(host, **settings)
    torrent = await node.add(meta, data=written(world))
    await world.until(lambda: torrent.ready)
    return torrent, host


def kept(world: World, node: Node) -> dict[str, bytes]:
    root = world.folder / node.settings.bind / "t"
    return {name: (root / name).read_bytes() for name in FILES}


@pytest.mark.parametrize("encryption", ["off", "prefer", "require"])
@pytest.mark.parametrize("meta", [HYBRID, SECOND], ids=["hybrid", "v2"])
def test_two_of_ours_speak_version_2(meta: Metainfo, encryption: str, tmp_path: Path) -> None:
    async def story(world: World) -> None:
        _, home = await seeding(world, meta, encryption=encryption)
        node = await world.node(world.host(), encryption=encryption)
        torrent = await world.download(node, meta, home)
        async with asyncio.timeout(5):
            await torrent.finished()
        assert kept(world, node) == FILES
        assert torrent.finding.book.is_v2(at(home)[0])

    simulate(tmp_path, story)


@pytest.mark.parametrize("theirs", [Reserved.ours(), Reserved.ours(v2=True)])
@pytest.mark.parametrize("asked", [V1, V2])
def test_a_hybrid_answers_to_both_names(theirs: Reserved, asked: InfoHash, tmp_path: Path) -> None:
    async def story(world: World) -> None:
        torrent, _ = await seeding(world, HYBRID)
        (node,) = world.nodes
        stranger = await Stranger.meet(world, world.host(), node, asked, reserved=theirs)
        answered = InfoHash(stranger.hello[28:48])
        assert answered == (V2 if theirs.v2 else asked)
        assert node.torrents[V1] is node.torrents[V2] is torrent
        assert list(node.torrents) == [V1]
        await node.remove(torrent)
        assert not node.torrents
        assert V2 not in node.torrents

    simulate(tmp_path, story)


def test_a_torrent_of_version_2_has_one_name(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await seeding(world, SECOND)
        (node,) = world.nodes
        stranger = await Stranger.meet(world, world.host(), node, SECOND.info_hash)
        assert stranger.hello[28:48] == V2_ONLY
        assert list(node.torrents) == [V2_ONLY]
        assert not Reserved(stranger.hello[20:28]).v2

    simulate(tmp_path, story)


(V2_ONLY,) = SECOND.names


def hellos(dials: list[Any]) -> list[tuple[InfoHash, bool]]:
    """Which name each connection asked for, and whether it offered version 2."""
    heard = [bytes(who.heard) for _, who in dials]
    assert all(each.startswith(HANDSHAKE) for each in heard)
    return [(InfoHash(each[28:48]), Reserved(each[20:28]).v2) for each in heard]


@pytest.mark.parametrize(
    ("meta", "in_v2", "asked"),
    [
        (HYBRID, False, [(V1, True), (V1, False), (V2, False), (V1, True)]),
        (HYBRID, True, [(V2, False), (V1, True), (V1, True), (V1, False)]),
        (SECOND, True, [(V2_ONLY, False), (V2_ONLY, False)]),
    ],
    ids=["of the first swarm", "of the second", "of version 2"],
)
def test_who_hangs_up_is_asked_another_way(
    meta: Metainfo, in_v2: bool, asked: list[tuple[InfoHash, bool]], tmp_path: Path
) -> None:
    """libtorrent hangs up on each offer where it does not know that the torrent is a hybrid."""

    async def story(world: World) -> None:
        victim = world.host()
        dials = dials_of(world, victim, lambda transport, _: transport.close())
        torrent = await world.download(await world.node(world.host(), encryption="off"), meta)
        await world.until(lambda: torrent.ready)
        torrent.finding.found(at(victim)[0], v2=in_v2)
        await asyncio.sleep(1200)
        assert hellos(dials) == asked

    simulate(tmp_path, story)


def test_one_of_version_1_only_is_a_peer_all_the_same(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        old = world.host()
        torrent = await world.download(
            await world.node(world.host(), encryption="off"), HYBRID, old
        )
        stranger = await Stranger.receive(world, old, V1)
        await world.until(lambda: torrent.peers)
        assert Reserved(stranger.hello[20:28]).v2
        assert not torrent.finding.book.is_v2(at(old)[0])

    simulate(tmp_path, story)


def overlooks_offers(transport: asyncio.Transport, heard: bytes) -> None:
    """As libtorrent 2.1 does inside an obfuscated handshake; who says a name has an answer by that name."""
    if len(heard) == 68:
        asked = InfoHash(heard[28:48])
        transport.write(HANDSHAKE + Reserved.ours(v2=asked == V1) + asked + b"-LT2110-another peer")


def test_who_overlooks_our_offer_and_makes_one_is_asked_by_the_second_name(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        there = world.host()
        dials = dials_of(world, there, overlooks_offers)
        node = await world.node(world.host(), encryption="off")
        torrent = await world.download(node, HYBRID, there)
        await world.until(lambda: torrent.peers)
        assert [heard[0] for heard in hellos(dials)] == [V1, V2]
        assert dials[0][1]._transport.is_closing()
        assert torrent.finding.book.is_v2(at(there)[0])

    simulate(tmp_path, story)


def overlooks_offers_once(transport: asyncio.Transport, heard: bytes) -> None:
    if heard[28:48] == V2:
        transport.close()
    else:
        overlooks_offers(transport, heard)


def test_who_does_not_keep_to_its_offer_is_a_peer_of_version_1(tmp_path: Path) -> None:
    """It is not taken at its word again, and not asked without end."""

    async def story(world: World) -> None:
        there = world.host()
        dials = dials_of(world, there, overlooks_offers_once)
        node = await world.node(world.host(), encryption="off")
        torrent = await world.download(node, HYBRID, there)
        await world.until(lambda: torrent.peers)
        assert [heard[0] for heard in hellos(dials)] == [V1, V2, V2, V1]
        assert not torrent.finding.book.is_v2(at(there)[0])

    simulate(tmp_path, story)


def test_both_swarms_are_searched_and_what_they_name_is_told_apart(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        hosts = [world.host() for _ in range(3)]
        nodes = [await world.node(each, dht=True, dht_bootstrap=at(hosts[0])) for each in hosts]
        for node in nodes[1:]:
            await node.add(HYBRID, data=written(world))
        await asyncio.sleep(60)
        for name in HYBRID.names:
            found: set[Address] = set()
            assert nodes[0].dht is not None
            await nodes[0].dht.peers(name, found.add)
            assert {each.host for each in found} == {host.name for host in hosts[1:]}
        (torrent,) = nodes[1].torrents.values()
        assert torrent.finding.book.is_v2(at(hosts[2])[0])
        assert len(torrent.peers) <= 1

    simulate(tmp_path, story)


# Magnets

BOTH = Names.of(HYBRID)
WAYS = [Names(BOTH.v1), Names(None, BOTH.v2), BOTH, Names(BOTH.short)]


@pytest.mark.parametrize("names", WAYS, ids=["btih", "btmh", "both", "short"])
def test_a_hybrid_is_had_by_any_of_its_links(names: Names, tmp_path: Path) -> None:
    async def story(world: World) -> None:
        seed, home = await seeding(world, HYBRID)
        node = await world.node(world.host())
        folder = world.folder / node.settings.bind
        magnet = Magnet(*names, peers=at(home))
        async with asyncio.timeout(10):
            torrent = await node.add(magnet, save_to=folder)
            await torrent.finished()
        assert kept(world, node) == FILES
        assert torrent.finding.names == BOTH
        assert [peer.v2 for peer in torrent.peers.values()] == [names.v2 is not None]
        assert torrent.metainfo.layers == HYBRID.layers, "told, or followed from good pieces"
        assert len(torrent.finding.trackers) == 2
        assert len(seed.peers) == 1
        assert list(node.torrents) == [V1]
        stranger = await Stranger.meet(world, world.host(), node, V2)
        assert stranger.hello[28:48] == V2
        with pytest.raises(HostError, match="already"):
            await node.add(Magnet(v2=BOTH.v2))
        assert (await node.fetch_metadata(Magnet(v2=BOTH.v2))).names == HYBRID.names

    simulate(tmp_path, story)


def test_two_links_at_once_do_not_disturb_each_other(tmp_path: Path) -> None:
    """The later one finds its torrent here, and leaves a swarm in which the other goes on."""

    async def story(world: World) -> None:
        _, home = await seeding(world, HYBRID, dht=True)
        node = await world.node(world.host(), dht=True, dht_bootstrap=at(home))
        folder = world.folder / node.settings.bind
        links = [Magnet(names.v1, names.v2, peers=at(home)) for names in WAYS[:2]]
        adding = (node.add(link, save_to=folder) for link in links)
        async with asyncio.timeout(10):
            outcomes = await asyncio.gather(*adding, return_exceptions=True)
        assert sorted(type(each).__name__ for each in outcomes) == ["HostError", "Torrent"]
        (torrent,) = node.torrents.values()
        assert not node.status().magnets
        late = Address(home.name, 7777)
        seed, other = world.nodes[0].dht, node.dht
        assert seed is not None
        assert other is not None
        await world.until(lambda: set(other._swarms) == {V1, V2})
        for name in (V1, V2):
            await seed.announce(name, late.port, lambda _: None)
            assert torrent.finding.book.is_v2(late) == (name == V2)
        stranger = await Stranger.meet(world, world.host(), node, V2)
        assert stranger.hello[28:48] == V2

    simulate(tmp_path, story)


def test_what_one_link_found_is_kept_for_the_other(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        _, home = await seeding(world, HYBRID)
        node = await world.node(world.host())
        await node.fetch_metadata(Magnet(BOTH.v1, peers=at(home)))
        assert (await node.fetch_metadata(Magnet(v2=BOTH.v2))).names == HYBRID.names

    simulate(tmp_path, story)


def test_a_link_with_names_of_two_torrents_is_told_to_be_one(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        home, info = world.host(), info_of(HYBRID)
        node = await world.node(world.host(), encryption="off")
        magnet = Magnet(BOTH.v1, Names.of(SECOND).v2, peers=at(home))
        asking = asyncio.create_task(node.fetch_metadata(magnet))
        give(await Stranger.receive(world, home, V1), len(info), pieces(info))
        async with asyncio.timeout(10):
            with pytest.raises(FormatError, match="different torrents"):
                await asking
        assert not node.status().magnets

    simulate(tmp_path, story)


@pytest.mark.parametrize("names", [Names(None, SECOND.v2), Names(V2_ONLY)], ids=["whole", "short"])
def test_a_magnet_of_version_2_learns_the_layers_and_keeps_them(
    names: Names, tmp_path: Path
) -> None:
    """They are outside of what it got as metadata; the same connection gives both."""

    async def story(world: World) -> None:
        seed, home = await seeding(world, SECOND)
        node = await world.node(world.host())
        folder = world.folder / node.settings.bind
        async with asyncio.timeout(10):
            link = Magnet(names.v1, v2=names.v2, peers=at(home))
            torrent = await node.add(link, save_to=folder)
            await torrent.finished()
        assert kept(world, node) == FILES
        assert len(seed.peers) == 1
        again = await node.fetch_metadata(Magnet(names.v1, v2=names.v2))
        assert again.layers == SECOND.layers
        await node.remove(torrent)
        (saved,) = (node.settings.data_dir / "torrents").iterdir()
        assert saved.name == f"{V2_ONLY}.torrent"
        assert Metainfo.from_file(saved).layers == SECOND.layers
        for link in (Magnet.of(SECOND), Magnet(V2_ONLY)):
            assert (await node.fetch_metadata(link)).layers == SECOND.layers

    simulate(tmp_path, story)


def test_while_its_files_are_checked_a_torrent_is_known_by_the_name_that_was_learned(
    tmp_path: Path,
) -> None:
    async def story(world: World) -> None:
        _, home = await seeding(world, HYBRID)
        node = await world.node(world.host())
        folder = world.folder / node.settings.bind
        await node.add(Magnet(BOTH.v1, peers=at(home)), save_to=folder)
        swarms = node._machinery.magnets.swarms  # type: ignore[union-attr]
        assert list(swarms) == [V1]
        assert swarms[V2] is swarms[V1]
        await world.until(lambda: not swarms)

    simulate(tmp_path, story)


def test_version_2_alone_may_have_more_pieces_than_its_metadata_has_room_for(
    tmp_path: Path,
) -> None:
    """Their hashes are elsewhere. Of a hybrid's pieces the SHA-1s are there."""

    async def story(world: World) -> None:
        for names, stays in ((Names(None, bytes(32)), True), (Names(V1, bytes(32)), False)):
            node = await world.node(world.host())
            adding = asyncio.create_task(node.add(Magnet(*names)))
            await asyncio.sleep(0.1)
            stranger = await Stranger.meet(world, world.host(), node, names.swarms[0])
            stranger.send(Have(PieceIndex(MOST_PIECES)))
            stranger.send(BitfieldMessage(bytes(MOST_PIECES // 8 + 100)))
            await asyncio.sleep(1)
            assert stranger.over != stays
            await node.aclose()
            with pytest.raises(HostError):
                await adding

    simulate(tmp_path, story)
