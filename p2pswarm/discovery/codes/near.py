"""The rendezvous of a code in the local network, for who was told number and words only (BEP 14's datagrams).

A taker calls into the network under a name made of the number; whoever gives it answers under another one,
with the port of its tracker. Both look like info-hashes, so other programs pass over them.

The one hard thing: anybody near may answer. So a few are tried, one after the other, and each may guess once.
"""

import asyncio
from hashlib import sha1

from p2pswarm.discovery.lsd import Lsd
from p2pswarm.formats.ids import Address, InfoHash

__all__ = ["Nearby", "answer"]

MOST_PLACES = 4
LOOK_FOR = 5.0  # seconds without another answer; call and answer each wait a second for company
_AGAIN = 2.0  # seconds; datagrams are lost
_ROUND = 60.0  # seconds


async def answer(number: int, lsd: Lsd) -> None:
    """Tell whoever asks that the number is given here, until cancelled."""
    asked, given = _names(number)
    lsd.seek(asked, lambda _: lsd.announce(given))
    try:
        while True:
            await lsd.look_round()
            await asyncio.sleep(_ROUND)
    finally:
        lsd.close()


class Nearby:
    """Those who say that they give this number."""

    def __init__(self, number: int, lsd: Lsd) -> None:
        self._lsd = lsd
        self._asked, self._given = _names(number)
        self._seen: set[Address] = set()
        self._found: asyncio.Queue[Address] = asyncio.Queue(MOST_PLACES)
        lsd.seek(self._given, self._hear)

    async def next(self) -> Address | None:
        """Another one; None when none has answered for a while."""
        await self._lsd.look_round()
        for _ in range(round(LOOK_FOR / _AGAIN)):
            self._lsd.announce(self._asked)
            try:
                return await asyncio.wait_for(self._found.get(), _AGAIN)
            except TimeoutError:
                continue
        return None

    def close(self) -> None:
        self._lsd.close()

    def _hear(self, place: Address) -> None:
        link_local = (
            place.ip is not None and place.ip.is_link_local
        )  # which needs an interface, too
        if place not in self._seen and len(self._seen) < MOST_PLACES and not link_local:
            self._seen.add(place)
            self._found.put_nowait(place)


def _names(number: int) -> tuple[InfoHash, InfoHash]:
    """What a taker calls, and what a giver answers."""
    return _hash(f"p2pswarm code {number} asked for"), _hash(f"p2pswarm code {number} given")


def _hash(name: str) -> InfoHash:
    return InfoHash(sha1(name.encode(), usedforsecurity=False).digest())
