"""Which super nodes make up the slot of a hash: who looks for a name that nobody has is told by them.

The one hard thing: each of them could leave others out. So all that several of them name count, and who comes
for the same hash hears of the same ones, if but one honest member is asked by both.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from typing_extensions import override

from p2pswarm.errors import NetworkError, RemoteError, RemoteProtocolError
from p2pswarm.formats.ids import Address
from p2pswarm.net.port import Port
from p2pswarm.overlay.people.greeting import greet
from p2pswarm.overlay.people.lookup import ASK_TIME, Walk
from p2pswarm.overlay.people.walks import Question, Walks
from p2pswarm.wire.people.datagrams import TOKEN_SIZE
from p2pswarm.wire.people.finding import Find
from p2pswarm.wire.people.frames import PeopleKind
from p2pswarm.wire.people.hello import Want
from p2pswarm.wire.people.nodes import Prefix, SuperNode
from p2pswarm.wire.supernode.frames import Frame

__all__ = ["Slots"]

STARTS = 3  # super nodes that a walk begins with
MOST_MEMBERS = 40  # twice a full slot


@dataclass(frozen=True, slots=True)
class _Census(Question[Any]):
    """Also notes whom the answers name."""

    members: dict[bytes, SuperNode] = field(default_factory=dict)

    @override
    def tell(self, walk: Walk[Any], address: Address, frame: Frame) -> Sequence[SuperNode]:
        nodes = Question.tell(self, walk, address, frame)
        for each in nodes:
            if each.slot.covers(Prefix.of(self.target)) and len(self.members) < MOST_MEMBERS:
                self.members[each.node] = each
        return nodes


class Slots:
    """`members` of the slot of a hash; `starts` gives super nodes that we know, the best first."""

    def __init__(
        self,
        port: Port,
        node: bytes,
        walks: Walks,
        starts: Callable[[int], list[Address]],
        dice: Random,
    ) -> None:
        """`node` is how we call ourselves where we visit."""
        self._port, self._node, self._walks = port, node, walks
        self._starts, self._dice = starts, dice
        self._clock = asyncio.get_running_loop().time
        self._deaf = False  # no datagram was answered, the last time

    async def members(self, hashed: bytes) -> Sequence[SuperNode]:
        """Raises NetworkError."""
        census = _Census(hashed, lambda token: Find(token, hashed), _no_name)
        for visits in (True, False) if self._deaf else (False, True):
            walk: Walk[Any] = Walk(self._starts(STARTS), self._dice)
            if visits:
                await self._visit_all(walk, census)
            else:
                await self._walks.walk(walk, census)
            if census.members:
                self._deaf = visits
                return list(census.members.values())
        raise NetworkError("no super node says who its neighbours are")

    async def _visit_all(self, walk: Walk[Any], census: _Census) -> None:
        """The same walk by connections, where UDP does not come through."""
        while walk.verdict is None:
            addresses = walk.step(self._clock())
            for address in addresses:
                try:
                    census.tell(walk, address, await self._visit(address, census))
                except RemoteError:
                    walk.lied(address)
            if not addresses and walk.verdict is None:
                await asyncio.sleep(max(0.0, walk.due - self._clock()))

    async def _visit(self, address: Address, census: _Census) -> Frame:
        """Raises NetworkError, RemoteError."""
        meeting, _ = await greet(self._port, address, self._node, Want.VISIT, patience=ASK_TIME)
        try:
            meeting.say(census.ask(self._dice.randbytes(TOKEN_SIZE)))
            kinds = (PeopleKind.REFERRAL, PeopleKind.UNKNOWN, PeopleKind.FOUND)
            return await meeting.hear(*kinds, patience=ASK_TIME)
        finally:
            meeting.close()


def _no_name(walk: Walk[Any], address: Address, frame: Frame) -> None:
    """Raises RemoteProtocolError."""
    raise RemoteProtocolError("it has a record of what is no name")
