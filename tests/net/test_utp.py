"""uTP streams: on real sockets as TCP's are, and in virtual time over a bad network."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random

import pytest
from hypothesis import given, settings, strategies as st

from p2pswarm.errors import RemoteProtocolError
from p2pswarm.formats.ids import Address
from p2pswarm.lab.loop import VirtualLoop, play
from p2pswarm.net import port as port_room, utp as room
from p2pswarm.net.port import Port
from p2pswarm.net.stream import Stream
from p2pswarm.net.utp import Utp
from p2pswarm.wire.framer import Scratch
from p2pswarm.wire.peer import HANDSHAKE
from p2pswarm.wire.sniff import DatagramGuest, Guest, sniff_datagram
from p2pswarm.wire.utp.packet import DATA, RESET, STATE, SYN, Packet, read
from tests.support.loops import on_every_loop

HERE = "127.0.0.1"


class Talk:
    """A framer and a conversation in one: keeps every byte."""

    def __init__(self) -> None:
        self.stream: Stream | None = None
        self.heard = bytearray()
        self.changed = asyncio.Event()
        self.over: asyncio.Queue[Exception | None] = asyncio.Queue()
        self.pauses_at: int | None = None
        self._scratch = Scratch(10_000)  # so that one go needs several buffers

    def get_buffer(self, hint: int = -1) -> memoryview:
        return self._scratch.view

    def received(self, n: int) -> list[object]:
        self.heard += self._scratch.view[:n]
        self.changed.set()
        if self.pauses_at is not None and len(self.heard) >= self.pauses_at and self.stream:
            self.stream.pause()
        return []

    def unread(self) -> bytes:
        return b""

    def got(self, message: object) -> None: ...

    def caught_up(self) -> None: ...

    def drained(self) -> None:
        self.changed.set()

    def closed(self, reason: Exception | None) -> None:
        self.over.put_nowait(reason)

    async def hears(self, size: int) -> bytes:
        while len(self.heard) < size:
            self.changed.clear()
            await self.changed.wait()
        return bytes(self.heard)

    async def sends(self, data: bytes) -> None:
        assert self.stream is not None
        buffer = bytearray(data)
        if not self.stream.send(buffer):
            while not self.stream.idle:
                self.changed.clear()
                await self.changed.wait()
        buffer[:] = bytes(len(buffer))  # it is ours again


class Home:
    """A port whose guests are kept."""

    def __init__(self, host: str = HERE, seed: int = 1, number: int | None = 0) -> None:
        self.port = Port(host, number)
        self.port.speak_utp(Random(seed))
        self.port.speak_utp(Random(seed))
        self.guests: asyncio.Queue[Talk] = asyncio.Queue()
        self.port.route(Guest.PEER_WIRE, self._welcome)

    def _welcome(self, stream: Stream) -> None:
        talk = Talk()
        talk.stream = stream
        self.port.admitted(stream)
        stream.switch(talk, talk)
        self.guests.put_nowait(talk)

    @property
    def address(self) -> Address:
        return Address(self.port.host, self.port.number)

    async def dial(self, other: "Home") -> Talk:
        talk = Talk()
        talk.stream = await self.port.dial_utp(other.address, talk, talk)
        talk.stream.send(HANDSHAKE)
        return talk

    async def pair(self, other: "Home") -> tuple[Talk, Talk]:
        ours = await self.dial(other)
        theirs = await other.guests.get()
        await theirs.hears(len(HANDSHAKE))
        theirs.heard.clear()
        return ours, theirs

    @property
    def utp(self) -> Utp:
        assert self.port._utp is not None
        return self.port._utp


@asynccontextmanager
async def homes(one: str = HERE, two: str = HERE) -> AsyncIterator[tuple[Home, Home]]:
    near, far = Home(one, 1), Home(two, 2)
    await near.port.open()
    await far.port.open()
    try:
        yield near, far
    finally:
        await near.port.close()
        await far.port.close()


@on_every_loop
async def test_who_comes_by_utp_is_sniffed_and_routed_and_both_talk() -> None:
    async with homes() as (near, far):
        ours, theirs = await near.pair(far)
        assert theirs.stream is not None
        assert theirs.stream.remote == near.address
        there, back = Random(1).randbytes(3_000_000), Random(2).randbytes(2_000_000)
        await asyncio.gather(ours.sends(there), theirs.sends(back))
        assert await theirs.hears(len(there)) == there
        assert await ours.hears(len(back)) == back


@on_every_loop
async def test_what_was_sent_before_the_end_arrives_and_then_both_are_over() -> None:
    async with homes() as (near, far):
        ours, theirs = await near.pair(far)
        assert ours.stream is not None
        await ours.sends(bytes(5000))
        ours.stream.close()
        assert await ours.over.get() is None
        assert await theirs.over.get() is None
        assert len(theirs.heard) == 5000
        while near.utp._connections or far.utp._connections:
            await asyncio.sleep(0)


async def test_the_second_node_of_a_machine_takes_the_next_number_and_speaks_it_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with homes() as (near, _):
        monkeypatch.setattr(port_room, "DEFAULT_PORT", near.port.number)
        second = Home(HERE, 3, number=None)
        await second.port.open()
        try:
            ours, theirs = await second.pair(near)
            await ours.sends(bytes(5000))
            await theirs.hears(5000)
        finally:
            await second.port.close()


async def test_ipv6() -> None:
    async with homes("::1", "::1") as (near, far):
        ours, theirs = await near.pair(far)
        await ours.sends(bytes(300_000))
        await theirs.hears(300_000)


@on_every_loop
async def test_who_pauses_is_sent_no_more_than_fits() -> None:
    async with homes() as (near, far):
        ours, theirs = await near.pair(far)
        theirs.pauses_at = 1
        sending = asyncio.gather(ours.sends(bytes(4_000_000)))
        await theirs.hears(1)
        for _ in range(200):
            await asyncio.sleep(0)
        assert len(theirs.heard) < 2_000_000
        assert not sending.done()
        theirs.pauses_at = None
        assert theirs.stream is not None
        theirs.stream.resume()
        await sending
        await theirs.hears(4_000_000)


@on_every_loop
async def test_when_a_port_closes_everybody_is_told() -> None:
    async with homes() as (near, far):
        ours, theirs = await near.pair(far)
        await far.port.close()
        await far.port.close()
        assert await theirs.over.get() is None
        assert isinstance(await ours.over.get(), ConnectionResetError)


async def test_a_port_that_does_not_speak_it_says_so() -> None:
    port = Port(HERE, 0)
    with pytest.raises(OSError, match="uTP is off"):
        await port.dial_utp(Address(HERE, 1), Talk(), Talk())
    async with homes() as (near, _):
        with pytest.raises(OSError, match="cannot connect"):
            await near.port.dial_utp(Address("localhost", 1), Talk(), Talk())


class Stranger:
    """A plain socket that says what it likes."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((HERE, 0))
        self.socket.setblocking(False)

    async def asks(self, packet: Packet) -> Packet:
        self.says(packet)
        loop = asyncio.get_running_loop()
        data = await loop.sock_recv(self.socket, 2000)
        assert len(data) <= len(packet.pack())
        return read(data)

    def says(self, packet: Packet) -> None:
        self.socket.sendto(packet.pack(), self._home.address)

    def __enter__(self) -> "Stranger":
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()


