"""Our questions to the supernode network, and who waits for their answers.

Recursive: our parent, or our links if we are a super node, ask on, and hits come back. Iterative: we visit
one super node after the other ourselves and become the child of none.

The one hard thing: a parent may go while a question is open. It is asked anew then, under a new GUID, as the
old one is known to the network.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import aclosing, suppress
from dataclasses import replace
from math import isinf
from random import Random
from typing import NamedTuple, Protocol

from p2pswarm.errors import NetworkError, RemoteError
from p2pswarm.formats.ids import Address
from p2pswarm.formats.zones import Zone, zone_of
from p2pswarm.net.port import Port
from p2pswarm.overlay.inbox import Inbox
from p2pswarm.overlay.network import Cost
from p2pswarm.overlay.query import Hit, Query as Wanted
from p2pswarm.overlay.supernode.known import Known
from p2pswarm.overlay.supernode.meeting import TurnedDownError, greet
from p2pswarm.overlay.supernode.results import hits_of, question_for
from p2pswarm.overlay.supernode.us import Us
from p2pswarm.overlay.supernode.visits import MOST_VISITS, VISIT_TIME, Visits
from p2pswarm.wire.supernode.frames import HEAD_SIZE, FrameKind
from p2pswarm.wire.supernode.hello import Want
from p2pswarm.wire.supernode.hits import Found, Hits
from p2pswarm.wire.supernode.hosts import Entry
from p2pswarm.wire.supernode.queries import End, Query

__all__ = ["Asking", "Searching", "Spent"]

log = logging.getLogger(__name__)

MOST_OPEN = 1000  # questions of ours at a time
MOST_BYTES = 256 << 10  # of one visit
LIFETIME = 180.0  # seconds: a liar has something new for ever


class Spent(NamedTuple):
    """What it took to send a question."""

    messages: int
    bytes: int


class Asking(Protocol):
    """The node in its role."""

    def ask(self, query: Query) -> Spent:
        """Send it on its way; no messages when there is nobody to send it to."""

    def stop(self, guid: bytes) -> None:
        """There is enough."""

    def searched(self, *, found: bool) -> None:
        """The network was asked, and that is all."""

    def here(self, query: Query) -> Sequence[Found]:
        """What we know ourselves, as a super node: our children's."""


class _Open:
    """A question that waits for hits."""

    def __init__(self, query: Query, inbox: Inbox) -> None:
        self.query, self.inbox = query, inbox


