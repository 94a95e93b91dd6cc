import asyncio

from p2pswarm.lab.dht.network import DhtNet, Member
from p2pswarm.lab.dht.trials import Lookups, ask, grow, replace
from p2pswarm.lab.loop import play


def test_among_five_hundred_nodes_of_which_some_leave_lookups_succeed() -> None:
    """A hundred vanish and five come, and no table has noticed when the lookups begin."""

    async def story(_: object) -> tuple[Lookups, list[Member]]:
        net = DhtNet(loss=0.02)
        members = net.settled(500, 60)
        for gone in members[::5]:
            net.leave(gone.address)
        await grow(net, members, 5, 1.0)
        told = await ask(net, members, 50)
        newcomers = members[500:]
        await net.close()
        return told, newcomers

    told, newcomers = play(story)
    assert told.found >= 0.99 * told.tried
    assert told.hops < 3
    assert told.asked < 40
    assert told.seconds < 4
    for newcomer in newcomers:
        (network,) = newcomer.dht.networks.values()
        network.table.check()
        assert network.table.proven() >= 16


def test_what_was_announced_outlives_the_coming_and_going_of_nodes() -> None:
    """Everybody runs; half an hour in the mean is short. Who announced is gone as often as not."""

    async def story(_: object) -> Lookups:
        net = DhtNet()
        members: list[Member] = []
        await grow(net, members, 25, 0.5)
        async with asyncio.TaskGroup() as tasks:
            leaving = tasks.create_task(replace(net, members, 1800.0))
            told = await ask(net, members, 12, pause=60.0)
            leaving.cancel()
        await net.close()
        return told

    told = play(story)
    assert told.found == told.tried


def test_hops_grow_with_the_logarithm() -> None:
    """From 64 nodes to 512, eight times as many, by less than half a hop for each doubling."""

    async def story(_: object) -> list[float]:
        hops = []
        for count in (64, 512):
            net = DhtNet()
            hops.append((await ask(net, net.settled(count, 60), 20)).hops)
            await net.close()
        return hops

    few, many = play(story)
    assert few < many < few + 3 * 0.5
