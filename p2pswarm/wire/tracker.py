"""What a client and an HTTP tracker tell each other: one value, both directions.

A question travels as a query string (`query`, `from_query`), an answer as a bencoded body (`encode`,
`decode`); our client and our tracker share both, so they cannot disagree. Sources: BEP 3 (announce), 7
(IPv6), 23 (compact peers), 24 (external ip), 31 (retry in), 48 (scrape).

Both sides are strangers to each other. A question is read strictly, and the error names the parameter,
because the other end is a program whose author wants to know. An answer is read liberally: peers are what
matters, so an odd number beside them is as good as a missing one, and only what cannot be an answer at all
is an error. Everything is bounded: length of a query, tokens of a body, peers of an answer.
"""

import ipaddress
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import islice
from typing import Any, NamedTuple
from urllib.parse import quote, unquote_to_bytes, urlsplit, urlunsplit

from p2pswarm.errors import FormatError, RemoteProtocolError, TrackerError
from p2pswarm.formats import bencode
from p2pswarm.formats.ids import Address, InfoHash, PeerId, compact, read_compact
from p2pswarm.formats.zones import Zone, zone_of

__all__ = [
    "DEFAULT_INTERVAL",
    "MAX_PEERS",
    "MAX_QUERY",
    "MAX_REPLY",
    "MAX_SCRAPE",
    "Announce",
    "Counts",
    "Event",
    "Reply",
    "Scrape",
    "ScrapeReply",
    "encode_failure",
    "printable",
    "scrape_url",
    "sensible_interval",
]

MAX_QUERY = 8 << 10  # bytes; 100 escaped info-hashes have 7 100
MAX_REPLY = 1 << 20  # bytes; libtorrent's limit
MAX_PEERS = 200  # kept from one reply: what we ask for; more would only crowd out other sources
MAX_SCRAPE = 100  # info-hashes; Transmission asks for up to 60 at once

DEFAULT_INTERVAL = 1800  # seconds
# A laboratory's tracker may say 1 s; zero and less are no interval but a mistake or an attack.
_SHORTEST, _LONGEST, _INSTEAD_OF_NONSENSE = 1, 3600, 60

_LARGEST = (1 << 63) - 1
_MAX_TEXT = 200  # characters of a tracker's message
_MAX_TOKENS = 100_000  # a thousand peers as dictionaries have 8 000
_MAX_RETRY = 24 * 3600.0  # seconds
_BAD_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")


class Event(StrEnum):
    """Why this announce is sent now; NONE for the regular ones. `paused` is BEP 21's partial seed."""

    NONE = ""
    STARTED = "started"
    COMPLETED = "completed"
    STOPPED = "stopped"
    PAUSED = "paused"


@dataclass(slots=True)
class Announce:
    """A client's question. Amounts are bytes; `numwant` None leaves the number of peers to the tracker."""

    info_hash: InfoHash
    peer_id: PeerId
    port: int
    uploaded: int = 0
    downloaded: int = 0
    left: int = 0
    event: Event = Event.NONE
    numwant: int | None = None
    key: bytes = b""
    compact: bool = True
    no_peer_id: bool = False
    trackerid: bytes = b""
    hints: tuple[str, ...] = ()
    """Addresses the client says it has (`ip`, `ipv4`, `ipv6`): claims, to be ignored unless allowed."""

    def query(self) -> str:
        """The query string, without its question mark; hints are not written."""
        parts = [
            f"info_hash={quote(self.info_hash, safe='')}&peer_id={quote(self.peer_id, safe='')}",
            f"port={self.port}&uploaded={self.uploaded}&downloaded={self.downloaded}",
            f"left={self.left}&compact={self.compact:d}",
        ]
        if self.no_peer_id:
            parts.append("no_peer_id=1")
        if self.event:
            parts.append(f"event={self.event}")
        if self.numwant is not None:
            parts.append(f"numwant={self.numwant}")
        if self.key:
            parts.append(f"key={quote(self.key, safe='')}")
        if self.trackerid:
            parts.append(f"trackerid={quote(self.trackerid, safe='')}")
        return "&".join(parts)

    def url(self, announce_url: str) -> str:
        """Where to send it: the tracker's URL, whose own query (`?passkey=…`) comes first."""
        return _add_query(announce_url, self.query())

    @classmethod
    def from_query(cls, query: bytes) -> "Announce":
        """Read a query string. Raises RemoteProtocolError that names the parameter."""
        given = _read_query(query, _ANNOUNCE_PARAMETERS)
        return cls(
            info_hash=InfoHash(_twenty(given, b"info_hash")),
            peer_id=PeerId(_twenty(given, b"peer_id")),
            port=_port(given),
            uploaded=_number(given, b"uploaded", 0),
            downloaded=_number(given, b"downloaded", 0),
            left=_number(given, b"left"),
            event=_event(given),
            numwant=_numwant(given),
            key=_short(given, b"key", 64),
            compact=_flag(given, b"compact"),
            no_peer_id=_flag(given, b"no_peer_id"),
            trackerid=_short(given, b"trackerid", 256),
            hints=tuple(_hints(given)),
        )


