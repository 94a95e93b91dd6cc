"""The socket of the UDP tracker: datagrams are read until there are no more, and answered one by one.

No task per datagram: one task reads, asks, answers, and sees to it that others get their turn.

The one hard thing: a machine has several addresses, and an answer has to leave from the one that was asked,
else a client that listens to this one only, or its firewall, never sees it. A socket that is bound to every
address is told so by the system with each datagram (IP_PKTINFO), and tells the system with each answer.
"""

import asyncio
import logging
import socket
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

__all__ = ["Datagrams"]

_LONGEST = 2048  # bytes; the longest question has 98 and its options
_TURN = 64  # datagrams, then others get theirs
_BUFFER = 1 << 20  # bytes that may wait in the kernel; it gives what it may
_ROOM = 64  # bytes for what the system says about a datagram

_IP_PKTINFO = 8 if sys.platform == "linux" else None  # <linux/in.h>; Python 3.11 has no name for it

_log = logging.getLogger(__name__)

_Told = Sequence[tuple[int, int, bytes]]


class Datagrams:
    """Serves from `start` to `aclose`; `answer` is given a datagram and its host, and may say None."""

    def __init__(
        self, place: socket.socket, answer: Callable[[bytes, str], Awaitable[bytes | None]]
    ) -> None:
        self._socket, self._answer = place, answer
        self._serving: asyncio.Task[None] | None = None

    def start(self) -> None:
        with suppress(OSError):
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
        _ask_where_to(self._socket)
        self._serving = asyncio.get_running_loop().create_task(self._serve())

    async def aclose(self) -> None:
        """May be called twice."""
        serving, self._serving = self._serving, None
        if serving is not None:
            serving.cancel()
            await asyncio.wait([serving])
        self._socket.close()

    async def _serve(self) -> None:
        while True:
            if await self._turn():
                await asyncio.sleep(0)
            else:
                await self._readable()

    async def _turn(self) -> bool:
        """Answer some; whether there may be more."""
        for _ in range(_TURN):
            try:
                data, told, _, place = self._socket.recvmsg(_LONGEST, _ROOM)
            except BlockingIOError:
                return False
            except OSError as error:
                _log.debug("nothing received: %s", error)
                continue
            try:
                answer = await self._answer(data, place[0])
            except Exception:  # noqa: BLE001 - of a store, say: the next datagram is another chance
                _log.exception("a datagram was not answered")
                continue
            if answer is not None:
                self._send(answer, told, place)
        return True

    def _send(self, data: bytes, told: _Told, place: tuple[str, int]) -> None:
        """What cannot be sent now is dropped: the client asks again."""
        try:
            self._socket.sendmsg([data], _from_there(told), 0, place)
        except OSError as error:
            _log.debug("an answer was not sent: %s", error)

    async def _readable(self) -> None:
        loop = asyncio.get_running_loop()
        there = loop.create_future()
        loop.add_reader(self._socket, _ring, there)
        try:
            await there
        finally:
            loop.remove_reader(self._socket)


def _ring(there: asyncio.Future[None]) -> None:
    if not there.done():
        there.set_result(None)


def _ask_where_to(place: socket.socket) -> None:
    """Have the system say with each datagram which of our addresses it came to."""
    if place.family == socket.AF_INET6:
        place.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
    elif _IP_PKTINFO is not None:
        place.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)


def _from_there(told: _Told) -> list[tuple[int, int, bytes]]:
    """The same for an answer: that it leaves from there, by whatever interface the route says."""
    for level, kind, value in told:
        if level == socket.IPPROTO_IPV6 and kind == socket.IPV6_PKTINFO:
            return [(level, kind, value[:16] + bytes(4))]  # in6_pktinfo: address, interface
        if level == socket.IPPROTO_IP and kind == _IP_PKTINFO:
            return [
                (level, kind, bytes(4) + value[4:8] + bytes(4))
            ]  # in_pktinfo: interface, ours, to
    return []
