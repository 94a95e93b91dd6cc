"""What is on its way: packets until they are acked, again when they are lost, and how many at a time.

Numbers of packets say what the other side has; stamps say in which order they left, again or for the first
time. A packet is lost when three that left after it have arrived, whichever they were; so one that is lost
twice is found out as quickly as the first time.

The one hard thing: silence. After a timeout everything counts as lost, and is sent again as the window opens;
but while the other side has said that it has no room, silence is what was asked for, and only one packet now
and then asks whether there is room again.
"""

from collections import deque
from itertools import islice

from p2pswarm.errors import RemoteProtocolError
from p2pswarm.wire.utp.delays import DelayHistory
from p2pswarm.wire.utp.ledbat import Ledbat
from p2pswarm.wire.utp.mtu import PathMtu
from p2pswarm.wire.utp.packet import DATA, FIN, HEADER

__all__ = ["Sender", "Sent"]

SHORTEST_TIMEOUT = 0.5  # seconds
LONGEST_TIMEOUT = 30.0
ASK_AFTER = 0.03  # beyond two round trips
FIRST_TIMEOUT = 1.0  # RFC 6298
REORDERED = 3  # packets that may overtake one
# Packets behind its ack that are not there, if libutp says that what it has is farther
UNHEARD = 31
AT_ONCE = 64  # packets; a whole window at once overflows the 208 KiB that most sockets have
MOST_PACKETS = 1000  # on their way; libutp keeps 1024 that are early


class Sent:
    """One packet on its way."""

    __slots__ = ("kind", "lost", "pad", "payload", "seq", "stamp", "times", "when")

    def __init__(self, kind: int, seq: int, payload: bytes) -> None:
        self.kind = kind
        self.seq = seq
        self.payload = payload
        self.pad = 0  # bytes that make it a probe
        self.stamp = 0
        self.times = 0
        self.when = 0.0
        self.lost = False


