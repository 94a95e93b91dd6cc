"""The door of every source of peers: trackers, DHT, the local network.

A source runs as one task of its torrent and hands over every address it hears of. It does not know whom
the torrent dials, and it does not remember what it has handed over.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from p2pswarm.formats.ids import Address

__all__ = ["PeerSource", "Progress"]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the torrent is, in bytes; `left` counts what is not verified yet, wanted or not."""

    uploaded: int
    downloaded: int
    left: int
    partial: bool = False
    """Nothing more is wanted, though not everything is here (BEP 21)."""


class PeerSource(Protocol):
    """Where addresses come from."""

    async def run(self, progress: Callable[[], Progress], found: Callable[[Address], None]) -> None:
        """Search until `leave()` or cancellation; `progress` is asked whenever somebody wants to know."""

    def need_more(self) -> None:
        """The torrent is short of peers: search sooner than otherwise, as far as that is polite."""

    async def leave(self) -> None:
        """Stop searching and say good-bye, as far as that is possible in two seconds."""
