import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from dataclasses import replace
from functools import partial
from hashlib import sha1
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

import pytest

from p2pswarm.disk.check import Check
from p2pswarm.disk.hashing import READ, Expected
from p2pswarm.disk.pace import PENALTY, SLOW, Watch
from p2pswarm.disk.pool import DiskPool, Stored
from p2pswarm.disk.storage import FileStorage, Storage
from p2pswarm.errors import DiskError, DiskFullError, LocalProtocolError
from p2pswarm.formats import merkle
from p2pswarm.formats.building import build
from p2pswarm.formats.ids import BLOCK, PieceIndex
from p2pswarm.formats.metainfo import Metainfo
from tests.support.clock import Time
from tests.support.disks import FailingStorage, FullStorage, LyingStorage, SlowStorage
from tests.support.generations import PIECE as LONG, contents, generation
from tests.support.memory import MemoryStorage

PIECE = 3 * BLOCK + 100


def a_disk(clock: Time) -> Watch:
    """Measures by this clock, whose seconds are all the disk's."""
    waits = count()
    return Watch(clock.clock, lambda: (next(waits), 0.0))


def sha(data: bytes | memoryview) -> bytes:
    return sha1(data).digest()


def piece_of(seed: int) -> memoryview:
    return memoryview(bytearray(Random(seed).randbytes(PIECE)))


# The pool


@pytest.fixture(params=[0, 1, 4])
async def pool(request: pytest.FixtureRequest) -> AsyncIterator[DiskPool]:
    made = DiskPool(threads=request.param)
    yield made
    await made.aclose()


@pytest.fixture
async def threaded() -> AsyncIterator[DiskPool]:
    made = DiskPool(threads=2)
    yield made
    await made.aclose()


async def store(
    pool: DiskPool,
    storage: Storage,
    offset: int,
    data: memoryview,
    expected: bytes | Expected,
    **more: Any,
) -> Stored | DiskError:
    answer: asyncio.Future[Stored | DiskError] = asyncio.get_running_loop().create_future()
    if isinstance(expected, bytes):
        expected = Expected(expected)
    pool.store(storage, offset, data, expected, answer.set_result, **more)
    return await answer


async def read(pool: DiskPool, storage: Storage, offset: int, into: memoryview) -> DiskError | None:
    answer: asyncio.Future[DiskError | None] = asyncio.get_running_loop().create_future()
    pool.read(storage, offset, [into], answer.set_result)
    return await answer


async def test_a_good_piece_is_written_then_noted_then_told(pool: DiskPool) -> None:
    data = piece_of(1)
    storage = MemoryStorage(2 * PIECE)
    noted: list[bytes] = []

    def note() -> None:
        noted.append(storage.read(PIECE, PIECE))

    result = await store(pool, storage, PIECE, data, sha(data), note=note)
    assert result == Stored(True, None)
    assert noted == [data]


async def test_the_digests_of_blocks_are_given_when_asked_for(pool: DiskPool) -> None:
    data = piece_of(1)
    blocks = [sha(data[at : at + BLOCK]) for at in range(0, PIECE, BLOCK)]
    storage = MemoryStorage(PIECE)
    assert len(blocks) == 4
    assert await store(pool, storage, 0, data, sha(data), digests=True) == Stored(True, blocks)
    assert await store(pool, storage, 0, data, b"?" * 20) == Stored(False, blocks)


async def test_a_piece_of_a_hybrid_needs_both_hashes(pool: DiskPool) -> None:
    data, storage = piece_of(1), MemoryStorage(PIECE)
    subtree = merkle.Subtree(PIECE - 1, 2)
    root = merkle.root(merkle.leaves(data[:-1]))
    told = [
        await store(pool, storage, 0, data, Expected(sha1, expected, subtree), leaves=leaves)
        for sha1 in (sha(data), b"?" * 20, None)
        for expected in (root, b"?" * 32)
        for leaves in (None, merkle.leaves(data[:-1]))
    ]
    results = [result[::2] if isinstance(result, Stored) else result for result in told]
    good, bad, contradiction = (True, False), (False, False), (False, True)
    assert results == [
        good, good, contradiction, contradiction,
        contradiction, contradiction, bad, bad,
        good, good, bad, bad,
    ]  # fmt: skip


async def test_a_bad_piece_is_neither_written_nor_noted(pool: DiskPool) -> None:
    storage = MemoryStorage(PIECE)
    result = await store(
        pool, storage, 0, piece_of(1), sha(piece_of(2)), note=lambda: pytest.fail("noted")
    )
    assert isinstance(result, Stored)
    assert not result.ok
    assert storage.read(0, PIECE) == bytes(PIECE)


