"""The trackers of one torrent, by HTTP and by UDP: whom to announce to, when, and what they said.

BEP 12 orders trackers in tiers. All tiers are announced to at once, as every client of today offers; inside
a tier the trackers are asked in turn until one names somebody, and one that works moves to the front. A
tracker that answers and names nobody, or names peers that do not help (`need_more`), is no reason not to
ask the next one of its tier: it may be wrong, or lie.

Each tracker keeps its own times. It is asked again after its interval; earlier, but not before its
`min interval`, when the torrent is short of peers; after a failure it rests, longer each time. Nothing
else makes us ask, so a tracker that lies cannot make us hammer anybody.

An announce is sent over IPv4 and over IPv6, each with the same key (BEP 7); `ipv6=` is not sent, because
trackers must not believe it. What was answered counts as one answer, and one family that fails as none.
"""

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable, Container, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address
from random import Random
from socket import AF_UNSPEC, AddressFamily
from urllib.parse import urlsplit

from typing_extensions import override

from p2pswarm.discovery.families import of_each, together
from p2pswarm.discovery.source import Progress
from p2pswarm.discovery.udp_trackers import UdpTrackers
from p2pswarm.errors import FormatError, TrackerError
from p2pswarm.formats.ids import Address, InfoHash, PeerId
from p2pswarm.wire.tracker import Announce, Event, Reply, Scrape, ScrapeReply

__all__ = ["Body", "Fetch", "TrackerStatus", "Trackers", "backoff", "scrape"]


class Body(bytes):
    """What an HTTP server answered; `far` when it is on the Internet, or sent us there and back."""

    far = False


Fetch = Callable[[str, float, AddressFamily], Awaitable[bytes]]
"""URL, seconds, over which family -> the body of the answer; raises TrackerError. The door to the network."""

NUMWANT = 200  # what libtorrent asks for
MAX_TRACKERS = 100  # of one torrent: a longer list is a way to make us knock at strangers' doors
_TIMEOUT = 30.0  # seconds for one announce, libtorrent's total
_FAREWELL = 2.0  # seconds for all `stopped` together, qBittorrent's number
_LEAST_BETWEEN = 120  # seconds, Transmission's floor where a tracker names no minimum
_TRY_THEM = 10.0  # seconds in which named peers get a chance before we say that they do not help
_LONGEST_REST = 1800.0  # seconds
_LONGEST_SLEEP = 86400.0  # seconds: the loop's timers do not take "for ever"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TrackerStatus:
    """What a person wants to see of a tracker; times are seconds from now.

    `state` is one of "working", "failed", "updating", "unsupported", "not contacted".
    """

    url: str
    tier: int
    state: str
    seeds: int | None
    leechers: int | None
    peers: int | None
    next_announce: float | None
    failures: int
    message: str


def backoff(failures: int, dice: Random) -> float:
    """Seconds to rest after this many failures in a row: 5, 15, 45 … 1800, and up to a fifth more."""
    return min(5.0 * 3.0 ** min(failures - 1, 6), _LONGEST_REST) * dice.uniform(1.0, 1.2)


async def scrape(
    fetch: Fetch,
    announce_url: str,
    info_hashes: Sequence[InfoHash],
    udp: UdpTrackers | None = None,
) -> ScrapeReply:
    """Ask a tracker how big swarms are (BEP 48, 15). Raises TrackerError, FormatError."""
    asked = Scrape(info_hashes)
    if udp is not None and _scheme_and_host(announce_url)[0] == "udp":
        return await udp.scrape(announce_url, asked, _TIMEOUT, AF_UNSPEC)
    return ScrapeReply.decode(await fetch(asked.url(announce_url), _TIMEOUT, AF_UNSPEC))


