"""A neighbour that behaves as gtk-gnutella 1.2.3 does, and complains of what that program would not bear.

It is written after that program's sources and what it was seen to send, and shares no code with our rooms. As
a leaf it has one ultrapeer, us; as an ultrapeer one neighbour, us.
"""

import asyncio
import struct
import zlib
from base64 import b32encode
from hashlib import sha1
from random import Random

from typing_extensions import override

from tests.support.gtkg_rules import (
    BYE,
    HIT,
    PING,
    PONG,
    QUERY,
    ROUTES,
    VENDOR,
    Message,
    Table,
    cobs,
    hit_faults,
    names_in,
    query_faults,
    slot,
)
from tests.support.world import VirtualLoop

__all__ = ["Gtkg"]

PORT = 6346
TABLE_BITS = 16
ALIVE = 20.0  # seconds between two pings


class Gtkg(asyncio.BufferedProtocol):
    """`dial` or `listen`; what it would not bear stands in `complaints`, and nothing may."""

    def __init__(self, host: str, *names: str, ultrapeer: bool, patch_bits: int = 8) -> None:
        self.host, self.names, self.ultrapeer = host, names, ultrapeer
        self.complaints: list[str] = []
        self.heard: list[Message] = []
        self.heads: list[tuple[str, dict[str, str]]] = []
        self.hits: dict[bytes, list[str]] = {}
        self.byes: list[str] = []
        self.knocks: list[bytes] = []
        self.table = Table()
        self.pongs = 0
        self.up = self.over = False
        self._patch_bits = patch_bits
        self._dice = Random(host)
        self._guid = self._dice.randbytes(16)
        self._buffer, self._raw, self._plain = bytearray(1 << 16), b"", b""
        self._dialed = False
        self._inflate = self._deflate = None
        self._pinged: set[bytes] = set()

    async def dial(self, loop: VirtualLoop, to: tuple[str, int]) -> None:
        self._dialed = True
        await loop.create_connection(lambda: self, *to, local_addr=(self.host, 0))

    async def listen(self, loop: VirtualLoop) -> None:
        await loop.create_server(lambda: self, self.host, PORT)

    async def open_door(self, loop: VirtualLoop) -> None:
        """For who shall find out whether it can be dialed."""
        await loop.create_server(lambda: _Door(self.knocks), self.host, PORT + 1)

    def heard_of(self, kind: int) -> list[Message]:
        return [message for message in self.heard if message.kind == kind]

    def ask(self, text: str) -> bytes | None:
        """A query as it was seen on the wire; None when it is not sent, as the table knows no such words."""
        if self.ultrapeer and not self.table.may_have(text):
            return None
        guid = self._dice.randbytes(16)
        payload = b"\xb9\x00" + text.encode() + b"\x00" + b"\xc3\x82PR\x40"
        self.hits[guid] = []
        self._say(QUERY, payload, ttl=4, guid=guid)
        return guid

    # The stream

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        if self._dialed:
            mine = f"Node: {self.host}:{PORT}\r\nX-Token: AAAA\r\n{self._headers()}"
            self._write(f"GNUTELLA CONNECT/0.6\r\n{mine}\r\n".encode())

    @override
    def get_buffer(self, sizehint: int) -> bytearray:
        return self._buffer

    @override
    def buffer_updated(self, nbytes: int) -> None:
        self._raw += self._buffer[:nbytes]
        while not self.up and not self.over and b"\r\n\r\n" in self._raw:
            text, _, self._raw = self._raw.partition(b"\r\n\r\n")
            self._greeted(*_head(text.decode("latin-1")))
        if self.up:
            raw, self._raw = self._raw, b""
            self._plain += self._inflate.decompress(raw) if self._inflate else raw
            self._cut()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self.over = True

    # The greeting

    def _headers(self) -> str:
        tiers = "X-Degree: 19\r\nX-Max-TTL: 4\r\nX-Dynamic-Querying: 0.1\r\nX-Ext-Probes: 0.1\r\n"
        return (
            f"Remote-IP: 10.0.0.1\r\nUser-Agent: gtk-gnutella/1.2.3 (2023-12-17; GTK2; Linux)\r\n"
            "Pong-Caching: 0.1\r\nBye-Packet: 0.1\r\nGGEP: 0.5\r\nVendor-Message: 0.2\r\n"
            f"GUID: {self._guid.hex()}\r\nX-Query-Routing: 0.2\r\nX-Requeries: False\r\n"
            f"Accept-Encoding: deflate\r\nX-Live-Since: Thu, 26 Nov 2026 00:00:00 GMT\r\n"
            f"X-Ultrapeer: {self.ultrapeer}\r\nX-Ultrapeer-Query-Routing: 0.1\r\n{tiers}"
            "X-Guess: 0.2\r\nX-Features: tls/1.0, sflag/0.1, HSEP/0.2\r\n"
        )

    def _greeted(self, start: str, headers: dict[str, str]) -> None:
        self.heads.append((start, headers))
        if len(self.heads) == 1:
            self._refuse(start, headers)
        if self.over:
            return
        if headers.get("content-encoding") == "deflate":
            self._inflate = zlib.decompressobj()
        if self._dialed:
            self._write(b"GNUTELLA/0.6 200 OK\r\nContent-Encoding: deflate\r\n\r\n")
            self._connected()
        elif len(self.heads) == 1:
            needed = "X-Ultrapeer-Needed: True\r\n" if self.ultrapeer else ""
            mine = f"{self._headers()}Content-Encoding: deflate\r\n{needed}"
            self._write(f"GNUTELLA/0.6 200 OK\r\n{mine}\r\n".encode())
        else:
            self._connected()

    def _refuse(self, start: str, headers: dict[str, str]) -> None:
        """As that program does in its turn."""
        first = "GNUTELLA/0.6 200 OK" if self._dialed else "GNUTELLA CONNECT/0.6"
        theirs = headers.get("x-ultrapeer", "").lower()
        wrong = [
            start != first and start,
            not headers.get("user-agent") and "no vendor string",
            theirs not in ("true", "false") and "normal nodes refused",
            not self.ultrapeer and theirs != "true" and "204 shielded leaf node",
            headers.get("accept-encoding") != "deflate" and "403 not compressed",
            len(bytes.fromhex(headers.get("guid", ""))) != 16 and "garbage GUID",
            headers.get("remote-ip") != self.host and "a wrong Remote-IP",
        ]
        if not self.ultrapeer:
            modern = "x-dynamic-querying" in headers and int(headers.get("x-degree", "0")) >= 16
            wrong.append(not modern and "403 high outdegree and dynamic querying required")
        self.complaints += [each for each in wrong if each]
        if self.complaints:
            self._end()

    @property
    def _theirs(self) -> dict[str, str]:
        return self.heads[0][1]

    @property
    def their_role(self) -> str:
        """A leaf may have become one in the last group."""
        for _, headers in reversed(self.heads):
            if "x-ultrapeer" in headers:
                return "ultrapeer" if headers["x-ultrapeer"].lower() == "true" else "leaf"
        return "normal"

    def _connected(self) -> None:
        self.up = True
        if self._inflate is None:
            self.complaints.append("what it sends is not deflated")
        self._deflate = zlib.compressobj()
        if not self.ultrapeer or "x-ultrapeer-query-routing" in self._theirs:
            self._tell_table()
        names = struct.pack("<H4sHH4sHH", 2, b"BEAR", 4, 1, b"BEAR", 11, 1)
        self._say(VENDOR, bytes(8) + names)
        # As long as nobody has dialed it, it takes itself for firewalled.
        self._say(VENDOR, struct.pack("<4sHHH", b"BEAR", 7, 1, PORT + 1))
        self._alive()

    def _tell_table(self) -> None:
        if self.their_role == "leaf":
            return
        slots = bytearray(1 << TABLE_BITS)
        for word in {word for name in self.names for word in name.replace(".", " ").split()}:
            slots[slot(word, TABLE_BITS)] = 1
        if self._patch_bits == 8:
            data = bytes(0xFA if each else 0 for each in slots)
        else:
            data = int("".join(map(str, slots)), 2).to_bytes(len(slots) // 8, "big")
        packed = zlib.compress(data)
        pieces = [packed[at : at + 512] for at in range(0, len(packed), 512)]
        self._say(ROUTES, struct.pack("<BIB", 0, len(slots), 7))
        for seq, piece in enumerate(pieces, 1):
            self._say(ROUTES, bytes([1, seq, len(pieces), 1, self._patch_bits]) + piece)

    # Messages

    def _cut(self) -> None:
        while len(self._plain) >= 23 and not self.over:
            *head, size = struct.unpack_from("<16sBBBI", self._plain)
            if len(self._plain) < 23 + size:
                return
            message = Message(*head, self._plain[23 : 23 + size])
            self._plain = self._plain[23 + size :]
            self._hear(message)

    def _hear(self, message: Message) -> None:
        leaf = self.their_role == "leaf"
        self.complaints += message.faults(from_leaf=leaf, takes_tables=self.ultrapeer)
        self.heard.append(message)
        hearers = {PING: self._ping, PONG: self._pong, ROUTES: self._routes, QUERY: self._query}
        hearers |= {HIT: self._found, BYE: self._parted}
        hear = hearers.get(message.kind)
        if hear is not None:
            hear(message)

    def _ping(self, message: Message) -> None:
        if message.ttl == 1:
            self._say(PONG, _pong(self.host), guid=message.guid)

    def _pong(self, message: Message) -> None:
        """Only an ultrapeer shares a power of two KiB."""
        (kib,) = struct.unpack_from("<I", message.payload, 10)
        marked = kib >= 8 and kib & (kib - 1) == 0
        if not message.hops and marked is not (self.their_role == "ultrapeer"):
            self.complaints.append(f"a pong of {kib} KiB")
        if message.guid in self._pinged:
            self._pinged.discard(message.guid)
            self.pongs += 1

    def _query(self, message: Message) -> None:
        self.complaints += query_faults(message.payload)
        told = [m.ttl for m in self.heard_of(QUERY) if m.guid == message.guid]
        if any(message.ttl <= ttl for ttl in told[:-1]):
            self.complaints.append("401 a duplicate")
        self._answer(message)

    def _parted(self, message: Message) -> None:
        self.byes.append(message.payload[2:].rstrip(b"\x00").decode())

    def _routes(self, message: Message) -> None:
        try:
            self.table.heard(message.payload)
        except (ValueError, zlib.error, struct.error) as error:
            self.complaints.append(f"413 {error}")

    def _found(self, message: Message) -> None:
        self.complaints += hit_faults(message, bytes.fromhex(self._theirs["guid"]))
        if message.guid not in self.hits:
            self.complaints.append("a hit that nobody asked for")
        else:
            self.hits[message.guid] += [name for _, name, _ in names_in(message.payload)]

    def _answer(self, message: Message) -> None:
        """By words, or by SHA-1, which is not in its tables."""
        text, _, rest = message.payload[2:].partition(b"\x00")
        words = text.decode().lower().split()
        found = [
            name
            for name in self.names
            if b"urn:sha1:" + _base32(name) in rest
            or (len(text) > 1 and all(word in name.lower() for word in words))
        ]
        if not found:
            return
        records = b"".join(_record(number, name) for number, name in enumerate(found, 1))
        here = struct.pack("<BH4BI", len(found), PORT, *map(int, self.host.split(".")), 350)
        trailer = b"GTKG\x02\x3c\x21\xc3\x85GTKGV\x41\x01"
        self._say(HIT, here + records + trailer + self._guid, guid=message.guid, ttl=5)

    def _alive(self) -> None:
        """It asks again and again whether we live, and parts when nobody answers."""
        if self.over:
            return
        guid = self._dice.randbytes(8) + b"\xff" + self._dice.randbytes(6) + b"\x03"
        if len(self._pinged) > 4:
            self.complaints.append("not alive")
        self._pinged.add(guid)
        self._say(PING, b"", guid=guid)
        self._timer = asyncio.get_running_loop().call_later(ALIVE, self._alive)

    def ping(self, ttl: int) -> None:
        self._say(PING, b"", ttl=ttl)

    def tell_of(self, host: str) -> None:
        """A pong that a leaf did not ask for, as it gets one now and then."""
        self._say(PONG, _pong(host), hops=1, guid=bytes(16))

    def bye(self) -> None:
        self._say(BYE, struct.pack("<H", 200) + b"Servent shutdown\x00")
        self._end()

    def _say(
        self, kind: int, payload: bytes, *, ttl: int = 1, hops: int = 0, guid: bytes = b""
    ) -> None:
        data = Message(guid or self._dice.randbytes(16), kind, ttl, hops, payload).encode()
        if self._deflate is not None:
            data = self._deflate.compress(data) + self._deflate.flush(zlib.Z_SYNC_FLUSH)
        self._write(data)

    def _write(self, data: bytes) -> None:
        assert isinstance(self._transport, asyncio.Transport)
        if not self.over:
            self._transport.write(data)

    def _end(self) -> None:
        self.over = True
        self._transport.close()  # type: ignore[attr-defined]


class _Door(asyncio.BufferedProtocol):
    def __init__(self, knocks: list[bytes]) -> None:
        self._knocks, self._buffer, self._heard = knocks, bytearray(100), b""

    @override
    def get_buffer(self, sizehint: int) -> bytearray:
        return self._buffer

    @override
    def buffer_updated(self, nbytes: int) -> None:
        self._heard += self._buffer[:nbytes]

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._knocks.append(self._heard)


def _head(text: str) -> tuple[str, dict[str, str]]:
    start, *lines = text.split("\r\n")
    pairs = (line.partition(": ") for line in lines)
    return start, {name.lower(): value for name, _, value in pairs}


def _base32(name: str) -> bytes:
    return b32encode(sha1(name.encode(), usedforsecurity=False).digest())


def _pong(host: str) -> bytes:
    pong = struct.pack("<H4BII", PORT, *map(int, host.split(".")), 1, 8)
    return pong + b"\xc3\x82UP\x43\x01\x09\x09"


def _record(index: int, name: str) -> bytes:
    tiger = cobs(name.encode()[:12].ljust(24, b"\x00"))
    tag = b"urn:sha1:" + _base32(name) + b"\x1c\xc3\xc2TT" + bytes([0x40 | len(tiger)]) + tiger
    return struct.pack("<II", index, len(name)) + name.encode() + b"\x00" + tag + b"\x00"
