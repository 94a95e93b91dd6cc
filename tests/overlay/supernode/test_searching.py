"""Questions of ours, recursive and iterative, in a world."""

import asyncio
from contextlib import aclosing
from itertools import pairwise
from pathlib import Path

import pytest

from p2pswarm.errors import NetworkError
from p2pswarm.overlay.network import Cost
from p2pswarm.overlay.query import Lookup, Query
from p2pswarm.overlay.supernode.options import Wish
from p2pswarm.wire.supernode.frames import FrameKind
from tests.support.crowd import Crowd, Someone, file, names, play

ITERATIVE = Lookup.ITERATIVE


def visits(supers: list[Someone]) -> list[int]:
    """How often each was asked by somebody who went again."""
    return [each.serving.flood.counts.sent["end"] for each in supers]


def test_an_iterative_search_visits_each_once_and_becomes_nobodys_child(tmp_path: Path) -> None:
    async def story(crowd: Crowd) -> None:
        supers = await crowd.supers(5)
        for number, each in enumerate(supers):
            await crowd.child(each, files=[file(number, f"ocean {number}")])
        await asyncio.sleep(3)
        asker = await crowd.someone(supers[0], wish=Wish.ORDINARY)  # it knows one
        children = [len(each.serving.family) for each in supers]
        before = asyncio.get_running_loop().time()
        hits, cost = await asker.asked("ocean", ITERATIVE)
        assert names(hits) == [f"ocean {number}" for number in range(5)]
        assert visits(supers) == [1] * 5
        assert cost.messages == 5 + 5 + 5  # question, hits and end of each
        assert cost.hops == 1
        assert sum(len(each.serving.family) for each in supers) <= sum(children) + 1  # as its child
        assert asyncio.get_running_loop().time() - before < 10

    play(tmp_path, story)


def test_a_visitor_is_nobodys_child_and_asks_where_there_is_no_place(tmp_path: Path) -> None:
    async def story(crowd: Crowd) -> None:
        (first,) = await crowd.supers(1, children=(1, 1))
        child = await crowd.child(first, files=[file(1, "ocean 1")])
        visitor = await crowd.someone(first, wish=Wish.VISITOR)
        await visitor.member.settled()
        hits, _ = await visitor.asked("ocean", ITERATIVE)
        assert names(hits) == ["ocean 1"]
        await child.stop()  # there is a place now, which it does not take
        await asyncio.sleep(60)
        assert not first.member.neighbours

    play(tmp_path, story)


def test_referrals_are_followed_through_nodes_that_knew_each_other_only(tmp_path: Path) -> None:
    """A chain: each knows the next."""

    async def story(crowd: Crowd) -> None:
        supers = [
            await crowd.someone(wish=Wish.SUPER, files=[file(number, f"ocean {number}")])
            for number in range(6)
        ]
        await asyncio.sleep(2)
        for here, there in pairwise(supers):
            here.known.answered(there.address)
            here.serving.peers._linking._next_look = float("inf")
        asker = await crowd.someone(supers[0], wish=Wish.ORDINARY)
        hits, _ = await asker.asked("ocean", ITERATIVE)
        assert len(hits) == 6

    play(tmp_path, story)


def test_a_super_node_asks_its_own_children_too_and_does_not_visit_itself(tmp_path: Path) -> None:
    async def story(crowd: Crowd) -> None:
        supers = await crowd.supers(3)
        for number, each in enumerate(supers):
            await crowd.child(each, files=[file(number, f"ocean {number}")])
        await asyncio.sleep(3)
        hits, cost = await supers[0].asked("ocean", ITERATIVE)
        assert names(hits) == ["ocean 0", "ocean 1", "ocean 2"]
        assert visits(supers) == [0, 1, 1]
        assert cost.messages == 6

    play(tmp_path, story)


def test_an_ordinary_node_that_is_asked_names_super_nodes(tmp_path: Path) -> None:
    async def story(crowd: Crowd) -> None:
        (one,) = await crowd.supers(1)
        kid = await crowd.child(one, files=[file(1, "ocean")])
        await asyncio.sleep(1)
        asker = await crowd.someone(kid, wish=Wish.ORDINARY)
        assert names(await asker.found("ocean", ITERATIVE)) == ["ocean"]

    play(tmp_path, story)


def test_an_iterative_search_ends_by_itself_though_some_are_dead(tmp_path: Path) -> None:
    async def story(crowd: Crowd) -> None:
        supers = await crowd.supers(4)
        asker = await crowd.child(supers[3])
        await asyncio.sleep(1)
        supers[0].die()
        crowd.world.unplug(supers[1].host)
        supers[2].member.share([file(1, "ocean")])
        async with asyncio.timeout(30):
            assert names(await asker.found("ocean", ITERATIVE)) == ["ocean"]

    play(tmp_path, story)


def test_with_nobody_who_answers_an_iterative_search_says_so(tmp_path: Path) -> None:
    async def story(crowd: Crowd) -> None:
        (one,) = await crowd.supers(1)
        one.die()
        asker = await crowd.someone(one, wish=Wish.ORDINARY)
        with pytest.raises(NetworkError, match="no super node that we know answers"):
            await asker.found("ocean", ITERATIVE)

    play(tmp_path, story)


def test_who_has_enough_visits_no_more(tmp_path: Path) -> None:
    async def story(crowd: Crowd) -> None:
        supers = await crowd.supers(6)
        for each in supers:
            each.member.share([file(1, f"ocean {each.address}")])
        asker = await crowd.child(supers[0])
        await asyncio.sleep(1)
        hits, _ = await asker.asked("ocean", ITERATIVE, limit=2)
        assert len(hits) == 2
        assert sum(visits(supers)) <= 4

    play(tmp_path, story)


@pytest.mark.parametrize("lookup", [Lookup.RECURSIVE, ITERATIVE])
def test_who_hears_no_more_leaves_nothing_behind(tmp_path: Path, lookup: Lookup) -> None:
    async def story(crowd: Crowd) -> None:
        supers = await crowd.supers(3)
        for each in supers:
            each.member.share([file(1, f"ocean {each.address}")])
        asker = await crowd.child(supers[0])
        await asyncio.sleep(1)
        tasks = len(asyncio.all_tasks())
        query = Query(("ocean",), lookup=lookup)
        async with aclosing(asker.member.search(query, Cost())) as hits:
            async for _ in hits:
                break
        await asyncio.sleep(5)
        assert asker.member.searching._open == {}
        assert len(asyncio.all_tasks()) == tasks

    play(tmp_path, story)


def test_hits_that_nobody_asked_for_are_nothing_to_us(tmp_path: Path) -> None:
    async def story(crowd: Crowd) -> None:
        (one,) = await crowd.supers(1)
        kid = await crowd.child(one)
        liar = await crowd.child(one)
        await asyncio.sleep(1)
        parent = liar.member.parent
        assert parent is not None
        parent.send(bytes([0, 17, FrameKind.HITS]) + bytes(17))
        await asyncio.sleep(0.1)
        assert len(one.serving.family) == 1  # who sends hits to its parent is left
        assert kid.member.parent is not None

    play(tmp_path, story)
