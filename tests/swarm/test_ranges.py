"""Hosts that give bytes in a row, beside peers and alone, in virtual time."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings, strategies as st

from p2pswarm.errors import BusyError, NetworkError, PartialError
from p2pswarm.formats.bitfield import Bitfield
from p2pswarm.formats.geometry import Geometry
from p2pswarm.formats.ids import BLOCK, Address, PieceIndex
from p2pswarm.swarm import ranges
from p2pswarm.swarm.events import PeerBanned, PieceDone, Seeding
from p2pswarm.swarm.picker import PiecePicker
from p2pswarm.swarm.ranges import PAUSE, SKIP, RangeSource, _stretch
from p2pswarm.swarm.selection import Selection
from p2pswarm.swarm.torrent import Torrent
from tests.support.world import World, simulate

pytestmark = pytest.mark.sim

PIECE = 4 * BLOCK
MB = 1_000_000

Bad = Callable[[int, bytes], bytes]  # what is sent in place of these bytes at this offset


class Shop:
    """A host that gives `chunk` bytes every `pause` seconds and notes who asked for what."""

    def __init__(
        self, data: bytes, number: int = 1, *, chunk: int = 100_000, pause: float = 0.1
    ) -> None:
        self.address = Address(f"10.9.0.{number}", 6699)
        self.data, self.chunk, self.pause = data, chunk, pause
        self.began: list[int] = []
        self.given = 0
        self.bad: Bad = lambda _, data: data
        self.refusals: list[Exception] = []
        self.breaks_after = 1 << 60  # bytes

    async def fetch(self, offset: int, sink: Callable[[bytes], bool], gate: asyncio.Event) -> None:
        self.began.append(offset)
        if self.refusals:
            raise self.refusals.pop(0)
        start = offset
        while offset < len(self.data):
            await gate.wait()
            chunk = self.data[offset : offset + self.chunk]
            if offset - start >= self.breaks_after:
                raise NetworkError("hung up")
            self.given += len(chunk)
            if not sink(self.bad(offset, chunk)):
                return
            offset += len(chunk)
            await asyncio.sleep(self.pause)


Story = Callable[[World, Torrent, bytes], "object"]


def downloading(tmp_path: Path, story: Story, size: int = 4 * MB, **more: int) -> float:
    """A node that has nothing, and nobody yet who has."""

    async def play(world: World) -> None:
        meta, folder = world.content(size, PIECE)
        node = await world.node(world.host(), **more)
        torrent = await world.download(node, meta)
        await story(world, torrent, (folder / "file").read_bytes())  # type: ignore[misc]
        torrent.picker.check()

    return simulate(tmp_path, play)


def test_one_host_gives_all_of_it_in_one_row(tmp_path: Path) -> None:
    async def story(world: World, torrent: Torrent, data: bytes) -> None:
        shop = Shop(data)
        torrent.add_source(shop)
        await torrent.finished()
        assert shop.began == [0]
        assert shop.given == len(data)
        assert torrent.path.read_bytes() == data
        assert torrent.status().downloaded == len(data)

    downloading(tmp_path, story)


def test_a_download_that_was_alone_asks_a_new_host_at_once(tmp_path: Path) -> None:
    """Alone it ticks only when something is due; from here on every second."""

    async def story(world: World, torrent: Torrent, data: bytes) -> None:
        await asyncio.sleep(61)
        shop = Shop(data)
        torrent.add_source(shop)
        await asyncio.sleep(1.5)
        assert shop.began == [0]
        await torrent.finished()

    downloading(tmp_path, story)


@pytest.mark.parametrize("chunk", [1, 1000, BLOCK, BLOCK + 1, 70_000])
def test_bytes_may_come_in_any_portions(tmp_path: Path, chunk: int) -> None:
    async def story(world: World, torrent: Torrent, data: bytes) -> None:
        torrent.add_source(Shop(data, chunk=chunk, pause=0))
        await torrent.finished()
        assert torrent.path.read_bytes() == data

    downloading(tmp_path, story, size=100_001)


def test_several_hosts_share_the_work(tmp_path: Path) -> None:
    async def story(world: World, torrent: Torrent, data: bytes) -> None:
        shops = [Shop(data, number) for number in range(1, 5)]
        for shop in shops:
            torrent.add_source(shop)
        await torrent.finished()
        assert torrent.path.read_bytes() == data
        assert min(shop.given for shop in shops) > len(data) / 10
        # Where two meet, both have read the other's first bytes, and no more.
        assert sum(shop.given for shop in shops) < len(data) * 1.3

    downloading(tmp_path, story)


def test_hosts_and_peers_join_one_piece_map(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        meta, folder = world.content(4 * MB, PIECE)
        seed = await world.node(world.host(up=MB))
        await seed.add(meta, data=folder)
        node = await world.node(world.host())
        torrent = await world.download(node, meta)
        torrent.add_peer(Address(seed.settings.bind, 46881))
        shop = Shop((folder / "file").read_bytes())
        torrent.add_source(shop)
        await torrent.finished()
        from_peers = sum(peer.downloaded for peer in torrent.peers.values())
        assert shop.given > MB / 2
        assert from_peers > MB / 2
        assert from_peers + shop.given < 4 * MB + SKIP * len(shop.began)
        assert torrent.path.read_bytes() == (folder / "file").read_bytes()
        torrent.picker.check()

    simulate(tmp_path, story)


def test_garbage_from_one_host_is_its_end(tmp_path: Path) -> None:
    async def story(world: World, torrent: Torrent, data: bytes) -> None:
        liar = Shop(data, 1)
        liar.bad = lambda _, data: bytes(len(data))
        torrent.add_source(liar)
        banned = asyncio.ensure_future(first_ban(torrent))
        assert (await banned).address == liar.address
        given = liar.given
        honest = Shop(data, 2)
        torrent.add_source(honest)
        await torrent.finished()
        assert torrent.path.read_bytes() == data
        assert liar.given <= given + liar.chunk
        assert len(liar.began) == 1

    downloading(tmp_path, story)


async def first_ban(torrent: Torrent) -> PeerBanned:
    async for event in torrent.events():
        if isinstance(event, PeerBanned):
            return event
    raise AssertionError("nobody was banned")


def test_one_bad_block_among_peers_is_traced_to_the_host(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        meta, folder = world.content(4 * MB, PIECE)
        data = (folder / "file").read_bytes()
        seed = await world.node(world.host(up=MB))
        await seed.add(meta, data=folder)
        node = await world.node(world.host())
        torrent = await world.download(node, meta)
        torrent.add_peer(Address(seed.settings.bind, 46881))
        liar = Shop(data, chunk=BLOCK, pause=0.01)
        liar.bad = lambda at, data: data if at % PIECE else bytes(len(data))
        torrent.add_source(liar)
        banned: list[Address] = []
        async for event in torrent.events():
            if isinstance(event, PeerBanned):
                banned.append(event.address)
            if torrent.state == Seeding():
                break
        assert banned == [liar.address]
        assert torrent.path.read_bytes() == data
        assert len(torrent.peers) == 1 or torrent.state == Seeding()

    simulate(tmp_path, story)


def test_memory_that_is_used_up_closes_the_gate(tmp_path: Path) -> None:
    """A budget of 16 pieces, a disk that takes a second for each: the host is read no faster."""

    async def story(world: World, torrent: Torrent, data: bytes) -> None:
        shop = Shop(data, chunk=300_000, pause=0)
        torrent.add_source(shop)
        waiting = torrent._data.store
        held: list[object] = []
        torrent._data.store = lambda *args, **more: held.append((args, more))  # type: ignore[method-assign]
        await asyncio.sleep(30)
        assert 16 * PIECE <= shop.given <= 17 * PIECE + 2 * shop.chunk
        torrent._data.store = waiting  # type: ignore[method-assign]
        for args, more in held:  # type: ignore[attr-defined]
            waiting(*args, **more)
        await torrent.finished()
        assert torrent.path.read_bytes() == data

    downloading(tmp_path, story, memory=16 * PIECE)


def test_the_rate_limit_holds_for_hosts_too(tmp_path: Path) -> None:
    async def story(world: World, torrent: Torrent, data: bytes) -> None:
        began = world.loop.time()
        torrent.add_source(Shop(data, pause=0))
        await torrent.finished()
        took = world.loop.time() - began
        assert 0.8 * len(data) / 500_000 < took < 1.3 * len(data) / 500_000 + 2

    downloading(tmp_path, story, down_limit=500_000)


def test_a_row_that_breaks_is_taken_up_where_it_broke(tmp_path: Path) -> None:
    async def story(world: World, torrent: Torrent, data: bytes) -> None:
        shop = Shop(data)
        shop.breaks_after = MB
        torrent.add_source(shop)
        await torrent.finished()
        assert torrent.path.read_bytes() == data
        assert len(shop.began) >= 4
        assert shop.given < len(data) + PIECE * len(shop.began) + shop.chunk * len(shop.began)
        assert shop.began == sorted(shop.began)

    downloading(tmp_path, story)


def test_a_host_that_refuses_is_asked_later_and_given_up_in_the_end(tmp_path: Path) -> None:
    async def story(world: World, torrent: Torrent, data: bytes) -> None:
        busy, dead = Shop(data, 1), Shop(data, 2)
        busy.refusals = [BusyError("no place")] * 3
        dead.refusals = [NetworkError("gone")] * 100
        torrent.add_source(dead)
        began = world.loop.time()
        await asyncio.sleep(PAUSE * 64)
        assert len(dead.began) == 5
        assert torrent.sources[0].over
        torrent.add_source(busy)
        await torrent.finished()
        assert len(busy.began) == 4
        assert world.loop.time() - began > PAUSE * 64 + 60
        assert torrent.path.read_bytes() == data

    downloading(tmp_path, story)


def test_what_nobody_gives_is_free_for_others(tmp_path: Path) -> None:
    """A host that goes away in the middle leaves no block promised."""

    async def story(world: World, torrent: Torrent, data: bytes) -> None:
        shop = Shop(data, chunk=BLOCK)
        shop.breaks_after = 6 * BLOCK
        shop.refusals = []
        torrent.add_source(shop)
        await world.until(lambda: shop.given >= 6 * BLOCK and not torrent.sources[0].active)
        torrent.picker.check()
        assert torrent.picker.takable() == torrent.picker.missing
        torrent.add_source(Shop(data, 2))
        await torrent.finished()

    downloading(tmp_path, story)


def test_a_torrent_that_ends_lets_its_hosts_go(tmp_path: Path) -> None:
    async def story(world: World, torrent: Torrent, data: bytes) -> None:
        shop = Shop(data, chunk=BLOCK)
        torrent.add_source(shop)
        await world.until(lambda: torrent.sources[0].active)
        await world.nodes[0].remove(torrent)
        given = shop.given
        assert not torrent.sources[0].active
        await asyncio.sleep(10)
        assert shop.given == given

    downloading(tmp_path, story)


def test_nothing_is_promised_to_a_host_that_has_not_begun(tmp_path: Path) -> None:
    async def story(world: World, torrent: Torrent, data: bytes) -> None:
        mute = Shop(data, 1)
        mute.refusals = [BusyError("")]

        async def never(offset: int, sink: object, gate: object) -> None:
            await asyncio.Event().wait()

        mute.fetch = never  # type: ignore[method-assign,assignment]
        torrent.add_source(mute)
        await world.until(lambda: torrent.sources[0].active)
        torrent.add_source(Shop(data, 2))
        began = world.loop.time()
        await torrent.finished()
        assert world.loop.time() - began < 10

    downloading(tmp_path, story)


# Where to begin


def bits(text: str) -> Bitfield:
    return Bitfield(text)


@pytest.mark.parametrize(
    ("takable", "busy", "begin"),
    [
        ("0000", set(), None),
        ("1111", set(), 0),
        ("0111", set(), 1),
        ("0111", {0}, 2),
        ("1101111", set(), 3),
        ("1101111", {2}, 0),
        ("1101111111", {2}, 6),
        ("1110111", {3}, 0),
        ("01", {0}, 1),
        ("1111", {0}, 2),
        ("11111111", {0, 4}, 2),
        ("11111111", {0, 2, 4}, 6),
    ],
)
def test_the_longest_row_is_taken_up(takable: str, busy: set[int], begin: int | None) -> None:
    assert _stretch(bits(takable), {PieceIndex(n) for n in busy}) == begin


@given(st.text("01", min_size=1, max_size=60), st.sets(st.integers(0, 59), max_size=5))
def test_a_stretch_always_begins_where_there_is_something(text: str, busy: set[int]) -> None:
    begin = _stretch(bits(text), {PieceIndex(n) for n in busy})
    assert (begin is None) == ("1" not in text)
    assert begin is None or text[begin] == "1"


# The picker's part


@given(st.data())
@settings(max_examples=50)
def test_picking_in_a_piece_takes_what_nobody_was_asked_for(data: st.DataObject) -> None:
    picker = PiecePicker(Geometry(6 * PIECE - 5, PIECE), Random(1))
    full = Bitfield.full(6)
    for who in range(data.draw(st.integers(0, 4))):
        picker.pick(who, full, data.draw(st.integers(1, 9)), lambda _: True)
    piece = PieceIndex(data.draw(st.integers(0, 5)))
    takable = picker.takable()
    blocks = picker.pick_in(piece, "row", lambda _: True)
    assert bool(blocks) == bool(takable[piece])
    assert not picker.takable()[piece]
    assert blocks == sorted(blocks)
    assert all(block // picker.per_piece == piece for block in blocks)
    picker.check()
    for block in blocks:
        picker.unask(block, "row")
    picker.release("row")
    picker.check()


def test_a_suspect_piece_is_one_hosts_alone() -> None:
    picker = PiecePicker(Geometry(2 * PIECE, PIECE), Random(1))
    blocks = picker.pick_in(PieceIndex(0), "one", lambda _: True)
    for block in blocks:
        picker.landed(block, "one")
    picker.failed(PieceIndex(0), suspect=True)
    assert len(picker.pick_in(PieceIndex(0), "two", lambda _: True)) == 4
    picker.unask(0, "two")
    assert picker.pick_in(PieceIndex(0), "three", lambda _: True) == []
    assert picker.pick_in(PieceIndex(0), "two", lambda _: True) == [0]
    picker.check()


def test_without_memory_nothing_is_promised() -> None:
    picker = PiecePicker(Geometry(2 * PIECE, PIECE), Random(1))
    assert picker.pick_in(PieceIndex(0), "one", lambda _: False) == []
    assert picker.takable()[0]
    picker.check()


def test_its_repr_is_a_window() -> None:
    source = RangeSource(Shop(b""), None)  # type: ignore[arg-type]
    assert repr(source) == "<RangeSource 10.9.0.1:6699 at None expects 0>"


def test_a_host_with_parts_is_asked_for_those(tmp_path: Path) -> None:
    async def story(world: World, torrent: Torrent, data: bytes) -> None:
        partial, whole = Shop(data), Shop(data, 2, chunk=PIECE, pause=1.0)
        partial.refusals = [PartialError("has some", [(10 * PIECE + 1, 13 * PIECE)])]
        partial.breaks_after = 2 * PIECE
        torrent.add_source(whole)
        torrent.add_source(partial)
        await torrent.finished()
        assert partial.began[1] == 11 * PIECE

    downloading(tmp_path, story)


def test_a_host_whose_parts_are_of_no_use_is_asked_again_in_a_minute(tmp_path: Path) -> None:
    async def story(world: World, torrent: Torrent, data: bytes) -> None:
        partial = Shop(data)
        partial.refusals = [PartialError("has nothing", []) for _ in range(2)]
        torrent.add_source(partial)
        await torrent.finished()
        assert len(partial.began) == 3

    assert downloading(tmp_path, story) > 120


def test_parts_that_are_not_there_are_asked_for_rarely(tmp_path: Path) -> None:
    async def story(world: World, torrent: Torrent, data: bytes) -> None:
        liar = Shop(data)
        liar.refusals = [PartialError("lies", [(0, 1 << 70)]) for _ in range(1000)]
        torrent.add_source(liar)
        await asyncio.sleep(600)
        assert len(liar.began) < 40
        torrent.add_source(Shop(data, 2))
        await torrent.finished()

    downloading(tmp_path, story)


@pytest.mark.parametrize("sequential", [True, False])
def test_in_order_all_hosts_stay_at_the_front(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sequential: bool
) -> None:
    """Also where the one that began at the very front is slow."""
    monkeypatch.setattr(ranges, "AHEAD", 4 * PIECE)
    monkeypatch.setattr(ranges, "SKIP", PIECE)

    async def story(world: World, torrent: Torrent, data: bytes) -> None:
        await world.until(lambda: torrent._known)
        await torrent.select(Selection(sequential=sequential))
        events, order = torrent.events(), list[int]()
        torrent.add_source(Shop(data, 1, chunk=10_000))
        await asyncio.sleep(2)
        for number in (2, 3):
            torrent.add_source(Shop(data, number))
        began = asyncio.get_running_loop().time()
        await torrent.finished()
        assert asyncio.get_running_loop().time() - began < 4 * len(data) / 2_000_000
        async for event in events:
            order += [event.piece] if isinstance(event, PieceDone) else []
            if len(order) == torrent.picker.pieces:
                break
        leads = [piece - min({*range(99)} - {*order[:n]}) for n, piece in enumerate(order)]
        assert (max(leads) < 30) == sequential  # the slow one's last piece is waited for

    downloading(tmp_path, story)
