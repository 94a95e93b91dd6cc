"""What every vendor message is: four letters, a number and a version, then what it says (vendor_msg).

Later programs may say more at the end of a message, so what follows the known fields is ignored.
"""

from dataclasses import dataclass
from struct import Struct
from typing import ClassVar, NamedTuple, Self

from p2pswarm.errors import LocalProtocolError, RemoteProtocolError

__all__ = ["NAME", "MessageName", "Vendor", "VendorMessage", "pack_field", "read_field"]

NAME = Struct("<4sHH")


class MessageName(NamedTuple):
    """Which message it is."""

    vendor: bytes
    selector: int
    version: int


@dataclass(slots=True)
class Vendor:
    """A message as it comes."""

    vendor: bytes
    selector: int
    version: int
    data: bytes = b""

    def encode(self) -> bytes:
        """Raises LocalProtocolError for a name that is none."""
        if len(self.vendor) != 4 or not (0 <= self.selector < 65536 and 0 <= self.version < 65536):
            raise LocalProtocolError(f"{self!r} has no name")
        return NAME.pack(self.vendor, self.selector, self.version) + self.data

    @classmethod
    def read(cls, payload: bytes) -> Self:
        """Raises RemoteProtocolError when there is no whole name."""
        if len(payload) < NAME.size:
            raise RemoteProtocolError(f"a vendor message of {len(payload)} bytes")
        vendor, selector, version = NAME.unpack_from(payload)
        return cls(vendor, selector, version, payload[NAME.size :])


class VendorMessage:
    """A message we know: its class says its name, the message how it is said."""

    __slots__ = ()
    vendor: ClassVar[bytes]
    selector: ClassVar[int]
    versions: ClassVar[tuple[int, ...]] = (1,)

    def encode(self) -> bytes:
        """Raises LocalProtocolError for what cannot be said."""
        version, data = self._said()
        return NAME.pack(self.vendor, self.selector, version) + data

    @classmethod
    def read(cls, payload: bytes) -> Self:
        """Raises RemoteProtocolError when it is another message, or shorter than it should be."""
        told = Vendor.read(payload)
        if (told.vendor, told.selector) != (
            cls.vendor,
            cls.selector,
        ) or told.version not in cls.versions:
            raise RemoteProtocolError(
                f"{told.vendor!r}/{told.selector}v{told.version} is another message"
            )
        return cls._heard(told.version, told.data)

    def _said(self) -> tuple[int, bytes]:
        """The version and what stands behind the name."""
        raise NotImplementedError

    @classmethod
    def _heard(cls, version: int, data: bytes) -> Self:
        raise NotImplementedError


def pack_field(number: int, size: int) -> bytes:
    if not 0 <= number < 1 << 8 * size:
        raise LocalProtocolError(f"{number} does not fit into {size} bytes")
    return number.to_bytes(size, "little")


def read_field(data: bytes, size: int) -> int:
    if len(data) < size:
        raise RemoteProtocolError("a vendor message that is too short")
    return int.from_bytes(data[:size], "little")
