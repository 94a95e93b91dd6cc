"""A UDP socket that is read and written many datagrams at a time.

One turn of the event loop reads until the kernel has no more. Where Linux can, it hands over a row of
datagrams of one sender in one buffer (GRO) and takes one in the same way (GSO), which makes uTP cheap.
Nothing that leaves is ever fragmented: what the path does not take is lost.

The one hard thing: the kernel has no room sometimes. A single datagram is dropped then, as the network would
drop it; a row waits, because its sender counts what is lost as a sign that the path is full.
"""

import asyncio
import errno
import logging
import socket
import struct
import sys
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from typing import Any

from p2pswarm.formats.ids import Address

__all__ = ["BatchSocket"]

log = logging.getLogger(__name__)

BUFFER = 4 << 20  # bytes in the kernel, as far as it allows
_LARGEST = 1 << 16
_READS = 64  # in one turn, or others wait too long
_MOST_WAITING = 256  # rows
# linux/udp.h, linux/in.h, linux/in6.h
_SOL_UDP, _UDP_SEGMENT, _UDP_GRO = 17, 103, 104
_IP_MTU_DISCOVER, _IPV6_MTU_DISCOVER, _PROBE = 10, 23, 3
_MOST_SEGMENTS = 64
_MOST_TOGETHER = 65_000  # bytes
_SIZE = struct.Struct("=H")
_FITS = 1200  # bytes, through any interface
_UNABLE = (errno.EIO, errno.EOPNOTSUPP, errno.ENOPROTOOPT)
_FULL = (BlockingIOError, InterruptedError)


class BatchSocket:
    """`received` hears each datagram. `close` at the end; may be called twice."""

    def __init__(self, sock: socket.socket, received: Callable[[bytes, Address], None]) -> None:
        self._sock = sock
        self._received = received
        self._loop = asyncio.get_running_loop()
        self._buffer = memoryview(bytearray(_LARGEST))
        self._waiting: deque[tuple[Sequence[bytes], tuple[str, int]]] = deque()
        self._segments = sys.platform == "linux"
        self._name: tuple[Any, ...] = ()  # of who sent last,
        self._address = Address("?", 0)  # which is the same
        self._open = True

    @classmethod
    def open(
        cls, host: str, number: int, received: Callable[[bytes, Address], None]
    ) -> "BatchSocket":
        """Raises OSError, and NotImplementedError when the loop has no file descriptors."""
        family, _, _, _, here = socket.getaddrinfo(host, number, type=socket.SOCK_DGRAM)[0]
        with ExitStack() as undo:
            sock = undo.enter_context(socket.socket(family, socket.SOCK_DGRAM))
            sock.setblocking(False)
            opened = cls(sock, received)
            opened._loop.add_reader(sock.fileno(), opened._read)
            undo.callback(opened._loop.remove_reader, sock.fileno())
            if family == socket.AF_INET6:
                # Left to itself it would hear IPv4 too, and take the number of the other socket.
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            _tune(sock)
            sock.bind(here)
            undo.pop_all()
        return opened

    def send(self, data: bytes, to: tuple[str, int]) -> None:
        """Whatever cannot be sent now is dropped."""
        if self._open and not self._waiting:
            with suppress(*_FULL):
                self._send_one(data, to)

    def send_row(self, row: Sequence[bytes], to: tuple[str, int]) -> None:
        """In this order; what the kernel has no room for waits."""
        if not self._open:
            return
        if not self._waiting:
            row = self._send_some(row, to)
            if row:
                self._loop.add_writer(self._sock.fileno(), self._write)
        if row and len(self._waiting) < _MOST_WAITING:
            self._waiting.append((row, to))

    async def close(self) -> None:
        """The number is free."""
        if self._open:
            self._open = False
            self._waiting.clear()
            self._loop.remove_reader(self._sock.fileno())
            self._loop.remove_writer(self._sock.fileno())
            self._sock.close()

    # Reading

    def _read(self) -> None:
        for _ in range(_READS):
            try:
                size, hints, _, name = self._sock.recvmsg_into([self._buffer], 64)
            except _FULL:
                return
            except OSError as error:  # of something that we sent
                log.debug("a datagram was not sent: %s", error)
                continue
            if name != self._name:
                self._name, self._address = name, _address(name)
            self._split(size, _segment(hints) or size, self._address)
            if not self._open:
                return

    def _split(self, size: int, segment: int, address: Address) -> None:
        view, received = self._buffer, self._received
        if not size:  # nor has it a segment
            received(b"", address)
            return
        for at in range(0, size, segment):
            received(bytes(view[at : min(at + segment, size)]), address)

    # Writing

    def _write(self) -> None:
        while self._waiting:
            row, to = self._waiting.popleft()
            rest = self._send_some(row, to)
            if rest:
                self._waiting.appendleft((rest, to))
                return
        self._loop.remove_writer(self._sock.fileno())

    def _send_some(self, row: Sequence[bytes], to: tuple[str, int]) -> Sequence[bytes]:
        """What the kernel had no room for."""
        at = 0
        while at < len(row):
            end = _together(row, at) if self._segments else at + 1
            try:
                if end - at == 1 or not self._send_together(row[at:end], to):
                    for data in row[at:end]:
                        self._send_one(data, to)
                        at += 1
                at = end
            except _FULL:
                return row[at:]
        return ()

    def _send_one(self, data: bytes, to: tuple[str, int]) -> None:
        """Raises BlockingIOError."""
        try:
            self._sock.sendto(data, to)
        except _FULL:
            raise
        except OSError as error:
            log.debug("a datagram to %s was not sent: %s", to[0], error)

    def _send_together(self, row: Sequence[bytes], to: tuple[str, int]) -> bool:
        """False when the kernel cannot. Raises BlockingIOError."""
        hint = (_SOL_UDP, _UDP_SEGMENT, _SIZE.pack(len(row[0])))
        try:
            self._sock.sendmsg(row, [hint], 0, to)
        except _FULL:
            raise
        except OSError as error:
            # Some kernels say EINVAL, not EMSGSIZE, of packets that the interface does not take.
            if error.errno in _UNABLE or (error.errno == errno.EINVAL and len(row[0]) <= _FITS):
                self._segments = False
            return False
        return True


