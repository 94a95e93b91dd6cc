"""Nodes on real sockets, threads and files: what can be added, how it ends, two in one process."""

import asyncio
import hashlib
import socket
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random, SystemRandom
from typing import Any

import pytest

from p2pswarm.config import Settings
from p2pswarm.errors import (
    BencodeError,
    DiskError,
    HostError,
    InUseError,
    MetainfoError,
    PortTakenError,
    TargetExistsError,
    TrackerError,
)
from p2pswarm.formats import bencode
from p2pswarm.formats.building import build
from p2pswarm.formats.ids import BLOCK, Address
from p2pswarm.formats.magnet import Magnet
from p2pswarm.formats.metainfo import Metainfo
from p2pswarm.node import Node
from p2pswarm.swarm.events import (
    Checking,
    Completed,
    Downloading,
    Failed,
    Paused,
    PeerJoined,
    PieceDone,
    Seeding,
    StateChanged,
    Stopped,
)
from p2pswarm.swarm.torrent import Torrent
from tests.support.loops import on_every_loop
from tests.support.patience import PATIENCE
from tests.support.quiet import quiet
from tracker.app import TrackerService
from tracker.config import TrackerSettings


@pytest.fixture(autouse=True)
async def no_complaints() -> AsyncIterator[None]:
    """Whatever reaches the loop's exception handler fails the test."""
    complaints: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: complaints.append(context))
    yield
    assert not complaints


def made(
    folder: Path,
    files: dict[str, int] | int = 100_000,
    *,
    piece_length: int = 32 << 10,
    name: str = "thing",
    trackers: Sequence[Sequence[str]] = (),
) -> Metainfo:
    """A torrent `name` of one file of so many bytes, or of a folder of files, that lies in `folder`."""
    dice = Random(name)
    sizes = {"": files} if isinstance(files, int) else files
    stream = bytearray()
    for path, size in sizes.items():
        data = dice.randbytes(size)
        stream += data
        target = folder / name / path if path else folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    hashes = b"".join(
        hashlib.sha1(stream[at : at + piece_length]).digest()
        for at in range(0, len(stream), piece_length)
    )
    what: dict[str, Any] = {"length": files}
    if isinstance(files, dict):
        what = {"files": [(tuple(path.split("/")), size) for path, size in files.items()]}
    return build(name=name, piece_length=piece_length, pieces=hashes, trackers=trackers, **what)


def content(path: Path) -> dict[str, bytes]:
    """Every file at or below a path."""
    if path.is_file():
        return {"": path.read_bytes()}
    files = (file for file in path.rglob("*") if file.is_file())
    return {str(file.relative_to(path)): file.read_bytes() for file in files}


@pytest.fixture
def settings(tmp_path: Path) -> Callable[..., Settings]:
    def make(name: str = "one", **more: Any) -> Settings:
        more = {"port": 0, "bind": "127.0.0.1", "data_dir": tmp_path / f"{name}-state", **more}
        return quiet(**more)

    return make


@asynccontextmanager
async def tracking(interval: int = 1) -> AsyncIterator[TrackerService]:
    service = TrackerService(TrackerSettings(host="127.0.0.1", port=0, interval=interval))
    await service.start()
    try:
        yield service
    finally:
        await service.aclose()


async def reach(torrent: Torrent, *states: type) -> None:
    """Wait until it is in one of these states."""
    async with asyncio.timeout(PATIENCE):
        events = torrent.events()
        if isinstance(torrent.state, states):
            return
        async for event in events:
            if isinstance(event, StateChanged) and isinstance(event.state, states):
                return
    raise AssertionError(f"ended as {torrent.state}")


async def done(torrent: Torrent) -> None:
    async with asyncio.timeout(PATIENCE):
        await torrent.finished()


def address(node: Node) -> Address:
    return Address("127.0.0.1", node.port)


# One file from one node to another


