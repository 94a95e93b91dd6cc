"""`get --json` could end without its `completed` line: the task that tells events was cancelled unread."""

import asyncio
from types import SimpleNamespace
from typing import Any

from p2pswarm.cli.following import telling
from p2pswarm.swarm.events import Broadcast, Completed


async def test_what_happened_before_the_end_is_told() -> None:
    told: list[str] = []
    broadcast = Broadcast()
    torrent: Any = SimpleNamespace(events=broadcast.listen)
    report: Any = SimpleNamespace(tells_events=True, event=lambda name, **_: told.append(name))
    async with telling(torrent, report, stop=SimpleNamespace(wake=lambda: None)):  # type: ignore[arg-type]
        await asyncio.sleep(0)  # until it listens
        broadcast.tell(Completed())
    assert told == ["completed"]
