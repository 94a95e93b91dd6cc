"""A node of the DHT on a port, from start to end, with the table of the last time and for the next.

The one hard thing: a program that is killed says nothing at its end, and a cold start takes a minute. So the
table is written every now and then, too.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path
from random import SystemRandom

from p2pswarm.discovery.dht.dht import Dht
from p2pswarm.discovery.dht.file import read_table, write_table
from p2pswarm.discovery.dht.keeping import Keeping
from p2pswarm.discovery.dht.saved import SavedTable
from p2pswarm.errors import DiskError
from p2pswarm.formats.ids import Address
from p2pswarm.net.port import Port
from p2pswarm.wire.krpc import Family, NodeId
from p2pswarm.wire.sniff import DatagramGuest

__all__ = ["living"]

log = logging.getLogger(__name__)

SAVE_EVERY = 300.0  # seconds


@asynccontextmanager
async def living(
    port: Port, folder: Path, bootstrap: Sequence[Address], *, visiting: bool = False
) -> AsyncIterator[Dht]:
    """On an open port. Who is only `visiting` asks and does not answer: it would be counted on.

    `folder` has the table. A node with the same one may be up, so a visitor's is an id beside its own; always
    the same one, because some go on naming it after it has left. Raises PortTakenError when the number is
    somebody else's for UDP.
    """
    loop, dice = asyncio.get_running_loop(), SystemRandom()
    whose = _beside if visiting else _as_it_is
    dht = Dht(
        port.send_datagram,
        families=[Family.IPV4 if each is IPv4Address else Family.IPV6 for each in port.families],
        dice=dice,
        clock=loop.time,
        later=loop.call_later,
        bootstrap=bootstrap,
        saved=whose(read_table(folder)),
        visiting=visiting,
    )
    if not visiting:
        Keeping(dht, clock=loop.time, dice=dice)
    port.route_datagrams(DatagramGuest.DHT, dht.got)
    await port.open_datagrams()
    keeping = asyncio.create_task(_keep(lambda: _save(folder, whose(dht.saved())), dht))
    try:
        yield dht
    finally:
        keeping.cancel()
        with suppress(asyncio.CancelledError):
            await keeping
        _save(folder, whose(dht.saved()))
        dht.close()


async def _keep(save: Callable[[], None], dht: Dht) -> None:
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(dht.run())
        while True:
            await asyncio.sleep(SAVE_EVERY)
            save()


def _save(folder: Path, table: SavedTable) -> None:
    """A small file, written without syncing; what is lost of it costs a minute."""
    try:
        write_table(folder, table)
    except DiskError as error:
        log.warning("nodes of the DHT are not remembered: %s", error)


def _as_it_is(table: SavedTable) -> SavedTable:
    return table


def _beside(table: SavedTable) -> SavedTable:
    """With other ids; back again when it is done twice. What BEP 42 looks at stays: both ends."""
    ids = {
        family: NodeId(own[:10] + bytes((own[10] ^ 1,)) + own[11:])
        for family, own in table.ids.items()
    }
    return replace(table, ids=ids)
