"""What a network with hits that are fetched by HTTP offers behind the common door: its transfers do it."""

import asyncio
from collections.abc import Callable, Sequence

from p2pswarm.formats.ids import Address
from p2pswarm.formats.thex import TigerTree
from p2pswarm.overlay.files.transfers import Transfers
from p2pswarm.overlay.network import Part
from p2pswarm.overlay.query import Hit
from p2pswarm.overlay.talk import Sink

__all__ = ["Moves"]


class Moves:
    """The part of a `FileNetwork` that is about files."""

    _transfers: Transfers

    async def fetch(
        self, hit: Hit, offset: int, sink: Sink, gate: asyncio.Event | None = None
    ) -> int:
        """The bytes of a hit from `offset` on, read while the gate is open; returns how many.

        Raises BusyError, NetworkError.
        """
        return await self._transfers.fetch(hit, offset, sink, gate)

    async def torrent(self, hit: Hit) -> bytes:
        """The .torrent of a hit with an info-hash, from its host, which is one of us.

        Nothing says yet that it is what it should be. Raises BusyError, NetworkError.
        """
        return await self._transfers.torrent(hit)

    async def tree(self, hit: Hit) -> TigerTree | None:
        """The tiger tree of a hit from its host, with the root that the hit told; None when there is none.

        Raises BusyError, NetworkError.
        """
        return await self._transfers.tree(hit)

    def others(self, hit: Hit) -> Sequence[Hit]:
        """Hosts that a host of this file has named meanwhile, each once."""
        return self._transfers.others(hit)

    def judge(self, hit: Hit, *, good: bool) -> None:
        """What its host gave was what it should be, or was not: others hear of it."""
        self._transfers.judge(hit, good=good)

    def lend(self, part: Part) -> Callable[[], None]:
        """Give others what we have of a download, until what is returned is called."""
        return self._transfers.lend(part)

    def answers(self, address: Address) -> bool:
        """Whether a host of this network was found there when we dialed it. A hit alone is only a claim."""
        return self._transfers.answers(address)
