"""Bytes of a file on a connection: so many of them, with no frames around them.

Napster's and Gnutella's transfers end so: a head that says how much, and then that much.
"""

from dataclasses import dataclass

from typing_extensions import override

from p2pswarm.wire.framer import CuttingFramer, Scratch

__all__ = ["Chunk", "DataFramer"]


@dataclass(slots=True)
class Chunk:
    """Bytes of the file, in order."""

    data: bytes


class DataFramer(CuttingFramer):
    """The bytes of the file, `left` of them; what comes after stays unread."""

    def __init__(self, left: int, scratch: Scratch | None = None) -> None:
        super().__init__(scratch)
        self.left = left

    @override
    def _cut(self, view: memoryview, into: list[object]) -> int:
        used = min(len(view), self.left)
        if used:
            into.append(Chunk(view[:used].tobytes()))
            self.left -= used
        return used
