"""What two who want to reach each other tell each other first, through super nodes: an offer and its answer.

It says where its sender can perhaps be reached, by which relays, and the secrets of their checks. Super nodes
carry it unread; they could read it, so nothing in it opens more than a check: TLS finds out who is there.

The one hard thing: addresses that somebody names are sent packets to. So an offer is signed by the device it
comes from, names few, and none that is nearer to us than its sender can be (`fitting`).
"""

import secrets
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Any, NamedTuple

from p2pswarm.errors import FormatError, LocalProtocolError
from p2pswarm.formats import bencode
from p2pswarm.formats.ids import Address, compact, read_compact
from p2pswarm.formats.signing import SigningKey, is_signed
from p2pswarm.formats.zones import Zone, zone_of

__all__ = [
    "MAX_CANDIDATES",
    "MAX_OFFER",
    "MAX_RELAYS",
    "MAX_WANT",
    "SESSION_SIZE",
    "Candidate",
    "CandidateKind",
    "Candidates",
    "Nat",
    "Offer",
    "RelayAt",
    "farthest",
    "fitting",
    "new_session",
]

MAX_OFFER = 4096  # bytes
MAX_CANDIDATES = 16  # of each kind of socket
MAX_OF_HOST = 4  # ports of one host that are sent to: a NAT shows two or three
MAX_RELAYS = 4
MAX_WANT = 16  # letters
SESSION_SIZE, KEY_SIZE, NODE_SIZE, SIGNATURE_SIZE = 16, 32, 16, 64
FRESH = 3600.0  # seconds; clocks of users differ, and old offers lead nowhere anyhow
_UFRAG_SIZE, _PASSWORD_SIZE = 8, 24  # letters; RFC 8445, 5.3: at least 4 and 22
_MAX_CERTIFICATE = 2048
_LETTERS = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
_SIGNED = b"p2pswarm offer "
_KEYS = frozenset((b"c", b"f", b"n", b"p", b"r", b"s", b"t", b"to", b"u", b"w", b"y"))
_LAST_CLOCK = 1 << 48  # seconds since 1970


class CandidateKind(IntEnum):
    """What an address is (RFC 8445, 5.1.1)."""

    HOST = 0  # of one of its interfaces
    REFLEXIVE = 1  # where others see it: in front of its NAT


class Candidate(NamedTuple):
    """An address at which its sender may be reached. By TCP a host listens; a reflexive one only dials."""

    kind: CandidateKind
    address: Address


class Nat(IntEnum):
    """What stands between a node and the others (RFC 4787: mapping and filtering)."""

    UNKNOWN = 0
    NONE = 1
    FULL_CONE = 2
    ADDRESS = 3
    PORT = 4
    SYMMETRIC = 5
    BLOCKED = 6  # no UDP at all

    @property
    def text(self) -> str:
        return _NAT_TEXT[self]


_NAT_TEXT = {
    Nat.UNKNOWN: "unknown NAT",
    Nat.NONE: "no NAT",
    Nat.FULL_CONE: "full cone NAT",
    Nat.ADDRESS: "address-restricted NAT",
    Nat.PORT: "port-restricted NAT",
    Nat.SYMMETRIC: "symmetric NAT",
    Nat.BLOCKED: "UDP blocked",
}


class RelayAt(NamedTuple):
    """A super node that its guest names as a relay."""

    node: bytes
    address: Address


class Candidates(NamedTuple):
    """Where a node may be reached, as far as it knows, best first."""

    udp: tuple[Candidate, ...] = ()
    tcp: tuple[Candidate, ...] = ()
    nat: Nat = Nat.UNKNOWN


def new_session() -> bytes:
    """The name of one attempt to reach somebody; nobody guesses it."""
    return secrets.token_bytes(SESSION_SIZE)


