"""The table of first bytes (docs/architecture.md): every guest on one number, all at the same time.

They come by TCP, by uTP and as datagrams: a few bytes first, the rest when everybody stands at the door.
"""

import asyncio
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from random import Random

from typing_extensions import override

from p2pswarm.formats.ids import Address, InfoHash
from p2pswarm.net.port import Port
from p2pswarm.net.stream import Stream
from p2pswarm.wire.framer import KeepingFramer
from p2pswarm.wire.mse import BOTH, MseAsker
from p2pswarm.wire.peer import HANDSHAKE
from p2pswarm.wire.people.datagrams import pack_datagram
from p2pswarm.wire.people.finding import Find
from p2pswarm.wire.people.frames import OPENING as PEOPLE_OPENING
from p2pswarm.wire.people.marked import Relayed, Sealed
from p2pswarm.wire.sniff import DatagramGuest, Guest
from p2pswarm.wire.supernode.datagrams import UdpPing
from p2pswarm.wire.supernode.frames import OPENING
from tests.support.loops import on_every_loop

HERE = "127.0.0.1"
NAPSTER = "napster, whom we greet"


def client_hello() -> bytes:
    """What a real library says first."""
    said = ssl.MemoryBIO()
    tls = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), said, server_hostname="x")
    with suppress(ssl.SSLWantReadError):
        tls.do_handshake()
    return said.read()


OPENINGS = {
    Guest.TLS: client_hello(),
    Guest.PEER_WIRE: HANDSHAKE + bytes(8) + b"h" * 20,
    Guest.GNUTELLA: b"GNUTELLA CONNECT/0.6\r\n",
    Guest.GIV: b"GIV 0:0123456789abcdef/file\n\n",
    Guest.HTTP: b"GET /get/1/file HTTP/1.1\r\n",
    Guest.SUPERNODE: OPENING + b"\0\0\0",
    Guest.PEOPLE: PEOPLE_OPENING + b"\0\0\0\0",
    Guest.OBFUSCATED: MseAsker(InfoHash(b"h" * 20), b"", BOTH, Random(1)).opening(),
}
ANSWER = b"\0\0\0\1answer of a tracker"
DATAGRAMS = {
    DatagramGuest.DHT: b"d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe",
    DatagramGuest.TRACKER: ANSWER,
    DatagramGuest.GNUTELLA: b"\1" * 16 + bytes((0, 1, 0)) + bytes(4),
    DatagramGuest.SUPERNODE: UdpPing(b"12345678").encode(),
    DatagramGuest.STUN: b"\x01\x01\x00\x00\x21\x12\xa4\x42"
    + bytes(12),  # its first byte is uTP's, too
    DatagramGuest.PEOPLE: pack_datagram(Find(b"12345678", b"h" * 32).encode(), request=True),
    DatagramGuest.RELAY: Relayed(b"channel-", b"pass", b"anything").encode(),
    DatagramGuest.MEDIA: Sealed(b"session-", 1, b"sealed").encode(),
}


class Silent:
    """A conversation about which nobody cares."""

    def got(self, message: object) -> None: ...

    def caught_up(self) -> None: ...

    def drained(self) -> None: ...

    def closed(self, reason: Exception | None) -> None: ...


class Hall:
    """Notes who was handed on, and what it had said by then."""

    def __init__(self, port: Port) -> None:
        self.guests: list[tuple[object, bytes]] = []
        self.streams: list[Stream] = []
        self.datagrams: dict[DatagramGuest, bytes] = {}
        self._port = port
        for guest in Guest:
            port.route(guest, self._welcome(guest))
        for kind in DATAGRAMS:
            port.route_datagrams(kind, self._hear(kind))
        port.claim_datagrams(lambda data, _: data == ANSWER)
        port.expect(None, b"1", self._welcome(NAPSTER))

    def _welcome(self, guest: object) -> Callable[[Stream], None]:
        def welcome(stream: Stream) -> None:
            framer = Listening(lambda said: self.guests.append((guest, said)))
            self._port.admitted(stream)
            self.streams.append(stream)
            stream.switch(framer, Silent())
            if guest is NAPSTER:
                self.guests.append((guest, b""))

        return welcome

    def _hear(self, kind: DatagramGuest) -> Callable[[bytes, Address], None]:
        return lambda data, _: self.datagrams.update({kind: data})


class Listening(KeepingFramer):
    """Tells the first thing that it hears."""

    def __init__(self, told: Callable[[bytes], None]) -> None:
        super().__init__()
        self._told: Callable[[bytes], None] | None = told

    @override
    def _cut(self, view: memoryview, into: list[object]) -> int:
        if self._told is not None:
            self._told(view.tobytes())
            self._told = None
        return 0


async def arrives(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0)


@on_every_loop
async def test_every_guest_of_the_table_at_once() -> None:
    port, away = Port(HERE, 0), Port(HERE, 0)
    for each in (port, away):
        each.speak_utp(Random(1))
    hall = Hall(port)
    await port.open()
    await away.open()
    place = Address(HERE, port.number)
    try:
        streams = [
            (await dial(place, KeepingFramer(), Silent()), opening)
            for opening in OPENINGS.values()
            for dial in (away.dial, away.dial_utp)
        ]
        quiet = await away.dial(place, KeepingFramer(), Silent())
        for stream, opening in streams:
            stream.send(opening[:3])
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            for data in DATAGRAMS.values():
                udp.sendto(data, place)
        for stream, opening in streams:
            stream.send(opening[3:])
        await arrives(lambda: len(hall.guests) == 2 * len(OPENINGS) + 1)
        await arrives(lambda: len(hall.datagrams) == len(DATAGRAMS))
        assert not quiet.over
    finally:
        for stream in hall.streams:
            stream.close()
        await away.close()
        await port.close()
    assert hall.datagrams == DATAGRAMS
    assert sorted(map(str, hall.guests)) == sorted(
        [str((guest, opening)) for guest, opening in OPENINGS.items()] * 2 + [str((NAPSTER, b""))]
    )
