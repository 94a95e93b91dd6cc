"""People with keys and certificates, and the authority that signed them; always the same ones."""

from collections.abc import Sequence
from functools import lru_cache
from hashlib import sha256

from p2pswarm.formats.ids import Address
from p2pswarm.formats.people.certificate import Authority, Certificate
from p2pswarm.formats.people.issuing import Issuer
from p2pswarm.formats.people.record import Record
from p2pswarm.formats.signing import SigningKey

__all__ = ["DAY", "NOW", "Person", "authority", "issuer", "person"]

DAY = 86_400
NOW = 1_800_000_000  # seconds since 1970; certificates hold from then on


@lru_cache
def issuer(which: int = 0) -> Issuer:
    """A login service's authority with its secret."""
    return Issuer.new(sha256(b"authority %d" % which).digest(), NOW)


def authority(which: int = 0) -> Authority:
    return issuer(which).authority


class Person:
    """Somebody with a device key and a certificate."""

    def __init__(
        self, name: str, *, days: float = 90, by: int = 0, serial: int | None = None
    ) -> None:
        self.key = SigningKey(sha256(b"device of " + name.encode()).digest())
        number = serial or int.from_bytes(sha256(name.encode()).digest()[:7], "big") | 1
        self.certificate: Certificate = issuer(by).issue(
            name, self.key.public, number, NOW, NOW + days * DAY
        )
        self.name = self.certificate.name

    def record(
        self,
        seq: int = NOW * 1000,
        *,
        ttl: int = 72 * 3600,
        addresses: Sequence[Address] = (),
        homes: Sequence[Address] = (),
    ) -> Record:
        return Record.sign(
            self.key, self.certificate, seq=seq, ttl=ttl, addresses=addresses, homes=homes
        )


@lru_cache(maxsize=10_000)
def person(name: str) -> Person:
    return Person(name)
