"""Who may claim a number, who may ask for one, and when all that ends. Sans-IO.

A giver claims a number; takers ask for it, and what the two say is carried between them, unread. The
rendezvous is part of no secret: it could only guess, as anybody can, and givers count guesses. What it
guards is itself: every table, line and message has a bound, and everything ends by itself.

The one hard thing is a giver whose connection breaks. Its number waits for it for a while, and so does what
takers said: two short messages of each.
"""

import hmac
from collections import Counter, OrderedDict, deque
from collections.abc import Callable
from random import Random

from p2pswarm.formats.code import MOST_NUMBER
from p2pswarm.wire.rendezvous import TOKEN_SIZE, Ask, Claim, Claimed, Left, Message, Said, Why
from tracker.rendezvous.guests import Guest, Number, Tokens, Visit

__all__ = ["Rendezvous"]

MOST_GUESTS = 1024
GUESTS_PER_LINE = 128
MOST_NUMBERS = 4096
NUMBERS_PER_LINE = 32
VISITS_PER_NUMBER = 64
VISITS_PER_LINE = 32  # with one number: an honest one takes a moment, so others wait no longer
MOST_SAID = 2  # messages of each side in a visit
TAKER_BODY = 256  # bytes; elements of a group and proofs are short
SILENT_FOR = 15.0  # seconds that a guest has for its first message
VISIT_FOR = 60.0  # seconds
AWAY_FOR = 300.0  # seconds that a number waits for its giver
ASKS_A_SECOND, ASKS_AT_ONCE = 20.0, 400.0  # of one line
MOST_LINES = 10_000  # lines whose asking is remembered
GIVEN_BACK = 64  # numbers that are not given again soon: somebody may still type one