async def test_two_nodes_in_one_process_and_one_loop(
    tmp_path: Path, settings: Callable[..., Settings]
) -> None:
    meta = made(tmp_path / "a", {"x/1": 70_000, "x/2": 0, "3": 5, "4": 200_000})
    async with Node(settings("one")) as one, Node(settings("two")) as two:
        assert one.port != two.port
        await reach(await one.add(meta, data=tmp_path / "a"), Seeding)
        torrent = await two.add(meta, save_to=tmp_path / "b", peers=[address(one)])
        await done(torrent)
        assert list(two.torrents.values()) == [torrent]
        assert two.status().torrents[0].have == meta.piece_count
        assert torrent.status().path == tmp_path / "b" / "thing"
    assert content(tmp_path / "a" / "thing") == content(tmp_path / "b" / "thing")


@pytest.mark.parametrize("linked", [False, True])
async def test_a_peer_may_be_named_by_its_host(
    tmp_path: Path, settings: Callable[..., Settings], *, linked: bool
) -> None:
    """BEP 9: `x.pe` is HOSTNAME:PORT, too; and in containers nobody knows any other."""
    meta = made(tmp_path / "a")
    async with Node(settings("one")) as one, Node(settings("two")) as two:
        await reach(await one.add(meta, data=tmp_path / "a"), Seeding)
        there = Address("localhost", one.port)
        async with asyncio.timeout(PATIENCE):
            torrent = (
                await two.add(Magnet.of(meta, [there]), save_to=tmp_path)
                if linked
                else await two.add(meta, save_to=tmp_path, peers=[there])
            )
            await done(torrent)


