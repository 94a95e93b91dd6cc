"""Who may change an item: the holder of an ed25519 key (BEP 44).

It is imported when the first signature comes: most nodes see none for hours, and cryptography takes long.
"""

import secrets

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from p2pswarm.errors import LocalProtocolError

__all__ = ["SEED_SIZE", "SigningKey", "is_signed"]

SEED_SIZE = 32  # bytes


def is_signed(text: bytes, signature: bytes, key: bytes) -> bool:
    """Whether the holder of `key` (32 bytes) signed `text`; a key that is none has signed nothing."""
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, text)
    except (ValueError, InvalidSignature):
        return False
    return True


class SigningKey:
    """The secret of somebody who publishes: 32 random bytes, the seed of RFC 8032."""

    def __init__(self, seed: bytes) -> None:
        if len(seed) != SEED_SIZE:
            raise LocalProtocolError(f"the secret of a key has {SEED_SIZE} bytes, not {len(seed)}")
        self.seed = seed
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self.public = self._key.public_key().public_bytes_raw()

    @classmethod
    def new(cls) -> "SigningKey":
        return cls(secrets.token_bytes(SEED_SIZE))

    def sign(self, text: bytes) -> bytes:
        return self._key.sign(text)
