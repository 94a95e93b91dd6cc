"""What to ask next: rarest first, in runs of blocks, started pieces before new ones.

The order of choice for one peer: blocks of pieces it already works on; free blocks of other started
pieces; a new piece, at random until four are complete (something to trade comes first), then the rarest
the peer has, random among equals. Pieces of more wanted files come before others, and where somebody wants
them in order they come in order. When every wanted piece is started and every block asked for, the
*endgame*: a peer with nothing left to do may ask for one block that another peer already owes, and whoever
comes second is cancelled.

A block has one number across the torrent (`Geometry`), so that asking, landing and cancelling need no
tuples. Blocks that are nothing but pad count as landed when their piece is started. Sans-IO: `who` is any
key, memory is asked for through `may_open`.
"""

from collections.abc import Callable, Container, Hashable, Iterable, Sequence
from random import Random
from typing import Any

from bitarray.util import any_and, count_n
from typing_extensions import override

from p2pswarm.formats.bitfield import Bitfield
from p2pswarm.formats.geometry import Geometry
from p2pswarm.formats.ids import PieceIndex
from p2pswarm.swarm.rarity import Rarity

__all__ = ["OpenPiece", "PiecePicker"]

RANDOM_FIRST = 4  # pieces; Cohen's number
STAGE = 64  # blocks: a megabyte of a large piece, worth telling about
DRAWS = 8  # among all pieces, before those that may be chosen are counted
_FREE, _ASKED, _LANDED = 0, 1, 2
_FREE_ONES, _ASKED_ONE, _LANDED_ONE = (bytes((state,)) for state in (_FREE, _ASKED, _LANDED))


class OpenPiece:
    """A started piece: each block is free, asked or landed."""

    __slots__ = ("begun", "digests", "free", "index", "left", "only", "senders", "state", "workers")

    def __init__(self, index: PieceIndex, blocks: int, only: Hashable | None) -> None:
        self.index = index
        self.state = bytearray(blocks)
        self.free = blocks  # neither asked nor landed
        self.left = blocks  # not landed
        self.senders: list[Hashable | None] = [None] * blocks
        self.workers: set[Hashable] = set()  # who was asked for a block of it
        self.only = only  # after a bad hash one peer alone fetches the piece
        self.begun: Any = None  # the keeper's, which hashes; this room cannot
        self.digests: bytearray | None = None  # leaves of version 2, of what has landed

    def spare(self, runs: Iterable[tuple[int, int]]) -> None:
        """These blocks are pads: nobody is asked for them."""
        for first, end in runs:
            self.state[first:end] = _LANDED_ONE * (end - first)
        self.free = self.left = self.state.count(_FREE)

    @property
    def gapless(self) -> int:
        """How many blocks have landed before the first that has not."""
        return len(self.state) - len(self.state.lstrip(_LANDED_ONE))

    @property
    def leaves(self) -> list[bytes] | None:
        """`digests`, one by one."""
        if self.digests is None:
            return None
        return [bytes(self.digests[at : at + 32]) for at in range(0, len(self.digests), 32)]

    def landed(self) -> list[int]:
        """The blocks that came from somebody."""
        both = enumerate(zip(self.state, self.senders, strict=True))
        return [n for n, (state, who) in both if state == _LANDED and who is not None]

    @override
    def __repr__(self) -> str:
        return f"<OpenPiece {self.index} free {self.free} left {self.left}>"