async def test_a_full_disk_is_told_and_the_piece_can_be_stored_later(pool: DiskPool) -> None:
    data = piece_of(1)
    storage = FullStorage(MemoryStorage(PIECE), room=100)
    noted: list[int] = []
    result = await store(pool, storage, 0, data, sha(data), note=lambda: noted.append(1))
    assert isinstance(result, DiskFullError)
    assert not noted
    storage.room = PIECE
    assert await store(pool, storage, 0, data, sha(data)) == Stored(True, None)


async def test_a_note_that_fails_is_told(pool: DiskPool) -> None:
    def note() -> None:
        raise DiskFullError("cannot write journal: No space left on device")

    data = piece_of(1)
    result = await store(pool, MemoryStorage(PIECE), 0, data, sha(data), note=note)
    assert isinstance(result, DiskFullError)


async def test_failing_writes_and_reads_are_told_one_by_one(pool: DiskPool) -> None:
    storage = FailingStorage(MemoryStorage(PIECE), Random(1), writes=0.3, reads=0.3)
    data = piece_of(1)
    written = [await store(pool, storage, 0, data, sha(data)) for _ in range(30)]
    into = memoryview(bytearray(PIECE))
    reads = [await read(pool, storage, 0, into) for _ in range(30)]
    assert {type(result) for result in written} == {Stored, DiskError}
    assert {type(result) for result in reads} == {type(None), DiskError}


async def test_read_fills_the_buffer(pool: DiskPool, tmp_path: Path) -> None:
    data = bytes(piece_of(1))
    torrent = torrent_of(data)
    storage = FileStorage(tmp_path, torrent.files, writable=True)
    storage.prepare()
    storage.write(0, data)
    for _ in range(3):
        into = memoryview(bytearray(1000))
        assert await read(pool, storage, 50, into) is None
        assert into == data[50:1050]
    (tmp_path / "f").write_bytes(b"short")
    assert isinstance(await read(pool, storage, 50, memoryview(bytearray(1000))), DiskError)
    storage.close()


async def test_any_other_job_can_run(pool: DiskPool) -> None:
    assert await pool.run(divmod, 7, 2) == (3, 1)
    with pytest.raises(ZeroDivisionError):
        await pool.run(divmod, 7, 0)


# Where jobs run


async def where(pool: DiskPool, storage: Storage, data: memoryview) -> str:
    names: list[str] = []
    expected = sha(data)
    await store(
        pool, storage, 0, data, expected, note=lambda: names.append(threading.current_thread().name)
    )
    return "here" if names == ["MainThread"] else "thread"


async def test_without_threads_all_is_done_when_the_verb_returns() -> None:
    pool = DiskPool(threads=0)
    data = piece_of(1)
    told: list[Any] = []
    storage = SlowStorage(MemoryStorage(PIECE), lambda: None, cold=True)
    pool.store(storage, 0, data, Expected(sha(data)), told.append)
    into = memoryview(bytearray(PIECE))
    pool.read(storage, 0, [into], told.append)
    assert told == [Stored(True, None), None]
    assert into == data
    await pool.aclose()


async def test_stores_move_to_the_loop_and_back() -> None:
    clock = Time()
    pool = DiskPool(threads=1, watch=a_disk(clock))
    seconds = [0.0]
    storage = SlowStorage(MemoryStorage(PIECE), lambda: clock.run(seconds[0]))
    data = piece_of(1)
    assert await where(pool, storage, data) == "thread"
    assert await where(pool, storage, data) == "here"
    seconds[0] = SLOW * 2
    assert await where(pool, storage, data) == "here"
    seconds[0] = 0.0
    assert await where(pool, storage, data) == "thread"
    clock.run(PENALTY)
    for _ in range(20):
        await where(pool, storage, data)
    assert await where(pool, storage, data) == "here"
    await pool.aclose()


async def test_a_slow_disk_does_not_slow_another() -> None:
    clock = Time()
    pool = DiskPool(threads=1, watch=a_disk(clock))
    slow = SlowStorage(MemoryStorage(PIECE), lambda: clock.run(1.0))
    quick = MemoryStorage(PIECE)
    for _ in range(3):
        assert await where(pool, slow, piece_of(1)) == "thread"
        quick_place = await where(pool, quick, piece_of(1))
    assert quick_place == "here"
    await pool.aclose()


