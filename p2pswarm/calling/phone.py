"""The telephone of a node: a name is called, or somebody calls, and out comes a call.

Who is called is found in the directory, which says his key. Both make an offer, carried by the super nodes
where he is at home; then ways are tried, and on each stream TLS shows who is there. Nothing on the way is
believed: a wrong record, a wrong answer and a wrong listener all have the wrong key.

The one hard thing: anybody who has a name may ring. Who rings is known before he is heard, and what for (his
certificate is in his offer, and signs it); few may ring at a time, one alone not often, and addresses are
tried only of those whom we answer.
"""

import asyncio
import secrets
import ssl
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from p2pswarm.calling.call import Call
from p2pswarm.calling.roaming import Roaming
from p2pswarm.errors import DeclinedError, FormatError, HostError, NoLoginError, RemoteError
from p2pswarm.formats.people.certificate import Authority, Certificate, Revocations
from p2pswarm.formats.people.record import Record
from p2pswarm.formats.signing import SigningKey
from p2pswarm.identity import Identity
from p2pswarm.net.stream import Conversation, Stream
from p2pswarm.net.tls import Core, TlsTransport, tls_context
from p2pswarm.overlay.limits import Tokens
from p2pswarm.overlay.people.client import Found
from p2pswarm.overlay.people.ringing import Rung
from p2pswarm.overlay.remembering import remember
from p2pswarm.reach.meeting import Meeting
from p2pswarm.reach.offers import Candidates, Offer, RelayAt, new_session
from p2pswarm.wire.calling.frames import KEY_SIZE, CallHello
from p2pswarm.wire.framer import Framer

__all__ = ["CALL", "Incoming", "Phone"]

CALL = "p2pswarm-call/1"  # what our TLS is for (ALPN)
RING_TIME = 30.0  # seconds until nobody is at home
MOST_RINGING = 4  # at a time; the next ones hear that we are busy
MOST_OF_ONE = 2  # of one caller: who talks to us may send something, too
OF_ONE = (0.1, 6.0)  # rings of one caller in a second, and saved up
MOST_KNOWN = 1000  # callers whose rings are counted
_REGISTER = "p2pswarm register NAME --login URL"
ANSWERS = "answer"  # what the greeting of who was called says


class Directory(Protocol):
    """What we need of the people network (`p2pswarm.overlay.people.client`)."""

    on_ring: Callable[[Rung], None]

    async def find(self, name: str, *, recursive: bool = False) -> Found: ...

    async def ring(self, record: Record, offer: bytes, *, session: bytes) -> bytes: ...


class Ways(Protocol):
    """What we need of `p2pswarm.reach.reach`."""

    async def gather(self, *, anew: bool = False) -> Candidates: ...

    def begin(self, mine: Offer, theirs: Offer) -> Meeting: ...


@dataclass(frozen=True, slots=True)
class Incoming:
    """Somebody rings; `name` is certified, and his offer was signed by that key."""

    name: str
    offer: Offer
    certificate: Certificate
    rung: Rung
    over: asyncio.Event
    """Set when it rings no longer: answered, declined, or the caller gave up, or waited too long."""

    @property
    def want(self) -> str:
        """What he rings for; the call that comes of it is for that, or for nothing."""
        return self.offer.want


