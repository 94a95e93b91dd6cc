"""What a torrent has on the disk: found, believed, watched, noted. Real files, jobs run at once."""

import asyncio
import hashlib
import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest
from typing_extensions import override

from p2pswarm.disk.pool import DiskPool, Stored
from p2pswarm.disk.resume import ResumeFolder
from p2pswarm.disk.storage import FileStorage, Storage
from p2pswarm.errors import DiskError, HostError, TargetExistsError
from p2pswarm.formats.bitfield import Bitfield
from p2pswarm.formats.building import build
from p2pswarm.formats.ids import PieceIndex
from p2pswarm.formats.metainfo import Metainfo
from p2pswarm.swarm import data as rooms
from p2pswarm.swarm.data import TorrentData
from tests.support.disks import FailingStorage, WrappedStorage

PIECE = 1000
SIZES = {"a": 3500, "b": 0, "c": 4500, "d": 2000}  # ten pieces; c shares its ends with a and d
STREAM = Random(7).randbytes(sum(SIZES.values()))


class Counting(WrappedStorage):
    """Which pieces are read."""

    def __init__(self, inner: Storage) -> None:
        super().__init__(inner)
        self.pieces: set[int] = set()

    @override
    def read(self, offset: int, length: int) -> bytes:
        self.pieces.add(offset // PIECE)
        return self.inner.read(offset, length)

    @override
    def read_into(self, offset: int, into: Sequence[memoryview], *, wait: bool = True) -> bool:
        end = offset + sum(map(len, into))
        self.pieces.update(range(offset // PIECE, -(-end // PIECE)))
        return self.inner.read_into(offset, into, wait=wait)


@pytest.fixture
def meta() -> Metainfo:
    hashes = b"".join(
        hashlib.sha1(STREAM[at : at + PIECE]).digest() for at in range(0, len(STREAM), PIECE)
    )
    files = [((name,), size) for name, size in SIZES.items()]
    return build(name="many", piece_length=PIECE, pieces=hashes, files=files)


class Room:
    """A folder, and the data of one torrent in it, opened as often as one likes."""

    def __init__(self, root: Path, meta: Metainfo) -> None:
        self.root = root
        self.meta = meta
        self.told: list[tuple[int, int]] = []

    def open(
        self, *, writable: bool = True, wrap: Callable[[Storage], Any] = lambda inner: inner
    ) -> TorrentData:
        self.disk = wrap(FileStorage(self.root, self.meta.files, writable=writable))
        folder = ResumeFolder(self.root / "state", boot_id="now")
        resume = folder.open(self.meta.info_hash, self.root, synced=writable)
        pool, dice = DiskPool(threads=0), Random(1)
        data = TorrentData(self.meta, self.disk, pool, resume, writable=writable, dice=dice)
        data.recall()
        return data

    def put(self, *names: str, spoil: str = "") -> None:
        """Write these files, one of them with a wrong byte in its middle."""
        at = 0
        (self.root / "many").mkdir(exist_ok=True)
        for name, size in SIZES.items():
            data = bytearray(STREAM[at : at + size])
            at += size
            if name == spoil:
                data[size // 2] ^= 1
            if name in names:
                self.path(name).write_bytes(data)
                os.utime(self.path(name), ns=(10**18, 10**18))  # long ago

    def path(self, name: str) -> Path:
        return self.root / "many" / name

    def tell(self, done: int, total: int) -> None:
        self.told.append((done, total))

    async def load(self, data: TorrentData) -> list[int]:
        return list((await data.load(self.tell)).pieces())


@pytest.fixture
def room(tmp_path: Path, meta: Metainfo) -> Room:
    return Room(tmp_path, meta)


def have(*pieces: int) -> Bitfield:
    bits = Bitfield(10)
    for piece in pieces:
        bits[piece] = 1
    return bits


def full() -> Bitfield:
    return Bitfield.full(10)


async def store(data: TorrentData, piece: int) -> Stored | DiskError:
    result: asyncio.Future[Stored | DiskError] = asyncio.get_running_loop().create_future()
    content = memoryview(bytearray(STREAM[piece * PIECE : (piece + 1) * PIECE]))
    data.store(PieceIndex(piece), content, result.set_result, digests=False)
    return await result


async def read(data: TorrentData, offset: int, length: int) -> bytes | DiskError:
    into = bytearray(length)
    result: asyncio.Future[DiskError | None] = asyncio.get_running_loop().create_future()
    data.read(offset, [memoryview(into)], result.set_result)
    return await result or bytes(into)


# What is ours


async def test_nothing_there(room: Room) -> None:
    data = room.open()
    assert await room.load(data) == []
    assert room.told == []
    await data.prepare(have())
    assert [path.name for path in room.path("").iterdir()] == ["b"]


@pytest.mark.parametrize("at_once", [10 * PIECE, 10 * PIECE - 1])
async def test_files_nobody_knows_are_checked_and_adopted(
    room: Room, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    """A small torrent in the job that looks at its files, a large one in many jobs that tell how it goes."""
    monkeypatch.setattr(rooms, "AT_ONCE", at_once)
    room.put("a", "b", "d")
    assert await room.load(room.open()) == [0, 1, 2, 8, 9]
    assert room.told == ([(10, 10)] if at_once == 10 * PIECE else [(0, 10), (10, 10)])


async def test_a_shorter_file_is_a_start(room: Room) -> None:
    room.put("a")
    os.truncate(room.path("a"), 2500)
    assert await room.load(room.open()) == [0, 1]


@pytest.mark.parametrize("name", ["a", "c", "d"])
async def test_files_of_somebody_else_are_left_alone(room: Room, name: str) -> None:
    (room.root / "many").mkdir()
    room.path(name).write_bytes(b"mine" * 100)
    with pytest.raises(TargetExistsError, match="nothing in it is of this torrent"):
        await room.load(room.open())


async def test_a_larger_file_is_somebody_elses(room: Room) -> None:
    room.put("a", "c", "d")
    with room.path("c").open("ab") as file:
        file.write(b"!")
    with pytest.raises(TargetExistsError, match="many/c exists and is larger"):
        await room.load(room.open())


async def test_a_reader_never_minds_what_is_there(room: Room) -> None:
    (room.root / "many").mkdir()
    room.path("a").write_bytes(b"mine" * 10_000)
    data = room.open(writable=False)
    assert await room.load(data) == []
    await data.prepare(have())
    assert not room.path("b").exists()


# After a restart


async def seeded(room: Room, *, writable: bool = True) -> None:
    """One session that ended well, with everything there."""
    room.put(*SIZES)
    data = room.open(writable=writable)
    await room.load(data)
    await data.prepare(full())
    await data.close(full(), 11, 22)
    room.told.clear()


@pytest.mark.parametrize("writable", [True, False])
async def test_unchanged_files_are_believed(room: Room, writable: bool) -> None:
    await seeded(room, writable=writable)
    data = room.open(writable=writable)
    assert await room.load(data) == list(range(10))
    assert (data.uploaded_before, data.downloaded_before) == (11, 22)


async def test_only_a_sample_is_read(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("p2pswarm.disk.resume.SAMPLES", 2)
    await seeded(room)
    data = room.open(wrap=Counting)
    await room.load(data)
    assert len(room.disk.pieces) == 2


async def test_a_wrong_sample_has_everything_read(
    room: Room, caplog: pytest.LogCaptureFixture
) -> None:
    """The size and the time are as they were, the bytes are not; the dice choose piece 1 among others."""
    await seeded(room)
    room.put("a", "c", spoil="a")
    data = room.open(wrap=Counting)
    with caplog.at_level(logging.WARNING):
        assert await room.load(data) == [0, 2, 3, 4, 5, 6, 7, 8, 9]
    assert len(room.disk.pieces) == 10
    assert "checking all" in caplog.text


@pytest.mark.parametrize("writable", [True, False])
async def test_a_changed_file_is_read_again(room: Room, writable: bool) -> None:
    await seeded(room, writable=writable)
    room.put("d", spoil="d")
    room.path("d").touch()
    assert await room.load(room.open(writable=writable)) == [0, 1, 2, 3, 4, 5, 6, 7, 8]


async def test_a_reader_looks_for_what_was_missing(room: Room) -> None:
    """Somebody may have put it there with the times that it always had."""
    room.put("a", "b", "c", "d", spoil="c")
    data = room.open(writable=False)
    assert 5 not in await room.load(data)
    await data.prepare(have(0, 1, 2, 3, 4, 6, 7, 8, 9))
    await data.close(have(0, 1, 2, 3, 4, 6, 7, 8, 9), 0, 0)
    room.put("c")
    assert await room.load(room.open(writable=False)) == list(range(10))


async def test_what_was_written_since_the_checkpoint_is_noted(room: Room) -> None:
    data = room.open()
    await room.load(data)
    await data.prepare(have())
    for piece in (2, 7, 9):
        assert await store(data, piece) == Stored(True, None)
    data._close_files()  # as SIGKILL would
    again = room.open(wrap=Counting)
    assert await room.load(again) == [2, 7, 9]
    assert room.disk.pieces <= {2, 7, 9}


# Watching


async def test_a_change_is_an_error_at_the_next_read(room: Room) -> None:
    room.put(*SIZES)
    data = room.open(writable=False)
    await room.load(data)
    assert await read(data, 0, 3000) == STREAM[:3000]
    room.put("a", spoil="a")
    room.path("a").touch()
    answer = await read(data, 0, 100)
    assert isinstance(answer, DiskError)
    assert str(answer).endswith("many/a was changed by somebody else")
    assert await read(data, 4000, 1000) == STREAM[4000:5000]  # of another file
    assert await data.look(full(), settled=True) == {0, 1, 2, 3}
    assert list((await data.check(range(4), room.tell)).pieces()) == [0, 2, 3]
    assert await read(data, 0, 100) == STREAM[:100]
    assert await data.look(full(), settled=True) == set()


async def test_our_own_writes_are_no_change(room: Room) -> None:
    room.put("a", "b", "c")
    data = room.open()
    pieces = await room.load(data)
    await data.prepare(have(*pieces))
    for piece in (8, 9):
        await store(data, piece)
    assert await read(data, 0, 10_000) == STREAM
    assert await data.look(full(), settled=True) == set()
    assert await data.look(full(), settled=True) == set()
    room.path("d").touch()
    assert await data.look(full(), settled=True) == {8, 9}


@pytest.mark.parametrize("gone", [True, False])
async def test_a_file_that_goes_is_seen_even_while_we_write(room: Room, gone: bool) -> None:
    room.put("a", "b", "c")
    data = room.open()
    pieces = await room.load(data)
    await data.prepare(have(*pieces))
    await store(data, 8)
    if gone:
        room.path("c").unlink()
    else:
        os.truncate(room.path("c"), 100)
    had = have(*pieces, 8)
    assert await data.look(had, settled=False) == {3, 4, 5, 6, 7}
    await store(data, 5)  # made anew, not written into what is gone
    assert room.path("c").stat().st_size == 4500
    assert await read(data, 5000, 1000) == STREAM[5000:6000]


async def test_no_note_is_made_of_files_in_doubt(room: Room) -> None:
    """Neither after a change that nobody has looked at, nor before its pieces were checked."""
    await seeded(room)
    data = room.open()
    await room.load(data)
    await data.prepare(full())
    notes = next((room.root / "state").glob("*.resume"))
    before = notes.read_bytes()
    room.path("d").touch()
    await data.checkpoint(full(), 1, 1)
    assert notes.read_bytes() == before
    assert await data.look(full(), settled=True) == {8, 9}
    await data.checkpoint(full(), 1, 1)
    assert notes.read_bytes() == before
    await data.check([8, 9], room.tell)
    await data.checkpoint(full(), 1, 1)
    assert notes.read_bytes() != before


# Noting


@pytest.mark.parametrize(("limit", "value"), [("FLUSH_AT_END", 999), ("FILES_AT_END", 1)])
async def test_what_takes_long_to_flush_is_left_to_the_journal(
    room: Room, monkeypatch: pytest.MonkeyPatch, limit: str, value: int
) -> None:
    monkeypatch.setattr(rooms, limit, value)
    data = room.open()
    await room.load(data)
    await data.prepare(have())
    await store(data, 3)  # in two files
    notes = next((room.root / "state").glob("*.resume"))
    before = notes.read_bytes()
    await data.close(have(3), 0, 0)
    assert notes.read_bytes() == before
    assert await room.load(room.open()) == [3]


async def test_a_failing_sync_puts_all_since_the_checkpoint_in_doubt(room: Room) -> None:
    data = room.open(wrap=lambda inner: FailingStorage(inner, Random(1)))
    await room.load(data)
    await data.prepare(have())
    await store(data, 3)
    await data.checkpoint(have(3), 0, 0)
    assert not data.unsynced(have(3)).any()
    await store(data, 4)
    room.disk.sync_fails = True
    with pytest.raises(DiskError):
        await data.checkpoint(have(3, 4), 0, 0)
    assert list(data.unsynced(have(3, 4)).pieces()) == [4]


async def test_the_end_without_notes_is_only_said(
    room: Room, caplog: pytest.LogCaptureFixture
) -> None:
    data = room.open(wrap=lambda inner: FailingStorage(inner, Random(1)))
    await room.load(data)
    await data.prepare(have())
    await store(data, 3)
    room.disk.sync_fails = True
    with caplog.at_level(logging.WARNING):
        await data.close(have(3), 0, 0)
    assert "resume data not written" in caplog.text
    assert await room.load(room.open()) == [3]  # the lock is free, the note was made


async def test_one_download_has_one_memory(room: Room) -> None:
    data = room.open()
    with pytest.raises(HostError, match="another process works"):
        room.open()
    await data.close(None, 0, 0)
    room.open()
