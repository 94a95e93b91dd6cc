"""What the network does for its transfers, whichever way they go."""

from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from p2pswarm.formats.ids import Address
from p2pswarm.overlay.talk import Talk
from p2pswarm.wire.napster import Message

__all__ = ["Surroundings"]


class Surroundings(Protocol):
    """Seen by `Uploads` and `Downloads`."""

    @property
    def nick(self) -> str:
        """Who we are."""

    @property
    def firewalled(self) -> bool:
        """Nobody can dial us."""

    def send(self, message: Message) -> None:
        """To the server. Raises NetworkError when there is none."""

    def tell(self, message: Message) -> None:
        """To the server, if there is one."""

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """A transfer, for as long as we are in the network."""

    def expect(self, host: str | None) -> Callable[[], None]:
        """Somebody will dial us, from this host or from anywhere, until what is returned is called."""

    async def dial(self, address: Address) -> Talk:
        """Within the budget. Raises NetworkError."""
