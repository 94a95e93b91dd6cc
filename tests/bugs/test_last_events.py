"""`get --json` could end without its `completed` line: the task that tells events was cancelled unread.

And it could begin without saying that it downloads, when the check was over before it listened, or whom
it was connected to, when the peers of a magnet were handed over before.
"""

import asyncio
from types import SimpleNamespace
from typing import Any

from p2pswarm.cli.following import telling
from p2pswarm.formats.ids import Address
from p2pswarm.swarm.events import Broadcast, Checking, Completed, Downloading

STOP: Any = SimpleNamespace(wake=lambda: None)


async def test_what_happened_before_the_end_is_told() -> None:
    told: list[str] = []
    broadcast = Broadcast()
    torrent: Any = SimpleNamespace(events=broadcast.listen, state=Checking(0, 1), peers={})
    report: Any = SimpleNamespace(tells_events=True, event=lambda name, **_: told.append(name))
    async with telling(torrent, report, STOP):
        await asyncio.sleep(0)  # until it listens
        broadcast.tell(Completed())
    assert told == ["completed"]


async def test_a_state_that_nobody_heard_of_is_told_at_the_beginning() -> None:
    told: list[tuple[str, str]] = []
    torrent: Any = SimpleNamespace(events=Broadcast().listen, state=Downloading(), peers={})
    report: Any = SimpleNamespace(event=lambda name, state: told.append((name, state)))
    async with telling(torrent, report, STOP):
        assert told == [("state_changed", "downloading")]
    assert len(told) == 1


async def test_peers_that_came_before_are_told_at_the_beginning() -> None:
    told: list[tuple[str, str]] = []
    peer = SimpleNamespace(address=Address("10.0.0.9", 6881), client="aria2")
    torrent: Any = SimpleNamespace(
        events=Broadcast().listen, state=Checking(0, 1), peers={"it": peer}
    )
    report: Any = SimpleNamespace(event=lambda name, **facts: told.append((name, facts["address"])))
    async with telling(torrent, report, STOP):
        assert told == [("peer_joined", "10.0.0.9:6881")]
