"""A servent of another make, by hand: one port for links, files and pushes, and what it says byte by byte.

Nothing of p2pswarm is used here but names of types, so that both cannot be wrong in the same way.
"""

import asyncio
import os
import re
import struct
import zlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from hashlib import sha1
from typing import NamedTuple, Self

from p2pswarm.formats.ids import Address
from p2pswarm.formats.urns import base32
from tests.support.patience import PATIENCE

__all__ = [
    "HIT",
    "PATIENCE",
    "PING",
    "PONG",
    "PUSH",
    "QUERY",
    "ROUTES",
    "File",
    "Found",
    "Message",
    "Neighbour",
]

PING, PONG, BYE, ROUTES, PUSH, QUERY, HIT = 0x00, 0x01, 0x02, 0x30, 0x40, 0x80, 0x81


class Message(NamedTuple):
    guid: bytes
    kind: int
    ttl: int
    hops: int
    payload: bytes


class File(NamedTuple):
    """One that it shares."""

    index: int
    name: str
    data: bytes

    @property
    def sha1(self) -> bytes:
        return sha1(self.data).digest()


class Found(NamedTuple):
    """A result of a hit, as it is read by hand."""

    address: Address
    index: int
    size: int
    name: str
    extensions: bytes
    push: bool | None
    private: bytes
    servent: bytes

    @property
    def sha1(self) -> str:
        match = re.search(rb"urn:sha1:([A-Z2-7]{32})", self.extensions)
        assert match, self.extensions
        return match[1].decode()


