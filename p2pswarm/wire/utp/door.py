"""Who has said SYN and not proved yet that its address is real.

The answer to a SYN is no larger than it, and holds a number that only who hears it can know. Until that
number comes back, a dialer is a few numbers here and nothing else; of too many, the oldest are forgotten.

The one hard thing: a SYN that comes twice is answered twice with the same number, or the dialer would begin
to count at the wrong one.
"""

from random import Random

from p2pswarm.formats.ids import Address
from p2pswarm.wire.utp.connection import Connection
from p2pswarm.wire.utp.packet import DATA, FIN, STATE, Packet, ahead
from p2pswarm.wire.utp.receiving import FIRST_WINDOW, MOST_AHEAD

__all__ = ["Door"]

MOST = 4096
_MASK = 0xFFFFFFFF


class Door:
    """Dialers, by their address and the number that their packets will carry."""

    def __init__(self, dice: Random) -> None:
        self._dice = dice
        self._waiting: dict[tuple[Address, int], tuple[int, int]] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def knocked(self, packet: Packet, address: Address, now: float) -> bytes:
        """The answer to a SYN."""
        key = (address, (packet.connection + 1) & 0xFFFF)
        seqs = self._waiting.get(key)
        if seqs is None or seqs[0] != packet.seq:
            if len(self._waiting) >= MOST:
                del self._waiting[next(iter(self._waiting))]
            seqs = self._waiting[key] = packet.seq, self._dice.randrange(0x10000)
        micros = int(now * 1e6) & _MASK
        delay = (micros - packet.sent) & _MASK
        return Packet(
            STATE, packet.connection, micros, delay, FIRST_WINDOW, seqs[1], seqs[0]
        ).pack()

    def proved(self, packet: Packet, address: Address, version: int) -> Connection | None:
        """The connection, if this is of a dialer that has heard our answer; it has not got the packet."""
        key = (address, packet.connection)
        seqs = self._waiting.get(key)
        if seqs is None or packet.kind not in (DATA, FIN, STATE):
            return None
        syn, ours = seqs
        if packet.ack != (ours - 1) & 0xFFFF or ahead(packet.seq, syn) > MOST_AHEAD:
            return None
        del self._waiting[key]
        return Connection.accept(syn, packet, version)