@on_every_loop
async def test_nobody_is_at_the_door_before_it_has_proved_its_address() -> None:
    async with homes() as (home, _):
        with Stranger(home) as stranger:
            syn = Packet(SYN, 7, 1, 0, 9999, 100, 0)
            answers = [await stranger.asks(syn) for _ in range(2)]
            assert not home.port._at_door
            assert not home.utp._connections
            first = Packet(DATA, 8, 1, 0, 9999, 101, answers[0].seq, HANDSHAKE)
            assert (await stranger.asks(first)).kind == RESET
            right = first._replace(ack=(answers[0].seq - 1) & 0xFFFF)
            answer = await stranger.asks(right)
            assert (answer.kind, answer.ack, answer.connection) == (STATE, 101, 7)
            await home.guests.get()


@on_every_loop
async def test_who_is_not_known_is_told_and_a_reset_is_never_answered() -> None:
    async with homes() as (home, _):
        with Stranger(home) as stranger:
            answer = await stranger.asks(Packet(DATA, 5, 1, 0, 9, 77, 0, b"?"))
            assert (answer.kind, answer.connection, answer.ack) == (RESET, 5, 77)
            stranger.says(Packet(RESET, 5, 1, 0, 0, 1, 1))
            answer = await stranger.asks(Packet(STATE, 6, 1, 0, 9, 78, 0))
            assert (answer.kind, answer.ack) == (RESET, 78)


