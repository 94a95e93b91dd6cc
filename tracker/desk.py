"""Where every question ends, whichever way it came: one policy, one store, one set of counters.

No task runs in the background. Who has gone silent is forgotten by whoever asks next, at most once a second;
while nobody asks, nothing grows.
"""

from collections.abc import Callable, Sequence

from p2pswarm.formats.ids import InfoHash
from p2pswarm.wire.tracker import Announce, Counts, Reply
from tracker.logic import IP, Policy
from tracker.stats import Tally
from tracker.store import PeerStore

__all__ = ["Desk"]

_SWEEP_EVERY = 1.0  # seconds


class Desk:
    """`tally` counts what was asked; whoever refuses a question counts that there."""

    def __init__(self, store: PeerStore, policy: Policy, clock: Callable[[], float]) -> None:
        self.store, self.policy, self.clock = store, policy, clock
        self.tally = Tally()
        self._next_sweep = 0.0

    async def announce(self, announce: Announce, caller: IP) -> Reply:
        await self.sweep()
        self.tally.announces += 1
        swarm = await self.store.announce(
            announce.info_hash,
            self.policy.peer(announce, caller),
            announce.event,
            self.policy.want(announce),
            self.clock(),
        )
        return self.policy.reply(announce, swarm, caller)

    async def scrape(self, swarms: Sequence[InfoHash]) -> list[Counts]:
        await self.sweep()
        self.tally.scrapes += 1
        return await self.store.scrape(swarms)

    async def sweep(self) -> None:
        """Forget the silent, if that was not done within this second."""
        now = self.clock()
        if now >= self._next_sweep:
            self._next_sweep = now + _SWEEP_EVERY
            await self.store.expire(now - self.policy.forget_after)
