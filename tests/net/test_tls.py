"""TLS between two streams: back to back in any chunking, and who is refused."""

import asyncio
import ssl
from collections.abc import Callable
from contextlib import suppress
from itertools import cycle
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st
from typing_extensions import override

from p2pswarm.errors import RemoteProtocolError
from p2pswarm.lab.loop import VirtualLoop, play
from p2pswarm.net.stream import Stream
from p2pswarm.net.tls import Core, TlsTransport
from p2pswarm.wire.framer import CuttingFramer
from tests.support.certificates import TestAuthority
from tests.support.feeding import chunkings

Ends = tuple[Core, Core]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> TestAuthority:
    return TestAuthority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def contexts(authority: TestAuthority) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    return authority.context("alice", server=False), authority.context("bob", server=True)


def pass_on(source: Core, target: Core, sizes: list[int]) -> bytes:
    """Move what one has for the wire to the other, in such chunks; the plain bytes that came out there."""
    data, turn, plain = source.take(), cycle(sizes), bytearray()
    buffer = memoryview(bytearray(1000))
    shaken = False
    while data:
        size = next(turn)
        target.feed(data[:size])
        data = data[size:]
        shaken = shaken or target.shake()
        while shaken and (n := target.read_into(buffer)):
            plain += buffer[:n]
    return bytes(plain)


def shake_hands(client: Core, server: Core, sizes: list[int]) -> None:
    assert not client.shake()
    pass_on(client, server, sizes)
    pass_on(server, client, sizes)
    assert client.shake()
    pass_on(client, server, sizes)
    assert server.shake()


@settings(max_examples=15, deadline=None)
@given(sizes=chunkings, said=st.binary(max_size=40_000), answer=st.binary(max_size=100))
def test_what_goes_in_comes_out_in_any_chunking(
    contexts: tuple[ssl.SSLContext, ssl.SSLContext], sizes: list[int], said: bytes, answer: bytes
) -> None:
    client, server = Core(contexts[0], server=False), Core(contexts[1], server=True)
    shake_hands(client, server, sizes)
    assert client.purpose == server.purpose == "p2pswarm-call/1"
    client.write(said)
    server.write(answer)
    assert pass_on(client, server, sizes) == said
    assert pass_on(server, client, sizes) == answer


@settings(max_examples=30, deadline=None)
@given(noise=st.binary(min_size=1, max_size=300), sizes=chunkings)
def test_noise_is_refused_or_waited_with(
    contexts: tuple[ssl.SSLContext, ssl.SSLContext], noise: bytes, sizes: list[int]
) -> None:
    server, turn = Core(contexts[1], server=True), cycle(sizes)
    with suppress(RemoteProtocolError):
        while noise:
            size = next(turn)
            server.feed(noise[:size])
            noise = noise[size:]
            assert not server.shake()


