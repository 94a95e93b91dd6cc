"""Connections over which we give: who comes for a file, or was connected to because of a push.

Requests come one after the other on a connection. A few files are given at a time; who has to wait waits in
the line, or asks again later. Trees, torrents and lists are small and need no slot.

The one hard thing: whoever comes may do nothing, or very slowly. A head has to be complete in time; when
there are too many connections, the one that has been silent for longest goes.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any
from uuid import uuid4

from p2pswarm.errors import BusyError, DiskError, NetworkError, P2PSwarmError
from p2pswarm.formats.ids import Address
from p2pswarm.net.port import Port
from p2pswarm.net.rate import Limiter
from p2pswarm.net.stream import Stream
from p2pswarm.overlay.dialing import to_the_end
from p2pswarm.overlay.files.answers import Part, given, part_of, queued, refused
from p2pswarm.overlay.files.mesh import Mesh
from p2pswarm.overlay.files.queue import POLL_MAX, UploadSlots
from p2pswarm.overlay.files.serving import Offer, Serving
from p2pswarm.overlay.giving import give
from p2pswarm.overlay.talk import Talk
from p2pswarm.wire.http.heads import HeadFramer
from p2pswarm.wire.http.locations import read_locations, read_node, write_locations
from p2pswarm.wire.http.messages import Request, Response
from p2pswarm.wire.http.queueing import understands
from p2pswarm.wire.http.targets import Browse, PushProxy, Target, read_target

__all__ = ["Found", "Proxy", "Spawn", "Uploads"]

log = logging.getLogger(__name__)

IDLE = 30.0  # seconds for the next request
LINGER = 2.0  # seconds that the other side has to hang up when nothing more comes
MOST = 256  # connections
MOST_OF_ONE = 32  # of one host, behind which many may be

Spawn = Callable[[Coroutine[Any, Any, None]], None]
"""Runs it in a task of the owner's, or closes it when the owner is gone."""
Proxy = Callable[[bytes, Address], bool]
"""Has who trusts us with its pushes, by servent GUID, connect to this address; False when nobody does."""
Found = Callable[[bytes, Address, Address], None]
"""Of a file that we fetch, by its SHA-1: at the first address it can be had, says who is at the second."""


