"""Keys that prove an address: who shows one has received a datagram where it says it is.

A query by UDP is answered with many times its size, so it needs a query key, which we told that very
address before (query_keys). Nothing is remembered of it: a key is a keyed hash of the address. The secret
changes every five minutes and the one before it still counts, so a key that was seen by others is soon
worth nothing. The tokens of out-of-band hits are made in the same way, for one query each. Sans-IO.
"""

import hmac
import secrets
from collections.abc import Callable

from p2pswarm.formats.ids import Address

__all__ = ["EVERY", "KEY_SIZE", "Keys"]

EVERY = 300.0  # seconds of one secret; the document wants hours at most, and asking again costs 60 bytes
KEY_SIZE = 8  # bytes, of 4 to 16; what is guessed at a rate of millions is found after millennia
_MOST_SIZE = 16
_FORBIDDEN = b"\x00\x1c"  # they end a query's extensions for programs that do not read GGEP
_FILLER = b"\x01" * KEY_SIZE


class Keys:
    """`issue` to an address what it alone can show again, for 5 to 10 minutes."""

    def __init__(self, now: float, noise: Callable[[int], bytes] = secrets.token_bytes) -> None:
        self._noise = noise
        self._turned = now
        self._secrets = (noise(32), noise(32))  # the present one, the one before

    def issue(self, address: Address, now: float, purpose: bytes = b"") -> bytes:
        """For this address, and for nothing but this purpose (a query's GUID; nothing: a query key)."""
        self._turn(now)
        return _mac(self._secrets[0], address, purpose)

    def accepts(self, key: bytes, address: Address, now: float, purpose: bytes = b"") -> bool:
        """Whether we issued it to this address, a short while ago."""
        self._turn(now)
        if len(key) > _MOST_SIZE:
            return False
        known = [_mac(secret, address, purpose) for secret in self._secrets]
        return any(hmac.compare_digest(key, each) for each in known)

    def _turn(self, now: float) -> None:
        passed = now - self._turned
        if passed >= 2 * EVERY:
            self._secrets, self._turned = (self._noise(32), self._noise(32)), now
        elif passed >= EVERY:
            self._secrets, self._turned = (self._noise(32), self._secrets[0]), now


def _mac(secret: bytes, address: Address, purpose: bytes) -> bytes:
    digest = hmac.digest(secret, f"{address.normal} ".encode() + purpose, "sha256")
    return (digest.translate(None, _FORBIDDEN) + _FILLER)[:KEY_SIZE]
