"""gtk-gnutella 1.2.3 where files move, as its sources have it: what it sends, checks, and whom it bans."""

import asyncio
import re
import struct
import time
from collections.abc import Mapping, Sequence
from functools import lru_cache
from urllib.parse import quote, unquote
from xml.etree import ElementTree as Xml

from typing_extensions import override

from p2pswarm.formats.tiger import tiger
from p2pswarm.formats.urns import base32
from tests.support.neighbour import HIT, File, Found, Message, Neighbour, head_of, read_head

__all__ = ["Gtk"]

AGENT = "gtk-gnutella/1.2.3 (2022-10-24; GTK2; Linux x86_64)"
PART = 512 << 10  # bytes: what it asks for, and all that it gives to a first request
TREE = "http://open-content.net/spec/thex/breadthfirst"
DEEPEST = 10
MOST_REQUESTS, PERIOD = (
    5,
    60.0,
)  # connections that bring no file, and the seconds in which they count


@lru_cache(maxsize=16)
def tree_of(data: bytes) -> list[list[bytes]]:
    """The levels of its tiger tree, the root first."""
    leaves = [tiger(b"\0" + data[at : at + 1024]) for at in range(0, len(data), 1024)]
    levels = [leaves or [tiger(b"\0")]]
    while len(levels[0]) > 1:
        below = levels[0]
        pairs = [tiger(b"\1" + a + b) for a, b in zip(below[::2], below[1::2], strict=False)]
        levels.insert(0, pairs + below[len(pairs) * 2 :])
    return levels


