"""Search networks joined for a command, and what is told of them: to the person when that fails, to programs
whenever something moves."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

from p2pswarm.cli.exits import CommandError, exit_code
from p2pswarm.cli.report import Report
from p2pswarm.cli.running import Stop
from p2pswarm.config import NetworkSettings
from p2pswarm.errors import NetworkError

if TYPE_CHECKING:
    from p2pswarm.node import Node

__all__ = ["join", "visiting", "watching"]

WATCH_EVERY = 1.0  # seconds


async def join(
    node: "Node", names: Sequence[str], report: Report, stop: Stop, *, visiting: bool = False
) -> list[str]:
    """Those that could be joined; the others go on being tried. Raises CommandError when that is none."""
    joined: list[str] = []
    failures: list[CommandError] = []
    for name in names:
        try:
            await stop.unless(node.networks.join(name, visiting=visiting))
        except NetworkError as error:
            failures.append(CommandError(f"{name}: {error}", exit_code(error)))
        else:
            joined.append(name)
    if failures and not joined:
        raise CommandError("; ".join(map(str, failures)), failures[0].code)
    for failure in failures:
        report.note(str(failure))
    return joined


def visiting(networks: NetworkSettings) -> NetworkSettings:
    """The same for who comes for a moment: others should not rely on it."""
    if not networks.flood and networks.gnutella_role == "auto":
        networks = replace(networks, gnutella_role="leaf")
    if networks.supernode_role == "auto":
        networks = replace(networks, supernode_role="ordinary")
    return networks


@asynccontextmanager
async def watching(node: "Node", report: Report) -> AsyncIterator[None]:
    """While the body runs, programs hear how the node stands in its networks whenever that has changed."""
    if not report.tells_events:
        yield
        return
    task = asyncio.create_task(_watch(node, report))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        _tell(node, report, {})


async def _watch(node: "Node", report: Report) -> None:
    told: dict[str, object] = {}
    while True:
        _tell(node, report, told)
        await asyncio.sleep(WATCH_EVERY)


def _tell(node: "Node", report: Report, told: dict[str, object]) -> None:
    for status in node.networks.status():
        if told.get(status.name) != status:
            told[status.name] = status
            fields = asdict(status)
            report.event("network", network=fields.pop("name"), **fields)
    standing = node.standing
    if standing is not None and told.get("people") != standing:
        told["people"] = standing
        report.event("people", **{**asdict(standing), "homes": list(map(str, standing.homes))})
