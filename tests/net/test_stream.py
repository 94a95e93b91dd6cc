import asyncio
import socket
from collections.abc import Callable, Iterable
from contextlib import suppress
from itertools import cycle
from random import Random

import pytest
from hypothesis import given, strategies as st
from typing_extensions import override

from p2pswarm.errors import RemoteProtocolError
from p2pswarm.formats.ids import Address, InfoHash, PeerId, PieceIndex
from p2pswarm.net.stream import Stream
from p2pswarm.wire.framer import CuttingFramer, Framer, Scratch
from p2pswarm.wire.peer import (
    BitfieldMessage,
    Cancel,
    Choke,
    HandshakeFramer,
    Hello,
    Ident,
    PeerFramer,
    Reserved,
)
from p2pswarm.wire.sniff import Guest, SniffFramer
from tests.support.feeding import chunkings
from tests.support.loops import on_every_loop
from tests.support.singly import piece_head
from tests.support.transport import Wire

HELLO = Hello(Reserved.ours(), InfoHash(bytes(20)))
IDENT = Ident(PeerId(b"-PS0100-abcdefghijkl"))


class Ear:
    """A conversation that notes everything, and may do something about it."""

    def __init__(self, on_got: Callable[[object], None] | None = None) -> None:
        self.heard: list[object] = []
        self.batches = 0
        self.drains = 0
        self.reasons: list[Exception | None] = []
        self.on_got = on_got
        self.on_caught_up: Callable[[], None] | None = None
        self.on_drained: Callable[[], None] | None = None
        self.over = asyncio.Event()

    def got(self, message: object) -> None:
        assert not self.reasons
        self.heard.append(message)
        if self.on_got is not None:
            self.on_got(message)

    def caught_up(self) -> None:
        assert not self.reasons
        self.batches += 1
        if self.on_caught_up is not None:
            self.on_caught_up()

    def drained(self) -> None:
        assert not self.reasons
        self.drains += 1
        if self.on_drained is not None:
            self.on_drained()

    def closed(self, reason: Exception | None) -> None:
        self.reasons.append(reason)
        self.over.set()


def raises(error: Exception) -> Callable[[object], None]:
    def on_got(_message: object) -> None:
        raise error

    return on_got


def nowhere(_piece: PieceIndex, _begin: int, _length: int) -> None:
    """A landing where nothing is wanted."""


def waits(stream: Stream) -> bool:
    """Whether some of what was sent is not with the kernel; the three ways of asking agree."""
    assert stream.idle == (stream.unsent == 0)
    return not stream.idle


def give(stream: Stream, data: bytes, sizes: Iterable[int] = (1 << 20,)) -> None:
    """As the event loop does."""
    turn, at = cycle(sizes), 0
    while at < len(data):
        buffer = stream.get_buffer(-1)
        n = min(next(turn), len(buffer), len(data) - at)
        buffer[:n] = data[at : at + n]
        at += n
        stream.buffer_updated(n)


def connected(ear: Ear, room: int = 1 << 30, framer: Framer | None = None) -> tuple[Stream, Wire]:
    wire = Wire(room)
    return wire.carry(Stream(framer or PeerFramer(nowhere), ear)), wire


# Sending


@given(st.lists(st.lists(st.binary(max_size=20), min_size=1, max_size=5), max_size=6), st.data())
def test_everything_is_sent_in_order_whatever_the_kernel_takes(
    sends: list[list[bytes]], data: st.DataObject
) -> None:
    ear = Ear()
    stream, wire = connected(ear, room=data.draw(st.integers(0, 50)))
    for buffers in sends:
        all_gone = stream.send(*buffers)
        assert all_gone != waits(stream)
        drains = ear.drains
        wire.take(data.draw(st.integers(0, 30)))
        assert waits(stream) == (wire.get_write_buffer_size() > 0)
        assert ear.drains - drains == (stream.idle and not all_gone)
    wire.take(1 << 20)
    assert wire.taken == b"".join(b"".join(buffers) for buffers in sends)


def test_buffers_are_ours_again_once_drained() -> None:
    ear = Ear()
    stream, wire = connected(ear, room=3)
    buffer = bytearray(b"abcdef")
    assert not stream.send(memoryview(buffer))
    wire.take(2)
    assert (waits(stream), ear.drains) == (True, 0)
    wire.take(1)
    assert (waits(stream), ear.drains) == (False, 1)
    buffer[:] = b"XXXXXX"
    assert wire.taken == b"abcdef"


