"""Who asked us to come with a file (501) while we were busy heard nothing, and waited for a minute.

And each 626 of somebody who may have a file had us tell the server, and the person, of our firewall again.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from p2pswarm.errors import BusyError
from p2pswarm.formats.ids import InfoHash
from p2pswarm.overlay.napster import connection
from p2pswarm.overlay.napster.client import Napster
from p2pswarm.wire.napster import torrent_name
from tests.support.scripted_napster import Guest, Server, client, number_of

SONG = r"Music\song.mp3"
NO_MD5 = "0" * 32


@asynccontextmanager
async def shared(tmp_path: Path, **more: object) -> AsyncIterator[tuple[Server, Guest, Napster]]:
    share = tmp_path / "Music"
    share.mkdir()
    (share / "song.mp3").write_bytes(b"la" * 9000)
    async with Server() as server, client(server.address, share=share, **more) as network:  # type: ignore[arg-type]
        joining = asyncio.ensure_future(network.join())
        guest = await server.member()
        await joining
        yield server, guest, network


def come(name: str) -> str:
    """501, to where nobody listens."""
    return f'bob {number_of("127.0.0.3")} 9 "{name}" {NO_MD5} 0'


async def test_who_is_busy_says_so(tmp_path: Path) -> None:
    async def seed(info_hash: InfoHash, asker: str) -> None:
        raise BusyError("too many files are being read")

    async with shared(tmp_path, seed=seed) as (_, guest, network):
        (file,) = await network._catalog.result().listed(0, 9)
        assert file.info_hash is not None
        name = torrent_name(InfoHash(file.info_hash))
        guest.say(501, come(name))
        assert await guest.hear(619) == f'bob "{name}" 3'


async def test_who_has_no_place_or_no_such_file_says_so(tmp_path: Path) -> None:
    async with shared(tmp_path, slots=0) as (_, guest, _):
        guest.say(501, come(SONG))
        assert await guest.hear(619) == f'bob "{SONG}" 0'
        guest.say(501, come(r"Music\other.mp3"))
        assert await guest.hear(609) == r'bob "Music\other.mp3"'


async def test_the_server_hears_of_a_firewall_once_a_session(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "FIRST_PAUSE", 0.0)
    async with shared(tmp_path) as (server, first, _):
        guest = first
        for _ in range(2):
            guest.say(607, f'bob "{SONG}"')
            await guest.hear(608)
            for _ in range(3):
                guest.say(626, "bob")
            guest.say(751, "bob still there")
            await guest.hear(752)
            assert [text for number, text in guest.log if number == 703] == ["0"]
            guest.close()
            guest = await server.member()
    told = [record for record in caplog.records if "cannot connect to us" in record.message]
    assert [record.levelno for record in told] == [logging.WARNING] * 2
