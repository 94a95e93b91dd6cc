"""A small DHT of our nodes, in a thread of its own, for programs that need one around them."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from queue import Queue
from threading import Event, Thread

from p2pswarm.formats.ids import Address
from tests.support.foreign_dht import ours

__all__ = ["dht_of"]


@contextmanager
def dht_of(hosts: Sequence[str]) -> Iterator[list[Address]]:
    """One node on each host; all began with the first."""
    places: Queue[list[Address]] = Queue()
    over = Event()

    async def live() -> None:
        async with AsyncExitStack() as stack:
            nodes = [await stack.enter_async_context(ours(hosts[0]))]
            for host in hosts[1:]:
                nodes.append(await stack.enter_async_context(ours(host, [nodes[0].address])))
            places.put([node.address for node in nodes])
            await asyncio.to_thread(over.wait)

    thread = Thread(target=asyncio.run, args=(live(),), daemon=True)
    thread.start()
    try:
        yield places.get(timeout=20)
    finally:
        over.set()
        thread.join()
