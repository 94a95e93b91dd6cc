"""ut_holepunch (BEP 55): two peers behind NATs meet with the help of a third that both are connected to.

A asks the third, with `rendezvous`, for B; the third tells each of them, with `connect`, where the other is;
both dial by uTP in the same moment. Or the third answers A with `error`.
"""

from dataclasses import dataclass
from enum import IntEnum
from ipaddress import ip_address

from p2pswarm.errors import RemoteProtocolError
from p2pswarm.formats.ids import Address, compact

__all__ = ["Holepunch", "HolepunchError", "HolepunchKind"]


class HolepunchKind(IntEnum):
    """Which of the three messages it is."""

    RENDEZVOUS = 0
    CONNECT = 1
    ERROR = 2


class HolepunchError(IntEnum):
    """Why it cannot be; `NONE` where there is no error."""

    NONE = 0
    NO_SUCH_PEER = 1  # the address is none
    NOT_CONNECTED = 2  # to the third
    NO_SUPPORT = 3  # by the target
    NO_SELF = 4  # the third itself was asked for


@dataclass(slots=True)
class Holepunch:
    """`address` is the other peer's: whom to meet, or whom one cannot meet."""

    kind: HolepunchKind
    address: Address
    error: HolepunchError = HolepunchError.NONE

    def encode(self) -> bytes:
        """Raises FormatError for an address that is a name."""
        place = compact(self.address)
        family = 1 if len(place) == 18 else 0
        return bytes((self.kind, family)) + place + self.error.to_bytes(4, "big")

    @classmethod
    def decode(cls, payload: bytes) -> "Holepunch | None":
        """None for a kind nobody knows. libtorrent leaves the error out where there is none.

        Raises RemoteProtocolError.
        """
        size = {0: 4, 1: 16}.get(payload[1]) if len(payload) > 1 else None
        if size is None or len(payload) < 4 + size:
            raise RemoteProtocolError(f"ut_holepunch: {len(payload)} bytes")
        if payload[0] not in tuple(HolepunchKind):
            return None
        port = int.from_bytes(payload[2 + size : 4 + size], "big")
        address = Address(str(ip_address(payload[2 : 2 + size])), port).normal
        error = int.from_bytes(payload[4 + size : 8 + size], "big")
        known = error if error in tuple(HolepunchError) else HolepunchError.NO_SUCH_PEER
        return cls(HolepunchKind(payload[0]), address, HolepunchError(known))
