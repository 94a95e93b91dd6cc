"""A super node at work: children, links to other super nodes, visitors, and what is said to each.

What becomes of queries and hits is up to `flooding`, how many links there are to `links`, who is believed to
`trust`, whom to invite to `promotion`; here all of it meets the connections.

The one hard thing: nobody is what he says. A child is known by where it comes from, a link is provisional
until our own test of it, and a visitor gets one answer.
"""

import asyncio
import logging
from collections.abc import Iterable, Sequence
from random import Random

from p2pswarm.errors import BusyError, NetworkError
from p2pswarm.formats.ids import Address
from p2pswarm.net.port import Port
from p2pswarm.overlay.supernode.asking import OF_HOST, OURS, Heard, Ours, Role
from p2pswarm.overlay.supernode.family import Family
from p2pswarm.overlay.supernode.flooding import Flood
from p2pswarm.overlay.supernode.home import Home
from p2pswarm.overlay.supernode.index import Index
from p2pswarm.overlay.supernode.known import Known
from p2pswarm.overlay.supernode.link import Link
from p2pswarm.overlay.supernode.links import Linking
from p2pswarm.overlay.supernode.meeting import TurnedDownError, greet
from p2pswarm.overlay.supernode.promotion import Peer
from p2pswarm.overlay.supernode.testing import Nonces, Tester
from p2pswarm.overlay.supernode.trust import Trust
from p2pswarm.wire.http.heads import AGENT
from p2pswarm.wire.supernode.datagrams import UdpPong
from p2pswarm.wire.supernode.frames import OPENING, Frame, FrameKind
from p2pswarm.wire.supernode.hello import Bye, Hello, Reason, Refuse, Want, Welcome
from p2pswarm.wire.supernode.hits import Found
from p2pswarm.wire.supernode.hosts import HOSTS_MOST, Entry, Hosts
from p2pswarm.wire.supernode.keeping import Ping, Pong
from p2pswarm.wire.supernode.queries import Query
from p2pswarm.wire.supernode.shares import SharedFile
from p2pswarm.wire.supernode.testing import Invite, Test, Verdict

__all__ = ["Serving"]

log = logging.getLogger(__name__)

TICK = 1.0  # seconds
HOSTS_EVERY = 7200.0  # seconds between lists of hosts, as with FastTrack
MOST_VISITORS = 100  # at a time: each asks one thing, and goes
PING_EVERY = 10.0  # seconds between questions to links, how full they are
UNKNOWN = 90  # percent: how full those may be that we are not linked to, in a crowd mostly
INVITED_EVERY = 10.0  # seconds: how often one link may test us
VISIT_TIME = 45.0  # seconds, in which a test fits


