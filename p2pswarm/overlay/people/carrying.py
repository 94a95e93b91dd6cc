"""What a super node does for its guests beside the directory: it introduces peers of swarms, and relays."""

from random import Random

from p2pswarm.net.port import Port
from p2pswarm.overlay.people.quotas import Terms
from p2pswarm.overlay.people.relay import Check, Relay
from p2pswarm.overlay.people.swarms import Swarms
from p2pswarm.reach.relayed import Relays

__all__ = ["Carrying"]


class Carrying:
    """As long as we serve; `close` at the end. Without `terms` nobody is relayed."""

    def __init__(
        self, port: Port, ours: Relays, terms: Terms | None, check: Check, dice: Random
    ) -> None:
        """`ours` are the relays that we use ourselves, by the same port."""
        self.relay = None if terms is None else Relay(port, terms, check, dice)
        self.swarms = Swarms(dice, None if self.relay is None else self.relay.pairing.expect)
        self._ours = ours
        if self.relay is not None:
            ours.others = self.relay.channels.got

    def close(self) -> None:
        """May be called twice."""
        if self.relay is not None:
            self._ours.alone()
            self.relay.close()
