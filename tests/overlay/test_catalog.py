import asyncio
import os
from collections.abc import Sequence
from hashlib import md5, sha1
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from p2pswarm.disk.digests import MD5_SPAN
from p2pswarm.errors import DiskError, HostError, InUseError
from p2pswarm.formats.ids import InfoHash
from p2pswarm.formats.thex import TigerTree
from p2pswarm.formats.words import Asked, Kind, words_of
from p2pswarm.overlay import indexing
from p2pswarm.overlay.catalog import Catalog
from p2pswarm.overlay.query import Digest, Query
from p2pswarm.overlay.tables import Shared
from tests.support.catalogs import opened
from tests.support.tiger import needs_tiger

EVERYTHING = Query(limit=10_000)


@pytest.fixture
def share(tmp_path: Path) -> Path:
    folder = tmp_path / "Music"
    put(folder / "Blue Moon.mp3", b"blue moon")
    put(folder / "live" / "Blue Train (live).ogg", b"blue train" * 99)
    put(folder / "live" / "cover.jpg", b"\xff\xd8\xff")
    return folder


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "catalog.db"


def put(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def move(path: Path, to: Path) -> None:
    path.rename(to)


def names(found: Sequence[Shared]) -> list[str]:
    return sorted(shared.name for shared in found)


async def rescanned(catalog: Catalog) -> None:
    catalog.rescan()
    await catalog.settled()


async def found(catalog: Catalog, text: str, **more: object) -> list[str]:
    asked = Asked.parse(text)
    return names(await catalog.search(Query(asked.words, asked.without, **more)))


def damage(database: Path) -> None:
    """The beginning of every page but the first."""
    data = bytearray(database.read_bytes())
    for at in range(4096, len(data), 4096):
        data[at : at + 64] = b"\xff" * 64
    database.write_bytes(data)


# What is found


async def test_files_are_found_by_words_kind_and_size(share: Path, database: Path) -> None:
    async with opened(database, share) as catalog:
        assert await found(catalog, "BLUE") == [
            "Music/Blue Moon.mp3",
            "Music/live/Blue Train (live).ogg",
        ]
        assert await found(catalog, "blue -live") == ["Music/Blue Moon.mp3"]
        assert await found(catalog, "blue moo") == []
        assert await found(catalog, "music live", kind=Kind.IMAGE) == ["Music/live/cover.jpg"]
        assert await found(catalog, "", kind=Kind.AUDIO, min_size=100) == [
            "Music/live/Blue Train (live).ogg"
        ]
        assert await found(catalog, "", max_size=5) == ["Music/live/cover.jpg"]
        assert len(await found(catalog, "-jpg")) == 2
        assert len(await found(catalog, "", limit=2)) == 2
        assert (catalog.files, catalog.bytes) == (3, 9 + 990 + 3)


async def test_accents_make_no_difference(tmp_path: Path, database: Path) -> None:
    put(tmp_path / "Music" / "Déjà vu.ogg", b"again")
    async with opened(database, tmp_path / "Music") as catalog:
        for asked in ("deja vu", "Déjà VU", "de\u0301ja"):
            assert len(await catalog.search(Query.parse(asked))) == 1
        assert not await catalog.search(Query.parse("vu -deja"))


async def test_files_are_found_by_every_hash(share: Path, database: Path) -> None:
    data = b"blue train" * 99
    async with opened(database, share) as catalog:
        (shared,) = await catalog.search(Query(("train",)))
        assert shared.sha1 == sha1(data).digest()
        assert shared.md5 == md5(data[:MD5_SPAN]).digest()
        assert shared.info_hash is not None
        for name, value in (("sha1", shared.sha1), ("md5", shared.md5), ("btih", shared.info_hash)):
            assert await catalog.by_digest(Digest(name, value)) == [shared]
            assert await catalog.search(Query(digest=Digest(name, value))) == [shared]
        assert await catalog.by_digest(Digest("crc32", bytes(4))) == []
        assert await catalog.by_digest(Digest("sha1", bytes(20))) == []


@needs_tiger()
async def test_tiger_trees_are_kept_and_found(share: Path, database: Path) -> None:
    data = os.urandom(300_000)
    put(share / "large", data)
    async with opened(database, share) as catalog:
        large, small = (
            await catalog.named("Music/large"),
            await catalog.named("Music/live/cover.jpg"),
        )
        assert large is not None
        assert small is not None
        tree = TigerTree.of(data)
        assert (large.tth, len(tree)) == (tree.root, 5)
        assert await catalog.tree(large) == tree
        assert await catalog.tree(small) == TigerTree.of(b"\xff\xd8\xff")
        assert await catalog.by_digest(Digest("tth", tree.root)) == [large]
        assert await catalog.by_digest(Digest("tth", bytes(24))) == []
        (share / "large").unlink()
        await rescanned(catalog)
        assert await catalog.tree(large) is None
        assert await catalog.ask(catalog._shelf._db.rows, "SELECT * FROM tree") == []


async def test_without_tiger_a_file_has_no_tree(
    share: Path, database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("p2pswarm.disk.digests.available", lambda: False)
    async with opened(database, share) as catalog:
        for shared in await catalog.search(EVERYTHING):
            assert shared.sha1 is not None
            assert (shared.tth, await catalog.tree(shared)) == (None, None)


async def test_the_index_of_an_older_version_is_made_anew(
    share: Path, database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("p2pswarm.overlay.tables._VERSION", 1)
        async with opened(database, share):
            pass
    async with opened(database, share) as catalog:
        assert len(await catalog.noted(0, 10)) == 3


async def test_a_file_is_named_exactly_or_not_at_all(share: Path, database: Path) -> None:
    put(share.parent / "secret", b"secret")
    async with opened(database, share) as catalog:
        assert (await catalog.named("Music/Blue Moon.mp3")) is not None
        for name in (
            "", "/", "Blue Moon.mp3", "music/blue moon.mp3", "Music/", "Music/live",
            "Music/../secret", "Music/live/../Blue Moon.mp3", "Music//Blue Moon.mp3",
            str(share / "Blue Moon.mp3"), "/Music/Blue Moon.mp3", "Music/Blue Moon.mp3/",
            "Music\\Blue Moon.mp3", "Music/Blue Moon.mp3\0",
        ):  # fmt: skip
            assert await catalog.named(name) is None, name


async def test_the_torrent_of_a_file_is_the_same_under_every_name(
    share: Path, database: Path
) -> None:
    data = os.urandom(600_000)
    put(share / "one", data)
    put(share / "live" / "two", data)
    async with opened(database, share) as catalog:
        one, another = await catalog.named("Music/one"), await catalog.named("Music/live/two")
        assert one is not None
        assert another is not None
        assert one.info_hash == another.info_hash is not None
        torrent = await catalog.torrent(one.info_hash)
        assert torrent is not None
        assert torrent[0].sha1 == sha1(data).digest()
        assert torrent[1].info_hash == one.info_hash
        cuts = (data[at : at + (256 << 10)] for at in range(0, len(data), 256 << 10))
        assert torrent[1].pieces == b"".join(sha1(piece).digest() for piece in cuts)
        assert await catalog.torrent(InfoHash(bytes(20))) is None


# What is shared


async def test_nothing_outside_is_reached(share: Path, database: Path, tmp_path: Path) -> None:
    put(tmp_path / "outside" / "secret", b"secret")
    (share / "link").symlink_to(tmp_path / "outside")
    (share / "secret").symlink_to(tmp_path / "outside" / "secret")
    put(share / ".hidden", b"hidden")
    async with opened(database, share) as catalog:
        assert len(await catalog.search(EVERYTHING)) == 3
        assert not any(str(tmp_path) in repr(shared) for shared in await catalog.search(EVERYTHING))


async def test_a_file_that_became_a_link_is_not_read(
    share: Path, database: Path, tmp_path: Path
) -> None:
    put(tmp_path / "secret", b"blue moon")
    async with opened(database, share) as catalog:
        shared = await catalog.named("Music/Blue Moon.mp3")
        assert shared is not None
        (share / "Blue Moon.mp3").unlink()
        (share / "Blue Moon.mp3").symlink_to(tmp_path / "secret")
        os.utime(tmp_path / "secret", ns=(shared.changed, shared.changed))
        with pytest.raises(DiskError, match="a symbolic link is in the way"):
            await catalog.read(shared)


async def test_a_file_is_read_only_while_it_is_what_was_indexed(
    share: Path, database: Path
) -> None:
    async with opened(database, share) as catalog:
        shared = await catalog.named("Music/Blue Moon.mp3")
        assert shared is not None
        buffer = memoryview(bytearray(4))
        (await catalog.read(shared)).read_into(5, buffer)
        assert buffer == b"moon"
        assert await catalog.path(shared) == share / "Blue Moon.mp3"
        os.utime(share / "Blue Moon.mp3", (1, 1))
        with pytest.raises(DiskError, match="is not what it was"):
            await catalog.read(shared)
        await rescanned(catalog)
        with pytest.raises(DiskError, match="is not shared any more"):
            await catalog.read(shared)


async def test_names_that_networks_cannot_carry_get_another(database: Path, tmp_path: Path) -> None:
    folder = tmp_path / "share"
    for raw in (b'12" mix\\one\n', b"not \xff utf-8"):
        put(folder / os.fsdecode(raw) / os.fsdecode(raw), raw)
    async with opened(database, folder) as catalog:
        assert names(await catalog.search(EVERYTHING)) == [
            "share/12_ mix_one_/12_ mix_one_",
            "share/not _ utf-8/not _ utf-8",
        ]
        for shared in await catalog.search(EVERYTHING):
            buffer = memoryview(bytearray(shared.size))
            (await catalog.read(shared)).read_into(0, buffer)
            assert bytes(buffer) == os.fsencode((await catalog.path(shared)).name)


async def test_twins_of_odd_names_are_shared_once(database: Path, tmp_path: Path) -> None:
    folder = tmp_path / "share"
    put(folder / 'a"b', b"one")
    put(folder / "a\\b", b"another")
    async with opened(database, folder) as catalog:
        for _ in range(2):
            assert names(await catalog.search(EVERYTHING)) == ["share/a_b"]
            await rescanned(catalog)


async def test_several_folders_and_single_files(
    share: Path, database: Path, tmp_path: Path
) -> None:
    put(tmp_path / "other" / "Music" / "x", b"x")
    put(tmp_path / "alone.pdf", b"alone")
    async with opened(
        database, share, tmp_path / "other" / "Music", tmp_path / "alone.pdf"
    ) as catalog:
        assert names(await catalog.search(EVERYTHING)) == [
            "Music (2)/x", "Music/Blue Moon.mp3", "Music/live/Blue Train (live).ogg",
            "Music/live/cover.jpg", "alone.pdf",
        ]  # fmt: skip
        alone = await catalog.named("alone.pdf")
        assert alone is not None
        assert await catalog.path(alone) == tmp_path / "alone.pdf"
        assert (await catalog.read(alone)).size == 5


async def test_a_folder_that_is_shared_no_more_is_gone_at_once(
    share: Path, database: Path, tmp_path: Path
) -> None:
    put(tmp_path / "other" / "x", b"x")
    async with opened(database, share, tmp_path / "other"):
        pass
    async with opened(database, tmp_path / "other", work=False) as catalog:
        assert names(await catalog.search(EVERYTHING)) == ["other/x"]
        assert await catalog.named("Music/Blue Moon.mp3") is None
        assert (
            names(await catalog.listed(0, 10)) == names(await catalog.noted(0, 10)) == ["other/x"]
        )
    async with opened(database, tmp_path / "other") as catalog:
        assert catalog.files == 1


async def test_what_cannot_be_shared_is_named(database: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name, error, words in (
        ("nowhere", DiskError, "cannot read .*nowhere: No such file"),
        ("pipe", HostError, "is neither a file nor a folder"),
    ):
        with pytest.raises(error, match=words):
            async with opened(database, tmp_path / name):
                pass


async def test_two_nodes_do_not_share_one_database(share: Path, database: Path) -> None:
    async with opened(database, share):
        with pytest.raises(InUseError):
            async with opened(database, share):
                pass


# Restarts and rescans


async def test_the_next_start_knows_everything_at_once(share: Path, database: Path) -> None:
    async with opened(database, share) as catalog:
        before = await catalog.search(EVERYTHING)
    async with opened(database, share, work=False) as catalog:
        assert await catalog.search(EVERYTHING) == before
        assert (catalog.files, catalog.bytes) == (3, 1002)


async def test_a_rescan_hashes_nothing_again(
    share: Path, database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(database, share) as catalog:
        before = await catalog.search(EVERYTHING)
    monkeypatch.setattr(indexing, "_md5s", None)
    monkeypatch.setattr(indexing, "Digesting", None)
    async with opened(database, share) as catalog:
        await rescanned(catalog)
        assert await catalog.search(EVERYTHING) == before


async def test_a_disk_that_is_away_for_a_while_costs_no_hash(
    share: Path, database: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    put(tmp_path / "other" / "x", b"x")
    async with opened(database, share, tmp_path / "other") as catalog:
        before = await catalog.search(EVERYTHING)
        move(share, tmp_path / "away")
        await rescanned(catalog)
        assert "not looked at: cannot read" in caplog.text
        assert await catalog.search(EVERYTHING) == before
        with pytest.raises(DiskError):
            await catalog.read(before[0])


async def test_a_file_that_cannot_be_read_is_not_announced(
    share: Path, database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreadable(path: str) -> bool:
        return path.endswith("cover.jpg")

    real = os.open

    def refuse(path: str, flags: int, *more: int, **named: int) -> int:
        if unreadable(os.fsdecode(path)):
            raise PermissionError(13, "Permission denied")
        return real(path, flags, *more, **named)

    monkeypatch.setattr(os, "open", refuse)
    async with opened(database, share) as catalog:
        assert len(await catalog.listed(0, 10)) == len(await catalog.noted(0, 10)) == 2
        shared = await catalog.named("Music/live/cover.jpg")
        assert shared is not None
        assert shared.md5 is None


async def test_announcers_follow_by_number(share: Path, database: Path) -> None:
    async with opened(database, share) as catalog:
        gone: list[Shared] = []
        stop = catalog.watch(gone.extend)
        listed = await catalog.listed(0, 2)
        listed += await catalog.listed(listed[-1].id, 2)
        assert sorted(listed) == sorted(await catalog.search(EVERYTHING))
        version = catalog.version
        put(share / "Blue Moon.mp3", b"another moon")
        (share / "live" / "cover.jpg").unlink()
        put(share / "new.txt", b"new")
        catalog.rescan()
        await catalog.newer_than(version)
        await catalog.settled()
        assert names(gone) == ["Music/Blue Moon.mp3", "Music/live/cover.jpg"]
        fresh = await catalog.listed(listed[-1].id, 10)
        assert names(fresh) == ["Music/Blue Moon.mp3", "Music/new.txt"]
        assert await catalog.noted(listed[-1].id, 10) == fresh
        stop()
        (share / "new.txt").unlink()
        await rescanned(catalog)
        assert len(gone) == 2


async def test_damage_that_shows_at_work_is_mended_at_work(
    share: Path, database: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened(database, share) as catalog:
        await catalog.ask(catalog._shelf._db.many, "DELETE FROM word_data WHERE id > 10", [()])
        answers = await asyncio.gather(*(catalog.search(Query(("blue",))) for _ in range(3)))
        assert answers == [[], [], []]
        await catalog.settled()
        assert len(await catalog.search(EVERYTHING)) == len(await catalog.noted(0, 10)) == 3
    assert caplog.text.count("is damaged: it is made anew") == 1


async def test_a_damaged_index_is_made_anew(
    share: Path, database: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened(database, share):
        pass
    damage(database)
    async with opened(database, share) as catalog:
        assert len(await catalog.search(EVERYTHING)) == 3
        assert len(await catalog.noted(0, 10)) == 3
    assert "is damaged: it is made anew" in caplog.text


async def test_a_foreign_file_is_put_aside(
    share: Path, database: Path, caplog: pytest.LogCaptureFixture
) -> None:
    put(database, b"my diary\n" * 1000)
    async with opened(database, share) as catalog:
        assert len(await catalog.search(EVERYTHING)) == 3
    assert database.with_name("catalog.db.bad").read_bytes().startswith(b"my diary")
    assert "it is made anew" in caplog.text


# Any history

elements = st.sampled_from(["a", "b", "Blue Moon", "x-y_z.mp3", "ÄÖ.jpg", 'q"q', "d.d"])
acts = st.lists(
    st.tuples(
        st.sampled_from(["put", "put", "remove"]),
        st.lists(elements, min_size=1, max_size=3),
        st.integers(1, 9),
    ),
    max_size=8,
)


@given(st.lists(acts, min_size=1, max_size=4))
@settings(max_examples=40, deadline=None)
def test_after_any_history_it_says_what_the_folders_say(
    tmp_path_factory: pytest.TempPathFactory, history: list[list[tuple[str, list[str], int]]]
) -> None:
    home = tmp_path_factory.mktemp("history")
    asyncio.run(replay(home, history))


async def replay(home: Path, history: list[list[tuple[str, list[str], int]]]) -> None:
    share = home / "share"
    share.mkdir()
    announced: dict[str, Shared] = {}
    for acts in history:
        for act in acts:
            apply(share, *act)
        async with opened(home / "catalog.db", share, threads=0, work=False) as catalog:
            catalog.watch(lambda gone: [announced.pop(each.name) for each in gone])
            work = catalog.indexing
            before = max([0, *(shared.id for shared in announced.values())])
            while await work.step():
                pass
            for shared in await catalog.listed(before, 1000):
                announced[shared.name] = shared
            expected = {
                f"share/{path.relative_to(share).as_posix()}".replace('"', "_"): path
                for path in share.rglob("*")
                if path.is_file()
            }
            assert set(announced) == set(expected)
            assert (catalog.files, catalog.bytes) == (
                len(expected),
                sum(path.stat().st_size for path in expected.values()),
            )
            for shared in await catalog.search(EVERYTHING):
                assert shared.sha1 == sha1(expected[shared.name].read_bytes()).digest()
            for word in ("blue", "jpg", "share", "\u00e4\u00f6"):
                fitting = [name for name in expected if word in words_of(name)]
                assert await found(catalog, word) == sorted(fitting)
                others = [name for name in expected if word not in words_of(name)]
                assert await found(catalog, f"-{word}") == sorted(others)


def apply(share: Path, act: str, elements: list[str], size: int) -> None:
    path = share.joinpath(*elements)
    if act == "remove":
        if path.is_file():
            path.unlink()
    elif not path.is_dir() and not any(above.is_file() for above in path.parents):
        put(path, os.urandom(size))