@dataclass(frozen=True, slots=True)
class Offer:
    """Made with `new` and read with `parse`; `check` before anything in it is believed."""

    session: bytes
    certificate: bytes  # DER; who reads an offer compares its key with the one that signed
    to: bytes  # the key of the device it is meant for
    ufrag: str
    password: str
    candidates: Candidates
    relays: tuple[RelayAt, ...]
    time: int  # seconds since 1970 at its sender
    signature: bytes = b""
    want: str = ""  # what for; an answer says nothing of that

    @classmethod
    def new(
        cls,
        key: SigningKey,
        certificate: bytes,
        to: bytes,
        candidates: Candidates,
        relays: Sequence[RelayAt],
        *,
        session: bytes,
        now: float,
        want: str = "",
    ) -> "Offer":
        """Signed, with new secrets; an answer has the session of what it answers."""
        ufrag, password = secrets.token_urlsafe(6), secrets.token_urlsafe(18)
        few = _few(candidates)
        parts = (session, certificate, to, ufrag, password, few, tuple(relays[:MAX_RELAYS]))
        return cls(*parts, time=int(now), want=want).signed(key)

    def renewed(self, key: SigningKey, candidates: Candidates, now: float) -> "Offer":
        """The same, from other places."""
        return replace(self, candidates=_few(candidates), time=int(now), want="").signed(key)

    def signed(self, key: SigningKey) -> "Offer":
        """By the device that it comes from."""
        return replace(self, signature=key.sign(_SIGNED + self._body()))

    def renews(self, other: "Offer") -> bool:
        """Whether it is the same from other places."""
        names = ((each.session, each.ufrag, each.password) for each in (self, other))
        return next(names) == next(names)

    def encode(self) -> bytes:
        """Raises LocalProtocolError for what nobody would read."""
        data = self.signature + self._body()
        try:
            self.parse(data)
        except FormatError as error:
            raise LocalProtocolError(f"{self!r} cannot be said: {error}") from error
        return data

    def _body(self) -> bytes:
        udp, tcp, nat = self.candidates
        want = {b"y": self.want.encode()} if self.want else {}
        return bencode.encode(
            {
                **want,
                b"c": self.certificate,
                b"f": self.ufrag.encode(),
                b"n": int(nat),
                b"p": self.password.encode(),
                b"r": [node + compact(address) for node, address in self.relays],
                b"s": self.session,
                b"t": [bytes([kind]) + compact(address) for kind, address in tcp],
                b"to": self.to,
                b"u": [bytes([kind]) + compact(address) for kind, address in udp],
                b"w": self.time,
            }
        )

    @classmethod
    def parse(cls, data: bytes) -> "Offer":
        """Raises FormatError."""
        if not SIGNATURE_SIZE < len(data) <= MAX_OFFER:
            raise FormatError(f"an offer of {len(data)} bytes, at most {MAX_OFFER} are read")
        fields = _Fields(data[SIGNATURE_SIZE:])
        candidates = Candidates(fields.candidates(b"u"), fields.candidates(b"t"), fields.nat())
        return cls(
            session=fields.raw(b"s", SESSION_SIZE),
            certificate=fields.raw(b"c", None),
            to=fields.raw(b"to", KEY_SIZE),
            ufrag=fields.letters(b"f", _UFRAG_SIZE),
            password=fields.letters(b"p", _PASSWORD_SIZE),
            candidates=candidates,
            relays=fields.relays(b"r"),
            time=fields.number(b"w", _LAST_CLOCK),
            signature=data[:SIGNATURE_SIZE],
            want=fields.want(),
        )

    def check(self, key: bytes, us: bytes, now: float) -> None:
        """Raises FormatError unless the holder of `key` said this to us, not long ago."""
        if self.to != us:
            raise FormatError("an offer for somebody else")
        if abs(now - self.time) > FRESH:
            raise FormatError("an offer of another day, or one of the two clocks is wrong")
        if not is_signed(_SIGNED + self._body(), self.signature, key):
            raise FormatError("an offer with a wrong signature")


def _few(candidates: Candidates) -> Candidates:
    few = slice(MAX_CANDIDATES)
    return Candidates(candidates.udp[few], candidates.tcp[few], candidates.nat)


