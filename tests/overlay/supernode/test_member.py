from pathlib import Path

from p2pswarm.overlay.query import Lookup
from tests.support.members_of_supernodes import Crowd, file
from tests.support.world import World, simulate


def test_what_a_child_shares_is_found_by_the_child_of_another(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        async with Crowd.of(world) as crowd:
            one, two, three = await crowd.supers(3)
            await crowd.child(one, files=[file(1, "blue moon.mp3")])
            asker = await crowd.child(two, three)
            import logging; logging.getLogger().setLevel(10)
            await world.until(lambda: one.member._role.index.files == 1)
            hits, cost = await asker.asked("blue moon")
            print(hits, cost, one.member.status(), two.member.status())
            hits, cost = await asker.asked("blue moon", Lookup.ITERATIVE)
            print(hits, cost)
            assert 0
    simulate(tmp_path, story)
