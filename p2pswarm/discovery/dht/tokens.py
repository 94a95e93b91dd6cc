"""Write tokens (BEP 5): who announces must have asked us before, from the same address.

Stateless: a token is a checksum of the address under a secret that changes every five minutes, and the last
secret still counts, so that a token lives for five to ten minutes. Sans-IO.
"""

import hmac
from hashlib import blake2b
from random import Random

from p2pswarm.formats.ids import Address

__all__ = ["Tokens"]


class Tokens:
    """`dice` nobody can guess."""

    ROTATED = 300.0  # seconds

    def __init__(self, dice: Random, now: float) -> None:
        self._dice = dice
        self._secrets = (dice.randbytes(32), dice.randbytes(32))  # this one, the one before
        self._turned = now

    def make(self, address: Address, now: float) -> bytes:
        self._turn(now)
        return _token(self._secrets[0], address)

    def valid(self, token: bytes, address: Address, now: float) -> bool:
        self._turn(now)
        return any(hmac.compare_digest(token, _token(each, address)) for each in self._secrets)

    def _turn(self, now: float) -> None:
        passed = now - self._turned
        if passed >= self.ROTATED:
            late = passed >= 2 * self.ROTATED
            fresh = self._dice.randbytes(32)
            self._secrets = (fresh, self._dice.randbytes(32) if late else self._secrets[0])
            self._turned = now


def _token(secret: bytes, address: Address) -> bytes:
    """Of the host only: some ask and announce from different ports."""
    ip = address.ip
    assert ip is not None, "datagrams come from addresses"
    return blake2b(ip.packed, key=secret, digest_size=8).digest()
