"""Web seeds: ordinary servers that have a torrent's files, beside the peers (BEP 19).

To the piece map a web seed is a host that gives bytes in a row (`swarm/ranges.py`), with two connections once
it has shown that it gives parts: the stretch of one is followed by the next one at once, on the same
connection as a rule. What lands is hashed like any peer's block, and a web seed that lied is asked no more.

The one hard thing is a server's health, which all its connections share. Who is busy says how long; who
fails rests, each time twice as long, and is never given up, for a server that is mended tells nobody. A file
that it does not have is not its failure: pieces that reach into that file come from others for a while.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Protocol
from urllib.parse import urlsplit, urlunsplit

from typing_extensions import override

from p2pswarm.errors import BusyError, ChangedError, NetworkError, RefusedError, RemoteError
from p2pswarm.formats.ids import Address
from p2pswarm.formats.metainfo import Metainfo
from p2pswarm.formats.webseeds import Known, Part, parts, usable
from p2pswarm.swarm.ranges import RangeSource, SourceHome

__all__ = ["WebSeedStatus", "WebSeeds"]

log = logging.getLogger(__name__)

CONNECTIONS = 2  # to one web seed
MOST_ACTIVE = 6  # connections to all of a torrent
SHARE_FROM = 4 << 20  # bytes that are missing: with fewer, one connection to a web seed will do
BUSY_REST = 30.0  # seconds, when a server does not say how long: libtorrent's urlseed_wait_retry
FIRST_REST = 30.0  # seconds after a failure; twice as many after each one more
LONGEST_REST = 3600.0
MISSING_REST = 1800.0  # seconds until a file that was not there is asked for again
MANY_MISSING = 5  # files in a row: that is no server of this torrent
MOST_KNOWN = 1000  # files of which we remember what the server showed
ZEROS = bytes(64 << 10)  # of a pad file, at a time

Sink = Callable[[bytes], bool]


class Getting(Protocol):
    """`discovery.ranged.Ranged`."""

    async def fetch(self, part: Part, known: Known, sink: Sink, gate: asyncio.Event) -> bool: ...


@dataclass(frozen=True, slots=True)
class WebSeedStatus:
    """What a person wants to see of a web seed.

    `state` is one of "not contacted", "idle", "downloading", "resting", "banned".
    """

    url: str
    state: str
    downloaded: int
    down_rate: float
    failures: int
    retry_in: float | None
    """Seconds."""
    message: str


class WebSeed:
    """One of a torrent's servers, and how it is."""

    def __init__(self, url: str, metainfo: Metainfo, clock: Callable[[], float]) -> None:
        self.url, self.metainfo = url, metainfo
        self.address = _address(url)
        self.sources: list[WebSource] = []
        self.failures = 0  # in a row
        self.due = float("-inf")  # when it may be asked again
        self.trouble = ""
        self.banned = False
        self.parts = False  # it has given parts of files
        self._clock = clock
        self._missing: dict[int, float] = {}  # files, and until when
        self._missing_now = 0  # in a row
        self._known: OrderedDict[int, Known] = OrderedDict()

    def known(self, file: int) -> Known:
        """What it has shown of this file."""
        known = self._known.pop(file, None) or Known()
        self._known[file] = known
        while len(self._known) > MOST_KNOWN:
            self._known.popitem(last=False)
        return known

    def lacks(self, file: int) -> bool:
        return self._missing.get(file, 0.0) > self._clock()

    def offers(self) -> Sequence[tuple[int, int]] | None:
        """The bytes of the torrent that it has, as (start, end); None: all."""
        now = self._clock()
        self._missing = {file: until for file, until in self._missing.items() if until > now}
        if not self._missing:
            return None
        files, start, offers = self.metainfo.files, 0, []
        for number in sorted(self._missing):
            offers.append((start, files[number].offset))
            start = files[number].offset + files[number].length
        offers.append((start, self.metainfo.total))
        return [(start, end) for start, end in offers if start < end]

    def gave(self) -> None:
        self.failures = self._missing_now = 0
        if not self.banned:
            self.trouble = ""

    def failed(self, error: RemoteError, file: int) -> None:
        """What this says about it."""
        text = f"{self.address.host}: {error}"
        # Once: who waits for the file wants to know why nothing comes.
        log.log(logging.INFO if self.trouble else logging.WARNING, "%s", text)
        self.trouble = text
        match error:
            case BusyError():
                self.due = self._clock() + (error.retry_in or BUSY_REST)
            case RefusedError():
                self._missing[file] = self._clock() + MISSING_REST
                self._missing_now += 1
                if self._missing_now % MANY_MISSING == 0:
                    self._rest()
            case _:
                self._rest()

    def _rest(self) -> None:
        self.due = self._clock() + min(FIRST_REST * 2.0**self.failures, LONGEST_REST)
        self.failures = min(self.failures + 1, 20)

    def status(self) -> WebSeedStatus:
        wait = self.due - self._clock()
        rate = sum(source.down.rate for source in self.sources)
        return WebSeedStatus(
            url=shown(self.url),
            state=self._state(wait),
            downloaded=sum(source.down.total for source in self.sources),
            down_rate=rate,
            failures=self.failures,
            retry_in=wait if wait > 0 and not self.banned else None,
            message=self.trouble,
        )

    def _state(self, wait: float) -> str:
        if self.banned:
            return "banned"
        if any(source.active for source in self.sources):
            return "downloading"
        return "resting" if wait > 0 or self._missing else "idle"


