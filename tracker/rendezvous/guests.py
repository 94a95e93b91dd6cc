"""Who is at a rendezvous, and the numbers and visits that are theirs. Sans-IO.

What a guest is told waits in `out` until its connection takes it.
"""

from collections import deque
from collections.abc import Callable

from p2pswarm.wire.rendezvous import Left, Message, Refused, Said, Why

__all__ = ["Guest", "Number", "Tokens", "Visit"]

GIVER_A_SECOND, GIVER_AT_ONCE = 100.0, 400.0  # messages of a giver
MOST_WAITING = 200  # messages that a guest has not taken yet


class Tokens:
    """So many a second, and some saved up."""

    __slots__ = ("_level", "_most", "_rate", "_since")

    def __init__(self, rate: float, most: float, now: float) -> None:
        self._rate, self._most, self._level, self._since = rate, most, most, now

    def take(self, now: float) -> bool:
        gained = max(0.0, now - self._since) * self._rate
        self._level, self._since = min(self._most, self._level + gained), now
        if self._level < 1:
            return False
        self._level -= 1
        return True


class Guest:
    """One connection from `host`, one of its `line`; when it is `over` it is told what waits, and ends."""

    __slots__ = (
        "_wake",
        "budget",
        "host",
        "line",
        "number",
        "out",
        "over",
        "rude",
        "since",
        "visit",
    )

    def __init__(self, host: str, line: str, now: float, wake: Callable[[], None]) -> None:
        self.host, self.line, self.since, self._wake = host, line, now, wake
        self.out: deque[Message] = deque()
        self.over = self.rude = False
        self.number: Number | None = None  # as a giver
        self.visit: Visit | None = None  # as a taker
        self.budget = Tokens(GIVER_A_SECOND, GIVER_AT_ONCE, now)

    def tell(self, message: Message) -> None:
        """Who does not take what it is told is told nothing more."""
        if self.over:
            return
        if len(self.out) < MOST_WAITING:
            self.out.append(message)
            self._wake()
        else:
            self.end()

    def refuse(self, why: Why, retry: int = 0) -> None:
        """Its last message."""
        self.rude |= why is Why.RUDE
        self.tell(Refused(why, retry))
        self.end()

    def end(self) -> None:
        self.over = True
        self._wake()


class Number:
    """Whose a number is; `giver` is None while that one is away, since `away`."""

    __slots__ = ("away", "giver", "held", "line", "token", "until", "value", "visits")

    def __init__(self, value: int, token: bytes, line: str) -> None:
        self.value, self.token, self.line = value, token, line
        self.until = self.away = 0.0
        self.giver: Guest | None = None
        self.visits: dict[int, Visit] = {}
        self.held: list[Said] = []  # what its giver missed, a few messages of each visit

    def belongs_to(self, giver: Guest) -> None:
        """From now on; who had it before has lost it."""
        if self.giver is not None:
            self.giver.number = None
            self.giver.refuse(Why.TAKEN)
        self.giver, giver.number = giver, self

    def tell(self, message: Said | Left) -> None:
        if self.giver is not None:
            self.giver.tell(message)
        elif isinstance(message, Said):
            self.held.append(message)
        else:
            self.held = [each for each in self.held if each.visit != message.visit]

    def tell_held(self) -> None:
        held, self.held = self.held, []
        for message in held:
            self.tell(message)


class Visit:
    """One taker with one giver, and how many messages each has said."""

    __slots__ = ("answered", "guest", "name", "number", "said", "since")

    def __init__(self, name: int, number: Number, guest: Guest, now: float) -> None:
        self.name, self.number, self.guest, self.since = name, number, guest, now
        self.said = self.answered = 0
        number.visits[name], guest.visit = self, self

    def end(self) -> None:
        """The giver hears of it. May be called twice."""
        self.guest.visit = None
        if self.number.visits.pop(self.name, None) is not None:
            self.number.tell(Left(self.name))
