"""Challenges that nobody has to remember: the time, and a HMAC over it.

Whoever signs one was there in the last minute or two. Sans-IO.
"""

import hmac

from p2pswarm.wire.login import CHALLENGE_SIZE

__all__ = ["Challenges"]

_GOOD_FOR = 120.0  # seconds; a slow link and an argon2 hash fit into it
_TIME = 8  # bytes


class Challenges:
    """`secret` is this process's own; `now` is seconds on one clock."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def give(self, now: float) -> bytes:
        return self._signed(int(now * 1000).to_bytes(_TIME, "big", signed=True))

    def good(self, challenge: bytes, now: float) -> bool:
        """Whether it is one of ours, and fresh."""
        moment = challenge[:_TIME]
        if not hmac.compare_digest(challenge, self._signed(moment)):
            return False
        age = now - int.from_bytes(moment, "big", signed=True) / 1000
        return 0 <= age <= _GOOD_FOR

    def _signed(self, moment: bytes) -> bytes:
        return moment + hmac.digest(self._secret, moment, "sha256")[: CHALLENGE_SIZE - _TIME]
