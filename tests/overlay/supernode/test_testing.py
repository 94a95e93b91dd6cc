"""Tests of nodes over real ports, in a world with lines of known width."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from p2pswarm.errors import BusyError, NetworkError, RemoteError
from p2pswarm.formats.ids import Address
from p2pswarm.net.port import Port
from p2pswarm.net.rate import Limiter
from p2pswarm.net.stream import Stream
from p2pswarm.overlay.supernode import testing
from p2pswarm.overlay.supernode.meeting import TurnedDownError, greet
from p2pswarm.overlay.supernode.promotion import LEAST_RATE
from p2pswarm.overlay.supernode.testing import (
    MOST_TESTS,
    PROBE_SIZE,
    TEST_TIME,
    Nonces,
    Probed,
    ask,
)
from p2pswarm.wire.sniff import Guest
from p2pswarm.wire.supernode import testing as messages
from p2pswarm.wire.supernode.frames import OPENING, Frame, FrameFramer, FrameKind
from p2pswarm.wire.supernode.hello import Hello, Reason, Refuse, Want, Welcome
from p2pswarm.wire.supernode.testing import Data, Probe, Verdict
from tests.support.world import Host, World, simulate

PORT = 46881
A, B = b"a" * 16, b"b" * 16


class Person:
    """One node: it is tested by whoever shows a good nonce, and tests whoever visits and asks for it."""

    def __init__(
        self, host: Host, node: bytes, *, limit: float = 0.0, supernode: bool = True
    ) -> None:
        loop = asyncio.get_running_loop()
        self.host, self.node, self.supernode = host, node, supernode
        self.claims = node  # what it says it is when dialed
        self.port = Port(host.name, PORT)
        self.port.route(Guest.SUPERNODE, self.welcome)
        self.nonces = Nonces()
        self.up = Limiter(limit, loop.time, loop.call_later)
        self.tester = testing.Tester(self.port, node, "test", loop.time)
        self.visits: asyncio.TaskGroup | None = None
        self.came: list[Hello] = []
        self.refusal: Refuse | None = None
        self.probed: Callable[[Stream], object] = lambda stream: Probed(self.port, stream, self.up)

    @property
    def address(self) -> Address:
        return Address(self.host.name, PORT)

    def welcome(self, stream: Stream) -> None:
        framer = FrameFramer(self.port.scratch)
        stream.send(OPENING)
        stream.switch(framer, Door(self, stream, framer))

    def hello(self) -> Hello:
        return Hello(self.node, PORT, Want.VISIT, "test", True, False)

    def nonce(self) -> bytes:
        return self.nonces.give(asyncio.get_running_loop().time())

    async def tests(self, other: "Person", nonce: bytes | None = None) -> Verdict:
        """As if the other had asked."""
        nonce = nonce or other.nonce()
        asker = Address(other.host.name, 50_000)
        return await self.tester.test(asker, PORT, nonce, other.node, linked=True)


class Door:
    """What a member of the network does with HELLO, as far as it is about tests."""

    def __init__(self, person: Person, stream: Stream, framer: FrameFramer) -> None:
        self.person, self.stream, self.framer = person, stream, framer
        self.guest: Hello | None = None

    def got(self, message: object) -> None:
        assert isinstance(message, Frame)
        if message.kind == FrameKind.HELLO:
            self.greet(Hello.read(message.body))
        elif message.kind == FrameKind.TEST:
            assert self.person.visits is not None
            self.person.visits.create_task(self.test(messages.Test.read(message.body)))

    def greet(self, hello: Hello) -> None:
        person, self.guest = self.person, hello
        person.port.admitted(self.stream)
        person.came.append(hello)
        now = asyncio.get_running_loop().time()
        good = hello.want is not Want.TEST or person.nonces.take(hello.nonce, now)
        if person.refusal or not good:
            refusal = person.refusal or Refuse(Reason.NOT_WANTED, "we asked for no such test")
            self.stream.send(refusal.encode().encode())
            return
        welcome = Welcome(
            person.claims, PORT, "test", self.stream.remote, person.supernode, 0, 0, 1
        )
        self.stream.send(welcome.encode().encode())
        if hello.want is Want.TEST:
            self.stream.switch(self.framer, person.probed(self.stream))  # type: ignore[arg-type]

    async def test(self, test: messages.Test) -> None:
        assert self.guest is not None
        try:
            verdict = await self.person.tester.test(
                self.stream.remote, test.port, test.nonce, self.guest.node
            )
        except BusyError as error:
            self.stream.send(Refuse(Reason.TOO_OFTEN, str(error)).encode().encode())
        else:
            self.stream.send(verdict.encode().encode())

    def caught_up(self) -> None: ...

    def drained(self) -> None: ...

    def closed(self, reason: Exception | None) -> None:
        self.person.port.admitted(self.stream)


Story = Callable[[World], Awaitable[None]]


@asynccontextmanager
async def running(*people: Person) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as visits:
        for person in people:
            person.visits = visits
            await person.port.open()
        try:
            yield
        finally:
            for person in people:
                await person.port.close()


@pytest.mark.parametrize(
    ("up", "limit", "good"),
    [
        (100_000.0, 0.0, True),
        (10_000.0, 0.0, False),
        (float("inf"), 100_000.0, True),
        (float("inf"), 10_000.0, False),
        (float("inf"), 19_000.0, False),
        (float("inf"), 22_000.0, True),
    ],
)
def test_the_width_of_the_line_or_the_limit_is_what_is_measured(
    tmp_path: Path, up: float, limit: float, good: bool
) -> None:
    async def story(world: World) -> None:
        tester = Person(world.host(), A)
        tested = Person(world.host(up=up), B, limit=limit)
        async with running(tester, tested):
            verdict = await tester.tests(tested)
        assert verdict.reachable
        assert (verdict.rate >= LEAST_RATE) is good
        assert 0.75 * min(up, limit or up) < verdict.rate < 1.25 * min(up, limit or up)

    simulate(tmp_path, story)


def test_asked_for_over_a_connection(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        tester, asker = Person(world.host(), A), Person(world.host(up=100_000), B)
        async with running(tester, asker):
            verdict = await ask(asker.port, tester.address, asker.hello(), asker.nonce())
        assert verdict.reachable
        assert 75_000 < verdict.rate < 125_000
        assert [hello.want for hello in asker.came] == [Want.TEST]

    simulate(tmp_path, story)


def test_who_cannot_be_dialed_fails(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        tester, tested = Person(world.host(), A), Person(world.host(), B)
        async with running(tester):  # the other one does not listen
            verdict = await tester.tests(tested)
        assert not verdict.reachable
        assert "cannot reach" in verdict.text

    simulate(tmp_path, story)


def test_the_host_that_asks_is_dialed_and_no_other(tmp_path: Path) -> None:
    """A question names a port only: the victim's is dialed at the liar's own host, where nobody is."""

    async def story(world: World) -> None:
        tester, victim = Person(world.host(), A), Person(world.host(), B)
        liar = Person(world.host(), b"c" * 16)
        liar.hello = lambda: Hello(B, PORT, Want.VISIT, "test", True, False)  # type: ignore[method-assign]
        async with running(tester, victim, liar):
            await liar.port.close()
            verdict = await ask(liar.port, tester.address, liar.hello(), victim.nonce())
        assert not verdict.reachable
        assert not victim.came

    simulate(tmp_path, story)


def test_who_answers_for_another_node_fails(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        tester, liar = Person(world.host(), A), Person(world.host(), B)
        liar.claims = b"x" * 16
        async with running(tester, liar):
            verdict = await tester.tests(liar)
        assert not verdict.reachable
        assert "another node" in verdict.text

    simulate(tmp_path, story)


def test_without_a_good_nonce_nobody_is_given_anything(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        tester, tested = Person(world.host(), A), Person(world.host(), B)
        async with running(tester, tested):
            nonce = tested.nonce()
            assert (await tester.tests(tested, nonce)).reachable
            sent = tested.host.sent
            again = await tester.tests(tested, nonce)
            assert not again.reachable
            assert "we asked for no such test" in again.text
            late = tested.nonce()
            await asyncio.sleep(61)
            assert not (await tester.tests(tested, late)).reachable
            assert tested.host.sent - sent < 1000

    simulate(tmp_path, story)


def test_a_probe_is_answered_once_and_with_no_more_than_it_may(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        stranger, tested = Person(world.host(), A), Person(world.host(), B)
        async with running(stranger, tested):
            hello = Hello(A, PORT, Want.TEST, "test", False, False, tested.nonce())
            meeting, _ = await greet(stranger.port, tested.address, hello, most=1 << 20)
            meeting.say(Probe(PROBE_SIZE, bytes(16)))
            came = 0
            while came < PROBE_SIZE:
                came += len((await meeting.hear(FrameKind.DATA, patience=5)).body)
            assert came == PROBE_SIZE
            meeting.say(Probe(PROBE_SIZE, bytes(16)))
            with pytest.raises(NetworkError, match="hung up"):
                await meeting.hear(FrameKind.DATA, patience=5)

    simulate(tmp_path, story)


def test_a_tester_that_says_nothing_is_left(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        stranger, tested = Person(world.host(), A), Person(world.host(), B)
        async with running(stranger, tested):
            hello = Hello(A, PORT, Want.TEST, "test", False, False, tested.nonce())
            meeting, _ = await greet(stranger.port, tested.address, hello, most=1 << 20)
            with pytest.raises(NetworkError, match="hung up"):
                await meeting.hear(FrameKind.DATA, patience=TEST_TIME + 1)

    simulate(tmp_path, story)


def test_a_line_that_takes_too_long_is_not_waited_for(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        tester, tested = Person(world.host(), A), Person(world.host(up=3000), B)
        async with running(tester, tested):
            begun = asyncio.get_running_loop().time()
            verdict = await tester.tests(tested)
            assert not verdict.rate
            assert "more than 10 s" in verdict.text
            assert asyncio.get_running_loop().time() - begun <= TEST_TIME + 0.1

    simulate(tmp_path, story)


def test_what_nobody_hears_is_not_read(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        stranger, tested = Person(world.host(), A), Person(world.host(up=1e6), B)
        tested.probed = lambda stream: Flood(stream, Frame(0x99, b"x" * 1000).encode() * 16)
        async with running(stranger, tested):
            hello = Hello(A, PORT, Want.TEST, "test", False, False, tested.nonce())
            meeting, _ = await greet(stranger.port, tested.address, hello, most=1 << 30)
            meeting.say(Probe(PROBE_SIZE, bytes(16)))
            await asyncio.sleep(30)
            assert tested.host.sent < 4 * PROBE_SIZE
            with pytest.raises(NetworkError, match="said nothing"):  # of what we wait for
                await meeting.hear(FrameKind.DATA, patience=5)
            assert tested.host.sent > 1e6

    simulate(tmp_path, story)


class Flood:
    """Is tested and sends for ever, or nothing at all."""

    def __init__(self, stream: Stream, chunk: bytes) -> None:
        self.stream, self.chunk, self.sent = stream, chunk, 0

    def got(self, message: object) -> None:
        self.drained()

    def drained(self) -> None:
        while self.chunk and self.stream.idle and not self.stream.over:
            self.sent += len(self.chunk)
            self.stream.send(self.chunk)

    def caught_up(self) -> None: ...

    def closed(self, reason: Exception | None) -> None: ...


@pytest.mark.parametrize(
    "chunk",
    [
        b"",
        Frame(0x99, b"x" * 60_000).encode(),
        Frame(0x99, b"").encode() * 1000,
        Data(b"").encode().encode() * 1000,
        b"\xff" * 1000,
    ],
)
def test_a_test_ends_in_time_and_takes_few_bytes(tmp_path: Path, chunk: bytes) -> None:
    async def story(world: World) -> None:
        tester, tested = Person(world.host(), A), Person(world.host(up=1e6), B)
        tested.probed = lambda stream: Flood(stream, chunk)
        async with running(tester, tested):
            begun = asyncio.get_running_loop().time()
            verdict = await tester.tests(tested)
            assert not verdict.reachable
            assert asyncio.get_running_loop().time() - begun <= TEST_TIME + 0.1
            assert tested.host.sent < 4 * PROBE_SIZE

    simulate(tmp_path, story)


def test_few_tests_at_a_time_and_of_one_place_and_that_says_nothing_about_it(
    tmp_path: Path,
) -> None:
    async def story(world: World) -> None:
        tester = Person(world.host(), A)
        others = [Person(world.host(up=50_000), bytes([n]) * 16) for n in range(MOST_TESTS + 1)]
        async with running(tester, *others):
            results = await asyncio.gather(*map(tester.tests, others), return_exceptions=True)
            assert sum(isinstance(result, Verdict) for result in results) == MOST_TESTS
            assert isinstance(results[-1], BusyError)
            assert (await tester.tests(others[-1])).reachable
        nobody = Person(world.host(), B)
        async with running(tester):
            assert not (await tester.tests(nobody)).reachable
            with pytest.raises(BusyError):
                await tester.tests(nobody)

    simulate(tmp_path, story)


def test_whoever_does_not_test_us_gives_no_verdict(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        tester, asker = Person(world.host(), A), Person(world.host(), B)
        async with running(tester, asker):
            tester.refusal = Refuse(Reason.TOO_OFTEN, "not so often")
            with pytest.raises(TurnedDownError, match="not so often"):
                await ask(asker.port, tester.address, asker.hello(), asker.nonce())
            tester.refusal, tester.supernode = None, False
            with pytest.raises(NetworkError, match="no super node"):
                await ask(asker.port, tester.address, asker.hello(), asker.nonce())
            tester.supernode = True
            await asker.port.close()
            verdict = await ask(asker.port, tester.address, asker.hello(), asker.nonce())
            assert not verdict.reachable
            with pytest.raises(TurnedDownError, match="a moment ago"):
                await ask(asker.port, tester.address, asker.hello(), asker.nonce())
        with pytest.raises(RemoteError):
            await ask(asker.port, tester.address, asker.hello(), asker.nonce())

    simulate(tmp_path, story)


def test_nonces_are_good_once_for_a_minute_and_few() -> None:
    nonces = Nonces()
    first = nonces.give(0)
    assert nonces.take(first, 59)
    assert not nonces.take(first, 59)
    assert not nonces.take(nonces.give(0), 60)
    assert not nonces.take(b"", 0)
    old = nonces.give(0)
    assert len({nonces.give(0) for _ in range(1000)}) == 1000
    assert not nonces.take(old, 0)
