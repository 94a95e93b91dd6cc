"""A call through two symmetric NATs found no way in 25 seconds, on a busy machine: one side chose the relayed
stream while the other stood still for more than two seconds, and gave it up. Both had ended looking for
relays when it was there, and began again only with the next round, after thirteen seconds.
"""

import asyncio

import pytest

from p2pswarm.lab.loop import VirtualLoop, play
from p2pswarm.lab.nats import Kind
from p2pswarm.reach.streams import CHOOSING_TIME, Offered, StreamKind, Streams
from tests.reach.test_over_relays import Street
from tests.reach.test_streams import Two
from tests.reach.worlds import World, in_a_world, talk


@pytest.mark.parametrize("times", [1, 2])
def test_another_is_made_at_once(monkeypatch: pytest.MonkeyPatch, times: int) -> None:
    confirm, left = Streams.confirm, [True] * times

    async def stands_still(streams: Streams, picked: Offered) -> bool:
        if not left:
            return await confirm(streams, picked)
        left.pop()
        await asyncio.sleep(CHOOSING_TIME)
        picked.close()
        return False

    monkeypatch.setattr(Streams, "confirm", stands_still)

    async def story(world: World) -> None:
        a, b = await world.user(1, Kind.SYMMETRIC), await world.user(2, Kind.SYMMETRIC)
        meetings, begun = await world.meet(a, b), world.loop.time()
        await talk(world, meetings)
        assert world.loop.time() - begun < times * (CHOOSING_TIME + 3)

    in_a_world(story, of=Street)


def test_what_came_while_we_stood_still_came_in_time() -> None:
    async def story(loop: VirtualLoop) -> None:
        two = Two(loop)
        two.join(StreamKind.RELAY)
        await asyncio.sleep(0.1)
        picked = two.leader.pick()
        assert picked is not None
        loop.hosts["2.2.2.2"].online = False  # its answer is that of the next line
        loop.call_later(1.5, picked.agreed.set)

        def stand_still() -> None:
            loop.now += 5

        loop.call_later(1, stand_still)
        assert await two.leader.confirm(picked)
        picked.close()

    play(story)