@pytest.mark.parametrize("encryption", ["prefer", "require"])
def test_on_every_loop(encryption: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    async def story() -> None:
        tmp_path = tmp_path_factory.mktemp("x")
        meta = made(tmp_path / "a", 3_000_000)
        common = {"port": 0, "bind": "127.0.0.1", "encryption": encryption}
        one = quiet(data_dir=tmp_path / "1", **common)
        two = quiet(data_dir=tmp_path / "2", **common)
        async with Node(one) as seed, Node(two) as leech:
            await reach(await seed.add(meta, data=tmp_path / "a"), Seeding)
            torrent = await leech.add(meta, save_to=tmp_path / "b", peers=[address(seed)])
            await done(torrent)
        assert content(tmp_path / "a" / "thing") == content(tmp_path / "b" / "thing")

    for loop in ("asyncio", "uvloop"):
        run_in_thread(on_every_loop(story), loop)


def run_in_thread(test: Callable[[str], None], loop: str) -> None:
    """This thread has a loop already."""
    import concurrent.futures

    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        pool.submit(test, loop).result()


def has_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
async def test_over_ipv6(tmp_path: Path, settings: Callable[..., Settings]) -> None:
    meta = made(tmp_path / "a")
    async with Node(settings("one", bind="::1")) as one, Node(settings("two", bind="::")) as two:
        await reach(await one.add(meta, data=tmp_path / "a"), Seeding)
        peers = [Address("::1", one.port)]
        await done(await two.add(meta, save_to=tmp_path / "b", peers=peers))
    assert content(tmp_path / "a" / "thing") == content(tmp_path / "b" / "thing")


async def test_a_node_on_every_address(tmp_path: Path, settings: Callable[..., Settings]) -> None:
    """The usual case: nothing is bound to one address, and the other side dials 127.0.0.1."""
    meta = made(tmp_path / "a")
    every = {"bind": "0.0.0.0"}
    async with Node(settings("one", **every)) as one, Node(settings("two", **every)) as two:
        await reach(await one.add(meta, data=tmp_path / "a"), Seeding)
        await done(await two.add(meta, save_to=tmp_path / "b", peers=[address(one)]))


SHAPES = {
    "one byte": (1, BLOCK),
    "one piece": (BLOCK, BLOCK),
    "one short piece": (BLOCK - 1, 1 << 20),
    "one piece of many blocks": (1 << 20, 1 << 20),
    "one byte more than a piece": (BLOCK + 1, BLOCK),
    "pieces that are no multiple of a block": (200_000, 20_001),
    "pieces smaller than a block": (50_000, 1_000),
    "pieces of one byte": (300, 1),
    "a last piece of one byte": (10 * BLOCK + 1, BLOCK),
}


@pytest.mark.parametrize("shape", SHAPES)
async def test_every_shape_of_pieces(
    tmp_path: Path, settings: Callable[..., Settings], shape: str
) -> None:
    size, piece_length = SHAPES[shape]
    meta = made(tmp_path / "a", size, piece_length=piece_length)
    async with Node(settings("one")) as one, Node(settings("two")) as two:
        await reach(await one.add(meta, data=tmp_path / "a"), Seeding)
        torrent = await two.add(meta, save_to=tmp_path / "b", peers=[address(one)])
        await done(torrent)
        status = torrent.status()
        assert (status.done, status.total, status.have) == (size, size, meta.piece_count)
    assert content(tmp_path / "a" / "thing") == content(tmp_path / "b" / "thing")


async def test_a_torrent_without_a_byte_is_refused(
    tmp_path: Path, settings: Callable[..., Settings]
) -> None:
    files = [{b"length": 0, b"path": [name]} for name in (b"a", b"b")]
    info = {b"files": files, b"name": b"x", b"piece length": BLOCK, b"pieces": b""}
    raw = bencode.encode({b"info": info})
    async with Node(settings()) as node:
        with pytest.raises(MetainfoError, match="0 bytes"):
            await node.add(raw, save_to=tmp_path)
        assert not node.torrents


# What can be added


async def test_bytes_path_text_and_url(tmp_path: Path, settings: Callable[..., Settings]) -> None:
    meta = made(tmp_path / "a")
    file = tmp_path / "thing.torrent"
    file.write_bytes(meta.raw)
    async with tracking() as tracker, Node(settings()) as node:
        url = tracker.host("thing", meta.raw)
        for n, source in enumerate(
            [meta, meta.raw, file, str(file), url, url.replace("http", "HTTP", 1)]
        ):
            torrent = await node.add(source, save_to=tmp_path / f"to{n}")
            assert torrent.metainfo.info_hash == meta.info_hash
            await node.remove(torrent)
        assert not node.torrents


async def test_what_cannot_be_added(tmp_path: Path, settings: Callable[..., Settings]) -> None:
    (tmp_path / "junk").write_bytes(b"junk")
    async with tracking() as tracker, Node(settings()) as node:
        nothing = tracker.url.replace("/announce", "/t/nothing.torrent")
        for source, error in {
            b"junk": BencodeError,
            b"i1e": MetainfoError,
            tmp_path / "junk": BencodeError,
            tmp_path / "nothing": DiskError,
            str(tmp_path): DiskError,
            nothing: TrackerError,
            "http://127.0.0.1:1/announce": TrackerError,
        }.items():
            with pytest.raises(error):
                await node.add(source, save_to=tmp_path)
        assert not node.torrents


@pytest.mark.parametrize("url", ["url", "udp_url"])
async def test_the_whole_way_through_a_tracker(
    tmp_path: Path, settings: Callable[..., Settings], url: str
) -> None:
    async with tracking() as tracker:
        meta = made(tmp_path / "a", trackers=[[getattr(tracker, url)]])
        async with Node(settings("one")) as one, Node(settings("two")) as two:
            await one.add(meta, data=tmp_path / "a")
            torrent = await two.add(tracker.host("thing", meta.raw), save_to=tmp_path / "b")
            await done(torrent)
            assert torrent.status().trackers[0].state in ("working", "updating")
        (swarm,) = await tracker._desk.store.scrape([meta.info_hash])
        assert swarm.complete == 0  # both said goodbye
    assert content(tmp_path / "a" / "thing") == content(tmp_path / "b" / "thing")


async def test_nothing_is_added_twice(tmp_path: Path, settings: Callable[..., Settings]) -> None:
    meta = made(tmp_path / "a")
    async with Node(settings()) as node:
        torrent = await node.add(meta, save_to=tmp_path / "b")
        with pytest.raises(HostError, match="already"):
            await node.add(meta, save_to=tmp_path / "c")
        await node.remove(torrent)
        await node.remove(torrent)
        both = await asyncio.gather(
            node.add(meta, save_to=tmp_path / "b"),
            node.add(meta, save_to=tmp_path / "c"),
            return_exceptions=True,
        )
        assert sorted(type(one) for one in both if isinstance(one, Exception)) == [HostError]
        assert len(node.torrents) == 1


async def test_a_removed_torrent_goes_on_when_it_is_added_again(
    tmp_path: Path, settings: Callable[..., Settings]
) -> None:
    meta = made(tmp_path / "a", 1_000_000)
    async with Node(settings("one")) as one, Node(settings("two", down_limit=1 << 20)) as two:
        await reach(await one.add(meta, data=tmp_path / "a"), Seeding)
        torrent = await two.add(meta, save_to=tmp_path / "b", peers=[address(one)])
        async for event in torrent.events():
            if isinstance(event, PieceDone):
                break
        await two.remove(torrent)
        had = torrent.status().have
        assert 0 < had < meta.piece_count
        assert torrent.state == Stopped()
        again = await two.add(meta, save_to=tmp_path / "b", peers=[address(one)])
        await reach(again, Downloading)
        assert again.status().have >= had
        await done(again)
        assert again.status().downloaded >= 1_000_000
        assert two._pieces.lent == 0
    assert content(tmp_path / "a" / "thing") == content(tmp_path / "b" / "thing")


# Where the data is


async def test_the_data_may_be_named_in_every_way(
    tmp_path: Path, settings: Callable[..., Settings]
) -> None:
    one = made(tmp_path / "a", name="single")
    many = made(tmp_path / "a", {"x": 50_000, "y/z": 50_000}, name="many")
    (tmp_path / "other").write_bytes((tmp_path / "a" / "single").read_bytes())
    (tmp_path / "a" / "many").rename(tmp_path / "renamed")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "many").symlink_to(tmp_path / "renamed")
    async with Node(settings()) as node:
        for meta, data in [
            (one, tmp_path / "a"),
            (one, tmp_path / "a" / "single"),
            (one, tmp_path / "other"),
            (many, tmp_path / "renamed"),
            (many, tmp_path / "b"),
            (many, tmp_path / "b" / "many"),
        ]:
            torrent = await node.add(meta, data=data)
            await reach(torrent, Seeding)
            await node.remove(torrent)


