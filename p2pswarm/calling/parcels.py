"""Files given and taken in a call: each is a torrent, and both sides are the only peers of its swarm.

The giver offers names and sizes, the taker takes what he likes and gets the torrents of that; then he opens a
stream in the call for each, on which both speak BitTorrent. So it goes on where it stopped, every piece is
verified, and one torrent may be given to several people at once.

The one hard thing: the torrent is a stranger's. Whatever would have us ask others (trackers, web seeds, a
swarm that is not private) is refused, and so is what was not offered: another name, another size.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from itertools import count
from typing import TYPE_CHECKING, Protocol

from typing_extensions import override

from p2pswarm.calling.call import Call
from p2pswarm.calling.session import Session
from p2pswarm.calling.tunnel import Tunnel
from p2pswarm.errors import HostError, NetworkError, RemoteError, RemoteProtocolError
from p2pswarm.formats.ids import InfoHash, PeerId
from p2pswarm.formats.metainfo import Metainfo
from p2pswarm.net.stream import Stream
from p2pswarm.swarm.greeting import Answering, Asking, Greeted, Host
from p2pswarm.wire.calling.frames import CallFrame
from p2pswarm.wire.calling.parcels import (
    Bytes,
    Done,
    Offer,
    Open,
    Parcel,
    ParcelKind,
    Shut,
    Take,
    TorrentPart,
)
from p2pswarm.wire.framer import Scratch
from p2pswarm.wire.peer import HandshakeFramer

if TYPE_CHECKING:
    from p2pswarm.swarm.torrent import Torrent

__all__ = ["Decide", "Giving", "Results", "Swarms", "Taking"]

ASKED_FOR = 300.0  # seconds until somebody says what he takes
OFFER_TIME = 30.0  # seconds
MOST_STREAMS = 8
AGAIN = 1.0  # seconds until another stream is opened
FRUITLESS = 5  # streams without a new piece, then it is given up

Results = dict[str, str]
"""Of each name why it did not arrive; empty where it did."""
Decide = Callable[[Offer], Awaitable[Sequence[int]]]
"""Which of those are taken, by their place."""


class Swarms(Protocol):
    """What is needed of the node."""

    me: PeerId

    async def remove(self, torrent: "Torrent") -> None: ...


class _Side(Session):
    """What both sides share: streams come and go."""

    def __init__(self, call: Call, me: PeerId) -> None:
        super().__init__(call)
        self._me = me
        self._scratch = Scratch()
        self._tunnels: dict[int, Tunnel] = {}
        self._holds = False

    @override
    def _heard(self, frame: CallFrame) -> None:
        """Raises RemoteProtocolError."""
        match frame.kind:
            case ParcelKind.BYTES:
                said = Bytes.read(frame.body)
                if said.stream in self._tunnels:  # else it ended here a moment ago
                    self._tunnels[said.stream].got(said.data)
            case ParcelKind.SHUT:
                ended = Shut.read(frame.body)
                if ended.stream in self._tunnels:
                    self._tunnels[ended.stream].shut()
            case _:
                """Of tomorrow."""

    def _begin(self, number: int, stream: Stream) -> Tunnel:
        """Whoever gets it runs it (`_run`)."""
        # Addresses that nobody can have (RFC 6666): one for each, and never dialed.
        tunnel = Tunnel(self._call.line, number, stream, f"100::{number + 1:x}")
        tunnel.held = self._hold_or_free
        self._tunnels[number] = tunnel
        tunnel.begin()
        return tunnel

    async def _run(self, tunnel: Tunnel) -> None:
        """Until that stream is over."""
        try:
            await tunnel.run()
        finally:
            del self._tunnels[tunnel.number]
            self._hold_or_free()

    def _hold_or_free(self) -> None:
        holds = any(tunnel.full for tunnel in self._tunnels.values())
        if holds != self._holds:
            self._holds = holds
            (self._call.line.hold if holds else self._call.line.free)()


class Giving(_Side):
    """To one person. `run` ends when everything that was taken has arrived."""

    def __init__(self, call: Call, me: PeerId, torrents: Sequence["Torrent"]) -> None:
        super().__init__(call, me)
        self._torrents = torrents
        self._taken = asyncio.Event()
        self._given: dict[int, Torrent] = {}
        self._done: dict[int, str] = {}
        self._changed = asyncio.Event()
        self._streams: asyncio.TaskGroup | None = None

    async def run(self) -> Results:
        """What became of each. Raises RemoteError when the call is lost or the other side lies."""
        await self._until_over(self._give())
        return {
            each.metainfo.name: self._done.get(index, "not taken")
            for index, each in enumerate(self._torrents)
        }

    async def _give(self) -> None:
        parcels = tuple(_described(each.metainfo) for each in self._torrents)
        async with asyncio.TaskGroup() as self._streams:
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
        if torrent is None or known or self._streams is None or len(self._tunnels) >= MOST_STREAMS:
            raise RemoteProtocolError(f"{self._call.other} opens streams about nothing")
        stream = Stream(HandshakeFramer(self._scratch), _Nobody())
        find = _host_of(torrent)
        answering = Answering(stream, self._me, find, lambda why: None)
        stream.switch(HandshakeFramer(self._scratch), answering)
        self._streams.create_task(self._run(self._begin(opened.stream, stream)))


class Taking(_Side):
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
            names.swarms[0], self._me, lambda who: _in(welcome, who), _forget, v2=names.short
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


def _described(metainfo: Metainfo) -> Parcel:
    return Parcel(metainfo.name, metainfo.total, len(metainfo.files), len(metainfo.raw))


def _checked(raw: bytes, parcel: Parcel) -> Metainfo:
    """Raises FormatError, RemoteProtocolError."""
    metainfo = Metainfo.from_bytes(raw)
    if _described(metainfo) != parcel:
        raise RemoteProtocolError(f"{parcel.name}: the torrent is not of what was offered")
    if not metainfo.private or metainfo.trackers or metainfo.web_seeds:
        raise RemoteProtocolError(f"{parcel.name}: the torrent would have us ask others")
    return metainfo


def _host_of(torrent: "Torrent") -> Callable[[InfoHash], Host | None]:
    names = torrent.finding.names

    def find(info_hash: InfoHash) -> Host | None:
        if info_hash not in names.swarms or not torrent.ready:
            return None
        return Host(lambda who: _in(torrent.welcome, who), names.short)

    return find


def _in(welcome: Callable[[Greeted], object], who: Greeted) -> None:
    """One that has no place is closed by whoever had none."""
    welcome(who)


def _forget(why: Exception | None) -> None:
    """That stream is over; who waits for it hears of that."""


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
