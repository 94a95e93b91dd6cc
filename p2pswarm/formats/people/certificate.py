"""Who says that a key is somebody's: certificates of X.509, their authority, and what it took back.

A certificate has one form here, the smallest (RFC 5280, RFC 8410): an ed25519 key, a common name, a period;
signed with ed25519. It travels in every record and every TLS handshake, so small counts; whatever has
another form is none of ours.

The one hard thing: these bytes come from strangers. They are measured before they are parsed, and whatever
the library says about them is a FormatError. The room is imported late: `cryptography` takes long.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Self, TypeVar

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.utils import CryptographyDeprecationWarning
from cryptography.x509.oid import ExtensionOID, NameOID, SignatureAlgorithmOID

from p2pswarm.errors import FormatError
from p2pswarm.formats.people.names import parse_name
from p2pswarm.formats.signing import is_signed

__all__ = ["MAX_CERTIFICATE", "MAX_REVOCATIONS", "Authority", "Certificate", "Revocations"]

MAX_CERTIFICATE = 400  # bytes; the longest name makes about 300
MAX_REVOCATIONS = 64 << 10  # bytes
_MAX_PEM = 4 << 10  # bytes
_SKEW = 86_400  # seconds that a certificate may begin in the future: clocks differ

_T = TypeVar("_T")

# Of numbers that are not positive; we refuse them, and no stranger writes on the user's screen.
warnings.filterwarnings("ignore", "Parsed a ", CryptographyDeprecationWarning)


@dataclass(frozen=True, slots=True)
class Certificate:
    """A name, the device key that it belongs to, and for how long; whether it is true, `Authority` says."""

    der: bytes = field(repr=False)
    name: str
    key: bytes = field(repr=False)
    serial: int
    begins: int  # seconds since 1970, as `ends`
    ends: int
    issuer: str = field(repr=False)

    @classmethod
    def parse(cls, der: bytes) -> Self:
        """Raises FormatError."""
        return _guarded("a certificate", MAX_CERTIFICATE, der, cls._parse)

    @classmethod
    def of_pem(cls, text: bytes) -> Self:
        """As the owner keeps it. Raises FormatError."""
        der = _guarded("a certificate", _MAX_PEM, text, _der_of_pem)
        return cls.parse(der)

    @property
    def pem(self) -> bytes:
        return _pem_of_der(self.der)

    @classmethod
    def _parse(cls, der: bytes) -> Self:
        certificate = x509.load_der_x509_certificate(der)
        if _may_sign(certificate):
            raise FormatError("a certificate of an authority, not of somebody")
        name = _common_name(certificate.subject)
        if parse_name(name) != name:
            raise FormatError(f"a certificate of {name!r}, which is not how that name is written")
        return cls(
            der,
            name,
            _key_in(certificate),
            certificate.serial_number,
            int(certificate.not_valid_before_utc.timestamp()),
            int(certificate.not_valid_after_utc.timestamp()),
            _common_name(certificate.issuer),
        )


@dataclass(frozen=True, slots=True)
class Authority:
    """The certificate of a login service: what its key signed is believed."""

    der: bytes = field(repr=False)
    name: str
    key: bytes = field(repr=False)

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Of DER or PEM. Raises FormatError."""
        return _guarded("an authority", _MAX_PEM, data, cls._parse)

    @classmethod
    def _parse(cls, data: bytes) -> Self:
        is_text = data.lstrip().startswith(b"-----BEGIN")
        der = _der_of_pem(data) if is_text else data
        certificate = x509.load_der_x509_certificate(der)
        if not _may_sign(certificate):
            raise FormatError("the certificate of somebody, not of an authority")
        key, text = _key_in(certificate), certificate.tbs_certificate_bytes
        if not is_signed(text, certificate.signature, key):
            raise FormatError("an authority that has not signed itself")
        return cls(der, _common_name(certificate.subject), key)

    @property
    def fingerprint(self) -> str:
        """To compare by eye."""
        return sha256(self.der).hexdigest()

    @property
    def pem(self) -> bytes:
        return _pem_of_der(self.der)

    def check(
        self, certificate: Certificate, now: float, revoked: "Revocations | None" = None
    ) -> None:
        """Raises FormatError with the reason when the certificate does not hold at `now`, since 1970."""
        signed = x509.load_der_x509_certificate(certificate.der)
        text, signature = signed.tbs_certificate_bytes, signed.signature
        if certificate.issuer != self.name or not is_signed(text, signature, self.key):
            raise FormatError(f"the certificate of {certificate.name} is of another login service")
        if now > certificate.ends:
            raise FormatError(f"the certificate of {certificate.name} has expired")
        if now < certificate.begins - _SKEW:
            raise FormatError(
                f"the certificate of {certificate.name} begins in the future: is the clock right?"
            )
        if revoked is not None and certificate.serial in revoked.serials:
            raise FormatError(f"the certificate of {certificate.name} has been revoked")


