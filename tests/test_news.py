"""Publishers and followers in virtual time: DHT, swarm, file and folders together."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from hashlib import sha1
from pathlib import Path

import pytest

from p2pswarm.discovery.dht.dht import Dht
from p2pswarm.discovery.dht.items import MutableItem, target_of
from p2pswarm.discovery.dht.publishing import get, put
from p2pswarm.disk.create import create
from p2pswarm.disk.feeds import FeedFile
from p2pswarm.errors import DiskError, FormatError, HostError, TwoStoriesError
from p2pswarm.following import Following, SupersededError
from p2pswarm.formats import feed
from p2pswarm.formats.building import Generation, build
from p2pswarm.formats.feed_link import FeedLink
from p2pswarm.formats.ids import Address
from p2pswarm.formats.metainfo import Metainfo
from p2pswarm.news import PUT_EVERY, News
from p2pswarm.node import Node
from p2pswarm.publishing import release
from p2pswarm.swarm.feed_newest import Complaint, value_of
from tests.support.feeds import Publisher
from tests.support.world import Host, World, simulate

ALICE = Publisher(1)
PIECE = 16 << 10


def torrent(number: int) -> Metainfo:
    return build(name=f"release {number}", piece_length=PIECE, pieces=bytes(20), length=number)


class Street:
    """Nodes of one DHT, and what they know of Alice's feed."""

    def __init__(self, world: World, stack: AsyncExitStack) -> None:
        self.world, self.stack = world, stack
        self.hosts: list[Host] = []
        self.complaints: list[Complaint] = []

    async def node(self, *, dht: bool = True, at: int = 0) -> Node:
        """`at`: whom of the others it knows."""
        self.hosts.append(self.world.host(delay=0.05))
        one = (Address(self.hosts[at].name, 46881),)
        return await self.world.node(self.hosts[-1], dht=dht, dht_bootstrap=one)

    async def news(self, node: Node, peers: Sequence[Host] = (), *, strict: bool = False) -> News:
        return await self.stack.enter_async_context(
            News(
                node,
                FeedLink(ALICE.name),
                FeedFile(self.file(node)),
                self.complaints.append,
                peers=[Address(each.name, 46881) for each in peers],
                strict=strict,
            )
        )

    def file(self, node: Node) -> Path:
        return self.world.folder / f"{node.settings.bind}.feed"


