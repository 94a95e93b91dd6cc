"""The questions that are open: a reply counts when it comes from where we asked, with the number we gave it.

Numbers are four bytes that nobody can guess, so that nobody answers in another's name. Who is asked is told
of three ends: an answer, no answer for a second (there may be one still), none at all.
"""

from collections.abc import Callable
from random import Random

from p2pswarm.formats.ids import Address
from p2pswarm.wire.krpc import Error, Reply

__all__ = ["Answered", "Asking", "Later", "Outcome"]

Outcome = Reply | Error | None
"""None: there was no answer."""
Answered = Callable[[Outcome], None]
Later = Callable[[float, Callable[[], None]], object]
"""As `loop.call_later`."""


class _Open:
    __slots__ = ("address", "answered", "slow")

    def __init__(
        self, address: Address, answered: Answered, slow: Callable[[], None] | None
    ) -> None:
        self.address, self.answered, self.slow = address, answered, slow


class Asking:
    """`dice` nobody can guess."""

    QUICK, FULL = 1.0, 15.0  # seconds; libtorrent's
    MOST = 2000  # questions; a lookup has a dozen open

    def __init__(self, dice: Random, later: Later) -> None:
        self._dice, self._later = dice, later
        self._open: dict[bytes, _Open] = {}

    def __len__(self) -> int:
        return len(self._open)

    def begin(
        self, address: Address, answered: Answered, slow: Callable[[], None] | None = None
    ) -> bytes | None:
        """The number of a new question; None, and no answer, when too many are open."""
        if len(self._open) >= self.MOST:
            self._later(0.0, lambda: answered(None))
            return None
        number = self._dice.randbytes(4)
        while number in self._open:
            number = self._dice.randbytes(4)
        self._open[number] = _Open(address, answered, slow)
        self._later(self.QUICK, lambda: self._is_slow(number))
        return number

    def end(self, message: Reply | Error, address: Address) -> bool:
        """Whether it answers a question of ours."""
        question = self._open.get(message.transaction)
        if question is None or question.address != address:
            return False
        del self._open[message.transaction]
        question.answered(message)
        return True

    def close(self) -> None:
        """Nobody has answered."""
        while self._open:
            self._open.popitem()[1].answered(None)

    def _is_slow(self, number: bytes) -> None:
        question = self._open.get(number)
        if question is None:
            return
        self._later(self.FULL - self.QUICK, lambda: self._is_over(number, question))
        if question.slow is not None:
            question.slow()

    def _is_over(self, number: bytes, question: _Open) -> None:
        if self._open.get(number) is question:
            del self._open[number]
            question.answered(None)
