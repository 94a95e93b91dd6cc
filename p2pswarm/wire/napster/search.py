"""The search request: clauses of words, the only message that is a little language."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple, Self

from typing_extensions import override

from p2pswarm.wire.fields import MAX_NUMBER, quoted, read_number, split
from p2pswarm.wire.napster.frames import Message

__all__ = ["Bounds", "Search"]


class Bounds(NamedTuple):
    """What a search allows, both ends included."""

    low: int = 0
    high: int = MAX_NUMBER

    @override
    def __contains__(self, value: object) -> bool:
        return isinstance(value, int) and self.low <= value <= self.high

    def narrowed(self, comparison: str, value: int) -> "Bounds":
        """Raises ValueError when it is none of the protocol's three comparisons."""
        match comparison.upper():
            case "AT LEAST":
                return Bounds(value, self.high)
            case "AT BEST":
                return Bounds(self.low, value)
            case "EQUAL TO":
                return Bounds(value, value)
            case _:
                raise ValueError(f"{comparison[:40]}: invalid comparison for search")

    def clauses(self, attribute: str) -> Iterator[str]:
        if self.low == self.high:
            yield f'{attribute} "EQUAL TO" "{self.low}"'
            return
        if self.low > 0:
            yield f'{attribute} "AT LEAST" "{self.low}"'
        if self.high < MAX_NUMBER:
            yield f'{attribute} "AT BEST" "{self.high}"'


_ATTRIBUTES = {
    "LINESPEED": "speed",
    "BITRATE": "bitrate",
    "FREQ": "frequency",
    "SIZE": "size",
    "DURATION": "seconds",
}


@dataclass(slots=True)
class Search(Message):
    """All words of `contains` and none of `excludes`, and what the other clauses ask for.

    SIZE, DURATION and TYPE are OpenNap's. Several FILENAME CONTAINS are one.
    """

    number = 200

    contains: str = ""
    excludes: str = ""
    most: int | None = None
    speed: Bounds = field(default_factory=Bounds)
    bitrate: Bounds = field(default_factory=Bounds)
    frequency: Bounds = field(default_factory=Bounds)
    size: Bounds = field(default_factory=Bounds)
    seconds: Bounds = field(default_factory=Bounds)
    type: str = ""
    local_only: bool = False

    @override
    def written(self) -> str:
        pieces = [f"FILENAME CONTAINS {quoted(self.contains)}"] if self.contains else []
        if self.most is not None:
            pieces.append(f"MAX_RESULTS {self.most}")
        if self.excludes:
            pieces.append(f"FILENAME EXCLUDES {quoted(self.excludes)}")
        for word, name in _ATTRIBUTES.items():
            pieces += getattr(self, name).clauses(word)
        if self.type:
            pieces.append(f"TYPE {self.type}")
        if self.local_only:
            pieces.append("LOCAL_ONLY")
        return " ".join(pieces)

    @classmethod
    @override
    def read(cls, text: str) -> Self:
        search, pieces = cls(), iter(split(text))
        for word in pieces:
            search._clause(word.upper(), pieces)
        return search

    def _clause(self, word: str, pieces: Iterator[str]) -> None:
        match word:
            case "FILENAME":
                self._filename(_argument(word, pieces), _argument(word, pieces))
            case "MAX_RESULTS":
                self.most = read_number(_argument(word, pieces))
            case "TYPE":
                self.type = _argument(word, pieces)
            case "LOCAL_ONLY" | "LOCAL":
                self.local_only = True
            case "WMA-FILE":
                pass  # which files those are, their names say
            case _ if word in _ATTRIBUTES:
                name = _ATTRIBUTES[word]
                comparison, value = _argument(word, pieces), _argument(word, pieces)
                bounds = getattr(self, name).narrowed(comparison, read_number(value))
                setattr(self, name, bounds)
            case _:
                raise ValueError(f"{word[:40]}: unknown search argument")

    def _filename(self, verb: str, words: str) -> None:
        match verb.upper():
            case "CONTAINS":
                self.contains = f"{self.contains} {words}".strip()
            case "EXCLUDES":
                self.excludes = f"{self.excludes} {words}".strip()
            case _:
                raise ValueError(f"FILENAME {verb[:40]}: unknown search argument")


def _argument(word: str, pieces: Iterator[str]) -> str:
    piece = next(pieces, None)
    if piece is None:
        raise ValueError(f"{word} says nothing more")
    return piece
