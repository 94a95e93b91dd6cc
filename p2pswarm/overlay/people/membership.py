"""How a super node gets its place in the directory, knows who is alive, and moves.

A newcomer asks for the slot at each of its eight places and takes the one that has fewest. From then on it
gossips: with those of its slot every ten seconds, with the others every half minute, and each exchange tells
of some more. Who does not answer three times is gone. Sans-IO.
"""

from collections import Counter, OrderedDict
from collections.abc import Callable
from random import Random

from p2pswarm.formats.ids import Address
from p2pswarm.formats.zones import owner_of
from p2pswarm.overlay.people.contacts import Contact, Contacts
from p2pswarm.overlay.people.moving import Moving
from p2pswarm.overlay.people.questions import Questions
from p2pswarm.overlay.people.seats import Seats
from p2pswarm.overlay.remembering import remember
from p2pswarm.wire.people.dictionary import TokenMessage
from p2pswarm.wire.people.nodes import WHOLE, Prefix, SuperNode
from p2pswarm.wire.people.slots import MAX_SIZE, Gossip, Gossiped, Seat

__all__ = ["Membership"]

NEAR_EVERY, FAR_EVERY = 10.0, 30.0  # seconds between two exchanges with one
AGAIN = 2.0  # seconds, when one did not answer
MOST_GOSSIPS = 8  # exchanges begun in one step
TOLD_EACH_STEP = 4  # of those that are merely told
LOOKED_FOR = 12.0  # seconds for all walks of a newcomer
ALONE_AFTER = 2.0  # seconds without an answer of one with a slot, after which we begin alone
SILENT = 2.5  # seconds in which nobody says that it is there, after which nobody is
BEGINNING = 15.0  # seconds in which those who begin together wait for each other at most
ASK_AGAIN = 3.0  # seconds
MOST_KNOCKS = 8  # at those we were told of first
FIRST_KNOCK, LONGEST_KNOCK = 0.5, 10.0  # seconds to the next, while nobody is there, doubled
CALLED_BACK = 1.0  # seconds until one of those is called back again when it calls
TOLD_IN_GOSSIP = 12
MOST_SEEN = 20
MOST_LIARS = 2  # who say together where we are, and are not believed


