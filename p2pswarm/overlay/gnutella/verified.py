"""Bytes held until the tiger tree says that they are right: a sink before the sink."""

from p2pswarm.errors import LocalProtocolError
from p2pswarm.formats.thex import TigerTree
from p2pswarm.overlay.talk import Sink

__all__ = ["Verified"]


class Verified:
    """Begins at `offset`, where a span of the tree begins. `wrong` is where the damage is."""

    def __init__(self, tree: TigerTree, offset: int, sink: Sink) -> None:
        if offset % tree.span:
            raise LocalProtocolError(f"byte {offset} is within a span of {tree.span} bytes")
        self.wrong: range | None = None
        self.passed = 0  # bytes
        self._tree = tree
        self._at = offset
        self._sink = sink
        self._held = bytearray()

    def __call__(self, data: bytes) -> bool:
        self._held += data
        going = True
        while going and self._held:
            length = min(self._tree.span, self._tree.size - self._at)
            if len(self._held) < length:
                break
            going = self._check(bytes(self._held[:length]))
            del self._held[:length]
        return going

    def _check(self, span: bytes) -> bool:
        if not self._tree.verify(self._at // self._tree.span, span):
            self.wrong = range(self._at, self._at + len(span))
            return False
        self._at += len(span)
        self.passed += len(span)
        return self._sink(span)
