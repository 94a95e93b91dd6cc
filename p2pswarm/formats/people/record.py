"""What somebody publishes of himself: his certificate, and where he is. Signed by his device key.

The super nodes of a slot keep it; nobody needs to trust them, for whoever asks checks it again. A record has
one form, canonical bencode, because holders compare their copies by hash.

The one hard thing is time: clocks of strangers differ and jump. `ttl` counts from a record's arrival by each
holder's own clock, and `seq`, the milliseconds at signing, is compared only with other records' `seq`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Self

from p2pswarm.errors import FormatError, LocalProtocolError
from p2pswarm.formats import bencode
from p2pswarm.formats.ids import Address, compact, read_compact
from p2pswarm.formats.people.certificate import Authority, Certificate, Revocations
from p2pswarm.formats.people.names import name_hash
from p2pswarm.formats.signing import is_signed

if TYPE_CHECKING:
    from p2pswarm.formats.signing import SigningKey

__all__ = ["MAX_ADDRESSES", "MAX_HOMES", "MAX_RECORD", "MAX_SEQ", "MAX_TTL", "Record"]

MAX_RECORD = 900  # bytes: it fits a datagram
MAX_TTL = 72 * 3600  # seconds
MAX_ADDRESSES, MAX_HOMES = 8, 4
MAX_SEQ = 1 << 53  # what JSON can hold

_CONTEXT = b"p2pswarm record\n"  # what the key signs here is nothing that it signs elsewhere
_SIGNATURE = 64  # bytes
_KEYS = {b"addrs", b"cert", b"homes", b"seq", b"ttl"}


@dataclass(frozen=True, slots=True)
class Record:
    """Where somebody is. Whether it is true, `check` says."""

    certificate: Certificate
    seq: int
    ttl: int  # seconds
    addresses: tuple[Address, ...]
    homes: tuple[Address, ...]
    """Super nodes where he can be rung."""
    raw: bytes = field(repr=False)
    """The record as it travels."""
    text: bytes = field(repr=False)
    """The part of it that is signed."""
    signature: bytes = field(repr=False)

    @property
    def name(self) -> str:
        return self.certificate.name

    @property
    def key(self) -> bytes:
        return self.certificate.key

    @property
    def hash(self) -> bytes:
        """Where in the directory it belongs."""
        return name_hash(self.name)

    @property
    def digest(self) -> bytes:
        """By which holders compare what they have."""
        return sha256(self.text).digest()

    @classmethod
    def sign(
        cls,
        key: "SigningKey",
        certificate: Certificate,
        *,
        seq: int,
        ttl: int = MAX_TTL,
        addresses: Sequence[Address] = (),
        homes: Sequence[Address] = (),
    ) -> Self:
        """Raises LocalProtocolError for what nobody would read."""
        if key.public != certificate.key:
            raise LocalProtocolError("the certificate is not of this key")
        try:
            body: dict[bytes, Any] = {
                b"addrs": [compact(each) for each in addresses],
                b"cert": certificate.der,
                b"homes": [compact(each) for each in homes],
                b"seq": seq,
                b"ttl": ttl,
            }
            signature = key.sign(_CONTEXT + bencode.encode(body))
            return cls.parse(bencode.encode({b"body": body, b"sig": signature}))
        except FormatError as error:
            raise LocalProtocolError(f"such a record cannot be said: {error}") from error

    def encode(self) -> bytes:
        return self.raw

    @classmethod
    def parse(cls, raw: bytes) -> Self:
        """Raises FormatError."""
        outer = bencode.decode(raw, max_depth=3, max_size=MAX_RECORD, max_tokens=64)
        if not isinstance(outer, dict) or outer.keys() != {b"body", b"sig"}:
            raise FormatError("not a record of somebody")
        body, signature = outer[b"body"], outer[b"sig"]
        if not isinstance(body, dict) or body.keys() != _KEYS or bencode.encode(outer) != raw:
            raise FormatError("a record that is not in canonical form")
        if not isinstance(signature, bytes) or len(signature) != _SIGNATURE:
            raise FormatError("a record without a signature")
        where = bencode.span(raw, b"body") or (0, 0)
        return cls(**_values(body), raw=bytes(raw), text=raw[slice(*where)], signature=signature)

    def check(self, authority: Authority, now: float, revoked: Revocations | None = None) -> None:
        """Raises FormatError with the reason when it is not to be believed at `now`, since 1970."""
        authority.check(self.certificate, now, revoked)
        if not is_signed(_CONTEXT + self.text, self.signature, self.key):
            raise FormatError(f"the record of {self.name} is not signed by its key")


def _values(body: dict[bytes, Any]) -> dict[str, Any]:
    der = body[b"cert"]
    if not isinstance(der, bytes):
        raise FormatError("a record without a certificate")
    return {
        "certificate": Certificate.parse(der),
        "seq": _number("seq", body[b"seq"], 1, MAX_SEQ),
        "ttl": _number("ttl", body[b"ttl"], 1, MAX_TTL),
        "addresses": _addresses(body[b"addrs"], MAX_ADDRESSES),
        "homes": _addresses(body[b"homes"], MAX_HOMES),
    }


def _number(key: str, value: object, least: int, most: int) -> int:
    if not isinstance(value, int) or not least <= value <= most:
        raise FormatError(f"the {key} of a record is not a number from {least} to {most}")
    return value


def _addresses(value: object, most: int) -> tuple[Address, ...]:
    if not isinstance(value, list) or len(value) > most:
        raise FormatError(f"a record with more than {most} addresses of a kind")
    return tuple(_address(each) for each in value)


def _address(value: object) -> Address:
    """One that somebody can be at, in its one form: an IPv4 address does not dress up as IPv6."""
    if not isinstance(value, bytes) or len(value) not in (6, 18):
        raise FormatError("a record with an address that is none")
    address = next(iter(read_compact(value, len(value))))
    if not address.dialable or compact(address) != value:
        raise FormatError(f"a record with an address where nobody can be: {address}")
    return address
