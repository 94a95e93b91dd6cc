"""Children of super nodes, in a world: one parent, and another soon when that is gone."""

import asyncio
from pathlib import Path

import pytest

from p2pswarm.overlay.supernode.options import Wish
from tests.support.crowd import Crowd, Someone, file, names, play


def children(each: Someone) -> int:
    return each.member.status().leaves or 0


async def settled_elsewhere(crowd: Crowd, child: Someone, old: Someone, seconds: float) -> None:
    def elsewhere() -> bool:
        parent = child.member.parent
        return parent is not None and parent.address != old.address

    await crowd.world.until(elsewhere, seconds)


def kill(crowd: Crowd, someone: Someone, how: str) -> None:
    """The power is cut, or the process is."""
    if how == "unplugged":
        crowd.world.unplug(someone.host)
    else:
        someone.die()


def test_a_child_has_one_parent_and_tells_it_alone_what_it_shares(tmp_path: Path) -> None:
    async def story(crowd: Crowd) -> None:
        supers = await crowd.supers(3)
        kids = [await crowd.child(*supers, files=[file(1, f"song {n}")]) for n in range(6)]
        await asyncio.sleep(5)
        assert sum(children(each) for each in supers) == 6
        for number, kid in enumerate(kids):
            knows = [each for each in supers if each.knows(f"song {number}")]
            parent = kid.member.parent
            assert parent is not None
            assert [each.address for each in knows] == [parent.address]

    play(tmp_path, story)


@pytest.mark.parametrize("how", ["unplugged", "killed"])
@pytest.mark.parametrize("dead", [0, 3])
def test_whose_parent_dies_has_another_within_ten_seconds(
    tmp_path: Path, how: str, dead: int
) -> None:
    async def story(crowd: Crowd) -> None:
        first, *others = await crowd.supers(2 + dead)
        kid = await crowd.child(first, files=[file(1, "blue ocean")])
        asker = await crowd.child(others[-1])
        await asyncio.sleep(60)
        for each in (first, *others[:dead]):
            kill(crowd, each, how)
        await settled_elsewhere(crowd, kid, first, 10)
        assert kid.member.parent is not None
        assert kid.member.parent.address == others[-1].address
        await asyncio.sleep(1)
        assert names(await asker.found("ocean")) == ["blue ocean"]

    play(tmp_path, story)


def test_a_child_hears_of_super_nodes_that_came_later(tmp_path: Path) -> None:
    async def story(crowd: Crowd) -> None:
        (first,) = await crowd.supers(1)
        kid = await crowd.child(first)
        second = await crowd.someone(first, wish=Wish.SUPER)
        await crowd.world.until(lambda: first.believed and second.believed)
        await asyncio.sleep(1)
        first.die()
        await settled_elsewhere(crowd, kid, first, 10)

    play(tmp_path, story)


def test_nothing_of_a_child_is_found_while_it_has_no_parent(tmp_path: Path) -> None:
    async def story(crowd: Crowd) -> None:
        first, second = await crowd.supers(2)
        kid = await crowd.child(first, files=[file(1, "blue ocean")])
        asker = await crowd.child(second)
        kid.known.answered(second.address)  # it knew both
        await asyncio.sleep(1)
        assert names(await asker.found("ocean")) == ["blue ocean"]
        crowd.world.unplug(kid.host)
        first.die()
        assert await asker.found("ocean") == []
        crowd.world.plug_in(kid.host)
        await settled_elsewhere(crowd, kid, first, 80)
        await asyncio.sleep(1)
        assert names(await asker.found("ocean")) == ["blue ocean"]

    play(tmp_path, story)


def test_who_left_is_found_no_more_and_at_once(tmp_path: Path) -> None:
    async def story(crowd: Crowd) -> None:
        first, second = await crowd.supers(2)
        kid = await crowd.child(first, files=[file(1, "blue ocean")])
        await asyncio.sleep(1)
        assert first.knows("ocean")
        await kid.stop()
        await asyncio.sleep(0.1)
        assert not first.knows("ocean")
        assert children(first) == 0
        assert await second.found("ocean") == []

    play(tmp_path, story)


def test_who_fell_silent_is_found_no_more_soon(tmp_path: Path) -> None:
    async def story(crowd: Crowd) -> None:
        (first,) = await crowd.supers(1)
        kid = await crowd.child(first, files=[file(1, "blue ocean")])
        await asyncio.sleep(1)
        crowd.world.unplug(kid.host)
        await crowd.world.until(lambda: not first.knows("ocean"), 50)
        assert children(first) == 0

    play(tmp_path, story)