async def test_the_loop_runs_on_while_a_disk_hangs(threaded: DiskPool) -> None:
    hang = threading.Event()
    storage = SlowStorage(MemoryStorage(PIECE), hang.wait, cold=True)
    data = piece_of(1)
    told: list[Any] = []
    threaded.store(storage, 0, data, Expected(sha(data)), told.append)
    threaded.read(storage, 0, [memoryview(bytearray(9))], told.append)
    await asyncio.sleep(0)
    assert told == []
    hang.set()
    await threaded.aclose()
    assert sorted(map(str, told)) == ["None", str(Stored(True, None))]


async def test_cached_reads_need_no_thread(threaded: DiskPool) -> None:
    told: list[Any] = []
    threaded.read(MemoryStorage(9), 0, [memoryview(bytearray(9))], told.append)
    assert told == [None]


class Untold(MemoryStorage):
    """Lies on a file system that cannot tell what is cached."""

    nowait = False


async def test_where_nobody_can_tell_reads_follow_their_pace() -> None:
    clock = Time()
    pool = DiskPool(threads=1, watch=a_disk(clock))
    seconds = [0.0]
    storage = SlowStorage(Untold(9), lambda: clock.run(seconds[0]))
    into = memoryview(bytearray(9))

    async def runs_here() -> bool:
        answer: asyncio.Future[DiskError | None] = asyncio.get_running_loop().create_future()
        pool.read(storage, 0, [into], answer.set_result)
        here = answer.done()
        await answer
        return here

    assert not await runs_here()
    assert await runs_here()
    seconds[0] = SLOW * 2
    assert await runs_here()
    assert not await runs_here()
    await pool.aclose()


# Workers


async def test_many_results_come_back_in_order_of_one_thread() -> None:
    pool = DiskPool(threads=1)
    results = await asyncio.gather(*[pool.run(int, n) for n in range(200)])
    assert results == list(range(200))
    await pool.aclose()


async def test_a_bug_in_one_receiver_does_not_lose_the_others(threaded: DiskPool) -> None:
    problems: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _loop, context: problems.append(context))
    gate = threading.Event()
    data = piece_of(1)
    told: list[Any] = []

    def broken(_result: object) -> None:
        raise RuntimeError("a bug")

    storage = SlowStorage(MemoryStorage(PIECE), gate.wait)
    for done in (broken, told.append, broken, told.append):
        threaded.store(storage, 0, data, Expected(sha(data)), done)
    gate.set()
    await threaded.aclose()
    assert told == [Stored(True, None)] * 2
    assert [str(problem["exception"]) for problem in problems] == ["a bug", "a bug"]


@pytest.mark.parametrize("threads", [0, 1])
async def test_a_bug_in_a_job_is_raised_on_the_loop(threads: int) -> None:
    pool = DiskPool(threads=threads)
    problems: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(
        lambda _loop, context: problems.append(context)
    )
    data = piece_of(1)

    def call() -> None:
        pool.store(
            MemoryStorage(9), 0, data, Expected(sha(data)), lambda _result: pytest.fail("told")
        )

    if threads:
        call()
        await pool.aclose()
        assert isinstance(problems[0]["exception"], ValueError)
    else:
        with pytest.raises(ValueError, match="of 9"):
            call()


async def test_closing_waits_for_jobs_and_takes_no_more(threaded: DiskPool) -> None:
    gate, others = threading.Event(), threading.enumerate()
    job = asyncio.ensure_future(threaded.run(gate.wait))
    await asyncio.sleep(0)
    closing = asyncio.ensure_future(threaded.aclose())
    again = asyncio.ensure_future(threaded.aclose())
    await asyncio.sleep(0)
    assert not closing.done()
    gate.set()
    await asyncio.gather(closing, again)
    assert await job
    with pytest.raises(LocalProtocolError, match="closed"):
        await threaded.run(int)
    left = [thread for thread in threading.enumerate() if thread not in others]
    assert not [thread for thread in left if thread.name == "p2pswarm-disk"]


async def test_a_cancelled_caller_does_not_stop_the_job(threaded: DiskPool) -> None:
    gate, started, ended = threading.Event(), threading.Event(), threading.Event()

    def job() -> None:
        started.set()
        gate.wait()
        ended.set()

    task = asyncio.ensure_future(threaded.run(job))
    await threaded.run(started.wait)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    gate.set()
    await threaded.aclose()
    assert ended.is_set()


async def test_no_thread_is_started_for_nothing() -> None:
    pool = DiskPool(threads=4)
    before = threading.active_count()
    for _ in range(5):
        await pool.run(int)
    assert threading.active_count() == before + 1
    await pool.aclose()


# Checking


