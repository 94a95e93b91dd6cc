"""A node of the DHT for as long as a command takes."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from p2pswarm.config import Settings

if TYPE_CHECKING:
    from p2pswarm.discovery.dht.dht import Dht

__all__ = ["visiting"]


@asynccontextmanager
async def visiting(settings: Settings) -> AsyncIterator["Dht"]:
    """It asks and does not answer: who comes for a moment would be counted on. Raises PortTakenError."""
    from p2pswarm.discovery.dht.living import living
    from p2pswarm.net.port import Port

    port = Port(settings.bind, settings.port)
    await port.open()
    try:
        async with living(port, settings.data_dir, settings.dht_bootstrap, visiting=True) as dht:
            yield dht
    finally:
        await port.close()
