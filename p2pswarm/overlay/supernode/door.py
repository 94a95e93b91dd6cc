"""Whoever comes to us in the supernode network, until it has said who it is and what for.

A tester that shows our nonce is given what it measures, whatever our role is. Everybody else is handed to the
super node that we are, or told where to find others.
"""

import asyncio
from collections.abc import Callable

from p2pswarm.errors import RemoteProtocolError
from p2pswarm.net.port import Port
from p2pswarm.net.rate import Limiter
from p2pswarm.net.stream import Stream
from p2pswarm.overlay.limits import Knocks
from p2pswarm.overlay.supernode.known import Known
from p2pswarm.overlay.supernode.link import Link
from p2pswarm.overlay.supernode.serving import Serving
from p2pswarm.overlay.supernode.testing import Nonces, Probed
from p2pswarm.overlay.supernode.us import Us
from p2pswarm.wire.http.heads import AGENT
from p2pswarm.wire.sniff import Guest
from p2pswarm.wire.supernode.frames import OPENING, Frame, FrameFramer, FrameKind
from p2pswarm.wire.supernode.hello import Hello, Reason, Refuse, Want, Welcome
from p2pswarm.wire.supernode.hosts import HOSTS_MOST, Entry

__all__ = ["Door"]


class Door:
    """`open`; `serving` says who takes in whoever comes, if anybody does."""

    def __init__(
        self,
        port: Port,
        us: Us,
        known: Known,
        nonces: Nonces,
        up: Limiter,
        serving: Callable[[], Serving | None],
    ) -> None:
        self._port, self._us, self._known, self._nonces = port, us, known, nonces
        self._up, self._serving = up, serving
        self._clock = asyncio.get_running_loop().time
        self._knocks = Knocks()

    def open(self) -> None:
        self._port.route(Guest.SUPERNODE, self._came)

    def _came(self, stream: Stream) -> None:
        """A guest that speaks our protocol; the port's clock runs until it has said HELLO."""
        link = Link(stream, self)
        stream.switch(FrameFramer(self._port.scratch), link)

    def got(self, link: Link, frame: Frame) -> None:
        """The first word of a stranger. Raises RemoteError."""
        if frame.kind != FrameKind.HELLO:
            raise RemoteProtocolError("it does not greet")
        hello = Hello.read(frame.body)
        self._port.admitted(link.stream)
        link.node = hello.node
        self._us.here(link.stream.local.host)
        self._greeted(link, hello)

    def _greeted(self, link: Link, hello: Hello) -> None:
        now, serving = self._clock(), self._serving()
        if hello.want is Want.TEST and self._nonces.take(hello.nonce, now):
            self._tested(link, serves=serving is not None)
        elif hello.node == self._us.node:
            self._refuse(link, Reason.SELF, "you are me")
        elif not self._knocks.may_enter(link.remote.host, now):
            self._refuse(link, Reason.TOO_OFTEN, "you come too often")
        elif serving is not None and hello.want is not Want.TEST:
            link.listen(serving)
            serving.welcome(link, hello)
        else:
            self._refuse(link, Reason.NOT_SUPER, "I am no super node")

    def left(self, link: Link, reason: Exception) -> None:
        """A stranger that said nothing."""
        self._port.admitted(link.stream)

    def _tested(self, link: Link, *, serves: bool) -> None:
        """A tester that we asked for."""
        us = self._us
        welcome = Welcome(us.node, us.port, AGENT, link.remote, serves, 0, 0, 0)
        link.stream.send(OPENING + welcome.encode().encode())
        link.hand_over(Probed(self._port, link.stream, self._up), self._port.scratch)

    def _refuse(self, link: Link, reason: Reason, text: str) -> None:
        serving = self._serving()
        if serving is not None:
            serving.refuse(link, reason, text)
            return
        hosts = tuple(Entry(address, 0, 0) for address in self._known.lately())[:HOSTS_MOST]
        link.part(OPENING + Refuse(reason, text, hosts).encode().encode(), text)