def torrent_of(
    data: bytes, piece_length: int = BLOCK, lengths: list[int] | None = None
) -> Metainfo:
    pieces = b"".join(sha(data[at : at + piece_length]) for at in range(0, len(data), piece_length))
    if lengths is None:
        return build(name="f", piece_length=piece_length, pieces=pieces, length=len(data))
    files = [((f"d{n % 3}", f"f{n}"), length) for n, length in enumerate(lengths)]
    return build(name="top", piece_length=piece_length, pieces=pieces, files=files)


def silent(_checked: int) -> None:
    pass


def all_of(torrent: Metainfo) -> list[PieceIndex]:
    return [PieceIndex(piece) for piece in range(torrent.piece_count)]


async def test_a_check_finds_the_good_pieces(pool: DiskPool) -> None:
    data = Random(1).randbytes(50 * BLOCK + 77)
    torrent = torrent_of(data)
    storage = MemoryStorage(len(data))
    storage.write(0, data)
    lying = LyingStorage(
        storage, [range(7 * BLOCK + 3, 7 * BLOCK + 4), range(50 * BLOCK, 50 * BLOCK + 1)]
    )
    told: list[int] = []
    good = await pool.check(lying, torrent, all_of(torrent), told.append)
    assert [n for n in range(51) if not good[n]] == [7, 50]
    assert told[-1] == 51
    assert told == sorted(told)
    some = await pool.check(lying, torrent, [PieceIndex(n) for n in (3, 7, 20)], silent)
    assert list(some.pieces()) == [3, 20]


async def test_a_check_of_nothing(pool: DiskPool) -> None:
    torrent = torrent_of(b"x")
    told: list[int] = []
    good = await pool.check(MemoryStorage(1), torrent, [], told.append)
    assert not good.any()
    assert told == [0]


async def test_pieces_larger_than_one_read_are_read_in_parts(pool: DiskPool) -> None:
    data = Random(1).randbytes(5 * READ)
    torrent = torrent_of(data, 2 * READ)
    storage = MemoryStorage(len(data))
    storage.write(0, data)
    assert (await pool.check(storage, torrent, all_of(torrent), silent)).all()


