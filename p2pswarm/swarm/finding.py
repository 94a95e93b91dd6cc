"""Finding the peers of one torrent: whom the sources name, whom we dial, who is never dialed again.

Trackers, DHT and LSD are sources, each a task of this room; peers name others too (`found`). A finding
outlives its seeker: a magnet uses it until its metadata is there and hands it to the torrent, address book,
running sources and all, so that no tracker is asked twice and nobody is dialed twice.

A hybrid has two swarms (BEP 52): each is searched by sources of its own, and all that they name is one book.
A magnet may know one of the names only; the other's swarm is added when its torrent is known.

The one hard thing: a private torrent's peers come from its trackers alone (BEP 27), and a magnet learns that
it is private last. So the book knows of each address whether somebody named it who may.
"""

import asyncio
import logging
from collections.abc import Coroutine, Sequence
from functools import partial
from typing import Any, Protocol

from p2pswarm.discovery.introducing import Introduction
from p2pswarm.discovery.source import PeerSource, Progress
from p2pswarm.discovery.standings import standings
from p2pswarm.discovery.trackers import Trackers, TrackerStatus
from p2pswarm.formats.ids import Address, InfoHash
from p2pswarm.formats.names import Names
from p2pswarm.swarm.addresses import AddressBook
from p2pswarm.swarm.dialer import Dialer, Surroundings
from p2pswarm.swarm.greeting import Greeted
from p2pswarm.swarm.introductions import Introductions

__all__ = ["Finding", "Seeker"]

log = logging.getLogger(__name__)

_NO_TASKS: frozenset[Any] = frozenset()
_NO_SOURCES: frozenset[PeerSource] = frozenset()
LEAVE_TIME = 2.0  # seconds that saying good-bye to all sources may take


class Seeker(Protocol):
    """Who wants the peers: a magnet, or a torrent."""

    def welcome(self, who: Greeted) -> bool:
        """A peer that was dialed; False when there is no place for it."""

    def connected(self) -> set[Address]:
        """Who need not be dialed."""

    def progress(self) -> Progress:
        """For the sources."""

    def dialing(self) -> None:
        """Somebody is dialed from now on."""

    def unreached(self, address: Address) -> None:
        """Nobody answered there."""

    def stop(self, error: Exception) -> None:
        """A bug of ours ended a source or a dial."""


