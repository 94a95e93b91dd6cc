"""The contract of a file index; a new one is done when this suite is green with it as a parameter."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from p2pswarm.errors import HostError
from p2pswarm.formats.words import Kind, kind_of, words_of
from p2pswarm.wire.fields import as_text
from p2pswarm.wire.napster import Bounds
from tracker.napster.index import FileIndex, Found, Query, SharedFile, readable, segment
from tracker.napster.index.memory import LOOK_AT, MemoryIndex
from tracker.napster.index.sqlite import SqliteIndex
from tracker.napster.index.tables import Tables

Index = MemoryIndex | SqliteIndex
MD5 = bytes(range(16))
SHA1, BTIH = b"s" * 20, b"b" * 20
BLUE = SharedFile("C:\\music\\Blue Moon (live).mp3", MD5, 4_000_000, 128, 44100, 200)
RED = SharedFile("C:\\music\\Red_Moon.mp3", b"r" * 16, 5_000_000, 320, 48000, 300)
CAFE = SharedFile(as_text("caf\u00e9 moon.ogg".encode("latin-1")), b"", 1)
FILM = SharedFile("Moon.avi", MD5, 700_000_000)


async def ask(verb: Callable[..., None], *args: Any, **more: Any) -> Any:
    """The answer of a verb that takes `done` at the end."""
    future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    verb(*args, future.set_result, **more)
    return await future


async def names(index: FileIndex, text: str, without: str = "", **more: Any) -> list[str]:
    found = await ask(index.search, Query(words_of(text), words_of(without), **more))
    return sorted(file.name for _, file in found)


def small_segments() -> Iterator[None]:
    """Segments of fifteen files, so that a few show what otherwise takes a million."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (("CAPACITY", 15), ("_BITMAP", 2), ("_MANY", 2)):
            patch.setattr(segment, name, value)
        yield


@pytest.fixture(params=["memory", "small segments", "sqlite"])
async def index(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Index]:
    if request.param == "sqlite":
        sqlite = SqliteIndex(tmp_path / "index")
        await sqlite.start()
        yield sqlite
        sqlite.check()
        await sqlite.aclose()
        return
    patches = small_segments() if request.param != "memory" else iter([None])
    next(patches)
    memory = MemoryIndex()
    yield memory
    memory.check()
    await memory.aclose()
    next(patches, None)


@pytest.fixture
async def filled(index: Index) -> Index:
    index.arrive(1, 3)
    index.arrive(2, 10)
    assert await ask(index.add, 1, [BLUE, RED]) == 2
    assert await ask(index.add, 2, [CAFE, FILM]) == 2
    return index


async def test_all_words_must_match(filled: Index) -> None:
    assert await names(filled, "moon") == sorted(f.name for f in (BLUE, RED, CAFE, FILM))
    assert await names(filled, "MOON blue") == [BLUE.name]
    assert await names(filled, "moon live music mp3") == [BLUE.name]
    assert await names(filled, "moon green") == []
    assert await names(filled, "moo") == []


async def test_no_excluded_word_may(filled: Index) -> None:
    assert await names(filled, "moon mp3", "live") == [RED.name]
    assert await names(filled, "moon", "mp3 avi") == [CAFE.name]
    assert await names(filled, "moon", "green") == sorted(f.name for f in (BLUE, RED, CAFE, FILM))


async def test_what_is_found_is_all_that_was_said(filled: Index) -> None:
    assert await ask(filled.search, Query(["blue"])) == [Found(1, BLUE)]
    assert await ask(filled.search, Query(["caf\u00e9"])) == [Found(2, CAFE)]


@pytest.mark.parametrize(
    ("limits", "fits"),
    [
        ({"bitrate": Bounds(128, 128)}, [BLUE]),
        ({"bitrate": Bounds(129)}, [RED]),
        ({"frequency": Bounds(high=44100)}, [BLUE, CAFE, FILM]),
        ({"seconds": Bounds(200, 300)}, [BLUE, RED]),
        ({"size": Bounds(5_000_000)}, [RED, FILM]),
        ({"speed": Bounds(4)}, [CAFE, FILM]),
        ({"speed": Bounds(3, 3)}, [BLUE, RED]),
        ({"kind": Kind.AUDIO}, [BLUE, RED, CAFE]),
        ({"kind": Kind.VIDEO}, [FILM]),
        ({"but_not": 1}, [CAFE, FILM]),
        ({"kind": Kind.AUDIO, "but_not": 2, "size": Bounds(high=4_000_000)}, [BLUE]),
    ],
    ids=str,
)
async def test_bounds(filled: Index, limits: dict[str, Any], fits: list[SharedFile]) -> None:
    assert await names(filled, "moon", **limits) == sorted(file.name for file in fits)