class Gtk(Neighbour):
    """A leaf. `damage` are the bytes of files that it gives wrongly, `cut` after how many it hangs up."""

    damage: range = range(0)
    cut: int | None = None
    after: asyncio.Event | None = None  # it gives nothing before
    closed = False  # to who dials it
    unsure = False  # whether it is firewalled: then it says so, and obeys no push to an address of no worth
    served = 0  # bytes of files

    @override
    def headers(self, remote: str) -> dict[str, str]:
        return {
            "Node": str(self.address),
            "Remote-IP": remote,
            "User-Agent": AGENT,
            "Pong-Caching": "0.1",
            "Bye-Packet": "0.1",
            "GGEP": "0.5",
            "GUID": self.guid.hex(),
            "Vendor-Message": "0.2",
            "Accept-Encoding": "deflate",
            "Upgrade": "TLS/1.0",
            "X-Ultrapeer": "False",
            "X-Query-Routing": "0.2",
            "X-Features": "tls/1.0, browse/1.0, sflag/0.1",
            "X-Token": "TLGmFQAANJCoO4v4Rg==; A5A3",
            "X-Live-Since": "Mon, 01 Jun 2026 10:00:00 +0000",
        }

    @override
    def check_greeting(self, headers: Mapping[str, str]) -> None:
        assert headers["user-agent"]
        assert headers["x-ultrapeer"].lower() == "true"
        assert bytes.fromhex(headers["guid"])

    # Queries

    async def ask(self, text: str) -> Sequence[Found]:
        """By its own word it is not firewalled, and takes hits by TCP."""
        return await self.found(struct.pack(">H", 0x8000 | 1 << 11) + text.encode() + b"\0")

    @override
    def answer(self, message: Message) -> None:
        files = self.matching(message.payload[2 : message.payload.index(b"\0", 2)].decode())
        if not files:
            return
        host = bytes(map(int, self.host.split(".")))
        port = 1 if self.closed else self.address.port
        flags = int.from_bytes(message.payload[:2], "big")
        parts = [struct.pack("<BH4sI", len(files), port, host, 0)]
        for file in files:
            root = tree_of(file.data)[0][0]
            if flags & 1 << 11:
                ggep = self._ggep(H=b"\2" + file.sha1 + root)
            else:
                ggep = f"urn:sha1:{base32(file.sha1)}".encode() + b"\x1c" + self._ggep(TT=root)
            head = struct.pack("<II", file.index, len(file.data))
            parts.append(head + file.name.encode() + b"\0" + ggep + b"\0")
        push = 1 if self.closed or self.unsure else 0
        trailer = b"GTKG\x02" + bytes([0x1C | push, 0x1D]) + self.guid
        self.say(HIT, b"".join([*parts, trailer]), guid=message.guid, ttl=message.hops + 1)

    def _ggep(self, **extensions: bytes) -> bytes:
        out = b"\xc3"
        for number, (name, data) in enumerate(extensions.items(), 1):
            flags = len(name) | (0x80 if number == len(extensions) else 0)
            if b"\0" in data:
                data = b"".join(bytes([len(run) + 1]) + run for run in data.split(b"\0"))
                flags |= 0x40
            out += bytes([flags]) + name.encode() + bytes([0x40 | len(data)]) + data
        return out

    @override
    def index_of_push(self, found: Found) -> int:
        """What has a SHA-1 has no index there."""
        return 0xFFFFFFFF

    @override
    async def _pushed(self, payload: bytes) -> None:
        if not self.unsure:
            await super()._pushed(payload)

    # Fetching

    def request(self, target: str, found: Found, *more: str, first: bool) -> bytes:
        headers = {"User-Agent": AGENT, "Host": str(found.address)}
        if first:
            headers |= {"X-Features": "fwalt/0.1", "X-Token": "TLGmFQAANJCoO4v4Rg==; A5A3"}
        headers["Accept-Encoding"] = "deflate"
        if first:
            headers |= {"Upgrade": "TLS/1.0", "Connection": "Upgrade"}
        headers |= {"X-Queue": "1.0", "X-Node": str(self.address), "X-Downloaded": "0"}
        lines = [f"{name}: {value}" for name, value in headers.items()]
        return "\r\n".join([f"GET {target} HTTP/1.1", *lines, *more, "", ""]).encode()

    async def fetch(self, found: Found, part: int = PART) -> bytes:
        """On one connection, each request ahead of the answer before (pipelining)."""
        return await self.over(*await self.dial(found.address), found, part)

    async def over(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        found: Found,
        part: int = PART,
    ) -> bytes:
        target, starts = f"/uri-res/N2R?urn:sha1:{found.sha1}", range(0, found.size, part)
        urn = f"X-Gnutella-Content-URN: urn:sha1:{found.sha1}"
        ranges = [f"Range: bytes={at}-{min(at + part, found.size) - 1}" for at in starts]
        if part >= found.size:
            ranges = ["X-Alt: 10.1.2.3:6346"]  # all of it is asked for without a range
        asked = [
            self.request(target, found, line, urn, first=not number)
            for number, line in enumerate(ranges)
        ]
        writer.write(asked[0])
        got = b""
        for at, following in zip(starts, [*asked[1:], b""], strict=True):
            start, headers = await read_head(reader)
            writer.write(following)
            end = min(at + part, found.size)
            _check_reply(start, headers, found, at, end)
            got += await reader.readexactly(end - at)
        return got

    async def head(self, found: Found) -> dict[str, str]:
        reader, writer = await self.dial(found.address)
        target = f"/uri-res/N2R?urn:sha1:{found.sha1}"
        writer.write(self.request(target, found, first=True).replace(b"GET", b"HEAD", 1))
        start, headers = await read_head(reader)
        assert start.split()[1] == "200"
        return headers

    async def tree(self, found: Found, uri: str) -> tuple[bytes, list[bytes]]:
        """The root that it was told, and the deepest level that came, checked as it does."""
        uri, _, root = uri.partition(";")
        assert uri.startswith("/")
        assert len(root) == 39
        reader, writer = await self.dial(found.address)
        accept = "Accept: application/dime"
        writer.write(self.request(uri, found, accept, first=True))
        start, headers = await read_head(reader)
        assert start.split()[1] == "200", start
        assert "content-encoding" not in headers
        assert headers["content-type"] == "application/dime"
        message = await reader.readexactly(int(headers["content-length"]))
        described, nodes = _records(message)
        assert described[:1] == (b"text/xml",)
        depth, name = _described(described[2], found.size)
        assert nodes[:2] == (TREE.encode(), name.encode())
        return _deepest(nodes[2], found.size, depth, root)

    # Giving

    def _is_banned(self) -> bool:
        """A connection more; those that brought a file are taken off again."""
        now = time.monotonic()
        gone = (now - self._counted) * MOST_REQUESTS / PERIOD
        self._counter = max(0.0, self._counter - gone) + 1
        self._counted = now
        return self._counter > MOST_REQUESTS

    _counter, _counted = 0.0, 0.0
    _giving: frozenset[tuple[str, str]] = frozenset()

    @override
    async def serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: bytes
    ) -> None:
        assert not self._is_banned(), "too many connections of that host"
        going, number, host = True, 0, writer.get_extra_info("peername")[0]
        while going:
            self.requests.append(head.decode())
            start, *lines = head.decode().strip().split("\r\n")
            headers = {n.lower(): v.strip() for n, v in (line.split(":", 1) for line in lines)}
            assert "host" in headers, "400 Missing Host Header"
            assert headers.get("content-length", "0") == "0"
            giving = host, start.split()[1]
            if giving in self._giving:
                writer.write(_refusal("409 Already downloading this file"))
            else:
                self._giving |= {giving}
                try:
                    going = await self._reply(writer, start, headers, number)
                finally:
                    self._giving -= {giving}
            number += 1
            if going:
                head = await reader.readuntil(b"\r\n\r\n")
        writer.close()

    async def _reply(
        self, writer: asyncio.StreamWriter, start: str, headers: Mapping[str, str], number: int
    ) -> bool:
        method, target, version = start.split(" ")
        assert (method, version) == ("GET", "HTTP/1.1")
        by_index = re.fullmatch(r"/get/([0-9]+)/([^/]+)", target)
        if by_index:
            names = {file.index: file.name for file in self.files}
            fits = names.get(int(by_index[1])) == unquote(by_index[2])
            file = next((f for f in self.files if fits and f.index == int(by_index[1])), None)
        else:
            file = self.by_sha1(target)
        if file is None:
            writer.write(_refusal("404 File index/name mismatch"))
            return True
        if target.startswith("/uri-res/N2X?"):
            assert ";" not in target
            message = _thex(file.data)
            answer = {"Server": AGENT, "Content-Type": "application/dime"}
            writer.write(head_of("HTTP/1.1 200 OK", answer | {"Content-Length": str(len(message))}))
            writer.write(message)
            return True
        self._counter -= number == 0
        return await self._give(writer, file, headers, number)

    async def _give(
        self, writer: asyncio.StreamWriter, file: File, headers: Mapping[str, str], number: int
    ) -> bool:
        size = len(file.data)
        asked = re.fullmatch(r"bytes=([0-9]+)-([0-9]*)", headers.get("range", "bytes=0-"))
        assert asked, headers["range"]
        first, last = int(asked[1]), min(int(asked[2] or size), size - 1)
        last = min(last, first + (PART if number == 0 else PART // 2) - 1)
        root = base32(tree_of(file.data)[0][0])
        urn = base32(file.sha1)
        answer = {
            "Server": AGENT,
            "X-Features": "browse/1.0, fwalt/0.1",
            "X-GUID": self.guid.hex(),
            "Last-Modified": "Mon, 01 Jun 2026 10:00:00 GMT",
            "Content-Type": "application/binary",
            "Content-Length": str(last - first + 1),
            "Content-Range": f"bytes {first}-{last}/{size}",
            "Content-Disposition": f"inline; filename*=\"utf-8'en'{quote(file.name)}\"",
            "X-Gnutella-Content-URN": f"urn:bitprint:{urn}.{root}",
            "X-Thex-URI": f"/uri-res/N2X?urn:sha1:{urn};{root}",
            "X-Alt": "tls=8,10.1.2.3,10.1.2.4:4321",
        }
        writer.write(head_of("HTTP/1.1 206 Partial Content", answer))
        data = bytearray(file.data[first : last + 1])
        for at in self.damage:
            if first <= at <= last:
                data[at - first] ^= 1
        if self.after is not None:
            await self.after.wait()
        self.gave.set()
        if self.cut is not None and self.served <= self.cut < self.served + len(data):
            writer.write(data[: self.cut - self.served])
            self.served = self.cut + 1
            return False
        writer.write(data)
        self.served += len(data)
        await writer.drain()
        return True


def _refusal(status: str) -> bytes:
    return head_of(f"HTTP/1.1 {status}", {"Server": AGENT, "Content-Length": "0"})


def _check_reply(start: str, headers: Mapping[str, str], found: Found, at: int, end: int) -> None:
    """What makes it stop, and never come back, is an error."""
    version, code, _ = start.split(" ", 2)
    assert version == "HTTP/1.1"
    assert code == ("200" if end - at == found.size else "206"), (start, headers)
    assert headers["server"]
    assert "content-encoding" not in headers
    assert "transfer-encoding" not in headers
    assert headers.get("connection", "").lower() != "close"
    assert headers["x-gnutella-content-urn"] == f"urn:sha1:{found.sha1}"
    assert int(headers["content-length"]) == end - at
    if code == "206":
        assert headers["content-range"] == f"bytes {at}-{end - 1}/{found.size}"


def _records(message: bytes) -> list[tuple[bytes, bytes, bytes]]:
    """DIME: type, id and data of each record."""
    records, at = [], 0
    while at < len(message):
        flags, kind, options, id_size, type_size, size = struct.unpack_from(">BBHHHI", message, at)
        assert flags & 0xF8 == 0x08, "version 1"
        assert bool(flags & 4) == (at == 0)
        assert (kind >> 4, options, kind & 15) == (1 if at == 0 else 2, 0, 0)
        at += 12
        fields = []
        for length in (id_size, type_size, size):
            fields.append(message[at : at + length])
            at += length + -length % 4
        records.append((fields[1], fields[0], fields[2]))
        assert bool(flags & 2) == (at == len(message))
    return records


def _described(text: bytes, size: int) -> tuple[int, str]:
    root = Xml.fromstring(text)
    assert root.tag == "hashtree"
    file, digest, tree = (root.find(tag) for tag in ("file", "digest", "serializedtree"))
    assert file is not None
    assert digest is not None
    assert tree is not None
    assert file.attrib == {"size": str(size), "segmentsize": "1024"}
    algorithm = "http://open-content.net/spec/digest/tiger"
    assert digest.attrib == {"algorithm": algorithm, "outputsize": "24"}
    assert tree.attrib["type"] == TREE
    return int(tree.attrib["depth"]), tree.attrib["uri"]


def _deepest(data: bytes, size: int, depth: int, root: str) -> tuple[bytes, list[bytes]]:
    nodes = [data[at : at + 24] for at in range(0, len(data), 24)]
    assert len(data) == 24 * len(nodes)
    assert base32(nodes[0]) == root
    leaves = -(-size // 1024)
    full = (leaves - 1).bit_length()
    assert depth <= full
    counts = [-(-leaves // (1 << (full - level))) for level in range(depth + 1)]
    assert len(nodes) == sum(counts)
    level = nodes[-counts[-1] :]
    above = level
    while len(above) > 1:
        pairs = [tiger(b"\1" + a + b) for a, b in zip(above[::2], above[1::2], strict=False)]
        above = pairs + above[len(pairs) * 2 :]
    assert base32(above[0]) == root
    return nodes[0], level


def _thex(data: bytes) -> bytes:
    levels = tree_of(data)[: DEEPEST + 1]
    name = "uuid:27fdc9ab-b1a6-cb43-8f04-21f3bc8b2d59"
    text = (
        "<?xml version='1.0' encoding='UTF-8'?>\n"
        '<!DOCTYPE hashtree SYSTEM "http://open-content.net/spec/thex/thex.dtd">\n'
        f"<hashtree>\n <file size='{len(data)}' segmentsize='1024'/>\n"
        " <digest algorithm='http://open-content.net/spec/digest/tiger' outputsize='24'/>\n"
        f" <serializedtree depth='{len(levels) - 1}' type='{TREE}' uri='{name}'/>\n</hashtree>\n"
    ).encode()
    nodes = b"".join(node for level in levels for node in level)
    first = _record(0x0C, 1, b"text/xml", b"", text)
    return first + _record(0x0A, 2, TREE.encode(), name.encode(), nodes)


def _record(flags: int, kind: int, type_: bytes, id_: bytes, data: bytes) -> bytes:
    head = struct.pack(">BBHHHI", flags, kind << 4, 0, len(id_), len(type_), len(data))
    return head + b"".join(field + bytes(-len(field) % 4) for field in (id_, type_, data))
