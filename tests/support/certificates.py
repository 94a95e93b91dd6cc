"""An authority and people whom it certified, for tests of TLS: files as a node keeps them."""

import datetime
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509.oid import NameOID

from p2pswarm.net.tls import tls_context

__all__ = ["CALL", "TestAuthority"]

CALL = "p2pswarm-call/1"


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


class TestAuthority:
    """Signs whatever a test wants."""

    __test__ = False

    def __init__(self, folder: Path, name: str = "authority") -> None:
        self.folder = folder
        self.name = _named(name)
        self._key = Ed25519PrivateKey.generate()
        self.der = self._sign(name, self._key, days=(-1, 30), authority=True).public_bytes(
            serialization.Encoding.DER
        )

    def _sign(
        self, name: str, key: Ed25519PrivateKey, *, days: tuple[int, int], authority: bool = False
    ) -> x509.Certificate:
        now = datetime.datetime.now(datetime.UTC)
        begins, ends = (now + datetime.timedelta(days=day) for day in days)
        unsigned = (
            x509.CertificateBuilder()
            .subject_name(_named(name))
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(begins)
            .not_valid_after(ends)
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        )
        return unsigned.sign(self._key, None)

    def person(self, name: str, *, days: tuple[int, int] = (-1, 30)) -> tuple[Path, Path, bytes]:
        """Files of certificate and key, and the certificate's bytes."""
        key = Ed25519PrivateKey.generate()
        certificate = self._sign(name, key, days=days)
        files = self.folder / f"{name}.crt", self.folder / f"{name}.key"
        files[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        files[1].write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return *files, certificate.public_bytes(serialization.Encoding.DER)

    def context(
        self,
        name: str,
        *,
        server: bool,
        purpose: str = CALL,
        days: tuple[int, int] = (-1, 30),
        believes: bytes | None = None,
    ) -> ssl.SSLContext:
        """Of somebody new with this name."""
        certificate, key, _ = self.person(name, days=days)
        authority = believes or self.der
        return tls_context(certificate, key, authority, purposes=[purpose], server=server)
