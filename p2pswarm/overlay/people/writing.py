"""A record is put: judged, kept, copied to the whole slot, and acknowledged when the majority has it.

Whoever is not of its slot names who is, or passes it on for a guest. What a spoofed sender can have us send
is bounded: the record must be newer than what is here, of one name once in some seconds, and signed by
somebody whom the login service knows. Sans-IO.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from p2pswarm.errors import FormatError
from p2pswarm.formats.ids import Address
from p2pswarm.overlay.people.contacts import Contacts
from p2pswarm.overlay.people.questions import PATIENCE, Questions, Source
from p2pswarm.overlay.people.records import Judged, Outcome, Records
from p2pswarm.overlay.remembering import remember
from p2pswarm.wire.people.dictionary import TokenMessage
from p2pswarm.wire.people.finding import Fault, Put, Referral, Rejected, Stored, Unknown
from p2pswarm.wire.people.nodes import Prefix

__all__ = ["Judge", "Writing"]

Judge = Callable[[bytes], Judged]
"""Reads a record and checks its signature and certificate. Raises FormatError."""

ONCE_IN = 2.0  # seconds for a new record of one name
MOST_NAMES = 10_000  # whose last time is remembered
PASSED_ON = 3  # super nodes that are tried for a guest
REFERRED = 8
MOST_COPIES = 64


@dataclass(slots=True)
class _Spread:
    """A record on its way to the others of the slot."""

    of: int
    copies: int = 1
    waiting: int = 0
    answered: bool = False


class Writing:
    """`put` for each one that is put here; `store` for what repair brings."""

    def __init__(
        self,
        contacts: Contacts,
        questions: Questions,
        records: Records,
        judge: Judge,
        dice: Random,
    ) -> None:
        self._contacts, self._questions, self._records = contacts, questions, records
        self._judge, self._dice = judge, dice
        self._lately: OrderedDict[bytes, float] = OrderedDict()

    def store(self, record: bytes, ttl: float, now: float) -> None:
        """A copy that was asked for; nothing when it is not good."""
        try:
            judged = self._judge(record)
        except FormatError:
            return
        self._records.put(judged, record, ttl, now)

    def put(self, put: Put, source: Source, now: float, *, for_guest: bool) -> None:
        """Answers with STORED, REJECTED or REFERRAL."""
        try:
            judged = self._judge(put.record)
        except FormatError:
            self._reject(put, source, Fault.BAD)
            return
        at = Prefix.of(judged.hash)
        if self._contacts.slot.covers(at):
            self._keep(put, judged, source, now)
        elif put.recursive and for_guest:
            self._pass_on(put, source, at, set(), now)
        else:
            common = self._contacts.slot.common(at)
            nearer = self._contacts.nearest(at, REFERRED, beyond=common)
            nodes = tuple(contact.told for contact in nearer)
            self._questions.send(source, Referral(put.token, nodes, self._contacts.slot))

    def _reject(self, put: Put, source: Source, fault: Fault, seq: int = 0) -> None:
        self._questions.send(source, Rejected(put.token, fault, seq))

    def _keep(self, put: Put, judged: Judged, source: Source, now: float) -> None:
        last = self._lately.get(judged.hash, float("-inf"))
        if not put.copy and now - last < ONCE_IN:
            self._reject(put, source, Fault.TOO_OFTEN)
            return
        outcome = self._records.put(judged, put.record, put.ttl, now)
        match outcome:
            case Outcome.STALE:
                self._reject(put, source, Fault.STALE, self._records.newest(judged.hash))
            case Outcome.FULL:
                self._reject(put, source, Fault.FULL)
            case _ if put.copy:
                self._questions.send(source, Stored(put.token, 1, 1))
            case _:
                remember(self._lately, judged.hash, now, MOST_NAMES)
                self._spread(put, source, Prefix.of(judged.hash), now)

    def _spread(self, put: Put, source: Source, at: Prefix, now: float) -> None:
        """To all others of the slot; the answer goes out when the majority has it, or all have spoken."""
        members = self._contacts.holders(at)[: MOST_COPIES - 1]
        spread = _Spread(len(members) + 1, waiting=len(members))

        def copied(answer: TokenMessage | None, when: float) -> None:
            spread.waiting -= 1
            spread.copies += isinstance(answer, Stored)
            settle()

        def settle() -> None:
            stored = Stored(put.token, spread.copies, spread.of)
            if not spread.answered and (stored.majority or not spread.waiting):
                spread.answered = True
                self._questions.send(source, stored)

        for member in members:
            self._questions.ask(
                member.address,
                lambda token: Put(token, put.record, put.ttl, copy=True),
                copied,
                now,
            )
        settle()

    def _pass_on(
        self, put: Put, source: Source, at: Prefix, tried: set[Address], now: float
    ) -> None:
        """For a guest: follow the referrals until somebody has stored it."""
        nearest = self._contacts.nearest(at, PASSED_ON + len(tried))
        left = [contact.address for contact in nearest if contact.address not in tried]
        if not left or len(tried) >= PASSED_ON:
            slot = self._contacts.slot
            self._questions.send(source, Unknown(put.token, 0, authoritative=False, slot=slot))
            return
        self._try(put, source, at, tried, left[0], now)

    def _try(
        self,
        put: Put,
        source: Source,
        at: Prefix,
        tried: set[Address],
        whom: Address,
        now: float,
    ) -> None:
        tried.add(whom)

        def then(answer: TokenMessage | None, when: float) -> None:
            if answer is not None:
                self._contacts.answered(whom)
            match answer:
                case Stored(_, copies, of):
                    self._questions.send(source, Stored(put.token, copies, of))
                case Rejected(_, fault, seq):
                    self._questions.send(source, Rejected(put.token, fault, seq))
                case Referral(_, nodes) if len(tried) < PASSED_ON:
                    left = [each for each in nodes if each.address not in tried]
                    left = [each for each in left if each.slot.covers(at)] or left
                    next_ = self._dice.choice(left).address if left else None
                    if next_ is not None and self._contacts.may_ask(next_, whom, when):
                        self._try(put, source, at, tried, next_, when)
                    else:
                        self._pass_on(put, source, at, tried, when)
                case _:
                    self._pass_on(put, source, at, tried, when)

        self._questions.ask(
            whom, lambda token: Put(token, put.record, put.ttl), then, now, 3 * PATIENCE
        )
