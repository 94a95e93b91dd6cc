"""A host that gives the bytes of our file in a row, joined to the torrent's piece map beside the peers.

Such hosts come from other networks: they know no pieces, only "from this byte on". So a source takes a
stretch of pieces that nobody fetches, has the host begin there, and lands block after block as they come,
piece after piece, until it comes to what somebody else has or fetches. To the picker it is a name like any
peer: what it sends is hashed, and who sent a bad block is found out and banned like any peer.

The one hard thing: a row of bytes cannot be asked for piece by piece. When memory or the rate limit are used
up, the source closes its `gate`, the host is read no further, and what has come already is held.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from typing_extensions import override

from p2pswarm.errors import BusyError, RemoteError
from p2pswarm.formats.bitfield import Bitfield
from p2pswarm.formats.ids import BLOCK, Address, PieceIndex
from p2pswarm.net.rate import Limiter, Meter
from p2pswarm.swarm.blocks import Blocks
from p2pswarm.swarm.picker import OpenPiece, PiecePicker

__all__ = ["RangeHost", "RangeSource", "SourceHome"]

log = logging.getLogger(__name__)

SKIP = 1 << 20  # bytes read for nothing rather than asking anew a little farther on
PAUSE = 15.0  # seconds after a failure, and twice as many after each one more
BUSY_PAUSE = 20.0  # seconds until a host without a place is asked again
GIVE_UP = 5  # failures in a row
MOST_STRETCHES = 1000  # that are looked at before one is taken


class RangeHost(Protocol):
    """Somebody who has the file."""

    address: Address

    async def fetch(
        self, offset: int, sink: Callable[[bytes], bool], gate: asyncio.Event
    ) -> object:
        """Bytes from `offset` on into the sink, while the gate is open, until it returns False.

        Raises BusyError, RemoteError.
        """


class SourceHome(Protocol):
    """What a source needs of its torrent."""

    picker: PiecePicker
    blocks: Blocks
    piece_length: int
    down: Limiter
    asking: bool

    def clock(self) -> float: ...
    def spawn(self, work: Coroutine[Any, Any, None]) -> None: ...
    def piece_full(self, piece: OpenPiece) -> None: ...
    def wasted(self, n: int) -> None: ...
    def cancel_others(self, block: int, winner: object) -> None: ...
    def ranges_at(self) -> set[PieceIndex]: ...


class RangeSource:
    """Idle, or on a stretch: then `at` is the piece whose bytes come now. `tick` takes up the next one.

    Invariant: `_expected` are the blocks of that piece which the picker promised to us and that are to come.
    """

    def __init__(self, host: RangeHost, home: SourceHome) -> None:
        self.address = host.address
        self.down = Meter(10.0)
        self.at: PieceIndex | None = None
        self.over = False
        self._host = host
        self._home = home
        self._gate = asyncio.Event()
        self._going = False  # more bytes are welcome
        self._held = b""  # came, and not landed yet
        self._n = 0  # the block of the piece with which that begins
        self._expected: set[int] = set()
        self._blocked = False  # memory or rate is used up
        self._debt = 0  # bytes that the rate limit has not granted yet
        self._failures = 0
        self._due = 0.0  # when the host may be asked again

    @property
    def active(self) -> bool:
        return self.at is not None

    def tick(self, now: float) -> None:
        """Once a second."""
        self.down.tick(now)
        if self.active:
            self.go_on()
        elif not self.over and now >= self._due and self._home.asking:
            self._take_up()

    def _take_up(self) -> None:
        piece = _stretch(self._home.picker.takable(), self._home.ranges_at())
        if piece is None or not self._enter(piece):
            return
        self._home.picker.seeds += 1
        self._n = min(self._expected) % self._home.picker.per_piece
        self._home.spawn(self._run(piece * self._home.piece_length + self._n * BLOCK))

    async def _run(self, offset: int) -> None:
        """One stretch, from the first byte to whatever ends it."""
        self._going = True
        self._gate.set()
        before, home = self.down.total, self._home
        pause = 0.0
        try:
            await self._host.fetch(offset, self._took, self._gate)
            await self._rest()
        except BusyError as error:
            log.debug("%s: %s", self, error)
            pause = BUSY_PAUSE
        except RemoteError as error:
            log.info("%s: %s", self, error)
            self._failures = 0 if self.down.total > before else self._failures
            pause = PAUSE * 2**self._failures
            self._failures += 1
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
        self._gate.set()

    # Bytes

    def _took(self, data: bytes) -> bool:
        self.down.total += len(data)
        self._debt += len(data)
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
        while self._going and self.at is not None:
            if self._n == picker.blocks_in(self.at):
                if not self._step(PieceIndex(self.at + 1)):
                    break
                continue
            block = self.at * picker.per_piece + self._n
            end = used + picker.request(block)[2]
            if end > len(view):
                break
            self._land_block(block, view[used:end])
            used = end
            self._n += 1
        self._held = bytes(view[used:])

    def _land_block(self, block: int, data: memoryview) -> None:
        home, picker = self._home, self._home.picker
        if block not in self._expected or not picker.wants(block, self):
            self._expected.discard(block)
            home.wasted(len(data))
            return
        self._expected.discard(block)
        piece, begin, _ = picker.request(block)
        home.blocks.put(piece, begin, data)
        contested = picker.is_doubled(block)
        full = picker.landed(block, self)
        if contested:
            home.cancel_others(block, self)
        if full is not None:
            home.piece_full(full)

    def _step(self, piece: PieceIndex) -> bool:
        """On to the next piece; False when there is no use in it, or no memory for it yet."""
        takable = self._home.picker.takable()
        useful = takable.find(1, piece)
        if useful < 0 or (useful - piece) * self._home.piece_length > SKIP:
            self._going = False
        elif useful > piece:
            self.at, self._n = piece, 0
            return True
        elif self._enter(piece):
            self._n = 0
            return True
        else:
            self._block()
        return False

    def _enter(self, piece: PieceIndex) -> bool:
        """Be promised the blocks of this piece that nobody fetches."""
        blocks = self._home.picker.pick_in(piece, self, self._home.blocks.open)
        if blocks:
            self.at = piece
            self._expected = set(blocks)
        return bool(blocks)

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
        self._held, self._debt, self.at = b"", 0, None

    @override
    def __repr__(self) -> str:
        return f"<RangeSource {self.address} at {self.at} expects {len(self._expected)}>"


def _stretch(takable: Bitfield, busy: set[PieceIndex]) -> PieceIndex | None:
    """Where to begin: the longest row of pieces that nobody fetches, behind its middle when some other
    source is about to come into it."""
    best, longest, looked = None, 0, 0
    start = takable.find(1)
    while start >= 0 and looked < MOST_STRETCHES:
        end = takable.find(0, start)
        end = len(takable) if end < 0 else end
        first = (start + end) // 2 if start - 1 in busy else start
        if end - first > longest:
            best, longest = first, end - first
        start, looked = takable.find(1, end), looked + 1
    return None if best is None else PieceIndex(best)
