"""Can it be dialed, and how fast does it give? One super node's test of somebody, both sides of it.

Whoever wants to be tested gives out a nonce (`Nonces`) and `ask`s. The tester (`Tester`) dials it back, at
the host where the question came from and nowhere else, shows the nonce, and is given 64 KiB as fast as the
upload limit lets them go (`Probed`). The time of all but the first bytes is the measure.

The one hard thing: a test is a lever. A stranger makes us dial and receive, so it is bounded in time, bytes,
number and targets; and makes the tested node send, which it does once for each nonce that it gave out
itself.
"""

import asyncio
import secrets
from collections import OrderedDict
from collections.abc import Callable

from p2pswarm.errors import BusyError, NetworkError, RemoteError, RemoteProtocolError
from p2pswarm.formats.ids import Address
from p2pswarm.formats.zones import owner_of, zone_of
from p2pswarm.net.port import Port
from p2pswarm.net.rate import Limiter
from p2pswarm.net.stream import Stream
from p2pswarm.overlay.budget import DialBudget
from p2pswarm.overlay.remembering import remember
from p2pswarm.overlay.supernode.meeting import Meeting, TurnedDownError, greet
from p2pswarm.wire.supernode.frames import Frame, FrameKind
from p2pswarm.wire.supernode.hello import NONCE_SIZE, Hello, Refuse, Want
from p2pswarm.wire.supernode.testing import Data, Probe, Test, Verdict

__all__ = ["Nonces", "Probed", "Tester", "ask"]

PROBE_SIZE = 64 << 10  # bytes
TEST_TIME = 10.0  # seconds for a test, all in all
FIRST_BYTES = 16 << 10  # which are not measured
SPARE_BYTES = 8 << 10  # that may come besides
CHUNK = 8 << 10  # bytes of one frame of data
LEAST_CHUNK = 1 << 10
VERDICT_TIME = 30.0
NONCE_TIME = 60.0
MOST_NONCES = 100
MOST_TESTS = 4  # at a time: each takes a share of our line, and the last one of four is slow
MOST_OF_VISITORS = 2  # among them: who comes for a test must not keep our links waiting
VISITOR_EVERY = 60.0  # seconds between tests of one who visits us for it
MOST_TESTED = 1000  # of them that are remembered


class Nonces:
    """What we gave out so that somebody tests us: good once, and not for long."""

    def __init__(self, noise: Callable[[int], bytes] = secrets.token_bytes) -> None:
        self._noise = noise
        self._until: OrderedDict[bytes, float] = OrderedDict()

    def give(self, now: float) -> bytes:
        nonce = self._noise(NONCE_SIZE)
        remember(self._until, nonce, now + NONCE_TIME, MOST_NONCES)
        return nonce

    def take(self, nonce: bytes, now: float) -> bool:
        """Whether whoever shows it comes to test us; nobody can show it again."""
        return self._until.pop(nonce, float("-inf")) > now


# The side that tests


