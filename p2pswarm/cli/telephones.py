"""A node with a telephone, for as long as a command lasts; and the folder of what people said and sent.

The one hard thing: several commands of one user may run at a time, each with a node of its own, but one
alone is found and rung. Two that answer would take each other's calls and messages, so the second is refused.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from p2pswarm.cli.health import beating
from p2pswarm.cli.report import Report
from p2pswarm.cli.running import Stop
from p2pswarm.cli.standing import told_whether_callable
from p2pswarm.config import NetworkSettings, Settings
from p2pswarm.disk.alone import lock_alone

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
    networks: NetworkSettings,
    settings: Settings,
    report: Report,
    stop: Stop,
    *,
    answers: bool = False,
) -> AsyncIterator[Telephone]:
    """`answers`: it is there to be called, alone with its data folder, and tells whether it can be.

    Raises HostError without a name, InUseError, NetworkError when no super node takes us in.
    """
    from p2pswarm.calling.phone import Phone
    from p2pswarm.node import Node
    from p2pswarm.registering import renewed

    async with AsyncExitStack() as stack:
        if answers:
            stack.enter_context(_alone(settings.data_dir))
        node = await stack.enter_async_context(Node(settings, networks))
        await stack.enter_async_context(beating(node, report))
        people = node.people
        await stop.unless(people.open())
        phone = Phone(people.network, people.reach, people.identity, people.relays)
        name = phone.name
        await stop.unless(renewed(people.identity))
        if answers:
            told = told_whether_callable(people.network, name, report)
            await stack.enter_async_context(told)
        await stop.unless(people.join())
        report.event("listening", port=node.port, name=name)
        try:
            yield Telephone(phone, node, settings.data_dir / KEPT)
        finally:
            phone.close()


@contextmanager
def _alone(data_dir: Path) -> Iterator[None]:
    """Raises InUseError, DiskError."""
    other = (
        f"another p2pswarm answer runs with {data_dir}: end it, or give this one its own --data-dir"
    )
    lock = lock_alone(data_dir / KEPT / "answering.lock", other)
    try:
        yield
    finally:
        os.close(lock)
