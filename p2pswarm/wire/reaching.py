"""The first words of a stream between two who reach each other, before TLS: of which meeting it is.

Each side says `Greeting` once, whoever dialed first; when both dialed in the same moment, or both came to a
relay, both do. Several streams may get that far: the side that leads says on one of them that it is chosen,
and the other side says so, too: the stream may be dead by then. What follows is of whoever wanted the stream.
"""

from dataclasses import dataclass

from typing_extensions import override

from p2pswarm.errors import RemoteProtocolError
from p2pswarm.wire.framer import CuttingFramer, Scratch

__all__ = ["CHOSEN", "OPENING", "Chosen", "Greeting", "GreetingFramer"]

OPENING = b"\x0fp2pswarm reach "
CHOSEN = b"\x01"
SESSION_SIZE = TAG_SIZE = 16
_SIZE = len(OPENING) + SESSION_SIZE + TAG_SIZE


@dataclass(frozen=True, slots=True)
class Greeting:
    """Of which meeting, and a sign that its sender knows what was said in the offer."""

    session: bytes
    tag: bytes

    def encode(self) -> bytes:
        return OPENING + self.session + self.tag


class Chosen:
    """This stream is the one; the side that leads says so, and is answered with the same word."""


class GreetingFramer(CuttingFramer):
    """A greeting, then the word that the stream is chosen; what follows stays for the next framer."""

    def __init__(self, scratch: Scratch | None = None, *, greeted: bool = False) -> None:
        super().__init__(scratch)
        self._greeted, self._chosen = greeted, False

    @override
    def _cut(self, view: memoryview, into: list[object]) -> int:
        used = 0 if self._greeted else self._greeting(view, into)
        if self._greeted and not self._chosen and len(view) > used:
            if view[used : used + 1] != CHOSEN:
                raise RemoteProtocolError("a stream that is neither chosen nor silent")
            self._chosen = True
            into.append(Chosen())
            return used + 1
        return used

    def _greeting(self, view: memoryview, into: list[object]) -> int:
        start = view[: len(OPENING)].tobytes()
        if not OPENING.startswith(start):
            raise RemoteProtocolError(f"no greeting begins with {start!r}")
        if len(view) < _SIZE:
            return 0
        at = len(OPENING)
        session = view[at : at + SESSION_SIZE].tobytes()
        into.append(Greeting(session, view[at + SESSION_SIZE : _SIZE].tobytes()))
        self._greeted = True
        return _SIZE