def test_a_changed_record_is_refused(contexts: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    client, server = Core(contexts[0], server=False), Core(contexts[1], server=True)
    shake_hands(client, server, [1000])
    client.write(b"to be changed")
    record = bytearray(client.take())
    record[-1] ^= 1
    server.feed(bytes(record))
    with pytest.raises(RemoteProtocolError, match="TLS: "):
        server.read_into(memoryview(bytearray(100)))


@pytest.mark.parametrize(
    ("days", "why"), [((-9, -1), "certificate has expired"), ((3, 9), "not yet valid")]
)
def test_a_certificate_counts_in_its_time(
    authority: TestAuthority,
    contexts: tuple[ssl.SSLContext, ssl.SSLContext],
    days: tuple[int, int],
    why: str,
) -> None:
    client = Core(contexts[0], server=False)
    server = Core(authority.context("late", server=True, days=days), server=True)
    with pytest.raises(RemoteProtocolError, match=why):
        shake_hands(client, server, [10_000])


def test_another_authority_is_none(
    tmp_path: Path, contexts: tuple[ssl.SSLContext, ssl.SSLContext]
) -> None:
    other = TestAuthority(tmp_path, "nobody")
    server = Core(other.context("bob", server=True), server=True)
    with pytest.raises(RemoteProtocolError, match="TLS: "):
        shake_hands(Core(contexts[0], server=False), server, [10_000])


def test_who_shows_no_certificate_is_refused(
    authority: TestAuthority, contexts: tuple[ssl.SSLContext, ssl.SSLContext]
) -> None:
    bare = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    bare.check_hostname = False
    bare.load_verify_locations(cadata=authority.der)
    bare.set_alpn_protocols(["p2pswarm-call/1"])
    with pytest.raises(RemoteProtocolError, match="did not return a certificate"):
        shake_hands(Core(bare, server=False), Core(contexts[1], server=True), [10_000])


def test_another_purpose_is_refused(
    authority: TestAuthority, contexts: tuple[ssl.SSLContext, ssl.SSLContext]
) -> None:
    server = Core(authority.context("bob", server=True, purpose="p2pswarm-swarm/1"), server=True)
    with pytest.raises(RemoteProtocolError, match="wants something else"):
        shake_hands(Core(contexts[0], server=False), server, [10_000])


def test_older_tls_is_refused(
    authority: TestAuthority, contexts: tuple[ssl.SSLContext, ssl.SSLContext]
) -> None:
    old = authority.context("old", server=False)
    old.minimum_version = ssl.TLSVersion.TLSv1_2
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(RemoteProtocolError, match="unsupported protocol"):
        shake_hands(Core(old, server=False), Core(contexts[1], server=True), [10_000])


# Between streams


class Everything(CuttingFramer):
    @override
    def _cut(self, view: memoryview, into: list[object]) -> int:
        into.append(view.tobytes())
        return len(view)


class Hearing:
    """A conversation that keeps what it hears."""

    def __init__(self) -> None:
        self.heard = bytearray()
        self.drains = 0
        self.ends: list[Exception | None] = []

    def got(self, message: object) -> None:
        assert isinstance(message, bytes)
        self.heard += message

    def caught_up(self) -> None: ...

    def drained(self) -> None:
        self.drains += 1

    def closed(self, reason: Exception | None) -> None:
        self.ends.append(reason)


class Pair:
    """Two ends over a virtual wire, the dialing one on a slow line."""

    def __init__(
        self,
        loop: VirtualLoop,
        contexts: tuple[ssl.SSLContext, ssl.SSLContext],
        check: Callable[[bytes], None] = lambda certificate: None,
    ) -> None:
        self.hearing = Hearing(), Hearing()
        self.tls = tuple(
            TlsTransport(
                Core(context, server=bool(side)), Stream(Everything(), self.hearing[side]), check
            )
            for side, context in enumerate(contexts)
        )
        self.outer = tuple(Stream(tls.framer, tls) for tls in self.tls)
        slow, fast = loop.host("10.0.0.1"), loop.host("10.0.0.2")
        slow.up = 100_000.0
        loop.connect(slow, fast, self.outer[0], self.outer[1], port=1)

    async def open(self) -> tuple[Stream, Stream]:
        near, far = await asyncio.gather(
            *(tls.open(outer) for tls, outer in zip(self.tls, self.outer, strict=True))
        )
        return near, far


def test_a_stream_sees_what_it_sees_of_tcp(
    contexts: tuple[ssl.SSLContext, ssl.SSLContext],
) -> None:
    async def story(loop: VirtualLoop) -> None:
        pair = Pair(loop, contexts)
        near, far = await pair.open()
        assert (near.remote.host, far.remote.host) == ("10.0.0.2", "10.0.0.1")
        assert not near.send(bytes(50_000))
        assert not near.idle
        assert near.unsent > 30_000
        await asyncio.sleep(1)
        assert near.idle
        assert pair.hearing[0].drains == 1
        assert pair.hearing[1].heard == bytes(50_000)
        near.close()
        await asyncio.sleep(1)
        assert pair.hearing[0].ends == [None]
        assert len(pair.hearing[1].ends) == 1
        assert far.over

    play(story)


def test_who_pauses_hears_the_rest_later(
    contexts: tuple[ssl.SSLContext, ssl.SSLContext],
) -> None:
    async def story(loop: VirtualLoop) -> None:
        pair = Pair(loop, contexts)
        near, far = await pair.open()
        far.pause()
        near.send(b"x" * 3000)
        await asyncio.sleep(1)
        assert not pair.hearing[1].heard
        far.resume()
        await asyncio.sleep(1)
        assert pair.hearing[1].heard == b"x" * 3000

    play(story)


def test_who_is_not_whom_we_called_is_hung_up_on(
    contexts: tuple[ssl.SSLContext, ssl.SSLContext],
) -> None:
    def check(certificate: bytes) -> None:
        raise RemoteProtocolError("somebody else answers")

    async def story(loop: VirtualLoop) -> None:
        pair = Pair(loop, contexts, check)
        told = await asyncio.gather(
            *(tls.open(outer) for tls, outer in zip(pair.tls, pair.outer, strict=True)),
            return_exceptions=True,
        )
        assert [str(each) for each in told] == ["somebody else answers"] * 2
        assert all(outer.over for outer in pair.outer)
        assert [hearing.ends for hearing in pair.hearing] == [[], []]

    play(story)


def test_who_never_answers_is_waited_for_ten_seconds(
    contexts: tuple[ssl.SSLContext, ssl.SSLContext],
) -> None:
    async def story(loop: VirtualLoop) -> None:
        pair = Pair(loop, contexts)
        with pytest.raises(TimeoutError):
            await pair.tls[0].open(pair.outer[0])
        assert 10 <= loop.now < 11
        assert pair.outer[0].over

    play(story)