class Rendezvous:
    """`enter`, then `received` for each message, then `leave`; `sweep` once a second."""

    def __init__(self, dice: Random) -> None:
        self._dice = dice
        self._guests: dict[Guest, None] = {}
        self._lines: Counter[str] = Counter()
        self._numbers: dict[int, Number] = {}
        self._claiming: Counter[str] = Counter()
        self._asking: OrderedDict[str, Tokens] = OrderedDict()
        self._given_back: deque[int] = deque(maxlen=GIVEN_BACK)
        # Not from 1: a giver that comes to a restarted rendezvous still has visits of before.
        self._visits = dice.getrandbits(32)

    def enter(self, host: str, line: str, now: float, wake: Callable[[], None]) -> Guest | None:
        """A guest, unless there are too many. `wake` is called when it has something to be told."""
        if len(self._guests) >= MOST_GUESTS or self._lines[line] >= GUESTS_PER_LINE:
            return None
        guest = Guest(host, line, now, wake)
        self._guests[guest] = None
        self._lines[line] += 1
        return guest

    def received(self, guest: Guest, message: Message, now: float) -> None:
        new = guest.number is None and guest.visit is None
        match message:
            case _ if guest.over:
                pass
            case Claim() if new:
                self._claim(guest, message, now)
            case Ask() if new:
                self._ask(guest, message, now)
            case Said() | Left() if guest.number is not None:
                self._from_giver(guest, guest.number, message, now)
            case Said() if guest.visit is not None and guest.visit.said < MOST_SAID:
                _from_taker(guest.visit, message.body)
            case _:
                guest.refuse(Why.RUDE)

    def leave(self, guest: Guest, now: float) -> None:
        """Its connection is gone. May be called twice."""
        if guest not in self._guests:
            return
        del self._guests[guest]
        _one_less(self._lines, guest.line)
        if guest.number is not None:
            guest.number.giver, guest.number.away = None, now
        if guest.visit is not None:
            guest.visit.end()

    def sweep(self, now: float) -> None:
        """What has had its time ends."""
        for number in list(self._numbers.values()):
            gone = number.giver is None and now - number.away >= AWAY_FOR
            if gone or now >= number.until:
                self._give_back(number)
        for guest in self._guests:
            if guest.visit is not None and now - guest.visit.since >= VISIT_FOR:
                guest.visit.end()
                guest.refuse(Why.BUSY, retry=5)
            elif guest.number is None and guest.visit is None and now - guest.since >= SILENT_FOR:
                guest.end()

    def _claim(self, guest: Guest, asked: Claim, now: float) -> None:
        number = self._numbers.get(asked.number) or self._new_number(guest, asked)
        if number is None:
            guest.refuse(Why.BUSY, retry=60)
        elif asked.token and not hmac.compare_digest(number.token, asked.token):
            guest.refuse(Why.TAKEN)
        else:
            number.belongs_to(guest)
            number.until = now + asked.ttl
            guest.tell(Claimed(number.value, number.token, guest.host))
            number.tell_held()

    def _new_number(self, guest: Guest, asked: Claim) -> Number | None:
        """None when there is no room for another one."""
        if len(self._numbers) >= MOST_NUMBERS or self._claiming[guest.line] >= NUMBERS_PER_LINE:
            return None
        value = asked.number or self._draw()
        token = asked.token or self._dice.randbytes(TOKEN_SIZE)
        number = self._numbers[value] = Number(value, token, guest.line)
        self._claiming[guest.line] += 1
        return number

    def _draw(self) -> int:
        """One that is free, as short as there are plenty of."""
        for most in (99, 999, 9999, MOST_NUMBER):
            if sum(value <= most for value in self._numbers) <= most // 4:
                break
        while True:
            value = self._dice.randint(1, most)
            if value not in self._numbers and value not in self._given_back:
                return value

    def _from_giver(self, guest: Guest, number: Number, message: Said | Left, now: float) -> None:
        visit = number.visits.get(message.visit)
        if not guest.budget.take(now):
            guest.refuse(Why.RUDE)
        elif message.visit == 0:
            self._give_back(number)
        elif visit is None:
            pass  # gone while this was on its way
        elif isinstance(message, Left):
            visit.end()
            visit.guest.refuse(Why.BUSY, retry=2)
        elif visit.answered < MOST_SAID:
            visit.answered += 1
            visit.guest.tell(Said(0, message.body))

    def _give_back(self, number: Number) -> None:
        """It is free again, and nobody has it."""
        del self._numbers[number.value]
        _one_less(self._claiming, number.line)
        self._given_back.append(number.value)
        for visit in list(number.visits.values()):
            visit.end()
            visit.guest.refuse(Why.UNKNOWN)
        if number.giver is not None:
            number.giver.number = None
            number.giver.refuse(Why.UNKNOWN)

    def _ask(self, guest: Guest, asked: Ask, now: float) -> None:
        number = self._numbers.get(asked.number)
        if not self._may_ask(guest.line, now):
            guest.refuse(Why.BUSY, retry=5)
        elif number is None:
            guest.refuse(Why.UNKNOWN)
        elif _is_crowded(number, guest.line):
            guest.refuse(Why.BUSY, retry=1)
        else:
            self._visits = self._visits % 0xFFFF_FFFF + 1
            _from_taker(Visit(self._visits, number, guest, now), asked.body)

    def _may_ask(self, line: str, now: float) -> bool:
        tokens = self._asking.pop(line, None) or Tokens(ASKS_A_SECOND, ASKS_AT_ONCE, now)
        self._asking[line] = tokens
        while len(self._asking) > MOST_LINES:
            self._asking.popitem(last=False)
        return tokens.take(now)


def _is_crowded(number: Number, line: str) -> bool:
    of_line = sum(visit.guest.line == line for visit in number.visits.values())
    return len(number.visits) >= VISITS_PER_NUMBER or of_line >= VISITS_PER_LINE


def _from_taker(visit: Visit, body: bytes) -> None:
    if len(body) > TAKER_BODY:
        visit.guest.refuse(Why.RUDE)
        return
    visit.said += 1
    visit.number.tell(Said(visit.name, body, visit.guest.host))


def _one_less(counts: Counter[str], line: str) -> None:
    counts[line] -= 1
    if counts[line] <= 0:
        del counts[line]
