"""An ordinary node: one parent at a time, which knows our files as long as it is there.

`parents` says whom to ping and dial; here it is done. What the parent says is heard: hits for our questions,
other super nodes to know, an invitation to become one, and whom a firewalled node shall dial.

The one hard thing: dials overlap, so that dead hosts cost little time, and still there is one parent. The
first that welcomes us is it; whoever does so later is left at once, before it heard of a file.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from math import isinf

from p2pswarm.errors import NetworkError, RemoteError
from p2pswarm.formats.ids import Address
from p2pswarm.net.port import Port
from p2pswarm.overlay.supernode.asking import Role
from p2pswarm.overlay.supernode.home import Home
from p2pswarm.overlay.supernode.link import Link
from p2pswarm.overlay.supernode.meeting import TurnedDownError, greet
from p2pswarm.overlay.supernode.options import Wish
from p2pswarm.overlay.supernode.parents import DIAL_TIME, Seeking
from p2pswarm.overlay.supernode.telling import Telling
from p2pswarm.wire.supernode.datagrams import UdpPong
from p2pswarm.wire.supernode.frames import Frame, FrameKind
from p2pswarm.wire.supernode.hello import Bye, Reason, Refuse, Want
from p2pswarm.wire.supernode.hosts import Hosts
from p2pswarm.wire.supernode.keeping import Pong
from p2pswarm.wire.supernode.pushing import Push
from p2pswarm.wire.supernode.queries import Query, Stop
from p2pswarm.wire.supernode.shares import SharedFile
from p2pswarm.wire.supernode.testing import Invite, Verdict

__all__ = ["Ordinary"]

log = logging.getLogger(__name__)

# A parent that a power cut takes says nothing. Whom UDP reaches is asked by it, as no long list of files of
# ours stands before the question there; within ten seconds in all, another parent is to be found.
# Datagrams alone do not end it: who floods a super node with pings would take all its children.
QUIET = 4.0  # seconds without a word of our parent after which it is pinged, once a second
INSIST = 5.0  # after which it is asked over the link as well
GONE = 7.0  # and after which it is left, if it ever answered a ping
FRUITLESS = 8  # searches in a row without a hit, after which another parent is sought
STAY = 900.0  # seconds with a parent before that: who asks for what nobody has does not go round


class Ordinary:
    """`run` until cancelled; `pong` for each answer to a ping."""

    def __init__(
        self, home: Home, port: Port, seeking: Seeking, ping: Callable[[Address], None]
    ) -> None:
        self._home, self._us, self._port = home, home.us, port
        self._seeking, self._ping = seeking, ping
        self._clock = asyncio.get_running_loop().time
        self._bell = asyncio.Event()
        self.parent: Link | None = None
        self._telling: Telling | None = None  # it
        self._ponged: float | None = None  # when it last answered by UDP
        self._fruitless = 0  # searches in a row that found nothing
        self.trouble = ""
        """Why the last one whom we dialed is not our parent."""

    async def run(self) -> None:
        if self._us.options.wish is not Wish.VISITOR:
            self._seeking.lost(self._clock())
        try:
            async with asyncio.TaskGroup() as tasks:
                while True:
                    moves = self._seeking.step(self._clock())
                    for address in moves.ping:
                        self._ping(address)
                    for address in moves.dial:
                        tasks.create_task(self._dial(address))
                    await self._rest()
        finally:
            self._seeking.found()
            self._leave()

    async def _rest(self) -> None:
        """Until something happens, or it is time for the next step."""
        due = self._seeking.due
        self._bell.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(None if isinf(due) else max(due - self._clock(), 0.0)):
                await self._bell.wait()

    def pong(self, address: Address, pong: UdpPong, rtt: float) -> None:
        parent = self.parent
        if parent is not None and parent.address is not None and parent.address.normal == address:
            self._ponged = self._clock()
        elif pong.supernode:
            self._seeking.pong(address, pong.load, pong.room, rtt, self._clock())
            self._bell.set()

    # Getting a parent

    async def _dial(self, address: Address) -> None:
        """And then it is told our files, as long as it is our parent."""
        try:
            hello = self._us.hello(Want.PARENT)
            meeting, welcome = await greet(self._port, address, hello, patience=DIAL_TIME)
        except TurnedDownError as error:
            self.trouble = str(error)
            self._refused(address, error.refusal)
        except RemoteError as error:
            log.debug("supernode: %s", error)
            self.trouble = str(error)
            self._seeking.failed(address, self._clock())
            self._bell.set()
        else:
            self._us.seen(meeting.stream.remote, welcome.you.host)
            if self.parent is not None or not self._seeking.seeks:
                meeting.close()
            else:
                await self._adopt(meeting.stay()).run()

    def _refused(self, address: Address, refusal: Refuse) -> None:
        if refusal.reason is Reason.SELF:
            self._home.ourselves(address)
        self._home.told(refusal.hosts, address)
        self._seeking.refused(address, refusal.reason, self._clock(), refusal.hosts)
        if refusal.invited:
            self._home.invited()
        self._bell.set()

    def _adopt(self, link: Link) -> Telling:
        self.parent, link.role = link, Role.PARENT
        self._ponged, self._fruitless = None, 0
        self._seeking.found(link.address)
        telling = self._telling = Telling(link, self._us.files)
        log.debug("supernode: %s is our parent", link.remote)
        link.listen(self)
        self._home.moved()
        return telling

    def shared(self, files: Sequence[SharedFile]) -> None:
        """These are new."""
        if self._telling is not None:
            self._telling.changed(file.number for file in files)

    def withdrawn(self, numbers: Sequence[int]) -> None:
        if self._telling is not None:
            self._telling.changed(numbers)

    def ask(self, query: Query) -> int:
        """How many bytes went to our parent; 0 when there is none."""
        data = query.encode().encode()
        return len(data) if self.parent is not None and self.parent.send(data) else 0

    def stop(self, guid: bytes) -> None:
        if self.parent is not None:
            self.parent.send(Stop(guid).encode().encode())

    def searched(self, *, found: bool) -> None:
        """A search through our parent has ended. One that swallows all of them is left for another."""
        parent, now = self.parent, self._clock()
        self._fruitless = 0 if found else self._fruitless + 1
        if parent is not None and self._fruitless >= FRUITLESS and now - parent.since >= STAY:
            parent.close(NetworkError("nothing is ever found through it"))

    def failed_tests(self) -> None:
        """We are no super node, whoever invited us."""
        if self.parent is not None:
            self.parent.send(Verdict(False, 0).encode().encode())

    def tick(self, now: float) -> None:
        """Whether our parent is there still."""
        parent = self.parent
        if parent is None or parent.address is None:
            return
        parent.tick(now)
        quiet = now - max(parent.heard, self._ponged or 0.0)
        if quiet > QUIET:
            self._ping(parent.address)
        if quiet > INSIST:
            parent.ask(now)
        if self._ponged is not None and quiet > GONE:
            parent.close(NetworkError("it says nothing any more"))

    # What the parent says

    def got(self, link: Link, frame: Frame) -> None:
        """Raises RemoteProtocolError."""
        match frame.kind:
            case FrameKind.HITS:
                self._home.hits(frame.body, link)
            case FrameKind.PING:
                link.send(Pong(0, 0, 0, self._us.spare()).encode().encode())
            case FrameKind.HOSTS if link.may_name():
                self._home.told(Hosts.read(frame.body).entries, link.remote)
            case FrameKind.INVITE if link.may_name():
                self._home.told(Invite.read(frame.body).hosts, link.remote)
                self._home.invited()
            case FrameKind.PUSH:
                self._home.pushed(Push.read(frame.body), link)
            case FrameKind.BYE:
                bye = Bye.read(frame.body)
                self._home.told(bye.hosts, link.remote)
                link.close(NetworkError(f"it says: {bye.text}"))
            case _:
                pass

    def left(self, link: Link, reason: Exception) -> None:
        if link is self.parent:
            log.debug("supernode: our parent %s is gone: %s", link.remote, reason)
            self.parent = None
            self._end_telling()
            self._seeking.lost(self._clock(), link.address)
            self._bell.set()
            self._home.moved()

    def _end_telling(self) -> None:
        telling, self._telling = self._telling, None
        if telling is not None:
            telling.end()

    def _leave(self) -> None:
        parent, self.parent = self.parent, None
        self._end_telling()
        if parent is not None:
            parent.part(Bye("I leave").encode().encode(), "we left it")
