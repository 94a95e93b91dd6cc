"""What must not be found here: hashes and words that somebody had taken down.

One rule a line: `md5 HEX`, `sha1 HEX`, `btih HEX`, or words, all of which must be in the name (`words` may
stand before them). Empty lines and `#` comments do not count. The rules hold for what is shared, searched,
looked up and listed from the moment they are read; what was shared before stays unseen.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from p2pswarm.formats.words import words_of
from tracker.napster.index import SharedFile, readable

__all__ = ["Rules"]

_DIGITS = {"md5": 32, "sha1": 40, "btih": 40}
_HASH = re.compile(r"(md5|sha1|btih)[\s:]+([0-9a-f]+)", re.IGNORECASE)
_WORDS = re.compile(r"words[\s:]+", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Rules:
    """`hashes` are (kind, digest); `words` are filed under the first of each rule."""

    hashes: frozenset[tuple[str, bytes]] = frozenset()
    words: dict[str, list[frozenset[str]]] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> "Rules":
        """Raises ValueError, which names the line, when a hash is none or a rule has no words."""
        hashes: set[tuple[str, bytes]] = set()
        words: dict[str, list[frozenset[str]]] = {}
        for number, line in enumerate(text.splitlines(), 1):
            rule = line.partition("#")[0].strip()
            found = _HASH.fullmatch(rule)
            if found is not None:
                hashes.add(_digest(number, found[1].lower(), found[2]))
            elif rule:
                wanted = words_of(_WORDS.sub("", rule, count=1))
                if not wanted:
                    raise ValueError(f"line {number} has neither a hash nor words: {rule!r}")
                words.setdefault(wanted[0], []).append(frozenset(wanted))
        return cls(frozenset(hashes), words)

    def __bool__(self) -> bool:
        return bool(self.hashes or self.words)

    def __len__(self) -> int:
        return len(self.hashes) + sum(map(len, self.words.values()))

    def against(self, file: SharedFile) -> str | None:
        """The rule that this file breaks."""
        if not self:
            return None
        return (
            self.against_hash("md5", file.md5)
            or self.against_hash("sha1", file.sha1)
            or self.against_hash("btih", file.info_hash)
            or self.against_words(words_of(readable(file.name)))
        )

    def against_hash(self, kind: str, digest: bytes) -> str | None:
        return f"{kind} {digest.hex()}" if (kind, digest) in self.hashes else None

    def against_words(self, words: Iterable[str]) -> str | None:
        """The rule whose words are all among these."""
        if not self.words:
            return None
        have = frozenset(words)
        for word in have:
            for rule in self.words.get(word, ()):
                if rule <= have:
                    return f"words {' '.join(sorted(rule))}"
        return None


def _digest(line: int, kind: str, digits: str) -> tuple[str, bytes]:
    if len(digits) != _DIGITS[kind]:
        raise ValueError(f"line {line}: an {kind} has {_DIGITS[kind]} digits, not {len(digits)}")
    return kind, bytes.fromhex(digits)
