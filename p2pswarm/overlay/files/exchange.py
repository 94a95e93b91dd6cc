"""What all networks of a node share of moving files: what is given to whom, and who comes with HTTP or GIV.

Whoever connects does not say from which network it comes. A request for a file is the same in each, so there
is one line of waiting and one upload limit; a GIV belongs to the network that waits for that servent, and a
push proxy is asked for a servent that one of them knows.

The one hard thing: networks come and go while files move. What is given goes on while one of them is there.
"""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, Protocol

from p2pswarm.formats.ids import Address
from p2pswarm.net.stream import Stream
from p2pswarm.overlay.catalog import Catalog
from p2pswarm.overlay.dialing import to_the_end
from p2pswarm.overlay.files.mesh import Mesh
from p2pswarm.overlay.files.queue import UploadSlots
from p2pswarm.overlay.files.serving import Hits, Serving
from p2pswarm.overlay.files.uploads import Uploads
from p2pswarm.overlay.talk import Talk
from p2pswarm.overlay.tools import Tools
from p2pswarm.wire.http.giv import Giv, GivFramer
from p2pswarm.wire.http.messages import Request
from p2pswarm.wire.sniff import Guest

__all__ = ["Exchange", "Member"]

log = logging.getLogger(__name__)


class Member(Protocol):
    """The part of it that is one network's."""

    @property
    def listing(self) -> Hits | None:
        """How it tells of all our files; None where nobody browses."""

    def pass_push(self, servent: bytes, address: Address) -> bool:
        """Have that servent dial the address; False for one that we bring no pushes to."""

    def takes(self, giv: Giv, talk: Talk) -> bool:
        """Whether it waits for that servent; the connection is then its own."""

    def heard(self, sha1: bytes, host: Address, teller: Address) -> bool:
        """Who wants a file, too, says who else has it; False when that is no file of its downloads."""


class Exchange:
    """`run` in a task of the owner's, which ends by being cancelled; `enter` and `leave` for each network."""

    def __init__(self, tools: Tools) -> None:
        self.port, self.mesh = tools.port, Mesh()
        self._members: list[Member] = []
        self._tasks: asyncio.TaskGroup | None = None
        self._serving = Serving(tools.disk, self.mesh, seed=tools.seed)
        self._uploads = Uploads(
            tools.port,
            self._serving,
            self.mesh,
            UploadSlots(tools.slots),
            tools.up,
            spawn=self._spawn,
            proxy=self._pass_push,
            found=self._heard,
        )

    async def run(self) -> None:
        """Until cancelled; what is under way ends then."""
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            try:
                await asyncio.Event().wait()
            finally:
                self._tasks = None
                self._uploads.close()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        if self._tasks is None:
            work.close()
        else:
            self._tasks.create_task(work)

    # Networks

    def enter(self, member: Member) -> None:
        """Let in who comes for a file, or with one. May be called twice."""
        if member not in self._members:
            self._members.append(member)
        self._browse()
        self.port.route(Guest.HTTP, self._uploads.came)
        self.port.route(Guest.GIV, self._brings)

    def leave(self, member: Member) -> None:
        """With the last one ends what is being given. May be called twice."""
        if member not in self._members:
            return
        self._members.remove(member)
        self._browse()
        if not self._members:
            self._uploads.close()

    def _browse(self) -> None:
        listings = (member.listing for member in self._members)
        self._serving.browse(next(filter(None, listings), None))

    # Giving

    def share(self, catalog: Catalog) -> None:
        self._serving.share(catalog)

    @property
    def busy(self) -> bool:
        """Whether who asks for a file now would have to wait."""
        return self._uploads.busy

    async def serve(self, talk: Talk, request: Request) -> None:
        """Whom we connected to has asked for something. Raises RemoteError."""
        await self._uploads.serve(talk, request)

    def _pass_push(self, servent: bytes, address: Address) -> bool:
        return any(member.pass_push(servent, address) for member in self._members)

    def _heard(self, sha1: bytes, host: Address, teller: Address) -> None:
        """One is enough: two would both go there."""
        for member in self._members:
            if member.heard(sha1, host, teller):
                return

    # Who brings a file

    def _brings(self, stream: Stream) -> None:
        """A guest that says GIV."""
        talk = Talk(self.port, stream)
        stream.switch(GivFramer(self.port.scratch), talk)
        self._spawn(to_the_end("files", self._let_in(talk)))

    async def _let_in(self, talk: Talk) -> None:
        try:
            giv = await talk.word()
            assert isinstance(giv, Giv)
            if any(member.takes(giv, talk) for member in self._members):
                return
        except BaseException:
            talk.close()
            raise
        talk.close()
        log.debug("files: nobody asked %s to come", talk.remote)
