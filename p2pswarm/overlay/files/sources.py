"""A host that has a file, as a hit or another host told us."""

from dataclasses import dataclass

from p2pswarm.formats.ids import Address
from p2pswarm.formats.zones import Zone
from p2pswarm.wire.http.targets import ByHash, ByIndex

__all__ = ["NOWHERE", "Source"]

NOWHERE = Address("0.0.0.0", 0)  # noqa: S104 - a servent that only a push reaches


@dataclass(frozen=True, slots=True)
class Source:
    """Without `sha1` it is asked for the file by `index` and `name`. With `push` it cannot be dialed.

    `teller` is where whoever told us of it is: nothing nearer than that is dialed.
    """

    address: Address
    size: int
    sha1: bytes | None = None
    tth: bytes | None = None
    index: int = 0
    name: str = ""
    servent: bytes | None = None  # GUID, 16 bytes
    push: bool = False
    proxies: tuple[Address, ...] = ()
    teller: Zone = Zone.INTERNET

    @property
    def who(self) -> tuple[Address, bytes | None]:
        """The host, whatever it has."""
        return self.address, self.servent

    @property
    def target(self) -> str:
        """What it is asked for."""
        return str(ByIndex(self.index, self.name) if self.sha1 is None else ByHash(self.sha1))
