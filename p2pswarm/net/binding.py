"""Which local addresses a node uses: every one, one that was named, or those of one network interface.

An interface stands for its first address of each family that others can reach: a node shows one address to
each of them, and answers a datagram from where it was asked.
"""

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, IPv6Address

import ifaddr

from p2pswarm.errors import PortTakenError
from p2pswarm.formats.ids import Address

__all__ = ["ANY", "EVERYWHERE", "Family", "bound_addresses", "family_of", "own_addresses"]

ANY = "any"
EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104 - peers come from everywhere
Family = type[IPv4Address] | type[IPv6Address]


def family_of(host: str) -> Family | None:
    """Of which family an address is; None for a name."""
    ip = Address(host, 1).ip
    return None if ip is None else type(ip)


def bound_addresses(wish: str) -> tuple[str, ...]:
    """The addresses to listen on. Raises PortTakenError for an interface that has none."""
    if wish == ANY:
        return EVERYWHERE
    if family_of(wish) is not None:
        return (wish,)
    for adapter in ifaddr.get_adapters():
        if wish in (adapter.name, adapter.nice_name):
            return _first_of_each(adapter, wish)
    return (wish,)  # a host name, for the system to look up


def own_addresses(bound: Iterable[str]) -> list[str]:
    """Where others may find who listens there: each address itself, or all of ours where it is any.

    Loopback is left out of all of ours, IPv6 comes first.
    """
    found: dict[str, None] = {}
    for host in bound:
        ip = Address(host, 1).ip
        if ip is not None and not ip.is_unspecified:
            found[host] = None
        elif ip is not None:
            found.update(dict.fromkeys(_all_of(type(ip))))
    return sorted(found, key=lambda host: family_of(host) is not IPv6Address)


def _all_of(family: Family) -> Iterator[str]:
    for adapter in ifaddr.get_adapters():
        for host in _reachable(adapter):
            ip = Address(host, 1).ip
            if isinstance(ip, family) and not ip.is_loopback:
                yield host


def _first_of_each(adapter: ifaddr.Adapter, wish: str) -> tuple[str, ...]:
    first: dict[Family | None, str] = {}
    for host in _reachable(adapter):
        first.setdefault(family_of(host), host)
    if not first:
        raise PortTakenError(f"the interface {wish} has no address")
    return tuple(first.values())


def _reachable(adapter: ifaddr.Adapter) -> Iterator[str]:
    """Without link-local addresses, which mean nothing to whoever hears of them."""
    for each in adapter.ips:
        host = each.ip if isinstance(each.ip, str) else each.ip[0]
        ip = Address(host, 1).ip
        if ip is not None and not ip.is_link_local:
            yield host
