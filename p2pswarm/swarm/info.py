"""The info dictionary of a torrent, given to one peer that has only its hash (BEP 9).

Whoever asks gets it as fast as the upload limit allows, a piece of 16 KiB when it has read most of what came
before, and a few times over at most: a metadata request is seventy times smaller than its answer.
"""

from collections import deque
from collections.abc import Callable

from p2pswarm.net.rate import Limiter
from p2pswarm.net.stream import Stream
from p2pswarm.wire.extension.metadata import METADATA_PIECE, MetadataPiece, MetadataReject

__all__ = ["InfoUpload"]

MOST_QUEUED = 64  # requests that wait; Transmission's number
MOST_TIMES = 3  # that a peer may have the whole in one connection
ENOUGH_UNSENT = 64 << 10  # bytes the peer has not read yet: then the next piece waits


class InfoUpload:
    """What one peer asked of `info`; None when this torrent's is not for everybody, or not known."""

    def __init__(
        self,
        info: memoryview | None,
        stream: Stream,
        up: Limiter,
        say: Callable[[bytes], object],
    ) -> None:
        self._info = info
        self._stream = stream
        self._up = up
        self._say = say
        self._queue: deque[int] = deque()
        self._given = 0

    def __len__(self) -> int:
        """Requests that wait."""
        return len(self._queue)

    def asked(self, piece: int) -> None:
        """Each request is answered: with the piece, or with a refusal."""
        if self._may_have(piece):
            self._given += 1
            self._queue.append(piece)
            self.serve()
        else:
            self._say(MetadataReject(piece).encode())

    def _may_have(self, piece: int) -> bool:
        pieces = -(-len(self._info or b"") // METADATA_PIECE)
        has_room = len(self._queue) < MOST_QUEUED and self._given < MOST_TIMES * pieces
        return piece < pieces and has_room

    def serve(self) -> None:
        """Give what the limit and the peer take now."""
        while self._queue and not self._stream.over and self._stream.unsent < ENOUGH_UNSENT:
            assert self._info is not None
            at = self._queue[0] * METADATA_PIECE
            data = self._info[at : at + METADATA_PIECE]
            if not self._up.take(len(data), len(data), self.serve):
                return  # it calls again
            self._say(MetadataPiece(self._queue.popleft(), len(self._info), bytes(data)).encode())

    def closed(self) -> None:
        """The peer has gone."""
        self._queue.clear()
        self._up.forget(self.serve)
