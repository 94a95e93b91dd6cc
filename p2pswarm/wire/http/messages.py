"""HTTP as servents speak it: requests and answers, each a head and perhaps a body of so many bytes.

`HeadFramer(Request.read)` and `HeadFramer(Response.read)` cut the heads; the body is left to `DataFramer`, or
unread. One exchange after the other goes over a connection, so how long a body is must be certain: what comes
in chunks, or says two lengths, is refused.
"""

import re
from dataclasses import dataclass, field
from urllib.parse import quote

from p2pswarm.errors import RemoteProtocolError
from p2pswarm.wire.http.heads import Headers, listed, write_head
from p2pswarm.wire.http.ranges import ContentRange, Range, number

__all__ = ["PACKETS", "THEX", "Request", "Response", "disposition"]

PACKETS = "application/x-gnutella-packets"  # query hits, as one browses a host
THEX = "application/dime"
_REQUEST = re.compile(r"([A-Z]{1,16}) (\S.*?)(?: HTTP/([0-9])\.([0-9]))")
_STATUS = re.compile(r"HTTP/?([0-9])?(?:\.([0-9]))? ([1-5][0-9]{2})(?:\s+(.*))?")
_SAFE_NAME = re.compile(r"[^\w .()\[\]!@#$&+,=~^-]", re.ASCII)
# What tells a servent from a web server that answers everything.
_SERVENT_HEADER = re.compile(
    r"x-(gnutella|thex|n?alt|falt|queued?|features|available|push-prox|token|guid|live-since)",
    re.IGNORECASE,
)
_SERVENTS = re.compile(
    r"gnut|gtk-g|p2pswarm|limewire|frostwire|wireshare|bearshare|shareaza|phex|cabos|morpheus|xolox",
    re.IGNORECASE,
)
MOST_NAME = 120  # characters of a name in a header
MOST_RETRY = 86_400  # seconds


@dataclass(slots=True)
class Request:
    """`version` is (1, 1) or what the other side says. A target may hold blanks."""

    method: str
    target: str
    headers: Headers = field(default_factory=Headers)
    version: tuple[int, int] = (1, 1)

    def encode(self) -> bytes:
        """Raises LocalProtocolError."""
        major, minor = self.version
        return write_head(f"{self.method} {self.target} HTTP/{major}.{minor}", self.headers)

    @classmethod
    def read(cls, start: str, headers: Headers) -> "Request":
        """Raises RemoteProtocolError."""
        found = _REQUEST.fullmatch(start)
        if found is None or found[3] != "1":
            raise RemoteProtocolError(f"no HTTP request: {start[:60]!r}")
        if _body_length(headers):
            raise RemoteProtocolError("a request with a body")
        return cls(found[1], found[2], headers, (1, int(found[4])))

    @property
    def range(self) -> Range | None:
        return Range.read(self.headers["Range"]) if "Range" in self.headers else None

    @property
    def persistent(self) -> bool:
        """Whether its sender will ask again on this connection."""
        return _persistent(self.version, self.headers)


@dataclass(slots=True)
class Response:
    """The head of an answer."""

    code: int
    reason: str = ""
    headers: Headers = field(default_factory=Headers)
    version: tuple[int, int] = (1, 1)

    def encode(self) -> bytes:
        """Raises LocalProtocolError."""
        major, minor = self.version
        return write_head(f"HTTP/{major}.{minor} {self.code} {self.reason}", self.headers)

    @classmethod
    def read(cls, start: str, headers: Headers) -> "Response":
        """Raises RemoteProtocolError. The oldest servents say `HTTP 200 OK`."""
        found = _STATUS.fullmatch(start)
        if found is None or found[1] not in (None, "1"):
            raise RemoteProtocolError(f"no HTTP answer: {start[:60]!r}")
        version = (1, int(found[2] or 0))
        return cls(int(found[3]), (found[4] or "").strip(), headers, version)

    @property
    def length(self) -> int | None:
        """Bytes of its body; None when it ends with the connection. Raises RemoteProtocolError."""
        return _body_length(self.headers)

    @property
    def given(self) -> ContentRange | None:
        """What of the file comes, where it says so. Raises RemoteProtocolError."""
        value = self.headers.get("Content-Range")
        return None if value is None else ContentRange.read(value)

    @property
    def persistent(self) -> bool:
        """Whether the next request may go over the same connection."""
        return _persistent(self.version, self.headers)

    def is_of_servent(self, size: int | None) -> bool:
        """Whether somebody of the network said it, perhaps of a file of so many bytes.

        Raises RemoteProtocolError.
        """
        programs = self.headers.get("Server", "") + self.headers.get("User-Agent", "")
        if any(map(_SERVENT_HEADER.match, self.headers)) or _SERVENTS.search(programs):
            return True
        if self.headers.get("Content-Type", "").lower() in (THEX, PACKETS):
            return True
        whole = self.length if self.code == 200 else self.given and self.given.size
        return size is not None and whole == size

    @property
    def retry_after(self) -> int | None:
        """Seconds. Dates, which HTTP allows too, no servent writes."""
        seconds = number(self.headers.get("Retry-After"))
        return None if seconds is None else min(seconds, MOST_RETRY)


def disposition(name: str) -> str:
    """Content-Disposition for any name: what a header cannot carry is in the second, encoded one."""
    last = re.split(r"[/\\]", name)[-1][-MOST_NAME:]
    plain = _SAFE_NAME.sub("_", last)
    encoded = quote(last, safe="", errors="replace")
    return f"inline; filename=\"{plain}\"; filename*=UTF-8''{encoded}"


def _body_length(headers: Headers) -> int | None:
    if "Transfer-Encoding" in headers and headers["Transfer-Encoding"].lower() != "identity":
        raise RemoteProtocolError(f"a body that is {headers['Transfer-Encoding'][:40]!r}")
    if "Content-Length" not in headers:
        return None
    lengths = {number(part) for part in listed(headers["Content-Length"])}
    length = lengths.pop() if len(lengths) == 1 else None
    if length is None:
        raise RemoteProtocolError(f"no Content-Length: {headers['Content-Length'][:40]!r}")
    return length


def _persistent(version: tuple[int, int], headers: Headers) -> bool:
    words = {word.lower() for word in listed(headers.get("Connection"))}
    if version >= (1, 1):
        return "close" not in words
    return "keep-alive" in words
