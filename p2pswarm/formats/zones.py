"""How near an address is: what somebody far away names is not dialed when it is nearer than they are."""

from enum import IntEnum

from p2pswarm.formats.ids import Address

__all__ = ["Zone", "owner_of", "zone_of"]


class Zone(IntEnum):
    """How near a server is; the nearer, the more it trusts whoever asks."""

    INTERNET = 0
    LOCAL_NETWORK = 1
    THIS_MACHINE = 2


def zone_of(host: str) -> Zone:
    """How near an IP address is."""
    ip = Address(host, 0).ip
    if ip is None or ip.is_global:
        return Zone.INTERNET
    return Zone.THIS_MACHINE if ip.is_loopback or ip.is_unspecified else Zone.LOCAL_NETWORK


def owner_of(address: Address) -> str:
    """Who has the same is probably one and the same: of a host on the Internet it is the host.

    Nearer hosts are often several nodes (as in a laboratory), so there each address stands for itself.
    """
    return address.host if zone_of(address.host) is Zone.INTERNET else str(address)
