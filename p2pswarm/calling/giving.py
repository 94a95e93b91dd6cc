"""Files given to somebody in a call: offered, and seeded to him alone when he takes them."""

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from typing_extensions import override

from p2pswarm.calling.call import Call
from p2pswarm.calling.parcels import Results, Side, described, let_in
from p2pswarm.errors import NetworkError, RemoteProtocolError
from p2pswarm.formats.ids import InfoHash, PeerId
from p2pswarm.net.stream import Stream
from p2pswarm.swarm.greeting import Answering, Host
from p2pswarm.wire.calling.frames import CallFrame
from p2pswarm.wire.calling.lists import ParcelKind
from p2pswarm.wire.calling.parcels import Done, Offer, Open, Take, TorrentPart
from p2pswarm.wire.peer import HandshakeFramer

if TYPE_CHECKING:
    from p2pswarm.swarm.torrent import Torrent

__all__ = ["Giving"]

ASKED_FOR = 300.0  # seconds until somebody says what he takes
MOST_STREAMS = 8


class Giving(Side):
    """To one person. `run` ends when everything that was taken has arrived."""

    def __init__(self, call: Call, me: PeerId, torrents: Sequence["Torrent"]) -> None:
        super().__init__(call, me)
        self._torrents = torrents
        self._taken = asyncio.Event()
        self._given: dict[int, Torrent] = {}
        self._done: dict[int, str] = {}
        self._changed = asyncio.Event()
        self._tasks: asyncio.TaskGroup | None = None

    async def run(self) -> Results:
        """What became of each. Raises RemoteError when the call is lost or the other side lies."""
        await self._until_over(self._give())
        return {
            each.metainfo.name: self._done.get(index, "not taken")
            for index, each in enumerate(self._torrents)
        }

    async def _give(self) -> None:
        parcels = tuple(described(each.metainfo) for each in self._torrents)
        async with asyncio.TaskGroup() as self._tasks:
            self._call.line.say(Offer.kind, Offer(parcels).encode())
            await self._until_taken()
            for index, torrent in self._given.items():
                await self._say_torrent(index, torrent.metainfo.raw)
            while self._given.keys() - self._done.keys():
                self._changed.clear()
                await self._changed.wait()
            for tunnel in self._tunnels.values():
                tunnel.abort()

    async def _until_taken(self) -> None:
        """Somebody has to be asked there. Raises NetworkError."""
        try:
            async with asyncio.timeout(ASKED_FOR):
                await self._taken.wait()
        except TimeoutError as error:
            raise NetworkError(f"{self._call.other} does not say what to do with it") from error

    async def _say_torrent(self, index: int, raw: bytes) -> None:
        for at in range(0, len(raw), TorrentPart.most):
            await self._call.line.room()
            part = TorrentPart(index, raw[at : at + TorrentPart.most])
            self._call.line.say(part.kind, part.encode())

    @override
    def _heard(self, frame: CallFrame) -> None:
        match frame.kind:
            case ParcelKind.TAKE:
                self._got_take(Take.read(frame.body))
            case ParcelKind.DONE:
                done = Done.read(frame.body)
                if done.index in self._given:
                    self._done[done.index] = done.why_not
                    self._changed.set()
            case ParcelKind.OPEN:
                self._got_open(Open.read(frame.body))
            case _:
                super()._heard(frame)

    def _got_take(self, take: Take) -> None:
        if self._taken.is_set() or any(each >= len(self._torrents) for each in take.indexes):
            raise RemoteProtocolError(f"{self._call.other} takes what was not offered")
        self._given = {index: self._torrents[index] for index in take.indexes}
        self._taken.set()

    def _got_open(self, opened: Open) -> None:
        torrent = self._given.get(opened.index)
        known = opened.stream in self._tunnels
        if torrent is None or known or self._tasks is None or len(self._tunnels) >= MOST_STREAMS:
            raise RemoteProtocolError(f"{self._call.other} opens streams about nothing")
        stream = Stream(HandshakeFramer(self._scratch), _Nobody())
        find = _host_of(torrent)
        answering = Answering(stream, self._me, find, lambda why: None)
        stream.switch(HandshakeFramer(self._scratch), answering)
        self._tasks.create_task(self._run(self._begin(opened.stream, stream)))


def _host_of(torrent: "Torrent") -> Callable[[InfoHash], Host | None]:
    names = torrent.finding.names

    def find(info_hash: InfoHash) -> Host | None:
        if info_hash not in names.swarms or not torrent.ready:
            return None
        return Host(lambda who: let_in(torrent.welcome, who), names.short)

    return find


class _Nobody:
    """On a stream that speaks no language yet."""

    def got(self, message: object) -> None:
        """Nothing is said to it."""

    def caught_up(self) -> None:
        """Nor that anything was."""

    def drained(self) -> None:
        """It says nothing."""

    def closed(self, reason: Exception | None) -> None:
        """It has nothing to lose."""
