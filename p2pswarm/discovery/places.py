"""Hosts that a user named, as addresses: names are looked up, and for a while again when that fails, as
whoever starts beside us may not have a name yet.
"""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress

from p2pswarm.discovery.names import SystemNames
from p2pswarm.errors import NetworkError
from p2pswarm.formats.ids import Address

__all__ = ["need_one", "places"]

log = logging.getLogger(__name__)

TRIES = 10
AGAIN = 1.0  # seconds
PATIENCE = 10.0  # seconds in all: a system may think for as long about a single name


async def places(named: Sequence[Address]) -> tuple[Address, ...]:
    """Each once, in order; what has no address after some seconds, or none to be dialed, is left out."""
    found = await asyncio.gather(*map(_place, named))
    missing = [each for each, there in zip(named, found, strict=True) if not there]
    if len(missing) < len(named):  # else the caller has more to say
        for each in missing:
            log.warning("nobody can be dialed at %s", each)
    return tuple(dict.fromkeys(address for each in found for address in each))


def need_one(named: Sequence[Address], found: Sequence[Address]) -> None:
    """Raises NetworkError when some were named and none is left: without them there is no way in."""
    if named and not found:
        raise NetworkError(f"nobody can be dialed at {', '.join(map(str, named))}")


async def _place(named: Address) -> list[Address]:
    looked_up = [named] if named.ip is not None else await _look_up(named)
    return [address.normal for address in looked_up if address.dialable]


async def _look_up(named: Address) -> list[Address]:
    with suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE):
            for _ in range(TRIES):
                try:
                    results = await SystemNames().resolve(named.host, named.port)
                except (OSError, UnicodeError) as error:
                    log.debug("%s has no address yet: %s", named.host, error)
                    await asyncio.sleep(AGAIN)
                else:
                    return [Address(result["host"], named.port) for result in results]
    return []
