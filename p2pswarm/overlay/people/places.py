"""Where in the directory a super node may be: nobody chooses its own slot.

Each address has eight places, which follow from its network by SHA-256, and its node may only be in a slot
that one of them is in; everybody who knows the address can see that. Among eight a newcomer takes the slot
that has fewest, so slots stay even ("the power of two choices", Mitzenmacher 2001), while who wants a certain
slot of many has to look through many networks for an address: to be the majority of one slot of 2048 takes
six hosts, no more than two of one network, so some 770 networks. A slot also takes no more than two hosts of
one network. In near zones (a laboratory, a home) each address stands for itself. Sans-IO.
"""

from functools import lru_cache
from hashlib import sha256
from ipaddress import IPv4Address

from p2pswarm.formats.ids import Address
from p2pswarm.formats.zones import Zone, zone_of
from p2pswarm.wire.people.nodes import Prefix

__all__ = ["MOST_OF_NETWORK", "PLACES", "bits", "may_be", "network_of", "places"]

PLACES = 8
# Hosts of one network in one slot, and among the contacts for one part of the directory.
MOST_OF_NETWORK = 2


@lru_cache(maxsize=4096)
def network_of(address: Address) -> bytes:
    """Whose machines are probably one's: a /24 of IPv4, a /48 of IPv6; nearer ones each for itself."""
    ip = address.ip
    if ip is None or zone_of(address.host) is not Zone.INTERNET:
        return str(address.normal).encode()
    return ip.packed[: 3 if isinstance(ip, IPv4Address) else 6]


@lru_cache(maxsize=4096)
def places(address: Address) -> tuple[Prefix, ...]:
    """The eight of this address."""
    network = network_of(address)
    return tuple(
        Prefix.of(sha256(b"p2pswarm place %d " % number + network).digest())
        for number in range(PLACES)
    )


def may_be(address: Address, slot: Prefix) -> bool:
    """Whether one of its places is in that slot."""
    return any(slot.covers(place) for place in places(address))


def bits(address: Address, slot: Prefix) -> set[int]:
    """Into which halves of a slot it may go when that is split."""
    return {place.bit(slot.length) for place in places(address) if slot.covers(place)}
