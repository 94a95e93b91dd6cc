"""Files through a call: they arrive whole, go on where they stopped, and nothing else comes with them."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from p2pswarm.calling.call import Call
from p2pswarm.calling.giving import Giving
from p2pswarm.calling.packing import packed, secret_for
from p2pswarm.calling.parcels import Results, described
from p2pswarm.calling.taking import Taking
from p2pswarm.errors import NetworkError, RemoteError, RemoteProtocolError
from p2pswarm.formats.metainfo import Metainfo
from p2pswarm.formats.signing import SigningKey
from p2pswarm.lab.loop import VirtualLoop, play
from p2pswarm.swarm.torrent import Torrent
from p2pswarm.wire.calling.parcels import SEND, Bytes, Offer, Open, Parcel, Take, TorrentPart
from tests.support.phones import Exchange
from tests.support.world import World

if TYPE_CHECKING:
    from p2pswarm.calling.phone import Incoming

SECRET = "00" * 16


def nothing(done: int, total: int) -> None:
    """Nobody watches."""


class Street:
    """Alice has files, Bob a folder; both have a node and a telephone."""

    def __init__(self, loop: VirtualLoop, folder: Path) -> None:
        self.exchange = Exchange(loop, folder)
        self.world = World(folder, loop, 7)
        self.files, self.inbox = folder / "files", folder / "inbox"
        self.files.mkdir()
        self.inbox.mkdir()
        self.taken: list[Torrent] = []

    async def open(self) -> None:
        self.alice = await self.world.node(self.world.host())
        self.bob = await self.world.node(self.world.host())

    async def close(self) -> None:
        for node in (self.alice, self.bob):
            await node.aclose()

    def write(self, name: str, size: int) -> Path:
        path = self.files / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(self.world.dice.randbytes(size))
        return path

    async def seeds(self, *paths: Path) -> list[Torrent]:
        torrents = []
        for path in paths:
            torrents.append(await self.alice.add(packed(path, SECRET, nothing), data=path))
            await torrents[-1].finished()
        return torrents

    async def add(self, metainfo: Metainfo) -> Torrent:
        return await self.bob.add(metainfo, save_to=self.inbox)

    async def calls(self) -> tuple[Call, Call]:
        """Not opened yet."""
        came: asyncio.Queue[Incoming] = asyncio.Queue()
        self.exchange.bob.phone.on_incoming = came.put_nowait
        calling = asyncio.create_task(self.exchange.alice.phone.call("bob", SEND))
        far = await self.exchange.bob.phone.answer(await came.get())
        return await calling, far

    async def send(
        self, torrents: Sequence[Torrent], take: Callable[[Offer], Sequence[int]], **changes: Any
    ) -> tuple[Results | BaseException, Results | BaseException]:
        """What both sides say of it in the end."""

        async def decide(offer: Offer) -> Sequence[int]:
            return take(offer)

        near, far = await self.calls()
        giving = Giving(near, self.alice.me, torrents)
        taking = Taking(far, self.bob, decide, changes.get("add", self.add), self.taken.append)
        await asyncio.gather(near.open(), far.open())
        ends = await asyncio.gather(giving.run(), taking.run(), return_exceptions=True)
        await asyncio.gather(near.hang_up(), far.hang_up())
        return ends[0], ends[1]


def told(folder: Path, story: Callable[[Street], Awaitable[None]]) -> None:
    async def begin(loop: VirtualLoop) -> None:
        street = Street(loop, folder)
        await street.open()
        try:
            await story(street)
        finally:
            await street.close()

    play(begin)


def test_a_file_and_a_folder_arrive(tmp_path: Path) -> None:
    async def story(street: Street) -> None:
        film = street.write("film.mp4", 3 << 20)
        street.write("photos/a.jpg", 40_000)
        street.write("photos/sub/b.jpg", 70_000)
        torrents = await street.seeds(film, street.files / "photos")
        offers: list[Offer] = []

        def all_of(offer: Offer) -> Sequence[int]:
            offers.append(offer)
            return range(len(offer.parcels))

        ends = await street.send(torrents, all_of)
        assert ends == ({"film.mp4": "", "photos": ""}, {"film.mp4": "", "photos": ""})
        assert [each.name for each in offers[0].parcels] == ["film.mp4", "photos"]
        assert offers[0].parcels[0].size == 3 << 20
        for name in ("film.mp4", "photos/a.jpg", "photos/sub/b.jpg"):
            assert (street.inbox / name).read_bytes() == (street.files / name).read_bytes()
        assert not street.bob.torrents

    told(tmp_path, story)


def test_only_what_is_taken_comes(tmp_path: Path) -> None:
    async def story(street: Street) -> None:
        torrents = await street.seeds(street.write("a", 1000), street.write("b", 1000))
        given, taken = await street.send(torrents, lambda offer: [1])
        assert (given, taken) == ({"a": "not taken", "b": ""}, {"b": ""})
        assert [path.name for path in street.inbox.iterdir()] == ["b"]
        given, taken = await street.send(torrents, lambda offer: [])
        assert (given, taken) == ({"a": "not taken", "b": "not taken"}, {})

    told(tmp_path, story)


def test_it_goes_on_where_it_stopped(tmp_path: Path) -> None:
    async def story(street: Street) -> None:
        [torrent] = torrents = await street.seeds(street.write("film.mp4", 4 << 20))

        async def hang_up(near: Call) -> None:
            await street.world.until(lambda: street.taken and street.taken[0].status().have > 3)
            await near.close()

        near, far = await street.calls()

        async def decide(offer: Offer) -> Sequence[int]:
            return [0]

        giving = Giving(near, street.alice.me, torrents)
        taking = Taking(far, street.bob, decide, street.add, street.taken.append)
        await asyncio.gather(near.open(), far.open())
        ends = await asyncio.gather(
            giving.run(), taking.run(), hang_up(near), return_exceptions=True
        )
        assert isinstance(ends[0], NetworkError)
        assert isinstance(ends[1], NetworkError)
        await far.close()
        had = street.taken[0].status().have
        assert 3 < had < torrent.status().pieces
        before = torrent.status().uploaded
        given, _ = await street.send(torrents, lambda offer: [0])
        assert given == {"film.mp4": ""}
        again = torrent.status().uploaded - before
        assert again == (4 << 20) - had * torrent.metainfo.piece_length
        assert (street.inbox / "film.mp4").read_bytes() == (street.files / "film.mp4").read_bytes()

    told(tmp_path, story)


def test_the_path_may_change_under_it(tmp_path: Path) -> None:
    async def story(street: Street) -> None:
        torrents = await street.seeds(street.write("film.mp4", 4 << 20))

        def take(offer: Offer) -> Sequence[int]:
            asyncio.get_running_loop().call_later(0.1, street.exchange.ways.cut)
            return [0]

        given, taken = await street.send(torrents, take)
        assert len(street.exchange.ways.made) == 2
        assert given == taken == {"film.mp4": ""}
        assert (street.inbox / "film.mp4").read_bytes() == (street.files / "film.mp4").read_bytes()

    told(tmp_path, story)


def test_what_cannot_be_written_is_told_to_both(tmp_path: Path) -> None:
    async def story(street: Street) -> None:
        torrents = await street.seeds(street.write("a", 1000), street.write("b", 1000))
        (street.inbox / "a").mkdir()
        (street.inbox / "a" / "mine").write_text("mine")
        given, taken = await street.send(torrents, lambda offer: [0, 1])
        assert isinstance(given, dict)
        assert isinstance(taken, dict)
        assert taken["b"] == given["b"] == ""
        assert taken["a"] == given["a"] != ""
        assert (street.inbox / "a" / "mine").read_text() == "mine"

    told(tmp_path, story)


def test_several_people_get_the_same_from_one_torrent(tmp_path: Path) -> None:
    async def story(street: Street) -> None:
        torrents = await street.seeds(street.write("a", 100_000))
        for number in range(2):
            street.inbox = tmp_path / f"inbox {number}"
            street.inbox.mkdir()
            given, _ = await street.send(torrents, lambda offer: [0])
            assert given == {"a": ""}
        assert len(street.alice.torrents) == 1

    told(tmp_path, story)


@pytest.mark.parametrize(
    "change",
    [
        {"trackers": [["http://192.0.2.1/announce"]]},
        {"web_seeds": ["http://192.0.2.1/film"]},
        {"private": False},
        {"name": "other"},
        {"junk": True},
    ],
)
def test_a_torrent_that_would_have_us_ask_others_is_refused(
    tmp_path: Path, change: dict[str, Any]
) -> None:
    async def story(street: Street) -> None:
        [torrent] = torrents = await street.seeds(street.write("film", 1000))
        torrent.metainfo = _changed(torrent.metainfo, street.files / "film", **change)

        async def never(metainfo: Metainfo) -> Torrent:
            raise AssertionError

        _given, taken = await street.send(torrents, lambda offer: [0], add=never)
        assert isinstance(taken, dict)
        [why] = taken.values()
        assert why

    told(tmp_path, story)


def _changed(metainfo: Metainfo, path: Path, **change: Any) -> Metainfo:
    from p2pswarm.disk.create import create
    from p2pswarm.formats.building import Generation

    if "junk" in change:
        return replace(metainfo, raw=b"junk" * 100)
    if "name" in change:
        return replace(metainfo, name="other")
    said = {"private": True, **change}
    if "trackers" in said:
        said["trackers"] = said["trackers"][0]
    return create(path, generation=Generation.HYBRID, **said)


@pytest.mark.parametrize(
    "lies",
    [
        [Take((1,))],
        [Take((0,)), Take((0,))],
        [Take((0,)), Open(1, 5)],
        [Open(1, 0)],
        [Take((0,)), *[Open(number, 0) for number in range(12)]],
        [Take((0,)), Open(1, 0), Open(1, 0)],
    ],
)
def test_who_takes_in_a_wrong_way_ends_it(tmp_path: Path, lies: list[Any]) -> None:
    async def story(street: Street) -> None:
        torrents = await street.seeds(street.write("film", 100_000))
        near, far = await street.calls()
        giving = Giving(near, street.alice.me, torrents)
        await asyncio.gather(near.open(), far.open())
        for lie in lies:
            far.line.say(lie.kind, lie.encode())
        with pytest.raises(RemoteProtocolError):
            await asyncio.wait_for(giving.run(), 20)
        await asyncio.gather(near.close(), far.close())

    told(tmp_path, story)


def test_who_never_says_what_he_takes_is_left(tmp_path: Path) -> None:
    async def story(street: Street) -> None:
        torrents = await street.seeds(street.write("film", 1000))
        near, far = await street.calls()
        await asyncio.gather(near.open(), far.open())
        far.listen(lambda text: None)
        with pytest.raises(NetworkError, match="does not say what to do with it"):
            await asyncio.wait_for(Giving(near, street.alice.me, torrents).run(), 400)
        await asyncio.gather(near.close(), far.close())

    told(tmp_path, story)


@pytest.mark.parametrize(
    "lies",
    [
        [TorrentPart(0, b"x")],
        [Offer((Parcel("a", 1, 1, 100),)), Offer((Parcel("a", 1, 1, 100),))],
        [Offer((Parcel("a", 1, 1, 100),)), TorrentPart(0, b"x" * 101)],
        [Offer((Parcel("a", 1, 1, 100),)), TorrentPart(1, b"x")],
    ],
)
def test_who_gives_in_a_wrong_way_ends_it(tmp_path: Path, lies: list[Any]) -> None:
    async def story(street: Street) -> None:
        async def decide(offer: Offer) -> Sequence[int]:
            return [0]

        near, far = await street.calls()
        taking = Taking(far, street.bob, decide, street.add)
        await asyncio.gather(near.open(), far.open())
        running = asyncio.create_task(taking.run())
        for lie in lies:
            near.line.say(lie.kind, lie.encode())
            await asyncio.sleep(1)
        with pytest.raises(RemoteError):
            await asyncio.wait_for(running, 20)
        await asyncio.gather(near.close(), far.close())

    told(tmp_path, story)


def test_whoever_does_not_hold_is_cut_off(tmp_path: Path) -> None:
    async def story(street: Street) -> None:
        [_torrent] = torrents = await street.seeds(street.write("film", 100_000))
        near, far = await street.calls()
        giving = Giving(near, street.alice.me, torrents)
        await asyncio.gather(near.open(), far.open())
        running = asyncio.create_task(giving.run())
        for said in (Take((0,)), Open(1, 0)):
            far.line.say(said.kind, said.encode())
        await asyncio.sleep(1)
        giving._tunnels[1].pause_reading()
        flood = Bytes(1, bytes(Bytes.most))

        async def say_for_ever() -> None:
            while True:
                await far.line.room()
                far.line.say(flood.kind, flood.encode())

        with pytest.raises(TimeoutError):
            await asyncio.wait_for(say_for_ever(), 10)
        assert len(giving._tunnels[1]._in) < 2 << 20
        giving._tunnels[1]._in += bytes(2 << 20)
        giving._holds = False
        near.line.free()
        await asyncio.sleep(1)
        far.line.say(flood.kind, flood.encode())
        with pytest.raises(RemoteProtocolError, match="more than was asked for"):
            await asyncio.wait_for(running, 20)
        await asyncio.gather(near.close(), far.close())

    told(tmp_path, story)


def test_the_same_files_have_the_same_torrent_for_the_same_people(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x" * 1000)
    key, other = SigningKey(bytes(32)), SigningKey(b"1" * 32)
    secrets = [
        secret_for(key, ["bob", "carol"]),
        secret_for(key, ["carol", "bob"]),
        secret_for(key, ["bob"]),
        secret_for(other, ["bob", "carol"]),
    ]
    hashes = [packed(tmp_path / "file", each, nothing).info_hash for each in secrets]
    assert hashes[0] == hashes[1]
    assert len(set(hashes)) == 3
    made = packed(tmp_path / "file", secrets[0], nothing)
    assert made.private
    assert made.has_v1
    assert made.v2 is not None
    assert not made.trackers


def test_a_folder_is_described_as_a_person_counts_it(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    for name, size in (("a", 70_000), ("b", 5)):
        (tmp_path / "photos" / name).write_bytes(bytes(size))
    made = packed(tmp_path / "photos", SECRET, nothing)
    assert any(file.pad for file in made.files)
    assert described(made) == Parcel("photos", 70_005, 2, len(made.raw))
