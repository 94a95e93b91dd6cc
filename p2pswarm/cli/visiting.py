"""A node of the DHT for as long as a command takes."""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from ipaddress import IPv4Address
from random import SystemRandom
from typing import TYPE_CHECKING

from p2pswarm.config import Settings
from p2pswarm.errors import DiskError

if TYPE_CHECKING:
    from p2pswarm.discovery.dht.dht import Dht
    from p2pswarm.wire.krpc import Family, NodeId

__all__ = ["visiting"]

log = logging.getLogger(__name__)


@asynccontextmanager
async def visiting(settings: Settings) -> AsyncIterator["Dht"]:
    """It asks and does not answer: who comes for a moment would be counted on. Raises PortTakenError.

    A node with this data folder may be up, so ours is an id beside its own; always the same one, because some
    go on naming us after we have left.
    """
    from p2pswarm.discovery.dht.dht import Dht
    from p2pswarm.discovery.dht.file import read_table, write_table
    from p2pswarm.net.port import Port
    from p2pswarm.wire.krpc import Family
    from p2pswarm.wire.sniff import DatagramGuest

    before = read_table(settings.data_dir)
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
        saved=replace(before, ids=_beside(before.ids)),
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
        table = replace(table, ids={**_beside(table.ids), **before.ids})
        dht.close()
        await port.close()
        try:
            write_table(settings.data_dir, table)
        except DiskError as error:
            log.warning("nodes of the DHT are not remembered: %s", error)


def _beside(ids: "Mapping[Family, NodeId]") -> "dict[Family, NodeId]":
    """Back again when it is done twice. What BEP 42 looks at stays: both ends."""
    return {
        family: type(own)(own[:10] + bytes((own[10] ^ 1,)) + own[11:])
        for family, own in ids.items()
    }
