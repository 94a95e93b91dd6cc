"""What a super node has asked others and waits for, and what it has to send.

An answer counts when it carries the token that only the asked one saw, and comes from where it was asked:
so whoever answers has proved its address. Sans-IO.
"""

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from random import Random
from typing import NamedTuple, TypeAlias

from p2pswarm.formats.ids import Address
from p2pswarm.wire.people.datagrams import TOKEN_SIZE
from p2pswarm.wire.people.dictionary import TokenMessage

__all__ = ["PATIENCE", "Questions", "Sent", "Source"]

PATIENCE = 1.5  # seconds for one answer; round trips are below one
MOST_ASKED = 2000  # that wait at a time

Source: TypeAlias = Hashable
"""Where a message comes from: an `Address`, or whatever stands for a guest with a stream."""

Then = Callable[[TokenMessage | None, float], None]
"""What to do with the answer, or without one, at this time."""


class Sent(NamedTuple):
    """A message for somebody; a request is padded on its way."""

    to: Source
    message: TokenMessage
    request: bool = False


@dataclass(slots=True)
class _Waiting:
    whom: Address
    until: float
    then: Then


class Questions:
    """`ask`, `answered` with each answer, `step` now and then; `take` what is to be sent.

    Invariant: each question ends in exactly one call of its `then`.
    """

    def __init__(self, dice: Random) -> None:
        self._dice = dice
        self._waiting: dict[bytes, _Waiting] = {}
        self._out: list[Sent] = []
        self.asked = 0
        """Questions so far."""

    def __len__(self) -> int:
        return len(self._waiting)

    def ask(
        self,
        whom: Address,
        question: Callable[[bytes], TokenMessage],
        then: Then,
        now: float,
        patience: float = PATIENCE,
    ) -> None:
        """Of what waits beyond the most, nothing is sent, and the answer is None."""
        token = self._dice.randbytes(TOKEN_SIZE)
        room = len(self._waiting) < MOST_ASKED
        self._waiting[token] = _Waiting(whom, now + patience if room else now, then)
        if room:
            self.asked += 1
            self._out.append(Sent(whom, question(token), request=True))

    def send(self, to: Source, message: TokenMessage) -> None:
        """An answer."""
        self._out.append(Sent(to, message))

    def answered(self, message: TokenMessage, source: Address, now: float) -> bool:
        """Whether it answers what we asked there."""
        waiting = self._waiting.get(message.token)
        if waiting is None or waiting.whom != source:
            return False
        del self._waiting[message.token]
        waiting.then(message, now)
        return True

    def step(self, now: float) -> None:
        """Nobody waits longer than it wants to."""
        late = [token for token, waiting in self._waiting.items() if waiting.until <= now]
        for token in late:
            self._waiting.pop(token).then(None, now)

    def take(self) -> list[Sent]:
        """What is to be sent; it is then sent."""
        out, self._out = self._out, []
        return out
