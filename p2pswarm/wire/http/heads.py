"""Heads: a start line, headers, an empty line; what a Gnutella handshake and every HTTP exchange begin with.

A connection is greeted in three groups (handshaking 0.6): `GNUTELLA CONNECT/0.6`, then `GNUTELLA/0.6 200 OK`
from both sides. 0.4 knew two bare lines. What a start line of HTTP means is told in `http`.

The one hard thing: what follows a head may be anything (binary messages, a zlib stream, a file). So one
framer cuts one head and leaves every byte behind it unread, for whoever `Stream.switch` brings.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass, field

from typing_extensions import override

from p2pswarm.errors import LocalProtocolError, RemoteProtocolError
from p2pswarm.wire.fields import as_bytes, as_text
from p2pswarm.wire.framer import CuttingFramer, Scratch

__all__ = [
    "AGENT",
    "MAX_HEAD",
    "MAX_HEADERS",
    "ConnectHead",
    "HeadFramer",
    "Headers",
    "StatusHead",
    "deflates",
    "listed",
    "takes_deflate",
    "write_head",
]

AGENT = "p2pswarm/0.1"  # who we are, to neighbours and in HTTP
MAX_HEAD = 16 << 10  # bytes; handshakes seen have 1 KiB, a crawler's answer with all its leaves 4
MAX_HEADERS = 100

_END = re.compile(rb"\n\r?\n")
_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_CONTROLS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_CONNECT = re.compile(r"GNUTELLA CONNECT/([0-9]{1,3}\.[0-9]{1,3})")
_STATUS = re.compile(r"GNUTELLA/([0-9]{1,3}\.[0-9]{1,3}) ([0-9]{3})(?: (.*))?")


class Headers(MutableMapping[str, str]):
    """Names in any case, in order; a repeated one was joined by comma (RFC 9110, 5.3)."""

    __slots__ = ("_entries",)

    def __init__(self, entries: Mapping[str, str] | Iterable[tuple[str, str]] = ()) -> None:
        self._entries: dict[str, tuple[str, str]] = {}
        for name, value in entries.items() if isinstance(entries, Mapping) else entries:
            self.add(name, value)

    def add(self, name: str, value: str) -> None:
        """One more value; `headers[name] = value` replaces instead."""
        key = name.lower()
        first, known = self._entries.get(key, (name, ""))
        self._entries[key] = (first, f"{known}, {value}" if known and value else known or value)

    @override
    def __getitem__(self, name: str) -> str:
        return self._entries[name.lower()][1]

    @override
    def __setitem__(self, name: str, value: str) -> None:
        self._entries[name.lower()] = (name, value)

    @override
    def __delitem__(self, name: str) -> None:
        del self._entries[name.lower()]

    @override
    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._entries

    @override
    def __iter__(self) -> Iterator[str]:
        return (name for name, _ in self._entries.values())

    @override
    def __len__(self) -> int:
        return len(self._entries)

    @override
    def __eq__(self, other: object) -> bool:
        return isinstance(other, Headers) and self._values() == other._values()

    __hash__ = None  # type: ignore[assignment]  # it can change

    def _values(self) -> dict[str, str]:
        return {key: value for key, (_, value) in self._entries.items()}

    @override
    def __repr__(self) -> str:
        return f"Headers({dict(self.items())!r})"


@dataclass(slots=True)
class ConnectHead:
    """The first group, from who dialed. 0.4 has no headers."""

    version: str = "0.6"
    headers: Headers = field(default_factory=Headers)

    def encode(self) -> bytes:
        if self.version == "0.4":
            return b"GNUTELLA CONNECT/0.4\n\n"
        return write_head(f"GNUTELLA CONNECT/{self.version}", self.headers)

    @classmethod
    def read(cls, start: str, headers: Headers) -> "ConnectHead":
        found = _CONNECT.fullmatch(start.rstrip())
        if found is None:
            raise RemoteProtocolError("not a Gnutella greeting")
        return cls(found[1], headers)


@dataclass(slots=True)
class StatusHead:
    """The second group and the third: 200 agrees, everything else refuses."""

    code: int = 200
    reason: str = "OK"
    headers: Headers = field(default_factory=Headers)
    version: str = "0.6"

    def encode(self) -> bytes:
        if self.version == "0.4":
            return b"GNUTELLA OK\n\n"
        return write_head(f"GNUTELLA/{self.version} {self.code:03d} {self.reason}", self.headers)

    @classmethod
    def read(cls, start: str, headers: Headers) -> "StatusHead":
        start = start.rstrip()
        if start == "GNUTELLA OK":
            return cls(headers=headers, version="0.4")
        found = _STATUS.fullmatch(start)
        if found is None:
            raise RemoteProtocolError("not an answer to a Gnutella greeting")
        return cls(int(found[2]), (found[3] or "").strip(), headers, found[1])


class HeadFramer(CuttingFramer):
    """Cuts one head and gives its start line and headers to `read`, whose answer is the message.

    `HeadFramer(ConnectHead.read)`. Everything after the head stays unread. Empty lines before it are
    skipped, as HTTP servers do.
    """

    def __init__(
        self, read: Callable[[str, Headers], object], scratch: Scratch | None = None
    ) -> None:
        super().__init__(scratch)
        self._read = read
        self._done = False

    @override
    def _cut(self, view: memoryview, into: list[object]) -> int:
        if self._done:
            return 0
        data = view[:MAX_HEAD].tobytes()
        begin = len(data) - len(data.lstrip(b"\r\n"))
        end = _END.search(data, begin)
        if end is None:
            if len(data) == MAX_HEAD:
                raise RemoteProtocolError(f"a head longer than {MAX_HEAD} bytes")
            return 0
        start, headers = _read_head(as_text(data[begin : end.start()]))
        into.append(self._read(start, headers))
        self._done = True
        return end.end()


def _read_head(text: str) -> tuple[str, Headers]:
    start, *lines = [line.removesuffix("\r") for line in text.split("\n")]
    headers = Headers()
    entries = _unfolded(lines)
    if len(entries) > MAX_HEADERS:
        raise RemoteProtocolError(f"{len(entries)} headers")
    for entry in entries:
        name, colon, value = entry.partition(":")
        if not colon or not _NAME.fullmatch(name.rstrip(" \t")):
            raise RemoteProtocolError(f"a line that is no header: {entry[:40]!r}")
        headers.add(name.rstrip(" \t"), _plain(value))
    return _plain(start), headers


def _unfolded(lines: list[str]) -> list[str]:
    """One entry for each header: a line that begins with a blank continues the one before."""
    entries: list[list[str]] = []
    for line in lines:
        if line[:1] not in (" ", "\t"):
            entries.append([line])
        elif entries:
            entries[-1].append(line.strip(" \t"))
        else:
            raise RemoteProtocolError("a head that begins with a continuation")
    return [" ".join(entry) for entry in entries]


def _plain(text: str) -> str:
    """Without control characters, so that what was read can be shown and written."""
    return _CONTROLS.sub(" ", text).strip(" \t")


def write_head(start: str, headers: Mapping[str, str]) -> bytes:
    """A head as bytes. Raises LocalProtocolError for what would begin another line."""
    if _CONTROLS.search(start):
        raise LocalProtocolError(f"{start!r} is no start line")
    lines = [start]
    for name, value in headers.items():
        if not _NAME.fullmatch(name) or _CONTROLS.search(value):
            raise LocalProtocolError(f"{name!r}: {value!r} is no header")
        lines.append(f"{name}: {value}")
    return as_bytes("\r\n".join([*lines, "", ""]))


def listed(value: str | None) -> list[str]:
    """The parts of a list with commas; empty ones (a comma at the end) are left out."""
    parts = (part.strip() for part in (value or "").split(","))
    return [part for part in parts if part]


def deflates(headers: Mapping[str, str]) -> bool:
    """Whether what follows this head is a zlib stream: its sender says `Content-Encoding: deflate`."""
    return _has_deflate(headers.get("Content-Encoding"))


def takes_deflate(headers: Mapping[str, str]) -> bool:
    """Whether who wrote this head reads zlib streams: `Accept-Encoding: deflate`."""
    return _has_deflate(headers.get("Accept-Encoding"))


def _has_deflate(value: str | None) -> bool:
    for part in listed(value):
        coding, _, weight = part.lower().replace(" ", "").partition(";")
        if coding == "deflate" and not re.fullmatch(r"q=0(\.0*)?", weight):
            return True
    return False
