"""A small DHT of our nodes, in a thread of its own, for programs that need one around them."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from queue import Queue
from threading import Event, Thread

from tests.support.foreign_dht import Ours, ours
from tests.support.patience import PATIENCE

__all__ = ["dht_of"]


@contextmanager
def dht_of(hosts: Sequence[str]) -> Iterator[list[Ours]]:
    """One node on each host; all began with the first."""
    nodes: Queue[list[Ours]] = Queue()
    over = Event()

    async def live() -> None:
        async with AsyncExitStack() as stack:
            first = await stack.enter_async_context(ours(hosts[0]))
            start = stack.enter_async_context
            nodes.put([first, *[await start(ours(host, [first.address])) for host in hosts[1:]]])
            await asyncio.to_thread(over.wait)

    thread = Thread(target=asyncio.run, args=(live(),), daemon=True)
    thread.start()
    try:
        yield nodes.get(timeout=PATIENCE)
    finally:
        over.set()
        thread.join()
