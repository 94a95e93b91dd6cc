import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager, suppress
from ipaddress import IPv4Address, IPv6Address

import pytest

from p2pswarm.errors import PortTakenError
from p2pswarm.formats.ids import Address, InfoHash
from p2pswarm.net import port as room
from p2pswarm.net.port import DEFAULT_PORT, Port
from p2pswarm.net.stream import Stream
from p2pswarm.wire.peer import HANDSHAKE, HandshakeFramer, Hello, Reserved
from p2pswarm.wire.sniff import Guest
from tests.support.loops import on_every_loop

HERE = "127.0.0.1"
HELLO = Hello(Reserved.ours(), InfoHash(bytes(20)))


class Guests:
    """Takes care of everybody who speaks BitTorrent: notes what they say, and answers nothing."""

    def __init__(self, port: Port) -> None:
        self.streams: list[Stream] = []
        self.heard: asyncio.Queue[object] = asyncio.Queue()
        self.reasons: asyncio.Queue[Exception | None] = asyncio.Queue()
        self._port = port
        port.route(Guest.PEER_WIRE, self.welcome)

    def welcome(self, stream: Stream) -> None:
        self.streams.append(stream)
        stream.switch(HandshakeFramer(self._port.scratch), self)

    def got(self, message: object) -> None:
        self.heard.put_nowait(message)

    def caught_up(self) -> None: ...

    def drained(self) -> None: ...

    def closed(self, reason: Exception | None) -> None:
        for stream in self.streams:
            if stream.over:
                self._port.admitted(stream)
        self.reasons.put_nowait(reason)


@asynccontextmanager
async def opened(host: str = HERE, number: int | None = 0) -> AsyncIterator[Port]:
    port = Port(host, number)
    await port.open()
    try:
        yield port
    finally:
        await port.close()


async def knock(port: Port, first: bytes = b"") -> socket.socket:
    loop = asyncio.get_running_loop()
    knocking = socket.socket()
    knocking.setblocking(False)
    try:
        await loop.sock_connect(knocking, (HERE, port.number))
        await loop.sock_sendall(knocking, first)
    except OSError:
        knocking.close()
        raise
    return knocking


async def all_have_been_heard(port: Port) -> None:
    """The listener accepts in order: when the last guest is heard, those before stand at the door."""
    guests = Guests(port)
    for _ in range(2):
        with await knock(port, HELLO.encode()):
            await guests.heard.get()
            guests.streams[-1].close()


async def is_sent_away(knocking: socket.socket) -> bool:
    """Waits until the connection ends; fails by the test's own patience."""
    with knocking, suppress(ConnectionResetError):
        return await asyncio.get_running_loop().sock_recv(knocking, 1) == b""
    return True


def is_open(knocking: socket.socket) -> bool:
    try:
        return knocking.recv(1, socket.MSG_PEEK) != b""
    except BlockingIOError:
        return True
    except ConnectionResetError:
        return False


# Listening


@on_every_loop
async def test_a_named_port_that_is_taken_is_an_error() -> None:
    async with opened() as first:
        second = Port(HERE, first.number)
        with pytest.raises(PortTakenError, match=f"port {first.number} on {HERE} is in use"):
            await second.open()
        await second.close()


@on_every_loop
async def test_without_a_name_the_next_free_port_is_taken() -> None:
    with socket.create_server((HERE, 0)) as taken, pytest.MonkeyPatch.context() as patch:
        number = taken.getsockname()[1]
        patch.setattr(room, "DEFAULT_PORT", number)
        async with opened(number=None) as port:
            assert number < port.number < number + room.TRIES


@on_every_loop
async def test_when_all_default_ports_are_taken_the_range_is_named() -> None:
    with socket.create_server((HERE, 0)) as taken, pytest.MonkeyPatch.context() as patch:
        number = taken.getsockname()[1]
        patch.setattr(room, "DEFAULT_PORT", number)
        patch.setattr(room, "TRIES", 1)
        with pytest.raises(PortTakenError, match=f"no free port from {number} to {number} on"):
            await Port(HERE, None).open()


@pytest.mark.parametrize("number", [None, 0, 5])
@pytest.mark.parametrize("host", ["203.0.113.7", "no such host"])
async def test_a_host_that_is_not_ours_is_named(host: str, number: int | None) -> None:
    with pytest.raises(PortTakenError, match=f"cannot listen on {host}"):
        await Port(host, number).open()


@on_every_loop
async def test_port_zero_is_any() -> None:
    async with opened() as one, opened() as two:
        assert 0 < one.number != two.number > 0


def test_the_default_is_outside_the_range_that_networks_slow_down() -> None:
    assert DEFAULT_PORT not in range(6881, 6890)


# At the door


@on_every_loop
async def test_a_guest_is_handed_on_with_every_byte() -> None:
    async with opened() as port:
        guests = Guests(port)
        with await knock(port, HELLO.encode()[:9]) as knocking:
            await asyncio.get_running_loop().sock_sendall(knocking, HELLO.encode()[9:])
            assert await guests.heard.get() == HELLO
            assert guests.streams[0].local == Address(HERE, port.number)
            assert guests.streams[0].remote == Address(*knocking.getsockname())