def test_who_is_drained_may_send_at_once() -> None:
    ear = Ear()
    stream, wire = connected(ear, room=0)
    stream.send(b"one")
    returned: list[bool] = []

    def answer() -> None:
        if not returned:
            returned.append(stream.send(b"two"))

    ear.on_drained = answer
    wire.take(3)
    assert returned == [False]
    assert waits(stream)
    wire.take(3)
    assert not waits(stream)
    assert wire.taken == b"onetwo"


def test_sending_where_nobody_is_does_nothing() -> None:
    ear = Ear()
    assert Stream(PeerFramer(nowhere), ear).send(b"x", b"y")
    stream, wire = connected(ear)
    stream.close()
    assert stream.send(b"x")
    assert wire.taken == b""


# Hearing


def test_a_batch_is_answered_once() -> None:
    ear = Ear()
    stream, _ = connected(ear)
    give(stream, Choke().encode() * 3 + b"\0")
    assert ear.heard == [Choke()] * 3
    assert ear.batches == 1
    give(stream, b"\0")
    assert ear.batches == 2


def test_a_remote_error_drops_the_connection() -> None:
    error = RemoteProtocolError("no")
    ear = Ear(on_got=raises(error))
    stream, wire = connected(ear)
    give(stream, Choke().encode() * 3)
    assert ear.heard == [Choke()]
    assert ear.batches == 0
    assert ear.reasons == [error]
    assert wire.aborted
    assert stream.over


def test_so_does_one_from_the_framer_or_at_the_end_of_a_batch() -> None:
    ear = Ear()
    stream, wire = connected(ear)
    give(stream, b"\xff" * 5)
    assert wire.aborted
    assert "a message of 4294967295 bytes" in str(ear.reasons[0])
    error = RemoteProtocolError("no")
    ear = Ear()
    ear.on_caught_up = lambda: raises(error)(None)
    stream, wire = connected(ear)
    give(stream, b"\0")
    assert wire.aborted
    assert ear.reasons == [error]


def test_a_bug_of_ours_is_not_hidden() -> None:
    stream, _ = connected(Ear(on_got=raises(KeyError("bug"))))
    with pytest.raises(KeyError):
        give(stream, Choke().encode())


# Closing


def test_closed_is_told_once_and_last() -> None:
    ear = Ear()
    stream, wire = connected(ear, room=0)
    stream.send(b"never sent")
    reason = RemoteProtocolError("enough")
    stream.close(reason)
    assert ear.reasons == [reason]
    assert wire.aborted
    stream.close(RemoteProtocolError("again"))
    give(stream, Choke().encode())
    stream.resume_writing()
    stream.connection_lost(ConnectionResetError())
    assert ear.reasons == [reason]
    assert ear.heard == []


def test_nothing_is_heard_after_closing_in_the_middle_of_a_batch() -> None:
    ear = Ear(on_got=lambda _: stream.close())
    stream, _ = connected(ear)
    give(stream, Choke().encode() * 3)
    assert ear.heard == [Choke()]
    assert ear.batches == 0
    assert ear.reasons == [None]


@pytest.mark.parametrize("reason", [None, ConnectionResetError("gone")])
def test_the_reason_is_the_loops_when_we_have_none(reason: Exception | None) -> None:
    ear = Ear()
    stream, _ = connected(ear)
    stream.connection_lost(reason)
    assert ear.reasons == [reason]
    assert stream.over


def test_a_stream_may_be_closed_before_it_is_connected() -> None:
    ear = Ear()
    stream = Stream(PeerFramer(nowhere), ear)
    stream.close()
    assert ear.reasons == [None]
    assert stream.over


def test_a_connection_that_comes_after_closing_is_dropped() -> None:
    """A crowd at the door: who is sent away for the next may not have been connected yet."""
    stream = Stream(PeerFramer(nowhere), Ear())
    stream.close()
    wire = Wire()
    wire.carry(stream)
    assert wire.aborted


# Switching


def lines(view: memoryview) -> tuple[list[bytes], int]:
    *whole, rest = view.tobytes().split(b"\n")
    return whole, len(view) - len(rest)


