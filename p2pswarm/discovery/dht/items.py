"""Small values that the DHT keeps for everybody: immutable items and mutable ones (BEP 44).

An immutable item is found by the SHA-1 of its value. A mutable one is found by the SHA-1 of a public key and
a salt, and whoever has the secret of that key may put a new value with a higher number. What a message says
becomes an item only by `item_of`, which looks at sizes and the signature; whoever gets one still compares its
target with what was asked for. The value stays as it was bencoded, because that is what was signed.
"""

from dataclasses import dataclass
from hashlib import sha1
from typing import TYPE_CHECKING, Any, Self

from p2pswarm.errors import RemoteProtocolError
from p2pswarm.formats import bencode
from p2pswarm.wire.krpc import ErrorCode, NodeId, Query, Reply

if TYPE_CHECKING:
    from p2pswarm.formats.signing import SigningKey

__all__ = [
    "KEY_SIZE",
    "MAX_SALT",
    "MAX_VALUE",
    "ImmutableItem",
    "Item",
    "ItemError",
    "MutableItem",
    "item_of",
    "target_of",
]

MAX_VALUE = 1000  # bytes of bencode
MAX_SALT = 64  # bytes
KEY_SIZE = 32


class ItemError(RemoteProtocolError):
    """An item that cannot be taken, with the code that its sender is told."""

    def __init__(self, code: ErrorCode, text: str) -> None:
        super().__init__(text)
        self.code = code


@dataclass(frozen=True, slots=True)
class ImmutableItem:
    """A value that is its own name."""

    raw: bytes
    """The value in bencode."""

    @property
    def target(self) -> NodeId:
        return NodeId(sha1(self.raw, usedforsecurity=False).digest())

    @property
    def value(self) -> Any:
        return bencode.decode(self.raw)

    @property
    def fields(self) -> dict[str, Any]:
        """What a query or reply says of it."""
        return {"value": self.raw}

    @classmethod
    def of(cls, value: Any) -> Self:
        """One of ours. Raises ItemError when it is too big, BencodeError when it has no bencode."""
        return cls(_small(bencode.encode(value)))


@dataclass(frozen=True, slots=True)
class MutableItem:
    """What the holder of a key put under a salt, by its number; the highest number is the newest."""

    key: bytes
    salt: bytes
    sequence: int
    raw: bytes
    """The value in bencode."""
    signature: bytes

    @property
    def target(self) -> NodeId:
        return target_of(self.key, self.salt)

    @property
    def value(self) -> Any:
        return bencode.decode(self.raw)

    @property
    def fields(self) -> dict[str, Any]:
        """What a query or reply says of it; a query says the salt, too."""
        return {
            "key": self.key,
            "sequence": self.sequence,
            "value": self.raw,
            "signature": self.signature,
        }

    @classmethod
    def signed(cls, key: "SigningKey", value: Any, sequence: int, salt: bytes = b"") -> Self:
        """One of ours. Raises ItemError when it is too big, BencodeError when it has no bencode."""
        raw, salt = _small(bencode.encode(value)), _short(salt)
        return cls(key.public, salt, sequence, raw, key.sign(_signable(raw, sequence, salt)))


Item = ImmutableItem | MutableItem


def target_of(key: bytes, salt: bytes = b"") -> NodeId:
    """The target of all that the holder of this key puts under this salt."""
    return NodeId(sha1(key + salt, usedforsecurity=False).digest())


def item_of(message: Query | Reply, salt: bytes = b"") -> Item:
    """What a put or a reply holds, if its signature is right. A reply names no salt. Raises ItemError."""
    if message.value is None:
        raise ItemError(ErrorCode.PROTOCOL, "an item without a value")
    raw = _small(message.value)
    if message.key is None:
        return ImmutableItem(raw)
    if message.sequence is None:
        raise ItemError(ErrorCode.PROTOCOL, "a mutable item without a number")
    if message.signature is None:
        raise ItemError(ErrorCode.BAD_SIGNATURE, "a mutable item without a signature")
    item = MutableItem(message.key, _short(salt), message.sequence, raw, message.signature)
    from p2pswarm.formats.signing import is_signed  # late: see there

    if not is_signed(_signable(raw, item.sequence, item.salt), item.signature, item.key):
        raise ItemError(ErrorCode.BAD_SIGNATURE, "a mutable item with a wrong signature")
    return item


def _signable(raw: bytes, sequence: int, salt: bytes) -> bytes:
    """What is signed: the inner part of a dictionary of salt (where there is one), seq and v."""
    salted = b"4:salt%d:%b" % (len(salt), salt) if salt else b""
    return b"%b3:seqi%de1:v%b" % (salted, sequence, raw)


def _small(raw: bytes) -> bytes:
    if len(raw) > MAX_VALUE:
        text = f"a value of {len(raw)} bytes in bencode, {MAX_VALUE} are the most"
        raise ItemError(ErrorCode.TOO_BIG, text)
    return raw


def _short(salt: bytes) -> bytes:
    if len(salt) > MAX_SALT:
        text = f"a salt of {len(salt)} bytes, {MAX_SALT} are the most"
        raise ItemError(ErrorCode.SALT_TOO_BIG, text)
    return salt
