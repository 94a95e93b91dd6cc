"""One host of the host cache: what is known of it, and the file that keeps a thousand of them."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

from p2pswarm.errors import FormatError
from p2pswarm.formats.ids import Address
from p2pswarm.formats.zones import Zone, zone_of

__all__ = ["STRANGER_EVERY", "Host", "read_hosts", "write_hosts"]

STRANGER_EVERY = 600.0  # seconds between dials to an address that never completed a handshake
FRIEND_EVERY = 30.0  # for one that did, doubled with each failure in a row
FRIEND_AT_MOST = 3600.0
MOST_BYTES = 1 << 20  # of a file: a thousand hosts are 100 to 200 KiB
_RECENT, _OLD = 3600.0, 86400.0  # seconds since it was seen: three classes of freshness


@dataclass(slots=True)
class Host:
    """What is known of one address. Times are seconds since 1970, 0 for never."""

    address: Address
    seen: float  # when it was last told or connected
    tried: float = 0.0  # when it was last dialed
    failed: int = 0  # dials in a row that led to nothing
    proven: bool = False  # a handshake was completed, whether or not it had a place for us
    hub: bool = False  # has place for who attaches to it: an ultrapeer, a super node
    asked: float = 0.0  # when, over UDP
    group: str = field(init=False)  # who probably has one owner has one group

    def __post_init__(self) -> None:
        self.group = _group(self.address)

    def may_be_dialed(self, now: float) -> bool:
        """A clock that was put back does not make it wait longer."""
        if not self.tried:
            return True
        pause = STRANGER_EVERY
        if self.proven:
            pause = min(FRIEND_EVERY * 2 ** min(self.failed, 10), FRIEND_AT_MOST)
        return abs(now - self.tried) >= pause

    def order(self, now: float) -> tuple[int, int, bool]:
        """The smaller, the better to be dialed."""
        age = abs(now - self.seen)
        return min(self.failed, 3), (age > _RECENT) + (age > _OLD), not self.hub


def _group(address: Address) -> str:
    """A /16, or a /32 of IPv6; a near address stands for itself."""
    ip = address.ip
    if ip is None or zone_of(address.host) is not Zone.INTERNET:
        return str(address)
    return ip.packed[: 2 if ip.version == 4 else 4].hex()


def write_hosts(hosts: Iterable[tuple[Host, str]]) -> bytes:
    """Hosts, and who told each of them."""
    rows = [_to_json(host, teller) for host, teller in hosts]
    return json.dumps({"version": 1, "hosts": rows}, indent=0).encode()


def read_hosts(data: bytes) -> list[tuple[Host, str]]:
    """The opposite. Raises FormatError for whatever we did not write."""
    if len(data) > MOST_BYTES:
        raise FormatError(f"{len(data)} bytes are too many")
    try:
        content = json.loads(data)
        if content["version"] != 1 or not isinstance(content["hosts"], list):
            raise FormatError("another version")
        return [_from_json(row) for row in content["hosts"]]
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
        raise FormatError("it is damaged") from error


_FLAGS = ("proven", "hub")
_TIMES = ("seen", "tried", "asked")


def _to_json(host: Host, teller: str) -> dict[str, Any]:
    flags = {name: True for name in _FLAGS if getattr(host, name)}
    times = {name: round(getattr(host, name), 3) for name in _TIMES}
    return {"address": str(host.address), "teller": teller, "failed": host.failed, **times, **flags}


def _from_json(row: dict[str, Any]) -> tuple[Host, str]:
    teller, failed = row["teller"], row["failed"]
    if not isinstance(row["address"], str) or not isinstance(teller, str):
        raise TypeError("no text where there should be")
    address = Address.parse(row["address"]).normal
    times = {name: float(row[name]) for name in _TIMES}
    counted = type(failed) is int and 0 <= failed < 1 << 31
    if not counted or not address.dialable or not all(map(isfinite, times.values())):
        raise ValueError("nonsense")
    host = Host(address, times["seen"], times["tried"], failed, asked=times["asked"])
    for name in _FLAGS:
        setattr(host, name, row.get(name, False) is True)
    return host, teller
