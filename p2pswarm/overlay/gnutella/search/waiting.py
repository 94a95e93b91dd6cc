"""Questions that wait for their turn, so that who asks much does not keep others from being answered.

Those who ask have their turns one after the other. When too many wait, the latest of who has most goes, so a
flood flushes its own. Sans-IO.
"""

from collections import OrderedDict, deque
from collections.abc import Hashable
from typing import Generic, TypeVar

__all__ = ["MOST", "Waiting"]

MOST = 100

Asked = TypeVar("Asked")


class Waiting(Generic[Asked]):
    """Invariant: nobody is listed who has nothing here; at most 100 in all."""

    def __init__(self) -> None:
        self._rows: OrderedDict[Hashable, deque[Asked]] = OrderedDict()  # who is next is the first
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def put(self, asker: Hashable, asked: Asked) -> bool:
        """Whether it waits, in the place of another perhaps."""
        if self._count >= MOST:
            most = max(self._rows, key=lambda other: len(self._rows[other]))
            if len(self._rows[most]) <= len(self._rows.get(asker, ())) + 1:
                return False
            self._rows[most].pop()
            self._count -= 1
        self._rows.setdefault(asker, deque()).append(asked)
        self._count += 1
        return True

    def take(self) -> Asked:
        """The next one; there must be one."""
        asker, row = self._rows.popitem(last=False)
        asked = row.popleft()
        self._count -= 1
        if row:
            self._rows[asker] = row
        return asked

    def check(self) -> None:
        assert all(self._rows.values())
        assert self._count == sum(map(len, self._rows.values())) <= MOST
