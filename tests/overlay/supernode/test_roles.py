"""Whole members in a world: children of a dead super node find another, and the able become one."""

import asyncio
from pathlib import Path

import pytest

from p2pswarm.overlay.supernode.options import Wish
from tests.support.crowd import PORT, Crowd, Someone
from tests.support.world import World, simulate


def kill(world: World, someone: Someone) -> None:
    """As SIGKILL does: no goodbye, and nobody listens there any more."""
    world.loop.listeners.pop((someone.host.name, PORT), None)
    for name, ear in list(world.loop.ears.items()):
        if name[0] == someone.host.name:
            ear.abort()
    for transport in list(world.loop.transports):
        if transport.host is someone.host:
            transport.abort()


def parent(child: Someone) -> str | None:
    """The host of its parent."""
    link = child.member.parent
    return None if link is None else link.remote.host


@pytest.mark.parametrize("seed", range(3))
def test_children_of_a_dead_super_node_find_another_within_ten_seconds(
    tmp_path: Path, seed: int
) -> None:
    async def story(world: World) -> None:
        async with Crowd.of(world) as crowd:
            supers = await crowd.supers(4, children=(5, 20))
            children = [await crowd.child(supers[n % 4]) for n in range(30)]
            orphans = [child for child in children if parent(child) == supers[0].host.name]
            assert len(orphans) >= 5
            kill(world, supers[0])
            await asyncio.sleep(10)
            alive = {each.host.name for each in supers[1:]}
            assert {parent(child) for child in orphans} <= alive

    simulate(tmp_path, story, seed)


def test_a_full_super_node_has_its_best_child_promoted_and_never_who_opted_out(
    tmp_path: Path,
) -> None:
    async def story(world: World) -> None:
        async with Crowd.of(world) as crowd:
            bounds = {"children": (3, 5), "promote_after": 30.0}
            supers = await crowd.supers(2, **bounds)
            against = [await crowd.child(*supers, **bounds) for _ in range(4)]
            slow = await crowd.someone(*supers, wish=Wish.AUTO, up=10_000, **bounds)
            able = await crowd.someone(*supers, wish=Wish.AUTO, up=100_000, **bounds)
            more = [await crowd.someone(*supers, wish=Wish.ORDINARY, **bounds) for _ in range(5)]
            await world.until(lambda: able.member.serves, 600)
            await asyncio.sleep(600)
            assert not slow.member.serves
            assert not any(each.member.serves for each in (*against, *more))
            assert all(each.member.parent for each in (slow, *against, *more))

    simulate(tmp_path, story)