def fitting(candidates: Iterable[Candidate], theirs: Candidates, ours: Candidates) -> list[Address]:
    """Which of these addresses of the other side we may send to: none that is nearer than it can be."""
    most = farthest(theirs, ours)
    fits = (a.normal for _, a in candidates if a.dialable and zone_of(a.host) <= most)
    ports: Counter[str] = Counter()
    few: list[Address] = []
    for address in dict.fromkeys(fits):
        ports[address.host] += 1
        if ports[address.host] <= MAX_OF_HOST:
            few.append(address)
    return few


def farthest(theirs: Candidates, ours: Candidates) -> Zone:
    """How near to us the other side may be.

    Somebody on the Internet has no business in our network or on our machine. Who shows the same address to
    the Internet as we do, or shows none there, may be next to us.
    """
    hosts = {address.host for _, address in (*theirs.udp, *theirs.tcp)}
    places = {address.host for _, address in (*ours.udp, *ours.tcp)}
    public = {host for host in hosts if zone_of(host) is Zone.INTERNET}
    nearest = max(map(zone_of, places), default=Zone.LOCAL_NETWORK)
    if not public:
        return nearest
    return max(nearest, Zone.LOCAL_NETWORK) if public & places else Zone.INTERNET


class _Fields:
    """The dictionary of an offer, asked for what must be in it. Everything raises FormatError."""

    def __init__(self, body: bytes) -> None:
        table = bencode.decode(body, max_depth=3, max_tokens=128)
        if not isinstance(table, dict) or bencode.encode(table) != body:
            raise FormatError("an offer that is no dictionary in its one spelling")
        if not _KEYS.issuperset(table):  # its signature would not cover it
            raise FormatError("an offer that says more than we read")
        self._table: dict[bytes, Any] = table

    def number(self, key: bytes, most: int) -> int:
        value = self._table.get(key)
        if not isinstance(value, int) or not 0 <= value <= most:
            raise FormatError(f"{key!r} of an offer is no number up to {most}")
        return value

    def nat(self) -> Nat:
        return Nat(self.number(b"n", max(Nat)))

    def raw(self, key: bytes, size: int | None) -> bytes:
        value = self._table.get(key)
        if not isinstance(value, bytes) or len(value) > _MAX_CERTIFICATE:
            raise FormatError(f"{key!r} of an offer is not bytes")
        if size is not None and len(value) != size:
            raise FormatError(f"{key!r} of an offer has not {size} bytes")
        return value

    def want(self) -> str:
        want = self._table.get(b"y", b"")
        if not isinstance(want, bytes) or len(want) > MAX_WANT or not _LETTERS.issuperset(want):
            raise FormatError("what an offer is for is no word")
        if not want and b"y" in self._table:
            raise FormatError("an offer that is for nothing, in so many words")
        return want.decode("ascii")

    def letters(self, key: bytes, size: int) -> str:
        value = self.raw(key, size)
        if not _LETTERS.issuperset(value):
            raise FormatError(f"{key!r} of an offer is not letters")
        return value.decode("ascii")

    def _row(self, key: bytes, most: int, head: int) -> list[tuple[bytes, Address]]:
        """Strings of a head and an address."""
        row = self._table.get(key)
        if not isinstance(row, list) or len(row) > most:
            raise FormatError(f"{key!r} of an offer is no list of at most {most}")
        return [_head_and_address(each, head) for each in row]

    def candidates(self, key: bytes) -> tuple[Candidate, ...]:
        row = self._row(key, MAX_CANDIDATES, 1)
        if any(head[0] > CandidateKind.REFLEXIVE for head, _ in row):
            raise FormatError("a candidate of an unknown kind")
        return tuple(Candidate(CandidateKind(head[0]), address) for head, address in row)

    def relays(self, key: bytes) -> tuple[RelayAt, ...]:
        return tuple(RelayAt(*each) for each in self._row(key, MAX_RELAYS, NODE_SIZE))


def _head_and_address(data: object, head: int) -> tuple[bytes, Address]:
    if not isinstance(data, bytes) or len(data) - head not in (6, 18):
        raise FormatError("an address in an offer that is none")
    [address] = read_compact(data[head:], len(data) - head)
    if compact(address) != data[head:]:
        raise FormatError("an address in an offer that has another spelling")
    return data[:head], address
