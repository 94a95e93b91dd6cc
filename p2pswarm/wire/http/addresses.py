"""Addresses in headers, as text: `ip:port`, and lists of them.

Only IP addresses count: a name would have us ask the DNS of anybody.
"""

from collections.abc import Iterable

from p2pswarm.errors import FormatError
from p2pswarm.formats.ids import Address
from p2pswarm.wire.http.heads import listed

__all__ = ["DEFAULT_PORT", "read_address", "read_addresses", "write_addresses"]

DEFAULT_PORT = 6346  # of Gnutella; lists leave it out
MAX_LISTED = 100  # addresses taken of a list, unless somebody wants more


def read_addresses(value: str | None, most: int = MAX_LISTED) -> list[Address]:
    """`X-Try`, `X-Try-Ultrapeers`, `Peers`, `Leaves`: `ip:port, ip, `; each once, junk skipped.

    Some write when they met the host behind it.
    """
    found: dict[Address, None] = {}
    for part in listed(value)[: 2 * most]:
        address = read_address(part.split()[0])
        if address is not None and len(found) < most:
            found[address] = None
    return list(found)


def read_address(text: str, default: int = DEFAULT_PORT) -> Address | None:
    """One that can be dialed."""
    bare = text.endswith("]") or ":" not in text
    try:
        address = Address.parse(f"{text}:{default}" if bare else text).normal
    except FormatError:
        return None
    return address if address.dialable else None


def write_addresses(addresses: Iterable[Address]) -> str:
    return ", ".join(map(str, addresses))
