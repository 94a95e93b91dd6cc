"""A super node's part of the directory: everything that it is asked, and what it does by itself.

Messages go in with where they came from, messages come out with where they go; the owner has the sockets and
calls `step` twice a second. `got` is what came by datagram, `asked` what a guest asks by stream.

The one hard thing: by datagram anybody can ask in anybody's name. So no answer is longer than its question,
who asks too much is not heard, and nobody but guests and known super nodes has us ask on. Sans-IO.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable
from random import Random

from p2pswarm.errors import FormatError
from p2pswarm.formats.ids import Address
from p2pswarm.overlay.limits import Tokens
from p2pswarm.overlay.people.asking import Asking
from p2pswarm.overlay.people.contacts import Contacts
from p2pswarm.overlay.people.membership import Membership
from p2pswarm.overlay.people.places import network_of
from p2pswarm.overlay.people.questions import Questions, Sent, Source
from p2pswarm.overlay.people.records import Records
from p2pswarm.overlay.people.repairing import Repairing
from p2pswarm.overlay.people.revoking import RevokedList, Revoking
from p2pswarm.overlay.people.writing import Judge, Writing
from p2pswarm.overlay.remembering import remember
from p2pswarm.wire.people.dictionary import TokenMessage
from p2pswarm.wire.people.finding import Find, Put
from p2pswarm.wire.people.nodes import Prefix, SuperNode
from p2pswarm.wire.people.slots import Digest, Gossip, Gossiped, Revoked, Seat

__all__ = ["Directory"]

STRANGER = (10.0, 100.0)  # questions a second of one network by datagram, and saved up
SUPER = (100.0, 1000.0)  # of a known super node: a new member fetches all records of its slot
MOST_STRANGERS = 10_000
JUDGED_AGAIN = 50  # records in one step, after the revocation list has changed


class Directory:
    """`join`, `got`, `asked`, `step`; each gives what is to be sent. `leave` before the end."""

    def __init__(
        self,
        node: bytes,
        address: Callable[[], Address | None],
        judge: Judge,
        revoked: RevokedList,
        dice: Random,
        believed: Callable[[Address], bool] = lambda _: True,
    ) -> None:
        """`believed` says whether a super node may be there at all."""
        self.contacts = Contacts(node, dice, believed)
        self.records = Records()
        self._judge = judge
        self._questions: Questions = Questions(dice)
        self._writing = Writing(self.contacts, self._questions, self.records, judge, dice)
        self._repairing = Repairing(
            self.contacts,
            self._questions,
            self.records,
            self._writing.store,
            lambda now: self.membership.settled(now),
            dice,
        )
        self._asking = Asking(
            self.contacts, self._questions, self.records, judge, self._repairing.ripe_for
        )
        self._revoking = Revoking(revoked, self._questions, self.judge_again)
        self.membership = Membership(
            self.contacts, self._questions, address, self._moved, lambda: revoked.number, dice
        )
        self.membership.heard_list = self._revoking.heard
        self.membership.met = self._repairing.met
        self._askers: OrderedDict[bytes, Tokens] = OrderedDict()
        self._doubted: list[bytes] = []

    @property
    def slot(self) -> Prefix:
        return self.contacts.slot

    @property
    def ready(self) -> bool:
        """Whether it has a slot and its records."""
        return self.membership.seated and self._repairing.ripe

    def others(self, n: int) -> list[SuperNode]:
        """Some that are alive, for whoever may not stay here."""
        return self.contacts.chosen(n, self.contacts.slot)

    def join(self, known: Iterable[Address], now: float) -> list[Sent]:
        """With the help of these."""
        self.membership.join(list(known), now)
        return self._questions.take()

    def leave(self, now: float) -> list[Sent]:
        """The records are with the others of the slot."""
        self.membership.leave(now)
        return self._questions.take()

    def step(self, now: float) -> list[Sent]:
        """What is due."""
        self.records.step(now)
        self._questions.step(now)
        self.membership.step(now)
        if self.membership.seated:
            self._repairing.step(now)
        for hash_ in self._doubted[:JUDGED_AGAIN]:
            self._doubt(hash_, now)
        del self._doubted[:JUDGED_AGAIN]
        return self._questions.take()

    def judge_again(self) -> None:
        """Somebody was revoked: what is kept is looked at again, some in each step."""
        self._doubted = self.records.under(Prefix(0, 0))

    def got(self, message: TokenMessage, source: Address, now: float) -> list[Sent]:
        """By datagram."""
        source = source.normal
        if self._questions.answered(message, source, now):
            return self._questions.take()
        known = source in self.contacts.live
        if self._may_ask(source, now, known=known):
            match message:
                case Gossiped():
                    pass  # an answer that comes too late
                case Gossip():
                    self.membership.gossiped(message, source, now)
                case Seat():
                    self.membership.seat(message, source)
                case Digest():
                    self._repairing.digest(message, source)
                case _:
                    self._answer(message, source, now, trusted=known, guest=False)
        return self._questions.take()

    def asked(self, message: TokenMessage, guest: Source, now: float) -> list[Sent]:
        """By stream; whoever keeps the stream counts how often."""
        self._answer(message, guest, now, trusted=True, guest=True)
        return self._questions.take()

    def _answer(
        self,
        message: TokenMessage,
        source: Source,
        now: float,
        *,
        trusted: bool,
        guest: bool,
    ) -> None:
        match message:
            case Find():
                self._asking.find(message, source, now, trusted=trusted)
            case Put():
                self._writing.put(message, source, now, for_guest=guest)
            case Revoked():
                self._revoking.part(message, source)
            case _:
                pass  # an answer that comes too late

    def _may_ask(self, source: Address, now: float, *, known: bool) -> bool:
        key = str(source).encode() if known else network_of(source)
        tokens = self._askers.get(key)
        if tokens is None:
            tokens = Tokens(*(SUPER if known else STRANGER), now)
        remember(self._askers, key, tokens, MOST_STRANGERS)
        return tokens.take(now)

    def _moved(self, slot: Prefix, now: float) -> None:
        self._repairing.moved(now)

    def _doubt(self, hash_: bytes, now: float) -> None:
        kept = self.records.get(hash_, now)
        if kept is None:
            return
        try:
            self._judge(kept.record)
        except FormatError:
            self.records.drop(hash_)
