"""`whois`: who a name is, as the directory on the super nodes says and the login service has certified."""

from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from p2pswarm.cli.exits import Exit
from p2pswarm.cli.obeying import Here, Visiting
from p2pswarm.cli.options import Inquiry, NameArgument, Progress
from p2pswarm.cli.registering import name_of
from p2pswarm.cli.report import Report
from p2pswarm.cli.running import Stop, run
from p2pswarm.cli.text import counted
from p2pswarm.config import NetworkSettings, Settings

if TYPE_CHECKING:
    from p2pswarm.overlay.people.client import Found

__all__ = ["whois"]


def whois(
    name: NameArgument,
    inquiry: Inquiry,
    networks: Visiting,
    settings: Here,
    progress: Progress,
) -> Exit:
    """Look somebody up; prints the name, its key, until when that is certified, and where it is rung."""
    with Report(progress) as report:
        work = partial(_whois, name_of(name), inquiry, networks, settings, report)
        return run(work, at_once=report.abandon)


async def _whois(
    name: str,
    inquiry: Inquiry,
    networks: NetworkSettings,
    settings: Settings,
    report: Report,
    stop: Stop,
) -> Exit:
    from p2pswarm.node import Node
    from p2pswarm.overlay.query import Lookup

    report.note(f"looking for {name}")
    async with Node(settings, networks) as node:
        await stop.unless(node.people.open())
        recursive = inquiry.lookup is Lookup.RECURSIVE
        found = await stop.unless(node.people.network.find(name, recursive=recursive))
    _tell(found, report)
    return Exit.OK


def _tell(found: "Found", report: Report) -> None:
    record = found.record
    ends = datetime.fromtimestamp(record.certificate.ends, UTC)
    homes = [str(address) for address in record.homes]
    line = "\t".join((record.name, record.key.hex(), f"{ends:%Y-%m-%d}", " ".join(homes)))
    report.result(
        line,
        name=record.name,
        key=record.key.hex(),
        certified_until=ends.isoformat(),
        sequence=record.seq,
        ttl=record.ttl,
        addresses=[str(address) for address in record.addresses],
        homes=homes,
        hops=found.hops,
        messages=found.messages,
    )
    report.note(f"{counted(found.hops, 'hop')}, {counted(found.messages, 'message')}")
