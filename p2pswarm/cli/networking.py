"""Search networks joined for a command, and what the person hears when that fails."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from p2pswarm.cli.exits import CommandError, exit_code
from p2pswarm.cli.report import Report
from p2pswarm.cli.running import Stop
from p2pswarm.errors import NetworkError

if TYPE_CHECKING:
    from p2pswarm.node import Node

__all__ = ["join"]


async def join(node: "Node", names: Sequence[str], report: Report, stop: Stop) -> list[str]:
    """Those that could be joined; the others go on being tried. Raises CommandError when that is none."""
    joined: list[str] = []
    failures: list[CommandError] = []
    for name in names:
        try:
            await stop.unless(node.networks.join(name))
        except NetworkError as error:
            failures.append(CommandError(f"{name}: {error}", exit_code(error)))
        else:
            joined.append(name)
    if failures and not joined:
        raise CommandError("; ".join(map(str, failures)), failures[0].code)
    for failure in failures:
        report.note(str(failure))
    return joined
