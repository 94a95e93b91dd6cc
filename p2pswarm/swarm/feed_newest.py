"""Which release of a feed is the newest, by its log and by the item of the DHT, and what does not fit.

Both are signed by the same key, and the number of the item is that of the entry. The highest number counts,
and never again a lower one. The item alone, without any log, is how others publish (BEP 46). Sans-IO.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

from p2pswarm.discovery.dht.items import MutableItem, item_of
from p2pswarm.errors import FormatError, RemoteProtocolError, TwoStoriesError
from p2pswarm.formats import bencode
from p2pswarm.formats.feed import Entry, FeedName
from p2pswarm.formats.feed_log import Log
from p2pswarm.formats.ids import InfoHash
from p2pswarm.wire.krpc import Reply

__all__ = ["PATIENCE", "Complaint", "Newest", "Release", "value_of"]

PATIENCE = 60.0  # seconds that an entry may be on its way
_MAX_FILE = 12 << 20
_MAX_TOKENS = 100


@dataclass(frozen=True, slots=True)
class Release:
    """`info_hash` is that of version 1, or what BEP 46 makes of version 2. `entry`: where the log has it."""

    sequence: int
    info_hash: InfoHash
    entry: Entry | None = None


class Complaint(NamedTuple):
    """Something that does not fit, said once: `kind` for programs, `text` for people."""

    kind: str
    text: str


class Newest:
    """What is known of a feed. `release` raises TwoStoriesError as soon as its publisher told two stories."""

    def __init__(self, log: Log, item: MutableItem | None = None) -> None:
        self.log = log
        self.item = item
        self._two_items = False
        self._since: dict[str, float] = {}  # when what does not fit was first seen
        self._told: set[str] = set()

    @property
    def release(self) -> Release | None:
        """Raises TwoStoriesError."""
        story = self._two_stories()
        if story is not None:
            raise TwoStoriesError(story.text)
        entry, item = self.log.newest, self.item
        if item is not None and (entry is None or item.sequence > entry.sequence):
            return Release(item.sequence, _torrent_of(item))
        return Release(entry.sequence, entry.short, entry) if entry is not None else None

    def _two_stories(self) -> Complaint | None:
        if self.log.proof is not None:
            return Complaint("rewritten", f"the publisher told two stories: {self.log.proof}")
        if self.item is None:
            return None
        torrent, number = _torrent_of(self.item), self.item.sequence
        told = next((e for e in self._entries() if e.sequence == number), None)
        if self._two_items or (told is not None and told.short != torrent):
            text = f"the publisher told two stories: release {number} is {torrent} and another"
            return Complaint("contradiction", text)
        return None

    def _entries(self) -> Iterator[Entry]:
        item, log = self.item, self.log
        if item is not None and 0 < item.sequence <= len(log.entries):
            yield log.entries[item.sequence - 1]
        if log.beyond is not None:
            yield log.beyond

    def heard(self, item: MutableItem) -> bool:
        """What the DHT says now; whether it is news. Raises FormatError when it names no torrent."""
        torrent, known = _torrent_of(item), self.item
        if FeedName(item.key, item.salt) != self.log.feed:
            raise FormatError("an item of another feed")
        if known is not None and item.sequence <= known.sequence:
            self._two_items |= item.sequence == known.sequence and torrent != _torrent_of(known)
            return self._two_items
        self.item = item
        return True

    def put(self, entry: Entry, item: MutableItem) -> None:
        """One release of our own. Raises FormatError."""
        self.log.add(entry)
        self.heard(item)

    @property
    def behind(self) -> str:
        """Why the log is not all of it, or nothing."""
        head, item = self.log.head.sequence if self.log.head else 0, self.item
        if self.log.beyond is not None:
            return f"release {self.log.beyond.sequence} is signed, and nobody gives {head + 1}"
        if item is not None and item.sequence > head:
            return f"the DHT knows release {item.sequence}, and nobody gives its entry"
        return ""

    def complaints(self, now: float) -> Iterator[Complaint]:
        """What was not told yet."""
        story = self._two_stories()
        if story is not None:
            yield from self._once(story)
        elif self.behind and self.log.newest is not None:
            if now - self._since.setdefault(self.behind, now) >= PATIENCE:
                yield from self._once(Complaint("withheld", f"an entry is withheld: {self.behind}"))
        elif self.item and self.log.head and self.item.sequence < self.log.head.sequence:
            text = f"the DHT is behind: it says {self.item.sequence} of {self.log.head.sequence}"
            if now - self._since.setdefault(text, now) >= PATIENCE:
                yield from self._once(Complaint("behind", text))

    def _once(self, complaint: Complaint) -> Iterator[Complaint]:
        if complaint.text not in self._told:
            self._told.add(complaint.text)
            yield complaint

    def encode(self) -> bytes:
        """For a file."""
        kept: dict[bytes, Any] = {b"log": self.log.encode()}
        if (item := self.item) is not None:
            kept[b"item"] = {b"seq": item.sequence, b"sig": item.signature, b"v": item.raw}
        return bencode.encode(kept)

    @classmethod
    def decode(cls, feed: FeedName, data: bytes) -> Self:
        """What `encode` wrote. Raises FormatError."""
        kept = bencode.decode(data, max_depth=3, max_size=_MAX_FILE, max_tokens=_MAX_TOKENS)
        log = kept.get(b"log") if isinstance(kept, dict) else None
        if not isinstance(log, bytes):
            raise FormatError("not what is known of a feed")
        newest = cls(Log.decode(feed, log))
        if b"item" in kept:
            newest.heard(_item(feed, kept[b"item"]))
        return newest


def value_of(entry: Entry) -> dict[bytes, bytes]:
    """What the DHT is told of a release (BEP 46)."""
    return {b"ih": bytes(entry.short)}


def _torrent_of(item: MutableItem) -> InfoHash:
    """Raises FormatError."""
    value = item.value
    told = value.get(b"ih") if isinstance(value, dict) else None
    if not isinstance(told, bytes):
        raise FormatError("an item of the DHT that names no torrent (BEP 46)")
    return InfoHash(told)


def _item(feed: FeedName, kept: Any) -> MutableItem:
    """Raises FormatError."""
    if not isinstance(kept, dict):
        raise FormatError("not an item of the DHT")
    sequence, raw, signature = (kept.get(key) for key in (b"seq", b"v", b"sig"))
    kinds = isinstance(sequence, int), isinstance(raw, bytes), isinstance(signature, bytes)
    if not all(kinds):
        raise FormatError("not an item of the DHT")
    try:
        item = item_of(
            Reply(key=feed.key, sequence=sequence, value=raw, signature=signature), feed.salt
        )
    except RemoteProtocolError as error:
        raise FormatError(str(error)) from error
    assert isinstance(item, MutableItem)
    return item
