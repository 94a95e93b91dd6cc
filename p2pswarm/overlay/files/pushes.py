"""Servents that cannot be dialed, asked to dial us: the push goes out, and a GIV comes in.

The push goes back along the way of the hit, or to a push proxy of the servent. Whoever then dials us is taken
for the servent when it names the GUID that was asked for and comes from where the hit said; nobody else who
says GIV is let in.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from p2pswarm.errors import NetworkError, RefusedError, RemoteError
from p2pswarm.formats.ids import Address
from p2pswarm.formats.zones import Zone, zone_of
from p2pswarm.net.port import Port
from p2pswarm.overlay.dialing import Dialing
from p2pswarm.overlay.files.asking import dial_and_ask
from p2pswarm.overlay.files.sources import NOWHERE, Source
from p2pswarm.overlay.talk import Talk
from p2pswarm.wire.http.giv import Giv
from p2pswarm.wire.http.heads import AGENT, Headers
from p2pswarm.wire.http.messages import Request
from p2pswarm.wire.http.targets import PushProxy

__all__ = ["Pushes", "Seek", "SendPush"]

log = logging.getLogger(__name__)

PUSH_TIME = 15.0  # seconds for it to dial us
MOST_AWAITED = 100
MOST_PROXIES = 4  # that are asked, one after the other

SendPush = Callable[[bytes, int, Address], bool]
"""A push to this servent, for the file with this index, to this address; False when no way is known.

Raises NetworkError."""
Seek = Callable[[Source], Awaitable[None]]
"""Searches for it once more. Raises NetworkError."""


@dataclass(slots=True, eq=False)
class _Awaited:
    servent: bytes
    host: str
    comes: asyncio.Future[Talk]

    def fits(self, giv: Giv, host: str) -> bool:
        """Behind a NAT a servent may know no better address than one of its own network."""
        anywhere = zone_of(self.host) is Zone.LOCAL_NETWORK and zone_of(host) is Zone.INTERNET
        unknown = self.host == NOWHERE.host
        return giv.servent == self.servent and (self.host == host or anywhere or unknown)


class Pushes:
    """`node` says where we can be dialed, None when we cannot."""

    def __init__(
        self,
        port: Port,
        dialing: Dialing,
        *,
        node: Callable[[], Address | None],
        send: SendPush,
        seek: Seek,
        network: str,
    ) -> None:
        self._port = port
        self._dialing = dialing
        self._node = node
        self._send_push = send
        self._seek = seek
        self._network = network
        self._awaited: list[_Awaited] = []

    async def request(self, source: Source) -> Talk:
        """A connection from this servent, on which we ask. Raises NetworkError."""
        here, servent = self._node(), source.servent
        if servent is None or here is None:
            raise RefusedError(f"{source.address} and we cannot dial each other")
        if len(self._awaited) >= MOST_AWAITED:
            raise NetworkError("too many pushes at a time")
        comes: asyncio.Future[Talk] = asyncio.get_running_loop().create_future()
        awaited = _Awaited(servent, source.address.normal.host, comes)
        self._awaited.append(awaited)
        try:
            await self._send(source, servent, here)
            async with asyncio.timeout(PUSH_TIME):
                return await comes
        except BaseException as error:
            if comes.done() and not comes.cancelled():
                comes.result().close()  # it came in the moment in which we gave up
            if isinstance(error, TimeoutError):
                raise NetworkError(f"{source.address} does not connect to us") from error
            raise
        finally:
            self._awaited.remove(awaited)

    async def _send(self, source: Source, servent: bytes, here: Address) -> None:
        if self._send_push(servent, source.index, here):
            return
        for proxy in source.proxies[:MOST_PROXIES]:
            if await self._sent_by(proxy, source.teller, servent, here):
                return
        if source.push:  # a hit of yesterday's: its way is known when it comes again
            await self._seek(source)
            if self._send_push(servent, source.index, here):
                return
        raise NetworkError(f"nobody knows a way to {source.address}")

    async def _sent_by(self, proxy: Address, teller: Zone, servent: bytes, here: Address) -> bool:
        headers = Headers({"Host": str(proxy), "User-Agent": AGENT, "X-Node": str(here)})
        headers["Connection"] = "close"
        request = Request("GET", str(PushProxy(servent)), headers)
        try:
            talk, response = await dial_and_ask(self._dialing, proxy, teller, request)
        except RemoteError as error:
            log.debug("%s: push proxy: %s", self._network, error)
            return False
        talk.close()
        return response.code < 300

    def takes(self, giv: Giv, talk: Talk) -> bool:
        """Somebody dialed us and says GIV; whether we wait for it. The connection is then ours."""
        for awaited in self._awaited:
            if awaited.fits(giv, talk.remote.host) and not awaited.comes.done():
                self._port.admitted(talk.stream)
                awaited.comes.set_result(talk)
                return True
        return False