async def test_a_search_has_a_limit(filled: Index) -> None:
    assert len(await names(filled, "moon", most=3)) == 3


async def test_speed_is_what_was_said_last(filled: Index) -> None:
    filled.arrive(1, 7)
    assert await names(filled, "moon", speed=Bounds(7, 7)) == [BLUE.name, RED.name]


async def test_a_name_is_shared_once_by_each_owner(filled: Index) -> None:
    assert await ask(filled.add, 1, [BLUE, BLUE._replace(size=1), FILM]) == 1
    assert await names(filled, "blue") == [BLUE.name]
    assert await names(filled, "avi") == [FILM.name, FILM.name]
    assert filled.files == 5
    assert filled.size == BLUE.size + RED.size + CAFE.size + 2 * FILM.size


async def test_who_leaves_takes_everything_along(filled: Index) -> None:
    filled.leave(1)
    assert await names(filled, "moon") == [FILM.name, CAFE.name]
    assert await ask(filled.lookup, "md5", MD5, 10) == [Found(2, FILM)]
    assert filled.files == 2
    assert filled.size == CAFE.size + FILM.size
    filled.arrive(1, 0)
    assert await ask(filled.add, 1, [BLUE]) == 1
    assert await names(filled, "blue") == [BLUE.name]


async def test_files_can_be_taken_back(filled: Index) -> None:
    assert await ask(filled.remove, 1, BLUE.name) is True
    assert await ask(filled.remove, 1, BLUE.name) is False
    assert await ask(filled.remove, 1, FILM.name) is False
    assert await names(filled, "moon") == sorted(f.name for f in (RED, CAFE, FILM))
    assert await ask(filled.add, 1, [BLUE]) == 1
    assert await names(filled, "blue") == [BLUE.name]


async def test_all_files_can_be_taken_back(filled: Index) -> None:
    assert await ask(filled.clear, 1) == 2
    assert await names(filled, "moon") == [FILM.name, CAFE.name]
    assert filled.files == 2
    assert await ask(filled.add, 1, [BLUE]) == 1
    assert await names(filled, "blue", speed=Bounds(3, 3)) == [BLUE.name]
    assert await ask(filled.clear, 1) == 1
    assert await ask(filled.clear, 1) == 0


async def test_a_file_is_found_by_its_owner_and_name(filled: Index) -> None:
    assert await ask(filled.find, 1, BLUE.name) == BLUE
    assert await ask(filled.find, 2, BLUE.name) is None
    assert await ask(filled.find, 2, CAFE.name) == CAFE


async def test_the_files_of_somebody_are_listed(filled: Index) -> None:
    assert sorted(await ask(filled.listing, 2, 10)) == sorted([CAFE, FILM])
    assert len(await ask(filled.listing, 2, 1)) == 1
    await ask(filled.remove, 2, CAFE.name)
    assert await ask(filled.listing, 2, 10) == [FILM]


async def test_files_are_found_by_digest(filled: Index) -> None:
    by_md5 = await ask(filled.lookup, "md5", MD5, 10)
    assert sorted(by_md5) == [Found(1, BLUE), Found(2, FILM)]
    exactly = Bounds(BLUE.size, BLUE.size)
    assert await ask(filled.lookup, "md5", MD5, 10, size=exactly) == [Found(1, BLUE)]
    assert len(await ask(filled.lookup, "md5", MD5, 1)) == 1
    assert await ask(filled.lookup, "md5", b"x" * 16, 10) == []
    assert await ask(filled.lookup, "btih", BTIH, 10) == []


async def test_notes_add_digests(filled: Index) -> None:
    filled.note(1, BLUE.name, SHA1, BTIH)
    filled.note(2, FILM.name, SHA1, b"")
    filled.note(2, "nothing", SHA1, BTIH)
    noted = Found(1, BLUE._replace(sha1=SHA1, info_hash=BTIH))
    assert await ask(filled.search, Query(["blue"])) == [noted]
    assert await ask(filled.lookup, "btih", BTIH, 10) == [noted]
    by_sha1 = await ask(filled.lookup, "sha1", SHA1, 10)
    assert sorted(by_sha1) == [noted, Found(2, FILM._replace(sha1=SHA1))]


async def test_a_digest_once_noted_stays(index: Index) -> None:
    index.arrive(1, 0)
    await ask(index.add, 1, [BLUE._replace(sha1=SHA1)])
    index.note(1, BLUE.name, b"x" * 20, BTIH)
    assert await ask(index.find, 1, BLUE.name) == BLUE._replace(sha1=SHA1, info_hash=BTIH)


