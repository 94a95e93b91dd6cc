"""What the tracker decides: who somebody is, how many peers to give, when to come back.

Nothing here waits or looks at a clock, and the dice are given.
"""

from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address
from random import Random

from p2pswarm.errors import RemoteProtocolError
from p2pswarm.formats.ids import Address
from p2pswarm.wire.tracker import Announce, Event, Reply
from tracker.config import Network
from tracker.store import Swarm, SwarmPeer

__all__ = ["Policy"]

NUMWANT = 50  # peers for who does not say how many
MAX_NUMWANT = 200  # what libtorrent asks for
_MAX_HOPS = 20  # proxies in X-Forwarded-For that are looked at
_NOT_LISTED = "this tracker is full: others cannot find you through it"

IP = IPv4Address | IPv6Address


class Policy:
    """One tracker's rules.

    Clients are told to come back after `interval` seconds, a tenth more or less so that a swarm which
    started together does not stay together, and not before a sixth of it. Who has not come after two
    intervals and a little is taken for gone.
    """

    def __init__(
        self,
        interval: int,
        dice: Random,
        *,
        allow_ip: bool = False,
        trusted: Sequence[Network] = (),
    ) -> None:
        self.interval, self._dice = interval, dice
        self._allow_ip, self._trusted = allow_ip, trusted

    @property
    def forget_after(self) -> float:
        """Seconds of silence after which a peer is gone: two of the longest intervals, and 5 s."""
        return 2 * 1.1 * self.interval + 5

    def caller(self, remote: str, forwarded: str | None) -> IP:
        """Who asks: the other end of the connection or, if that is a trusted proxy, whom it speaks for.

        `forwarded` is X-Forwarded-For. It is read from the right, and the first hop that is no trusted
        proxy is the caller: what stands left of it anybody can write. Raises RemoteProtocolError when
        `remote` is no address.
        """
        ip = _read_ip(remote)
        if ip is None:
            raise RemoteProtocolError("your address cannot be told")
        if forwarded is None or not self._trusts(ip):
            return ip
        for hop in reversed(forwarded.split(",")[-_MAX_HOPS:]):
            said = _read_ip(hop.strip()[:64])
            if said is None:
                return ip
            ip = said
            if not self._trusts(ip):
                return ip
        return ip

    def _trusts(self, ip: IP) -> bool:
        return any(ip in network for network in self._trusted)

    def peer(self, announce: Announce, caller: IP) -> SwarmPeer:
        """Whom to list: the caller, unless addresses that clients claim are allowed."""
        host = _claimed(announce) if self._allow_ip else None
        place = (host or caller).packed + announce.port.to_bytes(2, "big")
        return SwarmPeer(place, bytes(announce.peer_id), announce.left == 0)

    def want(self, announce: Announce) -> int:
        if announce.event is Event.STOPPED:
            return 0
        return NUMWANT if announce.numwant is None else min(announce.numwant, MAX_NUMWANT)

    def reply(self, announce: Announce, swarm: Swarm, caller: IP) -> Reply:
        places = [peer.address for peer in swarm.peers]
        ids = {} if announce.compact else {peer.address: peer.peer_id for peer in swarm.peers}
        gone = announce.event is Event.STOPPED
        return Reply(
            interval=max(round(self.interval * self._dice.uniform(0.9, 1.1)), 1),
            min_interval=max(self.interval // 6, 1),
            peers=b"".join([place for place in places if len(place) == 6]),
            peers6=b"".join([place for place in places if len(place) == 18]),
            peer_ids=ids,
            complete=swarm.counts.complete,
            incomplete=swarm.counts.incomplete,
            downloaded=swarm.counts.downloaded,
            external_ip=caller.packed,
            warning="" if swarm.listed or gone else _NOT_LISTED,
        )


@lru_cache(maxsize=4096)
def _read_ip(text: str) -> IP | None:
    """IPv4-mapped IPv6 becomes IPv4; a zone or junk is nobody."""
    ip = Address(text, 0).ip
    return None if isinstance(ip, IPv6Address) and ip.scope_id else ip


def _claimed(announce: Announce) -> IP | None:
    """The first of the addresses the client says it has at which a peer can be."""
    for hint in announce.hints:
        ip = _read_ip(hint)
        if ip is not None and Address(str(ip), announce.port).dialable:
            return ip
    return None
