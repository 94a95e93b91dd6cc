"""Where else a file is, as servents tell each other in headers: the download mesh.

`X-Alt` and `X-NAlt` list addresses, `X-Falt` and newer `X-Alt` also servents behind firewalls with their push
proxies (x-alt, push_proxy of the GDF).
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from typing_extensions import override

from p2pswarm.errors import FormatError
from p2pswarm.formats.ids import Address
from p2pswarm.formats.urns import base32, read_base32
from p2pswarm.wire.http.addresses import DEFAULT_PORT, read_address

__all__ = ["PushLocation", "read_locations", "read_node", "write_locations"]

MOST_LOCATIONS = 32  # of one header
MOST_PROXIES = 8  # of one servent
_OLD = re.compile(r"http://([^/\s]+)/uri-res/N2R\?urn:sha1:[a-z2-7]{32}", re.IGNORECASE)
_GUID = re.compile(r"[A-Z2-7]{26}|[0-9A-F]{32}", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class PushLocation:
    """A servent that nobody can dial, and who can tell it to dial."""

    servent: bytes
    proxies: tuple[Address, ...]

    @override
    def __str__(self) -> str:
        return ";".join([base32(self.servent), *map(_short, self.proxies)])


def read_locations(value: str) -> list[Address | PushLocation]:
    """Those that can be understood, at most so many."""
    found: list[Address | PushLocation] = []
    for part in value.split(",", 2 * MOST_LOCATIONS)[: 2 * MOST_LOCATIONS]:
        location = _location(part.strip())
        if location is not None and location not in found:
            found.append(location)
    return found[:MOST_LOCATIONS]


def write_locations(locations: Iterable[Address | PushLocation]) -> str:
    """For X-Alt, X-NAlt or X-Falt."""
    texts = [_short(each) if isinstance(each, Address) else str(each) for each in locations]
    return ",".join(texts[:MOST_LOCATIONS])


def read_node(value: str | None) -> Address | None:
    """X-Node, Listen-IP and the like: one address."""
    return None if value is None else read_address(value.split(",")[0].strip())


def _location(text: str) -> Address | PushLocation | None:
    old = _OLD.match(text)  # X-Gnutella-Alternate-Location, with a date behind it
    if old is not None:
        return read_address(old[1], 80)
    guid, *rest = text.split(";")
    if _GUID.fullmatch(guid) is None:
        return read_address(text)
    servent = _servent(guid)
    # Between them stand "fwt/1", "pptls=..": what a servent can do.
    proxies = [proxy for each in rest[:32] if (proxy := read_address(each.strip())) is not None]
    return PushLocation(servent, tuple(proxies[:MOST_PROXIES])) if servent else None


def _servent(guid: str) -> bytes | None:
    try:
        return bytes.fromhex(guid) if len(guid) == 32 else read_base32(guid, 16)
    except (FormatError, ValueError):
        return None


def _short(address: Address) -> str:
    return str(address).removesuffix(f":{DEFAULT_PORT}")