async def test_data_that_is_not_there(tmp_path: Path, settings: Callable[..., Settings]) -> None:
    one = made(tmp_path / "a", name="single")
    many = made(tmp_path / "a", {"x": 50_000}, name="many")
    (tmp_path / "empty").mkdir()
    async with Node(settings()) as node:
        for meta, data in [
            (one, tmp_path / "nothing"),
            (one, tmp_path / "empty"),
            (many, tmp_path / "nothing"),
            (many, tmp_path / "a" / "single"),
            (one, tmp_path / ("x" * 300)),
        ]:
            with pytest.raises(HostError):
                await node.add(meta, data=data)
        assert not node.torrents
        # An empty folder may be the torrent's own one, with all of its files missing.
        torrent = await node.add(many, data=tmp_path / "empty")
        await reach(torrent, Paused)
        assert torrent.state == Paused("2 of 2 pieces are not on the disk")


async def test_a_target_that_holds_something_else(
    tmp_path: Path, settings: Callable[..., Settings]
) -> None:
    one = made(tmp_path / "a", name="single")
    many = made(tmp_path / "a", {"x": 50_000, "y": 10}, name="many")
    folder = tmp_path / "b"
    (folder / "single").mkdir(parents=True)
    (folder / "many").write_bytes(b"mine")
    async with Node(settings()) as node:
        for meta in (one, many):
            with pytest.raises(TargetExistsError):
                await node.add(meta, save_to=folder)
        with pytest.raises(HostError):
            await node.add(one, save_to=tmp_path / ("x" * 300))
        assert not node.torrents


@pytest.mark.parametrize("size", [1, 99_999, 100_000, 100_001, 500_000])
async def test_a_target_with_other_bytes_is_left_alone(
    tmp_path: Path, settings: Callable[..., Settings], size: int
) -> None:
    meta = made(tmp_path / "a")
    mine = tmp_path / "b" / "thing"
    mine.parent.mkdir()
    mine.write_bytes(b"m" * size)
    async with Node(settings()) as node:
        torrent = await node.add(meta, save_to=tmp_path / "b")
        with pytest.raises(TargetExistsError):
            await done(torrent)
        assert torrent.state == Failed(str(torrent.error))
        assert mine.read_bytes() == b"m" * size
    assert mine.read_bytes() == b"m" * size


