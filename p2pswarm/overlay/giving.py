"""What we give away over a connection: bytes of a file, as fast as the other side takes them and the node's
upload limit lets them. A file that somebody changes is not sent on.
"""

import asyncio
from typing import Protocol

from p2pswarm.disk.pool import DiskPool
from p2pswarm.disk.reading import Reading
from p2pswarm.formats.ids import BLOCK
from p2pswarm.net.rate import Limiter
from p2pswarm.overlay.talk import Talk

__all__ = ["FileGift", "Gift", "Told", "give"]

RUN = 256 << 10  # bytes read and sent at a time; a minute for each, or the other side is too slow


class Gift(Protocol):
    """Something with bytes."""

    size: int
    large: bool  # it needs a place among the uploads

    async def read(self, at: int, buffer: memoryview) -> None:
        """Fill the buffer. Raises DiskError."""


class FileGift:
    """A file of the catalog."""

    large = True

    def __init__(self, reading: Reading, disk: DiskPool) -> None:
        self.size = reading.size
        self._reading = reading
        self._disk = disk

    async def read(self, at: int, buffer: memoryview) -> None:
        await self._disk.run(self._read, at, buffer)

    def _read(self, at: int, buffer: memoryview) -> None:
        self._reading.read_into(at, buffer)
        self._reading.check()


class Told:
    """Bytes that are in memory."""

    large = False

    def __init__(self, data: bytes) -> None:
        self.size = len(data)
        self._data = data

    async def read(self, at: int, buffer: memoryview) -> None:
        buffer[:] = self._data[at : at + len(buffer)]


async def give(talk: Talk, gift: Gift, up: Limiter, offset: int, length: int) -> None:
    """Send so many of its bytes from there on; at the end the kernel has them, the other side perhaps not.

    Raises NetworkError, DiskError.
    """
    buffer = memoryview(bytearray(min(RUN, length)))
    at, end = offset, offset + length
    while at < end:
        part = buffer[: await _granted(up, min(len(buffer), end - at))]
        await gift.read(at, part)
        if not talk.send(part):
            await talk.sent()  # before that the buffer is not ours
        at += len(part)


async def _granted(up: Limiter, want: int) -> int:
    """So many bytes may be sent now."""
    turn = asyncio.Event()
    try:
        while not (granted := up.take(want, min(want, BLOCK), turn.set)):
            await turn.wait()
            turn.clear()
    finally:
        up.forget(turn.set)
    return granted
