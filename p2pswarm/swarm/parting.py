"""Which of a torrent's peers gives its place to others, and why. Sans-IO: the torrent sends it away.

The one hard thing: whoever wants all places, or wants another peer gone, may take any id and many ports. So
what decides is what costs something: good pieces, and hosts.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Protocol, TypeVar

from p2pswarm.formats.ids import Address, PeerId
from p2pswarm.formats.zones import owner_of

__all__ = ["Member", "crowded", "displaced", "doubles", "fellow_seeds"]

SEEDS_PART_AFTER = 5.0  # seconds that two seeds stay connected, so that both learn it


class Member(Protocol):
    """What counts of a peer."""

    @property
    def remote(self) -> Address: ...
    @property
    def since(self) -> float: ...
    @property
    def is_seed(self) -> bool: ...
    @property
    def upload_only(self) -> bool: ...
    @property
    def gave(self) -> int: ...  # good pieces of which some came from it
    @property
    def uploaded(self) -> int: ...  # bytes that we gave it


M = TypeVar("M", bound=Member)


def fellow_seeds(peers: Iterable[M], now: float) -> Iterator[M]:
    """For a seed: two that want nothing of each other leave their places to others."""
    for peer in peers:
        if (peer.is_seed or peer.upload_only) and now - peer.since > SEEDS_PART_AFTER:
            yield peer


def doubles(peers: Collection[tuple[PeerId, M]], me: PeerId) -> Iterator[tuple[M, M]]:
    """Who is here a second time, and as whom it stays: a peer with several addresses was dialed at each.

    Ids are no secret, so what decides is who gave good pieces: that connection stays. Where both download,
    the greater id parts, or each would take another.
    """
    best: dict[PeerId, M] = {}
    for peer_id, peer in peers:
        other = best.setdefault(peer_id, peer)
        if peer.gave > other.gave:
            best[peer_id] = peer
    if len(best) == len(peers):
        return
    for peer_id, peer in peers:
        kept = best[peer_id]
        if peer is not kept and kept.gave and (kept.is_seed or me > peer_id):
            yield peer, kept


def displaced(
    peers: Collection[M], newcomer: Address, rank: Callable[[Address], int]
) -> tuple[M, str] | None:
    """Who makes place where there is none, and why; None when the newcomer has to go.

    First one of a host that has several places, else a single host could take all there are; then whoever
    matters least, if the newcomer matters more (BEP 40).
    """
    places = _places(peers)
    if not places:
        return None
    host, most = places.most_common(1)[0]
    if most > places[owner_of(newcomer)] + 1:
        crowd = [peer for peer in peers if owner_of(peer.remote) == host]
        return min(crowd, key=lambda peer: (peer.gave, peer.uploaded)), "its host has other places"
    if places[owner_of(newcomer)]:
        return None
    least = min(peers, key=lambda peer: rank(peer.remote))
    if rank(newcomer) <= rank(least.remote):
        return None
    return least, "its place is another's"


def crowded(peers: Collection[Member]) -> bool:
    """Whether a host has several places, of which others may have some."""
    return any(count > 1 for count in _places(peers).values())


def _places(peers: Collection[Member]) -> Counter[str]:
    """How many each host has; those near us count as a host for each connection."""
    return Counter(owner_of(peer.remote) for peer in peers)
