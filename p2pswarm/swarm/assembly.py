"""The info dictionary of a magnet, put together from pieces of 16 KiB that peers give (BEP 9).

Whoever has it says how large it is, and nothing it says can be checked before all of it is here. So pieces of
one size are gathered from all who name that size, and when the whole has a wrong hash everybody who gave some
of it is asked alone from then on: a single giver of something wrong is a proven liar. Sans-IO.

The one hard thing is patience. A peer that refuses or does not answer rests for a minute; one that trickles
loses its place to whoever waits, and each time drafts have twice the time. Memory is that of three drafts,
however many peers say however many sizes.
"""

from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field

from p2pswarm.errors import RemoteProtocolError
from p2pswarm.formats.names import Names
from p2pswarm.wire.extension.metadata import METADATA_PIECE, MetadataPiece

__all__ = ["Assembly"]

MOST_OUTSTANDING = 2  # requests to one peer, libtorrent's number
MOST_DRAFTS = 3  # of up to 10 MiB each
REJECTED_REST = 60.0  # seconds, as libtorrent
ANSWER_TIME = 20.0  # seconds until a request is given up
AGAIN_AFTER = 3.0  # seconds until somebody else is asked for the same piece too
DRAFT_TIME = 30.0  # seconds that a draft may keep others waiting, at first
_NOBODY: frozenset[Hashable] = frozenset()


@dataclass(slots=True)
class _Giver:
    """One peer that has the info, as it says."""

    size: int
    asked: dict[int, float] = field(default_factory=dict)  # piece -> when
    owed: int = 0  # answers that may still come
    rests_until: float = float("-inf")
    tries: int = 0  # drafts that it had a part in and that came to nothing