@on_every_loop
async def test_a_reset_may_name_either_number() -> None:
    for offset in (0, 1):
        async with homes() as (home, _):
            with Stranger(home) as stranger:
                answer = await stranger.asks(Packet(SYN, 7, 1, 0, 9999, 100, 0))
                await stranger.asks(
                    Packet(DATA, 8, 1, 0, 9999, 101, (answer.seq - 1) & 0xFFFF, HANDSHAKE)
                )
                talk = await home.guests.get()
                stranger.says(Packet(RESET, 8 - offset, 1, 0, 0, 1, (answer.seq + 9) & 0xFFFF))
                stranger.says(Packet(RESET, 8 - offset, 1, 0, 0, 1, (answer.seq - 1) & 0xFFFF))
                assert isinstance(await talk.over.get(), ConnectionResetError)


@on_every_loop
async def test_what_looks_like_gnutellas_is_of_its_connection_all_the_same() -> None:
    """A short packet whose ack fits to its length; it would look so each time that it is sent again."""
    async with homes() as (home, _):
        with Stranger(home) as stranger:
            heard: list[bytes] = []
            home.port.route_datagrams(DatagramGuest.GNUTELLA, lambda data, _: heard.append(data))
            answer = await stranger.asks(Packet(SYN, 7, 1, 0, 9999, 0xFF, 0))
            ours = (answer.seq - 1) & 0xFFFF
            await stranger.asks(Packet(DATA, 8, 1, 0, 9999, 0x100, ours, HANDSHAKE))
            talk = await home.guests.get()
            await talk.hears(len(HANDSHAKE))
            have = Packet(DATA, 8, 1, 0, 9999, 0x101, 0, bytes.fromhex("00000005 04 00000007"))
            assert sniff_datagram(have._replace(ack=len(have.payload) - 3).pack()) is (
                DatagramGuest.GNUTELLA
            )
            for transport in home.utp._connections.values():  # so that this ack can be true
                transport.connection.sender.seq, transport.connection.sender.acked = 7, 6
            answer = await stranger.asks(have._replace(ack=6))
            assert answer.ack == 0x101
            assert not heard


@on_every_loop
async def test_a_flood_of_syns_leaves_little() -> None:
    async with homes() as (home, _):
        with Stranger(home) as stranger:
            for number in range(0, 0x10000, 97):
                stranger.says(Packet(SYN, number, 1, 0, 9999, 100, 0))
                await asyncio.sleep(0)
            await stranger.asks(Packet(SYN, 1, 1, 0, 9999, 100, 0))
            assert not home.utp._connections
            assert not home.port._at_door


# In virtual time

junk = st.binary(max_size=60) | st.builds(
    lambda kind, version, extension, number, rest: (
        bytes((kind << 4 | version, extension)) + number.to_bytes(2, "big") + rest
    ),
    st.integers(0, 15),
    st.sampled_from((1, 1, 1, 0)),
    st.sampled_from((0, 0, 1, 3)),
    st.integers(6, 9),
    st.binary(min_size=16, max_size=60),
)


@settings(max_examples=40, deadline=None)
@given(st.lists(junk, max_size=30))
def test_who_has_proved_nothing_gets_no_more_than_it_sent(datagrams: list[bytes]) -> None:
    async def story(loop: VirtualLoop) -> None:
        sent: list[bytes] = []

        def knock() -> Stream:
            raise AssertionError("nobody can guess so well")

        utp = Utp(lambda row, _: sent.extend(row), knock, Random(1))
        for data in datagrams:
            before = len(sent)
            try:
                if not utp.take(data, Address("10.0.0.9", 9)):
                    utp.got(data, Address("10.0.0.9", 9))
            except RemoteProtocolError:
                assert len(sent) == before
            assert sum(map(len, sent[before:])) <= len(data)
        utp.close()

    play(story)


