"""Hits become downloads.

With an info-hash (hosts of our own kind tell it) the torrent comes from one of the hosts and is believed
once it hashes to that; the hosts that can be dialed are its first peers, and those that cannot give it bytes
in a row. Without one all give bytes in a row, and the others where nobody who told it has that torrent. They
are checked by what networks told of the file: a tiger tree piece by piece, a SHA-1 in the end, also after a
torrent.

The one hard thing: a hit is a claim, and a host a victim perhaps. Nobody becomes a peer who was not found
there by the network it was named in, and hosts that hosts name are asked by the network, within its budget.
"""

import asyncio
import logging
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Collection,
    Coroutine,
    Iterable,
    Sequence,
)
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from p2pswarm.errors import BusyError, NetworkError, P2PSwarmError, RemoteError
from p2pswarm.formats.metainfo import File, Metainfo
from p2pswarm.formats.thex import TigerTree
from p2pswarm.overlay.network import FileNetwork
from p2pswarm.overlay.query import Hit
from p2pswarm.sources import Part, Sources
from p2pswarm.swarm.loose import LooseData, loose_metainfo
from p2pswarm.swarm.torrent import Torrent
from p2pswarm.swarm.whole import WholeData

__all__ = ["Begin", "Fetching", "renamed"]

log = logging.getLogger(__name__)

MOST_ASKED = 16  # hosts of one file that are asked for its torrent, or its tree
ASK_AGAIN = 10.0  # seconds until a host that has no place now is asked for a torrent again,
MOST_AGAIN = 6  # so many times
TREE_TIME = 60.0  # seconds until a download begins without a tree

Add = Callable[..., Awaitable[Torrent]]
"""`Node.add`."""
Begin = Callable[[Coroutine[Any, Any, None]], None]
"""Something goes on by itself, until it is done or the node ends."""


def renamed(metainfo: Metainfo, name: str) -> Metainfo:
    """A torrent of bytes alone, under the name that somebody gave them."""
    file = File((name,), metainfo.total, 0)
    return replace(metainfo, name=name, files=(file,), single_file=True, renamed={})


