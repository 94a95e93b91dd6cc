"""What the server is told of our files; against a scripted server."""

import asyncio
import os
from hashlib import md5, sha1
from pathlib import Path

import pytest

from p2pswarm.overlay.napster import sharing
from p2pswarm.overlay.napster.client import Napster
from tests.support.patience import PATIENCE
from tests.support.scripted_napster import Guest, Server, client


@pytest.fixture
def share(tmp_path: Path) -> Path:
    folder = tmp_path / "Music"
    put(folder / "a.mp3", b"aaa")
    put(folder / "live" / "b.mp3", b"bbb")
    return folder


def put(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def shared(name: str, data: bytes) -> str:
    return f'"{name}" {md5(data).hexdigest()} {len(data)} 0 0 0'


A, B = shared(r"Music\a.mp3", b"aaa"), shared(r"Music\live\b.mp3", b"bbb")


async def batch(guest: Guest) -> list[tuple[int, str]]:
    """What comes up to the next ping, which is answered."""
    told: list[tuple[int, str]] = []
    async with asyncio.timeout(PATIENCE):
        while (message := await guest.next())[0] != 750:
            told.append(message)
    guest.say(750)
    return told


async def rescanned(network: Napster) -> None:
    catalog = network._catalog.result()
    catalog.rescan()
    await catalog.settled()


async def test_files_are_announced_and_their_changes(share: Path) -> None:
    async with Server() as server, client(server.address, share=share) as network:
        joining = asyncio.ensure_future(network.join())
        guest = await server.member()
        await joining
        assert sorted(await batch(guest)) == [(100, A), (100, B)]
        assert network.announced <= 2

        put(share / "a.mp3", b"other")
        (share / "live" / "b.mp3").unlink()
        put(share / "new.ogg", b"new")
        await rescanned(network)
        told: list[tuple[int, str]] = []
        while len(told) < 4:
            told += await batch(guest)
        assert sorted(told) == [
            (100, shared(r"Music\a.mp3", b"other")),
            (100, shared(r"Music\new.ogg", b"new")),
            (102, r"Music\a.mp3"),
            (102, r"Music\live\b.mp3"),
        ]
        fresh = told.index((100, shared(r"Music\a.mp3", b"other")))
        assert told.index((102, r"Music\a.mp3")) < fresh


async def test_a_server_that_greets_is_told_the_hashes(share: Path) -> None:
    async with Server() as server, client(server.address, share=share) as network:
        joining = asyncio.ensure_future(network.join())
        guest = await server.member()
        await joining
        await batch(guest)
        guest.say(0x7000, "p2pswarm/0.1 1")
        notes = await batch(guest)
        assert {number for number, _ in notes} == {0x7001}
        catalog = network._catalog.result()
        for name, data in (("Music/a.mp3", b"aaa"), ("Music/live/b.mp3", b"bbb")):
            found = await catalog.named(name)
            assert found is not None
            assert found.info_hash is not None
            wire = name.replace("/", "\\")
            assert (0x7001, f'"{wire}" {sha1(data).hexdigest()} {found.info_hash.hex()}') in notes


async def test_no_note_goes_to_a_server_that_does_not_greet(share: Path) -> None:
    async with Server() as server, client(server.address, share=share) as network:
        joining = asyncio.ensure_future(network.join())
        guest = await server.member()
        await joining
        for _ in range(2):
            await batch(guest)
            put(share / "c.mp3", os.urandom(9))
            await rescanned(network)
        await batch(guest)
        assert {number for number, _ in guest.log} <= {2, 100, 102, 750}


async def test_the_next_batch_waits_for_the_answer(
    share: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sharing, "BATCH", 1)
    async with Server() as server, client(server.address, share=share) as network:
        joining = asyncio.ensure_future(network.join())
        guest = await server.member()
        await joining
        assert [await guest.next(), await guest.next()][1][0] == 750
        guest.say(404, "duplicate file")
        guest.say(621, "news")
        guest.say(750)
        assert (await guest.next())[0] == 100


@pytest.mark.parametrize(
    "words", ["You may only share 1 files", "this server has no room for more files"]
)
async def test_a_server_that_takes_no_more_is_told_no_more(
    share: Path, monkeypatch: pytest.MonkeyPatch, words: str
) -> None:
    monkeypatch.setattr(sharing, "BATCH", 1)
    async with Server() as server, client(server.address, share=share) as network:
        joining = asyncio.ensure_future(network.join())
        guest = await server.member()
        await joining
        number, first = await guest.next()
        assert number == 100
        await guest.hear(750)
        guest.say(404, words)
        guest.say(750)
        name = first.split('"')[1].split("\\", 1)[1].replace("\\", "/")
        (share / name).unlink()
        await rescanned(network)
        assert [each for each, _ in await batch(guest)] == [102]


async def test_after_a_new_login_everything_is_announced_again(
    share: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("p2pswarm.overlay.napster.connection.FIRST_PAUSE", 0.01)
    async with Server() as server, client(server.address, share=share) as network:
        joining = asyncio.ensure_future(network.join())
        guest = await server.member()
        await joining
        await batch(guest)
        guest.close()
        again = await server.member()
        assert sorted(await batch(again)) == [(100, A), (100, B)]


async def test_a_complaint_is_told_once(share: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with Server() as server, client(server.address, share=share) as network:
        joining = asyncio.ensure_future(network.join())
        guest = await server.member()
        await joining
        await guest.hear(750)
        for _ in range(5):
            guest.say(404, "duplicate file")
        guest.say(750)
        put(share / "c.mp3", b"c")
        await rescanned(network)
        await batch(guest)
    assert caplog.text.count("duplicate file") == 1


async def test_when_everything_is_gone_one_message_says_so(
    share: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sharing, "MOST_GONE", 1)
    async with Server() as server, client(server.address, share=share) as network:
        joining = asyncio.ensure_future(network.join())
        guest = await server.member()
        await joining
        await batch(guest)
        put(share / "new", b"new")
        (share / "a.mp3").unlink()
        (share / "live" / "b.mp3").unlink()
        await rescanned(network)
        assert await batch(guest) == [(110, "")]
        assert await batch(guest) == [(100, shared(r"Music\new", b"new"))]


async def test_a_path_too_long_for_a_message_is_not_announced(tmp_path: Path) -> None:
    folder = tmp_path / "share"
    put(folder.joinpath(*["d" * 250] * 9, "deep"), b"deep")
    put(folder / "a", b"a")
    async with Server() as server, client(server.address, share=folder) as network:
        joining = asyncio.ensure_future(network.join())
        guest = await server.member()
        await joining
        assert await batch(guest) == [(100, shared(r"share\a", b"a"))]