def head_of(start: str, headers: Mapping[str, str]) -> bytes:
    lines = [start, *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    return "\r\n".join(lines).encode()


async def read_head(reader: asyncio.StreamReader) -> tuple[str, dict[str, str]]:
    async with asyncio.timeout(PATIENCE):
        return headers_of(await reader.readuntil(b"\r\n\r\n"))


def headers_of(head: bytes) -> tuple[str, dict[str, str]]:
    start, *lines = head.decode().strip().split("\r\n")
    pairs = [line.split(":", 1) for line in lines]
    return start, {name.lower(): value.strip() for name, value in pairs}


def read_hit(payload: bytes) -> list[Found]:
    """As both programs read one: what does not fit to the byte is an error."""
    count, port, ip = struct.unpack_from("<BH4s", payload)
    at, end, results = 11, len(payload) - 16, []
    for _ in range(count):
        index, size = struct.unpack_from("<II", payload, at)
        name_end = payload.index(b"\0", at + 8, end)
        more_end = payload.index(b"\0", name_end + 1, end)
        name = payload[at + 8 : name_end].decode()
        results.append((index, size, name, payload[name_end + 1 : more_end]))
        at = more_end + 1
    block = payload[at:end]
    size, value, known = block[4:7]
    assert size >= 2
    push = bool(value & 1) if known & 1 else None
    address = Address(".".join(map(str, ip)), port)
    private, guid = block[5 + size :], payload[end:]
    return [Found(address, *result, push, private, guid) for result in results]


class Neighbour:
    """`async with`; `connect` to become a neighbour, or `leads` and is dialed by one leaf.

    Subclasses say how it behaves.
    """

    leads = False

    def __init__(self, host: str, files: Mapping[str, bytes] = {}) -> None:
        self.host = host
        self.guid = os.urandom(16)
        names = sorted(files)
        self.files = [File(number, name, files[name]) for number, name in enumerate(names, 1)]
        self.heard: list[Message] = []
        self.hits: list[Found] = []
        self.requests: list[str] = []  # heads of what was asked of it
        self.gave = asyncio.Event()  # something of a file
        self.givs: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = (
            asyncio.Queue()
        )
        self._bell = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._knocked, self.host, 0)
        self.address = Address(*self._server.sockets[0].getsockname()[:2])
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        for result in await asyncio.gather(*self._tasks, return_exceptions=True):
            if not isinstance(result, asyncio.CancelledError | OSError | EOFError | None):
                raise result
        for writer in self._writers:
            writer.close()

    # What the other make does, and this class does not know

    def headers(self, remote: str) -> dict[str, str]:
        """Who it is."""
        raise NotImplementedError

    def check_greeting(self, headers: Mapping[str, str]) -> None:
        """Of whoever it dialed."""

    def answer(self, message: Message) -> None:
        """A query."""

    def index_of_push(self, found: Found) -> int:
        return found.index

    async def serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: bytes
    ) -> None:
        """Requests, beginning with this one."""
        raise NotImplementedError

    # Links

    async def connect(self, address: Address) -> None:
        reader, writer = await self.dial(address)
        writer.write(head_of("GNUTELLA CONNECT/0.6", self.headers(address.host)))
        start, theirs = await read_head(reader)
        assert start.startswith("GNUTELLA/0.6 200 "), (start, theirs)
        self.check_greeting(theirs)
        assert "upgrade" not in theirs, "TLS is not spoken there"
        deflate = "deflate" in theirs.get("accept-encoding", "")
        final = {"Content-Encoding": "deflate"} if deflate else {}
        writer.write(head_of("GNUTELLA/0.6 200 OK", final))
        self._packer = zlib.compressobj() if deflate else None
        unpacker = zlib.decompressobj() if theirs.get("content-encoding") == "deflate" else None
        self._link = writer
        self.spawn(self._listen(reader, unpacker))

    async def _greeted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        start = b"GNUT" + await reader.readuntil(b"\r\n\r\n")
        theirs = headers_of(start)[1]
        if not self.leads:
            writer.write(head_of("GNUTELLA/0.6 503 I am a shielded leaf node", {}))
            writer.close()
            return
        self.check_greeting(theirs)
        ours = self.headers(writer.get_extra_info("peername")[0])
        del ours["Upgrade"]
        deflate = "deflate" in theirs.get("accept-encoding", "") and "Accept-Encoding" in ours
        more = {"Content-Encoding": "deflate"} if deflate else {}
        writer.write(head_of("GNUTELLA/0.6 200 OK", ours | more))
        last, final = await read_head(reader)
        assert last.startswith("GNUTELLA/0.6 200 "), (last, final)
        unpacker = zlib.decompressobj() if final.get("content-encoding") == "deflate" else None
        self._packer = zlib.compressobj() if deflate else None
        self._link = writer
        self.spawn(self._listen(reader, unpacker))

    async def dial(self, address: Address) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection(*address, local_addr=(self.host, 0))
        self._writers.add(writer)
        return reader, writer

    def spawn(self, work: "asyncio._CoroutineLike[None]") -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)

    async def _listen(self, reader: asyncio.StreamReader, unpacker: object) -> None:
        data = b""
        while more := await reader.read(65536):
            data += unpacker.decompress(more) if unpacker else more  # type: ignore[attr-defined]
            while len(data) >= 23:
                size = int.from_bytes(data[19:23], "little")
                assert size <= 65536
                if len(data) < 23 + size:
                    break
                message = Message(data[:16], *data[16:19], data[23 : 23 + size])
                data = data[23 + size :]
                self._got(message)

    def _got(self, message: Message) -> None:
        self.heard.append(message)
        match message.kind:
            case 0x00:
                host = bytes(map(int, self.host.split(".")))
                pong = struct.pack("<H4sII", self.address.port, host, len(self.files), 1)
                self.say(PONG, pong, guid=message.guid, ttl=max(1, message.hops))
            case 0x80:
                self.answer(message)
            case 0x81:
                self.hits += read_hit(message.payload)
            case 0x40:
                self.spawn(self._pushed(message.payload))
        self._bell.set()

    def say(self, kind: int, payload: bytes, *, guid: bytes | None = None, ttl: int = 4) -> bytes:
        guid = guid or os.urandom(16)
        frame = guid + struct.pack("<BBBI", kind, ttl, 0, len(payload)) + payload
        if self._packer is not None:
            frame = self._packer.compress(frame) + self._packer.flush(zlib.Z_SYNC_FLUSH)
        self._link.write(frame)
        return guid

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not condition():
                self._bell.clear()
                await self._bell.wait()

    async def found(self, payload: bytes, count: int = 1) -> Sequence[Found]:
        """Ask again and again, because route tables take their time."""
        async with asyncio.timeout(PATIENCE):
            while len(self.hits) < count:
                self.hits.clear()
                self.say(QUERY, payload)
                with suppress(TimeoutError):
                    async with asyncio.timeout(0.5):
                        await self.until(lambda: len(self.hits) >= count)
        return self.hits

    def matching(self, text: str) -> list[File]:
        words = re.findall(r"[a-z0-9]+", text.lower())
        return [file for file in self.files if words and all(w in file.name.lower() for w in words)]

    @property
    def asked(self) -> list[Message]:
        return [message for message in self.heard if message.kind == QUERY]

    # Files and pushes

    def by_sha1(self, urn: str) -> File | None:
        return next((f for f in self.files if base32(f.sha1).lower() in urn.lower()), None)

    async def _knocked(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            start = await reader.readexactly(4)
            if start == b"GIV ":
                line = start + await reader.readuntil(b"\n\n")
                assert re.fullmatch(rb"GIV [0-9]+:[0-9a-fA-F]{32}/.+\n\n", line), line
                self.givs.put_nowait((reader, writer))
            elif start == b"GNUT":
                await self._greeted(reader, writer)
            else:
                await self.serve(reader, writer, start + await reader.readuntil(b"\r\n\r\n"))
        except (OSError, EOFError):
            writer.close()

    async def _pushed(self, payload: bytes) -> None:
        servent, index, ip, port = struct.unpack_from("<16sI4sH", payload)
        assert servent == self.guid
        file = next((file for file in self.files if file.index == index), None)
        if file is None:
            return
        reader, writer = await self.dial(Address(".".join(map(str, ip)), port))
        writer.write(f"GIV {index}:{self.guid.hex()}/{file.name}\n\n".encode())
        await self.serve(reader, writer, await reader.readuntil(b"\r\n\r\n"))

    async def push(self, found: Found) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection from there."""
        host = bytes(map(int, self.host.split(".")))
        index = self.index_of_push(found)
        self.say(PUSH, struct.pack("<16sI4sH", found.servent, index, host, self.address.port))
        async with asyncio.timeout(PATIENCE):
            return await self.givs.get()
