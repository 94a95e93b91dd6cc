"""Under which name we are in: the one we were told, or one beside it that is free."""

import logging
from pathlib import Path

from p2pswarm.disk.pool import DiskPool
from p2pswarm.errors import HostError
from p2pswarm.formats.ids import Address
from p2pswarm.overlay.napster.accounts import Held

__all__ = ["Naming"]

log = logging.getLogger(__name__)


class Naming:
    """`await take()` before the first login, `close()` at the end. Who has no wish is a guest."""

    def __init__(
        self, folder: Path, server: Address, nick: str, password: str, disk: DiskPool
    ) -> None:
        self._folder, self._server = folder, server
        self._wish, self._password = nick, password
        self._disk = disk
        self._held: Held | None = None

    @property
    def nick(self) -> str:
        return self._held.nick if self._held else ""

    @property
    def password(self) -> str:
        return self._held.password if self._held else ""

    async def take(self) -> None:
        """Raises DiskError, HostError, InUseError."""
        if not self._wish:
            return
        wish = self._server, self._wish, self._password
        self._held = await self._disk.run(Held.take, self._folder, *wish)
        if self._held.nick != self._wish:
            log.warning("%s is in use on this machine: here as %s", self._wish, self._held.nick)

    async def another(self, refused: str) -> tuple[str, str] | None:
        """Instead of one beside ours that the server has refused, if it was never ours there."""
        held = self._held
        if held is None or refused == self._wish:
            return None
        if held.nick == refused:
            if not held.fresh:
                return None
            try:
                held = self._held = await self._disk.run(held.instead)
            except HostError as error:
                log.warning("no other name instead of %s: %s", refused, error)
                return None
            log.warning("the server refuses %s: here as %s", refused, held.nick)
        return held.nick, held.password

    def close(self) -> None:
        """May be called twice."""
        if self._held is not None:
            self._held.close()
