"""Somebody rings us, through a super node where we are at home: what came, and what we say to it.

What is said is opaque to the super node; the caller signs it, and whoever listens looks at that.
"""

from collections.abc import Callable

from typing_extensions import override

from p2pswarm.formats.ids import Address

__all__ = ["Rung"]


class Rung:
    """One ring; the first of `answer`, `decline` and `cancel` counts."""

    def __init__(
        self,
        session: bytes,
        offer: bytes,
        home: Address,
        answer: Callable[[bytes], None],
        decline: Callable[[str], None],
    ) -> None:
        self.session, self.offer, self.home = session, offer, home
        self.on_cancelled: Callable[[], None] = lambda: None
        """The caller gave up before we said anything."""
        self._answer, self._decline = answer, decline
        self._said, self._answered = False, b""
        self.cancelled = False

    def answer(self, offer: bytes) -> None:
        """We talk: so we can be reached. Raises LocalProtocolError for what is too long."""
        if not self._said:
            self._said, self._answered = True, offer
            self._answer(offer)

    def decline(self, reason: str = "refused") -> None:
        """We do not: `busy`, `refused` or `too-often`."""
        if not self._said:
            self._said = True
            self._decline(reason)

    def cancel(self) -> None:
        """The caller gave up: nobody hears what we say."""
        if not self._said:
            self._said = self.cancelled = True
            self.on_cancelled()

    def again(self, other: "Rung") -> None:
        """The same by way of another home: the caller listens there, so the first one carries no more."""
        self.home, self._answer, self._decline = other.home, other.answer, other.decline
        if self._answered:
            self._answer(self._answered)

    @override
    def __repr__(self) -> str:
        return f"<Rung {self.session.hex()[:8]} by way of {self.home}>"
