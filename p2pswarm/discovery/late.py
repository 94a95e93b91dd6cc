"""The HTTP client, loaded when somebody first asks: a node whose torrents have no tracker never pays for it.

Loading takes a tenth of a second and ten megabytes, which is more than all the rest of a node.
"""

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from p2pswarm.discovery.fetch import HttpFetch

__all__ = ["LateFetch"]


class LateFetch:
    """`HttpFetch`, as far as a node uses it."""

    def __init__(self, *, bind: str | None = None) -> None:
        self._bind = bind
        self._fetch: HttpFetch | None = None

    async def __call__(self, url: str, seconds: float) -> bytes:
        """A tracker's answer. Raises TrackerError."""
        fetch = await self._loaded()
        return await fetch(url, seconds)

    async def get(self, url: str, *, limit: int) -> bytes:
        """The body of a 200 answer of at most `limit` bytes. Raises TrackerError."""
        fetch = await self._loaded()
        return await fetch.get(url, limit=limit)

    async def aclose(self) -> None:
        """May be called twice."""
        if self._fetch is not None:
            await self._fetch.aclose()

    async def _loaded(self) -> "HttpFetch":
        if self._fetch is None:
            kind = await asyncio.to_thread(_load)  # the loop goes on meanwhile
            self._open(kind)
        assert self._fetch is not None
        return self._fetch

    def _open(self, kind: "type[HttpFetch]") -> None:
        """Several may have waited for the loading; there is one client."""
        if self._fetch is None:
            self._fetch = kind(bind=self._bind)


def _load() -> "type[HttpFetch]":
    from p2pswarm.discovery.fetch import HttpFetch

    return HttpFetch
