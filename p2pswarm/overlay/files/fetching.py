"""One file from one host, part after part on one connection, from any byte on.

A host gives as much as it likes of what is asked for: gtk-gnutella 512 KiB at a time, others everything at
once. Where the connection ends early, the next one goes on at the same byte.

The one hard thing: what is told of the part that comes has to be true before a byte of it counts.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from p2pswarm.errors import BusyError, NetworkError, PartialError, RefusedError
from p2pswarm.overlay.files.asking import ask, body_of
from p2pswarm.overlay.files.sources import Source
from p2pswarm.overlay.talk import Sink, Talk
from p2pswarm.wire.http.heads import Headers
from p2pswarm.wire.http.messages import Request, Response
from p2pswarm.wire.http.queueing import Parq, QueuePlace
from p2pswarm.wire.http.ranges import ContentRange, Range, read_available

__all__ = ["Connect", "Fetching", "LaterError"]

log = logging.getLogger(__name__)

PART = 512 << 10  # bytes of a request; gtk-gnutella gives no more
SKIP = 64 << 10  # bytes taken for nothing from a host that begins too early
RETRY = 60  # seconds at least until a host without a place is asked again
LONGEST_POLL = 150.0  # seconds that we wait on a connection before we ask again
LONGEST_LINE = 600.0  # and all of it together
MOST_CUTS = 5  # connections that end early
AVAILABLE = "X-Available-Ranges"
MOST_SMALL = 64 << 10  # bytes of what is said beside a refusal
# Not now: too slow; it still gives us this file on a connection of ours that broke; it is asked too often.
FOR_NOW = {408, 409, 429}

Connect = Callable[[Source, Request], Awaitable[tuple[Talk, Response]]]
"""A new connection to it, and the answer to this first request. Raises NetworkError."""


class LaterError(BusyError):
    """No place now; `seconds` says when to ask again."""

    def __init__(self, text: str, seconds: int | None) -> None:
        super().__init__(text)
        self.seconds = max(RETRY, seconds or 0)


class Fetching:
    """`run` once. `heard` is told each answer, `headers` says what goes into each request."""

    def __init__(
        self,
        source: Source,
        connect: Connect,
        headers: Callable[[], Headers],
        heard: Callable[[Talk, Response], None],
        network: str,
    ) -> None:
        self._source = source
        self._connect = connect
        self._headers = headers
        self._heard = heard
        self._network = network
        self._talk: Talk | None = None
        self._parq: Parq | None = None  # our place in its line
        self._at = 0  # the next byte for the sink
        self._began = 0  # the one with which this connection began
        self._skip = 0  # bytes that come before it
        self._wants = True

    async def run(self, offset: int, sink: Sink, gate: asyncio.Event | None) -> int:
        """Bytes from there on until the sink has enough or the file ends; returns how many.

        Raises LaterError, PartialError, RefusedError, NetworkError, RemoteProtocolError.
        """
        self._at, cuts = offset, 0
        try:
            while self._wants and self._at < self._source.size:
                try:
                    await self._part(sink, gate)
                except (BusyError, RefusedError):
                    raise
                except NetworkError as error:
                    cuts += 1
                    if self._at == self._began or cuts > MOST_CUTS:
                        raise
                    log.debug("%s: at byte %d: %s", self._network, self._at, error)
                    self._drop()
        finally:
            self._drop()
        return self._at - offset

    async def _part(self, sink: Sink, gate: asyncio.Event | None) -> None:
        talk, response = await self._answer()
        given = _given(response, self._source, self._at)
        self._skip = self._at - given.start

        def took(data: bytes) -> bool:
            if self._skip:
                n = min(len(data), self._skip)
                self._skip -= n
                data = data[n:]
            if data:
                self._at += len(data)
                self._wants = sink(data)
            return self._wants

        await talk.receive(given.end - given.start, took, gate)
        if not response.persistent:
            self._drop()

    async def _answer(self) -> tuple[Talk, Response]:
        """An answer that gives something; for who has a place in the line, when it is our turn."""
        waited = 0.0
        while True:
            talk, response = await self._exchange()
            self._heard(talk, response)
            if response.code in (200, 206):
                return talk, response
            pause = self._refused(talk, response)
            waited += pause
            if waited > LONGEST_LINE:
                raise LaterError(f"{talk.remote} has many in its line", None)
            if (
                response.length
            ):  # who says none, as in the examples of PARQ, says nothing beside the head
                await body_of(talk, response, MOST_SMALL)
            await asyncio.sleep(pause)

    async def _exchange(self) -> tuple[Talk, Response]:
        request = self._request()
        if self._talk is not None and not self._talk.stream.over:
            try:
                return self._talk, await ask(self._talk, request)
            except NetworkError as error:  # it may have ended just now
                log.debug("%s: %s", self._network, error)
        self._drop()
        self._began = self._at
        self._talk, response = await self._connect(self._source, request)
        return self._talk, response

    def _request(self) -> Request:
        headers = self._headers()
        last = min(self._at + PART, self._source.size) - 1
        headers["Range"] = str(Range(self._at, last))
        if self._parq is not None:
            headers["X-Queued"] = self._parq.repeated
        return Request("GET", self._source.target, headers)

    def _refused(self, talk: Talk, response: Response) -> float:
        """Seconds to wait on this connection, or it raises."""
        reason = f"{talk.remote} says: {response.code} {response.reason[:80]}"
        if _lacks(response, self._at):
            raise _partial(response, self._source, self._at)
        if _is_for_now(response):
            raise LaterError(reason, response.retry_after)
        if response.code != 503:
            failed = RefusedError if response.code < 500 else NetworkError
            raise failed(reason)
        place = QueuePlace.read(response.headers.get("X-Queue", ""))
        self._parq = Parq.read(response.headers.get("X-Queued", ""))
        later = response.retry_after
        if place is not None:
            pause = place.poll_min + 1.0
        elif self._parq is not None:
            pause = 1.0 + (RETRY if later is None else later)
        else:
            raise LaterError(reason, later)
        if not response.persistent or pause > LONGEST_POLL:
            raise LaterError(reason, max(later or 0, int(pause)))
        return pause

    def _drop(self) -> None:
        talk, self._talk = self._talk, None
        if talk is not None:
            talk.close()


def _is_for_now(response: Response) -> bool:
    """Refusals other than 503 after which gtk-gnutella gives the file later.

    A partial file that lacks the range; and 403, in older ones, for who was too quick in its line.
    """
    match response.code:
        case 416:
            return "X-Available-Ranges" in response.headers
        case 403:
            return "Retry-After" in response.headers
        case code:
            return code in FOR_NOW


def _given(response: Response, source: Source, at: int) -> ContentRange:
    """What comes. Raises RefusedError when it is another file, or not from byte `at` on, and LaterError."""
    part, whole = response.given, ContentRange(0, source.size, source.size)
    if part is None and response.code == 200:
        part = whole
    if part is None or part.size not in (None, source.size) or part.end > source.size:
        raise RefusedError(f"{source.address} has another file there by now")
    if response.length not in (None, part.end - part.start):
        raise RefusedError(f"{source.address} says {part} and gives {response.length} bytes")
    if part.start > at and AVAILABLE in response.headers:
        # Of a partial file a host gives what it has within the range (PFSP), and has more of it later.
        raise _partial(response, source, at)
    if not part.start <= at < part.end or at - part.start > SKIP:
        raise RefusedError(f"{source.address} gives {part} where byte {at} was asked for")
    return part


def _lacks(response: Response, at: int) -> bool:
    """Whether a partial file does not have the byte (PFSP: 503; gtk-gnutella: 416), and we need not wait for
    a place: who has the byte and refuses is busy."""
    headers = response.headers
    if response.code not in (416, 503) or AVAILABLE not in headers:
        return False
    if "X-Queue" in headers or "X-Queued" in headers:
        return False
    return not any(start <= at < end for start, end in read_available(headers[AVAILABLE]))


def _partial(response: Response, source: Source, at: int) -> PartialError:
    ranges = read_available(response.headers[AVAILABLE])
    return PartialError(f"{source.address} does not have byte {at} yet", ranges)
