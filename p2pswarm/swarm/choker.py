"""Whom to serve: tit-for-tat. Decides only; `Torrent` applies it.

Every 10 seconds the four peers that give us most are unchoked, and beside them one more, the optimistic
unchoke, which changes every 30 seconds, so that newcomers can show what they have (BEP 3, "Choking";
Cohen, "Incentives build robustness in BitTorrent", 2003). A seed has nothing to be given: it serves those
who take fastest, and its optimistic unchoke goes to whoever waited longest, so that everybody's turn comes.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from random import Random

__all__ = ["OPTIMISTIC_EVERY", "RECHOKE_EVERY", "Candidate", "Choker"]

RECHOKE_EVERY = 10.0  # seconds; Cohen's choker, kept by every client since
OPTIMISTIC_EVERY = 30.0  # seconds: three rounds, long enough for the other side to answer in kind
NEWCOMER = 60.0  # seconds a connection counts as new: three times as likely to be tried (BEP 3)


@dataclass(frozen=True, slots=True)
class Candidate:
    """What the choker needs to know of a peer. Rates are bytes per second, times seconds."""

    key: Hashable
    interested: bool
    gives: float  # to us
    takes: float  # from us
    since: float  # when it connected
    snubbed: bool = False  # it owes us blocks and sent none for a minute
    served: float = float("-inf")  # when it was last unchoked; never is long ago


class Choker:
    """Remembers who has the optimistic unchoke and since when; everything else is an argument."""

    def __init__(self, slots: int = 4) -> None:
        self.slots = slots
        self.optimistic: Hashable | None = None
        self._chosen_at = float("-inf")

    def gone(self, key: Hashable) -> None:
        """It left."""
        if self.optimistic == key:
            self.optimistic = None

    def rechoke(
        self, peers: Sequence[Candidate], seeding: bool, now: float, dice: Random
    ) -> set[Hashable]:
        """The keys of those who should be unchoked now; at most `slots` + 1 of them are interested."""
        unchoked = _takers(peers, self.slots) if seeding else _givers(peers, self.slots)
        waiting = [peer for peer in peers if peer.interested and peer.key not in unchoked]
        still_there = any(peer.key == self.optimistic for peer in waiting)
        # The third round, whatever the last digits of a clock say.
        if not still_there or now - self._chosen_at > OPTIMISTIC_EVERY - RECHOKE_EVERY / 2:
            self.optimistic = _longest(waiting, dice) if seeding else _lucky(waiting, now, dice)
            self._chosen_at = now
        if self.optimistic is not None:
            unchoked.add(self.optimistic)
        return unchoked


def _givers(peers: Sequence[Candidate], slots: int) -> set[Hashable]:
    """The best uploaders, until `slots` interested ones are among them.

    A better one that is not interested is unchoked too: should it become interested, it need not wait.
    """
    chosen: set[Hashable] = set()
    for peer in sorted(peers, key=lambda peer: -peer.gives):
        if slots == 0:
            break
        if not peer.snubbed and (peer.interested or peer.gives > 0):
            chosen.add(peer.key)
            slots -= peer.interested
    return chosen


def _takers(peers: Sequence[Candidate], slots: int) -> set[Hashable]:
    interested = [peer for peer in peers if peer.interested]
    return {peer.key for peer in sorted(interested, key=lambda peer: -peer.takes)[:slots]}


def _lucky(waiting: Sequence[Candidate], now: float, dice: Random) -> Hashable | None:
    weights = [3 if now - peer.since < NEWCOMER else 1 for peer in waiting]
    return dice.choices(waiting, weights)[0].key if waiting else None


def _longest(waiting: Sequence[Candidate], dice: Random) -> Hashable | None:
    return min(waiting, key=lambda peer: (peer.served, dice.random())).key if waiting else None
