"""Ways to others on the port of a node: what super nodes are asked, and the meetings.

A super node answers whoever asks where it sees him. Everybody answers checks of the meetings there are, and
nothing else: who sends what belongs to none hears nothing.
"""

import asyncio
from collections.abc import Callable, Sequence
from random import Random

from p2pswarm.errors import LocalProtocolError, NetworkError, RemoteProtocolError
from p2pswarm.formats.ids import Address
from p2pswarm.net.port import Port
from p2pswarm.net.stream import Stream
from p2pswarm.net.tasks import tell_bug
from p2pswarm.reach import stun
from p2pswarm.reach.answering import Answering
from p2pswarm.reach.elsewhere import Elsewhere
from p2pswarm.reach.gathering import Gathering
from p2pswarm.reach.meeting import Meeting
from p2pswarm.reach.offers import Candidates, Offer
from p2pswarm.reach.paths import Relaying
from p2pswarm.reach.strangers import Strangers
from p2pswarm.wire.reaching import Greeting, GreetingFramer
from p2pswarm.wire.sniff import DatagramGuest, Guest

__all__ = ["Reach"]

MOST_MEETINGS = 64


class Reach:
    """One for a node; `open` once its port is, `close` at the end."""

    def __init__(
        self,
        port: Port,
        dice: Random,
        *,
        node: bytes,
        super_nodes: Callable[[], Sequence[Address]],
        serves: Callable[[], bool],
        relaying: Relaying | None = None,
    ) -> None:
        """`super_nodes` are those to ask, best first; `serves` says whether we are one."""
        self.port, self.dice, self.relaying = port, dice, relaying
        self._serves = serves
        self.neighbours = super_nodes
        """Super nodes that know us as well: of one that serves, those of its slot. They tell each other's
        guests what a NAT lets in from a stranger."""
        self._gathering = Gathering(port, dice, super_nodes, node)
        self._answering = Answering(dice, lambda: self.neighbours())
        self._elsewhere = Elsewhere(port)
        self._meetings: dict[str, Meeting] = {}  # by our ufrag
        self.strangers = Strangers()
        self._lives: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Hear what is ours. Raises PortTakenError."""
        self.port.route_datagrams(DatagramGuest.STUN, self._got_stun)
        self.port.route_datagrams(DatagramGuest.MEDIA, self._got_media)
        self.port.route(Guest.REACH, self._welcome)
        await self.port.open_datagrams()

    @property
    def number(self) -> int:
        """The TCP number from which super nodes saw us; 0 for none."""
        return self._gathering.number

    async def gather(self, *, anew: bool = False) -> Candidates:
        """Where we may be reached now, asked from super nodes; within two seconds, however few answer.

        `anew`, what was found a moment ago counts for nothing.
        """
        return await self._gathering.gather(anew=anew)

    def begin(self, ours: Offer, theirs: Offer) -> Meeting:
        """From here on ways are tried. Who was checked (`Offer.check`) is tried at what it named.

        Raises NetworkError when there are too many meetings.
        """
        if ours.session != theirs.session:
            raise LocalProtocolError("an answer to another offer")
        if len(self._meetings) >= MOST_MEETINGS:
            raise NetworkError("too many calls at the same time")
        meeting = self._meetings[ours.ufrag] = Meeting(self, ours, theirs)
        life = asyncio.create_task(meeting.live())
        self._lives.add(life)
        meeting.ended = lambda: self._end(meeting, life)
        life.add_done_callback(self._ended)
        return meeting

    async def close(self) -> None:
        """Ends all meetings. May be called twice."""
        for meeting in list(self._meetings.values()):
            meeting.close()
        if self._lives:
            await asyncio.wait(self._lives)
        self._gathering.close()
        await self._elsewhere.close()

    def _end(self, meeting: Meeting, life: "asyncio.Task[None]") -> None:
        self._meetings.pop(meeting.ufrag, None)
        life.cancel()

    def _ended(self, life: "asyncio.Task[None]") -> None:
        self._lives.discard(life)
        tell_bug(life)

    # Datagrams

    def _got_stun(self, data: bytes, source: Address) -> None:
        """Raises FormatError."""
        message = stun.read(data)
        if stun.is_request(message):
            ufrag = str(message.attributes.get("USERNAME", "")).partition(":")[0]
            if ufrag in self._meetings:
                self._meetings[ufrag].got_stun(message, source)
            elif not ufrag and self._serves():
                self._answer(message, len(data), source)
        elif not self._gathering.answered(message, source):
            for meeting in list(self._meetings.values()):
                if meeting.checks.asked(message):
                    meeting.got_stun(message, source)

    def _answer(self, message: stun.Message, size: int, source: Address) -> None:
        now = asyncio.get_running_loop().time()
        for reply in self._answering.asked(message, size, source, now):
            if reply.elsewhere:
                self._elsewhere.send(reply.data, reply.to)
            else:
                self.port.send_datagram(reply.data, reply.to)

    def _got_media(self, data: bytes, source: Address) -> None:
        """Two calls with the same host tell their own by the session in it."""
        for meeting in list(self._meetings.values()):
            if meeting.checks.knows(source):
                meeting.got_media(data)

    # Streams

    def _welcome(self, stream: Stream) -> None:
        """Somebody dialed us who says that we have a meeting."""
        stream.switch(GreetingFramer(self.port.scratch), _Door(self, stream))

    def adopt(self, stream: Stream, greeting: Greeting) -> None:
        """Raises RemoteProtocolError, NetworkError."""
        self.port.admitted(stream)
        for meeting in self._meetings.values():
            if meeting.streams.fits(greeting):
                meeting.streams.adopt(stream, greeting)
                return
        raise RemoteProtocolError("no such meeting")


class _Door:
    """Until we know of which meeting a stream is."""

    def __init__(self, reach: Reach, stream: Stream) -> None:
        self._reach, self._stream = reach, stream

    def got(self, message: object) -> None:
        """Raises RemoteError."""
        if isinstance(message, Greeting):
            self._reach.adopt(self._stream, message)

    def caught_up(self) -> None:
        """The greeting was answered."""

    def drained(self) -> None:
        """Nothing was sent."""

    def closed(self, reason: Exception | None) -> None:
        self._reach.port.admitted(self._stream)
