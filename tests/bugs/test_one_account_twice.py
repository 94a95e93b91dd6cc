"""Two programs with one account pushed each other out of the server, every second and without end."""

import asyncio
from itertools import pairwise

import pytest

from p2pswarm.overlay.napster import connection
from tests.support.scripted_napster import Server, client


async def test_who_is_pushed_out_again_and_again_takes_more_and_more_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connection, "FIRST_PAUSE", 0.01)
    loop = asyncio.get_running_loop()
    async with Server() as server, client(server.address, nick="bob") as network:
        joining = asyncio.ensure_future(network.join())
        gone = []
        for _ in range(6):
            guest = await server.member()
            await joining
            gone.append(loop.time())
            guest.say(404, "You were disconnected: somebody else logged in as you")
            guest.close()
        pauses = [after - before for before, after in pairwise(gone)]
        assert pauses[-1] > 0.5 * 0.01 * 2**4  # the dice make half of it at least
        monkeypatch.setattr(connection, "SETTLED", 0.0)
        (await server.member()).close()
        await server.member()
        assert network._connection._failures == 1
