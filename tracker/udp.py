"""The tracker by UDP (BEP 15): one datagram in, at most one out, from the same policy and store as by HTTP.

Before an address has proven to be real it gets nothing longer than what came in its name, and only so many a
second: a tracker must not be a weapon. What is no question at all gets no answer.

Answers should not be cut into pieces on their way, as the pieces of many do not arrive. So an answer has at
most 1 400 bytes, and less than 512 when nobody said how many peers are wanted. It names only peers of the
asker's own family, so twice as many are picked as have room: in a mixed swarm about half of them fit.
"""

import logging

from p2pswarm.errors import FormatError, RemoteProtocolError
from p2pswarm.wire.tracker import Announce, Event
from p2pswarm.wire.tracker_udp import Action, Question, announced, connected, refused, scraped
from tracker.desk import Desk
from tracker.logic import IP
from tracker.proof import ConnectionIds, Patience

__all__ = ["UdpTracker"]

RATE, BURST = (
    20.0,
    200.0,
)  # answers a second for an unproven address: a house full of clients starts
_HEAD = 20  # bytes of an answer before its peers
_LONGEST, _USUAL = 1400, 511  # bytes of an answer: to who says how many peers, and to who does not

_log = logging.getLogger(__name__)


class UdpTracker:
    """Reads questions, writes answers; knows no socket."""

    def __init__(self, desk: Desk, secret: bytes) -> None:
        self._desk = desk
        self._ids = ConnectionIds(secret)
        self._patience = Patience(RATE, BURST)

    async def answer(self, data: bytes, host: str) -> bytes | None:
        """The answer to a datagram from `host`; None when it deserves none."""
        try:
            caller = self._desk.policy.caller(host, None)
            question = Question.read(data)
        except (FormatError, RemoteProtocolError) as error:
            _log.debug("a datagram from %s gets no answer: %s", host, error)
            return None
        address, now = caller.packed, self._desk.clock()
        known = question.action != Action.CONNECT
        if known and self._ids.good(question.connection, address, now):
            return await self._ask(question, caller)
        if not self._patience.allows(address, now):
            return None
        if known:
            return refused(question.transaction, "connection id is not valid", len(data))
        self._desk.tally.connects += 1
        return connected(question.transaction, self._ids.give(address, now))

    async def _ask(self, question: Question, caller: IP) -> bytes:
        """Of an address that has proven to be real; a bad question is told what is wrong with it."""
        try:
            if question.action == Action.SCRAPE:
                counts = await self._desk.scrape(question.read_scrape().info_hashes)
                return scraped(question.transaction, counts)
            return await self._announce(question, caller)
        except RemoteProtocolError as error:
            self._desk.tally.refused += 1
            return refused(question.transaction, str(error), _USUAL)

    async def _announce(self, question: Question, caller: IP) -> bytes:
        announce = question.read_announce()
        question.url_data()  # this tracker has one path only, but what cannot be read is refused
        stride = 6 if caller.version == 4 else 18
        room = _room(announce, stride)
        announce.numwant = 2 * room
        reply = await self._desk.announce(announce, caller)
        reply.peers, reply.peers6 = reply.peers[: room * stride], reply.peers6[: room * stride]
        return announced(question.transaction, reply, stride)


def _room(announce: Announce, stride: int) -> int:
    """How many peers fit into the answer."""
    if announce.event is Event.STOPPED:
        return 0
    longest = _USUAL if announce.numwant is None else _LONGEST
    fit = (longest - _HEAD) // stride
    return fit if announce.numwant is None else min(announce.numwant, fit)
