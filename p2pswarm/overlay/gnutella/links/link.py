"""One neighbour: descriptors in, descriptors out, and a word before the end.

What is put during one turn of the event loop leaves in one write, deflated with one flush if that was agreed.
No more than one batch lies with the kernel at a time; the rest waits in the outbox, where it still can be
overtaken or dropped.

The one hard thing: a BYE is worth nothing when the connection is torn down over it. So a link that ends says
why, takes and gives nothing more, and closes when it has left, or a moment later. That holds for a neighbour
whose bytes make no sense any more, too.
"""

import asyncio
import logging
from typing import Protocol

from typing_extensions import override

from p2pswarm.errors import LocalProtocolError, NetworkError, RemoteError, RemoteProtocolError
from p2pswarm.formats.ids import Address
from p2pswarm.net.stream import Stream
from p2pswarm.overlay.gnutella.links.agreement import Agreement, Role
from p2pswarm.overlay.gnutella.links.connecting import LINGER
from p2pswarm.overlay.gnutella.links.limits import Allowance
from p2pswarm.overlay.gnutella.links.outbox import Outbox
from p2pswarm.overlay.gnutella.links.traffic import LinkFramer, Traffic
from p2pswarm.wire.framer import Scratch
from p2pswarm.wire.gnutella.bye import Bye
from p2pswarm.wire.gnutella.deflate import Deflater
from p2pswarm.wire.gnutella.descriptor import HEADER_SIZE, Descriptor, Kind

__all__ = ["NOWHERE", "Hearer", "Link"]

log = logging.getLogger(__name__)

BATCH = (
    16 << 10
)  # bytes given to the kernel at a time; more could not be overtaken by what matters more
SILENCE = 60.0  # seconds without a word after which a neighbour is asked whether it is there
PATIENCE = 30.0  # seconds it then has

NO_HOPS_FLOW = 256
NOWHERE = "0.0.0.0"  # noqa: S104 - nothing listens there: messages have no place for IPv6
_KIND_AT = 16  # of an encoded descriptor, behind the GUID


class Hearer(Protocol):
    """Whoever answers for all links."""

    def got(self, link: "Link", head: Descriptor) -> None:
        """Raises RemoteError, which counts as a fault of the neighbour's."""

    def left(self, link: "Link", reason: Exception | None) -> None:
        """The link is no more; called once, and last."""

    def ping(self, link: "Link") -> None:
        """It has been silent for long: ask whether it is there."""


