"""A super node of the people network at work: its part of the directory on the node's port, and its guests.

The directory itself has no socket: what comes by datagram or from a guest is given to it, and what it has to
say is sent, a request with its padding. Who comes for a home or a visit is the door's.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from random import Random

from p2pswarm.errors import FormatError, NetworkError, RemoteError
from p2pswarm.formats.ids import Address
from p2pswarm.formats.people.certificate import Revocations
from p2pswarm.net.port import Port
from p2pswarm.overlay.people.carrying import Carrying
from p2pswarm.overlay.people.client import People
from p2pswarm.overlay.people.directory import Directory
from p2pswarm.overlay.people.questions import Sent
from p2pswarm.overlay.people.records import Judged
from p2pswarm.overlay.people.revoking import RevokedList
from p2pswarm.overlay.people.visitor import Visitor
from p2pswarm.wire.people.datagrams import pack_datagram
from p2pswarm.wire.people.dictionary import TokenMessage
from p2pswarm.wire.people.finding import (
    Find,
    Found,
    Put,
    Referral,
    Rejected,
    Stored,
    Unknown,
)
from p2pswarm.wire.people.hello import OTHERS_MOST
from p2pswarm.wire.people.nodes import WHOLE, SuperNode
from p2pswarm.wire.people.slots import (
    Differs,
    Digest,
    Gossip,
    Gossiped,
    Part,
    Revoked,
    Seat,
    Slot,
)
from p2pswarm.wire.supernode.frames import Frame

__all__ = ["Serving"]

log = logging.getLogger(__name__)

STEP = 0.5  # seconds
KNOCK_EVERY = 30.0  # seconds between looks for others while we know hardly any
FEW = 3

_MESSAGES: tuple[type[TokenMessage], ...] = (
    *(Find, Found, Referral, Unknown, Put, Stored, Rejected),
    *(Seat, Slot, Gossip, Gossiped, Digest, Differs, Revoked, Part),
)
_READERS = {message.kind: message for message in _MESSAGES}


class Serving:
    """A `Keeper`; `run` in a task of the owner's, which ends by being cancelled."""

    def __init__(
        self,
        people: People,
        port: Port,
        node: bytes,
        address: Callable[[], Address | None],
        known: Callable[[], Sequence[Address]],
        keep: Callable[[Revocations], None],
        dice: Random,
    ) -> None:
        """`address` is where we are, as far as anybody knows; `known` are other super nodes; `keep` hears of
        what the authority took back."""
        self._people, self._port, self._known, self._keep = people, port, known, keep
        self._clock = asyncio.get_running_loop().time
        held = people.proofs.who.revoked
        self._revoked = RevokedList(self._number, held.der if held is not None else b"")
        self._kept = self._revoked.number
        self.directory = Directory(
            node, address, self._judge, self._revoked, dice, believed=people.believes
        )

    async def run(self, carrying: Carrying | None = None) -> None:
        """Until cancelled. Raises PortTakenError."""
        await self._people.open()
        self._people.proofs.here = self._here
        self._send(self.directory.join(self._known(), self._clock()))
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._people.serve(self, carrying))
                await self._steps()
        finally:
            self._send(self.directory.leave(self._clock()))

    def _here(self) -> Sequence[Address]:
        here = self.directory.membership.agreed
        return () if here is None else (here,)

    async def _steps(self) -> None:
        knocked = self._clock()
        while True:
            await asyncio.sleep(STEP)
            now = self._clock()
            self._keep_newest()  # before records are judged by it again
            self._send(self.directory.step(now))
            if len(self.directory.contacts.live) < FEW and now - knocked >= KNOCK_EVERY:
                knocked = now
                for each in self._known():
                    stranger = SuperNode(bytes(16), each, WHOLE)  # its name is asked with the rest
                    self.directory.contacts.told([stranger], each, now)

    # What others ask

    def heard(self, frame: Frame, source: Address) -> None:
        """By datagram. Raises RemoteError."""
        message = _read(frame)
        if message is not None:
            self._send(self.directory.got(message, source, self._clock()))

    def asked(self, visitor: Visitor, frame: Frame) -> None:
        """By stream. Raises RemoteError."""
        message = _read(frame)
        if message is not None:
            self._send(self.directory.asked(message, visitor, self._clock()))

    def others(self) -> list[SuperNode]:
        return self.directory.others(OTHERS_MOST)

    def _send(self, messages: Iterable[Sent]) -> None:
        for to, message, request in messages:
            if isinstance(to, Address):
                self._port.send_datagram(pack_datagram(message.encode(), request=request), to)
            elif isinstance(to, Visitor):
                to.say(message)

    # What is believed

    def revoke(self, revoked: Revocations) -> None:
        """The login service has told that itself; the others hear it of us."""
        if self._revoked.take(revoked.der):
            self.directory.judge_again()

    def _judge(self, data: bytes) -> Judged:
        """Raises FormatError."""
        try:
            record = self._people.proofs.record(data)
        except NetworkError as error:
            raise FormatError(str(error)) from error
        return Judged(record.hash, record.seq, record.ttl)

    def _number(self, data: bytes) -> int | None:
        try:
            return self._list(data).number
        except RemoteError as error:
            log.debug("people: no list of revocations: %s", error)
            return None

    def _list(self, data: bytes) -> Revocations:
        """Raises FormatError, NetworkError."""
        authority = self._people.proofs.who.authority
        if authority is None:
            raise NetworkError("no login service is known")
        return Revocations.parse(data, authority)

    def _keep_newest(self) -> None:
        """Who shows us a certificate is judged by what super nodes spread, too."""
        if self._revoked.number > self._kept:
            self._kept = self._revoked.number
            self._keep(self._list(self._revoked.newest))


def _read(frame: Frame) -> TokenMessage | None:
    """None for a kind of tomorrow. Raises RemoteProtocolError."""
    reader = _READERS.get(frame.kind)
    return None if reader is None else reader.read(frame.body)
