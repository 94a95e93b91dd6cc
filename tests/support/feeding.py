"""Feed any framer in any chunking, the way a stream does.

After every step the receive buffer is filled with junk, as another connection would do: a message that still
points into it does not survive.
"""

from collections.abc import Sequence
from itertools import cycle

from hypothesis import strategies as st

from p2pswarm.errors import RemoteError
from p2pswarm.wire.framer import Framer

__all__ = ["chunkings", "feed", "feed_interleaved", "feed_until_error"]

chunkings: st.SearchStrategy[list[int]] = st.lists(
    st.integers(1, 40) | st.integers(1, 70_000), min_size=1, max_size=6
)
"""Sizes of chunks, used in turn."""

_SPOILED = 8192  # bytes at the start of the buffer that are overwritten after every step


def feed(framer: Framer, data: bytes, sizes: Sequence[int] = (1 << 20,)) -> list[object]:
    """Everything that comes out of `data`, given in chunks of these sizes, over and over."""
    messages: list[object] = []
    turn, at = cycle(sizes), 0
    while at < len(data):
        at += _step(framer, data[at : at + next(turn)], messages)
    return messages


def feed_until_error(
    framer: Framer, data: bytes, sizes: Sequence[int]
) -> tuple[list[object], RemoteError | None]:
    """Like `feed`; what came before the peer's fault, and the fault."""
    messages: list[object] = []
    turn, at = cycle(sizes), 0
    try:
        while at < len(data):
            at += _step(framer, data[at : at + next(turn)], messages)
    except RemoteError as error:
        return messages, error
    return messages, None


def feed_interleaved(
    framers: Sequence[Framer], streams: Sequence[bytes], turns: Sequence[tuple[int, int]]
) -> list[list[object]]:
    """Several framers at once: each turn is (which one, how many bytes); then the rest, one by one."""
    messages: list[list[object]] = [[] for _ in framers]
    at = [0] * len(framers)
    for who, size in turns:
        if at[who] < len(streams[who]):
            chunk = streams[who][at[who] : at[who] + size]
            at[who] += _step(framers[who], chunk, messages[who])
    for who, framer in enumerate(framers):
        messages[who] += feed(framer, streams[who][at[who] :])
    return messages


def _step(framer: Framer, chunk: bytes, messages: list[object]) -> int:
    """One write of the kernel: as much as fits into the framer's buffer."""
    buffer = framer.get_buffer(len(chunk))
    n = min(len(chunk), len(buffer))
    buffer[:n] = chunk[:n]
    messages += framer.received(n)
    whole = memoryview(buffer.obj)
    junk = min(len(whole), _SPOILED)
    whole[:junk] = b"\xaa" * junk
    return n
