"""What a stranger may make us do by UDP, where anybody can write any address as the sender.

An answer goes to whoever is named, so a small ping must not become a large pong for a victim. Each sender
has an account: what it sent is put in, what we answer is taken out, and beyond that it gets a gift of 2 KiB
a minute, enough for a dozen pongs with lists of hosts, and all senders together get 32 KiB a second. So a
flood of pings under one false name brings that victim less than the flood itself costs; a flood under many
names is worth 32 KiB a second. Who showed a key is where it says, and its account is not looked at for a
minute.

The one hard thing: the table of senders is as long as an attacker wants, so it forgets; the common account
does not. On this machine and network each port is a sender of its own, elsewhere each host is. Sans-IO.
"""

from collections import OrderedDict

from p2pswarm.formats.ids import Address
from p2pswarm.formats.zones import Zone, zone_of
from p2pswarm.overlay.limits import Tokens
from p2pswarm.overlay.remembering import remember
from p2pswarm.wire.gnutella.descriptor import Kind

__all__ = ["GIFT", "Senders", "sender_name"]

GIFT = 2048.0  # bytes
GIFT_EVERY = 60.0  # seconds
COMMON = (32768.0, 131072.0)  # bytes a second, saved up: for all senders that nothing is known of
MOST_CREDIT = 8192.0  # bytes of a sender that were not answered yet
PROVEN = 60.0  # seconds for which a key counts

# (a second, saved up): of one sender, and of all together.
_EACH: dict[int, tuple[float, float]] = {
    Kind.PING: (1.0, 20.0),
    Kind.PONG: (10.0, 100.0),
    Kind.QUERY: (2.0, 40.0),  # a search asks us once; somebody behind a NAT is not alone
    Kind.HIT: (50.0, 300.0),  # an ultrapeer sends those of its 30 leaves at once
    Kind.PUSH: (1.0, 20.0),
    Kind.VENDOR: (5.0, 50.0),
}
_ALL: dict[int, tuple[float, float]] = {
    Kind.PING: (200.0, 1000.0),
    Kind.PONG: (500.0, 2000.0),
    Kind.QUERY: (100.0, 500.0),  # each may go to 30 leaves
    Kind.HIT: (1000.0, 5000.0),
    Kind.PUSH: (20.0, 100.0),
    Kind.VENDOR: (200.0, 1000.0),
}


class _Sender:
    """One sender: how much of each kind it may send, and its account."""

    __slots__ = ("_buckets", "credit", "gift")

    def __init__(self, now: float) -> None:
        self._buckets: dict[int, Tokens] = {}
        self.credit = 0.0
        self.gift = Tokens(GIFT / GIFT_EVERY, GIFT, now)

    def takes(self, kind: int, now: float) -> bool:
        bucket = self._buckets.get(kind)
        if bucket is None:
            bucket = self._buckets[kind] = Tokens(*_EACH[kind], now)
        return bucket.take(now)


class Senders:
    """`takes` each datagram, then `may_answer` for each answer; `prove` who showed a key."""

    MOST = 4096

    def __init__(self, now: float) -> None:
        self._senders: OrderedDict[str, _Sender] = OrderedDict()
        self._proven: OrderedDict[Address, float] = OrderedDict()
        self._all = {kind: Tokens(*limit, now) for kind, limit in _ALL.items()}
        self._common = Tokens(*COMMON, now)

    def __len__(self) -> int:
        return max(len(self._senders), len(self._proven))

    def takes(self, kind: int, address: Address, size: int, now: float) -> bool:
        """A datagram of this size came; whether it is looked at."""
        if kind not in _EACH:
            return False
        sender = self._of(address, now)
        if not sender.takes(kind, now) or not self._all[kind].take(now):
            return False
        sender.credit = min(sender.credit + size, MOST_CREDIT)
        return True

    def may_answer(self, address: Address, size: int, now: float) -> bool:
        """Whether so many bytes may be sent to it because it asked; they then count as sent."""
        if self.proven(address, now):
            return True
        sender = self._of(address, now)
        beyond = max(size - sender.credit, 0.0)
        if beyond and not (sender.gift.take(now, beyond) and self._common.take(now, beyond)):
            return False
        sender.credit = max(sender.credit - size, 0.0)
        return True

    def prove(self, address: Address, now: float) -> None:
        """It showed something that only somebody at this address can know."""
        remember(self._proven, address, now, self.MOST)

    def proven(self, address: Address, now: float) -> bool:
        shown = self._proven.get(address)
        return shown is not None and 0 <= now - shown < PROVEN

    def _of(self, address: Address, now: float) -> _Sender:
        name = sender_name(address)
        sender = self._senders.get(name)
        if sender is None:
            sender = self._senders[name] = _Sender(now)
            if len(self._senders) > self.MOST:
                self._senders.popitem(last=False)
        self._senders.move_to_end(name)
        return sender


def sender_name(address: Address) -> str:
    """What counts as one sender: a host, but near to us, where one host has many nodes, each port."""
    return address.host if zone_of(address.host) is Zone.INTERNET else str(address)
