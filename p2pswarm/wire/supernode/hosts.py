"""Lists of super nodes: where they are, how fresh that is, how full they are."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from struct import Struct
from typing import ClassVar, NamedTuple, Self

from p2pswarm.errors import LocalProtocolError, RemoteProtocolError
from p2pswarm.formats.ids import Address
from p2pswarm.wire.supernode.frames import Frame, FrameKind
from p2pswarm.wire.supernode.packing import ADDRESS_4, ADDRESS_6, pack_address, read_address

__all__ = ["HOSTS_MOST", "Entry", "Hosts", "pack_entries", "read_entries"]

HOSTS_MOST = 200
_MAX_MINUTES = 255  # or more
_TAIL = Struct(">BB")


class Entry(NamedTuple):
    """A super node that somebody knows."""

    address: Address
    minutes: int
    """Since it was seen; 255 stands for more."""
    load: int
    """How full it is, in percent."""


@dataclass(frozen=True, slots=True)
class Hosts:
    """Super nodes to know; as they are read, those of IPv4 come first."""

    kind: ClassVar[FrameKind] = FrameKind.HOSTS

    entries: tuple[Entry, ...]

    def encode(self) -> Frame:
        """Raises LocalProtocolError for more than HOSTS_MOST, or an address that is a name."""
        return Frame(self.kind, pack_entries(self.entries))

    @classmethod
    def read(cls, body: bytes) -> Self:
        """Raises RemoteProtocolError."""
        return cls(read_entries(body))


def pack_entries(entries: Sequence[Entry]) -> bytes:
    """A count and those of IPv4 with 8 bytes each, a count and those of IPv6 with 20 each."""
    if len(entries) > HOSTS_MOST:
        raise LocalProtocolError(f"{len(entries)} hosts in one list, at most {HOSTS_MOST}")
    packed = [_pack(entry) for entry in entries]
    four = [data for data in packed if len(data) == ADDRESS_4 + 2]
    six = [data for data in packed if len(data) == ADDRESS_6 + 2]
    return b"".join((bytes((len(four),)), *four, bytes((len(six),)), *six))


def read_entries(data: bytes) -> tuple[Entry, ...]:
    """Raises RemoteProtocolError."""
    four = data[0] if data else 0
    middle = 1 + four * (ADDRESS_4 + 2)
    six = data[middle] if middle < len(data) else 0
    if len(data) != middle + 1 + six * (ADDRESS_6 + 2) or four + six > HOSTS_MOST:
        raise RemoteProtocolError(f"{len(data)} bytes are no list of hosts")
    return (
        *_read(data[1:middle], ADDRESS_4),
        *_read(data[middle + 1 :], ADDRESS_6),
    )


def _pack(entry: Entry) -> bytes:
    if entry.minutes < 0 or not 0 <= entry.load <= 100:
        raise LocalProtocolError(f"{entry} cannot be")
    minutes = min(entry.minutes, _MAX_MINUTES)
    return pack_address(entry.address) + _TAIL.pack(minutes, entry.load)


def _read(data: bytes, size: int) -> Iterable[Entry]:
    for at in range(0, len(data), size + 2):
        minutes, load = _TAIL.unpack_from(data, at + size)
        if load > 100:
            raise RemoteProtocolError(f"a host that is {load} % full")
        yield Entry(read_address(data[at : at + size]), minutes, load)
