"""Whom to ask for which hashes of version 2, and when to ask somebody else. Sans-IO: `who` is any key.

At most two requests wait for one peer (libtorrent keeps as many), and what is not wanted any more still waits
with them: whoever forgets that asks for more than anybody answers. Who refuses, or says nothing for some
seconds, is not asked for the same again for a while.

The one hard thing: an answer may come after its time is over. Then it is still welcome once, while what was
never asked of somebody is a fault. So whoever comes after one that was silent is waited for half as long:
many that are silent delay nothing for long, and who is only slow is heard all the same.
"""

from collections.abc import Hashable, Iterable
from itertools import islice

from p2pswarm.wire.hashes import HashRange

__all__ = ["PATIENCE", "HashAsking"]

AT_ONCE = 2  # requests that wait for one peer
PATIENCE, LEAST_PATIENCE = 10.0, 1.0  # seconds for an answer
FORGIVEN = 60.0  # seconds after which who refused may be asked again: it may have learned the layer
MOST_LATE = 100  # answers that may still come of one peer
MOST_LOOKED = 64  # ranges that are looked at for one peer at a time: a torrent may want 100 000
MOST_REFUSALS = 500  # in a row, after which one is left alone as long: each is remembered


class HashAsking:
    """Invariant: a range in `_asked` is in `_refused`, too, and counted in `_open` of its peer."""

    def __init__(self) -> None:
        self._refused: dict[HashRange, dict[Hashable, float]] = {}  # wanted: by whom it was refused
        self._free: dict[HashRange, None] = {}  # of these, what nobody is asked for
        self._asked: dict[HashRange, tuple[Hashable, float]] = {}
        self._silent: dict[HashRange, int] = {}  # wanted: by how many it was left without an answer
        self._open: dict[Hashable, int] = {}
        self._late: dict[Hashable, dict[HashRange, float]] = {}  # until when it still waits
        self._useless: dict[Hashable, tuple[int, float]] = {}  # refusals in a row, and until when

    def __contains__(self, wanted: HashRange) -> bool:
        return wanted in self._refused

    def want(self, ranges: Iterable[HashRange]) -> None:
        for wanted in ranges:
            if wanted not in self._refused:
                self._refused[wanted] = {}
                self._free[wanted] = None

    def drop(self, ranges: Iterable[HashRange]) -> None:
        """Not wanted any more; an answer may still come."""
        for wanted in ranges:
            if wanted in self._asked:
                self._remember_late(wanted, self._asked[wanted][1])
            self._withdraw(wanted)
            self._refused.pop(wanted, None)
            self._free.pop(wanted, None)
            self._silent.pop(wanted, None)

    def next_for(self, who: Hashable, now: float) -> list[HashRange]:
        """What to ask this peer now."""
        late = sum(until > now for until in self._late.get(who, {}).values())
        room = AT_ONCE - self._open.get(who, 0) - late
        chosen = (
            self._unrefused(who, room, now) if room > 0 and not self._is_useless(who, now) else []
        )
        for wanted in chosen:
            del self._free[wanted]
            patience = PATIENCE / 2 ** min(self._silent.get(wanted, 0), 10)
            self._asked[wanted] = who, now + max(LEAST_PATIENCE, patience)
            self._open[who] = self._open.get(who, 0) + 1
        return chosen

    def _unrefused(self, who: Hashable, room: int, now: float) -> list[HashRange]:
        """So many of what nobody is asked for. What this one refused goes to the end, so that the next look
        finds something else."""
        chosen = list[HashRange]()
        for wanted in list(islice(self._free, MOST_LOOKED)):
            refusals = self._refused[wanted]
            if now < refusals.get(who, now):
                self._free[wanted] = self._free.pop(wanted)
                continue
            refusals.pop(who, None)
            chosen.append(wanted)
            if len(chosen) == room:
                break
        return chosen

    def _is_useless(self, who: Hashable, now: float) -> bool:
        """For a while, because it refused very much and gave nothing."""
        count, until = self._useless.get(who, (0, 0.0))
        if count < MOST_REFUSALS:
            return False
        if now >= until:
            del self._useless[who]
        return now < until

    def helped(self, who: Hashable) -> None:
        """What it gave was good."""
        self._useless.pop(who, None)

    def answered(self, who: Hashable, wanted: HashRange) -> bool:
        """Hashes came, good or bad: whether they were asked of this peer. They are wanted until `drop`."""
        asked = self._asked.get(wanted)
        if asked is not None and asked[0] == who:
            self._withdraw(wanted)
            return True
        return self._late.get(who, {}).pop(wanted, None) is not None

    def refused(self, who: Hashable, wanted: HashRange, now: float) -> bool:
        """Whether it was asked."""
        if not self.answered(who, wanted):
            return False
        self._rule_out(who, wanted, now)
        self._useless[who] = self._useless.get(who, (0, 0.0))[0] + 1, now + FORGIVEN
        return True

    def gone(self, who: Hashable) -> None:
        self._late.pop(who, None)
        self._useless.pop(who, None)
        for wanted in [each for each, (asked, _) in self._asked.items() if asked == who]:
            self._withdraw(wanted)
        for refusals in self._refused.values():
            refusals.pop(who, None)
        self._open.pop(who, None)

    def tick(self, now: float) -> None:
        """What is overdue others may be asked for."""
        overdue = [each for each, (_, until) in self._asked.items() if now >= until]
        for wanted in overdue:
            self._silent[wanted] = self._silent.get(wanted, 0) + 1
            self._remember_late(wanted, now)
            self._rule_out(self._asked[wanted][0], wanted, now)
            self._withdraw(wanted)

    def hopeless(self, wanted: HashRange, peers: Iterable[Hashable], now: float) -> bool:
        """Whether nobody is asked for it, and none of these can be."""
        refusals = self._refused.get(wanted)
        if refusals is None or wanted in self._asked:
            return False
        return all(now < refusals.get(who, now) for who in peers)

    def _remember_late(self, wanted: HashRange, until: float) -> None:
        late = self._late.setdefault(self._asked[wanted][0], {})
        late[wanted] = until
        if len(late) > MOST_LATE:
            del late[next(iter(late))]

    def _rule_out(self, who: Hashable, wanted: HashRange, now: float) -> None:
        if wanted in self._refused:
            self._refused[wanted][who] = now + FORGIVEN

    def _withdraw(self, wanted: HashRange) -> None:
        """Nobody is asked for it."""
        who, _ = self._asked.pop(wanted, (None, 0.0))
        if who is not None:
            self._open[who] -= 1
            self._free[wanted] = None
