"""Whom we know, whom we tried, whom we banned: the addresses of one torrent.

Anybody can put an address into a tracker's list, so an address that never completed a handshake is dialed
at most once in ten minutes, however often it is named, and few of one host, however many ports are named;
one that was a peer before is tried again sooner. Addresses that the user named are trusted and tried first,
for as long as it takes; those of a link somebody else wrote, a few times. Sans-IO.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from typing import Any

from p2pswarm.formats.ids import Address, PeerId
from p2pswarm.formats.zones import owner_of

__all__ = ["AddressBook"]

_NOBODY: frozenset[Any] = frozenset()
_NEVER = float("-inf")
MOST_KNOWN = 3000  # libtorrent's peer list
STRANGER_EVERY = 600.0  # seconds between dials to an address that never proved to be a peer
# Dialed in that time without an answer; several peers behind one address are legal.
STRANGERS_OF_HOST = 3
LINKED_TRIES = 8  # dials to what a link names, in 140 s: whoever gave the link may start after us
FRIEND_EVERY = 5.0  # seconds times the number of failures in a row, for one that did
FRIEND_AT_MOST = 300.0
BRIEF = 5.0  # seconds: a peer that leaves sooner has no place for us, so ask it less and less often
GIVE_UP = 12  # failures in a row; from then on one try each time that somebody names it
MOST_RESTING = 20_000  # forgotten addresses of which we still know when they may be dialed again
MOST_BANS_PER_HOST = 3  # then the host itself is banned: several peers behind one address are legal


@dataclass(slots=True)
class _Known:
    trusted: bool = False
    linked: bool = False  # a magnet link that the user gave us names it
    private: bool = False  # a tracker or the user named it
    proven: bool = False  # a handshake was completed
    failures: int = 0
    next_dial: float = 0.0
    dialed: float = _NEVER  # when last
    brief: int = 0  # connections in a row that ended as soon as they were made
    busy: bool = False  # dialing or connected
    plain: bool = False  # its last handshake was not obfuscated
    v2: bool = False  # it is to be asked for the torrent by its name in version 2

    @property
    def waits(self) -> bool:
        return not self.busy and (self.trusted or self.failures < GIVE_UP)

    def is_due(self, now: float) -> bool:
        return self.next_dial <= now and self.waits


class AddressBook:
    """Knows at most 3000 strangers and what the user named. Times are seconds of any steady clock."""

    def __init__(self) -> None:
        self._known: OrderedDict[Address, _Known] = OrderedDict()  # in the order of dialing
        self._resting: dict[Address, float] = {}  # forgotten, but not to be dialed before
        # When strangers of a host were dialed.
        self._tried: OrderedDict[str, tuple[float, ...]] = OrderedDict()
        self._banned: frozenset[Address] = _NOBODY
        # Of that host: ids are no secret
        self._banned_ids: frozenset[tuple[str, PeerId | None]] = _NOBODY
        self._bans: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._known)

    def add(
        self,
        address: Address,
        now: float,
        *,
        trusted: bool = False,
        linked: bool = False,
        private: bool = False,
        v2: bool = False,
    ) -> None:
        """Somebody says that a peer is there: `private` if who says so may do so for a private torrent, `v2`
        if it is one of the torrent's swarm of version 2."""
        address = address.normal
        if not address.dialable or self.is_banned(address):
            return
        known = self._known.get(address)
        if known is None:
            if not (trusted or linked) and not self._has_place_for(address, now):
                return
            known = self._known[address] = _Known(next_dial=now)
        known.failures = min(known.failures, GIVE_UP - 1)
        known.private |= private
        known.v2 |= v2
        if trusted > known.trusted or linked > known.linked:
            known.trusted |= trusted
            known.linked |= linked
            known.next_dial = now
            self._known.move_to_end(address, last=False)

    def due(
        self, now: float, most: int, rank: Callable[[Address], int] = lambda _: 0
    ) -> list[Address]:
        """Up to `most` addresses to dial now; they count as busy until `failed` or `left`.

        When not all can be, those that the user named come first, then those of the highest rank.
        """
        due = [(address, known) for address, known in self._known.items() if known.is_due(now)]
        if len(due) > most:
            due.sort(key=lambda each: (not each[1].trusted, not each[1].linked, -rank(each[0])))
        chosen: list[Address] = []
        for address, known in due:
            if len(chosen) < most and self._may_be_tried(address, known, now):
                known.busy, known.dialed = True, now
                chosen.append(address)
        return chosen

    def _may_be_tried(self, address: Address, known: _Known, now: float) -> bool:
        """Whoever names many ports of one host has them dialed a few at a time (promise 12)."""
        if known.trusted or known.linked or known.proven:
            return True
        while self._tried and next(iter(self._tried.values()))[-1] <= now - STRANGER_EVERY:
            self._tried.popitem(last=False)
        owner = owner_of(address)
        times = tuple(t for t in self._tried.get(owner, ()) if t > now - STRANGER_EVERY)
        if len(times) >= STRANGERS_OF_HOST:
            known.next_dial = times[0] + STRANGER_EVERY
            return False
        self._tried[owner] = (*times, now)
        self._tried.move_to_end(owner)
        return True

    def next_dial(self) -> float:
        """When the next of those that are not busy is due; infinity when there is none."""
        waiting = (known for known in self._known.values() if known.waits)
        return min((known.next_dial for known in waiting), default=inf)

    def greeted(self, address: Address) -> None:
        """A handshake with it was completed."""
        known = self._known.get(address)
        if known is not None:
            known.proven, known.failures, known.busy = True, 0, True
            self._forgive(owner_of(address))

    def _forgive(self, owner: str) -> None:
        """A peer answered there: its neighbours of other ports, who had to wait for that, are due."""
        if len(self._tried.pop(owner, ())) >= STRANGERS_OF_HOST:
            for address, known in self._known.items():
                if known.dialed == _NEVER and owner_of(address) == owner:
                    known.next_dial = _NEVER

    def note_mode(self, address: Address, *, plain: bool, v2: bool = False) -> None:
        """How the handshake that we began succeeded."""
        known = self._known.get(address)
        if known is not None:
            known.plain, known.v2 = plain, v2

    def refused(self, address: Address) -> None:
        """It did not know the torrent, or us: perhaps it knows it by the other name."""
        known = self._known.get(address)
        if known is not None:
            known.v2 = not known.v2

    def silent(self, address: Address) -> None:
        """It took the connection and waited: perhaps for the other handshake, as WebTorrent does that
        cannot read a hidden one. Each failure turns it about, as in libtorrent: no dial is added."""
        known = self._known.get(address)
        if known is not None:
            known.plain = not known.plain

    def is_v2(self, address: Address) -> bool:
        known = self._known.get(address)
        return known is not None and known.v2

    def was_plain(self, address: Address) -> bool:
        known = self._known.get(address)
        return known is not None and known.plain

    def failed(self, address: Address, now: float) -> None:
        """Nobody answered there, or nobody we can talk to."""
        known = self._known.get(address)
        if known is None:
            return
        known.busy = False
        known.failures += 1
        known.next_dial = now + self._pause(known)

    def met(self, address: Address, now: float) -> None:
        """It is dialed now, as somebody says that it dials us (BEP 55); this counts as any other dial."""
        self.add(address, now)
        known = self._known.get(address.normal)
        if known is not None and not known.busy:
            known.dialed = now
            known.next_dial = max(known.next_dial, now + self._pause(known))

    def left(self, address: Address, now: float, *, useful: bool) -> None:
        """A connection ended. A peer from whom nothing more is wanted is not dialed again soon."""
        known = self._known.get(address)
        if known is not None:
            known.busy = False
            known.brief = known.brief + 1 if now - known.dialed < BRIEF else 0
            soon = min(FRIEND_EVERY * 2 ** min(known.brief, 10), FRIEND_AT_MOST)
            known.next_dial = now + (soon if useful else STRANGER_EVERY)

    def keep_private(self) -> None:
        """Forget whom others named than trackers and the user."""
        for address in [address for address in self._known if not self.is_private(address)]:
            del self._known[address]

    def is_private(self, address: Address) -> bool:
        known = self._known.get(address)
        return known is not None and known.private

    def want_again(self, now: float) -> None:
        """Something is missing after all: who left because nothing was wanted any more is dialed soon."""
        for known in self._known.values():
            if known.proven and not known.failures:
                known.next_dial = min(known.next_dial, now + FRIEND_EVERY)

    def ban(self, address: Address, peer_id: PeerId) -> None:
        """It sent us bad data, proven."""
        address = address.normal
        self._banned |= {address}
        self._banned_ids |= {(address.host, peer_id)}
        self._bans[address.host] = self._bans.get(address.host, 0) + 1
        self._known.pop(address, None)

    def is_banned(self, address: Address, peer_id: PeerId | None = None) -> bool:
        return (
            address in self._banned
            or (address.host, peer_id) in self._banned_ids
            or self._bans.get(address.host, 0) >= MOST_BANS_PER_HOST
        )

    def _pause(self, known: _Known) -> float:
        linked = known.linked and known.failures < LINKED_TRIES
        if known.proven or known.trusted or linked:
            return min(FRIEND_EVERY * known.failures, FRIEND_AT_MOST)
        return STRANGER_EVERY

    def _has_place_for(self, address: Address, now: float) -> bool:
        while self._resting and next(iter(self._resting.values())) <= now:
            del self._resting[next(iter(self._resting))]
        if self._resting.get(address, now) > now:
            return False
        return len(self._known) < MOST_KNOWN or self._forget_one()

    def _forget_one(self) -> bool:
        """Make room by dropping the oldest address that is of no use; how long it rests is remembered."""
        if len(self._resting) >= MOST_RESTING:
            return False
        for address, known in self._known.items():
            if not known.busy and not known.trusted and known.failures:
                del self._known[address]
                self._resting[address] = known.next_dial
                return True
        return False