async def test_a_target_that_is_partly_ours_is_completed(
    tmp_path: Path, settings: Callable[..., Settings]
) -> None:
    meta = made(tmp_path / "a")
    data = (tmp_path / "a" / "thing").read_bytes()
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "thing").write_bytes(data[:50_000])
    async with Node(settings("one")) as one, Node(settings("two")) as two:
        await reach(await one.add(meta, data=tmp_path / "a"), Seeding)
        torrent = await two.add(meta, save_to=tmp_path / "b", peers=[address(one)])
        await done(torrent)
        assert torrent.progress().downloaded == 100_000 - 32_768
    assert (tmp_path / "b" / "thing").read_bytes() == data


async def test_one_download_is_one_nodes(tmp_path: Path, settings: Callable[..., Settings]) -> None:
    meta = made(tmp_path / "a")
    async with Node(settings()) as one, Node(settings()) as two:
        await one.add(meta, save_to=tmp_path / "b")
        with pytest.raises(InUseError):
            await two.add(meta, save_to=tmp_path / "b")
        with pytest.raises(InUseError):
            await two.add(meta, save_to=tmp_path / "b" / ".." / "b")
        await two.add(meta, save_to=tmp_path / "c")
    async with Node(settings()) as three:
        await three.add(meta, save_to=tmp_path / "b")


# Ports and ends


def test_nobody_guesses_the_numbers_of_utp() -> None:
    """They prove that an address is real; from enough of `Random`'s all others can be told."""
    utp = Node(quiet())._port._utp
    assert utp is not None
    assert isinstance(utp._door._dice, SystemRandom)


async def test_a_port_that_is_taken(settings: Callable[..., Settings]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PortTakenError, match=str(port)):
            async with Node(settings(port=port)):
                pass


async def test_without_a_named_port_the_next_free_one_is_used(
    settings: Callable[..., Settings],
) -> None:
    async with Node(settings("one", port=None)) as one, Node(settings("two", port=None)) as two:
        assert 46881 <= one.port < two.port < 46981


async def test_a_node_that_is_not_open_takes_nothing(
    tmp_path: Path, settings: Callable[..., Settings]
) -> None:
    meta = made(tmp_path / "a")
    node = Node(settings())
    with pytest.raises(HostError):
        await node.add(meta, save_to=tmp_path)
    await node.aclose()
    async with node:
        await node.add(meta, save_to=tmp_path / "b")
    with pytest.raises(HostError):
        await node.add(meta, save_to=tmp_path / "b")
    await node.aclose()


async def test_closing_twice_and_at_once(tmp_path: Path, settings: Callable[..., Settings]) -> None:
    meta = made(tmp_path / "a")
    node = Node(settings())
    await node.open()
    torrent = await node.add(meta, save_to=tmp_path / "b")
    await reach(torrent, Downloading)
    await asyncio.gather(node.aclose(), node.aclose(), node.remove(torrent), node.aclose())
    await node.aclose()
    assert not node.torrents


async def test_adding_while_the_node_closes(
    tmp_path: Path, settings: Callable[..., Settings]
) -> None:
    meta = made(tmp_path / "a")
    async with Node(settings()) as node:
        adding = asyncio.create_task(node.add(meta, save_to=tmp_path / "b"))
        await asyncio.sleep(0)
        await node.aclose()
        with pytest.raises(HostError):
            await adding
    async with Node(settings()) as node:  # its lock is free
        await node.add(meta, save_to=tmp_path / "b")


@asynccontextmanager
async def silent_tracker() -> AsyncIterator[tuple[str, Callable[[], int]]]:
    """Takes every question and never answers: its URL, and how many questions came."""
    asked = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readline())
        await reader.read()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}/announce", lambda: len(asked)
    finally:
        server.close()


