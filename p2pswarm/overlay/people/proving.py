"""Who somebody is: ours shown to a super node, and what others show to us.

Whoever wants to be rung, or to ring, signs the nonce of its connection with the key that its certificate
names. A super node needs the certificate of the authority for that, and nothing of the login service itself.
"""

from collections.abc import Callable
from typing import Protocol

from p2pswarm.errors import NetworkError, RemoteProtocolError
from p2pswarm.formats.people.certificate import Authority, Certificate, Revocations
from p2pswarm.formats.people.record import Record
from p2pswarm.formats.signing import SigningKey, is_signed
from p2pswarm.wire.people.ringing import Prove, proof

__all__ = ["Proofs", "Who"]


class Who(Protocol):
    """Who we are and whom we believe, as it is at this moment."""

    @property
    def key(self) -> SigningKey:
        """The one of this device."""

    @property
    def certificate(self) -> Certificate | None:
        """None while we have no name."""

    @property
    def authority(self) -> Authority | None:
        """None while we know no login service."""

    @property
    def revoked(self) -> Revocations | None:
        """What the authority took back, as far as we know."""


class Proofs:
    """`node` is our own name as a super node; `wall` is the world's clock, in which certificates end."""

    def __init__(self, who: Who, node: bytes, wall: Callable[[], float]) -> None:
        self.who, self._node, self._wall = who, node, wall

    def show(self, nonce: bytes, node: bytes) -> Prove | None:
        """What we say to the super node `node`; None while we have no name."""
        who = self.who
        if who.certificate is None:
            return None
        return Prove(who.certificate.der, who.key.sign(proof(nonce, node)))

    def check(self, shown: Prove, nonce: bytes) -> Certificate:
        """Who shows us that. Raises FormatError, RemoteProtocolError, NetworkError."""
        certificate = Certificate.parse(shown.certificate)
        self._authority.check(certificate, self._wall(), self.who.revoked)
        if not is_signed(proof(nonce, self._node), shown.signature, certificate.key):
            raise RemoteProtocolError(f"whoever says to be {certificate.name} has not signed it")
        return certificate

    def record(self, data: bytes) -> Record:
        """A record that is true, as far as signatures say. Raises FormatError, NetworkError."""
        record = Record.parse(data)
        record.check(self._authority, self._wall(), self.who.revoked)
        return record

    @property
    def _authority(self) -> Authority:
        if self.who.authority is None:
            raise NetworkError("no login service is known here, so nobody can be believed")
        return self.who.authority
