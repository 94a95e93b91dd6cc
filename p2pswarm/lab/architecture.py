"""What every architecture is asked: who has this? And what is counted when it is.

The same things lie with the same peers everywhere, and the same peers ask for them, so that only what is
between them differs. A message is one copy on one connection, as it arrives.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Protocol

__all__ = ["Architecture", "Outcome", "Question", "Thing", "names_of", "questions", "scatter"]

_FIRST = (
    "amber",
    "birch",
    "cedar",
    "delta",
    "ember",
    "fjord",
    "grove",
    "harbor",
    "indigo",
    "jasper",
)
_SECOND = ("river", "signal", "meadow", "canyon", "lantern", "orbit", "winter", "mosaic", "summit")


@dataclass(frozen=True, slots=True)
class Thing:
    """One file that lies with several peers under the same name."""

    words: str
    holders: frozenset[int]

    @property
    def name(self) -> str:
        return f"{self.words}.ogg"


@dataclass(frozen=True, slots=True)
class Question:
    """This peer, which has it not, looks for it."""

    origin: int
    thing: Thing


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one question cost, and what it found."""

    messages: Mapping[str, int]
    """By kind: `query`, `hit`, and what the architecture has besides."""
    found: int
    """Peers that have it and were found, of `copies`."""
    copies: int
    hops: int | None = None
    """To the nearest one that was found;"""
    first: int | None = None
    """how many messages there were until the asker heard of one. None: of none."""

    @property
    def total(self) -> int:
        return sum(self.messages.values())

    @property
    def recall(self) -> float:
        return self.found / self.copies


class Architecture(Protocol):
    """One way to search, with all its nodes; it lives in one virtual loop."""

    @property
    def name(self) -> str:
        """As tables and pictures call it."""

    async def build(self, shelves: Sequence[Sequence[str]]) -> None:
        """All nodes connected; `shelves` are the names of each peer's files."""

    async def ask(self, question: Question) -> Outcome:
        """Until nothing more happens."""

    async def close(self) -> None:
        """Whatever goes on by itself ends. May be called twice."""

    def loads(self) -> Mapping[str, Sequence[int]]:
        """Messages that each node sent or received for questions since it was built, by role."""


def scatter(peers: int, things: int, copies: int, dice: Random) -> tuple[Thing, ...]:
    """Each thing has a name of its own, and lies with so many peers."""
    return tuple(
        Thing(_words(number), frozenset(dice.sample(range(peers), copies)))
        for number in range(things)
    )


def _words(number: int) -> str:
    return f"{_FIRST[number % len(_FIRST)]} {_SECOND[number % len(_SECOND)]} {number:03}"


def names_of(peers: int, things: Sequence[Thing]) -> list[list[str]]:
    """What each peer shares."""
    shelves: list[list[str]] = [[] for _ in range(peers)]
    for thing in things:
        for holder in thing.holders:
            shelves[holder].append(thing.name)
    return shelves


def questions(peers: int, things: Sequence[Thing], dice: Random) -> tuple[Question, ...]:
    """Each thing is asked for once, by somebody who has it not."""
    asked = []
    for thing in things:
        origin = dice.randrange(peers)
        while origin in thing.holders:
            origin = dice.randrange(peers)
        asked.append(Question(origin, thing))
    return tuple(asked)