class FirstLine(CuttingFramer):
    """Cuts one line and leaves the rest to the next protocol."""

    @override
    def _cut(self, view: memoryview, into: list[object]) -> int:
        whole, _ = lines(view)
        into += whole[:1]
        return len(whole[0]) + 1 if whole else 0


class Lines(CuttingFramer):
    """Cuts all lines."""

    @override
    def _cut(self, view: memoryview, into: list[object]) -> int:
        whole, used = lines(view)
        into += whole
        return used


@given(st.lists(st.sampled_from([Cancel(PieceIndex(7), 0, 1), Choke()]), max_size=6), chunkings)
def test_from_sniffing_to_messages_without_losing_a_byte(
    sent: list[Choke], sizes: list[int]
) -> None:
    """Three protocols, two switches, both perhaps inside one chunk."""
    scratch = Scratch()
    first = Ear(lambda _: stream.switch(HandshakeFramer(scratch), second))
    second = Ear(
        lambda message: (
            stream.switch(PeerFramer(nowhere, scratch), third) if message == IDENT else None
        )
    )
    third = Ear()
    stream, _ = connected(first, framer=SniffFramer(scratch))
    rest = b"".join(message.encode() for message in sent)
    give(stream, HELLO.encode() + IDENT.encode() + rest, sizes)
    assert first.heard == [Guest.PEER_WIRE]
    assert second.heard == [HELLO, IDENT]
    assert third.heard == sent


def test_the_last_protocol_alone_is_told_the_end() -> None:
    first, second = Ear(), Ear()
    stream, _ = connected(first)
    stream.switch(PeerFramer(nowhere), second)
    stream.close()
    assert (first.reasons, second.reasons) == ([], [None])


def test_switching_between_two_batches_gives_the_rest_at_once() -> None:
    first, second = Ear(), Ear()
    stream, _ = connected(first, framer=FirstLine())
    give(stream, b"one\n")
    give(stream, b"")
    stream.switch(Lines(), second)
    assert second.batches == 0
    give(stream, b"two\nthr")
    stream.switch(Lines(), second)
    give(stream, b"ee\n")
    assert first.heard == [b"one"]
    assert second.heard == [b"two", b"three"]


def test_a_rest_larger_than_the_new_buffer_is_given_in_pieces() -> None:
    text = [b"line %d" % n for n in range(50)]
    first = Ear(lambda _: stream.switch(Lines(Scratch(20)), second))
    second = Ear()
    stream, _ = connected(first, framer=FirstLine(Scratch(4096)))
    give(stream, b"".join(line + b"\n" for line in text))
    assert first.heard + second.heard == text


def test_a_rest_larger_than_the_buffer_of_who_switches_again_is_not_lost() -> None:
    second = Ear(lambda _: stream.switch(Lines(), third))
    first = Ear(lambda _: stream.switch(FirstLine(Scratch(8)), second))
    third = Ear()
    stream, _ = connected(first, framer=FirstLine(Scratch(4096)))
    give(stream, b"one\ntwo\nthree\nfour\nfive\n")
    assert third.heard == [b"three", b"four", b"five"]


def test_an_error_in_the_rest_drops_the_connection() -> None:
    first = Ear(lambda _: stream.switch(HandshakeFramer(), second))
    second = Ear()
    stream, wire = connected(first, framer=FirstLine())
    give(stream, b"hello\nnot a handshake")
    assert wire.aborted
    assert first.reasons == []
    assert len(second.reasons) == 1
    assert second.batches == 0


def test_closing_inside_the_rest_stops_it() -> None:
    first = Ear(lambda _: stream.switch(Lines(Scratch(8)), second))
    second = Ear(lambda _: stream.close())
    stream, _ = connected(first, framer=FirstLine())
    give(stream, b"one\ntwo\nthree\nfour\n")
    assert second.heard == [b"two"]


# What it shows


def test_both_ends_are_known_in_their_normal_spelling() -> None:
    stream, _ = connected(Ear())
    assert stream.remote == Address("10.0.0.2", 6881)
    assert stream.local == Address("10.0.0.1", 1)
    assert repr(stream) == "<Stream 10.0.0.2:6881 open>"
    stream.close()
    assert repr(stream) == "<Stream 10.0.0.2:6881 over>"