class Counts(NamedTuple):
    """How big a swarm is: seeds, downloads that ever finished, peers that still miss something."""

    complete: int = 0
    downloaded: int = 0
    incomplete: int = 0


@dataclass(slots=True)
class Reply:
    """A tracker's answer. Peers stay in their compact forms, as they come from the wire and the store.

    Times are seconds. `peer_ids` maps compact addresses to ids: what an answer that is not compact says
    about them. `external_ip` is the asker's own address as the tracker sees it: 4 or 16 bytes, or none.
    `far`: the tracker is on the Internet, and whom it names in our local network nobody should dial.
    """

    interval: int = DEFAULT_INTERVAL
    min_interval: int | None = None
    peers: bytes = b""
    peers6: bytes = b""
    peer_ids: Mapping[bytes, bytes] = field(default_factory=dict)
    complete: int | None = None
    incomplete: int | None = None
    downloaded: int | None = None
    external_ip: bytes = b""
    trackerid: bytes = b""
    warning: str = ""
    far: bool = False

    def addresses(self) -> list[Address]:
        """Who can be dialed: each place once, in the reply's order, at most MAX_PEERS."""
        places: dict[Address, None] = {}
        for peers, stride in ((self.peers, 6), (self.peers6, 18)):
            each_once = dict.fromkeys(_cut(peers, stride))
            some = b"".join(islice(each_once, 2 * MAX_PEERS))
            places |= dict.fromkeys(
                each for each in read_compact(some, stride) if self._may_be(each)
            )
        return list(places)[:MAX_PEERS]

    def _may_be(self, peer: Address) -> bool:
        return peer.dialable and not (self.far and zone_of(peer.host) is not Zone.INTERNET)

    def encode(self, *, compact: bool = True, no_peer_id: bool = False) -> bytes:
        """The body in the form that the asker wants."""
        body: dict[bytes, Any] = {b"interval": self.interval}
        if compact:
            body[b"peers"] = self.peers
            if self.peers6:
                body[b"peers6"] = self.peers6
        else:
            body[b"peers"] = self._as_dicts(no_peer_id)
        extras = self._extras().items()
        body |= {key: value for key, value in extras if value is not None and value != b""}
        return bencode.encode(body)

    def _extras(self) -> dict[bytes, int | bytes | None]:
        return {
            b"min interval": self.min_interval,
            b"complete": self.complete,
            b"incomplete": self.incomplete,
            b"downloaded": self.downloaded,
            b"external ip": self.external_ip,
            b"tracker id": self.trackerid,
            b"warning message": self.warning.encode(),
        }

    def _as_dicts(self, no_peer_id: bool) -> list[dict[bytes, Any]]:
        """BEP 3's first form: one dictionary per peer, of either family."""
        dicts: list[dict[bytes, Any]] = []
        for peers, stride in ((self.peers, 6), (self.peers6, 18)):
            addresses = read_compact(peers, stride)
            for place, address in zip(_cut(peers, stride), addresses, strict=True):
                peer: dict[bytes, Any] = {b"ip": address.host.encode(), b"port": address.port}
                peer_id = self.peer_ids.get(place)
                if peer_id is not None and not no_peer_id:
                    peer[b"peer id"] = peer_id
                dicts.append(peer)
        return dicts

    @classmethod
    def decode(cls, body: bytes) -> "Reply":
        """Read a tracker's answer, with intervals clamped to what makes sense.

        Raises TrackerError when the tracker refused, FormatError when this is no answer.
        """
        answer = _read_body(body)
        peer_ids: dict[bytes, bytes] = {}
        peers, peers6 = _read_peers(answer.get(b"peers", b""), 6, peer_ids)
        more, more6 = _read_peers(answer.get(b"peers6", b""), 18, peer_ids)
        least = answer.get(b"min interval")
        return cls(
            interval=sensible_interval(answer.get(b"interval")),
            min_interval=sensible_interval(least) if _count(least) else None,
            peers=peers + more,
            peers6=peers6 + more6,
            peer_ids=peer_ids,
            complete=_count(answer.get(b"complete")),
            incomplete=_count(answer.get(b"incomplete")),
            downloaded=_count(answer.get(b"downloaded")),
            external_ip=_bytes(answer.get(b"external ip"), (4, 16)),
            trackerid=_bytes(answer.get(b"tracker id"), range(257)),
            warning=printable(answer.get(b"warning message", b"")),
        )