class _Tracker:
    """One tracker's memory. Waits for nothing, decides only when it may be asked again and with what.

    `knows_us`: it may list us, so it is owed a `stopped`. `left` is what it was told last (None before
    it heard `started`), so `completed` is owed when that was more than nothing and nothing is left now.
    """

    def __init__(self, url: str, tier: int, schemes: Container[str]) -> None:
        self.url, self.tier = url, tier
        scheme, self.host = _scheme_and_host(url)
        self.udp = scheme == "udp"
        self.supported = scheme in schemes and self.host is not None
        self.busy = self.knows_us = False
        self.left: int | None = None
        self.reply: Reply | None = None
        self.named = 0
        self.failures = 0
        self.message = "" if self.supported else "only http, https and udp trackers are supported"
        self.answered = -math.inf
        self._regular = self._earliest = -math.inf

    def event(self, progress: Progress) -> Event:
        if self.left is None:
            return Event.STARTED
        if self._completed(progress.left):
            return Event.COMPLETED
        return Event.PAUSED if progress.partial else Event.NONE  # BEP 21: each time

    def _completed(self, left: int) -> bool:
        return self.left is not None and self.left > 0 and left == 0

    def due(self, left: int, hungry_since: float) -> float:
        """When it may be asked next, on the clock of `answered`."""
        if self.failures == 0:
            if self._completed(left):
                return -math.inf
            if hungry_since > self.answered:
                return self._earliest
        return self._regular

    def suffices_until(self, hungry_since: float) -> float:
        """Until when nobody behind it in its tier needs to be asked."""
        if self.failures or not self.named:
            return -math.inf
        return self.answered + _TRY_THEM if hungry_since > self.answered else math.inf

    def succeeded(self, reply: Reply, named: int, left: int, now: float) -> None:
        least = reply.min_interval or min(reply.interval, _LEAST_BETWEEN)
        reply.trackerid = reply.trackerid or self.trackerid
        self.reply, self.named, self.left = reply, named, left
        self.failures, self.message = 0, reply.warning
        self.answered, self._earliest = now, now + least
        self._regular = now + max(reply.interval, least)

    def failed(self, error: TrackerError, now: float, dice: Random) -> None:
        self.failures += 1
        self.message = str(error)
        self._regular = now + max(backoff(self.failures, dice), error.retry_in or 0.0)
        self.knows_us = self.left is not None

    @property
    def trackerid(self) -> bytes:
        return self.reply.trackerid if self.reply else b""

    def status(self, now: float) -> TrackerStatus:
        reply, rest = self.reply, self._regular - now
        return TrackerStatus(
            url=self.url,
            tier=self.tier,
            state=self._state(),
            seeds=reply.complete if reply else None,
            leechers=reply.incomplete if reply else None,
            peers=self.named if reply else None,
            next_announce=max(rest, 0.0) if math.isfinite(rest) else None,
            failures=self.failures,
            message=self.message,
        )

    def _state(self) -> str:
        if not self.supported:
            return "unsupported"
        if self.busy:
            return "updating"
        if self.failures:
            return "failed"
        return "working" if self.reply else "not contacted"

    @override
    def __repr__(self) -> str:
        # Only the host: the rest of the URL may hold a passkey, and this line goes into logs.
        return f"<Tracker {self.host!r} {self._state()} failures {self.failures}>"


