"""The newest revocation list, spread among super nodes: gossip tells its number, and it is fetched in parts.

Sans-IO.
"""

from collections.abc import Callable

from p2pswarm.formats.ids import Address
from p2pswarm.overlay.people.questions import Questions, Source
from p2pswarm.wire.people.dictionary import TokenMessage
from p2pswarm.wire.people.slots import MAX_PART, Part, Revoked

__all__ = ["RevokedList", "Revoking"]

AGAIN = 60.0  # seconds until a list is asked for again that did not come, or was not good


class RevokedList:
    """The list that counts here: `newest` and its `number`; `accept` says whether a newer one is good.

    `accept` checks the authority's signature and gives the number, or None.
    """

    def __init__(self, accept: Callable[[bytes], int | None], data: bytes = b"") -> None:
        self._accept, self.number, self.newest = accept, 0, b""
        if data:
            self.take(data)

    def take(self, data: bytes) -> bool:
        """Whether it is newer and good."""
        number = self._accept(data)
        if number is None or number <= self.number:
            return False
        self.number, self.newest = number, data
        return True


class Revoking:
    """`heard` of each number, `part` answers others; `changed` is called when a newer list is here."""

    def __init__(
        self, held: RevokedList, questions: Questions, changed: Callable[[], None]
    ) -> None:
        self._held, self._questions, self._changed = held, questions, changed
        self._until = float("-inf")  # one list at a time is fetched

    def part(self, asked: Revoked, source: Source) -> None:
        """What follows there; nothing behind its end."""
        whole, start = self._held.newest, asked.start
        data = whole[start : start + MAX_PART]
        self._questions.send(source, Part(asked.token, self._held.number, start, len(whole), data))

    def heard(self, number: int, source: Address, now: float) -> None:
        """Somebody has the list of this number."""
        if number > self._held.number and self._until <= now:
            self._until = now + AGAIN
            self._fetch(source, number, b"", now)

    def _fetch(self, source: Address, number: int, so_far: bytes, now: float) -> None:
        def then(answer: TokenMessage | None, when: float) -> None:
            if isinstance(answer, Part) and answer.start == len(so_far) and answer.data:
                self._got(source, number, so_far + answer.data, answer, when)

        self._questions.ask(source, lambda token: Revoked(token, len(so_far)), then, now)

    def _got(self, source: Address, number: int, data: bytes, part: Part, now: float) -> None:
        if part.number != number or len(data) > part.size:
            return
        if len(data) < part.size:
            self._fetch(source, number, data, now)
        elif self._held.take(data):
            self._until = now
            self._changed()