def test_a_hundred_who_lose_one_parent_all_find_another(tmp_path: Path) -> None:
    async def story(crowd: Crowd) -> None:
        first, *others = await crowd.supers(3)
        kids = [await crowd.child(first) for _ in range(100)]
        assert children(first) == 100
        await asyncio.sleep(5)
        first.die()
        async with asyncio.timeout(10):
            for kid in kids:
                await settled_elsewhere(crowd, kid, first, 10)
        await asyncio.sleep(1)
        assert sum(map(children, others)) == 100
        assert all(children(each) <= 150 for each in others)
        assert all(kid.member.parent is not None for kid in kids)

    play(tmp_path, story)


def test_an_open_question_is_asked_anew_and_finds(tmp_path: Path) -> None:
    async def story(crowd: Crowd) -> None:
        first, second = await crowd.supers(2)
        await crowd.child(second, files=[file(1, "blue ocean")])
        asker = await crowd.child(first, wait=3)
        await asyncio.sleep(5)
        crowd.world.unplug(second.host)  # who would have answered at once
        asking = asyncio.ensure_future(asker.asked("ocean"))
        await asyncio.sleep(2.9)  # its patience is at an end, and begins anew
        crowd.world.plug_in(second.host)
        first.die()
        hits, cost = await asking
        assert names(hits) == ["blue ocean"]
        assert cost.messages >= 3

    play(tmp_path, story)


def test_files_come_and_go_while_it_is_connected(tmp_path: Path) -> None:
    async def story(crowd: Crowd) -> None:
        (first,) = await crowd.supers(1)
        kid = await crowd.child(first, files=[file(1, "before")])
        await asyncio.sleep(1)
        kid.member.share([file(2, "while")])
        await asyncio.sleep(1)
        assert first.knows("before")
        assert first.knows("while")
        kid.member.share([file(2, "other")])
        kid.member.unshare([1])
        await asyncio.sleep(1)
        assert not first.knows("before")
        assert not first.knows("while")
        assert first.knows("other")

    play(tmp_path, story)


def test_a_full_list_goes_over_a_slow_line_and_what_changes_meanwhile(tmp_path: Path) -> None:
    async def story(crowd: Crowd) -> None:
        (first,) = await crowd.supers(1)
        kid = await crowd.child(first, up=20_000)
        for number in range(10_001):  # as a scan tells them, far faster than the line is
            kid.member.share([file(number, f"{'long name ' * 20}{number}")])
        parent = kid.member.parent
        kid.member.unshare([5])
        await asyncio.sleep(300)
        assert kid.member.parent is parent
        assert first.counts(kid) == 10_000
        assert not first.knows("name 5")
        assert first.knows("name 10000")
        kid.member.unshare([6, 7])
        kid.member.share([file(20_000, "late")])
        await asyncio.sleep(60)
        assert first.counts(kid) == 9999
        assert first.knows("late")

    play(tmp_path, story)


def test_a_thousand_single_changes_cost_few_frames(tmp_path: Path) -> None:
    async def story(crowd: Crowd) -> None:
        (first,) = await crowd.supers(1)
        kid = await crowd.child(first)
        parent = kid.member.parent
        for number in range(600):  # each file is told again once it is hashed
            kid.member.share([file(number, f"song {number}")])
            await asyncio.sleep(0.1)
        await asyncio.sleep(60)
        assert kid.member.parent is parent
        assert first.counts(kid) == 600

    play(tmp_path, story)


def test_a_parent_that_is_slow_is_not_taken_for_dead(tmp_path: Path) -> None:
    """Its pongs wait behind what it sends to others."""

    async def story(crowd: Crowd) -> None:
        (first,) = await crowd.supers(1)
        kid = await crowd.child(first, files=[file(n, f"long {n}") for n in range(5000)], up=4000)
        parent = kid.member.parent
        await asyncio.sleep(200)
        assert kid.member.parent is parent
        assert first.counts(kid) == 5000

    play(tmp_path, story)


def test_a_full_super_node_names_others(tmp_path: Path) -> None:
    async def story(crowd: Crowd) -> None:
        first, second = await crowd.supers(2, children=(1, 2))
        kids = [await crowd.child(first) for _ in range(4)]
        assert [children(each) for each in (first, second)] == [2, 2]
        late = await crowd.someone(first, wish=Wish.ORDINARY)
        with pytest.raises(TimeoutError):
            await late.member.settled()
        await kids[0].stop()
        await crowd.world.until(lambda: late.member.parent is not None, 100)

    play(tmp_path, story)
