"""Which slot is at a place: asked by who looks for a seat, answered by whoever is nearest.

A question follows referrals until somebody of that slot answers; each of them has more bits in common with
the place than the one before, so nobody is led in circles. What was found is known until it is forgotten:
slots grow and are split meanwhile. Sans-IO.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from p2pswarm.formats.ids import Address
from p2pswarm.overlay.people.contacts import Contacts
from p2pswarm.overlay.people.places import may_be, places
from p2pswarm.overlay.people.questions import Questions
from p2pswarm.wire.people.dictionary import TokenMessage
from p2pswarm.wire.people.finding import NODES_MOST, Referral
from p2pswarm.wire.people.nodes import MAX_DEPTH, WHOLE, Prefix, SuperNode
from p2pswarm.wire.people.slots import MAX_SIZE, Seat, Slot

__all__ = ["Seats"]

MOST_STEPS = 5  # referrals that one walk follows
REFERRED = 8


@dataclass(slots=True, eq=False)
class _Walk:
    """A question that follows referrals until the slot at a place is found."""

    at: Prefix
    asked: set[Address] = field(default_factory=set)
    best: int = -1


class Seats:
    """`ask` for places, and see what was `found`; `answer` others.

    `seen` is told where somebody sees us.
    """

    def __init__(
        self, contacts: Contacts, questions: Questions, seen: Callable[[Address, Address], None]
    ) -> None:
        self._contacts, self._questions, self._seen = contacts, questions, seen
        self.found: dict[Prefix, tuple[Prefix, int]] = {}
        """For each place its slot, and how many are there."""

    def forget(self) -> None:
        self.found = {}

    def missing(self, here: Address) -> list[Prefix]:
        """Our places of which nothing was found yet."""
        return [place for place in places(here) if place not in self.found]

    def emptiest(self, here: Address, dice: Random) -> Prefix:
        """The slot of ours that has fewest, of those that were found."""
        found = [seat for place, seat in self.found.items() if place in places(here)]
        if not found:  # nobody has answered that: some slot that we know of
            slots = {contact.slot for contact in self._contacts.live.values()}
            found = [(slot, self._contacts.size(slot)) for slot in slots if may_be(here, slot)]
        dice.shuffle(found)
        slot, _ = min(found, key=lambda seat: seat[1], default=(WHOLE, 0))
        return slot

    def emptier(self, here: Address, most: int) -> Prefix | None:
        """A slot of ours, beside the one that we are in, that has so many at most."""
        slot = self._contacts.slot
        others = [place for place in places(here) if not slot.covers(place)]
        found = [
            (size, there)
            for place, (there, size) in self.found.items()
            if place in others and size <= most and not there.covers(slot)
        ]
        return min(found)[1] if found else None

    # Asking

    def ask(self, at: Prefix, now: float) -> None:
        """What is there; the answer comes into `found`."""
        for contact in self._contacts.nearest(at, 1):
            self._follow(_Walk(at), contact.address, now)

    def _follow(self, walk: _Walk, whom: Address, now: float) -> None:
        walk.asked.add(whom)

        def then(answer: TokenMessage | None, when: float) -> None:
            self._walked(walk, whom, answer, when)

        self._questions.ask(whom, lambda token: Seat(token, walk.at), then, now)

    def _walked(self, walk: _Walk, whom: Address, answer: TokenMessage | None, now: float) -> None:
        match answer:
            case Slot(_, slot, size, you, nodes) if slot.covers(walk.at):
                self._seen(whom, you.normal)
                self._contacts.told(nodes, whom, now)
                self.found[walk.at] = slot, size
            case Referral(_, nodes):
                self._contacts.told(nodes, whom, now)
                self._referred(walk, nodes, now)
            case _:
                pass

    def _referred(self, walk: _Walk, nodes: tuple[SuperNode, ...], now: float) -> None:
        nearer = [
            each
            for each in nodes
            if each.address not in walk.asked and each.slot.common(walk.at) > walk.best
        ]
        if nearer and len(walk.asked) < MOST_STEPS:
            next_ = max(nearer, key=lambda each: each.slot.common(walk.at))
            walk.best = next_.slot.common(walk.at)
            self._follow(walk, next_.address, now)

    # Answering

    def answer(self, asked: Seat, source: Address, us: SuperNode | None, size: int) -> None:
        """Which slot is there, of so many; or who is nearer. `size` is 0 while we have none."""
        token, at, contacts = asked.token, asked.at, self._contacts
        common = contacts.slot.common(at)
        nearer = contacts.deeper(at) or contacts.nearest(at, REFERRED, beyond=common)
        if nearer or not size:
            nodes = tuple(contact.told for contact in nearer[:REFERRED])
            self._questions.send(source, Referral(token, nodes, contacts.slot))
            return
        slot = contacts.slot
        if not slot.covers(at):  # a gap: nobody is beyond the bit where we part
            slot, size = Prefix(common + 1, at.bits >> (MAX_DEPTH - common - 1)), 0
        there = [contact.told for contact in contacts.members()] if size else []
        if us is not None and size:
            there.append(us)
        nodes = tuple(there[:NODES_MOST])
        self._questions.send(source, Slot(token, slot, min(size, MAX_SIZE), source, nodes))
