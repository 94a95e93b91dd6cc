"""GnutellaBun (Gnutonium 2.0) as a leaf, as its sources have it: its headers, messages, checks and HTTP."""

import asyncio
import re
import struct
import zlib
from collections.abc import Mapping, Sequence
from urllib.parse import quote, unquote

from typing_extensions import override

from p2pswarm.formats.ids import Address
from p2pswarm.formats.urns import base32
from tests.support.neighbour import (
    HIT,
    PING,
    ROUTES,
    File,
    Found,
    Message,
    Neighbour,
    head_of,
    read_head,
    read_hit,
)

__all__ = ["Bun"]

AGENT = "Gnutonium/2.0.0"
SLOTS = 1 << 16
_LEADS = {
    "X-Ultrapeer-Needed": "True",
    "X-Ultrapeer-Query-Routing": "0.1",
    "X-Dynamic-Querying": "0.1",
    "X-Ext-Probes": "0.1",
    "X-Degree": "64",
}


class Bun(Neighbour):
    """With `bits` 4 its route table is as today, with 1 as it was; `deflate` and TLS are offered."""

    bits = 4
    deflate = True
    closed = False  # to who dials it, as behind a firewall that it does not know of

    @override
    def headers(self, remote: str) -> dict[str, str]:
        return {
            "User-Agent": AGENT,
            "Listen-IP": str(self.address),
            "X-Max-TTL": "4",
            "X-Ultrapeer": str(self.leads),
            **(_LEADS if self.leads else {}),
            "X-Query-Routing": "0.2",
            **({"Accept-Encoding": "deflate"} if self.deflate else {}),
            "Pong-Caching": "0.1",
            "GGEP": "0.5",
            "Bye-Packet": "0.1",
            "Remote-IP": remote,
            "Upgrade": "TLS/1.0",
        }

    @override
    def check_greeting(self, headers: Mapping[str, str]) -> None:
        assert headers["x-ultrapeer"].lower() == str(not self.leads).lower()
        assert headers.get("x-query-routing") or headers.get("x-ultrapeer-query-routing")

    @override
    async def connect(self, address: Address) -> None:
        await super().connect(address)
        self.say(PING, b"", ttl=1)
        self.say(ROUTES, struct.pack("<BIB", 0, SLOTS, 7), ttl=1)
        packed = zlib.compress(self._table())
        parts = [packed[at : at + 1000] for at in range(0, len(packed), 1000)]
        for number, part in enumerate(parts, 1):
            self.say(ROUTES, bytes([1, number, len(parts), 1, self.bits]) + part, ttl=1)

    def _table(self) -> bytes:
        words = {
            word[: len(word) - cut]
            for file in self.files
            for word in re.findall("[a-z0-9]{3,}", file.name.lower())
            for cut in range(max(1, min(6, len(word) - 3)))
        }
        table = [0] * SLOTS
        for word in words:
            number, data = 0, word.encode()
            for at in range(0, len(data), 4):
                number ^= int.from_bytes(data[at : at + 4], "little")
            table[(number * 0x4F1BBCDC & 0xFFFFFFFF) >> 16] = 1
        per_byte = 8 // self.bits
        delta = 1 if self.bits == 1 else -6 & 15
        packed = bytearray(SLOTS // per_byte)
        for slot, there in enumerate(table):
            shift = 8 - self.bits * (slot % per_byte + 1)
            packed[slot // per_byte] |= (delta << shift) if there else 0
        return bytes(packed)

    @property
    def table(self) -> set[int] | None:
        """The slots that its leaf filled, None until all patches came; a wrong one ends the link."""
        slots = infinity = 0
        parts: list[bytes] = []
        table: dict[int, int] | None = None
        for payload in (message.payload for message in self.heard if message.kind == ROUTES):
            if payload[0] == 0:
                slots, infinity = struct.unpack_from("<IB", payload, 1)
                assert slots.bit_count() == 1
                assert infinity >= 1
                parts, table = [], None
                continue
            number, of, compressor, bits = payload[1:5]
            assert slots, "a patch before any reset"
            assert number == len(parts) + 1 <= of
            assert compressor in (0, 1)
            assert bits == 4
            parts.append(payload[5:])
            if number == of:
                packed = b"".join(parts)
                packed = zlib.decompress(packed) if compressor else packed
                assert len(packed) == slots // 2
                table = table or dict.fromkeys(range(slots), infinity)
                for slot in range(slots):
                    delta = packed[slot // 2] >> (0 if slot % 2 else 4) & 15
                    table[slot] += delta - 16 if delta > 7 else delta
                parts = []
        return None if table is None else {s for s, value in table.items() if value < infinity}

    @override
    def _got(self, message: Message) -> None:
        assert not self.leads or message.hops == 0, "414 Leaf node relayed"
        super()._got(message)

    # Queries

    async def ask(self, text: str, *urns: str) -> Sequence[Found]:
        flags = 0x8000 | 1 << 11 | 50
        extensions = b"\x1c".join(urn.encode() for urn in urns)
        return await self.found(struct.pack(">H", flags) + text.encode() + b"\0" + extensions)

    @override
    def answer(self, message: Message) -> None:
        end = message.payload.index(b"\0", 2)
        text, extensions = (
            message.payload[2:end].decode(),
            message.payload[end + 1 :].decode("latin1"),
        )
        named = self.by_sha1(extensions) if "urn:sha1:" in extensions else None
        files = [named] if named else self.matching(text)
        if files:
            self.say(HIT, self.hit(files), guid=message.guid, ttl=min(4, message.hops + 2))

    def hit(self, files: Sequence[File]) -> bytes:
        host = bytes(map(int, self.host.split(".")))
        port = 1 if self.closed else self.address.port
        parts = [struct.pack("<BH4sI", len(files), port, host, 512)]
        for file in files:
            digest, flags = b"\x01" + file.sha1, 0x81
            if b"\0" in digest:
                digest = b"".join(bytes([len(run) + 1]) + run for run in digest.split(b"\0"))
                flags |= 0x40
            ggep = b"\xc3" + bytes([flags]) + b"H" + bytes([0x40 | len(digest)]) + digest
            urn = f"urn:sha1:{base32(file.sha1)}".encode()
            head = struct.pack("<II", file.index, len(file.data))
            parts.append(head + file.name.encode() + b"\0" + urn + b"\x1c" + ggep + b"\0")
        parts.append(b"NIUM\x02\x3c\x31" + b"\xc3\x82BH\x40" + self.guid)
        return b"".join(parts)

    # Fetching

    async def fetch(self, found: Found, *, by_index: bool = False) -> bytes:
        """Range after range from a byte on to the end, as long as there is less than all."""
        return await self.over(*await self.dial(found.address), found, by_index=by_index)

    async def over(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        found: Found,
        *,
        by_index: bool = True,
    ) -> bytes:
        target = f"/uri-res/N2R?urn:sha1:{found.sha1}"
        if by_index:
            target = f"/get/{found.index}/{quote(found.name, safe=_ENCODE_URI)}"
        got = b""
        while len(got) < found.size:
            headers = {
                "User-Agent": AGENT,
                "Host": str(found.address),
                "Connection": "Keep-Alive",
                "Range": f"bytes={len(got)}-",
            }
            writer.write(head_of(f"GET {target} HTTP/1.1", headers))
            got += await reader.readexactly(_promised(*await read_head(reader), len(got)))
        return got

    async def browse(self, address: Address) -> list[Found]:
        reader, writer = await self.dial(address)
        headers = {
            "Host": str(address),
            "User-Agent": AGENT,
            "Accept": "application/x-gnutella-packets",
            "Accept-Encoding": "deflate",
            "Connection": "close",
        }
        writer.write(head_of("GET / HTTP/1.1", headers))
        start, theirs = await read_head(reader)
        assert start.split()[1] == "200"
        assert theirs["content-type"].split(";")[0] == "application/x-gnutella-packets"
        body = await reader.read()
        assert len(body) == int(theirs["content-length"])
        found = list[Found]()
        while body:
            assert body[16] == HIT
            size = int.from_bytes(body[19:23], "little")
            found += read_hit(body[23 : 23 + size])
            body = body[23 + size :]
        return found

    # Giving

    @override
    async def serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: bytes
    ) -> None:
        going = True
        while going:
            self.requests.append(head.decode())
            going = self._reply(writer, head.decode())
            await writer.drain()
            if going:
                head = await reader.readuntil(b"\r\n\r\n")
        writer.close()

    def _reply(self, writer: asyncio.StreamWriter, head: str) -> bool:
        start, *lines = head.strip().split("\r\n")
        headers = {name.lower(): value.strip() for name, value in (x.split(":", 1) for x in lines)}
        by_index = re.fullmatch(r"GET /get/([0-9]+)/(.+?)/? HTTP/1\.[01]", start)
        by_urn = re.fullmatch(r"GET /uri-res/N2R\?(\S+) HTTP/1\.[01]", start)
        file = None
        if by_index:
            file = next((f for f in self.files if f.index == int(by_index[1])), None)
        elif by_urn:
            file = self.by_sha1(unquote(by_urn[1]))
        if file is None:
            writer.write(b"HTTP/1.0 404 Not Found\r\n\r\n")
            return False
        size = len(file.data)
        asked = re.fullmatch(r"bytes=([0-9]+)-([0-9]*)", headers.get("range", ""))
        first, last = (
            (int(asked[1]), min(int(asked[2] or size), size - 1)) if asked else (0, size - 1)
        )
        answer = {"Server": AGENT, "Content-Type": "application/binary"}
        answer["Content-Length"] = str(last - first + 1)
        if asked:
            answer["Content-Range"] = f"bytes {first}-{last}/{size}"
        urn = f"urn:sha1:{base32(file.sha1)}"
        answer |= {"X-Gnutella-Content-URN": urn, "X-Content-URN": urn, "Connection": "Keep-Alive"}
        writer.write(head_of(f"HTTP/1.1 {'206 Partial Content' if asked else '200 OK'}", answer))
        writer.write(file.data[first : last + 1])
        return True


_ENCODE_URI = "-_.!~*'();/?:@&=+$,"  # what encodeURI leaves; "#" it encodes by hand


def _promised(start: str, headers: Mapping[str, str], at: int) -> int:
    """How many bytes come; anything that the program refuses is an error."""
    version, code, _ = start.split(" ", 2)
    assert version in ("HTTP/1.0", "HTTP/1.1")
    assert code in ("200", "206"), start
    assert "transfer-encoding" not in headers
    length = int(headers["content-length"])
    if code == "206":
        given = re.fullmatch(r"bytes\s+([0-9]+)-([0-9]+)/([0-9]+|\*)", headers["content-range"])
        assert given
        first, last = int(given[1]), int(given[2])
        assert (first, last - first + 1) == (at, length)
        assert given[3] == "*" or last < int(given[3])
    else:
        assert at == 0
    return length