async def test_notes_come_in_any_order(index: Index) -> None:
    index.arrive(1, 0)
    files = [SharedFile(f"{n}", b"", n, sha1=bytes((n,)) * 20) for n in range(1, 41)]
    await ask(index.add, 1, [file._replace(sha1=b"") for file in files])
    for file in reversed(files):
        index.note(1, file.name, file.sha1, b"")
    for file in files:
        assert await ask(index.lookup, "sha1", file.sha1, 10) == [Found(1, file)]


async def test_many_files_at_once(index: Index) -> None:
    index.arrive(1, 0)
    counts: list[int] = []
    for part in range(4):
        files = [SharedFile(f"many {part} {n}", b"", n) for n in range(300)]
        index.add(1, files, counts.append)
    assert len(await names(index, "many", most=2000)) == 1200
    assert counts == [300] * 4
    index.leave(1)
    assert await names(index, "many") == []
    assert index.files == 0


async def test_a_name_may_have_no_words(index: Index) -> None:
    index.arrive(1, 0)
    odd = SharedFile("\u2026 !!! ...", MD5, 7)
    assert await ask(index.add, 1, [odd]) == 1
    assert await ask(index.listing, 1, 10) == [odd]


async def test_many_words_are_common(index: Index) -> None:
    index.arrive(1, 0)
    files = [SharedFile(f"common word {n % 3} {n}.mp3", MD5, n) for n in range(100)]
    assert await ask(index.add, 1, files) == 100
    assert len(await names(index, "common word mp3", most=1000)) == 100
    assert len(await names(index, "common mp3 0", most=1000)) == 34
    assert len(await names(index, "common", "0", most=1000)) == 66
    assert len(await names(index, "common", "mp3", most=1000)) == 0
    assert await names(index, "common 77") == ["common word 2 77.mp3"]


words = st.sampled_from(["a", "b", "c", "d", "e", "f"])
file_names = st.builds(" ".join, st.lists(words, min_size=1, max_size=4))
owners = st.integers(1, 3)
acts = st.one_of(
    st.tuples(st.just("add"), owners, st.lists(file_names, max_size=9)),
    st.tuples(st.just("remove"), owners, file_names),
    st.tuples(st.just("clear") | st.just("again") | st.just("tidy"), owners, st.none()),
    st.tuples(st.just("search"), owners, st.tuples(file_names, file_names)),
)


class Model:
    """The same in the plainest way."""

    def __init__(self) -> None:
        self.files: dict[int, dict[str, SharedFile]] = {owner: {} for owner in range(1, 4)}

    def search(self, but_not: int, wanted: str, unwanted: str) -> list[tuple[int, str]]:
        return sorted(
            (owner, name)
            for owner, files in self.files.items()
            for name in files
            if owner != but_not
            and set(words_of(wanted)) <= set(words_of(name))
            and not set(words_of(unwanted)) & set(words_of(name))
        )


def tell(model: Model, index: FileIndex, act: str, owner: int, what: Any) -> None:
    """Do the same to both, and compare what they say."""
    answers: list[Any] = []
    files = model.files[owner]
    match act:
        case "add":
            new = dict.fromkeys(name for name in what if name not in files)
            index.add(owner, [SharedFile(name, MD5, len(name)) for name in what], answers.append)
            files.update({name: SharedFile(name, MD5, len(name)) for name in new})
            assert answers == [len(new)]
        case "remove":
            index.remove(owner, what, answers.append)
            assert answers == [files.pop(what, None) is not None]
        case "clear":
            index.clear(owner, answers.append)
            assert answers == [len(files)]
            files.clear()
        case "again":
            index.leave(owner)
            index.arrive(owner, 0)
            files.clear()
        case "tidy":
            index.tidy()
        case "search":
            query = Query(words_of(what[0]), words_of(what[1]), most=10_000, but_not=owner)
            index.search(query, answers.extend)
            found = sorted((found.owner, found.file.name) for found in answers)
            assert found == model.search(owner, *what)


@given(st.lists(acts, max_size=60))
@settings(deadline=None)
def test_memory_is_like_its_model_through_all_segments(story: list[Any]) -> None:
    patches = small_segments()
    next(patches)
    model, index = Model(), MemoryIndex()
    for owner in model.files:
        index.arrive(owner, 0)
    for act, owner, what in story:
        tell(model, index, act, owner, what)
        index.check()
    next(patches, None)


