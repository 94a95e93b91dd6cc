"""Connections between us and other clients: whom we dial, whom we let in, and who takes care of them.

The first word of whoever dials us says whether it comes to fetch or to bring. Nobody is let in who was not
announced through the server, and nobody is dialed beyond the budget.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from p2pswarm.errors import NetworkError
from p2pswarm.formats.ids import Address
from p2pswarm.formats.zones import zone_of
from p2pswarm.net.port import Port
from p2pswarm.net.stream import Stream
from p2pswarm.overlay.budget import DialBudget
from p2pswarm.overlay.catalog import Catalog
from p2pswarm.overlay.dialing import Dialing, to_the_end
from p2pswarm.overlay.napster.connection import Connection
from p2pswarm.overlay.napster.downloads import Downloads
from p2pswarm.overlay.napster.giving import Giving
from p2pswarm.overlay.napster.hello import reach
from p2pswarm.overlay.napster.lists import Lists
from p2pswarm.overlay.napster.results import NAME
from p2pswarm.overlay.napster.uploads import Uploads
from p2pswarm.overlay.talk import Talk
from p2pswarm.wire.napster import (
    DataPortError,
    DirectBrowse,
    DirectBrowseError,
    Message,
    PushAck,
    UploadRefuse,
    UploadRequest,
)
from p2pswarm.wire.napster.peer import HELLO, GetFile, GetList, HeadFramer, SendFile

__all__ = ["Transfers"]

log = logging.getLogger(__name__)


class Transfers:
    """`run` in a task of the owner's; then it is the `Surroundings` of uploads and downloads."""

    def __init__(self, port: Port, connection: Connection, *, firewalled: bool) -> None:
        self.firewalled = firewalled
        self.downloads = Downloads(self)
        self._uploads: Uploads | None = None
        self._lists: Lists | None = None
        self._port = port
        self._connection = connection
        clock = asyncio.get_running_loop().time
        self._dialing = Dialing(port, DialBudget(), clock, reach)
        self._tasks: asyncio.TaskGroup | None = None

    def give(self, catalog: Catalog, giving: Giving, slots: int) -> None:
        """From now on there is something to be had from us."""
        self._uploads = Uploads(giving, self, slots)
        self._lists = Lists(catalog, giving, self)

    async def run(self) -> None:
        """Until cancelled; what is under way ends then."""
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            try:
                await self._connection.run()
            finally:
                self._tasks = None
                if self._uploads is not None:
                    self._uploads.close()
                if self._lists is not None:
                    self._lists.close()

    def heard(self, message: object) -> None:
        """What the server says by itself."""
        match message:
            case UploadRequest(nick=nick, name=name) if self._uploads is None:
                self.tell(UploadRefuse(nick, name))
            case UploadRequest() if self._uploads is not None:
                self._uploads.requested(message)
            case DirectBrowse(nick=nick) if self._lists is None:
                self.tell(DirectBrowseError(nick, "nothing is shared"))
            case DirectBrowse() if self._lists is not None:
                self._lists.asked(message)
            case PushAck() if self._uploads is not None:
                self._uploads.pushed(message)
            case DataPortError(nick=nick) if self._uploads is not None:
                self._uploads.unreachable(nick)
            case Message():
                self.downloads.heard(message)
            case _:
                log.debug("napster: heard %s", message)

    def lost(self, error: NetworkError) -> None:
        """The server is gone."""
        self.downloads.lost(error)
        if self._uploads is not None:
            self._uploads.lost()

    def answers(self, address: Address) -> bool:
        """Whether we dialed somebody there, who answered."""
        return self._dialing.has_answered(address)

    # Surroundings

    @property
    def nick(self) -> str:
        return self._connection.account.nick

    def send(self, message: Message) -> None:
        self._connection.current().send(message)

    def tell(self, message: Message) -> None:
        try:
            self.send(message)
        except NetworkError as error:
            log.debug("napster: nobody to tell %s: %s", message, error)

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        if self._tasks is None:
            work.close()
        else:
            self._tasks.create_task(to_the_end(NAME, work))

    def expect(self, host: str | None) -> Callable[[], None]:
        return self._port.expect(host, HELLO, self._let_in)

    async def dial(self, address: Address) -> Talk:
        # Whoever names an address does so through the server.
        teller = zone_of(self._connection.current().stream.remote.host)
        return await self._dialing.dial(address, teller)

    # Who dials us

    def _let_in(self, stream: Stream) -> None:
        talk = Talk(self._port, stream)
        stream.switch(HeadFramer(self._port.scratch), talk)
        self.spawn(self._come(talk))

    async def _come(self, talk: Talk) -> None:
        head = await talk.word()
        self._port.admitted(talk.stream)
        if isinstance(head, SendFile) and self.downloads.brought(talk, head):
            return
        try:
            if isinstance(head, GetFile) and self._uploads is not None:
                await self._uploads.came(talk, head)
            elif isinstance(head, GetList) and self._lists is not None:
                await self._lists.came(talk)
        finally:
            talk.close()