class Link:
    """A conversation with one neighbour. `tick` now and then; `bye` or `close` at the end."""

    def __init__(self, stream: Stream, agreement: Agreement, hearer: Hearer) -> None:
        self.agreement = agreement
        self.outbox = Outbox()
        self.sent, self.received = Traffic(), Traffic()
        self.reason: Exception | None = None
        """Why it is over; None while it is not."""
        self.told: Bye | None = None
        """What the neighbour said at the end."""
        self._stream = stream
        self._hearer = hearer
        self._deflater = Deflater() if agreement.deflate else None
        self._loop = asyncio.get_running_loop()
        self.since = self._heard = self._loop.time()
        self.allowance = Allowance(self.since, leaf=agreement.theirs is Role.LEAF)
        self.hops_flow = NO_HOPS_FLOW
        """It wants no queries that have made so many hops."""
        self._asked = False  # whether it is there
        self._room = True  # the kernel has all that was given to it
        self._rung = False  # what was put leaves at the end of this turn

    def framer(self, scratch: Scratch | None = None) -> LinkFramer:
        return LinkFramer(self.agreement, scratch, self.received)

    # Who it is

    @property
    def theirs(self) -> Role:
        return self.agreement.theirs

    @property
    def remote(self) -> Address:
        """The other end of the connection; where it listens, if anywhere, is `agreement.address`."""
        return self._stream.remote

    @property
    def host(self) -> str:
        """Of ours, as this neighbour sees it, which is not what we see behind a router; always IPv4."""
        for host in (self.agreement.seen_as, self._stream.local.host):
            seen = Address(host, 1).normal
            if seen.dialable and seen.ip is not None and seen.ip.version == 4:
                return seen.host
        return NOWHERE

    @property
    def over(self) -> bool:
        return self.reason is not None

    # What a hearer may do

    def send(self, kind: int, hops: int, data: bytes) -> bool:
        """Whether this encoded descriptor will leave; flow control may drop it."""
        if self.over:
            return False
        if self.outbox.size >= BATCH:
            self._pump()  # what one turn brings may be more than what is kept for a slow neighbour
        kept = self.outbox.put(kind, hops, data)
        if self.outbox.overflow:
            self.bye(502, "You do not read what I send")
        self._ring()
        return kept

    def tell(self, head: Descriptor) -> bool:
        return self.send(head.kind, head.hops, head.encode())

    def fault(self, code: int, text: str) -> None:
        """It broke a rule; the link ends when it does so too often: programs have bugs."""
        log.debug("%r: %s", self, text)
        if not self.allowance.forgives(self._loop.time()):
            self.bye(code, text)

    def bye(self, code: int, text: str) -> None:
        """Say why, and close."""
        if self.over:
            return
        if not self.agreement.bye:
            self.close(NetworkError(f"{code} {text}"))
            return
        try:
            data = Bye(code, text).encode()
        except LocalProtocolError:  # the text holds what a stranger wrote
            data = Bye(code, "Protocol error").encode()
        self.outbox.put(Kind.BYE, 0, Descriptor(_bye_guid(), Kind.BYE, 1, 0, data).encode())
        self.reason = NetworkError(f"{code} {text}")
        self._stream.pause()
        self._ring()
        self._loop.call_later(LINGER, self._stream.close, self.reason)

    def close(self, reason: Exception | None = None) -> None:
        """At once."""
        if self.reason is None:
            self.reason = reason or NetworkError("closed")
        self._stream.close(self.reason)

    def tick(self, now: float) -> None:
        """Ask a silent neighbour whether it is there, and leave one that does not answer."""
        quiet = now - self._heard
        if quiet > SILENCE + PATIENCE:
            self.bye(405, "Not a word for too long")
        elif quiet > SILENCE and not self._asked:
            self._asked = True
            self._hearer.ping(self)

    # What the stream tells

    def got(self, message: object) -> None:
        if self.over:
            return
        if isinstance(message, RemoteProtocolError):
            self.bye(501, str(message))
        elif isinstance(message, Descriptor):
            self._heard, self._asked = self._loop.time(), False
            self.received.count(message.kind, HEADER_SIZE + len(message.payload))
            if message.kind == Kind.BYE:
                self._parted(message)
            elif self.allowance.takes(message.kind, self._heard, len(message.payload)):
                self._hear(message)
            elif not self.allowance.bears(self._heard):
                self.bye(400, "Too many messages")

    def _hear(self, head: Descriptor) -> None:
        try:
            self._hearer.got(self, head)
        except RemoteError as error:
            # Who passes on what others wrote need not have read it, and must not lose us for it.
            if head.hops and self.theirs is not Role.LEAF:
                log.debug("%r passed on: %s", self, error)
            else:
                self.fault(400, str(error))

    def caught_up(self) -> None:
        if self._rung:
            self._pump()

    def drained(self) -> None:
        self._room = True
        self._pump()

    def closed(self, reason: Exception | None) -> None:
        if self.reason is None:
            self.reason = reason or NetworkError("hung up")
        self._hearer.left(self, self.reason)

    # Sending

    def _ring(self) -> None:
        if not self._rung:
            self._rung = True
            self._loop.call_soon(self._pump)

    def _pump(self) -> None:
        self._rung = False
        while self._room and self.outbox and not self._stream.over:
            batch = self.outbox.take(BATCH)
            for data in batch:
                self.sent.count(data[_KIND_AT], len(data))
            if self._deflater is not None:
                batch = [self._deflater.pack(*batch)]
            self.sent.wire += sum(map(len, batch))
            self._room = self._stream.send(*batch)
        if self.over and self._room and not self.outbox:
            self._stream.close(self.reason)

    def _parted(self, head: Descriptor) -> None:
        """They said BYE."""
        self.told = Bye.read(head.payload)
        self.close(NetworkError(f"they left: {self.told.code} {self.told.text}"))

    @override
    def __repr__(self) -> str:
        heard, said = (traffic.messages.total() for traffic in (self.received, self.sent))
        return f"<Link {self.remote} {self.theirs.value} of {heard} in, {said} out>"


def _bye_guid() -> bytes:
    """Nobody answers a BYE, so that its GUID is of no use."""
    return bytes(8) + b"\xff" + bytes(7)
