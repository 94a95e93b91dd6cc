"""How near an address is: what somebody far away names is not dialed when it is nearer than they are.

The one hard thing: an address of IPv6 may carry one of IPv4, and a gateway on the way goes there.
"""

from enum import IntEnum
from ipaddress import IPv4Address, IPv6Address, IPv6Network

from p2pswarm.formats.ids import Address

__all__ = ["Zone", "owner_of", "zone_of"]

# NAT64 (RFC 6052), translated and, long ago, compatible addresses (RFC 2765, RFC 4291).
_CARRYING = [IPv6Network(each) for each in ("64:ff9b::/96", "::ffff:0:0:0/96", "::/96")]


class Zone(IntEnum):
    """How near a server is; the nearer, the more it trusts whoever asks."""

    INTERNET = 0
    LOCAL_NETWORK = 1
    THIS_MACHINE = 2


def zone_of(host: str) -> Zone:
    """How near an IP address is."""
    ip = Address(host, 0).ip
    if isinstance(ip, IPv6Address):
        ip = _carried(ip) or ip
    if ip is None or (ip.is_global and not _stays_here(ip)):
        return Zone.INTERNET
    return Zone.THIS_MACHINE if ip.is_loopback or ip.is_unspecified else Zone.LOCAL_NETWORK


def _carried(ip: IPv6Address) -> IPv4Address | None:
    """The address of IPv4 in it, if it is where it leads to; `Address.ip` has undone the plain mapping."""
    if ip.sixtofour is not None:
        return ip.sixtofour
    low = int(ip) & 0xFFFFFFFF
    if low > 1 and any(ip in network for network in _CARRYING):
        return IPv4Address(low)
    return None


def _stays_here(ip: IPv4Address | IPv6Address) -> bool:
    """Multicast reaches many hosts, the nearest first; `is_global` knows of neither."""
    return ip.is_multicast or (isinstance(ip, IPv6Address) and ip.is_site_local)


def owner_of(address: Address) -> str:
    """Who has the same is probably one and the same: of a host on the Internet it is the host.

    Nearer hosts are often several nodes (as in a laboratory), so there each address stands for itself.
    """
    return address.host if zone_of(address.host) is Zone.INTERNET else str(address)
