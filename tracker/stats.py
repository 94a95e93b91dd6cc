"""What the tracker counts about itself since it started."""

from dataclasses import dataclass
from typing import Any

from tracker.store import Totals

__all__ = ["Tally"]


@dataclass(slots=True)
class Tally:
    """`refused` counts questions answered with a failure reason, `dropped` connections that only waited.

    `connects` counts the connection ids that were given to clients who ask by UDP.
    """

    announces: int = 0
    scrapes: int = 0
    connects: int = 0
    refused: int = 0
    dropped: int = 0

    def report(self, totals: Totals, uptime: float, connections: int) -> dict[str, Any]:
        """What `/stats` shows; `uptime` is seconds."""
        return {
            "uptime": round(uptime, 1),
            "swarms": totals.swarms,
            "peers": totals.peers,
            "seeds": totals.seeds,
            "leechers": totals.peers - totals.seeds,
            "announces": self.announces,
            "scrapes": self.scrapes,
            "udp_connects": self.connects,
            "refused": self.refused,
            "connections": connections,
            "dropped_connections": self.dropped,
        }
