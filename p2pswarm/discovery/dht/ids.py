"""Where a node stands in the DHT: distances, and ids that follow from addresses (BEP 42).

Whoever may choose its id puts itself beside whatever it wants to own. So an id follows from the address under
which others see its node: its first 21 bits are a checksum of it, and a host has eight places to choose from.

The one hard thing: we do not know our own address. Others tell us, and some lie: each host has one vote.
Sans-IO.
"""

from collections import Counter, OrderedDict
from ipaddress import IPv4Address
from random import Random

import google_crc32c

from p2pswarm.formats.ids import Address
from p2pswarm.formats.zones import Zone, zone_of
from p2pswarm.wire.krpc import NodeId

__all__ = ["Votes", "distance", "is_secure", "place_of", "random_id", "secure_id"]

_MASK_4 = bytes.fromhex("030f3fff")
_MASK_6 = bytes.fromhex("0103070f1f3f7fff")


def distance(one: bytes, other: bytes) -> int:
    """How far two ids are apart (BEP 5: XOR)."""
    return int.from_bytes(one, "big") ^ int.from_bytes(other, "big")


def random_id(dice: Random) -> NodeId:
    return NodeId(dice.randbytes(20))


def secure_id(host: str, dice: Random) -> NodeId:
    """One of the ids that a node at this IP address may have."""
    last = dice.randrange(256)
    checksum = _checksum(host, last & 7)
    start = checksum >> 8 & 0xFFFFF8 | dice.randrange(8)
    return NodeId(start.to_bytes(3, "big") + dice.randbytes(16) + bytes((last,)))


def is_secure(node: NodeId, host: str) -> bool:
    """Whether it follows from its address, or need not, because the address is no one's on the Internet."""
    if zone_of(host) is not Zone.INTERNET:
        return True
    return (int.from_bytes(node[:3], "big") ^ _checksum(host, node[19] & 7) >> 8) & 0xFFFFF8 == 0


def _checksum(host: str, number: int) -> int:
    ip = Address(host, 0).ip
    assert ip is not None, "names have no ids"
    mask = _MASK_4 if isinstance(ip, IPv4Address) else _MASK_6
    masked = bytearray(a & b for a, b in zip(ip.packed, mask, strict=False))
    masked[0] |= number << 5
    return int(google_crc32c.value(bytes(masked)))


def place_of(address: Address) -> str:
    """Who has the same is probably one and the same, as far as one host may have many addresses.

    In IPv6 a customer has at least a network of 64 bits. Near hosts stand for themselves, each port too.
    """
    ip = address.ip
    if ip is None or zone_of(address.host) is not Zone.INTERNET:
        return str(address)
    return address.host if isinstance(ip, IPv4Address) else ip.packed[:8].hex()


class Votes:
    """Under which address others see us: what more than half of the last hundred voters say."""

    MOST = 100
    LEAST = 3  # voters; fewer can be one liar and one that is mistaken

    def __init__(self) -> None:
        self._cast: OrderedDict[str, str] = OrderedDict()

    def cast(self, voter: Address, host: str) -> None:
        place = place_of(voter)
        self._cast[place] = host
        self._cast.move_to_end(place)
        if len(self._cast) > self.MOST:
            self._cast.popitem(last=False)

    @property
    def winner(self) -> str | None:
        """None while nobody has more than half."""
        if len(self._cast) < self.LEAST:
            return None
        host, votes = Counter(self._cast.values()).most_common(1)[0]
        return host if votes * 2 > len(self._cast) else None
