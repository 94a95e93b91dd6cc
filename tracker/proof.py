"""Signs that an address is real, without remembering anybody.

A datagram can name any sender. So whoever wants to ask by UDP first gets a number that only arrives where
the datagram claims to come from: a HMAC over the address and the minute. Nobody can make one for an address
that is not his, and one that was overheard is worth nothing elsewhere or two minutes later. BEP 15 lets
clients use theirs for a minute: it is good for the rest of the minute in which it was given, and the next.
"""

import hmac
from collections import OrderedDict

__all__ = ["ConnectionIds", "Patience"]

_MINUTE = 60.0  # seconds
_MOST_ADDRESSES = 20_000
_OF_IPV6 = 8  # bytes: the network of one household


class ConnectionIds:
    """`secret` is this process's own; `now` is seconds on one clock, addresses are packed."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def give(self, address: bytes, now: float) -> int:
        return self._sign(address, int(now // _MINUTE))

    def good(self, number: int, address: bytes, now: float) -> bool:
        minute = int(now // _MINUTE)
        return number == self._sign(address, minute) or number == self._sign(address, minute - 1)

    def _sign(self, address: bytes, minute: int) -> int:
        digest = hmac.digest(
            self._secret, address + minute.to_bytes(8, "big", signed=True), "sha256"
        )
        return int.from_bytes(digest[:8], "big")


class Patience:
    """How many answers an address gets before it has proven to be real: so many a second, on average.

    Who floods us in the name of somebody else makes us send him that much, and no more.
    """

    def __init__(self, rate: float, burst: float) -> None:
        self._rate, self._burst = rate, burst
        self._left: OrderedDict[bytes, tuple[float, float]] = OrderedDict()

    def allows(self, address: bytes, now: float) -> bool:
        """Whether there is one more for it, which is then taken."""
        who = address if len(address) == 4 else address[:_OF_IPV6]
        left, since = self._left.pop(who, (self._burst, now))
        left = min(self._burst, left + (now - since) * self._rate)
        self._left[who] = (left - 1 if left >= 1 else left, now)
        if len(self._left) > _MOST_ADDRESSES:
            self._left.popitem(last=False)
        return left >= 1
