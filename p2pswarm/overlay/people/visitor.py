"""One connection to us as a super node: somebody who is at home here, or who came for a moment.

The one hard thing: it is a stranger until it has proved a key, and most are worth nothing after that either.
So what it may ask and how often is bounded per connection, who only visits is sent away after a while, and
nothing that it says is kept beyond its rings.
"""

import asyncio
from collections.abc import Callable
from typing import Protocol

from typing_extensions import override

from p2pswarm.errors import NetworkError, RemoteError, RemoteProtocolError
from p2pswarm.formats.people.certificate import Revocations
from p2pswarm.overlay.limits import Tokens
from p2pswarm.overlay.people.homes import Homes
from p2pswarm.overlay.people.proving import Proofs
from p2pswarm.overlay.people.swarms import Swarms
from p2pswarm.overlay.supernode.link import Link
from p2pswarm.wire.people.dictionary import PeopleMessage
from p2pswarm.wire.people.frames import PeopleKind
from p2pswarm.wire.people.hello import Bye, Hello, Pong, Reason, Refuse, Want
from p2pswarm.wire.people.relaying import Swarm
from p2pswarm.wire.people.ringing import (
    Answer,
    Cancel,
    Decline,
    No,
    Prove,
    Proved,
    Ring,
    Rung,
)
from p2pswarm.wire.supernode.dictionary import MAX_TEXT
from p2pswarm.wire.supernode.frames import Frame

__all__ = ["Desk", "Visitor"]

VISIT_TIME = 90.0  # seconds: a ring and its answer, and some questions
QUESTIONS = (2.0, 20.0)  # a second, and saved up: each may make us ask on
# Seconds for the first: a proof that somebody else was made to give is not kept for later
PROOF_TIME = 15.0
PROOFS = 3  # of one connection: it may have been renewed


class Desk(Protocol):
    """What a super node does for its visitors beside ringing."""

    def asked(self, visitor: "Visitor", frame: Frame) -> None:
        """A question to the directory; the answer goes to `visitor.say`. Raises RemoteError."""


class Visitor:
    """A hearer of its link, and a guest of `homes` once it proved its key."""

    def __init__(
        self,
        link: Link,
        hello: Hello,
        nonce: bytes,
        homes: Homes,
        proofs: Proofs,
        desk: Desk,
        swarms: Swarms | None,
        gone: Callable[["Visitor"], None],
    ) -> None:
        """`gone` is called when its connection is over."""
        self.link, self.node, self.want = link, hello.node, hello.want
        self.key = b""
        """Proved; empty before."""
        self.name = ""
        self._serial = 0  # of the certificate
        self._nonce, self._homes, self._proofs = nonce, homes, proofs
        self._desk, self._swarms, self._gone = desk, swarms, gone
        self._clock = asyncio.get_running_loop().time
        self._since = self._clock()
        self._questions = Tokens(*QUESTIONS, self._since)
        self._shown = 0

    def say(self, message: PeopleMessage) -> None:
        """It leaves, if the other side reads."""
        self.link.send(message.encode().encode())

    def tick(self, now: float) -> None:
        if self.want is Want.VISIT and now - self._since > VISIT_TIME:
            self.part("a visit ends after a while")
        self.link.tick(now)

    def part(self, why: str) -> None:
        """Say so, and hang up."""
        self.link.part(Bye(why).encode().encode(), why)

    def judge(self, revoked: Revocations) -> None:
        """The authority took something back: whether that is what it proved to be."""
        if self._serial in revoked.serials:
            self.part(f"the certificate of {self.name} has been revoked")

    # What it says

    def got(self, link: Link, frame: Frame) -> None:
        """Raises RemoteError."""
        heard: dict[int, Callable[[Frame], None]] = {
            PeopleKind.PING: lambda _: self.say(Pong()),
            PeopleKind.PROVE: self._proves,
            PeopleKind.RING: self._rings,
            PeopleKind.ANSWER: self._answers,
            PeopleKind.DECLINE: self._declines,
            PeopleKind.CANCEL: self._cancels,
            PeopleKind.FIND: self._asks,
            PeopleKind.PUT: self._asks,
            PeopleKind.SWARM: self._tells,
            PeopleKind.BYE: self._leaves,
        }
        hear = heard.get(frame.kind)
        if hear is not None:
            hear(frame)

    def _proves(self, frame: Frame) -> None:
        self._shown += 1
        if self._shown > PROOFS:
            raise RemoteProtocolError("it proves who it is again and again")
        try:
            shown, local = Prove.read(frame.body), self.link.stream.local
            certificate = self._proofs.check(shown, self._nonce, local)
        except RemoteError as error:
            self._refuse(Reason.NOT_WANTED, str(error)[:MAX_TEXT])
            return
        late = self._clock() - self._since > PROOF_TIME
        if late and certificate.key != self.key:
            raise RemoteProtocolError("it shows a key that it did not come with")
        self.key, self.name, self._serial = certificate.key, certificate.name, certificate.serial
        if self.want is Want.HOME and not self._homes.came(self, self.key):
            self._refuse(Reason.FULL, "this super node has no place for more guests")
            return
        self.say(Proved())

    def _refuse(self, reason: Reason, text: str) -> None:
        self.link.part(Refuse(reason, text).encode().encode(), text)

    def _rings(self, frame: Frame) -> None:
        ring = Ring.read(frame.body)
        if not self.key:  # who has no name is no one who could be called back, or blamed
            self.declined(ring.session, No.REFUSED)
            return
        self._homes.ring(self, self.key, ring.to, ring.session, ring.offer, self._clock())

    def _answers(self, frame: Frame) -> None:
        answer = Answer.read(frame.body)
        self._homes.answer(self, answer.session, answer.offer)

    def _declines(self, frame: Frame) -> None:
        decline = Decline.read(frame.body)
        self._homes.decline(self, decline.session, decline.reason)

    def _cancels(self, frame: Frame) -> None:
        self._homes.cancel(self, Cancel.read(frame.body).session)

    def _asks(self, frame: Frame) -> None:
        if not self._questions.take(self._clock()):
            raise RemoteProtocolError("it asks too much")
        self._desk.asked(self, frame)

    def _tells(self, frame: Frame) -> None:
        swarm, host = Swarm.read(frame.body), self.link.remote.host
        if self._swarms is not None:
            self._swarms.told(self, self.node, swarm, host, self._clock())

    def _leaves(self, frame: Frame) -> None:
        self.link.close(NetworkError(Bye.read(frame.body).text or "it said goodbye"))

    def left(self, link: Link, reason: Exception) -> None:
        self._homes.left(self)
        if self._swarms is not None:
            self._swarms.left(self)
        self._gone(self)

    # What it is told, as a guest

    def rung(self, session: bytes, offer: bytes) -> None:
        self.say(Rung(session, offer))

    def answered(self, session: bytes, offer: bytes) -> None:
        self.say(Answer(session, offer))

    def declined(self, session: bytes, reason: No) -> None:
        self.say(Decline(session, reason))

    def cancelled(self, session: bytes) -> None:
        self.say(Cancel(session))

    def replaced(self) -> None:
        self.part("you came by another connection")

    @override
    def __repr__(self) -> str:
        return f"<Visitor {self.name or 'without a name'} of {self.link.remote}>"
