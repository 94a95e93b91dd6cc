"""The UDP trackers that a node asks, all from its one socket (BEP 15, 41).

First a connection id is fetched, for all torrents that announce there within a minute. Datagrams get lost,
so each is repeated, at 2.5 and 7.5 seconds: BEP 15 would have us go on for an hour, while the person who
waits would rather have the next tracker asked. An id that is not new may be one that the tracker has
forgotten, which some say and others do not; so after one question with it a new one is fetched.

The one hard thing: anybody can send a datagram that looks like an answer. It counts only with a transaction
id that nobody can guess, and from the address that was asked.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from random import Random, SystemRandom
from socket import AF_UNSPEC, AddressFamily
from typing import Self
from urllib.parse import urlsplit
from weakref import WeakValueDictionary

from p2pswarm.discovery.families import NoAddressError, family_of
from p2pswarm.discovery.names import Names, SystemNames
from p2pswarm.errors import TrackerError
from p2pswarm.formats.ids import Address
from p2pswarm.formats.zones import Zone, zone_of
from p2pswarm.net.port import Port
from p2pswarm.wire.sniff import DatagramGuest
from p2pswarm.wire.tracker import Announce, Reply, Scrape, ScrapeReply
from p2pswarm.wire.tracker_udp import (
    MAX_SCRAPE,
    MAX_URL_DATA,
    Action,
    Answer,
    Question,
    connect,
)

__all__ = ["UdpTrackers"]

PATIENCE = 20.0  # seconds for one announce with everything that belongs to it
_WAITS = (2.5, 5.0, 10.0)  # seconds for the answer to each repetition
_ID_LIFE = 60.0  # seconds that we use a connection id (BEP 15)
_MOST_IDS = 1000
_ID_BITS = 32


@dataclass(frozen=True, slots=True)
class _Place:
    """What a URL says: where the tracker is, and what its operator wants to hear (BEP 41)."""

    host: str
    port: int
    url_data: bytes


class UdpTrackers:
    """`send` is the node's socket; what it receives comes to `got`, if it is `ours`.

    `dice` have to be such that nobody guesses them.
    """

    def __init__(
        self,
        send: Callable[[bytes, Address], None],
        *,
        dice: Random,
        clock: Callable[[], float],
        names: Names | None = None,
    ) -> None:
        self._send, self._dice, self._clock = send, dice, clock
        self._names = names or SystemNames()
        self._waiting: dict[int, tuple[Address, asyncio.Future[Answer]]] = {}
        self._ids: OrderedDict[Address, tuple[int, float]] = OrderedDict()  # and until when
        self._connecting: WeakValueDictionary[Address, asyncio.Lock] = WeakValueDictionary()

    @classmethod
    def on(cls, port: Port) -> Self:
        """Those of a port, which hands their answers on from now on."""
        # Whoever guesses what we ask a tracker can answer in its stead.
        clock = asyncio.get_running_loop().time
        trackers = cls(port.send_datagram, dice=SystemRandom(), clock=clock)
        port.route_datagrams(DatagramGuest.TRACKER, trackers.got)
        port.claim_datagrams(trackers.ours)
        return trackers

    def ours(self, data: bytes, address: Address) -> bool:
        """Whether somebody waits for this datagram."""
        waiting = self._waiting.get(int.from_bytes(data[4:8], "big"))
        return waiting is not None and waiting[0] == address and len(data) >= 8

    def got(self, data: bytes, address: Address) -> None:
        if self.ours(data, address):
            answer = Answer.read(data)
            _, waits = self._waiting[answer.transaction]
            if not waits.done():
                waits.set_result(answer)

    async def announce(
        self, url: str, announce: Announce, seconds: float, family: AddressFamily
    ) -> Reply:
        """Ask over one family. Raises TrackerError, FormatError."""
        data = _parse(url).url_data
        ask = partial(Question.announce, announce=announce, url_data=data)
        answer, address = await self._talk(url, ask, seconds, family)
        reply = answer.reply(6 if address.ip is not None and address.ip.version == 4 else 18)
        reply.far = zone_of(address.host) is Zone.INTERNET
        return reply

    async def scrape(
        self, url: str, scrape: Scrape, seconds: float, family: AddressFamily
    ) -> ScrapeReply:
        """Ask how big at most MAX_SCRAPE swarms are. Raises TrackerError, FormatError."""
        if not 0 < len(scrape.info_hashes) <= MAX_SCRAPE:
            raise TrackerError(f"a UDP tracker tells of 1 to {MAX_SCRAPE} swarms at once")
        ask = partial(Question.scrape, scrape=scrape)
        answer, _ = await self._talk(url, ask, seconds, family)
        return answer.counts(scrape)

    async def _talk(
        self, url: str, ask: Callable[[int, int], bytes], seconds: float, family: AddressFamily
    ) -> tuple[Answer, Address]:
        place = _parse(url)
        try:
            async with asyncio.timeout(min(seconds, PATIENCE)):
                address = await self._find(place, family)
                return await self._ask(address, ask), address
        except TimeoutError as error:
            raise TrackerError("no answer") from error
        except (OSError, UnicodeError) as error:
            raise NoAddressError("cannot be reached: its name has no address") from error

    async def _find(self, place: _Place, family: AddressFamily) -> Address:
        """Looked up each time, as names come to exist and point elsewhere; of several, any."""
        if family_of(place.host) is not None:
            hosts = [place.host]
        else:
            results = await self._names.resolve(place.host, place.port, family)
            hosts = [each["host"] for each in results]
        found = [Address(host, place.port).normal for host in hosts]
        fitting = [
            each for each in found if each.dialable and family in (AF_UNSPEC, family_of(each.host))
        ]
        if not fitting:
            raise NoAddressError("cannot be reached: no address of a family that is used")
        return self._dice.choice(fitting)

    async def _ask(self, address: Address, ask: Callable[[int, int], bytes]) -> Answer:
        connection = self._known(address)
        if connection is not None:
            answer = await self._exchange(address, partial(ask, connection), _WAITS[:1])
            if answer is not None and answer.action != Action.ERROR:
                return answer
            self._ids.pop(address, None)
        connection = await self._connect(address)
        answer = await self._exchange(address, partial(ask, connection), _WAITS)
        if answer is None:
            raise TrackerError("no answer")
        return answer

    async def _connect(self, address: Address) -> int:
        """A connection id, fetched once for all who want one at the same time."""
        lock = self._connecting.setdefault(address, asyncio.Lock())
        async with lock:
            known = self._known(address)
            if known is not None:
                return known
            answer = await self._exchange(address, connect, _WAITS)
            if answer is None:
                raise TrackerError("no answer")
            connection = answer.connection()
            self._ids[address] = connection, self._clock() + _ID_LIFE
            if len(self._ids) > _MOST_IDS:
                self._ids.popitem(last=False)
            return connection

    def _known(self, address: Address) -> int | None:
        connection, until = self._ids.get(address, (0, 0.0))
        if self._clock() < until:
            return connection
        self._ids.pop(address, None)
        return None

    async def _exchange(
        self, address: Address, ask: Callable[[int], bytes], waits: Sequence[float]
    ) -> Answer | None:
        """One question, repeated for as long as there is no answer."""
        transaction = self._new_transaction()
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting[transaction] = address, answer
        data = ask(transaction)
        try:
            for seconds in waits:
                self._send(data, address)
                await asyncio.wait([answer], timeout=seconds)
                if answer.done():
                    return answer.result()
            return None
        finally:
            del self._waiting[transaction]

    def _new_transaction(self) -> int:
        while True:
            transaction = self._dice.getrandbits(_ID_BITS)
            if transaction not in self._waiting:
                return transaction


@lru_cache(maxsize=1000)  # thousands of torrents name the same few
def _parse(url: str) -> _Place:
    """Raises TrackerError."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise TrackerError("not a URL") from error
    path = f"{parts.path}?{parts.query}" if parts.query else parts.path
    if parts.scheme != "udp" or not host or not port or not url.isascii() or not url.isprintable():
        raise TrackerError("not a udp URL with a host and a port")
    if len(path) > MAX_URL_DATA:
        raise TrackerError("its URL is too long for a datagram")
    return _Place(host, port, path.encode())
