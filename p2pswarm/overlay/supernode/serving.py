"""A super node at work: who comes and what becomes of it, and what each may say.

Children are up to `family`, links to other super nodes to `peers`, queries and hits to `flooding`; visitors
are here, who come for one answer or for a test.

The one hard thing: nobody is what he says. So what a frame is good for depends on who sends it, and whoever
asks to be tested is dialed where he comes from.
"""

import asyncio
from collections.abc import Sequence
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
from p2pswarm.overlay.supernode.peers import Peers
from p2pswarm.overlay.supernode.testing import Nonces, Tester
from p2pswarm.wire.http.heads import AGENT
from p2pswarm.wire.supernode.datagrams import UdpPong
from p2pswarm.wire.supernode.frames import OPENING, Frame, FrameKind
from p2pswarm.wire.supernode.hello import Bye, Hello, Reason, Refuse, Want, Welcome
from p2pswarm.wire.supernode.hits import Found
from p2pswarm.wire.supernode.hosts import Entry, Hosts
from p2pswarm.wire.supernode.keeping import Ping, Pong
from p2pswarm.wire.supernode.queries import Query
from p2pswarm.wire.supernode.shares import SharedFile
from p2pswarm.wire.supernode.testing import Test

__all__ = ["Serving"]

TICK = 1.0  # seconds
HOSTS_EVERY = 7200.0  # seconds between lists of hosts, as with FastTrack
MOST_VISITORS = 100  # at a time: each asks one thing, and goes
VISIT_TIME = 45.0  # seconds, in which a test fits