class Membership:
    """`join`, then `step` each half second; `gossiped` and `seat` answer others; `leave`.

    `moved` is told when the slot is another one. `address` is where we are as far as the owner knows.
    """

    def __init__(
        self,
        contacts: Contacts,
        questions: Questions,
        address: Callable[[], Address | None],
        moved: Callable[[Prefix, float], None],
        revoked: Callable[[], int],
        dice: Random,
    ) -> None:
        self._contacts, self._questions = contacts, questions
        self._given, self._moved, self._revoked, self._dice = address, moved, revoked, dice
        self._seen: OrderedDict[Address, Address] = OrderedDict()  # by whom, and where
        # Of whom we were told first, and when we called back
        self._known: dict[Address, float] = {}
        self._began = self._ask_again = float("-inf")
        self._knock_at = self._stirred = float("-inf")
        self._pause_of_knocks = FIRST_KNOCK
        self._seats = Seats(contacts, questions, self._seen_at)
        self._moving = Moving(contacts, self._seats, dice)
        self.seated = self._over = False
        """Whether it has a slot."""
        self.heard_list: Callable[[int, Address, float], None] = lambda number, source, now: None
        """Is told of the newest revocation list that somebody has."""
        self.met: Callable[[Address, float], None] = lambda whom, now: None
        """Is told of each new one of our slot."""

    @property
    def address(self) -> Address | None:
        """Where we are: as our owner knows, or as most see us."""
        given = self._given()
        if given is not None:
            return given.normal
        told = Counter(self._seen.values()).most_common(1)
        return told[0][0] if told else None

    @property
    def agreed(self) -> Address | None:
        """Where three others at least, and more than half of them, see us: what fewer say may be a lie."""
        hosts = {owner_of(by): where.host for by, where in self._seen.items()}
        for host, tellers in Counter(hosts.values()).most_common(1):
            if tellers >= MOST_LIARS + 1 and 2 * tellers > len(hosts):
                return next(where for where in self._seen.values() if where.host == host)
        return None

    def _seen_at(self, by: Address, where: Address) -> None:
        remember(self._seen, by, where, MOST_SEEN)

    def join(self, known: list[Address], now: float) -> None:
        """Look for a slot, with the help of these."""
        here = self.address  # an operator's list has us, too
        self._known = {each.normal: float("-inf") for each in known if each.normal != here}
        self._began = self._stirred = self._ask_again = now
        self.seated = self._over = False
        self._seats.forget()
        self._pause_of_knocks = FIRST_KNOCK
        self._knock(now)

    def _knock(self, now: float) -> None:
        """At those that we were told of first: soon again, as they may begin in this moment, too."""
        self._knock_at = now + self._pause_of_knocks * self._dice.uniform(0.8, 1.2)
        self._pause_of_knocks = min(2 * self._pause_of_knocks, LONGEST_KNOCK)
        missing = [address for address in self._known if address not in self._contacts.live]
        for address in self._dice.sample(missing, min(len(missing), MOST_KNOCKS)):
            self._greet(address, WHOLE, None, now)

    def settled(self, now: float) -> bool:
        """Whether somebody was met, or nobody is there: until then others may know what we do not.

        Who only says that it begins, too, is waited for, but not for ever: anybody can say so.
        """
        return bool(self._contacts.live or not self._known) or (
            now >= min(self._stirred + SILENT, self._began + BEGINNING)
        )

    def step(self, now: float) -> None:
        if self._over:
            return
        if self.seated:
            self._move(now)
        else:
            self._sit_down(now)
        alone = not self._contacts.live or now < self._began + BEGINNING
        if alone and now >= self._knock_at:
            self._knock(now)
        self._gossip(now)

    # Looking for a seat

    def _sit_down(self, now: float) -> None:
        """Ask for our places once we know where we are; take the emptiest when they are found."""
        here = self.address
        if here is None:
            return
        if not self._contacts.live:
            if not self._known or now - self._began >= ALONE_AFTER:
                self._take(WHOLE, now)
            return
        missing = self._seats.missing(here)
        if not missing or now - self._began >= LOOKED_FOR:
            self._take(self._seats.emptiest(here, self._dice), now)
        elif now >= self._ask_again:
            self._ask_again = now + ASK_AGAIN
            for place in missing:
                self._seats.ask(place, now)

    def _take(self, slot: Prefix, now: float) -> None:
        self.seated = True
        self._seats.forget()
        self._moving.moved(now)
        self._pause_of_knocks, self._knock_at = FIRST_KNOCK, now  # now we can be met
        self._contacts.moved(slot)
        for contact in self._contacts.near():
            contact.due = now
        self._moved(slot, now)

    def _move(self, now: float) -> None:
        here = self.address
        if here is None:
            return
        slot = self._moving.step(self._told(here), self.size, now)
        if slot is not None:
            self._take(slot, now)

    # Staying alive

    def _gossip(self, now: float) -> None:
        due = [contact for contact in self._contacts.live.values() if contact.due <= now]
        due.sort(key=lambda contact: contact.due)
        for contact in due[:MOST_GOSSIPS]:
            contact.due = now + self._pause(contact)
            self._greet(contact.address, contact.slot, contact, now)
        for _ in range(TOLD_EACH_STEP):
            told = self._contacts.take_told(now)
            if told is None:
                break
            self._greet(told.address, told.slot, None, now)

    def _pause(self, contact: Contact) -> float:
        near = self._contacts.slot.up().covers(contact.slot)
        return (NEAR_EVERY if near else FAR_EVERY) * self._dice.uniform(0.8, 1.2)

    def _greet(self, whom: Address, slot: Prefix, contact: Contact | None, now: float) -> None:
        def then(answer: TokenMessage | None, when: float) -> None:
            if isinstance(answer, Gossiped):
                self._heard(answer, whom, when)
            elif contact is not None and not self._contacts.missed(contact, when):
                contact.due = when + AGAIN

        nodes = tuple(self._contacts.chosen(TOLD_IN_GOSSIP, slot))
        self._questions.ask(whom, lambda token: Gossip(*self._say(token, whom, nodes)), then, now)

    def _say(
        self, token: bytes, whom: Address, nodes: tuple[SuperNode, ...], *, leaving: bool = False
    ) -> tuple[bytes, bytes, Prefix, int, Address, tuple[SuperNode, ...], int, bool]:
        contacts = self._contacts
        return (
            token,
            contacts.node,
            contacts.slot,
            min(self.size, MAX_SIZE) if self.seated else 0,
            whom,
            nodes,
            self._revoked(),
            leaving or not self.seated,
        )

    @property
    def size(self) -> int:
        """Of our slot, with us."""
        return len(self._contacts.members()) + 1

    def _heard(self, said: Gossip, source: Address, now: float) -> None:
        """It answered us."""
        self._seen_at(source, said.you.normal)
        if said.node == self._contacts.node:
            self._contacts.gone(source, now)
            return
        self._contacts.told(said.nodes, source, now)
        if said.leaving:
            self._contacts.left(source)
            self._stirred = now
            return
        told, before = SuperNode(said.node, source, said.slot), self._contacts.live.get(source)
        known = self._contacts.heard(told, said.size, now)
        if known is not None:
            known.due = now + self._pause(known)
            if self.seated and known is not before and known.slot == self._contacts.slot:
                self.met(source, now)
        self.heard_list(said.revoked, source, now)

    def gossiped(self, said: Gossip, source: Address, now: float) -> None:
        """Somebody says that it is there: answer, and believe it when it has answered us."""
        nodes = tuple(self._contacts.chosen(TOLD_IN_GOSSIP, said.slot))
        self._questions.send(source, Gossiped(*self._say(said.token, source, nodes)))
        known = self._contacts.live.get(source)
        if said.leaving:
            self._stirred = now
            if known is not None and known.node == said.node:
                known.due = now  # it is asked, for anybody can say so in its name
            return
        self._contacts.back(source)
        if known is None and now - self._known.get(source, now) >= CALLED_BACK:
            self._known[source] = now
            self._greet(source, said.slot, None, now)
        speaker = SuperNode(said.node, source, said.slot)
        self._contacts.told((*said.nodes, speaker), source, now)
        self._contacts.spoke(speaker, now)

    def seat(self, asked: Seat, source: Address) -> None:
        """Somebody looks for one."""
        here = self.address
        us = None if here is None else self._told(here)
        self._seats.answer(asked, source, us, self.size if self.seated else 0)

    def _told(self, here: Address) -> SuperNode:
        """We, as others are told of us."""
        return SuperNode(self._contacts.node, here, self._contacts.slot)

    def leave(self, now: float) -> None:
        """Say so to all."""
        self.seated, self._over = False, True
        for contact in list(self._contacts.live.values()):
            self._greet(contact.address, contact.slot, None, now)