async def test_missing_short_and_unreadable_files_are_not_had(
    pool: DiskPool, tmp_path: Path
) -> None:
    lengths = [BLOCK] * 8
    data = Random(1).randbytes(sum(lengths))
    torrent = torrent_of(data, BLOCK // 2, lengths)
    storage = FileStorage(tmp_path, torrent.files, writable=True)
    storage.prepare()
    storage.write(0, data)
    names = [tmp_path.joinpath(*file.path) for file in torrent.files]
    names[1].unlink()
    with names[3].open("r+b") as file:
        file.truncate(BLOCK - 1)
    names[5].unlink()
    names[5].mkdir()
    storage.close()
    fresh = FileStorage(tmp_path, torrent.files, writable=True)
    good = await pool.check(fresh, torrent, all_of(torrent), silent)
    assert [n for n in range(16) if not good[n]] == [2, 3, 7, 10, 11]
    failing = FailingStorage(fresh, Random(1), reads=0.5)
    partly = await pool.check(failing, torrent, all_of(torrent), silent)
    assert 0 < partly.count() < 11
    fresh.close()


async def test_missing_files_are_not_even_read(pool: DiskPool, tmp_path: Path) -> None:
    lengths = [100] * 3000
    torrent = torrent_of(bytes(sum(lengths)), BLOCK, lengths)
    storage = FileStorage(tmp_path, torrent.files, writable=True)
    unreadable = FailingStorage(storage, Random(1))
    unreadable.read_into = lambda *_args, **_more: pytest.fail("read")  # type: ignore[assignment]
    told: list[int] = []
    good = await pool.check(unreadable, torrent, all_of(torrent), told.append)
    assert not good.any()
    assert told == [torrent.piece_count]


async def test_pad_files_are_zeros_that_are_never_missing(pool: DiskPool, tmp_path: Path) -> None:
    lengths = [100, BLOCK - 100, 50]
    data = b"a" * 100 + bytes(BLOCK - 100) + b"b" * 50
    torrent = torrent_of(data, BLOCK, lengths)
    files = [file._replace(pad=number == 1) for number, file in enumerate(torrent.files)]
    torrent = replace(torrent, files=tuple(files))
    storage = FileStorage(tmp_path, files, writable=True)
    storage.prepare()
    storage.write(0, data)
    assert (await pool.check(storage, torrent, all_of(torrent), silent)).all()
    storage.close()


@pytest.mark.parametrize("v1", [False, True])
async def test_version_2_is_checked(pool: DiskPool, tmp_path: Path, v1: bool) -> None:
    files = {"a": contents(2 * LONG + 5), "b": contents(LONG, 1), "c": b"c"}
    torrent = Metainfo.from_bytes(generation(files, v1=v1))
    for name, data in files.items():
        path = tmp_path / "t" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
    with closing(FileStorage(tmp_path, torrent.files, writable=False)) as storage:
        assert (await pool.check(storage, torrent, all_of(torrent), silent)).all()
    with (tmp_path / "t" / "a").open("r+b") as file:
        file.seek(LONG)
        file.write(b"?")
    with closing(FileStorage(tmp_path, torrent.files, writable=False)) as storage:
        good = await pool.check(storage, torrent, all_of(torrent), silent)
        assert list(good.pieces()) == [0, 2, 3, 4]
        bare = replace(torrent, layers={})
        good = await pool.check(storage, bare, all_of(torrent), silent)
        assert list(good.pieces()) == (
            [0, 2, 3, 4] if v1 else [3, 4]
        )  # what nobody knows is not had
        assert Check(storage, bare, all_of(torrent)).checked == (0 if v1 else 3)  # nor is it read
        expect = partial(Expected.of, bare, root_of=torrent.piece_root)
        good = await pool.check(storage, bare, all_of(torrent), silent, expect)
        assert list(good.pieces()) == [0, 2, 3, 4]


async def test_progress_is_told_ten_times_a_second_at_most() -> None:
    clock = Time()
    pool = DiskPool(threads=2, watch=a_disk(clock))
    data = bytes(4096) * 256
    torrent = torrent_of(data * 40, len(data))
    storage = SlowStorage(MemoryStorage(40 * len(data)), lambda: clock.run(0.01))
    told: list[int] = []
    assert (await pool.check(storage, torrent, all_of(torrent), told.append)).all()
    assert told[-1] == 40
    assert 2 <= len(told) <= 0.01 * 4 * 40 / 0.1 + 1
    await pool.aclose()


async def test_a_check_leaves_room_for_other_jobs(threaded: DiskPool) -> None:
    """A store that comes while a long check runs waits for a slice of it, not for its end."""
    data = bytes(1 << 20)
    torrent = torrent_of(data * 64, len(data))
    storage = MemoryStorage(len(data) * 64)
    order: list[str] = []
    check = asyncio.ensure_future(threaded.check(storage, torrent, all_of(torrent), silent))
    check.add_done_callback(lambda _done: order.append("check"))
    await asyncio.sleep(0)
    await threaded.run(order.append, "job")
    await check
    await asyncio.sleep(0)
    assert order == ["job", "check"]


async def test_a_cancelled_check_stops_its_threads(threaded: DiskPool) -> None:
    data = bytes(BLOCK * 1000)
    torrent = torrent_of(data)
    reading, gate = threading.Event(), threading.Event()
    reads = [0]

    def wait() -> None:
        reads[0] += 1
        reading.set()
        gate.wait()

    storage = SlowStorage(MemoryStorage(len(data)), wait)
    task = asyncio.ensure_future(threaded.check(storage, torrent, all_of(torrent), silent))
    await asyncio.get_running_loop().run_in_executor(None, reading.wait)
    task.cancel()
    await asyncio.sleep(0)
    assert not task.done()  # the storage is in use until the threads have stopped
    gate.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert reads[0] <= 4


async def test_a_disk_that_cannot_be_looked_at_fails_the_check(pool: DiskPool) -> None:
    storage = MemoryStorage(1)

    def stats() -> None:
        raise DiskError("cannot look at file: Permission denied")

    storage.stats = stats  # type: ignore[assignment,method-assign]
    with pytest.raises(DiskError, match="cannot look at"):
        await pool.check(storage, torrent_of(b"x"), [PieceIndex(0)], silent)


def test_callbacks_are_all_a_caller_needs() -> None:
    """`done` may store the next piece, many times over, without a task anywhere."""

    async def main() -> int:
        pool = DiskPool(threads=2)
        storage = MemoryStorage(PIECE)
        data = piece_of(1)
        expected = sha(data)
        left = 300
        over = asyncio.get_running_loop().create_future()

        def next_(_result: object = None) -> None:
            nonlocal left
            left -= 1
            if left:
                asyncio.get_running_loop().call_soon(go)
            else:
                over.set_result(None)

        go: Callable[[], None] = lambda: pool.store(storage, 0, data, Expected(expected), next_)  # noqa: E731
        go()
        await over
        await pool.aclose()
        return left

    assert asyncio.run(main()) == 0