class _Draft:
    """Pieces of one size; from everybody who names it, or from `only`."""

    def __init__(self, size: int, only: Hashable | None, until: float) -> None:
        self.size, self.only, self.until = size, only, until
        self.pieces: dict[int, bytes] = {}
        self.givers: set[Hashable] = set()
        self.count = -(-size // METADATA_PIECE)

    def length(self, piece: int) -> int:
        """Raises RemoteProtocolError when there is no such piece."""
        if piece >= self.count:
            raise RemoteProtocolError(f"metadata piece {piece} of {self.count}")
        return min(METADATA_PIECE, self.size - piece * METADATA_PIECE)

    def missing(self) -> Iterator[int]:
        return (piece for piece in range(self.count) if piece not in self.pieces)

    def whole(self) -> bytes | None:
        if len(self.pieces) < self.count:
            return None
        return b"".join(self.pieces[piece] for piece in range(self.count))


class Assembly:
    """Peers are whatever is hashable. `info` is None until it is here, verified."""

    def __init__(self, names: Names) -> None:
        self.info: bytes | None = None
        self._names = names
        self._givers: dict[Hashable, _Giver] = {}
        self._drafts: list[_Draft] = []
        self._alone = False  # somebody lied: each draft is one peer's
        self._evictions = 0

    @property
    def progress(self) -> tuple[int, int]:
        """Bytes of the draft that is furthest, here and in all; (0, 0) before there is one."""
        most = max(self._drafts, key=lambda draft: len(draft.pieces), default=None)
        if most is None:
            return 0, 0
        return sum(map(len, most.pieces.values())), most.size

    def gives(self, peer: Hashable, size: int) -> None:
        """The peer says that it has the info, and how large it is; it may say so again."""
        giver = self._givers.get(peer)
        if giver is None or giver.size != size:
            self._givers[peer] = _Giver(size, owed=giver.owed if giver else 0)

    def is_giver(self, peer: Hashable) -> bool:
        return peer in self._givers

    def gone(self, peer: Hashable) -> None:
        """Its connection ended; what it gave stays, unless a draft was its alone."""
        self._givers.pop(peer, None)
        self._drafts = [draft for draft in self._drafts if draft.only != peer]

    # Asking

    def ask(self, peer: Hashable, now: float) -> Sequence[int]:
        """The pieces to ask this peer for now; they count as asked."""
        giver = self._givers.get(peer)
        if giver is None or self.info is not None or not self._is_willing(giver, now):
            return ()
        room = MOST_OUTSTANDING - len(giver.asked)
        draft = self._place(peer, giver, now) if room > 0 else None
        if draft is None:
            return ()
        pieces = self._wanted(draft, giver, now)[:room]
        giver.asked.update(dict.fromkeys(pieces, now))
        giver.owed += len(pieces)
        return pieces

    def _is_willing(self, giver: _Giver, now: float) -> bool:
        """One that let us wait rests like one that refused."""
        if any(now - when > ANSWER_TIME for when in giver.asked.values()):
            giver.asked.clear()
            giver.rests_until = now + REJECTED_REST
        return giver.rests_until <= now

    def _wanted(self, draft: _Draft, giver: _Giver, now: float) -> list[int]:
        """What nobody was asked for first; then what others let us wait for."""
        asked: Counter[int] = Counter()
        last: dict[int, float] = {}
        for name, other in self._givers.items():
            if self._draft(name, other) is draft:
                asked.update(other.asked.keys())
                last.update({p: max(when, last.get(p, when)) for p, when in other.asked.items()})
        free = [
            piece
            for piece in draft.missing()
            if piece not in giver.asked and now - last.get(piece, float("-inf")) >= AGAIN_AFTER
        ]
        return sorted(free, key=lambda piece: asked[piece])

    # Drafts

    def _draft(self, peer: Hashable, giver: _Giver) -> _Draft | None:
        """The one that it works on."""
        for draft in self._drafts:
            if draft.only == peer or (draft.only is None and draft.size == giver.size):
                return draft
        return None

    def _place(self, peer: Hashable, giver: _Giver, now: float) -> _Draft | None:
        """The one that it works on from now on; None while others have all places."""
        draft = self._draft(peer, giver)
        if draft is None and peer in self._next(now) and self._has_room(now):
            only = peer if self._alone else None
            draft = _Draft(giver.size, only, now + DRAFT_TIME * 2 ** min(self._evictions, 10))
            self._drafts.append(draft)
        return draft

    def _next(self, now: float) -> Sequence[Hashable]:
        """Who gets the free places: who failed least, and among these whose size most others name."""
        waiting = {
            peer: giver
            for peer, giver in self._givers.items()
            if giver.rests_until <= now and self._draft(peer, giver) is None
        }
        votes = Counter(giver.size for giver in waiting.values())
        first = sorted(waiting, key=lambda it: (waiting[it].tries, -votes[waiting[it].size]))
        return first[: max(1, MOST_DRAFTS - len(self._drafts))]

    def _has_room(self, now: float) -> bool:
        if len(self._drafts) < MOST_DRAFTS:
            return True
        for draft in self._drafts:
            if now >= draft.until or not self._is_worked_on(draft, now):
                self._evictions += 1
                self._forget(draft)
                return True
        return False

    def _is_worked_on(self, draft: _Draft, now: float) -> bool:
        return any(
            giver.rests_until <= now and self._draft(peer, giver) is draft
            for peer, giver in self._givers.items()
        )

    def _forget(self, draft: _Draft) -> None:
        self._drafts.remove(draft)
        for peer, giver in self._givers.items():
            if peer in draft.givers or peer == draft.only:
                giver.tries += 1
            if self._draft(peer, giver) is None:
                giver.asked.clear()

    # Answers

    def got(self, peer: Hashable, message: MetadataPiece) -> frozenset[Hashable]:
        """Whoever is proven to have lied by this piece.

        Raises RemoteProtocolError, and FormatError when the names that we look for are no torrent's.
        """
        giver = self._givers.get(peer)
        if giver is None or not giver.owed:
            raise RemoteProtocolError("metadata that nobody asked for")
        giver.owed -= 1
        giver.asked.pop(message.piece, None)
        if message.total not in (0, giver.size):
            raise RemoteProtocolError(f"metadata of {giver.size} and of {message.total} bytes")
        draft = self._draft(peer, giver)
        if draft is None or message.piece in draft.pieces or self.info is not None:
            return _NOBODY  # too late
        if len(message.data) != draft.length(message.piece):
            raise RemoteProtocolError(f"{len(message.data)} bytes of a metadata piece")
        draft.pieces[message.piece] = message.data
        draft.givers.add(peer)
        return self._look_at(draft)

    def rejected(self, peer: Hashable, piece: int, now: float) -> None:
        giver = self._givers.get(peer)
        if giver is not None and giver.owed:
            giver.owed -= 1
            giver.asked.pop(piece, None)
            giver.rests_until = now + REJECTED_REST

    def _look_at(self, draft: _Draft) -> frozenset[Hashable]:
        whole = draft.whole()
        if whole is None:
            return _NOBODY
        if self._names.fit(whole):
            self.info = whole
            self._drafts.clear()
            return _NOBODY
        self._forget(draft)
        if len(draft.givers) == 1:
            return frozenset(draft.givers)
        self._alone = True
        self._drafts.clear()
        for giver in self._givers.values():
            giver.asked.clear()
        return _NOBODY
