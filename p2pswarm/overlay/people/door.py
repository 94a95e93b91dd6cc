"""Whoever comes to us in the people network: greeted, and handed to what it came for, or sent elsewhere.

Only super nodes take anybody in; who is none says so, and whom it knows.
"""

import asyncio
import secrets
from collections import Counter
from collections.abc import Callable, Sequence
from ipaddress import IPv6Address

from p2pswarm.errors import RemoteProtocolError
from p2pswarm.formats.ids import Address
from p2pswarm.formats.people.certificate import Revocations
from p2pswarm.formats.zones import owner_of
from p2pswarm.net.port import Port
from p2pswarm.net.stream import Stream
from p2pswarm.overlay.limits import Knocks
from p2pswarm.overlay.people.carrying import Carrying
from p2pswarm.overlay.people.homes import Homes
from p2pswarm.overlay.people.proving import Proofs
from p2pswarm.overlay.people.visitor import Desk, Visitor
from p2pswarm.overlay.supernode.link import Link
from p2pswarm.wire.people.frames import OPENING, PeopleFramer, PeopleKind
from p2pswarm.wire.people.hello import NONCE_SIZE, OTHERS_MOST, Hello, Reason, Refuse, Want, Welcome
from p2pswarm.wire.people.nodes import SuperNode
from p2pswarm.wire.sniff import Guest
from p2pswarm.wire.supernode.frames import Frame

__all__ = ["Door"]

MOST_VISITORS = 3000  # connections,
MOST_OF_OWNER = 100  # and of one host on the Internet: users behind one NAT, or one who is greedy
_LINE = 8  # bytes of an IPv6 address that one household has


class Door:
    """`open` once; `serve` and `rest` when our role turns; `tick` now and then."""

    def __init__(self, port: Port, node: bytes, proofs: Proofs) -> None:
        self.homes = Homes()
        self._port, self._node, self._proofs = port, node, proofs
        self._clock = asyncio.get_running_loop().time
        self._knocks = Knocks()
        self._visitors: set[Visitor] = set()
        self._owners: Counter[str] = Counter()  # of visitors
        self._desk: Desk | None = None
        self._carrying: Carrying | None = None
        self._others: Callable[[], Sequence[SuperNode]] = tuple

    def open(self) -> None:
        self._port.route(Guest.PEOPLE, self._came)

    def serve(
        self,
        desk: Desk,
        carrying: Carrying | None,
        others: Callable[[], Sequence[SuperNode]],
    ) -> None:
        """Take them in; `others` are super nodes for those whom we do not."""
        self._desk, self._carrying, self._others = desk, carrying, others

    def rest(self, why: str) -> None:
        """Everybody is told and sent away; may be called twice."""
        self._desk = self._carrying = None
        for visitor in list(self._visitors):
            visitor.part(why)

    def judge(self, revoked: Revocations) -> None:
        """The authority took something back: whose certificate that was is no guest any more."""
        for visitor in list(self._visitors):
            visitor.judge(revoked)

    @property
    def serves(self) -> bool:
        return self._desk is not None

    def __len__(self) -> int:
        return len(self._visitors)

    def tick(self, now: float) -> None:
        for visitor in list(self._visitors):
            visitor.tick(now)
        self.homes.tick(now)

    def _came(self, stream: Stream) -> None:
        """The port's clock runs until it has said HELLO."""
        link = Link(stream, self, framer=PeopleFramer)
        stream.switch(PeopleFramer(self._port.scratch), link)

    def got(self, link: Link, frame: Frame) -> None:
        """The first word of a stranger. Raises RemoteError."""
        if frame.kind != PeopleKind.HELLO:
            raise RemoteProtocolError("it does not greet")
        hello = Hello.read(frame.body)
        self._port.admitted(link.stream)
        desk = self._desk
        if hello.node == self._node:
            self._refuse(link, Reason.SELF, "you are me")
        elif not self._knocks.may_enter(link.remote.host, self._clock()):
            self._refuse(link, Reason.TOO_OFTEN, "you come too often")
        elif desk is None:
            self._refuse(link, Reason.NOT_SUPER, "I am no super node")
        elif (
            len(self._visitors) >= MOST_VISITORS
            or self._owners[_owner(link.remote)] >= MOST_OF_OWNER
        ):
            self._refuse(link, Reason.FULL, "too many are here")
        else:
            self._welcome(link, hello, desk)

    def left(self, link: Link, reason: Exception) -> None:
        """A stranger that said nothing."""
        self._port.admitted(link.stream)

    def _welcome(self, link: Link, hello: Hello, desk: Desk) -> None:
        carrying = self._carrying
        relay = carrying.relay if carrying is not None else None
        if hello.want is Want.RELAY and relay is None:
            self._refuse(link, Reason.NOT_WANTED, "this super node does not relay")
            return
        nonce = secrets.token_bytes(NONCE_SIZE)
        welcome = Welcome(self._node, link.remote, nonce, relays=relay is not None)
        link.stream.send(OPENING + welcome.encode().encode())
        if hello.want is Want.RELAY and relay is not None:
            relay.welcome(link.stream, nonce)
            return
        swarms = carrying.swarms if carrying is not None else None
        visitor = Visitor(link, hello, nonce, self.homes, self._proofs, desk, swarms, self._gone)
        self._visitors.add(visitor)
        self._owners[_owner(link.remote)] += 1
        link.listen(visitor)

    def _gone(self, visitor: Visitor) -> None:
        self._visitors.discard(visitor)
        owner = _owner(visitor.link.remote)
        self._owners[owner] -= 1
        if not self._owners[owner]:
            del self._owners[owner]

    def _refuse(self, link: Link, reason: Reason, text: str) -> None:
        others = tuple(self._others())[:OTHERS_MOST]
        link.part(OPENING + Refuse(reason, text, others).encode().encode(), text)


def _owner(remote: Address) -> str:
    """Whose connections count together."""
    owner, ip = owner_of(remote), remote.ip
    return (
        ip.packed[:_LINE].hex() if isinstance(ip, IPv6Address) and owner == remote.host else owner
    )
