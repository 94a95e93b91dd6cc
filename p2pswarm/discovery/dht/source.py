"""Peers of one torrent by the DHT: announced now and every fifteen minutes.

A torrent that has too few peers does not wait that long: it looks again after a minute, then after two, four,
eight. Each time costs dozens of strangers a datagram, and a swarm that stays small has nobody else in it.
"""

from collections.abc import Callable
from typing import Protocol

from p2pswarm.discovery.hunger import Hunger
from p2pswarm.discovery.source import Progress
from p2pswarm.formats.ids import Address, InfoHash

__all__ = ["DhtSource"]

REGULAR = 900.0  # seconds; peers are kept for half an hour (BEP 5 and libtorrent)
ALONE = 5.0  # seconds after which we try again when no node has noted us
FIRST = 60.0  # seconds after which a torrent that is short of peers looks again


class _Announcing(Protocol):
    """Of `Dht`, what is needed here."""

    async def announce(
        self,
        info_hash: InfoHash,
        port: int,
        found: Callable[[Address], None],
        *,
        seed: bool,
        implied_port: bool,
    ) -> int: ...

    def withdraw(self, info_hash: InfoHash, found: Callable[[Address], None]) -> None: ...


class DhtSource:
    """`listens_on` tells our port."""

    def __init__(
        self, dht: _Announcing, info_hash: InfoHash, listens_on: Callable[[], int]
    ) -> None:
        self._dht, self._info_hash, self._listens_on = dht, info_hash, listens_on
        self._hunger = Hunger()
        self._found: Callable[[Address], None] | None = None

    async def run(self, progress: Callable[[], Progress], found: Callable[[Address], None]) -> None:
        self._found = found
        pause, lonely = FIRST, ALONE
        while not self._hunger.over:
            self._hunger.sated()
            noted = await self._dht.announce(
                self._info_hash,
                self._listens_on(),
                found,
                seed=progress().left == 0,
                implied_port=True,  # behind a NAT nobody else knows our number (BEP 5)
            )
            if not noted:
                await self._hunger.pause(lonely)
                lonely = min(2 * lonely, REGULAR)
                continue
            await self._hunger.rest(pause, REGULAR)
            pause = min(2 * pause, REGULAR)

    def need_more(self) -> None:
        self._hunger.need_more()

    async def leave(self) -> None:
        """There is nobody to say good-bye to: nodes forget us in half an hour."""
        if self._found is not None:
            self._dht.withdraw(self._info_hash, self._found)
        self._hunger.leave()
