"""One question over IPv4 and over IPv6 at once.

A tracker knows us by the address that it sees, so it has to see both (BEP 7). Whether a host has both, and
whether both work, nobody knows beforehand: one that fails is no failure as long as the other answers, and one
that takes much longer is not waited for.
"""

import asyncio
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from dataclasses import replace
from socket import AF_INET, AF_INET6, AddressFamily
from typing import Any

from p2pswarm.errors import FormatError, TrackerError
from p2pswarm.formats.ids import Address
from p2pswarm.net.binding import EVERYWHERE
from p2pswarm.wire.tracker import Reply

__all__ = ["NoAddressError", "by_family", "family_of", "of_each", "together"]

_STRAGGLER = 3.0  # seconds that the second family may take longer than the first


class NoAddressError(TrackerError):
    """The host has no address of that family, or none at all."""


def family_of(host: str) -> AddressFamily | None:
    """Of an IP address; None for a name."""
    ip = Address(host, 0).ip
    return None if ip is None else (AF_INET if ip.version == 4 else AF_INET6)


def by_family(hosts: Sequence[str]) -> dict[AddressFamily, str]:
    """The first local address of each family; where only a name is known, any of both."""
    first: dict[AddressFamily, str] = {}
    for host in hosts:
        family = family_of(host)
        if family is not None:
            first.setdefault(family, host)
    return first or by_family(EVERYWHERE)


async def of_each(questions: Sequence[Coroutine[Any, Any, Reply]]) -> list[Reply]:
    """What was answered, in the order of its coming. Raises TrackerError, FormatError when nothing was."""
    replies: list[Reply] = []
    errors: list[TrackerError | FormatError] = []

    async def ask(question: Coroutine[Any, Any, Reply]) -> None:
        try:
            replies.append(await question)
        except (TrackerError, FormatError) as error:
            errors.append(error)
        else:
            patience.reschedule(asyncio.get_running_loop().time() + _STRAGGLER)

    with suppress(TimeoutError):
        async with asyncio.timeout(None) as patience, asyncio.TaskGroup() as tasks:
            for question in questions:
                tasks.create_task(ask(question))
    if not replies:
        # That there is no such address says less than how one that is there failed.
        raise min(errors, key=lambda error: isinstance(error, NoAddressError))
    return replies


def together(replies: Sequence[Reply]) -> Reply:
    """What a tracker said over both families, as one answer."""
    first, *more = replies
    for other in more:
        first = replace(
            first,
            interval=max(first.interval, other.interval),
            min_interval=_most(first.min_interval, other.min_interval),
            peers=first.peers + other.peers,
            peers6=first.peers6 + other.peers6,
            complete=_most(first.complete, other.complete),
            incomplete=_most(first.incomplete, other.incomplete),
            downloaded=_most(first.downloaded, other.downloaded),
            external_ip=first.external_ip or other.external_ip,
            trackerid=first.trackerid or other.trackerid,
            warning=first.warning or other.warning,
        )
    return first


def _most(one: int | None, other: int | None) -> int | None:
    """Each family may know a part of the swarm only."""
    return max((each for each in (one, other) if each is not None), default=None)