class PiecePicker:
    """A piece is in exactly one of: had, open, wanted (not started), skipped; open ones are in `_open`.

    Invariant, tested by `check()`: `_had` counts `have`, `open.free` and `open.left` the states of its
    blocks, `_todo` holds exactly the open pieces with free blocks, and `_rarity` has the wanted pieces. No
    choice walks over pieces or peers: what anybody may help with (`_shared`) is a bitfield, as the rarest
    pieces are, and what a peer works on (`_work`) is found under its name.
    """

    def __init__(self, geometry: Geometry, dice: Random) -> None:
        self.geometry = geometry
        self.pieces = pieces = geometry.pieces
        self.per_piece = geometry.per_piece
        self.have = Bitfield(pieces)
        self._had = 0  # pieces in `have`: counting them is a walk over all
        self.missing = Bitfield.full(pieces)  # of those that are wanted
        self.left = geometry.content_total  # bytes of all that we do not have, pads never counted
        self.total = self.lacks = self.left  # bytes of the wanted pieces, of the missing ones
        self._dice = dice
        self._open: dict[PieceIndex, OpenPiece] = {}
        self._todo: dict[PieceIndex, OpenPiece] = {}
        self._shared = Bitfield(pieces)  # those of `_todo` that are not one peer's alone
        self._work: dict[Hashable, dict[PieceIndex, OpenPiece]] = {}
        self._doubled: set[int] = set()
        self._suspect: set[PieceIndex] = set()
        self._withheld: set[PieceIndex] = set()  # cannot be judged yet
        self.seeds = 0  # peers that have everything; not in the counts
        self._rarity = Rarity(pieces)  # with the wanted pieces
        self._skipped: Bitfield | None = None  # pieces of files that nobody wants
        self._tiers: Sequence[Bitfield] = ()  # where some are wanted more than others: those first
        self.sequential = False

    # What we have

    @property
    def done(self) -> bool:
        """Every wanted piece is here."""
        return not self.missing.any()

    @property
    def whole(self) -> bool:
        """Every piece is here."""
        return self._had == self.pieces

    def start_with(self, have: Bitfield) -> None:
        """What was on the disk already."""
        self.have = have
        self._had = have.count()
        self.left = self._bytes_of(~have)
        self._lay_out()

    def want(self, tiers: Sequence[Bitfield], *, sequential: bool = False) -> list[PieceIndex]:
        """Only these pieces, the first tier before the others; `sequential`: in order, not the rarest first.

        Returns the started pieces that are given up. A full one stays: it is on its way to the disk.
        """
        skipped = Bitfield.full(self.pieces)
        for tier in tiers:
            skipped &= ~tier
        self._skipped = skipped if skipped.any() else None
        self.total = self.geometry.content_total - self._bytes_of(skipped)
        self._tiers = tiers if len(tiers) > 1 else ()
        self.sequential = sequential
        dropped = [index for index, piece in self._open.items() if skipped[index] and piece.left]
        for index in dropped:
            self._forget(index)
        self._lay_out()
        return dropped

    def full(self) -> list[PieceIndex]:
        """The pieces that are on their way to the disk."""
        return [index for index, piece in self._open.items() if not piece.left]

    def _lay_out(self) -> None:
        """What is wanted and what is missing, after all of that has changed."""
        wanted = ~self.have
        if self._skipped is not None:
            wanted &= ~self._skipped
        self.missing = wanted.copy()
        for index in self._open:
            self.missing[index] = 1
            wanted[index] = 0
        for index in self._withheld:
            wanted[index] = 0
        self.lacks = self.left if self._skipped is None else self._bytes_of(self.missing)
        self._rarity.lay_out(wanted)

    def _bytes_of(self, pieces: Bitfield) -> int:
        return sum(map(self.geometry.content_size, pieces.pieces()))

    def _skips(self, piece: PieceIndex) -> bool:
        return self._skipped is not None and bool(self._skipped[piece])

    def had(self, piece: PieceIndex) -> None:
        """Verified and written, or found on the disk before anybody was asked for it."""
        self._forget(piece)
        if self._rarity.wanted[piece]:
            self._rarity.remove(piece)
        self.have[piece] = 1
        self._had += 1
        self._lack(piece, missing=False)
        self.left -= self.geometry.content_size(piece)
        self._suspect.discard(piece)

    def failed(self, piece: PieceIndex, *, suspect: bool) -> None:
        """Not what it should be: wanted again; `suspect`: by one peer alone, so that blame is sure."""
        self._forget(piece)
        if suspect:
            self._suspect.add(piece)
        self._want_again(piece)

    def lost(self, piece: PieceIndex) -> None:
        """We had it, but the disk no longer does."""
        self.have[piece] = 0
        self._had -= 1
        self.left += self.geometry.content_size(piece)
        self._want_again(piece)

    def _want_again(self, piece: PieceIndex) -> None:
        """It is neither had nor open."""
        wanted = not self._skips(piece)
        self._lack(piece, missing=wanted)
        if wanted:
            self._insert(piece)

    def _lack(self, piece: PieceIndex, *, missing: bool) -> None:
        if missing != self.missing[piece]:
            self.missing[piece] = missing
            size = self.geometry.content_size(piece)
            self.lacks += size if missing else -size

    def withhold(self, pieces: Iterable[PieceIndex]) -> None:
        """These cannot be judged yet: nobody is asked for them."""
        for piece in pieces:
            self._withheld.add(piece)
            if self._rarity.wanted[piece]:
                self._rarity.remove(piece)

    def admit(self, pieces: Iterable[PieceIndex]) -> None:
        """From now on they can."""
        for piece in pieces:
            if piece in self._withheld:
                self._withheld.remove(piece)
                if self.missing[piece]:
                    self._insert(piece)

    def opened(self, piece: PieceIndex) -> OpenPiece | None:
        """The piece, if it is started."""
        return self._open.get(piece)

    def spoiled(self, piece: OpenPiece, blocks: Sequence[int]) -> None:
        """Of all that landed these blocks are bad, by their number in the piece: they are free again."""
        for n in blocks:
            piece.state[n] = _FREE
            piece.senders[n] = None
        piece.free += len(blocks)
        piece.left += len(blocks)
        piece.begun = None
        self._offer(piece)

    def _forget(self, piece: PieceIndex) -> None:
        opened = self._open.pop(piece, None)
        if opened is not None:
            self._withdraw(opened)
            for who in opened.workers:
                del self._work[who][piece]
        first = piece * self.per_piece
        if self._doubled:
            self._doubled.difference_update(range(first, first + self.per_piece))

    # What others have

    def is_suspect(self, piece: PieceIndex) -> bool:
        """Whether one peer alone would have to fetch it."""
        return piece in self._suspect

    def wants_from(self, have: Bitfield) -> bool:
        """Whether somebody who has these could give us anything."""
        return any_and(have, self.missing)

    def seen(self, piece: PieceIndex) -> None:
        """One more peer has it."""
        self._rarity.recount(piece, 1)

    def unseen(self, piece: PieceIndex) -> None:
        """One peer fewer has it."""
        self._rarity.recount(piece, -1)

    def seen_all(self, have: Bitfield) -> None:
        """One more peer has these."""
        self._rarity.recount_all(have, 1)

    def gone(self, have: Bitfield) -> None:
        """A peer that had these is gone."""
        self._rarity.recount_all(have, -1)

    def availability(self) -> float:
        """Distributed copies, ours included: whole copies, and the share of pieces that have one more."""
        if not self.pieces:
            return 1.0
        counts = [n + had for n, had in zip(self._rarity.counts, self.have, strict=True)]
        least = min(counts)
        return self.seeds + least + sum(n > least for n in counts) / self.pieces

    # Asking

    def pick(
        self,
        who: Hashable,
        have: Bitfield,
        count: int,
        may_open: Callable[[PieceIndex], bool],
    ) -> list[int]:
        """Up to `count` blocks to ask `who` for; they count as asked from now on."""
        blocks: list[int] = []
        if self._todo:
            self._from_started(who, have, count, blocks)
        while len(blocks) < count:
            piece = self._next_piece(have)
            if piece is None or not may_open(piece):
                break
            self._take(self._start(piece, who), who, count - len(blocks), blocks)
        return blocks

    def pick_busy(self, have: Bitfield, passed: Container[int]) -> int | None:
        """Endgame: one block that somebody else owes, at most one extra copy of each.

        `passed` are not asked of this peer again. None when the endgame has not come or nothing is left.
        """
        started = len(self._open) == self.missing.count()
        if not started or any(piece.only is None for piece in self._todo.values()):
            return None
        for piece in self._open.values():
            if have[piece.index] and piece.only is None and piece.left:
                block = self._busy_block(piece, passed)
                if block is not None:
                    self._doubled.add(block)
                    return block
        return None

    def takable(self) -> Bitfield:
        """Pieces with blocks that nobody was asked for; suspect ones only before they are started."""
        return self._rarity.wanted | self._shared

    def foremost(self, pieces: Bitfield) -> Bitfield:
        """Those of these that come first: of the first tier that has any."""
        return next((some for tier in self._tiers if (some := pieces & tier).any()), pieces)

    def in_turn(self, pieces: Bitfield) -> Bitfield:
        """Those of these whose turn it is: all, unless somebody wants them in order."""
        if not self.sequential:
            return pieces
        turn = Bitfield(self.pieces)
        turn[list(self._todo)] = True
        following = self.foremost(self._rarity.wanted).find(1)
        if following >= 0:
            turn[following] = 1
        return pieces & turn

    def pick_in(
        self, piece: PieceIndex, who: Hashable, may_open: Callable[[PieceIndex], bool]
    ) -> list[int]:
        """All free blocks of this very piece, for somebody who sends bytes in a row."""
        started = self._open.get(piece)
        if started is None and self._rarity.wanted[piece] and may_open(piece):
            started = self._start(piece, who)
        blocks: list[int] = []
        if started is not None and started.free and started.only in (None, who):
            self._take(started, who, started.free, blocks)
        return blocks

    def _busy_block(self, piece: OpenPiece, passed: Container[int]) -> int | None:
        n = piece.state.find(_ASKED)
        while n >= 0:
            block = piece.index * self.per_piece + n
            if block not in self._doubled and block not in passed:
                return block
            n = piece.state.find(_ASKED, n + 1)
        return None

    def _from_started(self, who: Hashable, have: Bitfield, count: int, blocks: list[int]) -> None:
        """Its own started pieces first, then those of others; a suspect piece is only one peer's."""
        for piece in list(self._work.get(who, {}).values()):
            if piece.free and have[piece.index]:
                self._take(piece, who, count - len(blocks), blocks)
                if len(blocks) >= count:
                    return
        if any_and(have, self._shared):
            for index in (have & self._shared).pieces():
                self._take(self._open[index], who, count - len(blocks), blocks)
                if len(blocks) >= count:
                    return

    def _take(self, piece: OpenPiece, who: Hashable, count: int, blocks: list[int]) -> None:
        """Free blocks of this piece, in order. `senders` holds who was asked until the block lands."""
        state, first = piece.state, piece.index * self.per_piece
        n = state.find(_FREE)
        while n >= 0 and count > 0:
            ahead = state[n : n + count]
            run = len(ahead) - len(ahead.lstrip(_FREE_ONES))
            state[n : n + run] = _ASKED_ONE * run
            piece.senders[n : n + run] = [who] * run
            blocks += range(first + n, first + n + run)
            piece.free -= run
            count -= run
            n = state.find(_FREE, n + run)
        if who not in piece.workers:
            piece.workers.add(who)
            self._work.setdefault(who, {})[piece.index] = piece
        if not piece.free:
            self._withdraw(piece)

    def _start(self, piece: PieceIndex, who: Hashable) -> OpenPiece:
        self._rarity.remove(piece)
        only = who if piece in self._suspect else None
        opened = OpenPiece(piece, self.geometry.blocks_in(piece), only)
        if self.geometry.padded:
            opened.spare(self.geometry.pad_blocks(piece))
        self._open[piece] = opened
        self._offer(opened)
        return opened

    def _offer(self, piece: OpenPiece) -> None:
        """It has free blocks."""
        self._todo[piece.index] = piece
        if piece.only is None:
            self._shared[piece.index] = 1

    def _withdraw(self, piece: OpenPiece) -> None:
        """It has none any more."""
        self._todo.pop(piece.index, None)
        self._shared[piece.index] = 0

    # Answers

    def landed(self, block: int, who: Hashable) -> OpenPiece | None:
        """A block's bytes are in place. Returns the piece when that was its last block, and on the way there
        whenever another `STAGE` is reached."""
        piece = self._open.get(PieceIndex(block // self.per_piece))
        n = block % self.per_piece
        if piece is None or piece.state[n] == _LANDED:
            return None
        if piece.state[n] == _FREE:
            piece.free -= 1
            if not piece.free:
                self._withdraw(piece)
        piece.state[n] = _LANDED
        piece.senders[n] = who
        piece.left -= 1
        return None if piece.left % STAGE else piece

    def awaits(self, first: int, n: int, who: Hashable) -> bool:
        """Whether `who` and nobody else owes these `n` neighbours of one piece."""
        piece = self._open.get(PieceIndex(first // self.per_piece))
        if piece is None or self._doubled:
            return False
        at = first % self.per_piece
        asked = piece.state[at : at + n] == _ASKED_ONE * n
        return asked and piece.senders[at : at + n] == [who] * n

    def landed_row(self, first: int, n: int) -> OpenPiece | None:
        """The same as `landed`, for neighbours that are awaited."""
        piece = self._open[PieceIndex(first // self.per_piece)]
        at, before = first % self.per_piece, piece.left
        piece.state[at : at + n] = _LANDED_ONE * n
        piece.left -= n
        return piece if (piece.left - 1) // STAGE < (before - 1) // STAGE else None

    def wants(self, block: int, who: Hashable) -> bool:
        """Whether a block that arrives from `who` now still has a place."""
        piece = self._open.get(PieceIndex(block // self.per_piece))
        if piece is None or piece.state[block % self.per_piece] == _LANDED:
            return False
        return piece.only is None or piece.only == who

    def is_doubled(self, block: int) -> bool:
        """Whether two peers were asked for it, so that the other one should be cancelled."""
        return block in self._doubled

    def unask(self, block: int, who: Hashable) -> None:
        """`who` will not send it (rejected, choked, gone, too slow): free again, or the other one's."""
        piece = self._open.get(PieceIndex(block // self.per_piece))
        n = block % self.per_piece
        if piece is None or piece.state[n] != _ASKED:
            return
        if block in self._doubled:
            # Two owe it, and now one: `senders` does not tell which, so from here on it names nobody.
            self._doubled.discard(block)
            piece.senders[n] = None
            return
        if piece.senders[n] not in (who, None):
            return  # the piece was given up and started again since: now somebody else owes the block
        piece.state[n] = _FREE
        piece.senders[n] = None
        piece.free += 1
        self._offer(piece)

    def release(self, who: Hashable) -> list[PieceIndex]:
        """`who` sends nothing for now. Returns the suspect pieces that it alone was fetching: they are
        closed, what landed of them is worthless, and they are wanted again from somebody else."""
        work = self._work.pop(who, {})
        for piece in work.values():
            piece.workers.discard(who)
        closed = [piece.index for piece in work.values() if piece.only == who and piece.left]
        for index in closed:
            self.failed(index, suspect=True)
        return closed

    def unfinished(self, givers: Container[Hashable]) -> list[PieceIndex]:
        """Started pieces of which one of these gave a part, or owes one."""
        started = (piece for piece in self._open.values() if piece.left)
        return [each.index for each in started if any(who in givers for who in each.senders)]

    def stranded(self, coming: Bitfield) -> PieceIndex | None:
        """Of the started pieces that nobody who sends now has (`coming` are theirs), the one with least
        landed: for whoever needs its memory."""
        alone = [piece for piece in self._open.values() if piece.left and not coming[piece.index]]
        return max(alone, key=lambda piece: piece.left).index if alone else None

    # New pieces

    def _next_piece(self, have: Bitfield) -> PieceIndex | None:
        if not any_and(have, self._rarity.wanted):
            return None
        if self._tiers:
            first = (have & tier for tier in self._tiers)
            have = next(some for some in first if any_and(some, self._rarity.wanted))
        if self.sequential:
            return PieceIndex((have & self._rarity.wanted).find(1))
        if self._had < RANDOM_FIRST:
            return self._one_of(have, self._rarity.wanted)
        return self._one_of(have, self._rarity.rarest(have))

    def _one_of(self, have: Bitfield, wanted: Bitfield) -> PieceIndex:
        """Any piece that is in both, with equal chances. Where such pieces are many a few draws hit one, and
        nothing has to be counted; counting takes as long as the torrent is large."""
        draw, pieces = self._dice.random, self.pieces
        for _ in range(DRAWS):
            piece = int(draw() * pieces)
            if have[piece] and wanted[piece]:
                return PieceIndex(piece)
        both = have & wanted
        nth = 1 + self._dice.randrange(both.count())
        return PieceIndex(count_n(both, nth) - 1)

    def _insert(self, piece: PieceIndex) -> None:
        """Wanted and not started."""
        if piece not in self._withheld:
            self._rarity.insert(piece)

    # Invariant

    def check(self) -> None:
        """Assert the invariant; tests call it after every step."""
        for index, started in self._open.items():
            assert started.free == started.state.count(_FREE)
            assert started.left == len(started.state) - started.state.count(_LANDED)
            assert (index in self._todo) == (started.free > 0)
            assert self._shared[index] == (started.free > 0 and started.only is None)
            assert all(self._work[who][index] is started for who in started.workers)
            assert self.missing[index]
            assert not self.have[index]
        skipped = self._skipped or Bitfield(self.pieces)
        opened = Bitfield([index in self._open for index in range(self.pieces)])
        assert self.missing == ~self.have & (~skipped | opened)
        assert self._had == self.have.count()
        assert self.left == self._bytes_of(~self.have)
        assert self.lacks == self._bytes_of(self.missing)
        assert {*self._shared.pieces()} <= {*self._open}
        worked_on = [(who, index) for who, work in self._work.items() for index in work]
        assert all(who in self._open[index].workers for who, index in worked_on)
        withheld = sum(self.missing[piece] for piece in self._withheld)
        assert self._rarity.wanted.count() == self.missing.count() - len(self._open) - withheld
        assert not any_and(self._rarity.wanted, self.have)
        for block in self._doubled:
            started = self._open[PieceIndex(block // self.per_piece)]
            assert started.state[block % self.per_piece] != _FREE
        self._rarity.check()
