"""Peers that somebody introduces: both are told of each other in one moment, and both dial.

Who nobody can dial is found so. A torrent has an `Introduced`; what becomes of an introduction is up to
whoever seeks peers, because it is more than an address: when dialing leads nowhere, a relay may join the two.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from p2pswarm.discovery.hunger import Hunger
from p2pswarm.discovery.source import Progress
from p2pswarm.formats.ids import Address, InfoHash
from p2pswarm.net.stream import Conversation, Stream
from p2pswarm.wire.framer import Framer

__all__ = ["Introduced", "Introducer", "Introduction", "RelayDial"]

SOONER, EVERY = 60.0, 300.0  # seconds between the times that we ask for others


RelayDial = Callable[[Framer, Conversation], Awaitable[Stream]]
"""Waits for the other one, too. Raises OSError, RemoteError."""


@dataclass(frozen=True, slots=True)
class Introduction:
    """Somebody who dials us in this moment."""

    third: Address
    """Who introduces us."""
    who: bytes
    """What the other one is called, by whoever introduces us to it."""
    addresses: tuple[Address, ...]
    """Where the other one is, by UDP."""
    relay: RelayDial | None
    """Joins us, if all else fails."""
    speaks: bool
    """Whether we then say the first word."""


Heard = Callable[[Introduction], None]


class Introducer(Protocol):
    """Who knows those that introduce."""

    def seek(self, info_hash: InfoHash, heard: Heard) -> None:
        """From now on; again when we are short of peers."""

    def forget(self, info_hash: InfoHash) -> None:
        """May be called of what was never sought."""


class Introduced:
    """A `PeerSource` that names nobody: `heard` is told instead."""

    def __init__(self, introducer: Introducer, info_hash: InfoHash, heard: Heard) -> None:
        self._introducer, self._info_hash, self._heard = introducer, info_hash, heard
        self._hunger = Hunger()

    async def run(self, progress: Callable[[], Progress], found: Callable[[Address], None]) -> None:
        """Until `leave()` or cancellation."""
        try:
            while not self._hunger.over:
                self._introducer.seek(self._info_hash, self._heard)
                self._hunger.sated()
                await self._hunger.rest(SOONER, EVERY)
        finally:
            self._introducer.forget(self._info_hash)

    def need_more(self) -> None:
        self._hunger.need_more()

    async def leave(self) -> None:
        self._hunger.leave()
