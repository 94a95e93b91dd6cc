"""A host that gives the bytes of our files in a row, joined to the torrent's piece map beside the peers.

Such hosts come from other networks, or are web seeds: they know no pieces, only "from this byte on". So a
source takes a stretch of pieces that nobody fetches, has the host begin there, and lands block after block as
they come, piece after piece, until it comes to what somebody else has or fetches. To the picker it is a name
like any peer: what it sends is hashed, and who sent a bad block is found out and banned like any peer.

The one hard thing: a row of bytes cannot be asked for piece by piece. When memory or the rate limit are used
up, the source closes its `gate`, the host is read no further, and what has come already is held.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterator, Sequence
from itertools import islice, pairwise
from typing import Any, Protocol

from typing_extensions import override

from p2pswarm.errors import BusyError, PartialError, RefusedError, RemoteError
from p2pswarm.formats.bitfield import Bitfield
from p2pswarm.formats.ids import BLOCK, Address, PieceIndex
from p2pswarm.net.rate import Limiter, Meter
from p2pswarm.swarm.blocks import Blocks
from p2pswarm.swarm.picker import OpenPiece, PiecePicker
from p2pswarm.swarm.trees import Trees

__all__ = ["RangeHost", "RangeSource", "SourceHome"]

log = logging.getLogger(__name__)

AHEAD = 4 << 20  # bytes in a row where somebody wants them in order and several sources give them
SKIP = 1 << 20  # bytes read for nothing rather than asking anew a little farther on
PAUSE = 15.0  # seconds after a failure, and twice as many after each one more
USELESS_PAUSE = 5.0  # seconds after a stretch that others took meanwhile
BUSY_PAUSE = 20.0  # seconds until a host without a place is asked again,
PARTIAL_PAUSE = 60.0  # and one that has nothing for us yet
# Failures in a row. A refusal counts for all but the last: the host may have been away for a moment only.
GIVE_UP = 5
MOST_ROWS = 1000  # that are looked at before one is taken up


class RangeHost(Protocol):
    """Somebody who has the files."""

    address: Address

    async def fetch(
        self, offset: int, sink: Callable[[bytes], bool], gate: asyncio.Event
    ) -> object:
        """Bytes from `offset` on into the sink, while the gate is open, until it returns False.

        Raises BusyError, PartialError, RefusedError, RemoteError.
        """


class SourceHome(Protocol):
    """What a source needs of its torrent."""

    picker: PiecePicker
    blocks: Blocks
    piece_length: int
    down: Limiter
    trees: Trees | None
    asking: bool

    def clock(self) -> float: ...
    def spawn(self, work: Coroutine[Any, Any, None]) -> None: ...
    def piece_reached(self, piece: OpenPiece) -> None: ...
    def piece_spoiled(self, piece: PieceIndex) -> None: ...
    def wasted(self, n: int) -> None: ...
    def cancel_others(self, block: int, winner: object) -> None: ...
    def ranges_at(self) -> set[PieceIndex]: ...
    def begin_anew(self, piece: PieceIndex) -> None: ...
    def soon(self, call: Callable[[], None]) -> None: ...


class RangeSource:
    """Idle, or on a stretch: then `at` is the piece whose bytes come now. `tick` takes up the next one.

    Invariant: `_expected` are the blocks of that piece which the picker promised to us and that are to come.
    """

    _at_once = False  # it is asked for the next stretch when one is over; else a second later

    def __init__(self, host: RangeHost, home: SourceHome) -> None:
        self.address = host.address
        self.down = Meter(10.0)
        self.at: PieceIndex | None = None
        self.over = False  # it is asked for nothing more, ever
        self.trouble = ""  # why it failed last
        self.proved = False  # a piece with bytes of it turned out right
        self._host = host
        self._home = home
        self._gate = asyncio.Event()
        self._going = False  # more bytes are welcome
        self._held = b""  # came, and not landed yet
        self._n = 0  # the block of the piece with which that begins
        self._arrived = False  # at this piece: what it has for us is promised
        self._expected: set[int] = set()
        self._blocked = False  # memory or rate is used up
        self._debt = 0  # bytes that the rate limit has not granted yet
        self._useful = False  # something of this stretch landed
        self._failures = 0
        self._has: Sequence[tuple[int, int]] | None = None  # the parts that it told; None: all
        self._until = 0  # the piece at which this stretch ends at the latest
        self._by_parts = False  # this stretch lies in one of those
        self._due = 0.0  # when the host may be asked again

    @property
    def active(self) -> bool:
        return self.at is not None

    def tick(self, now: float) -> None:
        """Once a second."""
        self.down.tick(now)
        if self.active:
            self.go_on()
        else:
            self._begin(now)

    def _begin(self, now: float) -> None:
        if not self.over and self._home.asking and self._may_begin(now):
            self._take_up()

    @property
    def due(self) -> float:
        """When the host may be asked again."""
        return self._due

    def _may_begin(self, now: float) -> bool:
        return now >= self.due

    def _offered(self) -> Sequence[tuple[int, int]] | None:
        """The parts that it has; None: all. What it told is old after one try."""
        has, self._has = self._has, None
        return has

    def _take_up(self) -> None:
        """Nothing is promised before the first byte comes, which may take a minute or fail."""
        has = self._offered()
        self._by_parts = has is not None
        takable = self._home.picker.takable()
        if has is not None:
            takable &= _pieces_of(has, len(takable), self._home.piece_length)
        piece = self._place(takable)
        if piece is None and has is not None:
            self._due = self._home.clock() + PARTIAL_PAUSE
        elif piece is not None:
            self.at, self._n, self._arrived = piece, 0, False
            self._home.picker.seeds += 1
            self._home.spawn(self._run(piece * self._home.piece_length))

    def _place(self, takable: Bitfield) -> PieceIndex | None:
        """Where to begin. In order all sources stay together at the front: whoever is not at its very
        beginning has a short stretch, and may help there when that is over."""
        picker, busy = self._home.picker, self._home.ranges_at()
        takable, self._until = picker.foremost(takable), len(takable)
        if not picker.sequential:
            return _stretch(takable, busy)
        front = takable.find(1)
        row = max(1, AHEAD // self._home.piece_length)
        takable[front + row * (1 + len(busy)) :] = False
        piece = _first_free(takable, busy)
        if piece is not None and piece > front:
            self._until = min(piece + row, self._until)
        return piece

    async def _run(self, offset: int) -> None:
        """One stretch, from the first byte to whatever ends it."""
        self._going = True
        self._gate.set()
        before, home = self.down.total, self._home
        self._useful = False
        pause = 0.0
        try:
            await self._host.fetch(offset, self._took, self._gate)
            await self._rest()
            pause = 0.0 if self._useful else USELESS_PAUSE
        except PartialError as error:
            log.debug("%s: %s", self, error)
            self._has = error.ranges
            pause = BUSY_PAUSE if self._by_parts and not self._useful else 0.0
        except BusyError as error:
            log.debug("%s: %s", self, error)
            pause = BUSY_PAUSE
        except RemoteError as error:
            # Once: who waits for the file wants to know why nothing comes.
            log.log(logging.INFO if self._failures else logging.WARNING, "%s", error)
            self._failures = 0 if self.down.total > before else self._failures
            pause = PAUSE * 2**self._failures
            refused = isinstance(error, RefusedError)
            self._failures = max(self._failures + 1, GIVE_UP - 1 if refused else 0)
            self.trouble = str(error)
        else:
            self._failures = 0
        finally:
            self._due = home.clock() + pause
            self.over |= self._failures >= GIVE_UP
            self._let_go()

    async def _rest(self) -> None:
        """The host has given all; what is held waits for memory."""
        while self._going and not self._gate.is_set():
            await self._gate.wait()

    def go_on(self) -> None:
        """Memory or rate became free."""
        if self.active and not self._gate.is_set():
            self._blocked = False
            self._pay()
            self._land()
            if not self._blocked:  # a gate that only blinks lets bytes through
                self._gate.set()

    def _block(self) -> None:
        self._blocked = True
        self._gate.clear()

    def close(self, reason: Exception | None = None) -> None:
        """Nothing more is taken from it."""
        log.debug("%s: %s", self, reason)
        self.over, self._going = True, False
        self.trouble = f"{self.address.host}: {reason}"
        self._gate.set()

    # Bytes

    def _took(self, data: bytes) -> bool:
        self.down.total += len(data)
        self._debt += len(data)
        return self._take(data)

    def _take(self, data: bytes) -> bool:
        self._held += data
        self._pay()
        self._land()
        return self._going

    def _pay(self) -> None:
        """A limit grants what has come already; until then no more comes."""
        while self._debt:
            granted = self._home.down.take(self._debt, 1, self.go_on)
            if not granted:
                self._block()
                return
            self._debt -= granted

    def _land(self) -> None:
        """What came goes to its place, as far as there is memory."""
        picker, view, used = self._home.picker, memoryview(self._held), 0
        geometry = picker.geometry
        while self._going and self.at is not None and self._arrive(self.at):
            block = self.at * picker.per_piece + self._n
            in_row = min(BLOCK, geometry.piece_size(self.at) - self._n * BLOCK)
            if used + in_row > len(view):
                break
            asked = geometry.request(block)[2]  # less where the row goes on with a pad
            self._land_block(block, view[used : used + asked])
            used += in_row
            self._n += 1
            if self._n == geometry.blocks_in(self.at):
                self._next_piece(self.at)
        self._held = bytes(view[used:])

    def _land_block(self, block: int, data: memoryview) -> None:
        home, picker = self._home, self._home.picker
        piece, begin, _ = picker.geometry.request(block)
        if block not in self._expected or not picker.wants(block, self):
            self._expected.discard(block)
            home.wasted(len(data) if begin < picker.geometry.data_size(piece) else 0)
            return
        self._expected.discard(block)
        home.blocks.put(piece, begin, [data])
        spoiled = home.trees is not None and home.trees.hash(piece, begin, [data])
        contested = picker.is_doubled(block)
        reached = picker.landed(block, self)
        self._useful = True
        if contested:
            home.cancel_others(block, self)
        if spoiled:
            home.piece_spoiled(piece)
        elif reached is not None:
            home.piece_reached(reached)

    def _next_piece(self, piece: PieceIndex) -> None:
        if piece + 1 >= self._until:
            self._going = False
        else:
            self.at, self._n, self._arrived = PieceIndex(piece + 1), 0, False

    def _arrive(self, piece: PieceIndex) -> bool:
        """Whether its bytes may come now: not when there is no use in them, or no memory yet."""
        if self._arrived:
            return True
        picker = self._home.picker
        takable = picker.takable()
        if takable[piece]:
            self._expected = set(picker.pick_in(piece, self, self._home.blocks.open))
            self._arrived = bool(self._expected)
            if not self._arrived:
                self._block()
        elif self._is_worth_reading_on(piece, takable):
            self._arrived = True
        else:
            self._going = False
        return self._arrived

    def _is_worth_reading_on(self, piece: PieceIndex, takable: Bitfield) -> bool:
        """Whether there is more beyond what has to be read for nothing."""
        useful = takable.find(1, piece)
        if useful < 0 or (useful - piece) * self._home.piece_length > SKIP:
            return False
        end = takable.find(0, useful)
        return (end if end >= 0 else len(takable)) - useful >= useful - piece

    def choose_anew(self) -> None:
        """Other pieces come first from here on: its stretch ends with this piece."""
        if self.at is not None:
            self._until = self.at + 1

    def give_up(self, piece: PieceIndex) -> None:
        """The piece begins anew with others."""
        if self.at == piece:
            self._expected.clear()

    def _let_go(self) -> None:
        """What was promised and did not come is others' again."""
        home = self._home
        for block in self._expected:
            home.picker.unask(block, self)
        for piece in home.picker.release(self):
            home.blocks.drop(piece)
        home.down.forget(self.go_on)
        home.picker.seeds -= 1
        self._expected.clear()
        row_over = self.at is not None and self.at + 1 == self._until < home.picker.pieces
        self._held, self._debt, self.at = b"", 0, None
        if self._useful and (row_over or self._at_once):
            home.soon(lambda: self._begin(home.clock()))

    @override
    def __repr__(self) -> str:
        return f"<RangeSource {self.address} at {self.at} expects {len(self._expected)}>"