async def test_a_tracker_that_never_answers_delays_the_end_by_two_seconds(
    tmp_path: Path, settings: Callable[..., Settings]
) -> None:
    async with silent_tracker() as (url, asked):
        metas = [made(tmp_path / "a", name=f"t{n}", trackers=[[url]]) for n in range(5)]
        node = Node(settings())
        await node.open()
        for meta in metas:
            await reach(await node.add(meta, data=tmp_path / "a"), Seeding)
        async with asyncio.timeout(PATIENCE):
            while asked() < 5:
                await asyncio.sleep(0)
        clock = asyncio.get_running_loop().time
        began = clock()
        await node.aclose()
        assert clock() - began < 5.0


async def test_an_end_in_the_middle_of_everything(
    tmp_path: Path, settings: Callable[..., Settings]
) -> None:
    """Closed at many instants of a download: quick, quiet, and the next node goes on."""
    meta = made(tmp_path / "a", 8_000_000)
    clock = asyncio.get_running_loop().time
    async with Node(settings("one")) as one:
        await reach(await one.add(meta, data=tmp_path / "a"), Seeding)
        for n in range(12):
            node = Node(settings("two"))
            await node.open()
            torrent = await node.add(meta, save_to=tmp_path / "b", peers=[address(one)])
            pieces = 0
            async with asyncio.timeout(PATIENCE):
                async for event in torrent.events():
                    pieces += isinstance(event, PieceDone)
                    if pieces > n or event == StateChanged(Seeding()):
                        break
            began = clock()
            await node.aclose()
            assert clock() - began < 5.0
            assert node._pieces.lent == node._reads.lent == 0
        async with Node(settings("two")) as node:
            await done(await node.add(meta, save_to=tmp_path / "b", peers=[address(one)]))
    assert content(tmp_path / "a" / "thing") == content(tmp_path / "b" / "thing")


# What is told


async def test_events_come_in_order_and_end(
    tmp_path: Path, settings: Callable[..., Settings]
) -> None:
    meta = made(tmp_path / "a")
    async with Node(settings("one")) as one:
        await reach(await one.add(meta, data=tmp_path / "a"), Seeding)
        async with Node(settings("two")) as two:
            torrent = await two.add(meta, save_to=tmp_path / "b", peers=[address(one)])
            told = torrent.events()
            await done(torrent)
        events = [event async for event in told]  # all, though nobody read while they happened
        assert [event async for event in torrent.events()] == []
    kinds = [e.state if isinstance(e, StateChanged) else type(e) for e in events]
    inner = [kind for kind in kinds if not isinstance(kind, Checking)]
    assert inner[:2] == [Downloading(), PeerJoined]
    assert inner.index(Completed) == 2 + meta.piece_count
    assert inner[inner.index(Completed) + 1] == Seeding()
    assert inner[-1] == Stopped()
    pieces = [event.piece for event in events if isinstance(event, PieceDone)]
    assert sorted(pieces) == list(range(meta.piece_count))


async def test_who_waits_for_a_torrent_that_is_removed_is_let_go(
    tmp_path: Path, settings: Callable[..., Settings]
) -> None:
    meta = made(tmp_path / "a")
    async with Node(settings()) as node:
        torrent = await node.add(meta, save_to=tmp_path / "b")
        waiting = asyncio.create_task(torrent.finished())
        await reach(torrent, Downloading)
        await node.remove(torrent)
        await asyncio.wait_for(waiting, PATIENCE)
        assert not torrent.status().have


# Ten thousand files


async def test_ten_thousand_files(tmp_path: Path, settings: Callable[..., Settings]) -> None:
    """How long until a seed seeds, a download begins, and the seed does so again: under a second each."""
    sizes = {f"{n // 100:03}/{n:05}": n % 7 * 100 for n in range(10_000)}
    meta = made(tmp_path / "a", sizes, piece_length=256 << 10)
    began = time.process_time()
    async with Node(settings("one")) as one, Node(settings("two")) as two:
        await reach(await one.add(meta, data=tmp_path / "a"), Seeding)
        await reach(await two.add(meta, save_to=tmp_path / "b"), Downloading)
        empty = [name for name, size in sizes.items() if not size]
        assert all((tmp_path / "b" / "thing" / name).is_file() for name in empty)
    async with Node(settings("one")) as one:
        await reach(await one.add(meta, data=tmp_path / "a"), Seeding)
    assert time.process_time() - began < 30  # a second and a half on one core of 2024