class Finding:
    """From `begin` on it searches and dials for its seeker, until `rest`."""

    def __init__(
        self,
        names: Names,
        node: Surroundings,
    ) -> None:
        self.book = AddressBook()
        self.trackers: tuple[Trackers, ...] = ()  # each swarm's
        self._node = node
        self._sources: tuple[PeerSource, ...] = ()  # beside the trackers
        self._of_v2 = _NO_SOURCES  # those that search the swarm of version 2
        self._dialer = Dialer(self.book, node, names, self._welcome, self._unreached)
        self._introductions: Introductions | None = None  # of most torrents nobody is introduced
        self._seeker: Seeker | None = None
        self._last = Progress(0, 0, 0)  # what a seeker had done that rests: good-byes say so
        self._searches: dict[PeerSource, asyncio.Task[None]] = {}
        self.tasks: frozenset[asyncio.Task[None]] = _NO_TASKS  # after `rest` they end soon
        self._starting: asyncio.TimerHandle | None = None
        self._searched = self._private = False
        self._dial_waits = False
        self._loop = asyncio.get_running_loop()

    # Life

    def begin(self, seeker: Seeker, wait: float = 0.0) -> None:
        """For this seeker from now on. Sources that do not search yet begin in so many seconds."""
        self._seeker = seeker
        if not self._searched and self._starting is None and self._all:
            self._starting = self._loop.call_later(wait, self._search)
        self.dial_more()

    def _search(self) -> None:
        self._starting, self._searched = None, True
        for source in self._all:
            self._search_by(source)

    def _search_by(self, source: PeerSource) -> None:
        heard = self.tracked if source in self.trackers else self.found
        if source in self._of_v2:
            heard = partial(heard, v2=True)
        self._searches[source] = self._spawn(source.run(self._progress, heard))

    # Swarms

    @property
    def names(self) -> Names:
        """The torrent's, as far as they are known."""
        return self._dialer.names

    def learn(self, names: Names) -> None:
        """All of them are known now; `add_swarm` follows for those that are new."""
        self._dialer.names = names

    def add_swarm(
        self, name: InfoHash, trackers: Trackers, others: Sequence[PeerSource] = ()
    ) -> None:
        """Who names the peers of the swarm of this name."""
        before = frozenset(self._all)
        self.trackers += (trackers,)
        self._sources += () if self._private else tuple(others)
        if name == self.names.short:
            self._of_v2 |= {trackers, *others}
        for source in self._all:
            if self._searched and source not in before:
                self._search_by(source)

    def tracker_status(self) -> tuple[TrackerStatus, ...]:
        return standings(self.trackers)

    def never_lacked(self) -> None:
        """Nothing was left at the start, whatever trackers were told."""
        for trackers in self.trackers:
            trackers.never_lacked()

    def rest(self) -> None:
        """Search and dial no more; may be called twice."""
        if self._seeker is not None:
            self._last, self._seeker = self._seeker.progress(), None
        if self._starting is not None:
            self._starting.cancel()
            self._starting = None
        for task in self.tasks:
            task.cancel()

    async def leave(self, *, replaced: bool = False) -> None:
        """After `rest`: say good-bye to every source that was asked. Takes two seconds at most.

        Where another torrent of this node has `replaced` it in its swarm, trackers are told nothing: they
        tell us apart from others, not our torrents from each other, and would strike us off their list.
        """
        if not self._searched:
            return
        try:
            async with asyncio.timeout(LEAVE_TIME), asyncio.TaskGroup() as tasks:
                for source in self._sources if replaced else self._all:
                    tasks.create_task(source.leave())
        except TimeoutError:
            log.debug("not every source took our good-bye in time")

    @property
    def _all(self) -> Sequence[PeerSource]:
        return [*(trackers for trackers in self.trackers if trackers.any), *self._sources]

    # What the seeker may say

    def need_more(self) -> None:
        """It is short of peers."""
        for source in (*self.trackers, *self._sources):
            source.need_more()

    def completed(self) -> None:
        """It has everything."""
        for trackers in self.trackers:
            trackers.completed()

    def only_trackers(self) -> None:
        """The torrent is private: whom anybody else named is forgotten, and nobody else is asked."""
        for source in self._sources:
            search = self._searches.pop(source, None)
            if search is not None:
                search.cancel()
                self._spawn(source.leave())
        self._sources, self._private = (), True
        self.book.keep_private()

    # Addresses

    def add(self, address: Address, *, named: bool = True) -> None:
        """One that the user named, tried at once and again; or one that a link names. Names are looked up."""
        if self._private and not named:
            return
        if address.ip is None:
            self._spawn(self._look_up(address, named=named))
            return
        self.book.add(address, self._node.clock(), trusted=named, linked=not named, private=named)
        self.dial_more()

    async def _look_up(self, name: Address, *, named: bool) -> None:
        # Here, because few name anybody by a name.
        from p2pswarm.discovery.places import places

        there = await places([name])
        if not there:
            log.warning("%s has no address", name)
        for address in there:
            self.add(address, named=named)

    def found(self, address: Address, *, v2: bool = False) -> None:
        """Somebody names a peer, and often many in one go."""
        self.book.add(address, self._node.clock(), v2=v2)
        self._dial_soon()

    def tracked(self, address: Address, *, v2: bool = False) -> None:
        """A tracker does."""
        self.book.add(address, self._node.clock(), private=True, v2=v2)
        self._dial_soon()

    def _dial_soon(self) -> None:
        if not self._dial_waits:
            self._dial_waits = True
            self._loop.call_soon(self.dial_more)

    def dial_more(self) -> None:
        self._dial_waits = False
        if self._seeker is not None:
            self._dialer.dial_more(self._seeker.connected(), self._spawn)
            if self._dialer.busy:
                self._seeker.dialing()

    @property
    def busy(self) -> bool:
        """Whether somebody is being dialed."""
        return self._dialer.busy

    def _welcome(self, who: Greeted) -> bool:
        stranger = self._private and not self.book.is_private(who.stream.remote)
        if self._seeker is None or stranger:  # the dial began before that was known
            who.stream.close()
            return False
        return self._seeker.welcome(who)

    def meet(self, address: Address) -> None:
        """Dial one that dials us in this moment (BEP 55)."""
        if self._seeker is not None and not self.book.is_banned(address):
            self.book.met(address, self._node.clock())
            self._spawn(self._dialer.meet(address))

    def introduced(self, to: Introduction) -> None:
        """The same, where a super node introduces us; it may relay us if that leads nowhere."""
        if self._seeker is None or self._private:
            return
        if self._introductions is None:
            self._introductions = Introductions(self._node, self.book, self._dialer)
        self._introductions.heard(to, self._seeker.connected, self._spawn)

    def _unreached(self, address: Address) -> None:
        if self._seeker is not None:
            self._seeker.unreached(address)

    def _progress(self) -> Progress:
        return self._seeker.progress() if self._seeker is not None else self._last

    # Tasks

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = self._loop.create_task(work)
        self.tasks |= {task}
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self.tasks -= {task}
        error = None if task.cancelled() else task.exception()
        if isinstance(error, Exception) and self._seeker is not None:
            self._seeker.stop(error)