class Trackers:
    """The trackers of one torrent as a source of peers.

    `key`, 32 bits, proves to a tracker that we are still we when our address changes: one for the whole
    session. `port` is asked before each announce, `told` hears of every answer and every failure.
    `seen_as` hears which address is said to be ours (BEP 24), as a vote: the trackers of a torrent have one
    together, because one person may have written all their names.
    """

    def __init__(
        self,
        tiers: Sequence[Sequence[str]],
        info_hash: InfoHash,
        me: PeerId,
        port: Callable[[], int],
        *,
        fetch: Fetch,
        udp: UdpTrackers | None = None,
        families: Sequence[AddressFamily] = (AF_UNSPEC,),
        dice: Random,
        clock: Callable[[], float] = time.monotonic,
        key: int | None = None,
        numwant: int = NUMWANT,
        told: Callable[[str, Reply | TrackerError], None] | None = None,
        seen_as: Callable[[Address, bytes], None] | None = None,
    ) -> None:
        self._info_hash, self._me, self._port = info_hash, me, port
        self._fetch, self._udp, self._families = fetch, udp, families
        self._dice, self._clock = dice, clock
        self._key = b"%08X" % (dice.getrandbits(32) if key is None else key)
        self._numwant = numwant
        self.told, self._seen_as = told, seen_as
        self._all = tuple(_each_once(tiers, ("http", "https", "udp") if udp else ("http", "https")))
        self._tiers = tuple(_shuffled(self._all, dice))
        self._progress: Callable[[], Progress] = _nothing_yet
        self._found: Callable[[Address], None] = _nobody_asks
        self._hungry_since = -math.inf
        self._running: tuple[asyncio.Task[None], ...] = ()
        self._resting: tuple[asyncio.Future[None], ...] = ()

    @property
    def any(self) -> bool:
        """Whether there is one that we can talk to."""
        return bool(self._tiers)

    async def run(self, progress: Callable[[], Progress], found: Callable[[Address], None]) -> None:
        """Announce to every tier by its trackers' own times until `leave()` or cancellation."""
        self._progress, self._found = progress, found
        async with asyncio.TaskGroup() as tasks:
            self._running = tuple(tasks.create_task(self._keep(tier)) for tier in self._tiers)

    def need_more(self) -> None:
        """The torrent is short of peers: ask earlier, and further down the tiers."""
        self._hungry_since = self._clock()
        self._wake()

    def completed(self) -> None:
        """Nothing is left: tell the trackers now."""
        self._wake()

    def never_lacked(self) -> None:
        """What a magnet said was left turned out to be here already: nobody completes anything by that."""
        for tracker in self._all:
            if tracker.left is not None:
                tracker.left = 0

    async def leave(self) -> None:
        """Say `stopped` to every tracker that may know us: best effort, two seconds in all."""
        self._found = _nobody_asks
        for tier in self._running:
            tier.cancel()
        parting = [tracker for tracker in self._all if tracker.knows_us]
        with suppress(TimeoutError):
            async with asyncio.timeout(_FAREWELL), asyncio.TaskGroup() as tasks:
                for tracker in parting:
                    tasks.create_task(self._part(tracker))

    def status(self) -> tuple[TrackerStatus, ...]:
        now = self._clock()
        return tuple(tracker.status(now) for tracker in self._all)

    async def _keep(self, tier: list[_Tracker]) -> None:
        while True:
            tracker, until = self._whose_turn(tier)
            if tracker is None:
                await self._rest(until)
            elif await self._ask(tracker):
                tier.remove(tracker)
                tier.insert(0, tracker)

    def _whose_turn(self, tier: Sequence[_Tracker]) -> tuple[_Tracker | None, float]:
        """The tracker to ask now, or None and the moment to look again."""
        now, left = self._clock(), self._progress().left
        until = math.inf
        for tracker in tier:
            due = tracker.due(left, self._hungry_since)
            if due <= now:
                return tracker, now
            until = min(until, due)
            enough = tracker.suffices_until(self._hungry_since)
            if enough > now:
                return None, min(until, enough)
        return None, until

    async def _rest(self, until: float) -> None:
        """Until then, or until there is news."""
        loop = asyncio.get_running_loop()
        news = loop.create_future()
        self._resting += (news,)
        seconds = min(until - self._clock(), _LONGEST_SLEEP)
        alarm = loop.call_later(max(0.0, seconds), _ring, news)
        try:
            await news
        finally:
            alarm.cancel()
            self._resting = tuple(other for other in self._resting if other is not news)

    def _wake(self) -> None:
        for news in self._resting:
            _ring(news)

    async def _ask(self, tracker: _Tracker) -> bool:
        """One announce; True when it was answered."""
        progress = self._progress()
        tracker.busy = tracker.knows_us = True
        try:
            replies = await self._announce(tracker, progress, tracker.event(progress), _TIMEOUT)
        except (TrackerError, FormatError) as error:
            refusal = error if isinstance(error, TrackerError) else TrackerError(str(error))
            tracker.failed(refusal, self._clock(), self._dice)
            _log.debug("%r: %s", tracker, refusal)
            self._tell(tracker, refusal)
            return False
        finally:
            tracker.busy = False
        reply = together(replies)
        others = {address for each in replies for address in self._others(each)}
        tracker.succeeded(reply, len(others), progress.left, self._clock())
        _log.debug("%r named %d peers", tracker, len(others))
        self._tell(tracker, reply)
        return True

    async def _announce(
        self, tracker: _Tracker, progress: Progress, event: Event, seconds: float
    ) -> list[Reply]:
        """An answer over each family, as far as they come."""
        question = Announce(
            self._info_hash,
            self._me,
            self._port(),
            uploaded=progress.uploaded,
            downloaded=progress.downloaded,
            left=progress.left,
            event=event,
            numwant=0 if event is Event.STOPPED else self._numwant,
            key=self._key,
            trackerid=tracker.trackerid,
        )
        asks = [self._ask_over(family, tracker, question, seconds) for family in self._families]
        return await of_each(asks) if len(asks) > 1 else [await asks[0]]

    async def _ask_over(
        self, family: AddressFamily, tracker: _Tracker, question: Announce, seconds: float
    ) -> Reply:
        """Whom it names is handed on at once: the other family may take longer."""
        if tracker.udp and self._udp is not None:
            reply = await self._udp.announce(tracker.url, question, seconds, family)
        else:
            body = await self._fetch(question.url(tracker.url), seconds, family)
            reply = Reply.decode(body)
            reply.far = isinstance(body, Body) and body.far
        if reply.external_ip and self._seen_as is not None:
            self._seen_as(Address(self._info_hash.hex(), 0), reply.external_ip)
        if question.event is not Event.STOPPED:
            for address in self._others(reply):
                self._found(address)
        return reply

    async def _part(self, tracker: _Tracker) -> None:
        """Who stops as soon as it has everything owes `completed`, too: that may be on its way."""
        tracker.knows_us = False
        progress = self._progress()
        owed = tracker.event(progress) is Event.COMPLETED
        events = (Event.COMPLETED, Event.STOPPED) if owed else (Event.STOPPED,)
        for event in events:
            try:
                await self._announce(tracker, progress, event, _FAREWELL / len(events))
            except (TrackerError, FormatError) as error:
                _log.debug("%r did not hear our good-bye: %s", tracker, error)

    def _others(self, reply: Reply) -> list[Address]:
        """The peers without ourselves, as far as the tracker says who we are."""
        if not reply.external_ip:
            return reply.addresses()
        myself = Address(str(ip_address(reply.external_ip)), self._port()).normal
        return [address for address in reply.addresses() if address != myself]

    def _tell(self, tracker: _Tracker, news: Reply | TrackerError) -> None:
        if self.told is not None:
            self.told(tracker.url, news)


