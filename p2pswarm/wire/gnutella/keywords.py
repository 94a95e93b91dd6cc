"""How a name becomes the words of a route table, and a word the number of a slot (QRP 1.0, 5 and appendix A).

A word is a run of letters and digits of one script, in lower case, without accents. A table also has its
beginnings, so that `cover` finds `covers`. All programs agree on ASCII; for the rest we do as gtk-gnutella
does, and hash UTF-8.

The one hard thing: a false alarm costs a message, a miss loses a file. A word has three letters at least,
and some programs count bytes: we put in what anybody would ask for, and ask only for what everybody puts in.
"""

import re
import unicodedata
from functools import lru_cache
from itertools import groupby

from p2pswarm.formats.words import script_of

__all__ = ["qrp_hash", "qrp_number", "words_for_table", "words_of_query"]

SHORTEST = 3
_CUTS = 3  # beginnings of a word that are in the table, each a letter shorter
_MULTIPLIER = 0x4F1BBCDC  # the golden ratio in 32 bits, after Knuth
_MAX_TEXT = 4096  # characters of a name that are looked at
_MAX_QUERY = 512  # and of a query: more than any file name has
_MOST_GROWTH = 4  # times as long at most when ligatures are taken apart, one of which is 18 letters
_MAX_ASKED = 128  # words of a query that are looked up

_ASCII_WORD = re.compile(r"[a-z0-9]+")


def qrp_hash(word: str, bits: int) -> int:
    """The slot of `word` in a table of 2**bits slots."""
    return qrp_number(word) >> (32 - bits)


@lru_cache(maxsize=2048)  # one query is looked up in the tables of all neighbours
def qrp_number(word: str) -> int:
    """32 bits, the first of which are the slot: a larger table only looks at more of them."""
    data = word.lower().encode("utf-8", "replace")
    number = 0
    for at in range(0, len(data), 4):
        number ^= int.from_bytes(data[at : at + 4], "little")
    return number * _MULTIPLIER & 0xFFFFFFFF


def words_for_table(name: str) -> list[str]:
    """What a table says of a file's name: its words and their beginnings, each once."""
    found: dict[str, None] = {}
    # As it is, and as our own searches say it: `strasse` for `straße`.
    for word in dict.fromkeys([*_words(name), *_words(name.casefold())]):
        if len(word.encode()) >= SHORTEST:
            found[word] = None
        for length in range(len(word) - 1, max(len(word) - _CUTS, SHORTEST) - 1, -1):
            found[word[:length]] = None
    return list(found)


def words_of_query(text: str) -> list[str]:
    """What is looked up for a query: its words, each once, without the short ones."""
    return list(_asked(text[:_MAX_QUERY]))


@lru_cache(maxsize=64)  # a query is asked for its words where it comes, and where it goes on
def _asked(text: str) -> tuple[str, ...]:
    return tuple(word for word in _words(text) if len(word) >= SHORTEST)[:_MAX_ASKED]


def _words(text: str) -> list[str]:
    text = text[:_MAX_TEXT]
    found = _ASCII_WORD.findall(text.lower()) if text.isascii() else _any_script(text)
    return list(dict.fromkeys(found))


def _any_script(text: str) -> list[str]:
    """As gtk-gnutella reduces names: `straße東京タワー` is `straße`, `東京`, `タワー`."""
    # Twice, because lower case may bring marks back, and compatibility upper case.
    flat = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).lower())
    flat = flat[: 64 + len(text) * _MOST_GROWTH]
    bare = unicodedata.normalize("NFC", "".join(char for char in flat if not _is_accent(char)))
    return ["".join(chars) for script, chars in groupby(bare, _script) if script]


@lru_cache(maxsize=4096)
def _is_accent(char: str) -> bool:
    """A mark that can be left out; nukta, virama and the voicing of kana make other letters."""
    return unicodedata.category(char) == "Mn" and unicodedata.combining(char) not in (7, 8, 9)


@lru_cache(maxsize=4096)
def _script(char: str) -> str:
    """What cannot stand beside another in a word; empty for what cannot stand in a word at all."""
    if unicodedata.category(char)[0] != "L" and unicodedata.category(char) not in ("Nd", "Mn"):
        return ""
    return script_of(char)
