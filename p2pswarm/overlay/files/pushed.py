"""Pushes to us: somebody wants a file of ours, cannot dial us, and has us dial.

The one hard thing: a push names the address, and nobody proves that it is the asker's. So only who can know
of a hit of ours is obeyed, each neighbour so many times a minute, each address within the budget of all
dials, and nothing nearer to us than the neighbour who brought it.
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Protocol

from p2pswarm.errors import NetworkError
from p2pswarm.formats.ids import Address
from p2pswarm.formats.zones import Zone, zone_of
from p2pswarm.net.port import Port
from p2pswarm.overlay.dialing import Dialing, to_the_end
from p2pswarm.overlay.files.uploads import Spawn
from p2pswarm.overlay.remembering import remember
from p2pswarm.overlay.talk import Talk
from p2pswarm.wire.http.giv import Giv
from p2pswarm.wire.http.heads import HeadFramer
from p2pswarm.wire.http.messages import Request

__all__ = ["Pushed", "Serve"]

BY_HASH = 0xFFFFFFFF  # index of a push of gtk-gnutella, which then asks for the file by its SHA-1
NAME = "file"  # what gtk-gnutella says in place of a name; the request tells the file
ASK_TIME = 20.0  # seconds for the first request
MOST_OF_LINK = 10  # pushes that one neighbour brings in a minute
MINUTE = 60.0
MOST_LINKS = 1000  # neighbours that are remembered
GUEST_TIME = 3600.0  # seconds after its last file in which who was connected to may push again
MOST_GUESTS = 1000
MOST_AT_ONCE = 20


class Serve(Protocol):
    """Answers what is asked on a connection, beginning with this request: `Exchange.serve`."""

    async def __call__(self, talk: Talk, request: Request) -> None: ...


class Pushed:
    """`answered(index)`: whether a hit of ours with it, or 0 for any, went out in the last ten minutes.

    A file may take longer than that, and the connection break: who fetched by a push may push again.
    """

    def __init__(
        self,
        servent: bytes,
        dialing: Dialing,
        serve: Serve,
        *,
        network: str,
        answered: Callable[[int], bool],
        spawn: Spawn,
    ) -> None:
        self._servent, self._network = servent, network
        self._dialing = dialing
        self._serve = serve
        self._answered = answered
        self._spawn = spawn
        self._clock = asyncio.get_running_loop().time
        self._links: OrderedDict[str, deque[float]] = OrderedDict()  # when each brought pushes
        self._guests: OrderedDict[str, float] = (
            OrderedDict()
        )  # hosts, and when they had a file last
        self._running = 0

    def heard(self, servent: bytes, index: int, address: Address, link: Address) -> bool:
        """`link` is the neighbour who brought it; whether we do what it says."""
        file = 0 if index == BY_HASH else index
        now = self._clock()
        if servent != self._servent:
            return False
        if not self._answered(file) and not self._is_guest(address.host, now):
            return False
        if self._running >= MOST_AT_ONCE or not self._may_bring(link.host, now):
            return False
        self._spawn(to_the_end(self._network, self._go(index, address, zone_of(link.host))))
        return True

    def _is_guest(self, host: str, now: float) -> bool:
        return now <= self._guests.get(host, float("-inf")) + GUEST_TIME

    def _had(self, host: str) -> None:
        remember(self._guests, host, self._clock(), MOST_GUESTS)

    def _may_bring(self, link: str, now: float) -> bool:
        times = self._links.setdefault(link, deque(maxlen=MOST_OF_LINK))
        self._links.move_to_end(link)
        if len(self._links) > MOST_LINKS:
            self._links.popitem(last=False)
        if len(times) == MOST_OF_LINK and now < times[0] + MINUTE:
            return False
        times.append(now)
        return True

    async def _go(self, index: int, whom: Address, teller: Zone) -> None:
        requests: list[Request] = []

        async def reach(port: Port, address: Address) -> Talk:
            talk = await Talk.dial(port, address)
            try:
                requests.append(await self._bring(talk, index))
            except BaseException:
                talk.close()
                raise
            return talk

        self._running += 1
        try:
            talk = await self._dialing.dial(whom, teller, reach)
        finally:
            self._running -= 1
        try:
            await self._serve(talk, requests[-1])
        finally:
            self._had(whom.host)
            talk.close()

    async def _bring(self, talk: Talk, index: int) -> Request:
        """Who asked for the push says what it wants; only that shows that it is there."""
        talk.send(Giv(index, self._servent, NAME).encode())
        try:
            async with asyncio.timeout(ASK_TIME):
                request = await talk.hear(HeadFramer(Request.read, talk.scratch), ASK_TIME)
        except TimeoutError as error:
            raise NetworkError(f"{talk.remote} asks for nothing") from error
        assert isinstance(request, Request)
        return request
