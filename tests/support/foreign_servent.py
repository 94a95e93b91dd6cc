"""A servent that is none of ours: a leaf that says what it must by hand, and knows of no info-hash.

python -m tests.support.foreign_servent FILE --bind HOST:PORT --connect HOST:PORT
        [--firewalled] [--flip BYTE] [--cut BYTES] [--other HOST:PORT]

It answers queries with its one file, gives at most 512 KiB of it at a time, and the tiger tree. What happens
to it is printed as JSON lines. `--flip` gives one byte wrong, `--cut` ends each connection after so many
bytes of the file, `--other` is told to whoever asks for it (X-Alt), and `--firewalled` listens nowhere and
comes when it is pushed.
"""

import asyncio
import json
import re
import sys
from argparse import ArgumentParser, Namespace
from hashlib import sha1
from pathlib import Path
from random import Random
from typing import Any

from p2pswarm.formats.ids import Address
from p2pswarm.formats.thex import TigerTree, write_thex
from p2pswarm.formats.urns import base32
from p2pswarm.formats.words import words_of
from p2pswarm.wire.gnutella.descriptor import Descriptor, Kind, new_guid
from p2pswarm.wire.gnutella.hit import QueryHit
from p2pswarm.wire.gnutella.pings import Pong
from p2pswarm.wire.gnutella.push import Push
from p2pswarm.wire.gnutella.qrp import QueryTable, patches
from p2pswarm.wire.gnutella.query import Query
from p2pswarm.wire.gnutella.results import Result

__all__: list[str] = []

AT_A_TIME = 524288  # bytes, as gtk-gnutella
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def say(event: str, **fields: Any) -> None:
    print(json.dumps({"event": event, **fields}), flush=True)  # noqa: T201


