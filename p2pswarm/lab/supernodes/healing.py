"""Super nodes that may look for others: who loses neighbours finds new ones, as the product does.

Given is only who serves, whom each knows in the beginning, and who is switched off before anybody asks.
"""

from collections.abc import Collection, Sequence
from random import Random

from typing_extensions import override

from p2pswarm.lab.loop import VirtualLoop
from p2pswarm.lab.supernodes.architecture import WAIT, Supernodes
from p2pswarm.lab.supernodes.members import address_of
from p2pswarm.lab.topologies import Graph
from p2pswarm.overlay.supernode.options import Options, Wish

__all__ = ["Healing"]

KNOWN = 5  # super nodes that an ordinary one has heard of
TESTED = 30.0  # seconds, after which super nodes have tested each other
HEALED = 30.0  # seconds, after which children of those that are gone have other parents


class Healing(Supernodes):
    """`gone` are switched off at once, and the others have some seconds."""

    def __init__(
        self, loop: VirtualLoop, graph: Graph, gone: Collection[int], dice: Random
    ) -> None:
        super().__init__(loop, graph, dice)
        self._whole, self._gone, self._dice = graph, gone, dice

    @override
    async def build(self, shelves: Sequence[Sequence[str]]) -> None:
        await super().build(shelves)
        await self.town.until(lambda: False, TESTED)
        for number in self._gone:
            await self.town.all[number].vanish()
        await self.town.until(lambda: False, HEALED)

    @override
    def _options(self, number: int) -> Options:
        supers = self._whole.supers
        if number < supers:
            others = [each for each in self._whole.neighbours[number] if each < supers]
            return Options(Wish.SUPER, connect=tuple(map(address_of, others)), wait=WAIT)
        known = self._dice.sample(range(supers), min(KNOWN, supers))
        return Options(Wish.ORDINARY, connect=tuple(map(address_of, known)), wait=WAIT)

    @override
    def _is_built(self) -> bool:
        """As far as everybody is somewhere."""
        return all(each.member.serves or each.member.parent for each in self.town.all)
