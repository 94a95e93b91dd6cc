"""Whoever has a long nick could have others hung up on, with one ping as long as a command may be.

The server put the long nick before the text and passed on more than 2048 bytes; the other side, a program of
ours, sent all of it back, and the server hangs up on whoever sends that much.
"""

import asyncio

from tests.support.napster import Town
from tests.support.scripted_napster import Server, client

LONG = "x" * 32


def test_the_server_cuts_what_it_passes_on() -> None:
    town = Town()
    bob, mallory = town.member("bob"), town.member(LONG)
    mallory.say(751, b"bob " + b"y" * 2044)
    ((number, line),) = bob.heard()
    assert number == 751
    bob.say(752, line)
    assert not bob.over
    ((number, line),) = mallory.heard()
    assert (number, line) == (752, f"bob {'y' * 400}")


async def test_the_client_says_no_more_than_servers_read() -> None:
    async with Server() as server, client(server.address, nick="bob") as network:
        joining = asyncio.ensure_future(network.join())
        guest = await server.member()
        await joining
        guest.say(751, f"{LONG} {'y' * 2044}")
        assert await guest.hear(752) == LONG
        guest.say(751, f"{LONG} are you there")
        assert await guest.hear(752) == f"{LONG} are you there"