class Tester:
    """`test` whoever asks for it, or whom we link to. It has a budget of dials of its own."""

    def __init__(self, port: Port, node: bytes, agent: str, clock: Callable[[], float]) -> None:
        self._port, self._node, self._agent, self._clock = port, node, agent, clock
        self._budget = DialBudget()
        self._running = self._visitors = 0
        self._tested: OrderedDict[str, float] = OrderedDict()  # visitors, and until when not again

    async def test(
        self, asker: Address, number: int, nonce: bytes, node: bytes, *, linked: bool = False
    ) -> Verdict:
        """Dial `node` at the host that asks (`asker` is the other end of that connection) and this port.

        Raises BusyError when we do not test it now, which says nothing about it.
        """
        target = Address(asker.host, number).normal
        self._admit(target, linked=linked)
        self._running += 1
        self._visitors += not linked
        try:
            async with asyncio.timeout(TEST_TIME):
                return await self._test(target, nonce, node)
        except TimeoutError:
            return Verdict(False, 0, f"{PROBE_SIZE} bytes took more than {TEST_TIME:.0f} s")
        except RemoteError as error:
            return Verdict(False, 0, str(error)[:200])
        finally:
            self._running -= 1
            self._visitors -= not linked

    def _admit(self, target: Address, *, linked: bool) -> None:
        """Raises BusyError."""
        now, owner = self._clock(), owner_of(target)
        if self._running >= MOST_TESTS or (not linked and self._visitors >= MOST_OF_VISITORS):
            raise BusyError("too many tests at a time")
        known = linked or self._tested.get(owner, now) <= now
        if not known or not self._budget.may_dial(target, zone_of(target.host), now):
            raise BusyError(f"{target} was tested a moment ago, or cannot be dialed")
        if not linked:
            remember(self._tested, owner, now + VISITOR_EVERY, MOST_TESTED)

    async def _test(self, target: Address, nonce: bytes, node: bytes) -> Verdict:
        most = PROBE_SIZE + SPARE_BYTES
        number, agent = self._port.number, self._agent
        hello = Hello(self._node, number, Want.TEST, agent, False, False, nonce)
        meeting, welcome = await greet(self._port, target, hello, patience=TEST_TIME, most=most)
        try:
            if welcome.node != node:
                raise RemoteProtocolError(f"another node answers at {target}")
            self._budget.answered(target)
            return Verdict(True, await self._measure(meeting), "")
        finally:
            meeting.close()

    async def _measure(self, meeting: Meeting) -> int:
        """Bytes per second, after the first ones: the way there is behind them, and what a limit saved up.

        Who kept the first ones back so that the rest seems fast is believed twice what all of it shows.
        """
        probe = Probe(PROBE_SIZE, secrets.token_bytes(NONCE_SIZE))
        meeting.say(probe)
        expected, asked = probe.data, self._clock()
        came, first, begun = 0, 0, 0.0
        while came < PROBE_SIZE:
            frame = await meeting.hear(FrameKind.DATA, patience=TEST_TIME)
            if not expected.startswith(frame.body, came):
                raise RemoteProtocolError("it sends what it was not asked for")
            came += len(frame.body)
            if came <= FIRST_BYTES or not first:
                first, begun = came, self._clock()
        now = self._clock()
        rate = (came - first) / max(now - begun, 0.001)
        return int(min(rate, 2 * came / max(now - asked, 0.001)))


# The side that is tested


async def ask(port: Port, address: Address, hello: Hello, nonce: bytes) -> Verdict:
    """Visit a super node (`hello` wants that) and have it test us. Raises RemoteError without a verdict."""
    meeting, welcome = await greet(port, address, hello, patience=TEST_TIME, most=SPARE_BYTES)
    try:
        if not welcome.supernode:
            raise NetworkError(f"{address} is no super node")
        meeting.say(Test(port.number, nonce))
        kinds = (FrameKind.VERDICT, FrameKind.REFUSE)
        frame = await meeting.hear(*kinds, patience=VERDICT_TIME)
        if frame.kind == FrameKind.REFUSE:
            raise TurnedDownError(address, Refuse.read(frame.body))
        return Verdict.read(frame.body)
    finally:
        meeting.close()


class Probed:
    """The conversation with a tester that showed a good nonce: it is given what it asks for, once.

    `stream.switch(framer, Probed(...))` after it was welcomed.
    """

    def __init__(self, port: Port, stream: Stream, up: Limiter) -> None:
        self._port, self._stream, self._up = port, stream, up
        self._data: memoryview | None = None  # that it still gets; None before it has asked
        late = RemoteProtocolError(f"a test that takes more than {TEST_TIME:.0f} s")
        loop = asyncio.get_running_loop()
        self._end = loop.call_later(TEST_TIME, stream.close, late)

    def got(self, message: object) -> None:
        """Raises RemoteProtocolError."""
        assert isinstance(message, Frame)
        if message.kind != FrameKind.PROBE:
            return
        if self._data is not None:
            raise RemoteProtocolError("a second probe")
        self._data = memoryview(Probe.read(message.body).data)[:PROBE_SIZE]
        self._give()

    def _give(self) -> None:
        """As much as the limit and the line let go; then `drained` or the limiter calls again."""
        while self._data and self._stream.idle:
            want = min(len(self._data), CHUNK)
            granted = self._up.take(want, min(want, LEAST_CHUNK), self._give)
            if not granted:
                return
            self._stream.send(Data(bytes(self._data[:granted])).encode().encode())
            self._data = self._data[granted:]

    def caught_up(self) -> None:
        """Answers are given at once."""

    def drained(self) -> None:
        self._give()

    def closed(self, reason: Exception | None) -> None:
        self._data = memoryview(b"")
        self._end.cancel()
        self._up.forget(self._give)
        self._port.admitted(self._stream)
