"""A node with a telephone, for as long as a command lasts; and the folder of what people said and sent."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from p2pswarm.cli.health import beating
from p2pswarm.cli.report import Report
from p2pswarm.cli.running import Stop
from p2pswarm.config import NetworkSettings, Settings

if TYPE_CHECKING:
    from p2pswarm.calling.letters import Disk
    from p2pswarm.calling.phone import Phone
    from p2pswarm.node import Node

__all__ = ["KEPT", "Telephone", "telephone"]

KEPT = "people"  # in the data folder


class Telephone(NamedTuple):
    """The phone, the node that it is of, and where messages wait."""

    phone: "Phone"
    node: "Node"
    folder: Path
    disk: "Disk" = asyncio.to_thread
    """Runs a function where it may wait for the disk."""


@asynccontextmanager
async def telephone(
    networks: NetworkSettings, settings: Settings, report: Report, stop: Stop
) -> AsyncIterator[Telephone]:
    """Raises HostError without a name, NetworkError when no super node takes us in."""
    from p2pswarm.calling.phone import Phone
    from p2pswarm.node import Node
    from p2pswarm.registering import renewed

    async with Node(settings, networks) as node, beating(node, report):
        people = node.people
        await stop.unless(people.open())
        phone = Phone(people.network, people.reach, people.identity, people.relays)
        name = phone.name
        await stop.unless(renewed(people.identity))
        await stop.unless(people.join())
        report.event("listening", port=node.port, name=name)
        try:
            yield Telephone(phone, node, settings.data_dir / KEPT)
        finally:
            phone.close()
