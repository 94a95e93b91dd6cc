"""A web server with files, as web seeds are, that notes what it is asked and can be told to misbehave."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import quote, unquote

Head = dict[str, str]


@dataclass
class Ask:
    """One request."""

    path: str
    head: Head
    range: tuple[int, int] | None  # start, end


Say = Callable[[Ask, asyncio.StreamWriter], Awaitable[bool]]
"""Answers instead; whether it did."""


@dataclass
class WebServer:
    """`files` by path (percent-encoded). `say` may answer some requests, `more` adds to every head."""

    files: dict[str, bytes]
    host: str = "127.0.0.1"
    ranges: bool = True
    say: Say | None = None
    more: Head = field(default_factory=dict)
    asked: list[Ask] = field(default_factory=list)
    connections: int = 0
    given: int = 0  # bytes of bodies

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, self.host, 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}/"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                await self._answer(await _read(reader), writer)
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _answer(self, ask: Ask, writer: asyncio.StreamWriter) -> None:
        self.asked.append(ask)
        if self.say is not None and await self.say(ask, writer):
            return
        data = self.files.get(quote(unquote(ask.path)))  # some escape in lower case
        if data is None:
            writer.write(head("404 Not Found", {"Content-Length": "0"}))
        elif ask.range is None or not self.ranges:
            writer.write(head("200 OK", {"Content-Length": str(len(data)), **self.more}) + data)
            self.given += len(data)
        elif ask.range[0] >= len(data):
            writer.write(head("416 Range Not Satisfiable", {"Content-Length": "0"}))
        else:
            writer.write(partial(data, *ask.range, **self.more))
            self.given += min(ask.range[1], len(data)) - ask.range[0]


def head(status: str, headers: Head) -> bytes:
    lines = [f"HTTP/1.1 {status}", *(f"{key}: {value}" for key, value in headers.items()), "", ""]
    return "\r\n".join(lines).encode()


def partial(data: bytes, start: int, end: int, **more: str) -> bytes:
    """A 206 with these bytes; `more` replaces or adds headers."""
    body = data[start:end]
    said = f"bytes {start}-{start + len(body) - 1}/{len(data)}"
    headers = {"Content-Length": str(len(body)), "Content-Range": said, **more}
    return head("206 Partial Content", {k: v for k, v in headers.items() if v}) + body


async def _read(reader: asyncio.StreamReader) -> Ask:
    lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines[1:] if line)
    said = headers.get("Range", "")
    wanted = None
    if said:
        first, last = said.removeprefix("bytes=").split("-")
        wanted = (int(first), int(last) + 1)
    return Ask(lines[0].split(" ")[1], headers, wanted)