def test_segments_that_are_mostly_holes_are_given_up() -> None:
    patches = small_segments()
    next(patches)
    index = MemoryIndex()
    for owner in range(1, 21):
        index.arrive(owner, 0)
        index.add(owner, [SharedFile(f"{owner} {n}", MD5, 1) for n in range(10)], lambda _: None)
    assert len(index._segments) == 14
    for owner in range(1, 20):
        index.leave(owner)
    for _ in range(100):
        index.tidy()
        index.check()
    assert len(index._segments) <= 2
    found: list[Found] = []
    index.search(Query(["20"]), found.extend)
    assert len(found) == 10
    next(patches, None)


def test_a_search_that_rejects_nearly_everything_ends() -> None:
    index = MemoryIndex()
    index.arrive(1, 0)
    files = [SharedFile(f"common {n}", MD5, 1) for n in range(LOOK_AT)]
    index.add(1, [*files, SharedFile("common last", MD5, 2)], lambda _: None)
    found: list[Found] = []
    index.search(Query(["common"], size=Bounds(2)), found.extend)
    assert found == []
    index.search(Query(["common", "last"], size=Bounds(2)), found.extend)
    assert len(found) == 1


def test_words_that_nobody_else_has_weigh_more() -> None:
    index = MemoryIndex()
    index.arrive(1, 0)
    dice = Random(1)
    files = [
        SharedFile(" ".join(f"{dice.random()}"[2:] for _ in range(8)), b"", n) for n in range(100)
    ]
    index.add(1, files, lambda _: None)
    assert index.weight == 200


@pytest.mark.parametrize(
    "name", ["moon.mp3", "caf\u00e9", as_text(b"caf\xe9"), as_text(b"\xe2\x82caf\xc3\xa9")]
)
def test_every_name_is_readable(name: str) -> None:
    readable(name).encode()
    assert any("caf" in word or word == "moon" for word in words_of(readable(name)))


async def test_sqlite_throws_away_only_what_is_its_own(tmp_path: Path) -> None:
    path = tmp_path / "index"
    path.write_bytes(b"precious" * 1000)
    with pytest.raises(HostError, match="cannot hold the index"):
        await SqliteIndex(path).start()
    assert path.read_bytes().startswith(b"precious")
    import sqlite3

    path = tmp_path / "other"
    database = sqlite3.connect(path)
    database.execute("CREATE TABLE precious (things)")
    database.close()
    with pytest.raises(HostError, match="another program's"):
        await SqliteIndex(path).start()
    with pytest.raises(HostError):
        await SqliteIndex(tmp_path / "nowhere" / "index").start()


async def test_sqlite_begins_empty_and_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "index"
    left = Tables(path)  # as after SIGKILL
    left.open()
    left.hold(1, 1, 0)
    left.add([(1, [BLUE])])
    index = SqliteIndex(path)
    await index.start()
    assert await names(index, "moon") == []
    await index.aclose()
    assert not path.exists()


async def test_sqlite_answers_in_the_order_of_asking(tmp_path: Path) -> None:
    index = SqliteIndex(tmp_path / "index")
    await index.start()
    heard: list[Any] = []
    index.arrive(1, 0)
    index.add(1, [BLUE], heard.append)
    index.add(1, [RED], heard.append)
    index.search(Query(["moon"]), lambda found: heard.append(len(found)))
    index.clear(1, heard.append)
    index.search(Query(["moon"]), lambda found: heard.append(len(found)))
    index.add(1, [RED], heard.append)
    assert await ask(index.find, 1, RED.name) == RED
    assert heard == [1, 1, 2, 2, 0, 1]
    index.check()
    await index.aclose()


async def test_sqlite_counts_nothing_of_who_left_before_it_was_done(tmp_path: Path) -> None:
    index = SqliteIndex(tmp_path / "index")
    await index.start()
    index.arrive(1, 0)
    index.arrive(2, 0)
    counts: list[int] = []
    index.add(1, [BLUE], counts.append)
    index.leave(1)
    index.add(2, [RED], counts.append)
    assert await names(index, "moon") == [RED.name]
    assert counts == [1, 1]
    assert (index.files, index.size) == (1, RED.size)
    index.check()
    await index.aclose()


async def test_sqlite_that_fails_says_so_and_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    index = SqliteIndex(tmp_path / "index")
    await index.start()
    index.arrive(1, 0)
    await ask(index.add, 1, [BLUE])
    index._tables._db.execute("ALTER TABLE terms RENAME TO broken")
    assert await names(index, "moon") == []
    assert await ask(index.add, 1, [RED]) == 0
    assert "a job of napster-index failed" in caplog.text
    assert index.files == 1
    index._tables._db.execute("ALTER TABLE broken RENAME TO terms")
    assert await ask(index.add, 1, [RED]) == 1
    assert await names(index, "moon") == [BLUE.name, RED.name]
    await index.aclose()


def test_kinds_are_by_extension() -> None:
    assert kind_of(FILM.name) is Kind.VIDEO