@dataclass(slots=True)
class Scrape:
    """A question for the sizes of swarms (BEP 48)."""

    info_hashes: Sequence[InfoHash]

    def query(self) -> str:
        return "&".join(f"info_hash={quote(each, safe='')}" for each in self.info_hashes)

    def url(self, announce_url: str) -> str:
        """Where to send it. Raises TrackerError for a tracker that cannot be scraped."""
        return _add_query(scrape_url(announce_url), self.query())

    @classmethod
    def from_query(cls, query: bytes) -> "Scrape":
        """Read a query string. Raises RemoteProtocolError that names the parameter."""
        hashes: dict[InfoHash, None] = {}
        for name, value in _parameters(query):
            if name == b"info_hash":
                given = {b"info_hash": _unescape(name, value)}
                hashes[InfoHash(_twenty(given, b"info_hash"))] = None
        if not 0 < len(hashes) <= MAX_SCRAPE:
            raise RemoteProtocolError(f"info_hash: {len(hashes)} of them, 1 to {MAX_SCRAPE} please")
        return cls(list(hashes))


@dataclass(slots=True)
class ScrapeReply:
    """The sizes of the swarms that the tracker knows."""

    swarms: Mapping[InfoHash, Counts]

    def encode(self) -> bytes:
        files = {
            bytes(info_hash): {
                b"complete": counts.complete,
                b"downloaded": counts.downloaded,
                b"incomplete": counts.incomplete,
            }
            for info_hash, counts in self.swarms.items()
        }
        return bencode.encode({b"files": files})

    @classmethod
    def decode(cls, body: bytes) -> "ScrapeReply":
        """Read a tracker's answer. Raises TrackerError when it refused, FormatError for junk."""
        files = _read_body(body).get(b"files")
        if not isinstance(files, dict):
            raise FormatError("the tracker's scrape reply has no files")
        swarms: dict[InfoHash, Counts] = {}
        for info_hash, numbers in files.items():
            if len(info_hash) == 20 and isinstance(numbers, dict):
                keys = (b"complete", b"downloaded", b"incomplete")
                swarms[InfoHash(info_hash)] = Counts(*(_count(numbers.get(k)) or 0 for k in keys))
        return cls(swarms)