def test_a_line_without_names_still_carries_a_stream() -> None:
    stream = Wire(named=False).carry(Stream(PeerFramer(nowhere), Ear()))
    assert stream.remote == stream.local == Address("?", 0)


# Real sockets


async def on_a_socket(ear: Ear, framer: Framer | None = None) -> tuple[Stream, socket.socket]:
    """A stream, and the bare other end of its connection."""
    loop = asyncio.get_running_loop()
    with socket.create_server(("127.0.0.1", 0)) as door:
        door.setblocking(False)
        framer = framer or PeerFramer(nowhere)
        _, stream = await loop.create_connection(lambda: Stream(framer, ear), *door.getsockname())
        other, _ = await loop.sock_accept(door)
    other.setblocking(False)
    return stream, other


async def read_all(other: socket.socket, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        some = await asyncio.get_running_loop().sock_recv(other, 100_000)
        if not some:
            break
        data += some
    return bytes(data)


@on_every_loop
async def test_one_buffer_used_again_and_again_arrives_whole() -> None:
    """Filled anew only when the kernel has everything; a slow reader finds out when it is too early."""
    buffer = bytearray(300_000)
    dice, expected = Random(1), bytearray()
    rounds = 30

    def send() -> None:
        nonlocal rounds
        while rounds:
            rounds -= 1
            assert not waits(stream)
            buffer[:] = dice.randbytes(len(buffer))
            view = memoryview(buffer)
            parts = [view[at : at + 16384] for at in range(0, len(buffer), 16384)]
            heads = [piece_head(1, n * 16384, len(part)) for n, part in enumerate(parts)]
            pairs = [item for pair in zip(heads, parts, strict=True) for item in pair]
            expected.extend(b"".join(pairs))
            if not stream.send(*pairs):
                return

    ear = Ear()
    ear.on_drained = send
    stream, other = await on_a_socket(ear)
    with other:
        send()
        size = 30 * (300_000 + 19 * 13)
        assert await read_all(other, size) == expected
        assert rounds == 0
        assert ear.drains > 0
        stream.close()
    await ear.over.wait()


@on_every_loop
async def test_idle_always_tells_whether_the_kernel_has_all() -> None:
    ear = Ear()
    stream, other = await on_a_socket(ear)
    drained = asyncio.Event()
    ear.on_drained = drained.set
    dice = Random(2)
    with other:
        sent = waited = 0
        for _ in range(200):
            sizes = [dice.randrange(1, 60_000) for _ in range(dice.randrange(1, 9))]
            sent += sum(sizes)
            drained.clear()
            all_gone = stream.send(*map(bytes, sizes))
            assert all_gone != waits(stream)
            if not all_gone:
                waited += 1
                reading = asyncio.create_task(read_all(other, sent))
                await drained.wait()
                assert not waits(stream)
                if not reading.done():
                    await reading
                sent = 0
        assert waited > 0
        stream.close()
    await ear.over.wait()


@on_every_loop
async def test_messages_arrive_in_the_sockets_own_chunks() -> None:
    sent = [Cancel(PieceIndex(n), 0, 1) for n in range(20_000)] + [BitfieldMessage(bytes(262_145))]
    scratch = Scratch()
    ears = [Ear() for _ in range(3)]
    ends = [await on_a_socket(ear, PeerFramer(nowhere, scratch)) for ear in ears]
    loop = asyncio.get_running_loop()
    data = b"".join(message.encode() for message in sent)
    await asyncio.gather(*(loop.sock_sendall(other, data) for _, other in ends))
    for (_, other), ear in zip(ends, ears, strict=True):
        other.close()
        await ear.over.wait()
        assert ear.heard == sent
        assert ear.reasons == [None]


@on_every_loop
async def test_a_reset_is_told_with_its_reason() -> None:
    ear = Ear()
    stream, other = await on_a_socket(ear)
    other.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    other.close()
    await ear.over.wait()
    assert len(ear.reasons) == 1
    assert isinstance(ear.reasons[0], OSError)
    assert stream.over


@on_every_loop
async def test_the_other_end_of_a_dropped_connection_hears_it() -> None:
    ear = Ear(on_got=raises(RemoteProtocolError("no")))
    _, other = await on_a_socket(ear)
    loop = asyncio.get_running_loop()
    with other:
        await loop.sock_sendall(other, Choke().encode())
        await ear.over.wait()
        with suppress(ConnectionResetError):  # an abort may be seen as either
            assert await loop.sock_recv(other, 1) == b""
    assert str(ear.reasons[0]) == "no"


@on_every_loop
async def test_closing_with_bytes_unsent_does_not_wait_for_them() -> None:
    ear = Ear()
    stream, other = await on_a_socket(ear)
    with other:
        while stream.send(bytes(1 << 20)):
            pass
        stream.close()
        assert ear.reasons == [None]


@on_every_loop
async def test_a_bug_of_ours_reaches_the_loops_handler_and_ends_the_connection() -> None:
    told: list[dict[str, object]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: told.append(context))
    ear = Ear(on_got=raises(KeyError("bug")))
    _, other = await on_a_socket(ear)
    with other:
        await loop.sock_sendall(other, Choke().encode())
        await ear.over.wait()
    assert [type(context["exception"]) for context in told] == [KeyError]
    assert isinstance(ear.reasons[0], KeyError)


@on_every_loop
async def test_a_paused_stream_is_not_read_until_it_is_resumed() -> None:
    ear = Ear(on_got=lambda _: stream.pause())
    stream, other = await on_a_socket(ear)
    message, sent = Choke().encode(), 0
    with other:
        await asyncio.get_running_loop().sock_sendall(other, message)
        while not ear.heard:
            await asyncio.sleep(0)
        with suppress(BlockingIOError):  # nobody reads: the kernel's buffers fill up
            while True:
                sent += other.send(message * 10_000)
        assert ear.heard == [Choke()]
        ear.on_got = None
        stream.resume()
        while len(ear.heard) < 1 + sent // len(message):
            await asyncio.sleep(0)
        stream.close()
        stream.pause()
        stream.resume()


def test_a_stream_without_a_connection_has_nothing_to_pause() -> None:
    stream = Stream(PeerFramer(nowhere), Ear())
    stream.pause()
    stream.resume()


# Encryption


class Shift:
    """A cipher of one's fingers: each byte is larger by how many came before it."""

    def __init__(self, step: int) -> None:
        self._step = step
        self._at = 0

    def update(self, data: bytes | bytearray | memoryview) -> bytes:
        out = bytes((byte + self._step * (self._at + n)) % 256 for n, byte in enumerate(data))
        self._at += len(data)
        return out

    def update_into(self, data: memoryview, buf: memoryview) -> int:
        buf[: len(data)] = self.update(data)
        return len(data)


@given(st.lists(st.binary(max_size=30), max_size=5), chunkings)
def test_what_comes_is_decrypted_where_it_lies(lines: list[bytes], sizes: list[int]) -> None:
    text = b"".join(line.replace(b"\n", b" ") + b"\n" for line in lines)
    ear = Ear()
    stream, _ = connected(ear, framer=Lines())
    stream.encrypt(Shift(-1), None)
    give(stream, Shift(1).update(text), sizes)
    assert ear.heard == text.split(b"\n")[:-1]


def test_what_came_before_is_plain_already_and_what_comes_later_is_not() -> None:
    def agree(_: object) -> None:
        stream.encrypt(Shift(-1), None)
        stream.switch(Lines(), second)

    first, second = Ear(agree), Ear()
    stream, _ = connected(first, framer=FirstLine())
    give(stream, b"one\ntwo\nth")
    give(stream, Shift(1).update(b"ree\nfour\n"), [1])
    assert first.heard == [b"one"]
    assert second.heard == [b"two", b"three", b"four"]


@given(
    st.lists(st.lists(st.binary(max_size=20), min_size=1, max_size=4), max_size=5), st.booleans()
)
def test_what_is_sent_is_encrypted_and_the_sender_keeps_its_buffers(
    sends: list[list[bytes]], gathers: bool
) -> None:
    stream, wire = connected(Ear(), room=7)
    stream._gathers = gathers
    stream.send(b"plain")
    stream.encrypt(None, Shift(1))
    for buffers in sends:
        own = [bytearray(buffer) for buffer in buffers]
        stream.send(*own)
        for buffer in own:
            buffer[:] = bytes(len(buffer))
    wire.take(1 << 20)
    sent = b"".join(b"".join(buffers) for buffers in sends)
    assert wire.taken == b"plain" + Shift(1).update(sent)