@dataclass(frozen=True, slots=True)
class Revocations:
    """The certificates that an authority took back before their end (a CRL of RFC 5280): newest wins.

    It never grows old: whoever finds the login service gone goes on with the last one.
    """

    der: bytes = field(repr=False)
    number: int
    serials: frozenset[int] = field(repr=False)

    @classmethod
    def parse(cls, der: bytes, authority: Authority) -> Self:
        """Raises FormatError, also for what that authority has not signed."""
        return _guarded(
            "a list of revocations", MAX_REVOCATIONS, der, lambda der: cls._parse(der, authority)
        )

    @classmethod
    def _parse(cls, der: bytes, authority: Authority) -> Self:
        crl = x509.load_der_x509_crl(der)
        issued = _common_name(crl.issuer) == authority.name
        if not issued or not is_signed(crl.tbs_certlist_bytes, crl.signature, authority.key):
            raise FormatError("a list of revocations of another login service")
        number = crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
        return cls(der, number, frozenset(each.serial_number for each in crl))


def _guarded(what: str, most: int, data: bytes, parse: Callable[[bytes], _T]) -> _T:
    """What `parse` makes of the bytes; measured first, and with every complaint of the library translated."""
    if len(data) > most:
        raise FormatError(f"{what} of {len(data)} bytes, at most {most} are read")
    try:
        return parse(data)
    except FormatError:
        raise
    except (
        ValueError,
        TypeError,
        OverflowError,
        CryptographyDeprecationWarning,  # where somebody makes errors of warnings
        UnsupportedAlgorithm,
        x509.InvalidVersion,
        x509.DuplicateExtension,
        x509.ExtensionNotFound,
        x509.UnsupportedGeneralNameType,
    ) as error:
        raise FormatError(f"{what} that cannot be read") from error


def _der_of_pem(text: bytes) -> bytes:
    return x509.load_pem_x509_certificate(text).public_bytes(Encoding.DER)


def _pem_of_der(der: bytes) -> bytes:
    return x509.load_der_x509_certificate(der).public_bytes(Encoding.PEM)


def _key_in(certificate: x509.Certificate) -> bytes:
    """Its ed25519 key, where that and the signature are all that it is made of."""
    key, by = certificate.public_key(), certificate.signature_algorithm_oid
    if not isinstance(key, Ed25519PublicKey) or by != SignatureAlgorithmOID.ED25519:
        raise FormatError("a certificate that is not of ed25519")
    if certificate.version is not x509.Version.v3 or certificate.serial_number <= 0:
        raise FormatError("a certificate without a version or a number")
    if certificate.not_valid_after_utc <= certificate.not_valid_before_utc:
        raise FormatError("a certificate that ends before it begins")
    return key.public_bytes_raw()


def _may_sign(certificate: x509.Certificate) -> bool:
    """Whether it is an authority's; a certificate of ours says that, and nothing else."""
    extensions = list(certificate.extensions)
    if [each.oid for each in extensions] != [ExtensionOID.BASIC_CONSTRAINTS]:
        raise FormatError("a certificate with other extensions than ours have")
    constraints = extensions[0].value
    return isinstance(constraints, x509.BasicConstraints) and constraints.ca


def _common_name(name: x509.Name) -> str:
    """The only thing that a name of ours says."""
    parts = list(name)
    if len(parts) != 1 or parts[0].oid != NameOID.COMMON_NAME:
        raise FormatError("a certificate that says more than a common name")
    value = parts[0].value
    if not isinstance(value, str) or not value.isascii() or not value.isprintable():
        raise FormatError("a certificate whose common name is no text")
    return value