class Sender:
    """`seq` is the next number, `acked` the one up to which everything has arrived."""

    def __init__(self, seq: int, window: int, mtu: PathMtu) -> None:
        self.seq = seq
        self.acked = (seq - 1) & 0xFFFF
        self.window = window  # what the other side has room for
        self.mtu = mtu
        self.ledbat = Ledbat()
        self.round_trip = 0.0
        self.timeouts = 0
        """One after the other, with nothing heard between them."""
        self.queued = 0
        """Bytes that are in no packet yet; until then their buffers belong to us."""
        self.hurries = False
        """More may be sent, as soon as others had their turn."""
        self._queue: deque[memoryview] = deque()
        self._flight: dict[int, Sent] = {}  # in the order of their numbers
        self._bytes = 0  # on their way, and not lost
        self._lost: deque[int] = deque()
        self._early = 0  # what of `_flight` has arrived: a bit for each from `acked` + 2
        self._stamp = 0
        self._asked = False  # since something was heard
        self._latest = (0, 0, 0)  # the highest stamps that arrived
        self._variance = 0.0
        self._waiting_since = 0.0
        self._limited = False
        self._ends = False

    # What is to be sent

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self._queue.append(memoryview(data))
        self.queued += len(data)

    def finish(self) -> None:
        """After what was written comes the end."""
        self._ends = True

    def forget(self) -> None:
        """What is in no packet yet is not sent any more."""
        self._queue.clear()
        self.queued = 0

    @property
    def idle(self) -> bool:
        """Everything has arrived."""
        return not self._flight and not self.queued and not self._ends

    def due(self, now: float) -> list[Sent]:
        """The packets to send now: what was lost, then what is new."""
        packets: list[Sent] = []
        room = self.ledbat.window - self._bytes
        room = self._again(room, packets)
        if not self._lost:
            self._new(room, packets)
        self.hurries = len(packets) >= AT_ONCE
        if packets and len(packets) == len(self._flight):
            self._waiting_since = now  # nothing was on its way
        for sent in packets:
            self._stamp += 1
            sent.stamp, sent.when, sent.lost = self._stamp, now, False
            sent.times += 1
        return packets

    def _again(self, room: float, packets: list[Sent]) -> float:
        """The first that is missing goes even where there is no room (RFC 6675, 5): the other side may have
        all the rest, and tell of little of it."""
        first = (self.acked + 1) & 0xFFFF
        while self._lost and len(packets) < AT_ONCE:
            sent = self._flight.get(self._lost[0])
            if sent is not None and sent.lost:
                size = len(sent.payload)
                if size > room and (self._bytes or packets) and sent.seq != first:
                    break
                room -= size
                self._bytes += size
                packets.append(sent)
            self._lost.popleft()
        return room

    def _new(self, room: float, packets: list[Sent]) -> None:
        largest = self.mtu.size - HEADER.size
        offered = self.window - self._bytes
        self._limited = False
        for _ in range(self._most(packets)):
            if not self.queued:
                break
            size = min(largest, self.queued)
            if size > room and self._bytes:
                self._limited = True
                return
            if size > offered:
                if self._bytes or offered <= 0:
                    return
                size = offered  # less than a packet, but it is all they have room for
            packets.append(self._packet(DATA, self._cut(size)))
            room -= size
            offered -= size
        if self._ends and not self.queued and self._most(packets):
            self._ends = False
            packets.append(self._packet(FIN, b""))

    def _most(self, packets: list[Sent]) -> int:
        """How many more there may be."""
        outstanding = (self.seq - 1 - self.acked) & 0xFFFF
        return max(0, min(AT_ONCE - len(packets), MOST_PACKETS - outstanding))

    def _packet(self, kind: int, payload: bytes) -> Sent:
        seq = self.seq
        self._flight[seq] = sent = Sent(kind, seq, payload)
        self._bytes += len(payload)
        self.seq = (seq + 1) & 0xFFFF
        if self.mtu.probe is not None and kind == DATA:
            sent.pad = self.mtu.probe - HEADER.size - len(payload)
            self.mtu.sent(seq)
        return sent

    def _cut(self, size: int) -> bytes:
        """The next bytes of the queue, copied."""
        head = self._queue[0]
        self.queued -= size
        if len(head) > size:
            self._queue[0] = head[size:]
            return bytes(head[:size])
        parts: list[memoryview] = []
        while size:
            head = self._queue.popleft()
            if len(head) > size:
                self._queue.appendleft(head[size:])
                head = head[:size]
            size -= len(head)
            parts.append(head)
        return b"".join(parts)

    # What the other side says

    def got_ack(
        self,
        ack: int,
        sacked: int,
        window: int,
        now: float,
        delays: DelayHistory,
        *,
        farther: bool = False,
    ) -> None:
        """Up to `ack`, and these bits beyond, or something `farther`.

        Raises RemoteProtocolError when that was never sent.
        """
        steps = (ack - self.acked) & 0xFFFF
        outstanding = (self.seq - 1 - self.acked) & 0xFFFF
        if steps >= 0x8000:
            return  # an old one that others have overtaken
        if steps > outstanding or (sacked and steps + 1 + sacked.bit_length() > outstanding):
            raise RemoteProtocolError("an ack of what was never sent")
        self.window = window
        if not steps and not sacked:
            return
        arrived: list[Sent] = []
        for _ in range(steps):
            self.acked = (self.acked + 1) & 0xFFFF
            sent = self._flight.pop(self.acked, None)
            if sent is not None:
                arrived.append(sent)
        self._early >>= steps
        if sacked & ~self._early:
            self._arrived_early(sacked & ~self._early, arrived)
            self._early |= sacked
        if arrived:
            size = sum(map(self._arrived, arrived))
            self._progress(arrived, now)
            self.ledbat.acked(size, delays.queueing, limited=self._limited)
            self.ledbat.at_least(self.mtu.size)
            if self._early or farther:
                self._find_lost(now, MOST_PACKETS if self._early else UNHEARD)

    def _arrived_early(self, bits: int, arrived: list[Sent]) -> None:
        while bits:
            lowest = bits & -bits
            bits ^= lowest
            sent = self._flight.pop((self.acked + 1 + lowest.bit_length()) & 0xFFFF, None)
            if sent is not None:
                arrived.append(sent)

    def _arrived(self, sent: Sent) -> int:
        """Its bytes."""
        size = len(sent.payload)
        if not sent.lost:
            self._bytes -= size
        self.mtu.arrived(sent.seq)
        stamp, (first, second, third) = sent.stamp, self._latest
        if stamp > first:
            self._latest = stamp, first, second
        elif stamp > third:
            self._latest = first, max(stamp, second), min(stamp, second)
        return size

    def _progress(self, arrived: list[Sent], now: float) -> None:
        self.timeouts = 0
        self._asked = False
        self._waiting_since = now
        if arrived[0].times > 1 or arrived[-1].times > 1:
            # Nobody knows which of them arrived (Karn); what is acked with it may have been there for long.
            return
        took = now - arrived[-1].when
        if not self.round_trip:
            self.round_trip, self._variance = took, took / 2
        else:
            self._variance += (abs(self.round_trip - took) - self._variance) / 4
            self.round_trip += (took - self.round_trip) / 8

    def _find_lost(self, now: float, most: int) -> None:
        """Among the first so many."""
        oldest = self._latest[REORDERED - 1]
        cut = False
        for sent in islice(self._flight.values(), most):
            if sent.stamp >= oldest:
                if sent.times == 1:
                    break  # so are all behind it
            elif not sent.lost:
                cut = self._lose(sent) or cut
        if cut:
            self.ledbat.lost(now, self.round_trip)
            self.ledbat.at_least(self.mtu.size)

    def _lose(self, sent: Sent) -> bool:
        """Whether it is a sign that the path is full."""
        sent.lost = True
        sent.pad = 0
        self._bytes -= len(sent.payload)
        self._lost.append(sent.seq)
        return not self.mtu.lost(sent.seq)

    # Silence

    @property
    def shut(self) -> bool:
        """The other side has no room, so that its silence means nothing."""
        return self.window < self.mtu.size

    @property
    def timeout(self) -> float:
        """Seconds of silence after which what is on its way is lost."""
        usual = self.round_trip + 4 * self._variance if self.round_trip else FIRST_TIMEOUT
        return min(max(usual, SHORTEST_TIMEOUT) * 2.0**self.timeouts, LONGEST_TIMEOUT)

    def timed_out(self, now: float) -> bool:
        """Whether it is time to give everything up for lost, or to ask for room; done if so."""
        if not self._flight and not self.queued:
            return False
        silence = now - self._waiting_since
        if silence < self.timeout:
            if silence > ASK_AFTER + 2 * self.round_trip + 4 * self._variance and not self._asked:
                self._ask()
            return False
        self._waiting_since = now
        self.timeouts += 1
        if self._flight:
            self._lose_all()
        elif self.shut:
            self.window = 1  # one byte asks whether there is room
        return True

    def _ask(self) -> None:
        """Send a few again: if these arrive, all that left before them is lost (compare RFC 8985, 7)."""
        self._asked = True
        waiting = [sent for sent in self._flight.values() if not sent.lost]
        for sent in waiting[:REORDERED]:
            self._lose(sent)

    def _lose_all(self) -> None:
        for sent in self._flight.values():
            if not sent.lost:
                self._lose(sent)
        self._lost = deque(self._flight)
        self.ledbat.timed_out(self.mtu.size)
