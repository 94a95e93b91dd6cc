"""The people network as a node sees it: find somebody by name, be found, ring and be rung.

`find` needs nobody's leave: who only asks need not have a name. Who has one and joins is at home at two or
three super nodes, and his record in the directory says at which.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from p2pswarm.errors import NetworkError

if TYPE_CHECKING:
    from collections.abc import Callable

    from p2pswarm.formats.people.record import Record
    from p2pswarm.overlay.people.ringing import Rung

__all__ = ["Found", "People"]


@dataclass(frozen=True, slots=True)
class Found:
    """Somebody, and what it took to find him."""

    record: "Record"
    hops: int
    """Super nodes that were asked one behind the other; 0 when we knew him."""
    messages: int
    """Both ways."""


class People:
    """`on_ring` first, then `join`; `leave` at the end, which may be called twice."""

    def __init__(self) -> None:
        self.on_ring: Callable[[Rung], None] = lambda rung: rung.decline("busy")

    async def join(self) -> None:
        """Be at home somewhere, and in the directory if we have a name; both go on by themselves.

        Raises NetworkError when no super node takes us in at first.
        """
        raise NetworkError("there is no people network")

    async def leave(self) -> None:
        """Say goodbye."""

    async def find(self, name: str, *, recursive: bool = False) -> Found:
        """`recursive` lets our home ask for us, which goes without UDP.

        Raises FormatError for what is no name, UnknownNameError, NetworkError.
        """
        raise NetworkError(f"nobody can be asked for {name}")

    async def ring(self, record: "Record", offer: bytes, *, session: bytes) -> bytes:
        """What the callee answers. Raises OfflineError, DeclinedError, NetworkError."""
        raise NetworkError(f"{record.name} cannot be rung")
