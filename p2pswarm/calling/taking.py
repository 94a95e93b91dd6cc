"""Files taken from somebody in a call: what is liked of his offer, downloaded from him alone, and verified.

The one hard thing: the torrent is a stranger's. Whatever would have us ask others (trackers, web seeds, a
swarm that is not private) is refused, and so is what was not offered: another name, another size.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from itertools import count
from typing import TYPE_CHECKING, Protocol

from typing_extensions import override

from p2pswarm.calling.call import Call
from p2pswarm.calling.parcels import Results, Side, described, let_in
from p2pswarm.errors import HostError, NetworkError, RemoteError, RemoteProtocolError
from p2pswarm.formats.ids import PeerId
from p2pswarm.formats.metainfo import Metainfo
from p2pswarm.net.stream import Stream
from p2pswarm.swarm.greeting import Asking, Greeted
from p2pswarm.wire.calling.frames import CallFrame
from p2pswarm.wire.calling.lists import ParcelKind
from p2pswarm.wire.calling.parcels import Done, Offer, Open, Parcel, Take, TorrentPart
from p2pswarm.wire.peer import HandshakeFramer

if TYPE_CHECKING:
    from p2pswarm.swarm.torrent import Torrent

__all__ = ["Decide", "Swarms", "Taking"]

OFFER_TIME = 30.0  # seconds
AGAIN = 1.0  # seconds until another stream is opened
FRUITLESS = 5  # streams without a new piece, then it is given up

Decide = Callable[[Offer], Awaitable[Sequence[int]]]
"""Which of those are taken, by their place."""


class Swarms(Protocol):
    """What is needed of the node."""

    me: PeerId

    async def remove(self, torrent: "Torrent") -> None: ...


class Taking(Side):
    """From one person. `run` ends when everything that is taken is here, or cannot be."""

    def __init__(
        self,
        call: Call,
        swarms: Swarms,
        decide: Decide,
        add: Callable[[Metainfo], Awaitable["Torrent"]],
        told: Callable[["Torrent"], None] = lambda torrent: None,
    ) -> None:
        """`add` begins or goes on with a download; `told` hears of each, to show how far it is."""
        super().__init__(call, swarms.me)
        self._swarms, self._decide, self._add, self._told = swarms, decide, add, told
        self._offered: asyncio.Future[Offer] = asyncio.get_running_loop().create_future()
        self._raw: dict[int, bytearray] = {}
        self._came = asyncio.Event()
        self._numbers = count()

    async def run(self) -> Results:
        """What became of each that was taken. Raises RemoteError when the call is lost."""
        results: Results = {}
        await self._until_over(self._take(results))
        return results

    async def _take(self, results: Results) -> None:
        async with asyncio.timeout(OFFER_TIME):
            offer = await self._offered
        taken = sorted(set(await self._decide(offer)))
        self._raw = {index: bytearray() for index in taken}
        self._call.line.say(Take.kind, Take(tuple(taken)).encode())
        for index in taken:
            parcel = offer.parcels[index]
            try:
                await self._take_one(index, parcel)
            except (HostError, RemoteError) as error:
                results[parcel.name] = str(error)
            else:
                results[parcel.name] = ""
            done = Done(index, results[parcel.name])
            self._call.line.say(done.kind, done.encode())
        await self._call.line.settle()

    async def _take_one(self, index: int, parcel: Parcel) -> None:
        """Raises RemoteError, HostError."""
        while len(self._raw[index]) < parcel.torrent:
            self._came.clear()
            await self._came.wait()
        metainfo = _checked(bytes(self._raw[index]), parcel)
        self._raw[index].clear()
        torrent = await self._add(metainfo)
        self._told(torrent)
        asking = asyncio.ensure_future(self._ask(index, torrent))
        finished = asyncio.ensure_future(torrent.finished())
        try:
            await asyncio.wait({asking, finished}, return_when=asyncio.FIRST_COMPLETED)
            (finished if finished.done() else asking).result()
        finally:
            for task in (asking, finished):
                task.cancel()
            await asyncio.wait({asking, finished})
            await self._swarms.remove(torrent)

    async def _ask(self, index: int, torrent: "Torrent") -> None:
        """On one stream after the other, while that helps. Raises NetworkError."""
        events = torrent.events()
        while not torrent.ready:
            await anext(events)
        fruitless = 0
        while fruitless < FRUITLESS:
            before = torrent.status().have
            await self._ask_once(index, torrent)
            fruitless = fruitless + 1 if torrent.status().have == before else 0
            await asyncio.sleep(AGAIN)
        raise NetworkError(f"{self._call.other} gives no more of it")

    async def _ask_once(self, index: int, torrent: "Torrent") -> None:
        names = torrent.finding.names
        welcome: Callable[[Greeted], object] = torrent.welcome
        asking = Asking(
            names.swarms[0], self._me, lambda who: let_in(welcome, who), _forget, v2=names.short
        )
        opened = Open(next(self._numbers), index)
        self._call.line.say(opened.kind, opened.encode())
        stream = Stream(HandshakeFramer(self._scratch), asking)
        tunnel = self._begin(opened.stream, stream)
        asking.begin(stream)
        await self._run(tunnel)

    @override
    def _heard(self, frame: CallFrame) -> None:
        match frame.kind:
            case ParcelKind.OFFER:
                if self._offered.done():
                    raise RemoteProtocolError(f"{self._call.other} offers twice")
                self._offered.set_result(Offer.read(frame.body))
            case ParcelKind.TORRENT:
                self._got_torrent(TorrentPart.read(frame.body))
            case _:
                super()._heard(frame)

    def _got_torrent(self, part: TorrentPart) -> None:
        held = self._raw.get(part.index)
        if held is None:
            raise RemoteProtocolError(f"{self._call.other} sends a torrent that nobody took")
        held += part.data
        if len(held) > self._offered.result().parcels[part.index].torrent:
            raise RemoteProtocolError(f"{self._call.other} sends a longer torrent than was offered")
        self._came.set()


def _checked(raw: bytes, parcel: Parcel) -> Metainfo:
    """Raises FormatError, RemoteProtocolError."""
    metainfo = Metainfo.from_bytes(raw)
    if described(metainfo) != parcel:
        raise RemoteProtocolError(f"{parcel.name}: the torrent is not of what was offered")
    if not metainfo.private or metainfo.trackers or metainfo.web_seeds:
        raise RemoteProtocolError(f"{parcel.name}: the torrent would have us ask others")
    return metainfo


def _forget(why: Exception | None) -> None:
    """That stream is over; who waits for it hears of that."""
