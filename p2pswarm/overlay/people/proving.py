"""Who somebody is: ours shown to a super node, and what others show to us.

Whoever wants to be rung, or to ring, signs the nonce of its connection with the key that its certificate
names. A super node needs the certificate of the authority for that, and nothing of the login service itself.

The one hard thing: who stands between could pass on a super node's nonce and our proof, and be rung there in
our place. So where we dialed is signed, too, and a super node refuses what was signed for another host. It
must know its own for that: behind a router it is told, and nearer than the Internet, where any router or
container translates without telling, nothing is refused. Who stands on the way to a super node's own
address is not kept out: that would take encryption.
"""

from collections.abc import Callable, Iterable
from typing import Protocol

from p2pswarm.errors import NetworkError, RemoteProtocolError
from p2pswarm.formats.ids import Address
from p2pswarm.formats.people.certificate import Authority, Certificate, Revocations
from p2pswarm.formats.people.record import Record
from p2pswarm.formats.signing import SigningKey, is_signed
from p2pswarm.formats.zones import Zone, zone_of
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
        self.here: Callable[[], Iterable[Address]] = tuple
        """Where we are as a super node, as far as so many others told us that no one of them can lie."""

    def show(self, nonce: bytes, node: bytes, at: Address) -> Prove | None:
        """What we say to the super node `node`, dialed there; None while we have no name."""
        who = self.who
        if who.certificate is None:
            return None
        return Prove(who.certificate.der, at, who.key.sign(proof(nonce, node, at)))

    def check(self, shown: Prove, nonce: bytes, local: Address) -> Certificate:
        """Who shows us that; `local` is our end of the connection.

        Raises FormatError, RemoteProtocolError, NetworkError.
        """
        certificate = Certificate.parse(shown.certificate)
        self._authority.check(certificate, self._wall(), self.who.revoked)
        signed = proof(nonce, self._node, shown.at)
        if not is_signed(signed, shown.signature, certificate.key):
            raise RemoteProtocolError(f"whoever says to be {certificate.name} has not signed it")
        if self._is_elsewhere(shown.at, local):
            raise RemoteProtocolError(f"you dialed {shown.at}, which is not here")
        return certificate

    def _is_elsewhere(self, at: Address, local: Address) -> bool:
        """Whether we know our hosts of that kind on the Internet, and it is none of them."""
        at = at.normal
        ours = [each.normal for each in (local, *self.here()) if _is_public(each)]
        known = {each.host for each in ours if type(each.ip) is type(at.ip)}
        return _is_public(at) and bool(known) and at.host not in known

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


def _is_public(address: Address) -> bool:
    return zone_of(address.host) is Zone.INTERNET
