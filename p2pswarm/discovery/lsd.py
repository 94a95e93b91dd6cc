"""Local service discovery (BEP 14): peers of the local network find each other without anybody's help.

A node has one `Lsd`: it tells each interface which torrents are here, those of many torrents in one datagram,
and hears which are at others. A torrent has an `LsdSource`. Private torrents have none.

The one hard thing: anybody near may say anything, as often as they like. So few datagrams a second are read,
and only an address from which one came is dialed, at the port it says.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from random import Random

from p2pswarm.discovery.hunger import Hunger
from p2pswarm.discovery.source import Progress
from p2pswarm.errors import RemoteError
from p2pswarm.formats.ids import Address, InfoHash
from p2pswarm.net.binding import family_of
from p2pswarm.net.multicast import Interface, Multicast
from p2pswarm.wire.lsd import GROUPS, LocalSearch, searches

__all__ = ["Lsd", "LsdSource"]

log = logging.getLogger(__name__)

EVERY = 300.0  # seconds between two announces of a torrent; libtorrent's number
SOONER = 60.0  # the same while it is short of peers: the least that BEP 14 allows
GATHER = 1.0  # seconds in which torrents that start together gather for one datagram
MOST_HEARD = 10  # datagrams a second that are read; Transmission's number
MOST_SENT = 10  # datagrams a second that are sent, for each interface


class Lsd:
    """`look_round` once the port is open; `close` at the end, which may be called twice."""

    def __init__(
        self,
        listens_on: Callable[[], int],
        interfaces: Callable[[], Sequence[Interface]],
        dice: Random,
    ) -> None:
        self._listens_on = listens_on
        self._interfaces = interfaces
        self._cookie = f"{dice.getrandbits(64):016x}"
        self._ears: dict[Interface, Multicast] = {}
        self._looked = float("-inf")
        self._open = True
        self._sought: dict[InfoHash, Callable[[Address], None]] = {}
        self._waiting: dict[InfoHash, None] = {}  # to be announced with the next datagrams
        self._timer: asyncio.TimerHandle | None = None
        self._second, self._heard_in_it = 0.0, 0

    async def look_round(self) -> None:
        """Listen where we are now: the machine may be in another network since the last time."""
        now = asyncio.get_running_loop().time()
        if now - self._looked < EVERY:
            return
        self._looked, here = now, self._interfaces()
        for gone in self._ears.keys() - here:
            self._ears.pop(gone).close()
        for interface in here:
            if interface not in self._ears:
                await self._listen_on(interface)

    def moved(self) -> None:
        """It is: the next look is due."""
        self._looked = float("-inf")

    async def _listen_on(self, interface: Interface) -> None:
        """One without multicast is left out."""
        family = family_of(interface.host)
        ear = Multicast(next(each for each in GROUPS if family_of(each.host) == family), self.heard)
        try:
            await ear.open(interface)
        except OSError as error:
            log.debug("no local discovery on %s: %s", interface.host, error)
            return
        if self._open:
            self._ears[interface] = ear
        else:
            ear.close()

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for ear in self._ears.values():
            ear.close()
        self._ears.clear()
        self._waiting.clear()
        self._open = False

    # Torrents

    def seek(self, info_hash: InfoHash, found: Callable[[Address], None]) -> None:
        """From now on whoever has it is told of."""
        self._sought[info_hash] = found

    def forget(self, info_hash: InfoHash, found: Callable[[Address], None]) -> None:
        """This seeker has gone. There is no word of farewell in BEP 14."""
        if (
            self._sought.get(info_hash) == found
        ):  # and nobody came later: a magnet's name may be a torrent's
            del self._sought[info_hash]
            self._waiting.pop(info_hash, None)

    def announce(self, info_hash: InfoHash) -> None:
        """Say soon that it is here."""
        self._waiting[info_hash] = None
        if self._timer is None and self._ears:
            self._timer = asyncio.get_running_loop().call_later(GATHER, self._say)

    def _say(self) -> None:
        """As much as a second allows; the rest a second later."""
        self._timer = None
        port, waiting = self._listens_on(), list(self._waiting)
        said = list(searches(port, waiting, self._cookie))[:MOST_SENT]
        for search in said:
            for ear in self._ears.values():
                ear.send(search.encode(ear.group))
            for info_hash in search.info_hashes:
                del self._waiting[info_hash]
        if self._waiting:
            self._timer = asyncio.get_running_loop().call_later(GATHER, self._say)

    def heard(self, data: bytes, source: Address) -> None:
        """A datagram of somebody near, or our own, which must not take the room of others."""
        if self._cookie.encode() in data or not self._may_read(asyncio.get_running_loop().time()):
            return
        try:
            search = LocalSearch.decode(data)
        except RemoteError as error:
            log.debug("dropping a datagram from %s: %s", source.host, error)
            return
        place = Address(source.host, search.port)
        if not place.dialable:
            return
        for info_hash in search.info_hashes:
            found = self._sought.get(info_hash)
            if found is not None:
                found(place)

    def _may_read(self, now: float) -> bool:
        if now - self._second >= 1.0:
            self._second, self._heard_in_it = now, 0
        self._heard_in_it += 1
        return self._heard_in_it <= MOST_HEARD


class LsdSource:
    """Announces one torrent every five minutes, sooner while it is short of peers."""

    def __init__(self, lsd: Lsd, info_hash: InfoHash) -> None:
        self._lsd = lsd
        self._info_hash = info_hash
        self._hunger = Hunger()

    async def run(self, progress: Callable[[], Progress], found: Callable[[Address], None]) -> None:
        """Until `leave()` or cancellation."""
        self._lsd.seek(self._info_hash, found)
        try:
            while not self._hunger.over:
                await self._lsd.look_round()
                self._lsd.announce(self._info_hash)
                self._hunger.sated()
                await self._hunger.rest(SOONER, EVERY)
        finally:
            self._lsd.forget(self._info_hash, found)

    def need_more(self) -> None:
        self._hunger.need_more()

    async def leave(self) -> None:
        self._hunger.leave()
