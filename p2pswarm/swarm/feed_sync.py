"""Followers of a feed bring each other up to date: who has more, who is asked, what is given on. Sans-IO.

Everybody says which entry is the last one it knows of, by showing it, and says so again when there is a
newer one. Who has less asks, one peer at a time, for what comes after its own. A proof that the publisher
told two stories goes to everybody at once, and is the last that is said.

The one hard thing: an entry may be withheld. The last one is shown, so it is known that those before it
exist; whoever showed it and does not give them is not asked for a while, and others are.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from p2pswarm.errors import FormatError, RemoteProtocolError
from p2pswarm.formats.feed import Entry
from p2pswarm.formats.feed_log import Log, Verdict, read_proof
from p2pswarm.wire.extension.feed import (
    MOST_ENTRIES,
    FeedAsk,
    FeedEntries,
    FeedHead,
    FeedMessage,
    FeedProof,
)

__all__ = ["ANSWER_TIME", "FeedSync", "Said"]

ANSWER_TIME = 10.0  # seconds
NOT_AGAIN = 60.0  # seconds that one is not asked who did not give what it showed
# Of a peer's questions: the largest feed at once (313), then one now and then.
MOST_ASKED, ASKED_RATE = 400.0, 1.0

Said = Iterator[tuple[object, FeedMessage]]
"""To whom, and what."""


@dataclass(slots=True)
class _Follower:
    """What one peer showed, and was asked."""

    head: int = 0
    asked_at: float | None = None
    no_use_until: float = 0.0
    questions: float = 0.0  # of its, less what time forgave
    counted_at: float = 0.0


class FeedSync:
    """One feed's. At most one peer is asked at a time. What it returns has to be sent."""

    def __init__(self, log: Log) -> None:
        self.log = log
        self.missing_since: float | None = None
        """When an entry was shown first that does not join what we have."""
        self._peers: dict[object, _Follower] = {}

    @property
    def knows(self) -> int:
        """How many peers showed an entry."""
        return sum(each.head > 0 for each in self._peers.values())

    def joined(self, peer: object) -> Said:
        self._peers[peer] = _Follower()
        yield from self._news(peer)

    def _news(self, peer: object) -> Said:
        if self.log.proof is not None:
            yield peer, FeedProof(self.log.proof.entries)
        elif self.log.newest is not None:
            yield peer, FeedHead(self.log.newest.raw)

    def gone(self, peer: object) -> None:
        self._peers.pop(peer, None)

    def got(self, peer: object, message: FeedMessage, now: float) -> Said:
        """Raises RemoteProtocolError for a peer that gives what the publisher did not sign."""
        before = self._state()
        try:
            yield from self._heard(self._peers[peer], peer, message, now)
        except FormatError as error:
            raise RemoteProtocolError(f"p2p_feed: {error}") from error
        yield from self._changed(before, now)

    def _heard(self, who: _Follower, peer: object, message: FeedMessage, now: float) -> Said:
        match message:
            case FeedHead():
                entry = Entry.decode(message.entry)
                self._add(entry)
                who.head = max(who.head, entry.sequence)
            case FeedAsk():
                yield peer, FeedEntries(self._entries(who, message.first, now))
            case FeedEntries():
                self._got_entries(who, message, now)
            case FeedProof():
                self.log.accuse(read_proof(message.entries))

    def _got_entries(self, who: _Follower, message: FeedEntries, now: float) -> None:
        if who.asked_at is None:
            raise RemoteProtocolError("p2p_feed: entries that nobody asked for")
        who.asked_at = None
        had = len(self.log.entries)
        for raw in message.entries:
            self._add(Entry.decode(raw))
        if len(self.log.entries) == had:
            who.no_use_until = now + NOT_AGAIN

    def _add(self, entry: Entry) -> Verdict:
        return self.log.add(entry)

    def _entries(self, who: _Follower, first: int, now: float) -> list[bytes]:
        """None for one that asks more than anybody needs to, nor of a feed that is over."""
        forgiven = (now - who.counted_at) * ASKED_RATE
        who.questions, who.counted_at = max(0.0, who.questions - forgiven) + 1, now
        if who.questions > MOST_ASKED or self.log.proof is not None:
            return []
        return [each.raw for each in self.log.entries[first - 1 : first - 1 + MOST_ENTRIES]]

    def _changed(self, before: object, now: float) -> Said:
        """After something was added to the log: everybody hears of it, and more is asked for."""
        if self._state() != before:
            for peer, who in self._peers.items():
                newest = self.log.newest
                if self.log.proof or (newest and who.head < newest.sequence):
                    yield from self._news(peer)
        yield from self.due(now)

    def _state(self) -> object:
        return self.log.newest, self.log.proof

    def tell(self, now: float) -> Said:
        """One that we signed ourselves is in the log."""
        yield from self._changed((), now)

    def due(self, now: float) -> Said:
        """Whom to ask now. Once a second, too, because somebody may not answer."""
        ahead = self.log.beyond is not None
        self.missing_since = (self.missing_since or now) if ahead else None
        for who in self._peers.values():
            if who.asked_at is not None and now - who.asked_at > ANSWER_TIME:
                who.asked_at, who.no_use_until = None, now + NOT_AGAIN
        if self.log.proof is not None or any(w.asked_at is not None for w in self._peers.values()):
            return
        had = len(self.log.entries)
        for peer, who in self._peers.items():
            if who.head > had and who.no_use_until <= now:
                who.asked_at = now
                yield peer, FeedAsk(had + 1)
                return
