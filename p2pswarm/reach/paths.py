"""The values of a meeting that others see: the path on which two reach each other, what a relay gives."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from typing_extensions import override

from p2pswarm.net.stream import Conversation, Stream
from p2pswarm.reach.offers import Nat, RelayAt
from p2pswarm.wire.framer import Framer

__all__ = ["Channel", "Datagrams", "Path", "Relaying"]


@dataclass(frozen=True, slots=True)
class Path:
    """How two reach each other now. `str` is what a user sees."""

    relay: RelayAt | None
    rtt: float | None  # seconds there and back
    udp: bool
    """Whether datagrams go this way; else everything is in streams."""
    ours: Nat = Nat.UNKNOWN
    theirs: Nat = Nat.UNKNOWN

    @property
    def direct(self) -> bool:
        return self.relay is None

    @property
    def nats(self) -> str:
        """What stands in front of either side, ours first."""
        return f"{self.ours.text} / {self.theirs.text}"

    @override
    def __str__(self) -> str:
        way = "direct" if self.relay is None else f"relay via {self.relay.address}"
        time = "" if self.rtt is None else f", {self.rtt * 1000:.0f} ms"
        return f"{way}{time}" if self.udp else f"{way}{time}, TCP"


class Datagrams(Protocol):
    """What a meeting gives for media: datagrams to the other side, by whatever path there is."""

    on_datagram: Callable[[bytes], None]
    """Told each one that comes; it begins with `P2PM` and four bytes of the session."""

    def send(self, data: bytes) -> None:
        """Like `on_datagram`'s. What cannot be sent now is dropped."""


class Channel(Protocol):
    """Datagrams through a relay; a small loss more or less is no matter."""

    on_datagram: Callable[[bytes], None]
    on_closed: Callable[[], None]

    def send(self, data: bytes) -> None:
        """Dropped when it cannot be sent."""

    def close(self) -> None:
        """May be called twice."""


class Relaying(Protocol):
    """Ways through a relay to which both sides come (`reach.relayed`). Both raise OSError or NetworkError."""

    async def stream(
        self,
        relay: RelayAt,
        session: bytes,
        peer: bytes,
        framer: Framer,
        conversation: Conversation,
    ) -> Stream:
        """Transparent once it is returned: what one side sends the other side's framer gets."""

    async def channel(self, relay: RelayAt, session: bytes, peer: bytes) -> Channel:
        """`peer` is the key of the other device."""
