"""One uTP connection: packets go in, packets and bytes come out; whoever holds it brings the time.

After what came in one go `flush` says what to send, with one ack for all of it. `tick` is called some twenty
times a second.

The one hard thing: who may end it. A reset must name what we really sent, as an ack must; who acks what was
never sent lies about what arrived to be sent more, and is dropped. Anything else that does not fit is
ignored, because anybody may have sent it.
"""

from enum import Enum, auto
from random import Random

from p2pswarm.errors import LocalProtocolError, RemoteProtocolError
from p2pswarm.wire.utp.delays import DelayHistory
from p2pswarm.wire.utp.mtu import PathMtu
from p2pswarm.wire.utp.packet import (
    DATA,
    FIN,
    HEADER,
    PADDING,
    RESET,
    STATE,
    SYN,
    Packet,
    ahead,
    padding,
)
from p2pswarm.wire.utp.receiving import FIRST_WINDOW, Receiver
from p2pswarm.wire.utp.sending import Sender, Sent

__all__ = ["Connection", "Phase"]

SYN_RESENDS = 2
# One after the other, with nothing heard between them: 31 s. libtorrent's 3 end a connection in 7.5 s, which
# is less than a change of wireless cells takes, and one in 120 timeouts where three packets in ten are lost.
DATA_RESENDS = 5
SYN_TIMEOUT = 1.0  # seconds, doubling
_MASK = 0xFFFFFFFF
_NEAR = 4096  # packets between what was heard last and anything that can be true


class Phase(Enum):
    """What may be done with a connection."""

    DIALING = auto()
    OPEN = auto()
    CLOSING = auto()  # our end was said; what was written still arrives
    OVER = auto()


