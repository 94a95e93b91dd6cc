"""The pen of an authority: certificates and lists of revocations are signed here.

Only the login service has the key. Sans-IO: times and serial numbers are arguments.
"""

from collections.abc import Iterable
from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from p2pswarm.errors import LocalProtocolError
from p2pswarm.formats.people.certificate import Authority, Certificate, Revocations
from p2pswarm.formats.people.names import parse_name

__all__ = ["Issuer", "new_authority"]

_CENTURY = 100 * 365 * 86_400  # an authority ends when its key is lost, not by the calendar


class Issuer:
    """An authority with its secret."""

    def __init__(self, seed: bytes, authority: Authority) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        if self._key.public_key().public_bytes_raw() != authority.key:
            raise LocalProtocolError("the key is not the one of the authority's certificate")
        self.authority = authority

    @classmethod
    def new(cls, seed: bytes, now: float = 0) -> "Issuer":
        return cls(seed, new_authority(seed, now))

    def issue(self, name: str, key: bytes, serial: int, begins: float, ends: float) -> Certificate:
        """Raises FormatError for a name that is none, LocalProtocolError for a key."""
        try:
            holder = Ed25519PublicKey.from_public_bytes(key)
        except ValueError as error:
            raise LocalProtocolError("a certificate needs a key of 32 bytes") from error
        built = _builder(parse_name(name), self.authority.name, serial, begins, ends)
        built = built.public_key(holder).add_extension(x509.BasicConstraints(False, None), True)
        return Certificate.parse(built.sign(self._key, None).public_bytes(Encoding.DER))

    def revoke(self, serials: Iterable[int], number: int, now: float) -> Revocations:
        """The list of all that do not hold any more. Raises FormatError when it is too long."""
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(_name(self.authority.name))
            .last_update(_date(now))
            .next_update(_date(now + _CENTURY))
            .add_extension(x509.CRLNumber(number), False)
        )
        for serial in serials:
            revoked = x509.RevokedCertificateBuilder().serial_number(serial)
            builder = builder.add_revoked_certificate(revoked.revocation_date(_date(now)).build())
        der = builder.sign(self._key, None).public_bytes(Encoding.DER)
        return Revocations.parse(der, self.authority)


def new_authority(seed: bytes, now: float = 0) -> Authority:
    """The certificate that a key signs for itself. Its name has a part of the key: no two are alike."""
    key = Ed25519PrivateKey.from_private_bytes(seed)
    public = key.public_key()
    name = f"p2pswarm login {public.public_bytes_raw()[:4].hex()}"
    built = _builder(name, name, 1, now, now + _CENTURY).public_key(public)
    built = built.add_extension(x509.BasicConstraints(True, 0), True)
    return Authority.parse(built.sign(key, None).public_bytes(Encoding.DER))


def _builder(
    subject: str, issuer: str, serial: int, begins: float, ends: float
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .issuer_name(_name(issuer))
        .serial_number(serial)
        .not_valid_before(_date(begins))
        .not_valid_after(_date(ends))
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _date(seconds: float) -> datetime:
    return datetime.fromtimestamp(int(seconds), UTC)
