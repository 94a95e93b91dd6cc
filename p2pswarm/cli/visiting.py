"""A node of the DHT for as long as a command takes."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from ipaddress import IPv4Address
from random import SystemRandom
from typing import TYPE_CHECKING

from p2pswarm.config import Settings
from p2pswarm.errors import DiskError

if TYPE_CHECKING:
    from p2pswarm.discovery.dht.dht import Dht

__all__ = ["visiting"]

log = logging.getLogger(__name__)


@asynccontextmanager
async def visiting(settings: Settings) -> AsyncIterator["Dht"]:
    """It asks and does not answer: who comes for a moment would be counted on. Raises PortTakenError."""
    from p2pswarm.discovery.dht.dht import Dht
    from p2pswarm.discovery.dht.file import read_table, write_table
    from p2pswarm.net.port import Port
    from p2pswarm.wire.krpc import Family
    from p2pswarm.wire.sniff import DatagramGuest

    port, loop = Port(settings.bind, settings.port), asyncio.get_running_loop()
    port.route_datagrams(DatagramGuest.DHT, lambda data, address: dht.got(data, address))
    await port.open()
    dht = Dht(
        port.send_datagram,
        families=[Family.IPV4 if each is IPv4Address else Family.IPV6 for each in port.families],
        dice=SystemRandom(),
        clock=loop.time,
        later=loop.call_later,
        bootstrap=settings.dht_bootstrap,
        saved=read_table(settings.data_dir),
        visiting=True,
    )
    keeping = asyncio.create_task(dht.run())
    try:
        yield dht
    finally:
        keeping.cancel()
        with suppress(asyncio.CancelledError):
            await keeping
        table = dht.saved()
        dht.close()
        await port.close()
        try:
            write_table(settings.data_dir, table)
        except DiskError as error:
            log.warning("nodes of the DHT are not remembered: %s", error)