class Searching:
    """`hits` for what comes, `moved` when whom we ask has changed."""

    def __init__(self, network: Asking, port: Port, us: Us, known: Known, dice: Random) -> None:
        self._network, self._port, self._us = network, port, us
        self._known, self._dice = known, dice
        self._open: dict[bytes, _Open] = {}

    def hits(self, hits: Hits, hops: int, teller: Zone, size: int = 0) -> None:
        """They came so far, for a question of ours perhaps, in a frame of so many bytes if in any."""
        waiting = self._open.get(hits.guid)
        if waiting is None:
            return
        cost = waiting.inbox.cost
        cost.messages += size > 0
        cost.bytes += size
        for found in hits.found:
            waiting.inbox.put(hits_of(found, teller), found.host.host, hops)

    def moved(self) -> None:
        """There is somebody else to ask."""
        for guid, waiting in list(self._open.items()):
            del self._open[guid]
            waiting.query = replace(waiting.query, guid=self._dice.randbytes(16))
            self._open[waiting.query.guid] = waiting
            self._send(waiting)
            waiting.inbox.again()

    def _send(self, waiting: _Open) -> None:
        spent = self._network.ask(waiting.query)
        waiting.inbox.cost.messages += spent.messages
        waiting.inbox.cost.bytes += spent.bytes

    async def recursive(self, wanted: Wanted, cost: Cost) -> AsyncGenerator[Hit, None]:
        """The network asks on. Raises NetworkError."""
        query = question_for(wanted, self._dice.randbytes(16))
        if len(self._open) >= MOST_OPEN:
            raise NetworkError("too many searches at a time")
        waiting = self._open[query.guid] = _Open(query, Inbox(cost))
        clock = asyncio.get_running_loop().time
        end, wait = clock() + LIFETIME, self._us.options.wait
        try:
            self._send(waiting)
            async with aclosing(waiting.inbox.hits(lambda: min(wait, end - clock()))) as hits:
                found = False
                async for hit in hits:
                    found = True
                    yield hit
                self._network.searched(found=found)
        finally:
            guid = waiting.query.guid
            del self._open[guid]
            self._network.stop(guid)

    # One after the other

    async def iterative(self, wanted: Wanted, cost: Cost) -> AsyncGenerator[Hit, None]:
        """We ask each ourselves. Raises NetworkError when nobody could be asked."""
        query = replace(question_for(wanted, self._dice.randbytes(16)), ttl=1)
        inbox, visits = Inbox(cost), Visits(query.want)
        for address in self._known.candidates(MOST_VISITS, self._us.addresses):
            visits.know(address)
        for found in self._network.here(query):
            visits.results += inbox.put(hits_of(found, Zone.THIS_MACHINE), found.host.host, 0)
        going = asyncio.ensure_future(self._visit_all(query, visits, inbox))
        going.add_done_callback(lambda _: inbox.end())
        try:
            async with aclosing(inbox.hits()) as hits:
                async for hit in hits:
                    yield hit
        finally:
            going.cancel()
            await asyncio.wait([going])
        if not going.cancelled() and not going.result():
            raise NetworkError("no super node that we know answers")

    async def _visit_all(self, query: Query, visits: Visits, inbox: Inbox) -> int:
        """How many answered."""
        clock = asyncio.get_running_loop().time
        bell, answered = asyncio.Event(), 0

        async def visit(address: Address) -> None:
            nonlocal answered
            try:
                answered += await self._visit(address, query, visits, inbox)
            finally:
                visits.left(address)
                bell.set()

        async with asyncio.TaskGroup() as tasks:
            while visits.over() is None:
                bell.clear()
                address = visits.step(clock())
                if address is not None and self._known.may_dial(address, clock()):
                    tasks.create_task(visit(address))
                elif address is not None:
                    visits.left(address)
                else:
                    due = visits.due
                    with suppress(TimeoutError):
                        async with asyncio.timeout(None if isinf(due) else due - clock()):
                            await bell.wait()
        return answered

    async def _visit(self, address: Address, query: Query, visits: Visits, inbox: Inbox) -> bool:
        """One short exchange; whether it answered."""
        try:
            async with asyncio.timeout(VISIT_TIME):
                return await self._exchange(address, query, visits, inbox)
        except (RemoteError, TimeoutError) as error:
            log.debug("supernode: %s is not asked: %s", address, error)
            self._known.failed(address)
            return False

    async def _exchange(self, address: Address, query: Query, visits: Visits, inbox: Inbox) -> bool:
        """Raises RemoteError."""
        hello = self._us.hello(Want.VISIT)
        try:
            meeting, _ = await greet(
                self._port, address, hello, patience=VISIT_TIME, most=MOST_BYTES
            )
        except TurnedDownError as error:
            self._referred(error.refusal.hosts, address, visits)
            return False
        try:
            self._known.answered(address)
            meeting.say(query)
            inbox.cost.messages += 1
            inbox.cost.bytes += len(query.encode().body) + HEAD_SIZE
            while True:
                frame = await meeting.hear(FrameKind.HITS, FrameKind.END, patience=VISIT_TIME)
                inbox.cost.messages += 1
                inbox.cost.bytes += len(frame.body) + HEAD_SIZE
                if frame.kind == FrameKind.END:
                    self._referred(End.read(frame.body).hosts, address, visits)
                    return True
                self._found(Hits.read(frame.body), address, visits, inbox)
        finally:
            meeting.close()

    def _found(self, hits: Hits, address: Address, visits: Visits, inbox: Inbox) -> None:
        for found in hits.found:
            told = list(hits_of(found, zone_of(address.host)))
            kept = visits.got(address, len(told))
            inbox.put(told[:kept], found.host.host, 1)

    def _referred(self, hosts: Iterable[Entry], address: Address, visits: Visits) -> None:
        ours = self._us.addresses
        for entry in hosts:
            if entry.address.normal not in ours:
                visits.learn(entry.address, address)