def test_a_release_is_heard_of_by_dht_and_by_swarm(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        async with AsyncExitStack() as stack:
            street = Street(world, stack)
            nodes = [await street.node() for _ in range(5)]
            alice = await street.news(nodes[1], strict=True)
            first = await release(alice, ALICE.key, torrent(1), 7)
            assert (await release(alice, ALICE.key, torrent(1), 8)) == first
            bob = await street.news(nodes[2])
            await world.until(lambda: bob.log.head == first, 100)
            await world.until(lambda: bob.newest.item, 400)
            second = await release(alice, ALICE.key, torrent(2), 9)
            await world.until(lambda: bob.log.head == second, 2)  # told at once
            assert second.previous == first.digest
            assert street.complaints == []

    simulate(tmp_path, story)


def test_followers_keep_a_feed_alive_whose_publisher_went_away(tmp_path: Path) -> None:
    """Log and item both: in the end nobody is left whom the publisher ever told."""

    async def story(world: World) -> None:
        async with AsyncExitStack() as stack:
            street = Street(world, stack)
            nodes = [await street.node() for _ in range(3)]
            alice = await street.news(nodes[1])
            entry = await release(alice, ALICE.key, torrent(1), 7)
            async with AsyncExitStack() as later:
                bob = await Street(world, later).news(nodes[2])
                await world.until(lambda: bob.newest.item and bob.log.head == entry, 400)
                for number in (0, 1):
                    world.unplug(street.hosts[number])
                others = [await street.node(at=2) for _ in range(3)]
                carol = await street.news(others[0])
                await world.until(lambda: carol.log.head == entry, 400)
                await asyncio.sleep(PUT_EVERY + 600)
            world.unplug(street.hosts[2])
            item = await get(_dht(others[1]), target_of(*ALICE.name))
            assert isinstance(item, MutableItem)
            assert item.value == value_of(entry)
            dave = await street.news(others[2])
            await world.until(lambda: dave.log.head == entry, 400)

    simulate(tmp_path, story)


def _dht(node: Node) -> Dht:
    assert node.dht is not None
    return node.dht


def test_what_is_known_is_kept(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        async with AsyncExitStack() as stack:
            street = Street(world, stack)
            node = await street.node(dht=False)
            async with AsyncExitStack() as before:
                alice = await Street(world, before).news(node)
                entry = await release(alice, ALICE.key, torrent(1), 7)
            again = await street.news(node, strict=True)
            assert again.log.head == entry
            assert again.newest.item is not None
            assert (await release(again, ALICE.key, torrent(2), 8)).sequence == 2

    simulate(tmp_path, story)


def test_nobody_hears_of_a_release_that_could_not_be_kept(tmp_path: Path) -> None:
    """Else the next one would have the same number, and contradict it."""

    async def story(world: World) -> None:
        async with AsyncExitStack() as stack:
            street = Street(world, stack)
            node = await street.node(dht=False)
            alice = await street.news(node, strict=True)
            street.file(node).mkdir()
            with pytest.raises(DiskError):
                await release(alice, ALICE.key, torrent(1), 7)
            assert alice.log.entries == []
            street.file(node).rmdir()
            assert (await release(alice, ALICE.key, torrent(2), 7)).sequence == 1

    simulate(tmp_path, story)


def test_a_log_that_is_damaged_is_begun_anew_by_a_follower_and_not_by_its_publisher(
    tmp_path: Path,
) -> None:
    async def story(world: World) -> None:
        async with AsyncExitStack() as stack:
            street = Street(world, stack)
            node = await street.node(dht=False)
            street.file(node).write_bytes(b"d3:logi7ee")
            with pytest.raises(FormatError, match="feed"):
                await street.news(node, strict=True)
            assert (await street.news(node)).log.entries == []

    simulate(tmp_path, story)


def test_a_publisher_who_lost_the_log_gets_it_from_followers_before_signing(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        async with AsyncExitStack() as stack:
            street = Street(world, stack)
            nodes = [await street.node() for _ in range(4)]
            async with AsyncExitStack() as home:
                alice = await Street(world, home).news(nodes[1])
                await release(alice, ALICE.key, torrent(1), 7)
                bob = await street.news(nodes[2])
                await world.until(lambda: bob.log.head, 400)
            street.file(nodes[1]).unlink()
            alice = await street.news(nodes[1], strict=True)
            assert (await release(alice, ALICE.key, torrent(2), 8)).sequence == 2
            await world.until(lambda: len(bob.log.entries) == 2, 10)
            assert bob.log.proof is None

    simulate(tmp_path, story)


def test_a_publisher_whose_log_nobody_has_signs_nothing(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        async with AsyncExitStack() as stack:
            street = Street(world, stack)
            nodes = [await street.node() for _ in range(4)]
            old = MutableItem.signed(ALICE.key, value_of(ALICE.entry()), 5)
            await asyncio.sleep(30)
            _, took = await put(_dht(nodes[2]), target_of(*ALICE.name), lambda _: old)
            assert took
            alice = await street.news(nodes[1], strict=True)
            with pytest.raises(HostError, match="contradict"):
                await release(alice, ALICE.key, torrent(1), 7)
            assert alice.log.entries == []

    simulate(tmp_path, story)


def test_who_publishes_from_two_places_is_found_out(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        async with AsyncExitStack() as stack:
            street = Street(world, stack)
            nodes = [await street.node(dht=False) for _ in range(3)]
            here, there = [await street.news(node) for node in nodes[:2]]
            await release(here, ALICE.key, torrent(1), 7)
            await release(there, ALICE.key, torrent(2), 7)
            bob = await street.news(nodes[2], street.hosts[:2])
            await world.until(lambda: bob.log.proof and here.log.proof and there.log.proof)
            with pytest.raises(TwoStoriesError):
                await release(here, ALICE.key, torrent(3), 8)
            await asyncio.sleep(10)
            assert {complaint.kind for complaint in street.complaints} == {"rewritten"}
            assert len(street.complaints) == 3  # each says it once

    simulate(tmp_path, story)


def test_an_entry_that_is_withheld_is_told(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        async with AsyncExitStack() as stack:
            street = Street(world, stack)
            nodes = [await street.node() for _ in range(4)]
            alice = await street.news(nodes[1])
            first = await release(alice, ALICE.key, torrent(1), 7)
            bob = await street.news(nodes[2])
            await world.until(lambda: bob.log.head == first, 400)
            hidden = ALICE.entry(ALICE.entry(first, "hidden"), "hidden too")
            item = MutableItem.signed(ALICE.key, value_of(hidden), hidden.sequence)
            await put(_dht(nodes[3]), target_of(*ALICE.name), lambda _: item)
            await world.until(lambda: street.complaints, 1000)
            assert street.complaints[0].kind == "withheld"
            newest = bob.newest.release
            assert newest is not None
            assert newest.sequence == 3  # it is signed, and followed

    simulate(tmp_path, story)


class Publishing:
    """Alice gives releases of one file from a folder of her own; Bob follows."""

    def __init__(self, street: Street, alice: Node, bob: Node) -> None:
        self.street, self.alice, self.bob = street, alice, bob
        self.count = 0

    async def give(self, news: News, data: bytes) -> feed.Entry:
        self.count += 1
        folder = self.street.world.folder / f"alice-{self.count}"
        folder.mkdir()
        (folder / "file").write_bytes(data)
        meta = _torrent_of(data)
        await (await self.alice.add(meta, data=folder)).finished()
        return await release(news, ALICE.key, meta, 7)


def _torrent_of(data: bytes) -> Metainfo:
    pieces = [data[at : at + PIECE] for at in range(0, len(data), PIECE)]
    hashes = b"".join(sha1(piece).digest() for piece in pieces)
    return build(name="file", piece_length=PIECE, pieces=hashes, length=len(data))


def test_each_release_has_a_folder_and_latest_points_to_the_last_whole_one(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        async with AsyncExitStack() as stack:
            street = Street(world, stack)
            nodes = [await street.node(dht=False) for _ in range(2)]
            giving, peers = Publishing(street, *nodes), [Address(street.hosts[0].name, 46881)]
            alice = await street.news(nodes[0])
            bob = await street.news(nodes[1], street.hosts[:1])
            following = Following(nodes[1], bob, tmp_path / "out")
            for number, data in enumerate([b"one" * 10_000, b"two" * 10_000], 1):
                await giving.give(alice, data)
                newest = await following.next_release()
                assert newest.sequence == number
                torrent = await following.begin(newest, peers)
                await torrent.finished()
                following.settle(newest)
                assert (tmp_path / "out" / "latest" / "file").read_bytes() == data
                assert following.latest == tmp_path / "out" / str(number)
            assert (tmp_path / "out" / "1" / "file").read_bytes() == b"one" * 10_000
            assert len(nodes[1].torrents) == 1

    simulate(tmp_path, story)


def test_a_release_that_nobody_has_is_left_for_a_newer_one(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        async with AsyncExitStack() as stack:
            street = Street(world, stack)
            nodes = [await street.node(dht=False) for _ in range(2)]
            alice = await street.news(nodes[0])
            bob = await street.news(nodes[1], street.hosts[:1])
            following = Following(nodes[1], bob, tmp_path / "out")
            await release(alice, ALICE.key, torrent(1), 7)
            newest = await following.next_release()
            waiting = asyncio.create_task(following.unless_superseded(following.begin(newest, [])))
            await asyncio.sleep(20)
            assert not waiting.done()
            await release(alice, ALICE.key, torrent(2), 8)
            with pytest.raises(SupersededError):
                await waiting
            assert (await following.next_release()).sequence == 2
            assert not nodes[1].torrents
            assert following.latest is None

    simulate(tmp_path, story)


MANY = 1000


def folder_of(world: World, number: int, files: dict[str, bytes]) -> tuple[Metainfo, Path]:
    """A hybrid torrent of these files, and the folder that it lies in."""
    folder = world.folder / f"alice-{number}"
    (folder / "many").mkdir(parents=True)
    for name, data in files.items():
        (folder / "many" / name).write_bytes(data)
    return create(folder / "many", generation=Generation.HYBRID, piece_length=PIECE), folder


def test_an_update_of_one_file_in_a_thousand_downloads_that_file_only(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        async with AsyncExitStack() as stack:
            street = Street(world, stack)
            nodes = [await street.node(dht=False) for _ in range(2)]
            peers = [Address(street.hosts[0].name, 46881)]
            alice, bob = await street.news(nodes[0]), await street.news(nodes[1], street.hosts[:1])
            files = {f"{n:03}": world.dice.randbytes(2000 + n) for n in range(MANY)}
            came = []
            for number in (1, 2):
                meta, folder = folder_of(world, number, files)
                given = await nodes[0].add(meta, data=folder)
                await given.finished()
                await release(alice, ALICE.key, meta, 7)
                following = Following(nodes[1], bob, tmp_path / "out")  # as after a restart
                newest = await following.next_release()
                while newest.sequence < number:
                    newest = await following.next_release()
                torrent = await following.begin(newest, peers)
                await torrent.finished()
                following.settle(newest)
                await nodes[1].remove(torrent)
                came.append((torrent.status().downloaded, given.status().uploaded))
                files["500"] = b"new" * 700
            latest = tmp_path / "out" / "latest" / "many"
            assert {path.name: path.read_bytes() for path in latest.iterdir()} == files
            everything = sum(2000 + n for n in range(MANY))
            (first, up), (second, up_again) = came
            assert everything <= first == up
            assert 2100 <= second == up_again <= PIECE  # its bytes, and zeros after them at most

    simulate(tmp_path, story)
