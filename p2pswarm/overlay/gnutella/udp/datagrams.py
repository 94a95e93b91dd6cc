"""Gnutella's datagrams: read, held to limits, and handed to whoever takes care of them.

What comes is for somebody who waits for that GUID (`expect`), or else for the room of its kind (`route`).
What goes out is counted here, and an answer only goes when the account of its receiver allows it.

The one hard thing: who is named as the sender may not have sent it. So nothing that a datagram says is
passed on, and nobody gets more than was received in that name, before a key has been shown (`senders`,
`keys`).
"""

from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from p2pswarm.errors import LocalProtocolError
from p2pswarm.formats.ids import Address
from p2pswarm.overlay.gnutella.udp.senders import Senders, sender_name
from p2pswarm.overlay.remembering import remember
from p2pswarm.wire.gnutella.descriptor import HEADER_SIZE, Descriptor, Guid, read_datagram

__all__ = ["Datagrams", "Heard", "Listener"]

MOST_EXPECTED = 1024  # GUIDs somebody waits for; a search has two
MOST_WRITTEN = 4096  # hosts we remember to have written to
WRITTEN = 600.0  # seconds for which a firewall may let answers in; most forget after two minutes
_KIND_AT = 16


@dataclass(frozen=True, slots=True)
class Heard:
    """One message that came by UDP, where it says it came from, when, and how many bytes it had."""

    head: Descriptor
    address: Address
    now: float
    size: int


Listener = Callable[[Heard], bool]
"""Looks at what came with an expected GUID; False when it is for another. May raise RemoteError."""


class Datagrams:
    """`got` is the port's handler. Rooms `route` their kinds and `send`."""

    def __init__(self, send: Callable[[bytes, Address], None], clock: Callable[[], float]) -> None:
        self._send, self.clock = send, clock
        self.senders = Senders(clock())
        self.dropped: Counter[str] = Counter()
        """Datagrams that went no further, and answers that were not sent, by reason."""
        self.bytes_in = self.bytes_out = 0
        self._rooms: dict[int, Callable[[Heard], None]] = {}
        self._expected: dict[Guid, Listener] = {}
        self._written: OrderedDict[str, float] = OrderedDict()

    def route(self, kind: int, room: Callable[[Heard], None]) -> None:
        """Who takes care of messages of this kind. It may raise RemoteError."""
        self._rooms[kind] = room

    def expect(self, guid: Guid, listener: Listener) -> None:
        """Whatever comes with this GUID goes to `listener` first, until `forget`."""
        if len(self._expected) >= MOST_EXPECTED:
            raise LocalProtocolError(f"{MOST_EXPECTED} answers by UDP are waited for already")
        self._expected[guid] = listener

    def forget(self, guid: Guid) -> None:
        self._expected.pop(guid, None)

    def got(self, data: bytes, address: Address) -> None:
        """Raises RemoteError for what is no message, which changes nothing."""
        now, address = self.clock(), address.normal
        self.bytes_in += len(data)
        ip = address.ip
        if ip is None or ip.version != 4 or not address.dialable:  # messages have no place for IPv6
            self.dropped["nowhere"] += 1
            return
        if len(data) >= HEADER_SIZE and not self.senders.takes(
            data[_KIND_AT], address, len(data), now
        ):
            self.dropped["flood"] += 1
            return
        heard = Heard(read_datagram(data), address, now, len(data))
        listener = self._expected.get(heard.head.guid)
        if listener is not None and listener(heard):
            return
        room = self._rooms.get(heard.head.kind)
        if room is None:
            self.dropped["not wanted"] += 1
        else:
            room(heard)

    def send(self, message: Descriptor, to: Address) -> int:
        """What we want to say ourselves, or to an address that is proven; how many bytes that are."""
        data = message.encode()
        self.bytes_out += len(data)
        name = sender_name(to)
        remember(self._written, name, self.clock(), MOST_WRITTEN)
        self._send(data, to)
        return len(data)

    def answer(self, heard: Heard, message: Descriptor) -> bool:
        """Send it to who may have asked; False when that would be too much."""
        size = HEADER_SIZE + len(message.payload)
        if not self.senders.may_answer(heard.address, size, heard.now):
            self.dropped["too large"] += 1
            return False
        self.send(message, heard.address)
        return True

    def wrote_to(self, address: Address) -> bool:
        """Whether we did in the last minutes, so that its datagrams may be answers for a firewall."""
        return self._written.get(sender_name(address), float("-inf")) > self.clock() - WRITTEN