class Uploads:
    """`came` for each guest; `serve` where we connected."""

    def __init__(
        self,
        port: Port,
        serving: Serving,
        mesh: Mesh,
        slots: UploadSlots,
        up: Limiter,
        *,
        spawn: Spawn,
        proxy: Proxy | None = None,
        found: Found = lambda *_: None,
    ) -> None:
        self._port = port
        self._serving = serving
        self._mesh = mesh
        self._slots = slots
        self._up = up
        self._spawn = spawn
        self._proxy, self._found = proxy, found
        self._clock = asyncio.get_running_loop().time
        self._talks: dict[Talk, str] = {}  # and what stands for the place in the line
        self._silent: dict[Talk, None] = {}  # those that we wait for, for longest first

    @property
    def busy(self) -> bool:
        """Whether who asks for a file now would have to wait."""
        return self._slots.busy

    def came(self, stream: Stream) -> None:
        """A guest that speaks HTTP. Until its first request is there, the door's clock runs."""
        talk = Talk(self._port, stream)
        stream.switch(HeadFramer(Request.read, self._port.scratch), talk)
        self._spawn(to_the_end("files", self._welcome(talk)))

    async def _welcome(self, talk: Talk) -> None:
        try:
            request = await talk.word()
            self._port.admitted(talk.stream)
            assert isinstance(request, Request)
            await self.serve(talk, request)
        finally:
            talk.close()

    async def serve(self, talk: Talk, request: Request | None = None) -> None:
        """Answer its requests until it is done, beginning with this one. Raises RemoteError."""
        if not self._let_in(talk):
            raise NetworkError(f"{talk.remote} is one too many")
        try:
            going = True
            while going:
                request = request or await self._next(talk)
                going = await self._answer(talk, request)
                request = None
                await talk.sent()  # who asks and does not read must not have answers pile up here
            await _linger(talk)
        finally:
            self._slots.leave(talk)
            del self._talks[talk]
            talk.close()

    def close(self) -> None:
        """Drop all; may be called twice."""
        for talk in list(self._talks):
            talk.close()

    def _let_in(self, talk: Talk) -> bool:
        hosts = Counter(other.remote.host for other in self._talks)
        if hosts[talk.remote.host] >= MOST_OF_ONE:
            return False
        if len(self._talks) >= MOST:
            silent = next(iter(self._silent), None)
            if silent is None:
                return False
            del self._silent[silent]
            silent.close()
        self._talks[talk] = uuid4().hex
        return True

    async def _next(self, talk: Talk) -> Request:
        """Whoever waits in the line comes back when it was told to."""
        patience = POLL_MAX + IDLE if self._slots.waits(talk) else IDLE
        self._silent[talk] = None
        try:
            async with asyncio.timeout(patience):
                request = await talk.hear(HeadFramer(Request.read, talk.scratch), patience)
        except TimeoutError as error:
            raise NetworkError(f"{talk.remote} asks for nothing more") from error
        finally:
            self._silent.pop(talk, None)
        assert isinstance(request, Request)
        return request

    # One request

    async def _answer(self, talk: Talk, request: Request) -> bool:
        """Whether another may follow."""
        target = read_target(request.target)
        if request.method not in ("GET", "HEAD"):
            return self._say(talk, request, refused(501, "Not Implemented"))
        if isinstance(target, PushProxy):
            return self._say(talk, request, self._pushed(talk, request, target))
        offer = await self._find(talk, request, target)
        if isinstance(offer, Response):
            return self._say(talk, request, offer)
        part = part_of(offer, request.range)
        if part.end > part.start and offer.gift.large and request.method == "GET":
            busy = self._wait(talk, request)
            if busy is not None:
                return self._say(talk, request, busy)
        return await self._give(talk, request, offer, part)

    async def _find(self, talk: Talk, request: Request, target: Target | None) -> Offer | Response:
        if target is None or isinstance(target, PushProxy):
            return refused(404, "Not Found")
        if isinstance(target, Browse) and not self._serving.browsable:
            return refused(403, "Browse Host Disabled")
        try:
            offer = await self._serving.find(target, request, talk.remote.host)
        except BusyError as error:
            log.info("files: %s asks for %s: %s", talk.remote, request.target, error)
            return refused(503, "Busy", retry=60)
        except P2PSwarmError as error:
            log.info("files: %s asks for %s: %s", talk.remote, request.target, error)
            offer = None
        return offer or refused(404, "Not Found")

    def _pushed(self, talk: Talk, request: Request, target: PushProxy) -> Response:
        """Only to where it asks from: nobody has others connected to."""
        node = read_node(request.headers.get("X-Node"))
        if node is None or node.host != talk.remote.host:
            return refused(400, "Push Proxy: Bad Request")
        if self._proxy is None or not self._proxy(target.servent, node):
            return refused(410, "Push Proxy: Servent not connected")
        return refused(202, "Push Proxy: Message Sent")

    def _wait(self, talk: Talk, request: Request) -> Response | None:
        """None when it is its turn. Raises RemoteProtocolError when it asked too early."""
        waits = request.persistent and understands(request.headers.get("X-Queue")) is not None
        place = self._slots.ask(talk, talk.remote.host, self._clock(), waits=waits)
        return None if place is None else queued(place, request, self._talks[talk])

    async def _give(self, talk: Talk, request: Request, offer: Offer, part: Part) -> bool:
        response = given(offer, part)
        if offer.sha1 is not None:
            self._tell_of_others(talk, request, offer.sha1, response)
        going = self._say(talk, request, response)
        if request.method == "GET" and part.end > part.start:
            try:
                await give(talk, offer.gift, self._up, part.start, part.end - part.start)
            except DiskError as error:
                # So much was promised: only the end of the connection says that it does not come.
                raise NetworkError(f"{offer.name} cannot be given: {error}") from error
        return going

    def _tell_of_others(
        self, talk: Talk, request: Request, sha1: bytes, response: Response
    ) -> None:
        now = self._clock()
        known = [read_node(request.headers.get("X-Node"))]
        fetched = self._mesh.partial(sha1) is not None  # else we look for nobody
        for other in read_locations(request.headers.get("X-Alt", "")):
            if not isinstance(other, Address):
                continue
            known.append(other)
            if fetched and self._mesh.heard(sha1, other, talk.remote, now):
                self._found(sha1, other, talk.remote)
            if other.host == talk.remote.host:
                self._mesh.offered(sha1, other, now)
        for other in read_locations(request.headers.get("X-NAlt", "")):
            if isinstance(other, Address):
                self._mesh.doubted(sha1, other, talk.remote, now)
        good = [each for each in self._mesh.good(sha1, now, talk.remote) if each not in known]
        if good:
            response.headers["X-Alt"] = write_locations(good)

    def _say(self, talk: Talk, request: Request, response: Response) -> bool:
        going = request.persistent
        response.headers["Connection"] = "Keep-Alive" if going else "close"
        response.headers["X-Features"] = "queue/1.0"
        talk.send(response.encode())
        return going


async def _linger(talk: Talk) -> None:
    """What was said is taken before the connection ends."""
    await talk.sent()
    try:
        async with asyncio.timeout(LINGER):
            await talk.hung_up()
    except TimeoutError:
        return
