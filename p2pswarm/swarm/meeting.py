"""Hole punching (BEP 55): two peers that nobody can dial meet with the help of one that both know.

Any of the three may be us. As the third we tell two peers that both asked for nothing but their own torrent
where the other is, over the connections we have with them. As one of the two we dial by uTP when the third
says so, in the same moment as the other: each end's packets open its own NAT for the other's.

The one hard thing: the third could name anybody, to have us send packets there. So a host is met once in ten
minutes, whatever ports are named, few are met in a minute, and none that is nearer to us than the third.
"""

import logging
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from weakref import WeakKeyDictionary

from p2pswarm.formats.ids import Address
from p2pswarm.formats.zones import owner_of, zone_of
from p2pswarm.swarm.extensions import Talker
from p2pswarm.wire.extension.holepunch import Holepunch, HolepunchError, HolepunchKind
from p2pswarm.wire.extension.numbers import HOLEPUNCH

__all__ = ["AGAIN", "Encounters", "Meetings"]

log = logging.getLogger(__name__)

MINUTE = 60.0
AGAIN = 600.0  # seconds between meetings with the same host
MOST_INTRODUCED = 10  # a minute, at the wish of one peer
MOST_MET = 10  # a minute
MOST_REMEMBERED = 200  # hosts we met


class Encounters:
    """Whom we met lately because somebody else named him. Sans-IO."""

    def __init__(self) -> None:
        self._met: OrderedDict[str, float] = OrderedDict()
        self._recent: deque[float] = deque(maxlen=MOST_MET)

    def begin(self, address: Address, third: str, now: float, *, again: float = AGAIN) -> bool:
        """Whether we meet him, as the host `third` wishes; then he was met. Not `again` before that time."""
        nearer = zone_of(address.host) > zone_of(third)
        if nearer or not self.may_meet(address, now, again) or not _has_turn(self._recent, now):
            return False
        self._met[owner_of(address)] = now
        self._met.move_to_end(owner_of(address))
        while len(self._met) > MOST_REMEMBERED:
            self._met.popitem(last=False)
        return True

    def may_meet(self, address: Address, now: float, again: float = AGAIN) -> bool:
        """Whether it is a place for a peer, and was not met lately."""
        while self._met and next(iter(self._met.values())) <= now - AGAIN:
            self._met.popitem(last=False)
        met = self._met.get(owner_of(address))
        return address.dialable and (met is None or met <= now - again)


class Meetings:
    """One torrent's. `meet` dials by uTP; what it costs is bounded here."""

    def __init__(
        self,
        peers: Callable[[], Iterable[Talker]],
        ourselves: Callable[[Address], bool],
        clock: Callable[[], float],
        meet: Callable[[Address], None],
    ) -> None:
        self._peers = peers
        self._ourselves = ourselves
        self._clock = clock
        self._meet = meet
        self._wishes: WeakKeyDictionary[Talker, deque[float]] = WeakKeyDictionary()
        self._encounters = Encounters()

    def unreached(self, address: Address) -> None:
        """Nobody answered there: ask somebody who is connected to it to introduce us."""
        if not self._may_meet(address):
            return
        for peer in self._peers():
            if peer.extensions.may_introduce(address):
                _say(peer, HolepunchKind.RENDEZVOUS, address)
                return

    def heard(self, peer: Talker, message: Holepunch) -> None:
        """Errors need no answer: the address was tried, and is tried again when its time comes."""
        match message.kind:
            case HolepunchKind.RENDEZVOUS:
                self._introduce(peer, message.address)
            case HolepunchKind.CONNECT:
                self._connect(peer, message.address)
            case HolepunchKind.ERROR:
                log.debug("%s cannot introduce us to %s", peer.address, message.address)

    # As the third

    def _introduce(self, peer: Talker, address: Address) -> None:
        wishes = self._wishes.setdefault(peer, deque(maxlen=MOST_INTRODUCED))
        if not _has_turn(wishes, self._clock()):
            return
        other, error = self._find(peer, address)
        if other is None:
            _say(peer, HolepunchKind.ERROR, address, error)
        else:
            _say(other, HolepunchKind.CONNECT, _place_of(peer))
            _say(peer, HolepunchKind.CONNECT, _place_of(other))

    def _find(self, asking: Talker, address: Address) -> tuple[Talker | None, HolepunchError]:
        if not address.dialable:
            return None, HolepunchError.NO_SUCH_PEER
        if self._ourselves(address):
            return None, HolepunchError.NO_SELF
        for peer in self._peers():
            if address in (peer.address, peer.stream.remote) and peer is not asking:
                supports = peer.extensions.speaks(HOLEPUNCH)
                return (peer if supports else None), HolepunchError.NO_SUPPORT
        return None, HolepunchError.NOT_CONNECTED

    # As one of the two

    def _connect(self, third: Talker, address: Address) -> None:
        if self._is_stranger(address) and self._encounters.begin(
            address, third.stream.remote.host, self._clock()
        ):
            self._meet(address)

    def _may_meet(self, address: Address) -> bool:
        return self._is_stranger(address) and self._encounters.may_meet(address, self._clock())

    def _is_stranger(self, address: Address) -> bool:
        if self._ourselves(address):
            return False
        return all(peer.address != address for peer in self._peers())


def _place_of(peer: Talker) -> Address:
    """Where its packets come from: behind a NAT that is another number than the one it listens on."""
    return peer.stream.remote if peer.stream.utp else peer.address


def _has_turn(times: deque[float], now: float) -> bool:
    """Whether fewer than `maxlen` were in the last minute; then this is one more."""
    if len(times) == times.maxlen and now - times[0] < MINUTE:
        return False
    times.append(now)
    return True


def _say(
    peer: Talker,
    kind: HolepunchKind,
    address: Address,
    error: HolepunchError = HolepunchError.NONE,
) -> None:
    peer.extensions.say(HOLEPUNCH, Holepunch(kind, address, error).encode())
