"""That the server was lost was noted, that we are in again was not."""

import asyncio

import pytest

from p2pswarm.errors import NetworkError
from p2pswarm.overlay.napster import connection
from tests.support.scripted_napster import Server, client


def notes(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What the command line shows."""
    return [each.message for each in caplog.records if each.levelname == "WARNING"]


async def test_coming_back_is_noted(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(connection, "FIRST_PAUSE", 0.01)
    async with Server() as server, client(server.address, nick="alice", password="x") as network:
        joining = asyncio.ensure_future(network.join())
        guest = await server.member()
        await joining
        assert notes(caplog) == []
        guest.close()
        await server.member()
        await network._connection.session()
        lost, back = notes(caplog)
        assert "is lost" in lost
        assert back == f"napster: logged in again at {server.address} as alice"


async def test_and_so_is_coming_in_after_a_failure(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(connection, "FIRST_PAUSE", 0.01)
    async with Server() as server, client(server.address, nick="alice", password="x") as network:
        joining = asyncio.ensure_future(network.join())
        (await server.guest()).close()
        with pytest.raises(NetworkError):
            await joining
        await server.member()
        await network._connection.session()
        assert notes(caplog) == [f"napster: logged in at {server.address} as alice"]
