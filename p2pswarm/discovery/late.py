"""`HttpFetch` and `Ranged` for a node that may never need one.

aiohttp takes a tenth of a second and 15 MB to import, and a node whose torrents name no tracker asks nobody.
So it is imported with the first request, in a thread: the loop goes on meanwhile.
"""

import asyncio
from collections.abc import Callable, Sequence
from socket import AF_UNSPEC, AddressFamily
from typing import TYPE_CHECKING

from p2pswarm.net.binding import EVERYWHERE
from p2pswarm.wire.tracker import MAX_REPLY

if TYPE_CHECKING:
    from p2pswarm.discovery.fetch import HttpFetch
    from p2pswarm.discovery.ranged import Ranged
    from p2pswarm.formats.webseeds import Known, Part

__all__ = ["LateFetch", "LateRanged"]


class LateFetch:
    """The same verbs; they raise what `HttpFetch` raises."""

    def __init__(self, *, hosts: Sequence[str] = EVERYWHERE) -> None:
        self._hosts = hosts
        self._fetch: HttpFetch | None = None

    async def __call__(self, url: str, seconds: float, family: AddressFamily = AF_UNSPEC) -> bytes:
        """A tracker's answer, at most 1 MiB; only over one family, if one is named. Raises TrackerError."""
        return await (await self._ready())(url, seconds, family)

    async def get(self, url: str, seconds: float = 30.0, *, limit: int = MAX_REPLY) -> bytes:
        """The body of a 200 answer of at most `limit` bytes. Raises TrackerError."""
        return await (await self._ready()).get(url, seconds, limit=limit)

    async def aclose(self) -> None:
        """May be called twice."""
        if self._fetch is not None:
            await self._fetch.aclose()

    async def _ready(self) -> "HttpFetch":
        if self._fetch is None:
            return self._made(await asyncio.to_thread(_import))
        return self._fetch

    def _made(self, kind: "type[HttpFetch]") -> "HttpFetch":
        """One for all that asked while it was imported."""
        if self._fetch is None:
            self._fetch = kind(hosts=self._hosts)
        return self._fetch


def _import() -> "type[HttpFetch]":
    from p2pswarm.discovery.fetch import HttpFetch

    return HttpFetch


class LateRanged:
    """The same for parts of files from web servers; `near` allows those in our own network."""

    def __init__(self, *, near: bool, hosts: Sequence[str] = EVERYWHERE) -> None:
        self._near, self._hosts = near, hosts
        self._ranged: Ranged | None = None

    async def fetch(
        self, part: "Part", known: "Known", sink: Callable[[bytes], bool], gate: asyncio.Event
    ) -> bool:
        """Whether more is wanted. Raises BusyError, RefusedError, ChangedError, NetworkError."""
        if self._ranged is None:
            await asyncio.to_thread(_import_ranged)
        if self._ranged is None:  # and nobody else made it meanwhile
            self._ranged = _import_ranged().opened(near=self._near, hosts=self._hosts)
        return await self._ranged.fetch(part, known, sink, gate)

    async def aclose(self) -> None:
        """May be called twice."""
        if self._ranged is not None:
            await self._ranged.aclose()


def _import_ranged() -> "type[Ranged]":
    from p2pswarm.discovery.ranged import Ranged

    return Ranged
