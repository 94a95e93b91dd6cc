"""The node, as its role needs it: what either role hears is for the node."""

from collections.abc import Iterable
from typing import Protocol

from p2pswarm.formats.ids import Address
from p2pswarm.overlay.supernode.link import Link
from p2pswarm.overlay.supernode.us import Us
from p2pswarm.wire.supernode.hosts import Entry
from p2pswarm.wire.supernode.pushing import Push

__all__ = ["Home"]


class Home(Protocol):
    """The node, as far as its role needs it. Nothing here may raise or wait."""

    us: Us

    def told(self, hosts: Iterable[Entry], teller: Address) -> None:
        """Somebody names super nodes."""

    def ourselves(self, address: Address) -> None:
        """We dialed ourselves there."""

    def invited(self) -> None:
        """Our parent wants us to become a super node."""

    def hits(self, body: bytes, teller: Link) -> None:
        """For a question of ours, perhaps. Raises RemoteProtocolError."""

    def pushed(self, push: Push, teller: Link) -> None:
        """Somebody wants us to dial him."""

    def moved(self) -> None:
        """There is a parent, or none any more."""
