"""Peers of a swarm whom nobody can dial meet here: each says in which swarms it is, and hears of others.

Both of two are told in the same moment, and both dial; so each opens its own NAT for the other (BEP 55 with a
super node as the third). With that goes a ticket under which we relay them if they do not get through.

The one hard thing: a guest could name a victim for others to dial. So of the places that it names we tell
those alone that are on the host it comes from; two are introduced once in two minutes, and how often one
guest is named has an end. Sans-IO.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from random import Random
from typing import Protocol

from p2pswarm.errors import RemoteProtocolError
from p2pswarm.formats.ids import Address, InfoHash
from p2pswarm.formats.people.swarms import SwarmName
from p2pswarm.overlay.limits import Tokens
from p2pswarm.wire.people.dictionary import PeopleMessage
from p2pswarm.wire.people.relaying import Meet, Swarm
from p2pswarm.wire.people.ringing import SESSION_SIZE

__all__ = ["Guest", "Swarms"]

AGAIN = 110.0  # seconds between introductions of the same two, who say every 120 where they are
MOST_AT_ONCE = 5  # others of one swarm that a guest is told of each time it says where it is
MEETINGS = (0.5, 50.0)  # a second, and saved up, of one guest
WORDS = (0.2, 10.0)  # a second, and saved up: how often one says where it is
MOST_MEMBERS = 50_000  # guests in swarms, all together
MOST_OF_SWARM = 500
MOST_INTRODUCED = 50_000  # pairs that are remembered

_NOBODY: dict["_Member", None] = {}


class Guest(Protocol):
    """A connection of somebody; it is compared by identity."""

    def say(self, message: PeopleMessage) -> object:
        """It leaves, if the other side reads."""


@dataclass(slots=True, eq=False)
class _Member:
    number: int
    guest: Guest
    node: bytes
    meetings: Tokens
    words: Tokens
    hashes: frozenset[InfoHash] = frozenset()
    addresses: tuple[Address, ...] = ()


class Swarms:
    """`told` and `left` for each guest. Invariant: a member is in exactly the swarms that it names."""

    def __init__(self, dice: Random, relays: Callable[[bytes, float], None] | None) -> None:
        """`relays` is told each ticket; None when we do not relay."""
        self._dice, self._relays = dice, relays
        self._members: dict[int, _Member] = {}  # by the identity of their guests
        self._swarms: dict[InfoHash, dict[_Member, None]] = {}
        self._numbers = count()
        self._count = 0  # guests in swarms
        self._introduced: OrderedDict[tuple[int, int, InfoHash], float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._swarms)

    def told(self, guest: Guest, node: bytes, swarm: Swarm, host: str, now: float) -> None:
        """A guest, who says to be `node` and comes from `host`, says in which swarms it is now.

        Raises RemoteProtocolError.
        """
        member = self._members.get(id(guest)) or self._new(guest, node, now)
        if not member.words.take(now):
            raise RemoteProtocolError("it says too often in which swarms it is")
        member.addresses = tuple(a.normal for a in swarm.addresses if _is_at(a, host))
        self._enter(member, frozenset(swarm.hashes))
        for name in swarm.hashes:
            self._introduce(member, name, now)

    def _new(self, guest: Guest, node: bytes, now: float) -> _Member:
        number, limits = next(self._numbers), (Tokens(*MEETINGS, now), Tokens(*WORDS, now))
        member = self._members[id(guest)] = _Member(number, guest, node, *limits)
        return member

    def left(self, guest: Guest) -> None:
        """Its connection is over; may be called of whoever said nothing."""
        member = self._members.pop(id(guest), None)
        if member is not None:
            self._enter(member, frozenset())

    def _enter(self, member: _Member, names: frozenset[InfoHash]) -> None:
        """These, as far as there is room, and no others."""
        for name in member.hashes - names:
            swarm = self._swarms[name]
            del swarm[member]
            self._count -= 1
            if not swarm:
                del self._swarms[name]
        for name in names - member.hashes:
            swarm = self._swarms.get(name, {})
            if self._count < MOST_MEMBERS and len(swarm) < MOST_OF_SWARM:
                self._swarms.setdefault(name, swarm)[member] = None
                self._count += 1
        member.hashes = frozenset(
            name for name in names if member in self._swarms.get(name, _NOBODY)
        )

    def _introduce(self, member: _Member, name: InfoHash, now: float) -> None:
        """To a few others whom it was not told of lately."""
        while self._introduced and next(iter(self._introduced.values())) <= now - AGAIN:
            self._introduced.popitem(last=False)
        others = list(self._swarms.get(name, ())) if name in member.hashes else []
        self._dice.shuffle(others)
        told = 0
        for other in others:
            pair = _pair(member, other, name)
            if other is member or pair in self._introduced:
                continue
            if told >= MOST_AT_ONCE or not self._may_meet(member, other, now):
                return
            self._introduced[pair] = now
            if len(self._introduced) > MOST_INTRODUCED:
                self._introduced.popitem(last=False)
            self._tell_both(member, other, name, now)
            told += 1

    def _may_meet(self, one: _Member, other: _Member, now: float) -> bool:
        if not other.meetings.has(now) or not one.meetings.take(now):
            return False
        return other.meetings.take(now)

    def _tell_both(self, one: _Member, other: _Member, name: InfoHash, now: float) -> None:
        session = self._dice.randbytes(SESSION_SIZE)
        if self._relays is not None:
            self._relays(session, now)
        for member, there, speaks in ((one, other, True), (other, one, False)):
            who = SwarmName.member(name, there.node)
            member.guest.say(Meet(name, session, who, there.addresses, speaks))

    def check(self) -> None:
        """The invariant."""
        assert self._count == sum(map(len, self._swarms.values()))
        for name, swarm in self._swarms.items():
            assert swarm
            assert all(name in member.hashes for member in swarm)
        assert self._count == sum(len(member.hashes) for member in self._members.values())


def _is_at(address: Address, host: str) -> bool:
    return address.dialable and address.normal.host == Address(host, 0).normal.host


def _pair(one: _Member, other: _Member, name: InfoHash) -> tuple[int, int, InfoHash]:
    low, high = sorted((one.number, other.number))
    return low, high, name
