"""Both sides of a call looked for new ways, for one had said new places, when the relay of its stream died.

The round that went on was in no hurry, and nobody began another: twelve seconds without a stream, where half
of one is enough.
"""

import asyncio
from dataclasses import replace

import pytest

from p2pswarm.lab.nats import Kind
from tests.reach.test_over_relays import Street
from tests.reach.worlds import World, in_a_world, talk


@pytest.mark.parametrize("after", [0.5, 2.0, 8.0])
def test_the_stream_is_replaced_at_once(after: float) -> None:
    async def story(world: World) -> None:
        assert isinstance(world, Street)
        a, b = await world.user(1, Kind.SYMMETRIC), await world.user(2, Kind.SYMMETRIC)
        meetings = await world.meet(a, b)
        await talk(world, meetings)
        await asyncio.sleep(5)
        for each in meetings:
            ours, theirs = each._offers
            each.renew(replace(ours), theirs)
        await asyncio.sleep(after)
        used = meetings[0].streams.used
        assert used is not None
        assert used.relay is not None
        await world.kill(used.relay)
        await asyncio.sleep(0.05)  # it has ended
        begun = world.loop.time()
        await talk(world, meetings)
        assert world.loop.time() - begun < 1

    in_a_world(story, of=Street)
