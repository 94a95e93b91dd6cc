"""KRPC, what nodes of the DHT say to each other: a query, its reply, or an error, each one datagram.

All fields of all methods stand in two tables, one for queries and one for replies (BEP 5, 32, 33, 42, 43, 44,
51), so that a message is read the same way whatever it asks. What we do not know is passed over, and a field
of the wrong type or size is a field that is not there: whoever needs it says so (error 203).

The one hard thing: a stored value (BEP 44) is signed as it was written. It is carried as the bytes that it
came in, and never written anew.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache, partial
from typing import Any, NamedTuple, Self

from typing_extensions import override

from p2pswarm.errors import BencodeError, FormatError, RemoteProtocolError
from p2pswarm.formats import bencode
from p2pswarm.formats.ids import Address, InfoHash, compact, read_compact

__all__ = [
    "ANNOUNCE_PEER",
    "FIND_NODE",
    "GET",
    "GET_PEERS",
    "MAX_MESSAGE",
    "PING",
    "PUT",
    "SAMPLE_INFOHASHES",
    "Contact",
    "Error",
    "ErrorCode",
    "Family",
    "Message",
    "NodeId",
    "Query",
    "Reply",
    "family_of",
    "read_contacts",
    "read_message",
    "write_contacts",
]

PING, FIND_NODE, GET_PEERS, ANNOUNCE_PEER = b"ping", b"find_node", b"get_peers", b"announce_peer"
GET, PUT, SAMPLE_INFOHASHES = b"get", b"put", b"sample_infohashes"

MAX_MESSAGE = 4096  # bytes that are read; what a network carries whole is below 1500
_MAX_DEPTH, _MAX_TOKENS = 10, 1000  # libtorrent: 10 and 500
_MAX_TRANSACTION = 32  # bytes; real ones have 2 to 8
_MAX_TOKEN = 128  # real ones have 4 to 20
_MAX_VERSION = 16
_MAX_TEXT = 200
_VERSION = b"PS\1\0"  # who we are and which version; for statistics of others
_LARGEST = (1 << 63) - 1


class NodeId(bytes):
    """The place of a node in the DHT: 20 bytes, of the same space as info-hashes."""

    __slots__ = ()

    def __new__(cls, value: bytes) -> Self:
        if len(value) != 20:
            raise FormatError(f"a node id has 20 bytes, this has {len(value)}")
        return super().__new__(cls, value)

    @override
    def __repr__(self) -> str:
        return f"NodeId({self.hex()})"

    __str__ = bytes.hex


class Family(IntEnum):
    """The two networks, each with nodes of its own (BEP 32)."""

    IPV4 = 4
    IPV6 = 6


def family_of(address: Address) -> Family:
    """Raises FormatError for a host name."""
    if address.ip is None:
        raise FormatError(f"{address} is a name")
    return Family(address.ip.version)


class Contact(NamedTuple):
    """A node, as others name it."""

    id: NodeId
    address: Address


class ErrorCode(IntEnum):
    """BEP 5, and from 205 on BEP 44."""

    GENERIC = 201
    SERVER = 202
    PROTOCOL = 203
    METHOD_UNKNOWN = 204
    TOO_BIG = 205
    BAD_SIGNATURE = 206
    SALT_TOO_BIG = 207
    CAS_MISMATCH = 301
    SEQUENCE_TOO_LOW = 302


_NOBODY = NodeId(bytes(20))  # until the node that says it puts its own id in


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What is asked. `transaction`, `id` and `read_only` are put in by the node that sends it."""

    method: bytes
    transaction: bytes = b""
    id: NodeId = _NOBODY
    read_only: bool = False
    """It answers no queries (BEP 43)."""
    version: bytes | None = None

    target: NodeId | None = None
    info_hash: InfoHash | None = None
    want: frozenset[Family] | None = None
    port: int | None = None
    implied_port: bool = False
    """The port is the one that the datagram came from."""
    token: bytes | None = None
    seed: bool = False
    noseed: bool = False
    scrape: bool = False
    value: bytes | None = None
    """`v`: a bencoded value, as it was written (BEP 44)."""
    key: bytes | None = None
    """`k`: an ed25519 key."""
    signature: bytes | None = None
    salt: bytes | None = None
    sequence: int | None = None
    cas: int | None = None
    """Store only where the sequence number is this one."""

    def encode(self) -> bytes:
        body = _written(self, _ARGUMENTS)
        message = {b"y": b"1:q", b"q": bencode.encode(self.method), b"a": _dictionary(body)}
        if self.read_only:
            message[b"ro"] = b"i1e"
        return _message(self.transaction, message)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What is answered. `transaction`, `id` and `external` are put in by the node that sends it."""

    transaction: bytes = b""
    id: NodeId = _NOBODY
    version: bytes | None = None
    external: Address | None = None
    """How the sender sees us (BEP 42); without a port when it names none."""

    nodes: tuple[Contact, ...] | None = None
    nodes6: tuple[Contact, ...] | None = None
    values: tuple[Address, ...] | None = None
    token: bytes | None = None
    seeds: bytes | None = None
    """`BFsd`: a bloom filter of seeds (BEP 33)."""
    peers: bytes | None = None
    """`BFpe`: one of the other peers."""
    samples: tuple[InfoHash, ...] | None = None
    interval: int | None = None
    count: int | None = None
    """`num`: how many info-hashes it has (BEP 51)."""
    value: bytes | None = None
    """`v`: a bencoded value, as it was written (BEP 44)."""
    key: bytes | None = None
    signature: bytes | None = None
    sequence: int | None = None

    def encode(self) -> bytes:
        body = _written(self, _VALUES)
        message = {b"y": b"1:r", b"r": _dictionary(body)}
        if self.external is not None:
            message[b"ip"] = bencode.encode(compact(self.external))
        return _message(self.transaction, message)


@dataclass(frozen=True, slots=True, kw_only=True)
class Error:
    """Why there is no reply."""

    transaction: bytes = b""
    code: int
    text: str = ""

    def encode(self) -> bytes:
        why = [int(self.code), self.text.encode("utf-8", "replace")]
        return _message(self.transaction, {b"y": b"1:e", b"e": bencode.encode(why)})


Message = Query | Reply | Error


def read_message(data: bytes) -> Message:
    """Raises RemoteProtocolError."""
    try:
        table = bencode.decode(
            data, max_size=MAX_MESSAGE, max_depth=_MAX_DEPTH, max_tokens=_MAX_TOKENS
        )
    except BencodeError as error:
        raise RemoteProtocolError(f"DHT: {error}") from error
    if not isinstance(table, dict):
        raise RemoteProtocolError("DHT: a message that is no dictionary")
    transaction = table.get(b"t")
    if not isinstance(transaction, bytes) or len(transaction) > _MAX_TRANSACTION:
        raise RemoteProtocolError("DHT: a message without a transaction")
    kind = table.get(b"y")
    if kind == b"q":
        return _query(data, table, transaction)
    if kind == b"r":
        return _reply(data, table, transaction)
    if kind == b"e":
        return _error(table.get(b"e"), transaction)
    raise RemoteProtocolError("DHT: neither query nor reply nor error")


def _query(data: bytes, table: dict[bytes, Any], transaction: bytes) -> Query:
    method = table.get(b"q")
    if not isinstance(method, bytes):
        raise RemoteProtocolError("DHT: a query without a method")
    return Query(
        method=method,
        transaction=transaction,
        version=_raw(table.get(b"v"), 1, _MAX_VERSION),
        read_only=_flag(table.get(b"ro")),
        **_read(data, table, b"a", _ARGUMENTS),
    )


def _reply(data: bytes, table: dict[bytes, Any], transaction: bytes) -> Reply:
    return Reply(
        transaction=transaction,
        version=_raw(table.get(b"v"), 1, _MAX_VERSION),
        external=_external(table.get(b"ip")),
        **_read(data, table, b"r", _VALUES),
    )


def _error(why: object, transaction: bytes) -> Error:
    if not isinstance(why, list) or len(why) < 2:
        return Error(transaction=transaction, code=ErrorCode.GENERIC)
    code = _integer(why[0], 0, _LARGEST)
    text = why[1].decode("utf-8", "replace") if isinstance(why[1], bytes) else ""
    printable = "".join(letter if letter.isprintable() else "?" for letter in text[:_MAX_TEXT])
    return Error(
        transaction=transaction, code=ErrorCode.GENERIC if code is None else code, text=printable
    )


def _message(transaction: bytes, message: dict[bytes, bytes]) -> bytes:
    message[b"t"] = bencode.encode(transaction)
    message[b"v"] = bencode.encode(_VERSION)
    return _dictionary(message)


# Fields: None for what cannot be read


def _raw(value: object, least: int, most: int) -> bytes | None:
    return value if isinstance(value, bytes) and least <= len(value) <= most else None


def _integer(value: object, least: int, most: int) -> int | None:
    return value if isinstance(value, int) and least <= value <= most else None


def _flag(value: object) -> bool:
    return isinstance(value, int) and value != 0


def _node_id(value: object) -> NodeId | None:
    return NodeId(value) if isinstance(value, bytes) and len(value) == 20 else None


def _info_hash(value: object) -> InfoHash | None:
    return InfoHash(value) if isinstance(value, bytes) and len(value) == 20 else None


def _info_hashes(value: object) -> tuple[InfoHash, ...] | None:
    if not isinstance(value, bytes) or len(value) % 20:
        return None
    return tuple(InfoHash(value[at : at + 20]) for at in range(0, len(value), 20))


def _want(value: object) -> frozenset[Family] | None:
    if not isinstance(value, list):
        return None
    return frozenset(family for family in Family if b"n%d" % family in value)


def _write_want(want: frozenset[Family]) -> list[bytes]:
    return [b"n%d" % family for family in sorted(want)]


def _contacts(value: object, family: Family) -> tuple[Contact, ...] | None:
    return read_contacts(value, family) if isinstance(value, bytes) else None


def read_contacts(value: bytes, family: Family) -> tuple[Contact, ...]:
    """`nodes` or `nodes6`: those where somebody can be."""
    stride = 26 if family is Family.IPV4 else 38
    found = []
    for at in range(0, len(value) - len(value) % stride, stride):
        (address,) = read_compact(value[at + 20 : at + stride], stride - 20)
        if address.dialable and family_of(address) is family:
            found.append(Contact(NodeId(value[at : at + 20]), address))
    return tuple(found)


def write_contacts(contacts: Iterable[Contact]) -> bytes:
    """Raises FormatError for a host name."""
    return b"".join(each.id + compact(each.address) for each in contacts)


def _peers(value: object) -> tuple[Address, ...] | None:
    if not isinstance(value, list):
        return None
    packed = (each for each in value if isinstance(each, bytes) and len(each) in (6, 18))
    return tuple(address for each in packed for address in read_compact(each, len(each)))


def _write_peers(peers: tuple[Address, ...]) -> list[bytes]:
    return [compact(each) for each in peers]


def _external(value: object) -> Address | None:
    if not isinstance(value, bytes) or len(value) not in (4, 6, 16, 18):
        return None
    packed = value if len(value) in (6, 18) else value + b"\0\0"
    return next(read_compact(packed, len(packed)))


class _Field(NamedTuple):
    """One key of a body: how it is called here and there, and how its value is read and written."""

    name: str
    key: bytes
    read: Callable[[object], Any]
    write: Callable[[Any], Any] = lambda value: value


_FLAG = partial(_Field, read=_flag, write=int)
_NUMBER = partial(_Field, read=partial(_integer, least=0, most=_LARGEST))
_ID = _Field("id", b"id", _node_id)
_TOKEN = _Field("token", b"token", partial(_raw, least=1, most=_MAX_TOKEN))
_ITEM = (
    _Field("key", b"k", partial(_raw, least=32, most=32)),
    _Field("signature", b"sig", partial(_raw, least=64, most=64)),
    _NUMBER("sequence", b"seq"),
)
_VALUE = b"v"  # the one that is not read, and not written anew

_ARGUMENTS = (
    _ID,
    _Field("target", b"target", _node_id),
    _Field("info_hash", b"info_hash", _info_hash),
    _Field("want", b"want", _want, _write_want),
    _Field("port", b"port", partial(_integer, least=0, most=65535)),
    _FLAG("implied_port", b"implied_port"),
    _TOKEN,
    _FLAG("seed", b"seed"),
    _FLAG("noseed", b"noseed"),
    _FLAG("scrape", b"scrape"),
    *_ITEM,
    _Field("salt", b"salt", partial(_raw, least=0, most=MAX_MESSAGE)),
    _NUMBER("cas", b"cas"),
)
_VALUES = (
    _ID,
    _Field("nodes", b"nodes", partial(_contacts, family=Family.IPV4), write_contacts),
    _Field("nodes6", b"nodes6", partial(_contacts, family=Family.IPV6), write_contacts),
    _Field("values", b"values", _peers, _write_peers),
    _TOKEN,
    _Field("seeds", b"BFsd", partial(_raw, least=256, most=256)),
    _Field("peers", b"BFpe", partial(_raw, least=256, most=256)),
    _Field("samples", b"samples", _info_hashes, b"".join),
    _NUMBER("interval", b"interval"),
    _NUMBER("count", b"num"),
    *_ITEM,
)


def _read(
    data: bytes, table: dict[bytes, Any], where: bytes, fields: tuple[_Field, ...]
) -> dict[str, Any]:
    """The body at the key `where`, as arguments of the class that has them."""
    body = table.get(where)
    if not isinstance(body, dict):
        raise RemoteProtocolError("DHT: a message without a body")
    found = {name: read(body[key]) for name, key, read, _ in fields if key in body}
    if found.get("id") is None:
        raise RemoteProtocolError("DHT: a message without the id of its node")
    if _VALUE in body:
        start, end = bencode.span(data, where) or (0, 0)
        raw = data[start:end]
        start, end = bencode.span(raw, _VALUE) or (0, 0)
        found["value"] = raw[start:end]
    return found


def _written(message: Query | Reply, fields: tuple[_Field, ...]) -> dict[bytes, bytes]:
    body = {}
    for name, key, _, write in fields:
        value = getattr(message, name)
        if value is not None and value is not False:
            body[key] = bencode.encode(write(value))
    if message.value is not None:
        body[_VALUE] = message.value
    return body


_encoded_key = lru_cache(maxsize=64)(bencode.encode)


def _dictionary(encoded: dict[bytes, bytes]) -> bytes:
    """Of values that are bencoded already."""
    return b"d%be" % b"".join(bencode.encode(key) + value for key, value in sorted(encoded.items()))