def _together(row: Sequence[bytes], at: int) -> int:
    """Up to where they have one size; the last may be shorter."""
    size = len(row[at])
    most = min(len(row), at + _MOST_SEGMENTS, at + _MOST_TOGETHER // (size or 1))
    end = at + 1
    while end < most and len(row[end]) == size:
        end += 1
    if end < most and len(row[end]) < size:
        end += 1
    return end


def _tune(sock: socket.socket) -> None:
    """What the system has of it; all of it can be missed."""
    wishes = [
        (socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER),
        (socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER),
    ]
    if sys.platform == "linux":
        wishes.append((_SOL_UDP, _UDP_GRO, 1))
        if sock.family == socket.AF_INET6:
            wishes.append((socket.IPPROTO_IPV6, _IPV6_MTU_DISCOVER, _PROBE))
        else:
            wishes.append((socket.IPPROTO_IP, _IP_MTU_DISCOVER, _PROBE))
    for level, option, value in wishes:
        with suppress(OSError):
            sock.setsockopt(level, option, value)


def _segment(hints: Sequence[tuple[int, int, bytes]]) -> int:
    """How long each datagram of a row is; 0 for one alone."""
    for level, kind, value in hints:
        if level == _SOL_UDP and kind == _UDP_GRO:
            return int.from_bytes(value[:4], sys.byteorder)
    return 0


def _address(name: tuple[Any, ...]) -> Address:
    # Whoever is on the same link can only be answered there.
    zone = f"%{name[3]}" if len(name) > 3 and name[3] and "%" not in name[0] else ""
    return Address(name[0] + zone, name[1]).normal