@on_every_loop
async def test_junk_is_sent_away_at_once() -> None:
    async with opened() as port:
        assert await is_sent_away(await knock(port, b"GET / HTTP/1.1\r\n\r\n"))
        assert not port._at_door


@on_every_loop
async def test_a_guest_nobody_takes_care_of_is_sent_away() -> None:
    async with opened() as port:
        assert await is_sent_away(await knock(port, HANDSHAKE))
        assert not port._at_door


@on_every_loop
async def test_who_leaves_by_itself_is_forgotten() -> None:
    async with opened() as port:
        guests = Guests(port)
        (await knock(port, HANDSHAKE)).close()
        await guests.reasons.get()
        assert not port._at_door


@on_every_loop
async def test_silence_and_half_a_handshake_are_sent_away_in_time() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(room, "DOOR_TIME", 0.05)
        async with opened() as port:
            guests = Guests(port)
            silent, slow = await knock(port), await knock(port, HANDSHAKE[:7])
            undecided = await knock(port, HELLO.encode())
            for knocking in (silent, slow, undecided):
                assert await is_sent_away(knocking)
            assert str(await guests.reasons.get()) == "no handshake within 0 s"
            assert not port._at_door


@on_every_loop
async def test_for_who_is_admitted_the_clock_stops() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(room, "DOOR_TIME", 0.05)
        async with opened() as port:
            guests = Guests(port)
            with await knock(port, HELLO.encode()) as admitted:
                await guests.heard.get()
                port.admitted(guests.streams[0])
                assert await is_sent_away(await knock(port))  # it came later
                assert is_open(admitted)
                guests.streams[0].close()


@on_every_loop
async def test_when_too_many_are_at_the_door_the_first_has_to_go() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(room, "MOST_AT_DOOR", 3)
        async with opened() as port:
            crowd = [await knock(port, HANDSHAKE[:1]) for _ in range(5)]
            for early in crowd[:2]:
                assert await is_sent_away(early)
            assert all(is_open(late) for late in crowd[2:])
            assert len(port._at_door) == 3
            for late in crowd[2:]:
                late.close()


@on_every_loop
async def test_a_crowd_that_comes_at_once_leaves_only_so_many() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(room, "MOST_AT_DOOR", 3)
        async with opened() as port:
            with ExitStack() as stack:
                crowd = [socket.create_connection((HERE, port.number)) for _ in range(40)]
                for knocking in map(stack.enter_context, crowd):
                    knocking.setblocking(False)
                await all_have_been_heard(port)
                assert sum(map(is_open, crowd)) <= 3


# Guests who wait to be greeted


async def says(knocking: socket.socket) -> bytes:
    return await asyncio.get_running_loop().sock_recv(knocking, 100)


@on_every_loop
async def test_an_announced_guest_is_greeted_and_handed_over_with_what_it_says_then() -> None:
    async with opened() as port:
        guests = Guests(port)
        port.expect("::ffff:127.0.0.1", b"1", guests.welcome)
        with await knock(port) as knocking:
            assert await says(knocking) == b"1"
            await asyncio.get_running_loop().sock_sendall(knocking, HELLO.encode())
            assert await guests.heard.get() == HELLO
            assert guests.streams[0] in port._at_door  # until it has said what it wants


@on_every_loop
async def test_of_others_nobody_is_greeted_before_it_was_silent_for_longer() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(room, "SILENCE_OF_OTHERS", 0.02)
        patch.setattr(room, "SILENCE_OF_EXPECTED", 60.0)
        async with opened() as port:
            guests = Guests(port)
            port.expect("127.0.0.5", b"5", guests.welcome)
            port.expect(None, b"1", guests.welcome)
            with await knock(port) as knocking:
                assert await says(knocking) == b"1"
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(room, "SILENCE_OF_EXPECTED", 0.0)
            patch.setattr(room, "SILENCE_OF_OTHERS", 60.0)
            async with opened() as port:
                port.expect(None, b"any", guests.welcome)
                port.expect(HERE, b"named", guests.welcome)
                with await knock(port) as knocking:
                    assert await says(knocking) == b"named"


@on_every_loop
async def test_who_speaks_is_never_greeted() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(room, "SILENCE_OF_EXPECTED", 0.01)
        patch.setattr(room, "DOOR_TIME", 0.1)
        async with opened() as port:
            guests = Guests(port)
            port.expect(HERE, b"1", guests.welcome)
            for first in (HANDSHAKE[:1], HANDSHAKE, HELLO.encode()):
                with await knock(port, first) as knocking, suppress(ConnectionResetError):
                    assert await says(knocking) == b""


@on_every_loop
async def test_nobody_else_is_greeted_and_nobody_once_that_is_over() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(room, "SILENCE_OF_EXPECTED", 0.03)
        patch.setattr(room, "DOOR_TIME", 0.1)
        async with opened() as port:
            guests = Guests(port)
            port.expect("127.0.0.9", b"1", guests.welcome)
            forget = port.expect(HERE, b"1", guests.welcome)
            with await knock(port) as knocking:
                await all_have_been_heard(port)
                forget()  # while it stands at the door
                forget()
                with suppress(ConnectionResetError):
                    assert await says(knocking) == b""
            assert await is_sent_away(await knock(port))


