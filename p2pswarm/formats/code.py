"""A code for a share: a number that a rendezvous gives, and two words that it never hears.

`7-amber-falcon`, or with the place of its rendezvous `7-amber-falcon@192.168.1.5:6969`. Number and words are
the password of SPAKE2. Sixteen bits are enough because every guess costs whoever guesses one visit to the
giver, who counts them.

The one hard thing is that people type it: blanks and capitals do, and a word that is not in its list is told
at once, with the one that was meant, before a guess is lost.
"""

import difflib
import re
from dataclasses import dataclass
from random import Random
from typing import Self

from typing_extensions import override

from p2pswarm.errors import FormatError
from p2pswarm.formats.code_words import FIRST, SECOND
from p2pswarm.formats.ids import Address

__all__ = ["MOST_NUMBER", "Code", "is_code"]

MOST_NUMBER = 99_999
_SHAPE = re.compile(r"([0-9]{1,5})[-_ ]+([a-z]+)[-_ ]+([a-z]+)\s*(?:@\s*(\S{1,270}))?")
_LONGEST = 400  # characters


@dataclass(frozen=True, slots=True)
class Code:
    """`at` is where its rendezvous listens; None: where both sides are told otherwise."""

    number: int
    first: str
    second: str
    at: Address | None = None

    @classmethod
    def draw(cls, number: int, dice: Random, at: Address | None = None) -> Self:
        """Another one; `dice` should be those of the system."""
        return cls(number, dice.choice(FIRST), dice.choice(SECOND), at)

    @classmethod
    def parse(cls, text: str) -> Self:
        """As a person types it. Raises FormatError."""
        match = _matched(text)
        if match is None:
            raise FormatError(f"{text[:40]!r} is not a code such as 7-{FIRST[4]}-{SECOND[4]}")
        number = int(match[1])
        if not number:
            raise FormatError("the number of a code begins with 1")
        first, second, at = match[2], match[3], match[4]
        _refuse_unknown(first, second)
        return cls(number, first, second, Address.parse(at) if at else None)

    @property
    def secret(self) -> bytes:
        """What both sides know and nobody else."""
        return f"{self.number}-{self.first}-{self.second}".encode()

    @override
    def __str__(self) -> str:
        return self.secret.decode() + (f"@{self.at}" if self.at else "")


def is_code(text: str) -> bool:
    """Whether somebody meant a code by it, be it right or not."""
    return _matched(text) is not None


def _matched(text: str) -> re.Match[str] | None:
    return _SHAPE.fullmatch(text.strip().lower()) if len(text) <= _LONGEST else None


def _refuse_unknown(first: str, second: str) -> None:
    """Raises FormatError for a word that no code has in this place."""
    if first in SECOND and second in FIRST:
        raise FormatError(f"the words of the code are swapped: did you mean {second}-{first}?")
    for word, known in ((first, FIRST), (second, SECOND)):
        if word not in known:
            near = difflib.get_close_matches(word, known, 1)
            meant = f", did you mean {near[0]!r}?" if near else ""
            raise FormatError(f"no code has the word {word[:40]!r} there{meant}")
