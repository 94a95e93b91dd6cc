"""What a DHT of our nodes is asked: is it found what was announced, over how many hops, while nodes leave?"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from p2pswarm.formats.ids import Address, InfoHash
from p2pswarm.lab.dht.network import DhtNet, Member

__all__ = ["Lookups", "ask", "grow", "replace"]


@dataclass(frozen=True, slots=True)
class Lookups:
    """So many lookups of a peer that somebody had announced; means of what each took."""

    tried: int
    found: int
    hops: float
    asked: float
    seconds: float


async def ask(net: DhtNet, members: Sequence[Member], tries: int, pause: float = 0.0) -> Lookups:
    """Any of them announces, and after a pause any that is still there looks."""
    costs = []
    found = 0
    for _ in range(tries):
        one = net.dice.choice(_present(net, members))
        info_hash = InfoHash(net.dice.randbytes(20))
        await one.dht.announce(info_hash, 7777, _ignored)
        await asyncio.sleep(pause)
        heard: set[Address] = set()
        costs.append(await net.dice.choice(_present(net, members)).dht.peers(info_hash, heard.add))
        found += Address(one.address.host, 7777) in heard
    return Lookups(
        tries,
        found,
        fmean(cost.hops for cost in costs),
        fmean(cost.asked for cost in costs),
        fmean(cost.seconds for cost in costs),
    )


async def grow(net: DhtNet, members: list[Member], count: int, pause: float) -> None:
    """So many more, one after the other; each knows one that is there."""
    for _ in range(count):
        known = [net.dice.choice(_present(net, members)).address] if members else []
        members.append(net.node(known))
        await asyncio.sleep(pause)


async def replace(net: DhtNet, members: list[Member], life: float) -> None:
    """For ever: each is there for `life` seconds in the mean, leaves without a word, and another comes."""
    while True:
        present = _present(net, members)
        await asyncio.sleep(net.dice.expovariate(len(present) / life))
        net.leave(net.dice.choice(present).address)
        await grow(net, members, 1, 0.0)


def _present(net: DhtNet, members: Sequence[Member]) -> list[Member]:
    return [each for each in members if each.address in net.nodes]


def _ignored(peer: Address) -> None:
    """Who announces is looked for, and does not look."""
