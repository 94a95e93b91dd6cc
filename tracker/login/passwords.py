"""Passwords as argon2id hashes (RFC 9106, its second recommended choice: 64 MiB, about 50 ms).

The one hard thing: a name without a password, and a name that nobody has, must take as long as one with a
wrong password; so there is always a hash to compare with.
"""

import secrets

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

__all__ = ["Passwords"]


class Passwords:
    """For one thread at a time: each hash takes 64 MiB."""

    def __init__(self) -> None:
        self._hasher = PasswordHasher()
        self._nobodys = self._hasher.hash(secrets.token_hex())

    def hash(self, password: str) -> str:
        return self._hasher.hash(password)

    def fits(self, password: str, known: str | None) -> bool:
        """Whether it is the one that `known` is the hash of; None fits no password, and takes as long."""
        try:
            self._hasher.verify(known or self._nobodys, password)
        except (VerificationError, InvalidHashError):
            return False
        return known is not None