def _nothing_yet() -> Progress:
    return Progress(0, 0, 0)


def _nobody_asks(address: Address) -> None:
    """Before `run` nobody wants addresses, nor from `leave` on."""


def _ring(news: asyncio.Future[None]) -> None:
    if not news.done():
        news.set_result(None)


def _each_once(tiers: Sequence[Sequence[str]], schemes: Container[str]) -> list[_Tracker]:
    """The first MAX_TRACKERS of a torrent, doubles left out."""
    seen: dict[str, int] = {}
    for number, tier in enumerate(tiers):
        for url in tier:
            if len(seen) < MAX_TRACKERS:
                seen.setdefault(url, number)
    return [_Tracker(url, number, schemes) for url, number in seen.items()]


def _shuffled(trackers: Sequence[_Tracker], dice: Random) -> list[list[_Tracker]]:
    """The tiers of those we can talk to, each in random order (BEP 12)."""
    tiers: dict[int, list[_Tracker]] = {}
    for tracker in trackers:
        if tracker.supported:
            tiers.setdefault(tracker.tier, []).append(tracker)
    for tier in tiers.values():
        dice.shuffle(tier)
    return list(tiers.values())


@lru_cache(maxsize=1000)  # thousands of torrents name the same few
def _scheme_and_host(url: str) -> tuple[str, str | None]:
    """Without a host it is no URL that anybody can be asked at."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "", None
    return parts.scheme, parts.hostname