def hosts(loop: VirtualLoop, loss: float = 0.0) -> tuple[Home, Home]:
    for name in ("10.0.0.1", "10.0.0.2"):
        loop.host(name).loss = loss
    return Home("10.0.0.1", 1), Home("10.0.0.2", 2)


def test_a_network_that_loses_one_in_twenty() -> None:
    async def story(loop: VirtualLoop) -> None:
        near, far = hosts(loop, 0.025)
        await near.port.open()
        await far.port.open()
        ours, theirs = await near.pair(far)
        there, back = Random(1).randbytes(400_000), Random(2).randbytes(400_000)
        await asyncio.gather(ours.sends(there), theirs.sends(back))
        assert await theirs.hears(len(there)) == there
        assert await ours.hears(len(back)) == back
        assert ours.stream is not None
        ours.stream.close()
        await theirs.over.get()
        await asyncio.sleep(60)
        assert not near.utp._connections
        assert not far.utp._connections
        assert near.utp._timer is None
        await near.port.close()
        await far.port.close()

    play(story)


def test_a_large_window_is_sent_in_a_few_turns_and_no_time() -> None:
    async def story(loop: VirtualLoop) -> None:
        near, far = hosts(loop)
        await near.port.open()
        await far.port.open()
        ours, _ = await near.pair(far)
        (transport,) = near.utp._connections.values()
        transport.connection.sender.ledbat.window = 1e6
        before, now = loop.hosts["10.0.0.1"].sent, loop.time()
        assert ours.stream is not None
        ours.stream.send(bytes(200_000))
        turns = []
        for _ in range(10):
            await asyncio.sleep(0)
            turns.append(loop.hosts["10.0.0.1"].sent - before)
        assert turns[0] < 100_000
        assert turns[-1] > 200_000
        assert loop.time() == now
        await near.port.close()
        await far.port.close()

    play(story)


def test_both_dial_at_the_same_moment() -> None:
    """As two do that a third has told of each other (BEP 55)."""

    async def story(loop: VirtualLoop) -> None:
        near, far = hosts(loop)
        await near.port.open()
        await far.port.open()
        loop.hosts["10.0.0.2"].online = False  # the first SYN is lost, as at a NAT
        dialing = loop.create_task(near.dial(far))
        await asyncio.sleep(0.1)
        loop.hosts["10.0.0.2"].online = True
        talks = await asyncio.gather(dialing, far.dial(near))
        for home, talk in zip((far, near), talks, strict=True):
            guest = await home.guests.get()
            await talk.sends(b"hello")
            assert await guest.hears(len(HANDSHAKE) + 5) == HANDSHAKE + b"hello"
        await near.port.close()
        await far.port.close()

    play(story)


def test_nobody_is_there_and_who_is_tired_of_it() -> None:
    async def story(loop: VirtualLoop) -> None:
        near, far = hosts(loop)
        await near.port.open()
        with pytest.raises(OSError, match="nobody answers"):
            await near.dial(far)
        assert 6.9 < loop.time() < 7.2
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await near.dial(far)
        await asyncio.sleep(0.1)
        assert not near.utp._connections
        await near.port.close()
        with pytest.raises(OSError, match="cannot connect"):
            await near.dial(far)

    play(story)


def test_of_those_that_only_send_what_is_left_there_are_so_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(room, "MOST_LINGERING", 5)

    async def story(loop: VirtualLoop) -> None:
        near, far = hosts(loop)
        await near.port.open()
        await far.port.open()
        talks = [await near.dial(far) for _ in range(9)]
        loop.hosts["10.0.0.2"].online = False
        for talk in talks:
            assert talk.stream is not None
            talk.stream.close()
        await asyncio.sleep(0.2)
        assert len(near.utp._connections) == 5
        await asyncio.sleep(60)
        assert not near.utp._connections
        await near.port.close()
        await far.port.close()

    play(story)