def _stretch(takable: Bitfield, busy: set[PieceIndex]) -> PieceIndex | None:
    """Where to begin: the longest row of pieces that nobody fetches, or the second half of one into which
    some other source is coming."""
    best, longest = None, (False, 0)
    for start, end in islice(_rows(takable, sorted(busy)), MOST_ROWS):
        first = (start + end) // 2 if busy & {start - 1, start} else start
        if (first not in busy, end - first) > longest:  # a row of one piece has no second half
            best, longest = first, (first not in busy, end - first)
    return None if best is None else PieceIndex(best)


def _first_free(takable: Bitfield, busy: set[PieceIndex]) -> PieceIndex | None:
    """Where the first row begins into which nobody comes; where there is none, as above."""
    rows = islice(_rows(takable, sorted(busy)), MOST_ROWS)
    free = (PieceIndex(start) for start, _ in rows if not busy & {start - 1, start})
    first = next(free, None)
    return _stretch(takable, busy) if first is None else first


def _pieces_of(parts: Sequence[tuple[int, int]], pieces: int, length: int) -> Bitfield:
    """Those that lie in one of the parts; the last may be short, so it counts when it begins there."""
    field = Bitfield(pieces)
    for start, end in parts:
        first, last = -(-start // length), end // length
        last += last == pieces - 1 and end % length > 0
        field[first:last] = 1
    return field


def _rows(takable: Bitfield, busy: Sequence[PieceIndex]) -> Iterator[tuple[int, int]]:
    """Rows of set bits, cut where other sources are."""
    for start, end in takable.runs():
        cuts = [start, *(at for at in busy if start < at < end), end]
        yield from pairwise(cuts)