class WebConnection:
    """One connection to a web seed, as a host that gives in a row; what goes wrong is the seed's trouble."""

    def __init__(self, seed: WebSeed, getting: Getting, source: "WebSource") -> None:
        self.address = seed.address
        self._seed, self._getting, self._source = seed, getting, source

    async def fetch(self, offset: int, sink: Sink, gate: asyncio.Event) -> None:
        seed = self._seed
        end = self._source.row_end(offset)
        for part in parts(seed.metainfo, seed.url, offset, end):
            if seed.banned or seed.lacks(part.file):
                return
            try:
                more = await self._give(part, sink, gate)
            except ChangedError as error:
                log.info("%s: %s", self.address.host, error)
                self._source.begin_anew()
                return
            except NetworkError as error:
                seed.failed(error, part.file)
                return
            if not more:
                return

    async def _give(self, part: Part, sink: Sink, gate: asyncio.Event) -> bool:
        """Whether more is wanted. Raises NetworkError."""
        if not part.url:
            return await self._pad(part.end - part.start, gate)
        seed, before = self._seed, self._source.down.total
        known = seed.known(part.file)
        try:
            return await self._getting.fetch(part, known, sink, gate)
        finally:
            seed.parts |= bool(known.ranges)
            if self._source.down.total > before:
                seed.gave()

    async def _pad(self, n: int, gate: asyncio.Event) -> bool:
        while n > 0:
            await gate.wait()
            if not self._source.padded(ZEROS[:n]):
                return False
            n -= len(ZEROS)
            await asyncio.sleep(0)  # a pad file may be as long as any
        return True


class WebSource(RangeSource):
    """A connection to a web seed, joined to the piece map."""

    _at_once = True

    def __init__(
        self, seed: WebSeed, seeds: "WebSeeds", getting: Getting, home: SourceHome
    ) -> None:
        super().__init__(WebConnection(seed, getting, self), home)
        self._seed, self._seeds = seed, seeds

    @property
    @override
    def due(self) -> float:
        return max(super().due, self._seed.due)

    @override
    def _may_begin(self, now: float) -> bool:
        seed = self._seed
        first = not any(source.active for source in seed.sources)
        shared = seed.parts and self._home.picker.left >= SHARE_FROM
        return super()._may_begin(now) and (first or shared) and self._seeds.active < MOST_ACTIVE

    @override
    def _offered(self) -> Sequence[tuple[int, int]] | None:
        return self._seed.offers()

    def row_end(self, offset: int) -> int:
        """Up to where nobody else fetches: asked for no more, the connection can be used again."""
        length, total, picker = (
            self._home.piece_length,
            self._seed.metainfo.total,
            self._home.picker,
        )
        taken = picker.foremost(picker.takable()).find(0, offset // length)
        end = self._until if taken < 0 else min(taken, self._until)
        return min(end * length, total)

    def padded(self, zeros: bytes) -> bool:
        """The row goes on with a pad file: nobody sent these. Whether more is wanted."""
        return self._take(zeros)

    def begin_anew(self) -> None:
        """What has come of unfinished pieces is of another version of a file."""
        for piece in self._home.picker.unfinished(self._seed.sources):
            self._home.begin_anew(piece)

    @override
    def close(self, reason: Exception | None = None) -> None:
        """It lied: on no connection it is asked again."""
        self._seed.banned, self._seed.trouble = True, f"{self.address.host}: {reason}"
        for source in self._seed.sources:
            RangeSource.close(source, reason)


class WebSeeds:
    """Those of one torrent. `begin` when it has something to fetch: seeds have none."""

    def __init__(self, metainfo: Metainfo, getting: Getting, clock: Callable[[], float]) -> None:
        self._getting = getting
        self._metainfo, self._clock = metainfo, clock
        self._seeds: list[WebSeed] = []

    def begin(self, home: SourceHome, dice: Random) -> Sequence[RangeSource]:
        """The connections, once; whoever has them ticks them. In any order: no server gets all clients."""
        if self._seeds:
            return ()
        urls = usable(self._metainfo.web_seeds)
        self._seeds = [WebSeed(url, self._metainfo, self._clock) for url in urls]
        for seed in self._seeds:
            seed.sources += [WebSource(seed, self, self._getting, home) for _ in range(CONNECTIONS)]
        order = dice.sample(self._seeds, len(self._seeds))
        return [source for seed in order for source in seed.sources]

    @property
    def active(self) -> int:
        """Connections on which something is asked for."""
        return sum(source.active for seed in self._seeds for source in seed.sources)

    def status(self) -> tuple[WebSeedStatus, ...]:
        if not self._seeds:
            urls = map(shown, usable(self._metainfo.web_seeds))
            return tuple(WebSeedStatus(url, "not contacted", 0, 0.0, 0, None, "") for url in urls)
        return tuple(seed.status() for seed in self._seeds)


def shown(url: str) -> str:
    """The URL without what may be a secret: a name and a password, or a query."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path, "…" if parts.query else "", ""))


def _address(url: str) -> Address:
    """Whom to name. What is no URL will be refused when it is asked."""
    try:
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        return Address(parts.hostname or "?", port)
    except ValueError:
        return Address("?", 0)
