"""When a super node leaves its slot: for its half of it, for what is above, or for one that has few.

Others see who is there a little earlier or later than we, so what they look like must last for some seconds
before it moves us, and not all go in one moment. Sans-IO.
"""

from random import Random

from p2pswarm.overlay.people.contacts import Contacts
from p2pswarm.overlay.people.places import places
from p2pswarm.overlay.people.seats import Seats
from p2pswarm.overlay.people.shape import followed, shaped
from p2pswarm.wire.people.nodes import Prefix, SuperNode

__all__ = ["CROWDED", "LOOK_EVERY", "MUCH_EMPTIER", "SETTLED", "Moving"]

SETTLED = 15.0  # seconds in a slot until it is left for its half or for what is above
STEADY = 4.0  # seconds for which the others must look so that we would
LOOK_EVERY = 30.0  # seconds between looks whether another place is wanted more
CROWDED = 10  # members, from which one may leave for a slot that has few
MUCH_EMPTIER = 5  # members fewer, so that it is fewer after the move, too


class Moving:
    """`step` while we have a slot: the one to be in now, if that is another; `moved` when we are there."""

    def __init__(self, contacts: Contacts, seats: Seats, dice: Random) -> None:
        self._contacts, self._seats, self._dice = contacts, seats, dice
        self._changed = self._look = float("-inf")
        self._wanted: tuple[int, float] | None = None  # up or down, and when

    def moved(self, now: float) -> None:
        self._changed, self._wanted = now, None
        self._look = now + LOOK_EVERY * self._dice.uniform(1, 2)

    def step(self, us: SuperNode, size: int, now: float) -> Prefix | None:
        return self._reshaped(us, now) or self._looked(us, size, now)

    def _reshaped(self, us: SuperNode, now: float) -> Prefix | None:
        near = [contact.told for contact in self._contacts.near()]
        wanted = followed(us, near)
        if wanted == us.slot and now - self._changed >= SETTLED:
            wanted = shaped(us, near)
        if wanted == us.slot:
            self._wanted = None
        elif self._wanted is None or self._wanted[0] != wanted.length:
            self._wanted = wanted.length, now + STEADY * self._dice.uniform(0.5, 1.5)
        elif self._wanted[1] <= now:
            return wanted
        return None

    def _looked(self, us: SuperNode, size: int, now: float) -> Prefix | None:
        """In a crowded slot: is one of our other places in one that has few?"""
        if self._look > now or size < CROWDED:
            return None
        self._look = now + LOOK_EVERY * self._dice.uniform(0.7, 1.3)
        emptier = self._seats.emptier(us.address, size - MUCH_EMPTIER)
        self._seats.forget()
        others = [place for place in places(us.address) if not us.slot.covers(place)]
        if emptier is None and others:
            self._seats.ask(self._dice.choice(others), now)
        return emptier