class Serving:
    """`run` until cancelled; `welcome` who comes."""

    def __init__(
        self, home: Home, port: Port, known: Known, dice: Random, nonces: Nonces, tester: Tester
    ) -> None:
        self._home, self._us, self._port, self._known = home, home.us, port, known
        self._nonces, self._tester = nonces, tester
        options = home.us.options
        self._clock = asyncio.get_running_loop().time
        now = self._clock()
        self.index: Index[Link | Ours] = Index()
        self.index.add(OURS, home.us.files.values())
        self.flood: Flood[Link] = Flood(self, self.index, now)
        self.family = Family(options, self.index, dice)
        self._linking: Linking[Link] = Linking(home.us.node, known, options, dice)
        self._trust: Trust[Link] = Trust(options, dice)
        self.links: dict[Link, int] = {}  # and how full each is, in percent
        self._believed: dict[
            Link, float
        ] = {}  # since when; in an order that a laboratory can repeat
        self._tests: dict[Link, asyncio.Task[None]] = {}  # that run: one of each
        self._invited: dict[Link, float] = {}  # and when it may again
        self._named: dict[Link, bytes] = {}  # hosts that one named before we believed it
        self._visitors: dict[Link, float] = {}  # and until when
        self._next_hosts, self._next_ping = now + HOSTS_EVERY, now
        self._tasks: asyncio.TaskGroup | None = None
        self.closed = False
        """It takes nobody in any more."""

    async def run(self) -> None:
        self.closed = False
        try:
            async with asyncio.TaskGroup() as self._tasks:
                while True:
                    self._tick(self._clock())
                    await asyncio.sleep(TICK)
        finally:
            self._tasks, self.closed = None, True
            self._leave()

    def _tick(self, now: float) -> None:
        for link in [*self.neighbours, *self._visitors]:
            link.tick(now)
        for link in [link for link, until in self._visitors.items() if until <= now]:
            link.close(NetworkError("it visits us for too long"))
        if now >= self._linking.due and self._tasks is not None:
            for address in self._linking.step(now):
                self._tasks.create_task(self._dial(address))
        for link in self._trust.step(now):
            link.send(Invite().encode().encode())
        for link in self._trust.silent(now):
            link.part(Bye("you did not answer our test").encode().encode(), "it is not tested")
        self.family.tick(now, self.hosts, self._peers())
        if now >= self._next_ping:
            self._next_ping = now + PING_EVERY
            for link in list(self.links):  # one that does not read may leave over it
                link.send(Ping().encode().encode())
        if now >= self._next_hosts:
            self._next_hosts = now + HOSTS_EVERY
            for link in self.neighbours:
                self._send_hosts(link)

    @property
    def neighbours(self) -> list[Link]:
        """Children and links."""
        return [*self.family.children, *self.links]

    def _peers(self) -> list[Peer]:
        return [Peer(self.links[link], since) for link, since in self._believed.items()]

    @property
    def load(self) -> int:
        """How full we are, in percent."""
        return self.family.load

    def state(self, token: bytes) -> UdpPong:
        """For who asks by UDP."""
        family = self.family
        return UdpPong(token, family.load, True, len(family), len(self.links), family.room)

    # Who comes

    def welcome(self, link: Link, hello: Hello) -> None:
        """Somebody said HELLO."""
        match hello.want:
            case Want.PARENT:
                self._take_child(link, hello)
            case Want.LINK:
                self._take_link(link, hello)
            case Want.VISIT | Want.TEST:
                self._take_visitor(link)

    def _take_child(self, link: Link, hello: Hello) -> None:
        now = self._clock()
        if not self.family.takes(link, hello, now):
            able = hello.willing and not hello.firewalled
            invited = able and self.family.invites_refused(now, self._peers())
            self.refuse(link, Reason.FULL, "no place for another child", invited=invited)
            return
        link.role = Role.CHILD
        self.flood.joined(link, Role.CHILD, now)
        self._say_welcome(link)
        link.send(Ping().encode().encode())  # how much of its CPU is free

    def _take_link(self, link: Link, hello: Hello) -> None:
        address = Address(link.remote.host, hello.port)
        reason = self._linking.refuses(hello.node, address, self._clock())
        if not self._trust.may_link(address, self._clock()):
            reason = reason or Reason.NOT_WANTED
        if reason is not None:
            self.refuse(link, reason, "no link with you")
            return
        link.address = address
        self._say_welcome(link)
        self._linked(link, hello.node, address, dialed=False)

    def _take_visitor(self, link: Link) -> None:
        if len(self._visitors) >= MOST_VISITORS:
            self.refuse(link, Reason.FULL, "too many visitors")
            return
        link.role = Role.VISITOR
        self._visitors[link] = self._clock() + VISIT_TIME
        self.flood.joined(link, Role.VISITOR, self._clock())
        self._say_welcome(link, hosts=False)

    def _say_welcome(self, link: Link, *, hosts: bool = True) -> None:
        us, family = self._us, self.family
        you = link.remote
        counts = len(family), len(self.links), family.room
        welcome = Welcome(us.node, us.port, AGENT, you, True, *counts)
        link.send(OPENING, welcome.encode().encode())
        if hosts:
            self._send_hosts(link)

    def refuse(self, link: Link, reason: Reason, text: str, *, invited: bool = False) -> None:
        """Say where else to go."""
        refusal = Refuse(reason, text, self.hosts(), invited)
        link.part(OPENING + refusal.encode().encode(), text)

    def _send_hosts(self, link: Link) -> None:
        link.send(Hosts(self.hosts()).encode().encode())

    # Links

    async def _dial(self, address: Address) -> None:
        try:
            meeting, welcome = await greet(self._port, address, self._us.hello(Want.LINK))
        except TurnedDownError as error:
            self._home.told(error.refusal.hosts, address)
            if error.refusal.reason is Reason.SELF:
                self._home.ourselves(address)
            full = error.refusal.reason in {Reason.FULL, Reason.NOT_WANTED}
            self._linking.failed(address, self._clock(), full=full)
        except NetworkError as error:
            log.debug("supernode: %s", error)
            self._linking.failed(address, self._clock())
        else:
            self._us.seen(meeting.stream.remote, welcome.you.host)
            if self._tasks is None or not welcome.supernode:
                meeting.close()
                self._linking.failed(address, self._clock())
            else:
                load = 100 * welcome.children // max(welcome.children + welcome.room, 1)
                self._linked(meeting.stay(), welcome.node, address, dialed=True, load=load)

    def _linked(
        self, link: Link, node: bytes, address: Address, *, dialed: bool, load: int = 100
    ) -> None:
        now, link.role, link.node = self._clock(), Role.LINK, node
        closing = self._linking.linked(link, node, address, now, dialed=dialed)
        for each in closing:
            each.part(Bye("another link takes the place").encode().encode(), "exchanged")
        if link in closing:
            return
        self.links[link] = load
        link.send(Ping().encode().encode())
        self.flood.joined(link, Role.LINK, now)
        self._trust.linked(link, node, address, now)
        self._confirm(link)
        if dialed:
            self._send_hosts(link)
            link.listen(self)

    def _confirm(self, link: Link) -> None:
        """Children hear of it at once: when we are gone they need somebody to go to."""
        if not self._trust.trusted(link) or link in self._believed:
            return
        alone = not self._believed
        self._believed[link] = self._clock()
        self.flood.confirmed(link)
        if link.address is not None:  # our test has dialed it there, if we have not
            self._known.answered(link.address)
        named = self._named.pop(link, None)
        if named is not None:
            self._home.told(Hosts.read(named).entries, link.remote)
        news = Hosts(tuple(self._linked_hosts([link]))).encode().encode()
        for child in list(self.family.children):
            child.send(news)
        if alone:  # what we asked before went nowhere
            self._home.moved()

    # What they say

    def got(self, link: Link, frame: Frame) -> None:
        """Raises RemoteError."""
        now = self._clock()
        match frame.kind:
            case FrameKind.QUERY | FrameKind.HITS | FrameKind.STOP:
                self.flood.got(link, frame, now)
            case FrameKind.PING:
                counts = len(self.family), len(self.links)
                link.send(Pong(self.load, *counts, self._us.spare()).encode().encode())
            case FrameKind.PONG:
                self._got_pong(link, Pong.read(frame.body))
            case FrameKind.SHARE | FrameKind.UNSHARE if link.role is Role.CHILD:
                self.family.got(link, frame, now)
            case FrameKind.VERDICT if link.role is Role.CHILD:
                self.family.failed(link, now)
            case FrameKind.HOSTS if link.role is Role.LINK and link.may_name():
                self._got_hosts(link, frame.body)
            case FrameKind.INVITE if link.role is Role.LINK:
                self._got_invite(link, now)
            case FrameKind.TEST:
                self._got_test(link, Test.read(frame.body))
            case FrameKind.BYE:
                link.close(NetworkError(f"it says: {Bye.read(frame.body).text}"))
            case _:
                pass

    def _got_hosts(self, link: Link, body: bytes) -> None:
        """The first list comes before the other side was tested, and then waits for that."""
        hosts = Hosts.read(body)
        if self._trust.trusted(link):
            self._home.told(hosts.entries, link.remote)
        else:
            self._named[link] = body

    def _got_pong(self, link: Link, pong: Pong) -> None:
        if link in self.links:
            self.links[link] = pong.load
        else:
            self.family.pong(link, pong.spare)

    def _got_invite(self, link: Link, now: float) -> None:
        """It would test us. Nonces are few, and nobody may use up those that others have."""
        if now >= self._invited.get(link, now):
            self._invited[link] = now + INVITED_EVERY
            link.send(Test(self._us.port, self._nonces.give(now)).encode().encode())

    def _got_test(self, link: Link, test: Test) -> None:
        """Somebody wants to be dialed back, at the host that it comes from."""
        expected = link.role is Role.VISITOR or self._trust.testing(link)
        if self._tasks is not None and expected and link not in self._tests:
            self._tests[link] = self._tasks.create_task(self._test(link, test))

    async def _test(self, link: Link, test: Test) -> None:
        # What a link passes is believed of its own address, and so it is tested there.
        port = test.port if link.address is None else link.address.port
        linked = link.role is Role.LINK
        try:
            verdict = await self._tester.test(
                link.remote, port, test.nonce, link.node, linked=linked
            )
        except BusyError as error:
            self._trust.unheard(link, self._clock())
            if link.role is Role.VISITOR:
                link.part(Refuse(Reason.TOO_OFTEN, str(error)).encode().encode(), str(error))
            return
        finally:
            self._tests.pop(link, None)
        link.send(verdict.encode().encode())
        if linked:
            self._judge(link, verdict)

    def _judge(self, link: Link, verdict: Verdict) -> None:
        reachable, rate = verdict.reachable, verdict.rate
        if self._trust.verdict(link, self._clock(), reachable=reachable, rate=rate):
            self._confirm(link)
        else:
            log.debug("supernode: %s is no super node for us: %s", link.remote, verdict.text)
            link.part(Bye("you did not pass our test").encode().encode(), "it failed our test")

    def left(self, link: Link, reason: Exception) -> None:
        self.flood.left(link)
        self.family.left(link)
        if link in self.links:
            del self.links[link]
            self._named.pop(link, None)
            self._invited.pop(link, None)
            self._believed.pop(link, None)
            self._linking.unlinked(link)
            self._trust.left(link)
        self._visitors.pop(link, None)

    # What we ourselves ask and share

    def ask(self, query: Query, heard: Heard) -> int:
        """How many messages that took."""
        sent = self.flood.counts.sent
        before = sent["query"]
        self.flood.ask(query, self._clock(), heard)
        return sent["query"] - before

    def here(self, query: Query) -> list[Found]:
        """What our children have."""
        owners = self.index.search(query, query.want, OF_HOST, OURS)
        told = (self.tell(owner, tuple(files)) for owner, files in owners)
        return [found for found in told if found is not None]

    def stop(self, guid: bytes) -> None:
        self.flood.stop(guid)

    def shared(self, files: Sequence[SharedFile]) -> None:
        self.index.add(OURS, files)

    def withdrawn(self, numbers: Sequence[int]) -> None:
        self.index.remove(OURS, numbers)

    # What `flooding` asks of us

    def tell(self, owner: Link | Ours, files: tuple[SharedFile, ...]) -> Found | None:
        """How a hit names this child or ourselves, with these files."""
        here = self._us.address
        if not isinstance(owner, Link):
            return None if here is None else Found(here, self._us.node, False, None, files)
        return self.family.tell(owner, here, files, self._clock())

    def is_ours(self, address: Address) -> bool:
        return address.normal in self._us.addresses

    def referrals(self) -> tuple[Entry, ...]:
        return self.hosts()

    def hosts(self) -> tuple[Entry, ...]:
        """Super nodes to go to: those we are linked to, and others that answered us lately.

        Not who is to be tested yet, or failed: whoever is told goes there.
        """
        linked, now = self._linked_hosts(self._believed), self._clock()
        have = {link.address.normal for link in self.links if link.address is not None}
        others = [each for each in self._known.lately() if each not in have]
        lately = [Entry(each, 1, UNKNOWN) for each in others if self._trust.may_link(each, now)]
        return tuple((linked + lately)[:HOSTS_MOST])

    def _linked_hosts(self, links: Iterable[Link]) -> list[Entry]:
        at = ((link.address, self.links[link]) for link in links)
        return [Entry(address, 0, load) for address, load in at if address is not None]

    def _leave(self) -> None:
        bye = Bye("I serve no longer", self.hosts()).encode().encode()
        for link in [*self.neighbours, *self._visitors]:
            link.part(bye, "we serve no longer")
