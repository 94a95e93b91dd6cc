"""The common door to every network where files are found."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from p2pswarm.formats.ids import Address
from p2pswarm.formats.thex import TigerTree
from p2pswarm.overlay.catalog import Catalog
from p2pswarm.overlay.query import Hit, Query
from p2pswarm.overlay.talk import Sink

__all__ = ["Cost", "FileNetwork", "NetworkStatus", "Part", "SearchNetwork"]


@dataclass(slots=True)
class Cost:
    """What a search took, counted by the network as it goes."""

    messages: int = 0
    """Both ways."""
    bytes: int = 0
    hops: int = 0
    """Farthest: 2 means that somebody we asked asked somebody else."""
    first: float | None = None
    """Seconds until the first hit,"""
    last: float | None = None
    """and until the last one: then everything was there, though only the end says so."""
    took: float = 0.0
    """Seconds until the end."""
    hits: int = 0


@dataclass(frozen=True, slots=True)
class NetworkStatus:
    """A snapshot of our place in a network. Counts are of messages, by kind, since we joined."""

    name: str
    role: str
    links: int
    """Neighbours; of a network with servers, the server."""
    leaves: int = 0
    known: int = 0
    """Hosts that we could dial."""
    sent: Mapping[str, int] = field(default_factory=dict)
    received: Mapping[str, int] = field(default_factory=dict)
    dropped: Mapping[str, int] = field(default_factory=dict)
    """By reason."""


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


class Part(Protocol):
    """A file on its way to us, of which the verified parts may be given on already."""

    sha1: bytes
    size: int

    def ranges(self) -> Sequence[tuple[int, int]]:
        """The verified parts, as (start, end), in order."""

    async def read(self, at: int, buffer: memoryview) -> None:
        """Fill it with verified bytes. Raises DiskError."""


class FileNetwork(SearchNetwork, Protocol):
    """And a way to get what was found, for whoever makes downloads of hits."""

    def status(self) -> NetworkStatus:
        """How it stands."""

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

    async def tree(self, hit: Hit) -> TigerTree | None:
        """The tiger tree of a hit from its host, with the root that the hit told; None when there is none.

        Raises BusyError, NetworkError.
        """

    def others(self, hit: Hit) -> Sequence[Hit]:
        """Hosts that a host of this file has named meanwhile, each once."""

    def judge(self, hit: Hit, *, good: bool) -> None:
        """What its host gave was what it should be, or was not."""

    def lend(self, part: Part) -> Callable[[], None]:
        """Give others what we have of a download, until what is returned is called."""

    def answers(self, address: Address) -> bool:
        """Whether a host of this network was found there when we dialed it. A hit alone is only a claim."""