class Servent:
    """`run` until it is killed."""

    def __init__(self, options: Namespace) -> None:
        self.options = options
        self.here = Address.parse(options.bind)
        self.dice = Random(options.bind)
        self.guid = new_guid(self.dice)
        self.name = options.file.name
        self.data = bytearray(options.file.read_bytes())
        self.sha1 = sha1(self.data, usedforsecurity=False).digest()
        self.urn = f"urn:sha1:{base32(self.sha1)}"
        self.tree = TigerTree.of(bytes(self.data))
        if options.flip is not None:
            self.data[options.flip] ^= 1
        self.given: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        if self.options.firewalled:
            await self._belong()
            return
        async with await asyncio.start_server(self._serve, self.here.host, self.here.port):
            await self._belong()

    # As a neighbour

    async def _belong(self) -> None:
        reader, writer = await self._dial(Address.parse(self.options.connect))
        port = self.here.port
        greeting = f"GNUTELLA CONNECT/0.6\r\nUser-Agent: Foreign/1.0\r\nX-Ultrapeer: False\r\n\
X-Query-Routing: 0.1\r\nGGEP: 0.5\r\nListen-IP: {self.here.host}:{port}\r\n\r\n"
        writer.write(greeting.encode())
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"GNUTELLA/0.6 200 "), head
        writer.write(b"GNUTELLA/0.6 200 OK\r\n\r\n")
        table = QueryTable()
        table.add_name(self.name)
        table.add_urn(self.urn)
        for message in patches(None, table):
            self._tell(writer, Kind.ROUTES, message.encode())
        say("linked")
        while True:
            head = await reader.readexactly(23)
            guid, kind, hops = head[:16], head[16], head[18]
            payload = await reader.readexactly(int.from_bytes(head[19:], "little"))
            if kind == Kind.PING:
                pong = Pong(self.here, 1, len(self.data) >> 10)
                self._tell(writer, Kind.PONG, pong.encode(), guid, hops + 1)
            elif kind == Kind.QUERY:
                self._asked(writer, Query.read(payload), guid, hops)
            elif kind == Kind.PUSH:
                self._pushed(Push.read(payload))

    def _tell(
        self,
        writer: asyncio.StreamWriter,
        kind: Kind,
        payload: bytes,
        guid: bytes = b"",
        ttl: int = 1,
    ) -> None:
        writer.write(Descriptor(guid or new_guid(self.dice), kind, ttl, 0, payload).encode())

    def _asked(self, writer: asyncio.StreamWriter, query: Query, guid: bytes, hops: int) -> None:
        say("query", text=query.text)
        words = set(words_of(query.text))
        if query.sha1 != self.sha1 and not (words and words <= set(words_of(self.name))):
            return
        result = Result(7, len(self.data), self.name, self.sha1, self.tree.root)
        push = self.options.firewalled
        hit = QueryHit(self.here, 1000, (result,), self.guid, vendor=b"TEST", push=push)
        self._tell(writer, Kind.HIT, hit.encode(), guid, hops + 1)

    def _pushed(self, push: Push) -> None:
        if push.servent == self.guid:
            say("pushed", index=push.index)
            task = asyncio.create_task(self._go(push))
            self.given.add(task)
            task.add_done_callback(self.given.discard)

    async def _go(self, push: Push) -> None:
        reader, writer = await self._dial(push.address)
        writer.write(f"GIV {push.index}:{self.guid.hex().upper()}/{self.name}\n\n".encode())
        await self._serve(reader, writer)

    async def _dial(self, address: Address) -> Streams:
        return await asyncio.open_connection(*address, local_addr=(self.here.host, 0))

    # As a web server

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        left = self.options.cut or sys.maxsize
        try:
            while left:
                left -= await self._answer(reader, writer, left)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _answer(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, most: int
    ) -> int:
        """How many bytes of the file were given; 'most' at most, whatever was promised."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        target = head.split()[1]
        if head.startswith("GNUTELLA "):
            writer.write(b"GNUTELLA/0.6 503 I am a shielded leaf node\r\n\r\n")
            return 0
        if target.startswith(f"/uri-res/N2X?{self.urn}"):
            say("tree")
            body = write_thex(self.tree)
            self._say(writer, "200 OK", len(body), "Content-Type: application/dime")
            writer.write(body)
            await writer.drain()
            return 0
        if target not in (f"/uri-res/N2R?{self.urn}", f"/get/7/{self.name}"):
            self._say(writer, "404 Not Found", 0)
            return 0
        size, asked = len(self.data), re.search(r"(?i)\r\nRange: bytes=(\d+)-(\d*)\r\n", head)
        start = int(asked[1]) if asked else 0
        end = min(int(asked[2]) + 1 if asked and asked[2] else size, start + AT_A_TIME, size)
        self._say(
            writer,
            "206 Partial Content",
            end - start,
            f"Content-Range: bytes {start}-{end - 1}/{size}",
            f"X-Gnutella-Content-URN: {self.urn}",
            f"X-Thex-URI: /uri-res/N2X?{self.urn};{base32(self.tree.root)}",
            *([f"X-Alt: {self.options.other}"] if self.options.other else []),
        )
        say("request", start=start, end=end)
        writer.write(self.data[start : min(end, start + most)])
        await writer.drain()
        return min(end - start, most)

    def _say(self, writer: asyncio.StreamWriter, status: str, length: int, *more: str) -> None:
        lines = [f"HTTP/1.1 {status}", "Server: Foreign/1.0", f"Content-Length: {length}", *more]
        writer.write("\r\n".join([*lines, "", ""]).encode())


def main() -> None:
    parser = ArgumentParser()
    parser.add_argument("file", type=Path)
    parser.add_argument("--bind", required=True)
    parser.add_argument("--connect", required=True)
    parser.add_argument("--firewalled", action="store_true")
    parser.add_argument("--flip", type=int)
    parser.add_argument("--cut", type=int)
    parser.add_argument("--other")
    asyncio.run(Servent(parser.parse_args()).run())


if __name__ == "__main__":
    main()
