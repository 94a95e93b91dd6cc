"""Who asks for a name gets its record, or who is nearer; for guests and other super nodes we ask on.

Iteratively the asker walks himself, and a super node answers from what it knows: two datagrams and no state.
Recursively it asks a contact, which asks a member of the slot, and what comes back is kept for a while on
the way. The patience of each is longer the farther it is from the slot, so that a dead hop is found out by
its neighbour. A record that is not good is a lie, and the next one is asked; that nobody has a name is
believed when two have said so who were asked apart and know their slot; who has just come into one, or begun
alone, says only that it does not know. Sans-IO.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from p2pswarm.errors import FormatError
from p2pswarm.formats.ids import Address
from p2pswarm.overlay.people.contacts import Contacts
from p2pswarm.overlay.people.questions import Questions, Source
from p2pswarm.overlay.people.records import Records
from p2pswarm.overlay.people.writing import Judge
from p2pswarm.overlay.remembering import remember
from p2pswarm.wire.people.dictionary import TokenMessage
from p2pswarm.wire.people.finding import (
    MAX_HOPS,
    MAX_MESSAGES,
    MAX_NEGATIVE_TTL,
    NODES_MOST,
    Find,
    Found,
    Referral,
    Unknown,
)
from p2pswarm.wire.people.nodes import Prefix, SuperNode

__all__ = ["Asking"]

REFERRED = 8  # super nodes in one referral: some of them may have died
MOST_CACHED = 10_000
CACHED_FOR = 300.0  # seconds, at most; meanwhile somebody may have moved
MOST_TRIED = 4  # contacts asked for one name,
MOST_LIES = 4  # and one more for each of so many that gave a false record
IN_SLOT = 1.0  # seconds for a member of the slot
ON_THE_WAY = 2.5  # and for one that has to ask on
WITNESSES = 2  # that nobody has a name


class _Cached(NamedTuple):
    record: bytes
    until: float


@dataclass(slots=True)
class _Lookup:
    """A name that we ask on for."""

    find: Find
    at: Prefix
    until: float
    tried: set[Address] = field(default_factory=set)
    named: list[tuple[SuperNode, Address]] = field(default_factory=list)
    """Who has it, as one says who does not ask on for us; and who says so."""
    unknown: int = 0
    """Who know that nobody has it,"""
    ttl: int = MAX_NEGATIVE_TTL
    """and the shortest time for which they do."""
    lies: int = 0
    """Records that were false."""
    messages: int = 0


class Asking:
    """`find` for each question; `ripe_for` says for how long our slot's records have been known here."""

    def __init__(
        self,
        contacts: Contacts,
        questions: Questions,
        records: Records,
        judge: Judge,
        ripe_for: Callable[[float], float],
    ) -> None:
        self._contacts, self._questions, self._records = contacts, questions, records
        self._judge, self._ripe_for = judge, ripe_for
        self._cache: OrderedDict[bytes, _Cached] = OrderedDict()
        self._unknown: OrderedDict[bytes, float] = OrderedDict()

    def find(self, find: Find, source: Source, now: float, *, trusted: bool) -> None:
        """Answers with FOUND, UNKNOWN or REFERRAL, at once or after asking on."""
        at = Prefix.of(find.hash)
        if (kept := self._records.get(find.hash, now)) is not None:
            self._questions.send(source, Found(find.token, kept.record, int(kept.until - now)))
        elif self._contacts.slot.covers(at) and (self._sure(at, now) or not find.recursive):
            self._questions.send(source, self._nobody(find, at, now))
        elif not self._from_cache(find, source, now):
            if find.recursive and trusted and find.hops:
                self._ask_on(_Lookup(find, at, now + MOST_TRIED * ON_THE_WAY), source, now)
            else:
                self._refer(find, at, source)

    def _sure(self, at: Prefix, now: float) -> int:
        """Seconds for which what is not here is nowhere; 0 for who cannot say so.

        Not for longer than we have known: in a directory that begins, users are still coming.
        """
        ttl = int(min(self._ripe_for(now), MAX_NEGATIVE_TTL))
        return 0 if self._contacts.deeper(at) else ttl

    def _nobody(self, find: Find, at: Prefix, now: float) -> Unknown:
        """Of our own slot: with the others of it, who can say the same."""
        ttl = self._sure(at, now)
        others = tuple(contact.told for contact in self._contacts.holders(at)[:NODES_MOST])
        return Unknown(find.token, ttl, ttl > 0, self._contacts.slot, others)

    def _from_cache(self, find: Find, source: Source, now: float) -> bool:
        cached = self._cache.get(find.hash)
        if cached is not None and cached.until > now:
            ttl = int(cached.until - now)
            self._questions.send(source, Found(find.token, cached.record, ttl, False))
            return True
        until = self._unknown.get(find.hash, now)
        if until > now:
            slot, ttl = self._contacts.slot, int(until - now)
            self._questions.send(source, Unknown(find.token, ttl, False, slot))
            return True
        return False

    def _refer(self, find: Find, at: Prefix, source: Source) -> None:
        slot = self._contacts.slot
        nearer = self._contacts.nearest(at, REFERRED, beyond=slot.common(at))
        if nearer:
            nodes = tuple(contact.told for contact in nearer)
            self._questions.send(source, Referral(find.token, nodes, slot))
        else:  # a gap that is being filled
            self._questions.send(source, Unknown(find.token, 0, False, slot))

    # For others

    def _ask_on(self, lookup: _Lookup, source: Source, now: float) -> None:
        whom = self._next(lookup, now) if now < lookup.until else None
        if whom is None:
            self._give_up(lookup, source, now)
            return
        lookup.tried.add(whom.address)
        lookup.messages += 1
        there = whom.slot.covers(lookup.at)
        find = lookup.find
        self._questions.ask(
            whom.address,
            lambda token: Find(token, find.hash, not there, find.hops - 1),
            lambda answer, when: self._told(lookup, whom, source, answer, when),
            now,
            IN_SLOT if there else ON_THE_WAY,
        )

    def _next(self, lookup: _Lookup, now: float) -> SuperNode | None:
        if len(lookup.tried) >= MOST_TRIED + min(lookup.lies, MOST_LIES):
            return None
        common = self._contacts.slot.common(lookup.at)
        inside = self._contacts.slot.covers(lookup.at)
        beyond = -1 if inside else common
        for each, teller in lookup.named:
            if each.address not in lookup.tried and self._contacts.may_ask(
                each.address, teller, now
            ):
                return each
        for contact in self._contacts.nearest(lookup.at, len(lookup.tried) + 1, beyond=beyond):
            if contact.address not in lookup.tried:
                return contact.told
        return None

    def _told(
        self,
        lookup: _Lookup,
        whom: SuperNode,
        source: Source,
        answer: TokenMessage | None,
        now: float,
    ) -> None:
        if answer is not None:
            lookup.messages += 1
            self._contacts.answered(whom.address)
        match answer:
            case Found() if self._good(lookup.find.hash, answer):
                self._found(lookup, source, answer, now)
                return
            case Found():
                lookup.lies += 1
            case Unknown(_, ttl, _, _, _, _, messages):
                lookup.messages += messages
                if ttl:  # else it is one that does not know yet
                    lookup.unknown += 1
                    lookup.ttl = min(lookup.ttl, ttl)
                if lookup.unknown >= WITNESSES:
                    self._give_up(lookup, source, now)
                    return
            case Referral(_, nodes):
                # It does not know us, or is in another slot by now.
                there = [each for each in nodes if each.slot.covers(lookup.at)]
                lookup.named = [(each, whom.address) for each in there[:MOST_TRIED]]
            case _:
                pass  # silent, or saying what is no answer
        self._ask_on(lookup, source, now)

    def _good(self, hash_: bytes, found: Found) -> bool:
        try:
            return self._judge(found.record).hash == hash_
        except FormatError:
            return False

    def _found(self, lookup: _Lookup, source: Source, found: Found, now: float) -> None:
        hops = min(found.hops + 1, MAX_HOPS)
        messages = min(lookup.messages + found.messages, MAX_MESSAGES)
        until = now + min(found.ttl, CACHED_FOR)
        remember(self._cache, lookup.find.hash, _Cached(found.record, until), MOST_CACHED)
        self._unknown.pop(lookup.find.hash, None)
        token, authoritative = lookup.find.token, found.authoritative
        answer = Found(token, found.record, found.ttl, authoritative, hops, messages)
        self._questions.send(source, answer)

    def _give_up(self, lookup: _Lookup, source: Source, now: float) -> None:
        """Nobody has it, as far as was to be learned."""
        known = lookup.unknown >= WITNESSES
        ttl = lookup.ttl if known else 0
        if known:
            remember(self._unknown, lookup.find.hash, now + ttl, MOST_CACHED)
        messages = min(lookup.messages, MAX_MESSAGES)
        answer = Unknown(lookup.find.token, ttl, known, self._contacts.slot, (), 1, messages)
        self._questions.send(source, answer)
