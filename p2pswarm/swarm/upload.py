"""What we owe one peer: its requests, read in runs and sent in runs.

A run is up to half a megabyte of queued blocks. Its buffer is laid out as the wire wants it, a head before
each block: the reads (one for every stretch of neighbours) fill the gaps, and one send takes it all. One
run at a time, and only into an idle socket, so that a slow peer holds one small buffer and a cancel still
finds most of the queue.

The one hard thing: the run's buffer belongs to the disk while it reads and to the transport until it is
drained. It goes back to the pool only when neither has it.
"""

from collections import OrderedDict
from collections.abc import Callable, Container, Iterable, Sequence
from itertools import chain, islice
from typing import Protocol

from p2pswarm.errors import DiskError
from p2pswarm.formats.ids import PieceIndex
from p2pswarm.net.rate import Limiter, Meter
from p2pswarm.net.stream import Stream
from p2pswarm.swarm.blocks import BufferPool
from p2pswarm.wire.peer import HEAD, Reject, put_piece_head

__all__ = ["BlockRange", "Upload", "UploadHome"]

RUN = 512 << 10  # bytes in one go; below half a megabyte the calls cost more than the bytes
SHORT_RUN = 64 << 10  # for peers below a megabyte per second, so that slow ones hold little memory
MOST_IN_RUN = 64  # blocks; only peers that ask for less than 8 KiB at a time meet this bound
HEADS = MOST_IN_RUN * HEAD  # bytes of a buffer beside those of its blocks

BlockRange = tuple[PieceIndex, int, int]  # piece, begin, length


class UploadHome(Protocol):
    """What serving needs of the torrent."""

    piece_length: int
    reads: BufferPool
    up: Limiter

    def soon(self, call: Callable[[], None]) -> None: ...
    def read(
        self, offset: int, into: Sequence[memoryview], done: Callable[[DiskError | None], None]
    ) -> None: ...
    def read_failed(self, piece: PieceIndex, error: DiskError) -> None: ...


class Upload:
    """The queue of one peer and the run under way. `meter` counts the bytes of blocks sent."""

    def __init__(self, stream: Stream, home: UploadHome, *, fast: bool) -> None:
        self.meter = Meter(10.0)
        self._stream = stream
        self._home = home
        self._fast = fast
        self._queue: OrderedDict[BlockRange, None] = OrderedDict()
        self._run: list[BlockRange] = []
        self._buffer: memoryview | None = None
        self._filled = 0  # bytes of the buffer that will go out
        self._reads_open = 0
        self._error: DiskError | None = None

    def __len__(self) -> int:
        """Requests that wait."""
        return len(self._queue)

    def owe(self, requests: Iterable[BlockRange]) -> None:
        """Queue requests; the same one again while it waits is the same one, not two."""
        self._queue.update(dict.fromkeys(requests))

    def cancel(self, request: BlockRange) -> None:
        """With the fast extension every request gets exactly one answer, a cancelled one too (BEP 6)."""
        if request in self._queue:
            del self._queue[request]
            self.refuse([request])

    def refuse_all(self) -> None:
        """We choked the peer."""
        refused = list(self._queue)
        self._queue.clear()
        self.refuse(refused)

    def serve(self) -> None:
        """Read the next run, when there is one to read and the socket has taken the last."""
        if not self._queue or self._buffer is not None:
            return
        if not self._stream.idle or self._stream.over:
            return
        usual = RUN if self.meter.rate > 1 << 20 else SHORT_RUN
        run, total = self._next_run(max(usual, next(iter(self._queue))[2]))
        granted = self._home.up.take(total, run[0][2], self.serve)
        while total > granted and run:
            total -= run.pop()[2]
        self._home.up.refund(granted - total)
        # Two sizes of buffer only, whatever lengths a peer asks for: others would never be used again.
        size = usual if total <= usual else RUN
        buffer = self._home.reads.take(size + HEADS) if run else None
        if buffer is None:
            self._home.up.refund(total)
            return  # the line of the limiter, or the next tick, tries again
        for request in run:
            del self._queue[request]
        self._run, self._buffer = run, buffer
        self._read(run, buffer)

    def drained(self) -> None:
        """The socket has taken everything."""
        if self._buffer is not None and not self._reads_open:
            self._end_run()
        self.serve()

    def closed(self) -> None:
        """The connection is gone."""
        self._home.up.forget(self.serve)
        self._queue.clear()
        if self._buffer is not None and not self._reads_open:
            self._end_run()

    def concerns(self, pieces: Container[PieceIndex]) -> bool:
        """Whether one of these waits to be given, or is being given."""
        owed = chain(self._run, self._queue)
        return any(piece in pieces for piece, _, _ in owed)

    def _next_run(self, most: int) -> tuple[list[BlockRange], int]:
        run: list[BlockRange] = []
        total = 0
        for request in islice(self._queue, MOST_IN_RUN):
            if total + request[2] > most:
                break
            total += request[2]
            run.append(request)
        return run, total

    def _read(self, run: Sequence[BlockRange], buffer: memoryview) -> None:
        """Write the heads, and start one read for every stretch of neighbouring blocks."""
        # The offset in the torrent, and where its bytes go.
        stretches: list[tuple[int, list[memoryview]]] = []
        piece_length, at, follows = self._home.piece_length, 0, -1
        into: list[memoryview] = []
        for piece, begin, length in run:
            put_piece_head(buffer, at, piece, begin, length)
            offset = piece * piece_length + begin
            if offset != follows:
                into = []
                stretches.append((offset, into))
            at += HEAD + length
            into.append(buffer[at - length : at])
            follows = offset + length
        self._filled = at
        self._reads_open = len(stretches)
        for offset, into in stretches:
            self._home.read(offset, into, self._read_done)

    def _read_done(self, error: DiskError | None) -> None:
        self._error = error or self._error
        self._reads_open -= 1
        if self._reads_open:
            return
        if self._stream.over:
            self._end_run()
        elif self._error is not None:
            self._fail_run(self._error)
        else:
            self._send_run()

    def _send_run(self) -> None:
        assert self._buffer is not None
        self.meter.total += self._filled - HEAD * len(self._run)
        if self._stream.send(self._buffer[: self._filled]):
            self._end_run()
            if self._queue:
                self._home.soon(self.serve)

    def _fail_run(self, error: DiskError) -> None:
        run, self._error = self._run, None
        self._end_run()
        self.refuse(run)
        for piece in {piece for piece, _, _ in run}:
            self._home.read_failed(piece, error)

    def refuse(self, requests: list[BlockRange]) -> None:
        """Say by name what will not be answered, where the peer understands it."""
        if self._fast and requests:
            self._stream.send(b"".join([Reject(*request).encode() for request in requests]))

    def _end_run(self) -> None:
        assert self._buffer is not None
        self._home.reads.give(self._buffer)
        self._run, self._buffer = [], None