def encode_failure(error: TrackerError) -> bytes:
    """A refusal; `retry_in` becomes minutes or `never` (BEP 31)."""
    body: dict[bytes, Any] = {b"failure reason": str(error).encode()}
    if error.retry_in is not None:
        forever = math.isinf(error.retry_in)
        body[b"retry in"] = b"never" if forever else math.ceil(error.retry_in / 60)
    return bencode.encode(body)


def scrape_url(announce_url: str) -> str:
    """The last part of the path, which must begin with `announce`, begins with `scrape` (BEP 48)."""
    parts = urlsplit(announce_url)
    folder, slash, last = parts.path.rpartition("/")
    if not slash or not last.startswith("announce"):
        raise TrackerError("this tracker cannot be scraped: its path does not end in announce")
    path = f"{folder}/scrape{last.removeprefix('announce')}"
    return urlunsplit(parts._replace(path=path, fragment=""))


def _add_query(url: str, query: str) -> str:
    parts = urlsplit(url)
    joined = f"{parts.query}&{query}" if parts.query else query
    return urlunsplit(parts._replace(query=joined, fragment=""))


# Questions: strict.

_ANNOUNCE_PARAMETERS = frozenset(
    b"info_hash peer_id port uploaded downloaded left event numwant key compact no_peer_id trackerid "
    b"ip ipv4 ipv6".split()
)


def _parameters(query: bytes) -> Iterator[tuple[bytes, bytes]]:
    if len(query) > MAX_QUERY:
        raise RemoteProtocolError(f"the query has {len(query)} bytes, at most {MAX_QUERY} are read")
    for part in query.split(b"&"):
        name, _, value = part.partition(b"=")
        yield name, value


def _read_query(query: bytes, known: frozenset[bytes]) -> dict[bytes, bytes]:
    given: dict[bytes, bytes] = {}
    for name, value in _parameters(query):
        if name in known:
            if name in given:
                raise RemoteProtocolError(f"{name.decode()}: given twice")
            given[name] = _unescape(name, value)
    return given


def _unescape(name: bytes, value: bytes) -> bytes:
    # A plus is a space, as forms write it: no client leaves a plus of its own unescaped.
    value = value.replace(b"+", b" ")
    if b"%" not in value:
        return value
    if _BAD_ESCAPE.search(value):
        raise RemoteProtocolError(f"{name.decode()}: a bad %-escape")
    return unquote_to_bytes(value)


def _twenty(given: Mapping[bytes, bytes], name: bytes) -> bytes:
    value = given.get(name)
    if value is None:
        raise RemoteProtocolError(f"{name.decode()}: missing")
    if len(value) != 20:
        raise RemoteProtocolError(f"{name.decode()}: {len(value)} bytes instead of 20")
    return value


def _number(given: Mapping[bytes, bytes], name: bytes, default: int | None = None) -> int:
    """An amount: ASCII digits, below 2**63; nothing else that int() would take."""
    value = given.get(name)
    if value is None:
        if default is None:
            raise RemoteProtocolError(f"{name.decode()}: missing")
        return default
    if not value.isdigit() or len(value) > 19 or int(value) > _LARGEST:
        raise RemoteProtocolError(f"{name.decode()}: not a number from 0 to 2^63-1")
    return int(value)


def _port(given: Mapping[bytes, bytes]) -> int:
    port = _number(given, b"port")
    if not 0 < port < 65536:
        raise RemoteProtocolError(f"port: {port} is not from 1 to 65535")
    return port


def _numwant(given: Mapping[bytes, bytes]) -> int | None:
    # -1 is how the UDP protocol says "as many as you like"; some clients say it here too.
    if given.get(b"numwant", b"-1") in (b"", b"-1"):
        return None
    return _number(given, b"numwant")


def _event(given: Mapping[bytes, bytes]) -> Event:
    try:
        return Event(given.get(b"event", b"").decode("ascii"))
    except ValueError as error:
        raise RemoteProtocolError("event: not started, completed, stopped or paused") from error


def _flag(given: Mapping[bytes, bytes], name: bytes) -> bool:
    value = given.get(name, b"0")
    if value not in (b"0", b"1"):
        raise RemoteProtocolError(f"{name.decode()}: not 0 or 1")
    return value == b"1"


