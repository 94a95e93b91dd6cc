"""Our list for who wants it from ourselves: they come with GETLIST, or, behind a firewall, we bring it.

GETLIST does not say whose it is, so each question that came through the server lets one in, whoever that is.
"""

import asyncio
import logging
from collections.abc import Callable

from p2pswarm.errors import NetworkError
from p2pswarm.formats.ids import Address
from p2pswarm.overlay.catalog import Catalog
from p2pswarm.overlay.giving import Told
from p2pswarm.overlay.napster.around import Surroundings
from p2pswarm.overlay.napster.giving import Giving
from p2pswarm.overlay.napster.sharing import share_of
from p2pswarm.overlay.talk import Talk
from p2pswarm.wire.napster import DirectBrowse, DirectBrowseAck, DirectBrowseError
from p2pswarm.wire.napster.peer import SendList, list_lines

__all__ = ["Lists"]

log = logging.getLogger(__name__)

MOST_FILES = 5000  # of one list, as many as a server lists
MOST_WAITING = 20  # who may come, and to whom we go
COME_TIME = 60.0  # seconds in which they have to


class Lists:
    """`asked` for each 640, `came` for each GETLIST."""

    def __init__(self, catalog: Catalog, giving: Giving, around: Surroundings) -> None:
        self._catalog, self._giving, self._around = catalog, giving, around
        self._waiting: dict[str, Callable[[], None]] = {}  # how to forget them
        self._bringing: set[str] = set()

    def asked(self, message: DirectBrowse) -> None:
        """With an address we have to connect: nobody can connect to us."""
        key = message.nick.lower()
        if key in self._bringing:
            self._around.tell(DirectBrowseError(message.nick, "the list is on its way to you"))
        elif key not in self._waiting and self._full:
            self._around.tell(DirectBrowseError(message.nick, "too many want the list, come back"))
        elif message.ip is not None and message.port:
            self._forget(key)
            self._bringing.add(key)
            self._around.tell(DirectBrowseAck(message.nick))
            self._around.spawn(self._bring(key, Address(message.ip, message.port)))
        else:
            self._forget(key)
            self._waiting[key] = self._expect(key)
            self._around.tell(DirectBrowseAck(message.nick))

    @property
    def _full(self) -> bool:
        return len(self._waiting) + len(self._bringing) >= MOST_WAITING

    def _expect(self, key: str) -> Callable[[], None]:
        """Somebody may come, until what is returned is called."""
        close_door = self._around.expect(None)
        timer = asyncio.get_running_loop().call_later(COME_TIME, self._forget, key)

        def forget() -> None:
            timer.cancel()
            close_door()

        return forget

    def _forget(self, key: str) -> None:
        forget = self._waiting.pop(key, None)
        if forget is not None:
            forget()

    async def came(self, talk: Talk) -> None:
        """Raises NetworkError, DiskError."""
        if self._waiting:
            self._forget(next(iter(self._waiting)))
            await self._giving.give(talk, Told(await self._list()), 0)

    async def _bring(self, key: str, address: Address) -> None:
        """Raises DiskError."""
        try:
            talk = await self._around.dial(address)
            try:
                # The list begins with the line that the head is.
                head = SendList(self._around.nick).encode()
                gift = Told(head + (await self._list()).partition(b"\n")[2])
                await self._giving.give(talk, gift, 0)
            finally:
                talk.close()
        except NetworkError as error:
            log.info("napster: the list cannot be brought: %s", error)
        finally:
            self._bringing.discard(key)

    async def _list(self) -> bytes:
        files = await self._catalog.listed(0, MOST_FILES)
        return list_lines(self._around.nick, [share_of(each) for each in files])

    def close(self) -> None:
        for key in list(self._waiting):
            self._forget(key)
        self._bringing.clear()  # who was cancelled before the first step cannot say so
