"""Compressed connections: a zlib stream from the first byte after the handshake, each direction for itself.

The writer flushes once for a batch, so that nothing waits inside zlib; the reader inflates no more at one
time than the framer behind it has room for, and answers each message before the next is inflated.

The one hard thing: a thousand bytes can become a million. What one read may become is bounded.
"""

import zlib
from collections.abc import Iterable, Iterator

from p2pswarm.errors import RemoteProtocolError
from p2pswarm.wire.framer import Framer, Scratch

__all__ = ["MAX_INFLATED", "Deflater", "InflatingFramer"]

# What one read may become is answered in one go. Messages shrink to a third, at best to a tenth: 16 KiB that
# become 1 MiB are no messages.
MAX_INFLATED = 1 << 20
_WINDOW = 16 << 10
_PORTION = 64 << 10  # bytes inflated at one time
# A writer with zlib's defaults costs 268 KiB, for each of a hundred leaves; with these 64 KiB, and Gnutella's
# little messages shrink as well. Any reader takes a smaller window.
_WINDOW_BITS = 13
_MEMORY = 6


class InflatingFramer:
    """Inflates what comes and hands it on to `inner`, whose messages they are."""

    def __init__(self, inner: Framer, scratch: Scratch | None = None) -> None:
        self._inner = inner
        self._view = (scratch or Scratch()).view[:_WINDOW]
        self._stream = zlib.decompressobj()
        self._rest = b""  # received and not inflated yet

    def get_buffer(self, hint: int = -1) -> memoryview:
        return self._view

    def received(self, n: int) -> Iterable[object]:
        """The messages that are complete now, inflated as they are taken. Raises RemoteProtocolError."""
        # A copy, because `inner` may write into the same scratch.
        self._rest += self._view[:n].tobytes()
        return self._messages()

    def unread(self) -> bytes:
        """What was inflated and not understood: nothing but this stream can follow."""
        return self._inner.unread()

    def _messages(self) -> Iterator[object]:
        left = MAX_INFLATED
        while True:
            buffer = self._inner.get_buffer()
            most = min(len(buffer), _PORTION)
            data = self._inflate(most)
            if data:
                left -= len(data)
                if left < 0:
                    raise RemoteProtocolError(
                        f"one read inflates to more than {MAX_INFLATED} bytes"
                    )
                buffer[: len(data)] = data
                yield from self._inner.received(len(data))
            if self._stream.eof:
                raise RemoteProtocolError("the compressed stream has ended")
            # Full means that zlib may hold more, even when it has taken all that came.
            if len(data) < most and not self._rest:
                return

    def _inflate(self, most: int) -> bytes:
        """The next `most` bytes or fewer."""
        if most == 0:  # which zlib would take for no limit
            raise RemoteProtocolError("no room for what is inflated")
        try:
            data = self._stream.decompress(self._rest, most)
        except zlib.error as error:
            raise RemoteProtocolError("not a zlib stream") from error
        self._rest = self._stream.unconsumed_tail
        return data


class Deflater:
    """The writing side: one for a connection's whole life."""

    def __init__(self) -> None:
        self._stream = zlib.compressobj(wbits=_WINDOW_BITS, memLevel=_MEMORY)

    def pack(self, *buffers: bytes | bytearray | memoryview) -> bytes:
        """A batch, compressed and flushed: the other side can inflate all of it."""
        if not any(map(len, buffers)):
            return b""
        parts = [self._stream.compress(buffer) for buffer in buffers]
        return b"".join([*parts, self._stream.flush(zlib.Z_SYNC_FLUSH)])
