"""Parts of files from ordinary web servers: what web seeds give (BEP 19).

The answer has to be the very bytes that were asked for: as long as the torrent says, of a file as long as the
torrent says, not packed, and from the place that was named. Whatever else a server answers is its refusal.
A torrent names its web seeds, so they are in our own network only where the torrent itself came from there;
and then they are asked without a query, which could be an order to some device (libtorrent's rule).

The one hard thing is a server that goes on for ever and gives next to nothing. Every wait is bounded, and
what comes meanwhile has to be worth it; but while we read no further ourselves, no time counts.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import NoReturn, Self

import aiohttp
from yarl import URL

from p2pswarm.discovery.client import HttpClient, in_words, parsed
from p2pswarm.discovery.families import NoAddressError
from p2pswarm.errors import (
    BusyError,
    ChangedError,
    NetworkError,
    RefusedError,
    RemoteProtocolError,
    TrackerError,
)
from p2pswarm.formats.webseeds import Known, Part
from p2pswarm.formats.zones import Zone
from p2pswarm.wire.http.ranges import ContentRange, Range, number

__all__ = ["Ranged"]

# Seconds until an answer begins, and until it goes on: libtorrent's urlseed_timeout
PATIENCE = 20.0
LEAST_RATE = 1024.0  # bytes a second, on the average of so many seconds of waiting
MOST_AT_ONCE = 50  # answers under way
MOST_PER_HOST = 4  # of one server, for all torrents: Transmission's number
FULL_PAUSE = 5.0  # seconds until there may be a place again
LONGEST_REST = 3600.0  # seconds that a Retry-After may order
MOST_FOR_NOTHING = 16 << 20  # bytes that are read only to come to those that are wanted
LEAST_GIVEN = 16 << 10  # bytes of an answer that is less than was asked for: each costs a request
_MOST_TAG = 200  # characters
_LATER = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})


class _Pace:
    """Sees that waiting is worth it."""

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._waited, self._got = 0.0, 0

    def waited(self, seconds: float, got: int) -> None:
        """Raises NetworkError."""
        self._waited += seconds
        self._got += got
        if self._waited >= self._patience:
            if self._got < LEAST_RATE * self._waited:
                raise NetworkError("gives next to nothing")
            self._waited, self._got = 0.0, 0


class Ranged:
    """`near` says that servers in our own network may be asked, too."""

    def __init__(self, client: HttpClient, *, near: bool, patience: float = PATIENCE) -> None:
        self._client, self._near, self._patience = client, near, patience
        self._clock = asyncio.get_running_loop().time
        self._under_way: Counter[str] = Counter()  # by the server's name

    @classmethod
    def opened(cls, *, near: bool, hosts: Sequence[str]) -> Self:
        """With a client of its own: what it keeps open goes to servers that all it asks may go to."""
        return cls(HttpClient(hosts=hosts, most=MOST_AT_ONCE, keep=True), near=near)

    async def fetch(
        self, part: Part, known: Known, sink: Callable[[bytes], bool], gate: asyncio.Event
    ) -> bool:
        """All of the part into the sink, while the gate is open, until that has enough. Whether it has not.

        Raises BusyError, RefusedError, ChangedError, NetworkError.
        """
        try:
            url = parsed(part.url)
            with _in_turn(self._under_way, url.host or ""):
                return await self._fetch(url, part, known, sink, gate)
        except NoAddressError as error:
            raise NetworkError(str(error)) from error
        except (TrackerError, RemoteProtocolError) as error:
            raise RefusedError(str(error)) from error
        except TimeoutError as error:
            raise NetworkError(f"no answer within {self._patience:g} s") from error
        except (aiohttp.ClientError, OSError) as error:
            raise NetworkError(in_words(error)) from error

    async def aclose(self) -> None:
        """May be called twice."""
        await self._client.aclose()

    async def _fetch(
        self,
        url: URL,
        part: Part,
        known: Known,
        sink: Callable[[bytes], bool],
        gate: asyncio.Event,
    ) -> bool:
        """A server may give less than was asked, and is asked again."""
        at, pace = part.start, _Pace(self._patience)
        while at < part.end:
            asked = Range(at, part.end - 1)
            began = self._clock()
            async with self._answer(url, asked) as response:
                pace.waited(self._clock() - began, 0)
                useless, end = _given(response, at, part, known)
                body = _Body(response, useless, end - at)
                if not await self._read(body, pace, sink, gate):
                    return False
            at = end
        return True

    @asynccontextmanager
    async def _answer(self, url: URL, asked: Range) -> AsyncIterator[aiohttp.ClientResponse]:
        headers = {"Accept-Encoding": "identity", "Range": str(asked)}
        async with AsyncExitStack() as stack:
            async with asyncio.timeout(self._patience):
                getting = self._client.get(url, self._admit, headers)
                try:
                    response, _ = await stack.enter_async_context(getting)
                except ValueError as error:  # of an address that aiohttp does not take
                    raise RefusedError(in_words(error)) from error
            yield response

    def _admit(self, url: URL, nearest: Zone) -> None:
        if nearest is Zone.INTERNET:
            return
        if not self._near:
            raise TrackerError("is in our own network, and the torrent came from outside: refused")
        if url.raw_query_string:
            raise TrackerError("is in our own network, and wants a query: refused")

    async def _read(
        self, body: "_Body", pace: _Pace, sink: Callable[[bytes], bool], gate: asyncio.Event
    ) -> bool:
        async with asyncio.timeout(None) as limit:
            while body.left:
                limit.reschedule(None)
                await gate.wait()
                began = self._clock()
                limit.reschedule(began + self._patience)
                data = await body.more()
                pace.waited(self._clock() - began, len(data))
                if data and not sink(data):
                    return False
        return True


class _Body:
    """What is left of an answer; the bytes before those that were asked for are dropped."""

    def __init__(self, response: aiohttp.ClientResponse, useless: int, wanted: int) -> None:
        self._response, self._useless = response, useless
        self.left = useless + wanted

    async def more(self) -> bytes:
        """Some of what was asked for; none while that has not begun. Raises NetworkError."""
        data = await self._response.content.readany()
        if not data:
            raise NetworkError("hung up in the middle")
        data = data[: self.left]
        self.left -= len(data)
        useless = min(self._useless, len(data))
        self._useless -= useless
        return data[useless:]


class _in_turn:  # noqa: N801 - it is used like a function
    """A place among the answers that are under way. Raises BusyError when there is none."""

    def __init__(self, under_way: Counter[str], host: str) -> None:
        self._under_way, self._host = under_way, host

    def __enter__(self) -> None:
        under_way = self._under_way
        if under_way[self._host] >= MOST_PER_HOST or under_way.total() >= MOST_AT_ONCE:
            raise BusyError("is asked by others of our torrents", FULL_PAUSE)
        under_way[self._host] += 1

    def __exit__(self, *_: object) -> None:
        self._under_way[self._host] -= 1
        if not self._under_way[self._host]:
            del self._under_way[self._host]


def _given(response: aiohttp.ClientResponse, at: int, part: Part, known: Known) -> tuple[int, int]:
    """How many bytes come before the first that was asked for, and which is the first that does not come.

    Raises RefusedError, BusyError, ChangedError, NetworkError, RemoteProtocolError.
    """
    if response.status not in (HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT):
        _refuse(response)
    headers = response.headers
    if headers.get("Content-Encoding", "identity").strip().lower() != "identity":
        raise RefusedError("packs what must not be packed")
    if response.status == HTTPStatus.OK:
        useless, end = _whole(at, part, known)
        length = part.size
    else:
        useless, end = 0, _partial(headers.get("Content-Range", ""), at, part, known)
        length = end - at
    said = headers.get("Content-Length")
    if said is not None and number(said) != length:
        raise RefusedError(f"has {said[:20]} bytes where the torrent has {length}")
    _recognise(headers.get("ETag") or headers.get("Last-Modified") or "", known)
    return useless, end


def _whole(at: int, part: Part, known: Known) -> tuple[int, int]:
    """It gives the whole file, whatever was asked for."""
    if at:
        known.ranges = False
        if at > max(MOST_FOR_NOTHING, 2 * (part.end - at)):
            raise RefusedError("gives whole files only")
    return at, part.end


def _partial(said: str, at: int, part: Part, known: Known) -> int:
    """Also refuses multipart/byteranges, which says its ranges in its body."""
    given = ContentRange.read(said)
    if given.start != at or given.end > part.end:
        raise RefusedError("gives another part of the file than was asked for")
    if given.end < part.end and given.end - at < LEAST_GIVEN:
        raise RefusedError(f"gives {given.end - at} bytes at a time")
    if given.size not in (None, part.size):
        raise RefusedError(f"has {given.size} bytes where the torrent has {part.size}")
    known.ranges = True
    return given.end


def _recognise(tag: str, known: Known) -> None:
    """Bytes of two versions of a file must not come into one piece."""
    before, known.tag = known.tag, tag[:_MOST_TAG]
    if before and tag and before != known.tag:
        raise ChangedError("has another version of the file by now")


def _refuse(response: aiohttp.ClientResponse) -> NoReturn:
    said = f"answered with HTTP status {response.status}"
    if response.status in _LATER:
        raise BusyError(said, _retry_after(response.headers.get("Retry-After", "")))
    if response.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        raise NetworkError(said)
    raise RefusedError(said)


def _retry_after(said: str) -> float | None:
    """Seconds (RFC 9110, 10.2.3: a number or a date), not too many; None for what is neither."""
    seconds: float | None = number(said)
    if seconds is None:
        try:
            then = parsedate_to_datetime(said)
        except (ValueError, OverflowError):  # a year of twenty digits
            return None
        then = then if then.tzinfo else then.replace(tzinfo=UTC)
        seconds = (then - datetime.now(UTC)).total_seconds()
    return min(max(seconds, 1.0), LONGEST_REST)
