"""The common door to every network where files are found."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Protocol

from p2pswarm.overlay.catalog import Catalog
from p2pswarm.overlay.query import Hit, Query

__all__ = ["Cost", "SearchNetwork"]


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
