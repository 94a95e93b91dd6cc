"""Tables of what was lately heard, which strangers fill: so many entries, and the oldest goes."""

from collections import OrderedDict
from collections.abc import Hashable
from typing import TypeVar

__all__ = ["remember"]

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


def remember(known: OrderedDict[K, V], key: K, value: V, most: int) -> None:
    """It is the newest now; of more than `most` the oldest is forgotten."""
    known[key] = value
    known.move_to_end(key)
    while len(known) > most:
        known.popitem(last=False)
