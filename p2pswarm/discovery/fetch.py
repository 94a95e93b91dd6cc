"""Answers that are read whole: what trackers say, and torrents behind URLs.

On our own machine only the paths of a tracker are asked (libtorrent's `ssrf_mitigation`). Bodies are counted
before and after they are unpacked, so a gzip bomb ends at the limit.
"""

import asyncio
import zlib
from collections.abc import Sequence
from http import HTTPStatus
from socket import AF_UNSPEC, AddressFamily
from typing import TYPE_CHECKING

import aiohttp

from p2pswarm.discovery.client import HttpClient, in_words, parsed
from p2pswarm.discovery.trackers import Body
from p2pswarm.errors import TrackerError
from p2pswarm.formats.zones import Zone
from p2pswarm.net.binding import EVERYWHERE
from p2pswarm.wire.tracker import MAX_REPLY

if TYPE_CHECKING:
    from yarl import URL

    from p2pswarm.discovery.names import Names

__all__ = ["HttpFetch"]

_AT_ONCE = 50  # requests; libtorrent's number: a thousand torrents must not start in one moment
_GZIP_OR_ZLIB = 47  # zlib's window bits for "whichever of the two the header says"


class HttpFetch:
    """`fetch(url, timeout)` asks a tracker, `get` anybody."""

    def __init__(self, names: "Names | None" = None, *, hosts: Sequence[str] = EVERYWHERE) -> None:
        """`hosts` are the local addresses to ask from, so that a tracker sees us where we listen."""
        self._client = HttpClient(names, hosts=hosts, most=_AT_ONCE)
        self._slots = asyncio.Semaphore(_AT_ONCE)

    async def __call__(self, url: str, seconds: float, family: AddressFamily = AF_UNSPEC) -> bytes:
        """A tracker's answer, at most 1 MiB; only over one family, if one is named. Raises TrackerError."""
        return await self.get(url, seconds, family=family, tracker=True)

    async def get(
        self,
        url: str,
        seconds: float = 30.0,
        *,
        limit: int = MAX_REPLY,
        family: AddressFamily = AF_UNSPEC,
        tracker: bool = False,
    ) -> bytes:
        """The body of a 200 answer of at most `limit` bytes. Raises TrackerError.

        `seconds` count from the moment when fewer than fifty other requests are under way.
        `tracker` confines the request to a tracker's paths when the server is this machine.
        """
        target = parsed(url)
        async with self._slots:
            try:
                async with asyncio.timeout(seconds):
                    return await self._follow(target, limit, family, tracker)
            except TimeoutError as error:
                raise TrackerError(f"no answer within {seconds:g} s") from error
            except (aiohttp.ClientError, OSError, ValueError) as error:
                raise TrackerError(in_words(error)) from error

    async def aclose(self) -> None:
        """May be called twice; a later request opens a new session."""
        await self._client.aclose()

    async def _follow(self, url: "URL", limit: int, family: AddressFamily, tracker: bool) -> Body:
        admit = _refuse_other_paths if tracker else _admit
        headers = {"Accept-Encoding": "gzip"}
        async with self._client.get(url, admit, headers, family) as (response, farthest):
            body = Body(await _body(response, limit))
            body.far = farthest is Zone.INTERNET
            return body


def _admit(url: "URL", nearest: Zone) -> None:
    """Anybody may be asked."""


def _refuse_other_paths(url: "URL", nearest: Zone) -> None:
    paths = ("/announce", "/scrape")
    if nearest is Zone.THIS_MACHINE and not url.raw_path.startswith(paths):
        raise TrackerError("a tracker on this machine must have a path that begins with /announce")


async def _body(response: aiohttp.ClientResponse, limit: int) -> bytes:
    if response.status != HTTPStatus.OK:
        raise TrackerError(f"the server answered with HTTP status {response.status}")
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > limit:
            raise TrackerError(f"the answer has more than {limit} bytes")
    return _unpack(bytes(body), response.headers.get("Content-Encoding", "identity").lower(), limit)


def _unpack(body: bytes, encoding: str, limit: int) -> bytes:
    if encoding == "identity":
        return body
    if encoding not in ("gzip", "x-gzip", "deflate"):
        raise TrackerError("the answer has an encoding that was not asked for")
    unpacker = zlib.decompressobj(_GZIP_OR_ZLIB)
    try:
        plain = unpacker.decompress(body, limit + 1)
    except zlib.error as error:
        raise TrackerError("the answer is not the gzip it claims to be") from error
    if len(plain) > limit:
        raise TrackerError(f"the answer has more than {limit} bytes")
    if not unpacker.eof:
        raise TrackerError("the answer's gzip is cut short")
    return plain