class Fetching:
    """`network` gives the one that a hit came from, and raises NetworkError when we left it."""

    def __init__(self, network: Callable[[Hit], FileNetwork], add: Add, begin: Begin) -> None:
        self._network, self._add, self._begin = network, add, begin

    async def download(self, hits: Sequence[Hit], save_to: Path) -> Torrent:
        """One file, from all these hosts at once.

        Raises NetworkError when no host gives what is needed to begin; and what adding a torrent raises.
        """
        first = hits[0]
        hits = [hit for hit in hits if hit.size == first.size]
        info_hash = next((hit.info_hash for hit in hits if hit.info_hash), None)
        asked = [hit for hit in hits if info_hash and hit.info_hash == info_hash][:MOST_ASKED]
        if not asked:
            return await self._loose(hits, save_to)
        offers = _Offers(len(asked))
        for hit in asked:
            self._begin(self._ask(hit, offers))
        try:
            metainfo = await offers.first()
        except NetworkError as error:
            others = [hit for hit in hits if hit not in asked]
            if not others:
                raise
            log.info("%s; from others then", error)
            return await self._loose(others, save_to)
        # Who claims a SHA-1 for a torrent may have made up both: the bytes must have it, too.
        kind = partial(WholeData, sha1=_sha1_of(hits))
        torrent = await self._add(renamed(metainfo, first.filename), save_to=save_to, kind=kind)
        sources = self._sources(torrent, hits)
        sources.add(hit for hit in hits if hit.peer is None)
        self._begin(self._take_in(torrent, offers, sources))
        return torrent

    def _sources(self, torrent: Torrent, hits: Sequence[Hit]) -> Sources:
        """For those of the hosts that give in a row; and what we have of it may be had of us."""
        sources = Sources(self._network, torrent)
        self._begin(sources.judge())
        sha1 = _sha1_of(hits)
        if sha1 is not None and torrent.shareable:
            self._begin(self._lend(torrent, sha1, {hit.network: hit for hit in hits}.values()))
        return sources

    async def _take_in(self, torrent: Torrent, offers: "_Offers", sources: Sources) -> None:
        """Everybody who has it, as soon as that is known.

        Who was dialed for the torrent and answered is a peer; who had to come to us is behind a firewall and
        gives in a row. So nobody is dialed on the word of others.
        """
        async for hit in offers.hosts():
            if hit.peer is not None and self._network(hit).answers(hit.peer):
                torrent.add_peer(hit.peer)
            elif hit.peer is not None:
                sources.add([hit])

    async def _lend(self, torrent: Torrent, sha1: bytes, hits: Collection[Hit]) -> None:
        part = Part(torrent, sha1)
        ends = [self._network(hit).lend(part) for hit in hits]
        try:
            async for _ in torrent.events():
                pass
        finally:
            for end in ends:
                end()

    # Without a torrent

    async def _loose(self, hits: Sequence[Hit], save_to: Path) -> Torrent:
        """Bytes in a row from every host, verified by what the networks told."""
        first, sha1 = hits[0], _sha1_of(hits)
        tree = await self._tree(hits)
        metainfo = loose_metainfo(first.filename, first.size, first.md5, sha1=sha1, tree=tree)
        kind = partial(LooseData, md5=first.md5, sha1=sha1, tree=tree)
        torrent = await self._add(metainfo, save_to=save_to, kind=kind)
        self._sources(torrent, hits).add(hits)
        return torrent

    async def _tree(self, hits: Sequence[Hit]) -> TigerTree | None:
        """Of the first host that has one, if that is soon: without it the SHA-1 is checked in the end."""
        try:
            async with asyncio.timeout(TREE_TIME):
                for hit in [hit for hit in hits if hit.sha1][:MOST_ASKED]:
                    tree = await self._tree_of(hit)
                    if tree is not None:
                        return tree
        except TimeoutError:
            log.info("no tiger tree of %s in %.0f s", hits[0].filename, TREE_TIME)
        return None

    async def _tree_of(self, hit: Hit) -> TigerTree | None:
        """Who has none, or is busy, may give the bytes all the same."""
        try:
            tree = await self._network(hit).tree(hit)
        except RemoteError as error:
            log.info("no tiger tree of %s: %s", hit.filename, error)
            return None
        return tree if tree is not None and tree.size == hit.size else None

    # With one

    async def _ask(self, hit: Hit, offers: "_Offers") -> None:
        """For the torrent, so that the host seeds it: before that nobody need dial it."""
        answer: Metainfo | str = "we stopped asking"
        try:
            answer = await self._answer_of(hit)
        except P2PSwarmError as error:
            answer = str(error)
        finally:
            offers.put(hit, answer)  # whatever ends this: somebody waits for the last one

    async def _answer_of(self, hit: Hit) -> Metainfo | str:
        """Raises FormatError, and what `_torrent_of` raises."""
        metainfo = Metainfo.from_bytes(await self._torrent_of(hit))
        is_it = (metainfo.info_hash, metainfo.total) == (hit.info_hash, hit.size)
        if is_it and len(metainfo.files) == 1:
            return metainfo
        return f"{hit.nick} sends the torrent of something else"

    async def _torrent_of(self, hit: Hit) -> bytes:
        """A host that has no place now is asked again. Raises RemoteError."""
        for _ in range(MOST_AGAIN):
            try:
                return await self._network(hit).torrent(hit)
            except BusyError as error:
                log.debug("%s", error)
                await asyncio.sleep(ASK_AGAIN)
        return await self._network(hit).torrent(hit)


def _sha1_of(hits: Iterable[Hit]) -> bytes | None:
    return next((hit.sha1 for hit in hits if hit.sha1), None)


class _Offers:
    """The answers of several hosts to the question for one torrent: it, or why not."""

    def __init__(self, asked: int) -> None:
        self._left = asked
        self._came: asyncio.Queue[tuple[Hit, Metainfo | str]] = asyncio.Queue()
        self._good: list[Hit] = []

    def put(self, hit: Hit, answer: Metainfo | str) -> None:
        self._came.put_nowait((hit, answer))

    async def first(self) -> Metainfo:
        """Raises NetworkError when nobody has it."""
        while True:
            hit, answer = await self._came.get()
            self._left -= 1
            if isinstance(answer, Metainfo):
                self._good.append(hit)
                return answer
            if not self._left:
                raise NetworkError(f"{hit.filename}: cannot get its torrent: {answer}")

    async def hosts(self) -> AsyncIterator[Hit]:
        """Everybody who has it, beginning with the one whose answer was the first."""
        while True:
            for hit in self._good:
                yield hit
            if not self._left:
                return
            hit, answer = await self._came.get()
            self._left -= 1
            self._good = [hit] if isinstance(answer, Metainfo) else []
