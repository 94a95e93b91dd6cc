"""Hosts that give one download bytes in a row, those that they name, and what is lent of it meanwhile.

What is learned of a host goes back to its network: whose bytes proved right is told on, who lied is not.
"""

import asyncio
from collections.abc import Callable, Collection, Iterable

from p2pswarm.errors import DiskError
from p2pswarm.formats.ids import Address
from p2pswarm.overlay.network import FileNetwork
from p2pswarm.overlay.query import Hit
from p2pswarm.swarm.events import Completed, PeerBanned, PieceDone
from p2pswarm.swarm.torrent import Torrent

__all__ = ["MOST_SOURCES", "Part", "Sources"]

MOST_SOURCES = 100  # hosts that give in a row, of one download


class Sources:
    """Hosts that give one download bytes in a row, and those that they name."""

    def __init__(self, network: Callable[[Hit], FileNetwork], torrent: Torrent) -> None:
        self._network, self._torrent = network, torrent
        self._hosts: dict[object, _Host] = {}

    def add(self, hits: Iterable[Hit]) -> None:
        """Once each."""
        for hit in hits:
            # Who can be dialed by its address, since who is told of in passing has no name.
            dialable = hit.host is not None and hit.host.port and not hit.firewalled
            who = hit.host if dialable else (hit.nick, hit.host)
            if who not in self._hosts and len(self._hosts) < MOST_SOURCES:
                host = self._hosts[who] = _Host(self._network(hit), hit, self)
                self._torrent.add_source(host)

    async def judge(self) -> None:
        """Tell the networks whose bytes proved good, until the torrent ends."""
        async for event in self._torrent.events():
            match event:
                case PeerBanned(address=address):
                    self._tell({address}, good=False)
                case PieceDone() if self._torrent.shareable:  # else nobody can tell yet
                    self._tell(self._givers(), good=True)
                case Completed():
                    self._tell(self._givers(), good=True)
                case _:
                    pass

    def _givers(self) -> set[Address]:
        """Whose bytes were right."""
        return {source.address for source in self._torrent.sources if source.proved}

    def _tell(self, addresses: Collection[Address], *, good: bool) -> None:
        for host in self._hosts.values():
            if host.address in addresses and host.good not in (good, False):
                host.good = good
                host.network.judge(host.hit, good=good)


class _Host:
    """A hit's host, as a source of bytes for a torrent."""

    def __init__(self, network: FileNetwork, hit: Hit, sources: Sources) -> None:
        self.address = hit.host or Address(hit.nick, 0)
        self.network, self.hit = network, hit
        self.good: bool | None = None  # as far as its network was told
        self._sources = sources

    async def fetch(
        self, offset: int, sink: Callable[[bytes], bool], gate: asyncio.Event
    ) -> object:
        def took(data: bytes) -> bool:
            self._look_around()  # a slow host may have named faster ones long before it is done
            return sink(data)

        try:
            return await self.network.fetch(self.hit, offset, took, gate)
        finally:
            self._look_around()

    def _look_around(self) -> None:
        self._sources.add(self.network.others(self.hit))


class Part:
    """What a download has, for others who want it (`overlay.network.Part`)."""

    def __init__(self, torrent: Torrent, sha1: bytes) -> None:
        self.sha1, self.size = sha1, torrent.metainfo.total
        self._torrent = torrent

    def ranges(self) -> list[tuple[int, int]]:
        """The verified parts, as (start, end), in order."""
        length = self._torrent.piece_length
        return [
            (start * length, min(end * length, self.size))
            for start, end in self._torrent.picker.have.runs()
        ]

    async def read(self, at: int, buffer: memoryview) -> None:
        """Fill it with verified bytes. Raises DiskError."""
        done: asyncio.Future[DiskError | None] = asyncio.get_running_loop().create_future()

        def read(error: DiskError | None) -> None:
            if not done.done():
                done.set_result(error)

        self._torrent.read(at, [buffer], read)
        error = await done
        if error is not None:
            raise error
