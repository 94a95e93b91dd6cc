"""Which files of a download are wanted: the options of `get` for it."""

from dataclasses import dataclass, field

from p2pswarm.config import FLAG, Unit, about
from p2pswarm.formats import globs
from p2pswarm.swarm.selection import Priority, Selection

__all__ = ["Choosing", "selection_of"]

_WORDS = {each.name.lower(): each for each in (Priority.HIGH, Priority.NORMAL, Priority.LOW)}


def _parse_files(text: str) -> str:
    if not text.strip("/ "):
        raise ValueError("a glob such as '*.mkv' is needed, or numbers such as 0,2,4-8")
    globs.matches(text, ())
    return text


def _parse_priority(text: str) -> tuple[str, Priority]:
    files, equals, word = text.rpartition("=")
    if not equals or word not in _WORDS:
        raise ValueError(f"{text[:80]!r} is not FILES=high, FILES=normal or FILES=low")
    return _parse_files(files), _WORDS[word]


def _parse_rename(text: str) -> tuple[str, str]:
    old, _, new = text.partition("=")
    if not old.strip("/") or not new.strip("/"):
        raise ValueError(f"{text[:80]!r} is not OLD=NEW")
    return old, new


_RENAME = Unit("OLD=NEW", _parse_rename)
_FILES = Unit("FILES", _parse_files)
_PRIORITY = Unit("FILES=HOW", _parse_priority)


@dataclass(frozen=True)
class Choosing:
    """FILES are a glob, or numbers as `info` shows them."""

    only: tuple[str, ...] = field(
        default=(),
        metadata=about(
            _FILES,
            "fetch these files only: a glob, or numbers that info shows, as 0,2,4-8; may be repeated",
            repeat=True,
            shown="all, or what a magnet link chooses",
        ),
    )
    skip: tuple[str, ...] = field(
        default=(),
        metadata=about(_FILES, "do not fetch these files; may be repeated", repeat=True),
    )
    priority: tuple[tuple[str, Priority], ...] = field(
        default=(),
        metadata=about(
            _PRIORITY,
            "fetch high ones before normal ones before low ones; may be repeated, the last one counts",
            repeat=True,
        ),
    )
    sequential: bool = field(
        default=False,
        metadata=about(FLAG, "fetch from the first byte to the last, to play it meanwhile"),
    )
    rename: tuple[tuple[str, str], ...] = field(
        default=(),
        metadata=about(
            _RENAME,
            "give a file or folder of the torrent another name, for good; may be repeated",
            repeat=True,
        ),
    )


def selection_of(choosing: Choosing) -> Selection | None:
    """None when the person chooses nothing."""
    chosen = Selection(
        choosing.only, choosing.skip, choosing.priority, sequential=choosing.sequential
    )
    return None if chosen == Selection() else chosen