def _short(given: Mapping[bytes, bytes], name: bytes, longest: int) -> bytes:
    value = given.get(name, b"")
    if len(value) > longest:
        raise RemoteProtocolError(f"{name.decode()}: longer than {longest} bytes")
    return value


def _hints(given: Mapping[bytes, bytes]) -> Iterator[str]:
    for name in (b"ip", b"ipv4", b"ipv6"):
        if value := _short(given, name, 64):
            yield value.decode("ascii", "replace")


# Answers: liberal.


def _read_body(body: bytes) -> dict[bytes, Any]:
    """Blank lines around it are those of a script that wrote it: other clients overlook what follows."""
    body = body.strip()
    answer = bencode.decode(body, max_depth=10, max_size=MAX_REPLY, max_tokens=_MAX_TOKENS)
    if not isinstance(answer, dict):
        raise FormatError("the tracker's answer is not a dictionary")
    if b"failure reason" in answer:
        reason = printable(answer[b"failure reason"]) or "the tracker gave no reason"
        raise TrackerError(reason, _retry_in(answer.get(b"retry in")))
    return answer


def _retry_in(value: object) -> float | None:
    """BEP 31: minutes, or `never`; numbers in strings are seen in the wild."""
    if value == b"never":
        return math.inf
    if isinstance(value, bytes) and value.isdigit() and len(value) < 19:
        value = int(value)
    return min(value * 60.0, _MAX_RETRY) if isinstance(value, int) and value > 0 else None


def _read_peers(value: object, stride: int, peer_ids: dict[bytes, bytes]) -> tuple[bytes, bytes]:
    """A reply's peers in compact form, IPv4 and IPv6; what is no IP address is left out."""
    if isinstance(value, bytes):
        whole = value[: len(value) - len(value) % stride]
        return (whole, b"") if stride == 6 else (b"", whole)
    if not isinstance(value, list):
        raise FormatError("the tracker's peers are neither a string nor a list")
    places: list[bytes] = []
    for peer in value[: 2 * MAX_PEERS]:
        place = _read_dict_peer(peer) if isinstance(peer, dict) else None
        if place is not None:
            places.append(place)
            if peer_id := _bytes(peer.get(b"peer id"), (20,)):
                peer_ids[place] = peer_id
    v4, v6 = (b"".join(p for p in places if len(p) == size) for size in (6, 18))
    return v4, v6


def _cut(peers: bytes, stride: int) -> Iterator[bytes]:
    return (peers[at : at + stride] for at in range(0, len(peers) - stride + 1, stride))


def _read_dict_peer(peer: Mapping[bytes, Any]) -> bytes | None:
    ip, port = peer.get(b"ip"), peer.get(b"port")
    if not isinstance(ip, bytes) or not isinstance(port, int) or not 0 < port < 65536:
        return None
    try:
        return compact(Address(str(ipaddress.ip_address(ip.decode("ascii"))), port))
    except (
        ValueError
    ):  # a host name: BEP 3 allows it, and a swarm of lies about third parties needs it
        return None


def _bytes(value: object, lengths: Sequence[int]) -> bytes:
    return value if isinstance(value, bytes) and len(value) in lengths else b""


def sensible_interval(interval: object) -> int:
    """A tracker's number of seconds, clamped to what makes sense; the usual one when it gave none."""
    if not isinstance(interval, int):
        return DEFAULT_INTERVAL
    return min(max(interval, _SHORTEST), _LONGEST) if interval > 0 else _INSTEAD_OF_NONSENSE


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and 0 <= value <= _LARGEST else None


def printable(value: object) -> str:
    """One printable line of what a tracker says: it ends up on screens and in logs."""
    line = value[: 4 * _MAX_TEXT].decode("utf-8", "replace") if isinstance(value, bytes) else ""
    return "".join(c if c.isprintable() else " " for c in line).strip()[:_MAX_TEXT]
