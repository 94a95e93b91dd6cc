"""Which super nodes make up the slot of a hash: who looks for a name that nobody has is told by them.

The one hard thing: each of them could leave others out. So all that several of them name count, and who comes
for the same hash hears of the same ones, if but one honest member is asked by both.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from typing_extensions import override

from p2pswarm.errors import NetworkError, RemoteProtocolError
from p2pswarm.formats.ids import Address
from p2pswarm.overlay.people.lookup import Walk
from p2pswarm.overlay.people.walks import Question, Walks
from p2pswarm.wire.people.finding import Find
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

    def __init__(self, walks: Walks, starts: Callable[[int], list[Address]], dice: Random) -> None:
        self._walks, self._starts, self._dice = walks, starts, dice

    async def members(self, hashed: bytes) -> Sequence[SuperNode]:
        """Raises NetworkError."""
        walk: Walk[Any] = Walk(self._starts(STARTS), self._dice)
        census = _Census(hashed, lambda token: Find(token, hashed), _no_name)
        await self._walks.walk(walk, census)
        if not census.members:
            raise NetworkError("no super node says who its neighbours are")
        return list(census.members.values())


def _no_name(walk: Walk[Any], address: Address, frame: Frame) -> None:
    """Raises RemoteProtocolError."""
    raise RemoteProtocolError("it has a record of what is no name")
