"""Two who reach each other: what a call sees of it."""

from collections.abc import Callable
from typing import Protocol

from p2pswarm.net.stream import Conversation, Stream
from p2pswarm.reach.paths import Datagrams, Path
from p2pswarm.wire.framer import Framer

__all__ = ["Meeting"]


class Meeting(Protocol):
    """Both sides call `stream` and get two ends of the same; one of them leads (and is the client of TLS)."""

    leads: bool
    """Whose key is the smaller one chooses ways."""
    changed: Callable[[], None]
    """Called when another path is better, or ours is lost: `stream` gives another one then, to both."""

    async def stream(self, framer: Framer, conversation: Conversation) -> Stream:
        """By the best way now: TCP, uTP, or a relay. Raises NetworkError when none is found in time."""

    @property
    def datagrams(self) -> Datagrams | None:
        """Direct or through a relay; None while there is no way for them."""

    @property
    def path(self) -> Path | None:
        """None until there is one."""

    def close(self) -> None:
        """Gives up its ways, not the streams that were handed out. May be called twice."""