class Serving:
    """`run` until cancelled; `welcome` who comes."""

    def __init__(
        self, home: Home, port: Port, known: Known, dice: Random, nonces: Nonces, tester: Tester
    ) -> None:
        self._us, self._tester = home.us, tester
        self._clock = asyncio.get_running_loop().time
        now = self._clock()
        self.index: Index[Link | Ours] = Index()
        self.index.add(OURS, home.us.files.values())
        self.flood: Flood[Link] = Flood(self, self.index, now)
        self.family = Family(home.us.options, self.index, dice)
        self.peers = Peers(self, home, port, known, dice, nonces)
        self._tests: set[Link] = set()  # whose test runs: one of each
        self._visitors: dict[Link, float] = {}  # and until when
        self._next_hosts = now + HOSTS_EVERY
        self._tasks: asyncio.TaskGroup | None = None
        self.closed = False
        """It takes nobody in any more."""

    async def run(self) -> None:
        self.closed = False
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            try:
                while True:
                    self._tick(self._clock(), tasks)
                    await asyncio.sleep(TICK)
            finally:  # before it waits for what it began, as nothing can begin any more
                self._tasks, self.closed = None, True
                self._leave()

    def _tick(self, now: float, tasks: asyncio.TaskGroup) -> None:
        for link in [*self.neighbours, *self._visitors]:
            link.tick(now)
        for link in [link for link, until in self._visitors.items() if until <= now]:
            link.close(NetworkError("it visits us for too long"))
        for address in self.peers.tick(now):
            tasks.create_task(self.peers.dial(address))
        self.family.tick(now, self.hosts, self.peers.believed)
        if now >= self._next_hosts:
            self._next_hosts = now + HOSTS_EVERY
            for link in self.neighbours:
                self.peers.send_hosts(link)

    @property
    def neighbours(self) -> list[Link]:
        """Children and links."""
        return [*self.family.children, *self.peers.links]

    @property
    def load(self) -> int:
        """How full we are, in percent."""
        return self.family.load

    def state(self, token: bytes) -> UdpPong:
        """For who asks by UDP."""
        family = self.family
        return UdpPong(token, family.load, True, len(family), len(self.peers), family.room)

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
            invited = able and self.family.invites_refused(now, self.peers.believed)
            self.refuse(link, Reason.FULL, "no place for another child", invited=invited)
            return
        link.role = Role.CHILD
        self.flood.joined(link, Role.CHILD, now)
        self._say_welcome(link)
        link.send(Ping().encode().encode())  # how much of its CPU is free

    def _take_link(self, link: Link, hello: Hello) -> None:
        reason = self.peers.refuses(link, hello)
        if reason is not None:
            self.refuse(link, reason, "no link with you")
            return
        self._say_welcome(link)
        self.peers.welcomed(link, hello)

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
        counts = len(family), len(self.peers), family.room
        welcome = Welcome(us.node, us.port, AGENT, you, True, *counts)
        link.send(OPENING, welcome.encode().encode())
        if hosts:
            self.peers.send_hosts(link)

    def refuse(self, link: Link, reason: Reason, text: str, *, invited: bool = False) -> None:
        """Say where else to go."""
        refusal = Refuse(reason, text, self.hosts(), invited)
        link.part(OPENING + refusal.encode().encode(), text)

    # What they say

    def got(self, link: Link, frame: Frame) -> None:
        """Raises RemoteError."""
        now = self._clock()
        match frame.kind:
            case FrameKind.QUERY | FrameKind.HITS | FrameKind.STOP:
                self.flood.got(link, frame, now)
            case FrameKind.PING:
                counts = len(self.family), len(self.peers)
                link.send(Pong(self.load, *counts, self._us.spare()).encode().encode())
            case FrameKind.PONG:
                pong = Pong.read(frame.body)
                self.peers.got_load(link, pong.load)
                self.family.pong(link, pong.spare)
            case FrameKind.SHARE | FrameKind.UNSHARE if link.role is Role.CHILD:
                self.family.got(link, frame, now)
            case FrameKind.VERDICT if link.role is Role.CHILD:
                self.family.failed(link, now)
            case FrameKind.HOSTS if link.role is Role.LINK and link.may_name():
                self.peers.got_hosts(link, frame.body)
            case FrameKind.INVITE if link.role is Role.LINK:
                self.peers.got_invite(link, now)
            case FrameKind.TEST:
                self._got_test(link, Test.read(frame.body))
            case FrameKind.BYE:
                link.close(NetworkError(f"it says: {Bye.read(frame.body).text}"))
            case _:
                pass

    def _got_test(self, link: Link, test: Test) -> None:
        """Somebody wants to be dialed back, at the host that it comes from."""
        expected = link.role is Role.VISITOR or self.peers.testing(link)
        if self._tasks is not None and expected and link not in self._tests:
            self._tests.add(link)
            self._tasks.create_task(self._test(link, test))

    async def _test(self, link: Link, test: Test) -> None:
        # What a link passes is believed of its own address, and so it is tested there.
        port = test.port if link.address is None else link.address.port
        linked = link.role is Role.LINK
        try:
            verdict = await self._tester.test(
                link.remote, port, test.nonce, link.node, linked=linked
            )
        except BusyError as error:
            self.peers.unheard(link)
            if not linked:
                link.part(Refuse(Reason.TOO_OFTEN, str(error)).encode().encode(), str(error))
            return
        finally:
            self._tests.discard(link)
        link.send(verdict.encode().encode())
        if linked:
            self.peers.verdict(link, verdict)

    def left(self, link: Link, reason: Exception) -> None:
        self.flood.left(link)
        self.family.left(link)
        self.peers.left(link)
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

    # What `flooding` and `peers` need of us

    def tell(self, owner: Link | Ours, files: tuple[SharedFile, ...]) -> Found | None:
        """How a hit names this child or ourselves, with these files."""
        here = self._us.address
        if not isinstance(owner, Link):
            return None if here is None else Found(here, self._us.node, False, None, files)
        return self.family.tell(owner, here, files, self._clock())

    def is_ours(self, address: Address) -> bool:
        return address.normal in self._us.addresses

    def hosts(self) -> tuple[Entry, ...]:
        return self.peers.hosts()

    def joined(self, link: Link) -> None:
        self.flood.joined(link, Role.LINK, self._clock())

    def confirmed(self, link: Link, entries: tuple[Entry, ...]) -> None:
        """Children hear of it at once: when we are gone they need somebody to go to."""
        self.flood.confirmed(link)
        self.family.say(Hosts(entries).encode().encode())

    def _leave(self) -> None:
        bye = Bye("I serve no longer", self.hosts()).encode().encode()
        for link in [*self.neighbours, *self._visitors]:
            link.part(bye, "we serve no longer")