class Phone:
    """One for a node. `on_incoming` decides at once or later: `answer` or `decline`."""

    def __init__(
        self,
        directory: Directory,
        ways: Ways,
        identity: Identity,
        relays: Callable[[], Sequence[RelayAt]],
        wall: Callable[[], float] = time.time,
    ) -> None:
        """`relays` are the super nodes where we are at home now; `wall` is the world's clock."""
        self._directory, self._ways, self._identity = directory, ways, identity
        self._relays, self._wall = relays, wall
        self._ringing: dict[bytes, Incoming] = {}
        self._calls: dict[Call, Certificate] = {}  # that are not over
        self._limits: OrderedDict[bytes, Tokens] = OrderedDict()
        self._clock = asyncio.get_running_loop().time
        self.on_incoming: Callable[[Incoming], None] = self._nobody_listens
        directory.on_ring = self._rung
        identity.hearers.append(self._judge)

    @property
    def name(self) -> str:
        """Our own. Raises HostError without one."""
        return self._certified().name

    async def call(self, name: str, want: str, *, recursive: bool = False) -> Call:
        """`open` what is returned. Raises HostError without a name of our own, FormatError,
        UnknownNameError, OfflineError, DeclinedError, NetworkError."""
        self._certified()
        found = await self._directory.find(name, recursive=recursive)
        record = found.record
        if record.key == self._identity.key.public:
            raise HostError(f"{record.name} is you")
        mine = await self._offer(record.key, new_session(), want)
        try:
            async with asyncio.timeout(RING_TIME):
                answer = await self._directory.ring(record, mine.encode(), session=mine.session)
        except TimeoutError as error:
            raise DeclinedError(f"{record.name} does not answer", "no-answer") from error
        theirs = Offer.parse(answer)
        if theirs.certificate != record.certificate.der or theirs.session != mine.session:
            raise FormatError(f"an answer that is not {record.name}'s")
        theirs.check(record.key, self._identity.key.public, self._wall())
        return self._meet(record.certificate, mine, theirs, want, calls=True)

    async def answer(self, incoming: Incoming) -> Call:
        """`open` what is returned. Raises RemoteError."""
        self._end(incoming)
        mine = await self._offer(incoming.certificate.key, incoming.offer.session)
        incoming.rung.answer(mine.encode())
        call = self._meet(incoming.certificate, mine, incoming.offer, ANSWERS, calls=False)
        call.agreed = incoming.want
        return call

    def decline(self, incoming: Incoming, reason: str = "refused") -> None:
        """`busy`, `refused` or `too-often`."""
        self._end(incoming)
        incoming.rung.decline(reason)

    def _end(self, incoming: Incoming) -> None:
        """It rings no longer."""
        self._ringing.pop(incoming.rung.session, None)
        incoming.over.set()

    @property
    def key(self) -> SigningKey:
        """Our own."""
        return self._identity.key

    def close(self) -> None:
        """Nobody rings any more; may be called twice."""
        self.on_incoming = self._nobody_listens
        for incoming in list(self._ringing.values()):
            self.decline(incoming)

    def _nobody_listens(self, incoming: Incoming) -> None:
        self.decline(incoming, "busy")

    def _rung(self, rung: Rung) -> None:
        try:
            incoming = self._incoming(rung)
        except (RemoteError, HostError):
            rung.decline("refused")
            return
        reason = self._too_much(incoming.certificate.key)
        if reason:
            rung.decline(reason)
            return
        self._ringing[rung.session] = incoming
        rung.on_cancelled = lambda: self._end(incoming)
        asyncio.get_running_loop().call_later(RING_TIME, self._forget, incoming)
        self.on_incoming(incoming)

    def _too_much(self, caller: bytes) -> str:
        """Why this one does not ring now; empty when it does."""
        tokens = self._limits.get(caller) or Tokens(*OF_ONE, self._clock())
        remember(self._limits, caller, tokens, MOST_KNOWN)
        of_one = sum(each.certificate.key == caller for each in self._ringing.values())
        if not tokens.take(self._clock()) or of_one >= MOST_OF_ONE:
            return "too-often"
        return "busy" if len(self._ringing) >= MOST_RINGING else ""

    def _forget(self, incoming: Incoming) -> None:
        """The caller waits no longer."""
        if self._ringing.get(incoming.rung.session) is incoming:
            self.decline(incoming)

    def _incoming(self, rung: Rung) -> Incoming:
        """Raises FormatError."""
        offer = Offer.parse(rung.offer)
        certificate = Certificate.parse(offer.certificate)
        now, identity = self._wall(), self._identity
        self._authority.check(certificate, now, identity.revoked)
        offer.check(certificate.key, identity.key.public, now)
        if offer.session != rung.session or rung.session in self._ringing:
            raise FormatError("a ring with the session of another")
        if not offer.want:
            raise FormatError("a ring for nothing")
        return Incoming(certificate.name, offer, certificate, rung, asyncio.Event())

    # What both sides do

    def _certified(self) -> Certificate:
        """Raises HostError."""
        if self._identity.certificate is None:
            raise HostError(f"nobody can be called without a name of one's own: {_REGISTER}")
        return self._identity.certificate

    @property
    def _authority(self) -> Authority:
        """Raises HostError."""
        if self._identity.authority is None:
            raise NoLoginError(f"no login service is known yet: {_REGISTER}")
        return self._identity.authority

    async def _offer(self, to: bytes, session: bytes, want: str = "") -> Offer:
        certificate = self._certified()
        candidates = await self._ways.gather()
        return Offer.new(
            self._identity.key,
            certificate.der,
            to,
            candidates,
            self._relays(),
            session=session,
            now=self._wall(),
            want=want,
        )

    def _meet(
        self, other: Certificate, mine: Offer, theirs: Offer, want: str, *, calls: bool
    ) -> Call:
        meeting = self._ways.begin(mine, theirs)
        hello = CallHello(mine.session, want, secrets.token_bytes(KEY_SIZE))

        async def connect(framer: Framer, conversation: Conversation) -> Stream:
            return await self._secured(meeting, other, framer, conversation)

        call = Call(other.name, meeting, connect, hello, calls=calls)
        call.key = other.key
        call.roams(self._roaming(meeting, other, (mine, theirs)))
        self._calls[call] = other
        call.ended.add_done_callback(lambda _: self._calls.pop(call))
        return call

    def _roaming(
        self, meeting: Meeting, other: Certificate, offers: tuple[Offer, Offer]
    ) -> Roaming:
        key = self._identity.key

        def sign(offer: Offer, found: Candidates) -> Offer:
            return offer.renewed(key, found, self._wall())

        def read(body: bytes) -> Offer:
            offer = Offer.parse(body)
            offer.check(other.key, key.public, self._wall())
            return offer

        return Roaming(meeting, offers, lambda: self._ways.gather(anew=True), sign, read)

    def _judge(self, revoked: Revocations) -> None:
        """The authority took something back: with whom that names no call goes on."""
        for call, other in list(self._calls.items()):
            if other.serial in revoked.serials:
                call.break_off(f"the certificate of {other.name} has been revoked")

    async def _secured(
        self, meeting: Meeting, other: Certificate, framer: Framer, conversation: Conversation
    ) -> Stream:
        """Raises RemoteError, OSError."""
        inner = Stream(framer, conversation)
        core = Core(self._context(server=not meeting.leads), server=not meeting.leads)
        tls = TlsTransport(core, inner, lambda shown: self._check(shown, other))
        return await tls.open(await meeting.stream(tls.framer, tls))

    def _context(self, *, server: bool) -> ssl.SSLContext:
        folder, authority = self._identity.folder, self._authority.der
        certificate, key = folder / "certificate.pem", folder / "key.pem"
        return tls_context(certificate, key, authority, purposes=[CALL], server=server)

    def _check(self, shown: bytes, other: Certificate) -> None:
        """Raises FormatError unless that is who was called, or who called."""
        certificate = Certificate.parse(shown)
        self._authority.check(certificate, self._wall(), self._identity.revoked)
        if (certificate.key, certificate.name) != (other.key, other.name):
            raise FormatError(f"{certificate.name} is not the {other.name} that was meant")
