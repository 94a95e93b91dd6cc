"""Who may be given a file now, and who waits for it, in what order. Sans-IO.

There are so many slots, and so many of them for one host. Who finds none may wait on its connection, first
come first served, and asks again between `POLL_MIN` and `POLL_MAX` seconds: who asks too early is sent away,
and who does not ask at all loses the place. A slot is kept from one part of a file to the next, but not for
ever while others wait.

Invariant: nobody is both served and waiting, and no more than the slots are served.
"""

from collections import Counter
from collections.abc import Hashable
from dataclasses import dataclass

from p2pswarm.errors import RemoteProtocolError
from p2pswarm.wire.http.queueing import QueuePlace

__all__ = ["MOST_OF_ONE", "POLL_MAX", "POLL_MIN", "UploadSlots"]

MOST_OF_ONE = 3  # slots of one host, and as many waiting
MOST_WAITING = 50  # the synchronous queue of PARQ is that long
POLL_MIN, POLL_MAX = 45, 120  # seconds, what LimeWire says
EARLIEST = 40.0  # seconds: some count whole ones only
HELD = 600.0  # seconds of a slot after which others come first


@dataclass(slots=True)
class _Place:
    """Since when it is served, or when it last asked."""

    host: str
    when: float


class UploadSlots:
    """`ask` with something that stands for the connection; `leave` when that is gone."""

    def __init__(self, slots: int) -> None:
        self.slots = slots
        self._served: dict[Hashable, _Place] = {}
        self._waiting: dict[Hashable, _Place] = {}  # in the order in which they came

    def ask(self, who: Hashable, host: str, now: float, *, waits: bool) -> QueuePlace | None:
        """None when it is served from now on; else its place in the line, 0 when it has none.

        Raises RemoteProtocolError when it asks too early.
        """
        self._forget(now)
        waiting = self._waiting.get(who)
        if waiting is not None and now < waiting.when + EARLIEST:
            del self._waiting[who]
            raise RemoteProtocolError(f"{host} asked again after {now - waiting.when:.0f} s")
        if self._may_go_on(who, now) or self._is_next(who, host):
            self._waiting.pop(who, None)
            self._served.setdefault(who, _Place(host, now))
            return None
        if waiting is not None:
            waiting.when = now
        elif waits and self._has_room(host):
            self._waiting[who] = _Place(host, now)
        return self._place(who)

    def leave(self, who: Hashable) -> None:
        """It needs nothing any more; may be called twice."""
        self._served.pop(who, None)
        self._waiting.pop(who, None)

    def waits(self, who: Hashable) -> bool:
        """Whether it has a place in the line."""
        return who in self._waiting

    @property
    def busy(self) -> bool:
        """Whether somebody new would have to wait."""
        return len(self._served) + len(self._waiting) >= self.slots

    def _may_go_on(self, who: Hashable, now: float) -> bool:
        served = self._served.get(who)
        if served is not None and self._waiting and now > served.when + HELD:
            del self._served[who]
        return who in self._served

    def _is_next(self, who: Hashable, host: str) -> bool:
        taken = Counter(place.host for place in self._served.values())
        if taken[host] >= MOST_OF_ONE:
            return False
        before = 0  # others that wait longer, and may be served
        for other, place in self._waiting.items():
            if other == who:
                break
            taken[place.host] += 1
            before += taken[place.host] <= MOST_OF_ONE
        return len(self._served) + before < self.slots

    def _has_room(self, host: str) -> bool:
        mine = sum(place.host == host for place in self._waiting.values())
        return mine < MOST_OF_ONE and len(self._waiting) < MOST_WAITING

    def _place(self, who: Hashable) -> QueuePlace:
        position = list(self._waiting).index(who) + 1 if who in self._waiting else 0
        return QueuePlace(position, len(self._waiting), self.slots, POLL_MIN, POLL_MAX)

    def _forget(self, now: float) -> None:
        for who in [who for who, place in self._waiting.items() if now > place.when + POLL_MAX]:
            del self._waiting[who]

    def check(self) -> None:
        """The invariant, for tests."""
        assert not self._served.keys() & self._waiting.keys()
        assert len(self._served) <= self.slots
        assert len(self._waiting) <= MOST_WAITING
