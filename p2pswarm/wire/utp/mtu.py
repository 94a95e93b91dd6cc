"""How large a packet the path takes, found by trying (RFC 8899), between 576 bytes and Ethernet's 1500.

A probe is filled up with padding beside a payload that is known to fit. So a lost one is sent again without,
and nothing is ever fragmented: routers drop what is too large.

The one hard thing: a probe may be lost as everything else is lost. It is believed to be too large only after
two losses of that size.
"""

from p2pswarm.wire.utp.packet import LEAST_PADDING

__all__ = ["PathMtu"]

_HEADERS = {4: 20 + 8, 6: 40 + 8}  # of IP and UDP
_SMALLEST = {4: 576, 6: 1280}  # RFC 791, RFC 8200
_LARGEST = 1500
_NEAR = 2 * LEAST_PADDING  # bytes; nearer it is not searched
_LOSSES = 2


class PathMtu:
    """Sizes are those of whole uTP packets. Invariant: `size` is the smallest, or has arrived once."""

    def __init__(self, version: int) -> None:
        self.size = _SMALLEST[version] - _HEADERS[version]
        self._top = _LARGEST - _HEADERS[version]  # nothing larger is tried
        self._tried = self._top  # first the largest: most paths take it
        self._losses = 0
        self._seq: int | None = None
        self.probe: int | None = self._tried
        """The size to try now; None while one is on its way, or when all is known."""

    def sent(self, seq: int) -> None:
        """The packet with this number is the probe."""
        self._seq, self.probe = seq, None

    def arrived(self, seq: int) -> None:
        """It was acked: if it was the probe, the path takes its size."""
        if seq == self._seq:
            self.size = self._tried
            self._next()

    def lost(self, seq: int) -> bool:
        """Whether it was the probe, and so no sign that the path is full."""
        if seq != self._seq:
            return False
        self._seq, self.probe = None, self._tried
        self._losses += 1
        if self._losses == _LOSSES:
            self._top = self._tried - 1
            self._next()
        return True

    def _next(self) -> None:
        self._seq, self._losses = None, 0
        middle = (self.size + self._top + 1) // 2
        self._tried = middle if self._top - self.size >= _NEAR else self.size
        self.probe = self._tried if self._tried > self.size else None