class Connection:
    """`dial` or `accept` one. `over_because` is why it ended, None when both sides meant it."""

    def __init__(self, receives: int, sends: int, seq: int, version: int) -> None:
        self.receives = receives
        """The number that packets to us carry;"""
        self.sends = sends
        """and that ours carry."""
        self.phase = Phase.DIALING
        self.over_because: Exception | None = None
        self.sender = Sender(seq, 0, PathMtu(version))
        self.receiver = Receiver(0)
        self._ours = DelayHistory()
        self._theirs = DelayHistory()
        self._reply = 0  # how long their last packet took
        self._last_sent = self._last_delay = -1
        self._syn_due = 0.0
        self._syns = 0
        self._out: list[bytes] = []

    @classmethod
    def dial(cls, dice: Random, now: float, version: int = 4) -> "Connection":
        """The side that speaks first; `version` is that of IP."""
        number = dice.randrange(0x10000)
        connection = cls(number, (number + 1) & 0xFFFF, dice.randrange(0x10000), version)
        connection._syn_due = now
        connection.tick(now)
        return connection

    @classmethod
    def accept(cls, syn: int, packet: Packet, version: int = 4) -> "Connection":
        """Somebody who has answered our answer to its SYN, which had the number `syn`."""
        number = packet.connection
        connection = cls(number, (number - 1) & 0xFFFF, (packet.ack + 1) & 0xFFFF, version)
        connection.receiver = Receiver(syn)
        connection.phase = Phase.OPEN
        return connection

    # What its owner may do

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """The buffer is ours until `sender.queued` is 0. Raises LocalProtocolError after the end."""
        if self.phase not in (Phase.OPEN, Phase.DIALING):
            raise LocalProtocolError("nothing is written behind the end")
        self.sender.write(data)

    def close(self, *, now: bool = False) -> None:
        """Our end; `now`, what is in no packet yet is given up. May be called twice."""
        if now:
            self.sender.forget()
        if self.phase is Phase.DIALING:
            self.give_up(None)
        elif self.phase is Phase.OPEN:
            self.phase = Phase.CLOSING
            self.sender.finish()

    def give_up(self, why: Exception | None) -> None:
        """Over, this moment."""
        if self.phase is not Phase.OVER:
            self.phase, self.over_because = Phase.OVER, why

    def reset(self, micros: int) -> bytes:
        """What tells the other side that it is over."""
        acked = self.receiver.last
        return Packet(RESET, self.sends, micros & _MASK, 0, 0, self.sender.seq, acked).pack()

    # What comes in

    def got(self, packet: Packet, now: float) -> None:
        """A packet with our number. What does not fit is ignored."""
        kind = packet.kind
        if self.phase is Phase.OVER or kind == SYN:
            return
        if kind == RESET:
            self._got_reset(packet)
        elif self.phase is Phase.DIALING:
            if kind == STATE and packet.ack == self.sender.acked:
                self._opened(packet, now)
        elif ahead(packet.seq + _NEAR, self.receiver.last) <= 2 * _NEAR:
            self._got_plausible(packet, now)

    def _opened(self, packet: Packet, now: float) -> None:
        self.receiver = Receiver((packet.seq - 1) & 0xFFFF)
        self.phase = Phase.OPEN
        self._note_times(packet, now)
        self.sender.window = packet.window

    def _got_plausible(self, packet: Packet, now: float) -> None:
        self._note_times(packet, now)
        sender = self.sender
        try:
            said = packet.ack, packet.sacked, packet.window
            sender.got_ack(*said, now, self._ours, farther=packet.farther)
        except RemoteProtocolError as error:
            self.give_up(error)
            return
        if packet.kind == DATA:
            self.receiver.got(packet.seq, packet.payload)
        elif packet.kind == FIN:
            self.receiver.got_end(packet.seq, packet.payload)
        if self.phase is Phase.CLOSING and sender.idle:
            if self.receiver.must_ack:
                self._out.append(self._state(int(now * 1e6) & _MASK))
            self.give_up(None)

    def _note_times(self, packet: Packet, now: float) -> None:
        self._reply = (int(now * 1e6) - packet.sent) & _MASK
        if packet.sent != self._last_sent:  # the first of those that left together: it waited least
            self._last_sent = packet.sent
            shrunk = self._theirs.add(self._reply, now)
            if shrunk:
                self._ours.shift(shrunk)
        if packet.delay and packet.delay != self._last_delay:
            self._last_delay = packet.delay
            self._ours.add(packet.delay, now)

    def _got_reset(self, packet: Packet) -> None:
        """Only by somebody who knows what we have sent of late."""
        sender = self.sender
        if ahead(packet.ack, (sender.acked - 1) & 0xFFFF) <= ahead(sender.seq, sender.acked):
            self.give_up(ConnectionResetError("the peer reset the connection"))

    # What goes out

    def flush(self, now: float) -> list[bytes]:
        """The packets to send now."""
        out, self._out = self._out, []
        if self.phase is Phase.OPEN or self.phase is Phase.CLOSING:
            micros = int(now * 1e6) & _MASK
            due = self.sender.due(now)
            if due:
                self._pack(due, micros, out)
            receiver = self.receiver
            if receiver.must_ack and (receiver.early or not due):
                out.append(self._state(micros))
            receiver.must_ack = False
        return out

    def _pack(self, due: list[Sent], micros: int, out: list[bytes]) -> None:
        number, reply = self.sends, self._reply
        window, ack = self.receiver.window, self.receiver.last
        pack = HEADER.pack
        for sent in due:
            first = sent.kind << 4 | 1
            if sent.pad:
                head = pack(first, PADDING, number, micros, reply, window, sent.seq, ack)
                out.append(head + padding(sent.pad) + sent.payload)
            else:
                head = pack(first, 0, number, micros, reply, window, sent.seq, ack)
                out.append(head + sent.payload)

    def _state(self, micros: int) -> bytes:
        receiver = self.receiver
        return Packet(
            STATE,
            self.sends,
            micros,
            self._reply,
            receiver.window,
            self.sender.seq,
            receiver.last,
            sacked=receiver.early,
        ).pack_state()

    def tick(self, now: float) -> None:
        """Time has passed."""
        if self.phase is Phase.DIALING:
            self._dial_again(now)
        elif self.phase is not Phase.OVER:
            sender = self.sender
            patient = sender.shut and self.phase is Phase.OPEN
            if sender.timed_out(now) and sender.timeouts > DATA_RESENDS and not patient:
                self.give_up(TimeoutError("the peer does not answer any more"))

    def _dial_again(self, now: float) -> None:
        if now < self._syn_due:
            return
        if self._syns > SYN_RESENDS:
            self.give_up(TimeoutError("nobody answers"))
            return
        self._syn_due = now + SYN_TIMEOUT * 2**self._syns
        self._syns += 1
        micros = int(now * 1e6) & _MASK
        syn = self.sender.acked  # it has a number of its own, the one before the first of data
        self._out.append(Packet(SYN, self.receives, micros, 0, FIRST_WINDOW, syn, 0).pack())
