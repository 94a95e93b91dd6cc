"""Everybody who may come to the port at once, in small pieces, each in turn: nobody is taken for another."""

import asyncio
import random
import socket
import ssl
from contextlib import ExitStack

from p2pswarm.formats.ids import InfoHash, PeerId
from p2pswarm.net.port import Port
from p2pswarm.net.stream import Stream
from p2pswarm.wire.data import Chunk, DataFramer
from p2pswarm.wire.gnutella.descriptor import Descriptor, Kind, new_guid
from p2pswarm.wire.krpc import PING, NodeId, Query
from p2pswarm.wire.mse import BOTH, MseAsker
from p2pswarm.wire.peer import Hello, Ident, Reserved
from p2pswarm.wire.sniff import DatagramGuest, Guest
from p2pswarm.wire.supernode.datagrams import UdpPing
from p2pswarm.wire.supernode.frames import OPENING
from p2pswarm.wire.tracker_udp import connected
from p2pswarm.wire.utp.packet import SYN, Packet
from tests.support.loops import on_every_loop

HERE = "127.0.0.1"
NAPSTER = "127.0.0.3"  # from where somebody is expected, who waits to be spoken to
DICE = random.Random(1)
HASH = InfoHash(b"h" * 20)
HELLO = Hello(Reserved.ours(), HASH).encode() + Ident(PeerId.new(DICE)).encode()


def client_hello() -> bytes:
    """What a real library says first."""
    said = ssl.MemoryBIO()
    tls = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), said, server_hostname="x")
    try:
        tls.do_handshake()
    except ssl.SSLWantReadError:
        return said.read()
    raise AssertionError


SAID = {
    Guest.PEER_WIRE: HELLO,
    Guest.SUPERNODE: OPENING + b"more",
    Guest.GNUTELLA: b"GNUTELLA CONNECT/0.6\r\nUser-Agent: x\r\n\r\n",
    Guest.GIV: b"GIV 1:" + b"A" * 32 + b"/name\n\n",
    Guest.HTTP: b"GET /uri-res/N2R?urn:sha1:X HTTP/1.1\r\n\r\n",
    Guest.TLS: client_hello(),
    Guest.OBFUSCATED: MseAsker(HASH, HELLO, BOTH, DICE).opening(),
}
TRANSACTION = 7
SENT = {
    DatagramGuest.DHT: Query(method=PING, transaction=b"aa", id=NodeId(b"n" * 20)).encode(),
    DatagramGuest.TRACKER: connected(TRANSACTION, 1),
    DatagramGuest.GNUTELLA: Descriptor(new_guid(DICE), Kind.PING, 1, 0, b"").encode(),
    DatagramGuest.SUPERNODE: UdpPing(b"t" * 8).encode(),
    DatagramGuest.UTP: Packet(SYN, 1, 0, 0, 1 << 20, 1, 0).pack(),
}
STUN = b"\x01\x01\x00\x00\x21\x12\xa4\x42" + bytes(12)  # an answer, whose first byte would be uTP's


class Listener:
    """Takes everybody in, and notes as whom they came and what they said."""

    def __init__(self, port: Port) -> None:
        self.heard: dict[object, bytes] = {}
        self.news = asyncio.Event()
        for guest in Guest:
            port.route(guest, lambda stream, guest=guest: self.welcome(guest, stream))
        for kind in DatagramGuest:
            port.route_datagrams(kind, lambda data, _, kind=kind: self.note(kind, data))
        port.claim_datagrams(lambda data, _: data[4:8] == TRANSACTION.to_bytes(4, "big"))
        port.expect(NAPSTER, b"1", lambda stream: self.welcome("napster", stream))

    def welcome(self, guest: object, stream: Stream) -> None:
        stream.switch(DataFramer(1 << 20), Hearing(self, guest))

    def note(self, guest: object, data: bytes) -> None:
        self.heard[guest] = self.heard.get(guest, b"") + data
        self.news.set()

    async def until(self, all_of_it: dict[object, bytes]) -> None:
        while self.heard != all_of_it:
            self.news.clear()
            await self.news.wait()


class Hearing:
    def __init__(self, listener: Listener, guest: object) -> None:
        self._listener, self._guest = listener, guest

    def got(self, message: object) -> None:
        assert isinstance(message, Chunk)
        self._listener.note(self._guest, message.data)

    def caught_up(self) -> None: ...

    def drained(self) -> None: ...

    def closed(self, reason: Exception | None) -> None: ...


async def speak(port: Port, said: bytes) -> None:
    """A few bytes at a time, so that all who come speak at once."""
    reader, writer = await asyncio.open_connection(HERE, port.number)
    for at in range(0, len(said), 7):
        writer.write(said[at : at + 7])
        await writer.drain()
        await asyncio.sleep(0)
    await reader.read()
    writer.close()


async def be_greeted(port: Port) -> bytes:
    reader, writer = await asyncio.open_connection(HERE, port.number, local_addr=(NAPSTER, 0))
    greeting = await reader.readexactly(1)
    writer.write(b"GET")
    await reader.read()
    writer.close()
    return greeting


@on_every_loop
async def test_every_guest_at_once() -> None:
    port = Port(HERE, 0)
    listener = Listener(port)
    await port.open()
    with ExitStack() as stack:
        senders = [stack.enter_context(socket.socket(type=socket.SOCK_DGRAM)) for _ in SENT]
        async with asyncio.TaskGroup() as tasks:
            for said in SAID.values():
                tasks.create_task(speak(port, said))
            greeted = tasks.create_task(be_greeted(port))
            for sender, data in zip(senders, SENT.values(), strict=True):
                sender.sendto(STUN, (HERE, port.number))
                sender.sendto(data, (HERE, port.number))
            await listener.until({**SAID, **SENT, "napster": b"GET"})
            assert len(port._at_door) == len(SAID) + 1
            await port.close()
        assert await greeted == b"1"
