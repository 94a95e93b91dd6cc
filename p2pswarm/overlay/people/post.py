"""A super node that introduces us to peers of our swarms: a connection that is kept."""

import asyncio
from collections.abc import Callable

from p2pswarm.errors import NetworkError, RemoteProtocolError
from p2pswarm.formats.ids import Address, InfoHash
from p2pswarm.net.port import Port
from p2pswarm.overlay.limits import Tokens
from p2pswarm.overlay.people.greeting import greet
from p2pswarm.overlay.supernode.link import Link
from p2pswarm.wire.people.frames import PeopleKind
from p2pswarm.wire.people.hello import Bye, Pong, Want, Welcome
from p2pswarm.wire.people.nodes import SuperNode
from p2pswarm.wire.people.relaying import Meet, Swarm
from p2pswarm.wire.supernode.frames import Frame

__all__ = ["Post"]

MEETINGS = (1.0, 60.0)  # a second, and saved up: others that it tells us of


class Post:
    """`part` at the end, which may be called twice."""

    def __init__(
        self,
        link: Link,
        to: SuperNode,
        met: "Met",
        lost: "Lost",
        *,
        welcome: Welcome,
    ) -> None:
        self.node, self.address, self.relays = to.node, to.address, welcome.relays
        self._you = welcome.you.host
        self.names: frozenset[InfoHash] = frozenset()
        self.said = float("-inf")
        """When."""
        self._link, self._met, self._lost = link, met, lost
        self._places: tuple[Address, ...] = ()
        self._clock = asyncio.get_running_loop().time
        self._meetings = Tokens(*MEETINGS, self._clock())

    @classmethod
    async def dial(
        cls,
        port: Port,
        to: SuperNode,
        node: bytes,
        met: "Met",
        lost: "Lost",
    ) -> "Post":
        """We prove nothing: who is in a swarm has no name. Raises NetworkError, RemoteError."""
        meeting, welcome = await greet(port, to.address, node, Want.HOME)
        if welcome.node != to.node:
            meeting.close()
            raise RemoteProtocolError(f"{to.address} is another super node")
        link = meeting.stay()
        post = cls(link, to, met, lost, welcome=welcome)
        link.listen(post)
        if link.over:
            raise NetworkError(f"{to.address} hung up: {link.reason}")
        return post

    def say(
        self, names: frozenset[InfoHash], places: tuple[Address, ...], now: float, *, again: bool
    ) -> None:
        """In which swarms we are, and where; the same only if that is to be said `again`.

        Of our places it would tell others those alone that are on the host where it sees us.
        """
        places = tuple(each for each in places if each.host == self._you)
        if again or (names, places) != (self.names, self._places):
            self.names, self._places, self.said = names, places, now
            self._link.send(Swarm(tuple(names), places).encode().encode())

    def tick(self, now: float) -> None:
        self._link.tick(now)

    def part(self) -> None:
        if not self._link.over:
            self._link.part(Bye("").encode().encode(), "we left")

    def got(self, link: Link, frame: Frame) -> None:
        """Raises RemoteError."""
        match frame.kind:
            case PeopleKind.PING:
                link.send(Pong().encode().encode())
            case PeopleKind.MEET:
                if not self._meetings.take(self._clock()):
                    raise RemoteProtocolError("it introduces us to too many")
                self._met(self, Meet.read(frame.body))
            case PeopleKind.BYE:
                link.close(NetworkError(Bye.read(frame.body).text or "it said goodbye"))
            case _:
                """Something of tomorrow."""

    def left(self, link: Link, reason: Exception) -> None:
        self._lost(self)


Met = Callable[[Post, Meet], None]
Lost = Callable[[Post], None]
