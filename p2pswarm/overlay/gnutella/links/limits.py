"""How much is too much: what one neighbour may send of each kind, how far a message may go.

A neighbour that is over its limit is not punished: the message is dropped, as its own flow control would
have done. Only one that goes on for minutes, or whose messages are broken, is sent away. Figures are
several times what an honest program sends, since a false alarm costs a neighbour and a missed one only some
work. Sans-IO.
"""

from p2pswarm.overlay.gnutella.links.agreement import FLAT_TTL
from p2pswarm.overlay.limits import Tokens
from p2pswarm.wire.gnutella.descriptor import Kind

__all__ = ["Allowance", "clamp"]

_ABSURD_TTL = 15  # beyond it a message is a lie and is dropped
_ABSURD_HOPS = 10  # a query starts with a TTL of at most 10, so it cannot have come farther


def clamp(ttl: int, hops: int) -> tuple[int, int] | None:
    """TTL and hops as they count for us, before our own hop; None is to be dropped.

    A TTL of 0 comes back when it has come as far as it may: it is answered, but goes no farther.
    """
    if not 0 <= ttl <= _ABSURD_TTL or not 0 <= hops <= _ABSURD_HOPS:
        return None
    return max(0, min(ttl, FLAT_TTL - hops)), hops


# (a second, saved up) for each kind. A leaf speaks for one person and the downloads of one program. An
# ultrapeer speaks for thirty leaves and some neighbours: with dynamic querying 5 to 20 queries a second.
_LEAF: dict[int, tuple[float, float]] = {
    Kind.PING: (1.0, 1.0),  # the pong caching proposal: at most one a second is answered
    Kind.PONG: (5.0, 50.0),  # its own, and a few
    Kind.ROUTES: (4.0, 300.0),  # a table of a million slots in pieces of 4 KiB is 128 pieces
    Kind.VENDOR: (5.0, 100.0),  # query status, push proxies, hops flow
    Kind.STANDARD_VENDOR: (5.0, 100.0),
    Kind.PUSH: (2.0, 50.0),  # a download with many firewalled sources asks all of them at once
    Kind.QUERY: (
        1.0,
        30.0,
    ),  # a person asks twice a minute; a program looks for sources of all its downloads
    Kind.HIT: (
        10.0,
        300.0,
    ),  # up to ten files each; a browse of thousands of files is not sent this way
}
_ULTRAPEER: dict[int, tuple[float, float]] = {
    **_LEAF,
    Kind.PONG: (20.0, 200.0),  # ten for each of our pings, and some that were multiplexed
    Kind.PUSH: (20.0, 200.0),
    Kind.QUERY: (50.0, 500.0),
    Kind.HIT: (100.0, 2000.0),  # hits for all our leaves may come over one link
}
_OTHER = (5.0, 50.0)  # kinds that nobody knows
# Patches, in usual ones (64Ki slots of 4 bits), each a third of a millisecond; the largest is 64 of them.
_PATCHES = (0.5, 64.0)
USUAL_PATCH = 32 << 10  # bytes, unpacked
# Bytes of a message; the specification drops what is larger, here it counts as several
LARGE = 4096
_PATIENCE = (20.0, 5000.0)  # messages over the limit: a storm of some minutes, then it is an attack
_MISTAKES = (
    1 / 30,
    10.0,
)  # broken messages: some programs send one now and then, nobody ten in a row


class Allowance:
    """What one neighbour may send. One that became a leaf gets a new one."""

    __slots__ = ("_buckets", "_mistakes", "_patches", "_patience", "_rates")

    def __init__(self, now: float, *, leaf: bool) -> None:
        self._rates = _LEAF if leaf else _ULTRAPEER
        self._buckets: dict[int, Tokens] = {}
        self._patience = Tokens(*_PATIENCE, now)
        self._mistakes = Tokens(*_MISTAKES, now)
        self._patches = Tokens(*_PATCHES, now)

    def takes(self, kind: int, now: float, size: int = 0) -> bool:
        """Whether a message of this kind and size is looked at; otherwise it is dropped."""
        if kind == Kind.BYE:
            return True
        if kind not in self._rates:
            kind = -1
        bucket = self._buckets.get(kind)
        if bucket is None:
            bucket = self._buckets[kind] = Tokens(*self._rates.get(kind, _OTHER), now)
        return bucket.take(now, max(size / LARGE, 1.0))

    def bears(self, now: float) -> bool:
        """After a refusal: whether we stay patient. When not, the neighbour gets BYE 400 and goes."""
        return self._patience.take(now)

    def patch(self, now: float, size: int) -> bool:
        """A patch is complete that has so many bytes when it is unpacked; False when that is too much."""
        return self._patches.take(now, max(size / USUAL_PATCH, 1.0))

    def forgives(self, now: float) -> bool:
        """A broken message came; False when it was one too many, and the neighbour goes (BYE)."""
        return self._mistakes.take(now)
