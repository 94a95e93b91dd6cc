"""How bytes from a socket become messages: the framer says where the next bytes land.

A stream asks `get_buffer()`, lets the kernel write there, and calls `received(n)`; both happen in one go
of the event loop, so all framers of one node may share one `Scratch`. What a framer could not use yet
(half a message) it keeps for itself and puts back in front of the next bytes.

The one hard thing: whatever a framer returns must not point into the scratch, because the next connection
writes there. A framer may cut while its messages are taken, one by one, so that each is answered before
the next is looked at; whoever took the last one has taken all.
"""

from collections.abc import Iterable
from typing import Protocol

from typing_extensions import override

from p2pswarm.errors import RemoteProtocolError

__all__ = ["MOST_KEPT", "CuttingFramer", "Framer", "KeepingFramer", "Scratch"]

# What the kernel hands over in one go is answered in one go: at 2 MiB a fast peer moves a fifth more than
# at 512 KiB, and 4 MiB give nothing on top (docs/performance.md).
SCRATCH_SIZE = 2 << 20
# Above the largest message we accept (a bitfield of 2 097 152 pieces). No more is read of anybody who sends
# no blocks: what is cheap to say and dear to hear must not hold the loop for long.
MOST_KEPT = 512 << 10


class Framer(Protocol):
    """What a stream needs: where to write, and what it means."""

    def get_buffer(self, hint: int = -1) -> memoryview: ...

    def received(self, n: int) -> Iterable[object]: ...

    def unread(self) -> bytes: ...


class Scratch:
    """The receive buffer that every connection of one event loop shares."""

    __slots__ = ("view",)

    def __init__(self, size: int = SCRATCH_SIZE) -> None:
        self.view = memoryview(bytearray(size))


class CuttingFramer:
    """The common part: keep what is incomplete, give the rest to `_cut`.

    Invariant: `unread()` is everything that was received and is not in a message yet.
    """

    def __init__(self, scratch: Scratch | None = None) -> None:
        self._view = (scratch or Scratch()).view
        self._window = min(len(self._view), MOST_KEPT)  # bytes at one time
        self._kept = b""

    def get_buffer(self, hint: int = -1) -> memoryview:
        kept = len(self._kept)
        if kept:
            self._view[:kept] = self._kept
        return self._view[kept : self._window]

    def received(self, n: int) -> Iterable[object]:
        """The messages that are complete now. Raises RemoteProtocolError."""
        end = len(self._kept) + n
        messages: list[object] = []
        used = self._cut(self._view[:end], messages)
        if used == 0 and end == self._window:
            raise RemoteProtocolError(f"a message longer than {end} bytes")
        self._kept = self._view[used:end].tobytes() if used < end else b""
        return messages

    def unread(self) -> bytes:
        """Take what was received and not understood, for the framer that comes next."""
        kept, self._kept = self._kept, b""
        return kept

    def _cut(self, view: memoryview, into: list[object]) -> int:
        """Append the complete messages of `view` to `into`; return how many bytes they took."""
        raise NotImplementedError


class KeepingFramer(CuttingFramer):
    """Understands nothing: whatever comes is left for the framer that comes next."""

    @override
    def _cut(self, view: memoryview, into: list[object]) -> int:
        return 0