@on_every_loop
async def test_who_is_forgotten_twice_takes_nobody_elses_place() -> None:
    async with opened() as port:
        guests = Guests(port)
        forget, _ = (port.expect(HERE, b"1", guests.welcome) for _ in range(2))
        forget()
        forget()
        with await knock(port) as knocking:
            assert await says(knocking) == b"1"


@on_every_loop
async def test_a_greeted_guest_has_no_more_time_than_others() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(room, "SILENCE_OF_EXPECTED", 0.0)
        patch.setattr(room, "DOOR_TIME", 0.1)
        async with opened() as port:
            guests = Guests(port)
            port.expect(HERE, b"1", guests.welcome)
            knocking = await knock(port)
            assert await says(knocking) == b"1"
            assert await is_sent_away(knocking)
            assert str(await guests.reasons.get()) == "no handshake within 0 s"


@on_every_loop
async def test_a_greeted_guest_may_say_what_another_kind_begins_with() -> None:
    async with opened() as port:
        guests, others = Guests(port), Guests(port)
        port.route(Guest.HTTP, others.welcome)
        port.expect(None, b"1", guests.welcome)
        with await knock(port) as greeted, await knock(port, b"GET / HTTP/1.1\r\n") as other:
            assert await says(greeted) == b"1"
            await asyncio.get_running_loop().sock_sendall(greeted, b"GET bob")
            await guests.reasons.get()  # neither speaks BitTorrent
            await others.reasons.get()
            assert [stream.remote for stream in guests.streams] == [Address(*greeted.getsockname())]
            assert [stream.remote for stream in others.streams] == [Address(*other.getsockname())]


# Dialing


@on_every_loop
async def test_we_dial_from_the_address_we_listen_on() -> None:
    async with opened() as port, opened("127.0.0.9") as ours:
        guests, mine = Guests(port), Guests(ours)
        stream = await ours.dial(Address(HERE, port.number), HandshakeFramer(), mine)
        mine.streams.append(stream)
        stream.send(HELLO.encode())
        assert await guests.heard.get() == HELLO
        assert guests.streams[0].remote.host == stream.local.host == "127.0.0.9"
        stream.close()
        await guests.reasons.get()


@on_every_loop
async def test_who_listens_everywhere_dials_from_anywhere() -> None:
    async with opened() as port, opened("0.0.0.0") as ours:
        guests, mine = Guests(port), Guests(ours)
        stream = await ours.dial(Address(HERE, port.number), HandshakeFramer(), mine)
        mine.streams.append(stream)
        stream.send(HELLO.encode())
        assert await guests.heard.get() == HELLO
        stream.close()
        await guests.reasons.get()


@pytest.mark.parametrize(
    ("host", "bound"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("fe80::1", "fe80::1"),
        ("0.0.0.0", None),
        ("any", None),
        ("lo", "127.0.0.1"),
        ("::", None),
        ("localhost", None),
    ],
)
def test_only_one_address_binds_what_we_dial(host: str, bound: str | None) -> None:
    assert Port(host, 1).bound == bound


@on_every_loop
async def test_any_address_is_both_families_on_one_number() -> None:
    async with opened("any") as port:
        guests = Guests(port)
        for here in (HERE, "::1"):
            other = Port(here, 0)
            stream = await other.dial(Address(here, port.number), HandshakeFramer(), Guests(other))
            stream.send(HELLO.encode())
            await guests.heard.get()
            assert guests.streams[-1].remote.host == here
            stream.close()
            guests.streams[-1].close()


@on_every_loop
async def test_an_interface_is_its_addresses() -> None:
    async with opened("lo") as port:
        assert port.families == {IPv4Address, IPv6Address}
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.2", port.number)).close()


@on_every_loop
async def test_an_address_of_another_family_cannot_be_dialed() -> None:
    port = Port(HERE, 0)
    with pytest.raises(OSError, match=r"."):
        await port.dial(Address("::1", 9), HandshakeFramer(), Guests(port))


@on_every_loop
async def test_dialing_nobody_is_an_os_error() -> None:
    with socket.create_server((HERE, 0)) as gone:
        nobody = Address(*gone.getsockname())
    port = Port(HERE, 0)
    with pytest.raises(OSError, match=r"."):
        await port.dial(nobody, HandshakeFramer(), Guests(port))


# Closing


@on_every_loop
async def test_closing_sends_everybody_at_the_door_away() -> None:
    async with opened() as port:
        Guests(port)
        crowd = [await knock(port, HANDSHAKE[:n]) for n in range(4)]
        await all_have_been_heard(port)
        assert len(port._at_door) == 4
        await port.close()
        for knocking in crowd:
            assert await is_sent_away(knocking)
        await port.close()
        with pytest.raises(ConnectionRefusedError):
            await knock(port)
