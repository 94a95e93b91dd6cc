"""The first room on the shared port: who is knocking?

One listener serves every protocol; the first bytes tell them apart. The sniffer is a framer like any
other: it says who it is and leaves the bytes unread for the framer that follows.
"""

from enum import Enum, auto

from typing_extensions import override

from p2pswarm.errors import RemoteProtocolError
from p2pswarm.wire.framer import CuttingFramer
from p2pswarm.wire.peer import HANDSHAKE

__all__ = ["Guest", "SniffFramer"]


class Guest(Enum):
    """Who may knock at the port."""

    PEER_WIRE = auto()


class SniffFramer(CuttingFramer):
    """Says who it is as soon as the first bytes decide it; keeps every byte."""

    heard = False
    """Whether there was any."""

    @override
    def _cut(self, view: memoryview, into: list[object]) -> int:
        """Raises RemoteProtocolError when it can be nobody we know."""
        self.heard = True
        start = view[: len(HANDSHAKE)].tobytes()
        if not HANDSHAKE.startswith(start):
            raise RemoteProtocolError(f"nobody we know begins with {start[:8]!r}")
        if start == HANDSHAKE:
            into.append(Guest.PEER_WIRE)
        return 0
