"""What goes over a link: counted, and cut into descriptors as it comes."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from p2pswarm.errors import RemoteProtocolError
from p2pswarm.overlay.gnutella.links.agreement import Agreement
from p2pswarm.wire.framer import Framer, Scratch
from p2pswarm.wire.gnutella.deflate import InflatingFramer
from p2pswarm.wire.gnutella.descriptor import DescriptorFramer

__all__ = ["LinkFramer", "Traffic"]


@dataclass(slots=True)
class Traffic:
    """What went one way: messages and their bytes by kind, and bytes as they travelled."""

    messages: Counter[int] = field(default_factory=Counter)
    bytes: Counter[int] = field(default_factory=Counter)
    wire: int = 0

    def count(self, kind: int, size: int) -> None:
        self.messages[kind] += 1
        self.bytes[kind] += size


class LinkFramer:
    """Cuts descriptors, inflated if that was agreed; a stream that makes no sense ends in its error."""

    def __init__(self, agreement: Agreement, scratch: Scratch | None, traffic: Traffic) -> None:
        inner: Framer = DescriptorFramer(scratch)
        self._inner = InflatingFramer(inner, scratch) if agreement.inflate else inner
        self._traffic = traffic

    def get_buffer(self, hint: int = -1) -> memoryview:
        return self._inner.get_buffer(hint)

    def received(self, n: int) -> Iterator[object]:
        """Descriptors, and at the end the RemoteProtocolError, as a message like them."""
        self._traffic.wire += n
        try:
            yield from self._inner.received(n)
        except RemoteProtocolError as error:
            yield error

    def unread(self) -> bytes:
        return self._inner.unread()
