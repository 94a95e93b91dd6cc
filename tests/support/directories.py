"""Networks of super nodes on virtual time, and what stands in them."""

from collections import Counter
from random import Random

from p2pswarm.lab.people.world import Server, World
from p2pswarm.wire.people.nodes import Prefix

__all__ = ["having", "keepers", "network", "others", "slots"]


def network(n: int, seed: int = 1, *, loss: float = 0.0) -> World:
    """`n` super nodes that came one after the other."""
    world = World(Random(seed), loss)
    world.start()
    world.run(8)
    for _ in range(n - 1):
        known = world.dice.sample(world.servers(), min(3, len(world.servers())))
        world.start([server.address for server in known])
        world.run(0.5)
    world.run(60)
    return world


def slots(world: World) -> Counter[Prefix]:
    return Counter(server.directory.slot for server in world.servers())


def keepers(world: World, hash_: bytes) -> list[Server]:
    at = Prefix.of(hash_)
    return [server for server in world.servers() if server.directory.slot.covers(at)]


def others(world: World, hash_: bytes) -> list[Server]:
    at = Prefix.of(hash_)
    return [server for server in world.servers() if not server.directory.slot.covers(at)]


def having(world: World, hash_: bytes) -> int:
    servers = world.servers()
    return sum(each.directory.records.get(hash_, world.now) is not None for each in servers)
