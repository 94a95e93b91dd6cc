"""The common door to every network where files are found."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Protocol

from p2pswarm.formats.ids import Address
from p2pswarm.overlay.catalog import Catalog
from p2pswarm.overlay.query import Hit, Query
from p2pswarm.overlay.talk import Sink

__all__ = ["Cost", "FileNetwork", "SearchNetwork"]


@dataclass(slots=True)
class Cost:
    """What a search took, counted by the network as it goes."""

    messages: int = 0
    """Both ways."""
    bytes: int = 0
    hops: int = 0
    """Farthest: 2 means that somebody we asked asked somebody else."""
    first: float | None = None
    """Seconds until the first hit."""
    took: float = 0.0
    """Seconds in all."""
    hits: int = 0


class SearchNetwork(Protocol):
    """A network, seen by whoever wants to find or to be found."""

    name: str

    async def join(self) -> None:
        """Be in it, and come back whenever the connection is lost. Raises RemoteError, HostError."""

    async def leave(self) -> None:
        """Say goodbye; may be called twice."""

    def share(self, catalog: Catalog) -> None:
        """Offer what the catalog holds, and its changes, from now on."""

    def search(self, query: Query, cost: Cost) -> AsyncGenerator[Hit, None]:
        """Hits as they come; ends when the network has no more. Raises RemoteError, HostError."""


class FileNetwork(SearchNetwork, Protocol):
    """And a way to get what was found, for whoever makes downloads of hits."""

    async def fetch(
        self, hit: Hit, offset: int, sink: Sink, gate: asyncio.Event | None = None
    ) -> int:
        """The bytes of a hit from `offset` on, read while the gate is open; returns how many.

        Raises BusyError, NetworkError.
        """

    async def torrent(self, hit: Hit) -> bytes:
        """The .torrent of a hit with an info-hash, from its host, which is one of us.

        Nothing says yet that it is what it should be. Raises BusyError, NetworkError.
        """

    def answers(self, address: Address) -> bool:
        """Whether a host of this network was found there when we dialed it. A hit alone is only a claim."""
