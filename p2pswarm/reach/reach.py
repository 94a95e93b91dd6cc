"""Ways to others on the port of a node."""

from typing import Protocol

from p2pswarm.reach.meeting import Meeting
from p2pswarm.reach.offers import Candidates, Offer

__all__ = ["Reach"]


class Reach(Protocol):
    """One for a node; made with its port, `super_nodes: () -> addresses` to ask, and `relaying`."""

    async def gather(self) -> Candidates:
        """Where we may be reached now, asked from super nodes; within two seconds, however few answer."""

    def begin(self, mine: Offer, theirs: Offer) -> Meeting:
        """From here on ways are tried. Who was checked (`Offer.check`) is tried at what it named."""

    async def close(self) -> None:
        """Ends all meetings. May be called twice."""
