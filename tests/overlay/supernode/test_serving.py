"""Super nodes in a world: questions among them, whom they believe, and what a visitor gets."""

import asyncio
from pathlib import Path

import pytest

from p2pswarm.overlay.query import Lookup
from p2pswarm.overlay.supernode.options import Wish
from p2pswarm.wire.supernode.hosts import HOSTS_MOST
from tests.support.crowd import PORT, Crowd, Someone, file, fill, names, play


def queries(crowd: list[Someone]) -> int:
    return sum(each.serving.flood.counts.sent["query"] for each in crowd)


def test_everybody_finds_what_a_child_shares(tmp_path: Path) -> None:
    async def story(crowd: Crowd) -> None:
        one, two, three = await crowd.supers(3)
        kid = await crowd.child(one, files=[file(1, "blue ocean.ogg")])
        near, far = await crowd.child(one), await crowd.child(two)
        await asyncio.sleep(5)
        for each in (near, far, one, two, three):
            (hit,) = await each.found("ocean")
            assert (hit.name, hit.host, hit.index) == ("blue ocean.ogg", kid.address, 1)
            assert not hit.firewalled
        assert await kid.found("ocean") == []  # its own

    play(tmp_path, story)


def test_what_a_super_node_shares_is_found_as_well(tmp_path: Path) -> None:
    async def story(crowd: Crowd) -> None:
        one, two = await crowd.supers(2)
        one.member.share([file(7, "blue ocean")])
        kid = await crowd.child(two)
        (hit,) = await kid.found("ocean")
        assert hit.host == one.address
        one.member.unshare([7])
        assert await kid.found("ocean") == []

    play(tmp_path, story)


@pytest.mark.parametrize("count", [2, 3, 6])
def test_a_question_costs_what_the_formula_says(tmp_path: Path, count: int) -> None:
    """2|E| - |V| + 1 among super nodes that are all linked, and one message more of the child."""

    async def story(crowd: Crowd) -> None:
        supers = await crowd.supers(count)
        kids = [
            await crowd.child(each, files=[file(n, f"ocean {n}")]) for n, each in enumerate(supers)
        ]
        await asyncio.sleep(5)
        hits, cost = await kids[0].asked("ocean")
        assert len(hits) == count - 1
        edges = count * (count - 1) // 2
        assert queries(supers) == 2 * edges - count + 1
        assert cost.messages == 1 + (count - 1)  # our question, and the hits of each
        assert cost.hops == 2

    play(tmp_path, story)


def test_super_nodes_do_not_know_each_others_children(tmp_path: Path) -> None:
    async def story(crowd: Crowd) -> None:
        one, two = await crowd.supers(2)
        await crowd.child(one, files=[file(1, "blue ocean")])
        await asyncio.sleep(2)
        assert names(await two.found("ocean")) == ["blue ocean"]
        assert one.serving.index.files == 1
        assert two.serving.index.files == 0

    play(tmp_path, story)


def test_nothing_is_kept_of_a_child_that_left(tmp_path: Path) -> None:
    """Whoever found its files a moment ago does not find them now."""

    async def story(crowd: Crowd) -> None:
        one, two, three = await crowd.supers(3)
        kid = await crowd.child(one, files=[file(1, "blue ocean")])
        asker = await crowd.child(two)
        await asyncio.sleep(2)
        for each in (asker, one, two, three):
            assert await each.found("ocean")
        await kid.stop()
        await asyncio.sleep(0.1)
        for each in (asker, one, two, three):
            assert not await each.found("ocean")
            assert not await each.found("ocean", Lookup.ITERATIVE)
        assert one.serving.index.files == 0

    play(tmp_path, story)


def test_stop_ends_a_search_early(tmp_path: Path) -> None:
    async def story(crowd: Crowd) -> None:
        one, two = await crowd.supers(2)
        for number in range(3):
            await crowd.child(two, files=[file(n, f"ocean {number} {n}") for n in range(20)])
        asker = await crowd.child(one)
        await asyncio.sleep(5)
        hits, _ = await asker.asked("ocean", limit=5)
        assert len(hits) == 5

    play(tmp_path, story)


def test_bounds_of_children_and_links_are_never_exceeded(tmp_path: Path) -> None:
    async def story(crowd: Crowd) -> None:
        options = {"children": (1, 3), "links": (1, 3)}
        supers = [await crowd.someone(*crowd.all[:1], wish=Wish.SUPER, **options) for _ in range(8)]
        kids = [await crowd.someone(*supers, wish=Wish.ORDINARY) for _ in range(30)]
        for _ in range(300):
            await asyncio.sleep(1)
            for each in supers:
                assert len(each.serving.family) <= 3
                assert len([link for link in each.serving.peers.links if not link.over]) <= 3
        assert sum(kid.member.parent is not None for kid in kids) == 24

    play(tmp_path, story)


def test_links_are_rewired(tmp_path: Path) -> None:
    async def story(crowd: Crowd) -> None:
        supers = []
        for _ in range(12):
            supers.append(
                await crowd.someone(*supers[:3], wish=Wish.SUPER, links=(3, 6), rewire=60)
            )
        await asyncio.sleep(300)
        before = [each.believed for each in supers]
        assert all(3 <= len(each) <= 6 for each in before)
        await asyncio.sleep(1200)
        after = [each.believed for each in supers]
        assert all(2 <= len(each) <= 6 for each in after)
        assert sum(old != new for old, new in zip(before, after, strict=True)) > 6

    play(tmp_path, story)


def test_dials_that_cross_leave_one_link(tmp_path: Path) -> None:
    async def story(crowd: Crowd) -> None:
        one = await crowd.someone(wish=Wish.SUPER)
        two = await crowd.someone(wish=Wish.SUPER)
        await asyncio.sleep(3)
        for here, there in ((one, two), (two, one)):
            here.known.answered(there.address)
            (chosen,) = here.serving.peers._linking._choose(1, 0.0)
            assert chosen == there.address
        await asyncio.gather(
            one.serving.peers.dial(two.address), two.serving.peers.dial(one.address)
        )
        for each in (one, two):
            assert len([link for link in each.serving.peers.links if not link.over]) == 1
        await asyncio.sleep(10)
        assert len(one.serving.peers.links) == len(two.serving.peers.links) == 1

    play(tmp_path, story)


def test_who_dials_itself_learns_it(tmp_path: Path) -> None:
    async def story(crowd: Crowd) -> None:
        one = await crowd.someone(wish=Wish.SUPER)
        await asyncio.sleep(3)
        one.known.answered(one.address)
        await asyncio.sleep(60)
        assert not one.serving.peers.links
        assert one.known.candidates(5) == []

    play(tmp_path, story)


def test_a_link_that_fails_the_test_is_left_and_told_to_nobody(tmp_path: Path) -> None:
    async def story(crowd: Crowd) -> None:
        one, two = await crowd.supers(2)
        slow = await crowd.someone(one, two, wish=Wish.SUPER, up=10_000)
        kid = await crowd.child(slow, files=[file(1, "blue ocean")])
        asker = await crowd.child(one)
        for _ in range(60):
            await asyncio.sleep(1)
            for each in (one, two):
                assert slow.address not in each.believed
                assert slow.address not in [entry.address for entry in each.serving.hosts()]
        assert kid.member.parent is not None
        assert await asker.found("ocean") == []

    play(tmp_path, story)


def test_lists_of_hosts_are_of_two_hundred(tmp_path: Path) -> None:
    async def story(crowd: Crowd) -> None:
        one, _ = await crowd.supers(2)
        for number in range(400):
            one.known.answered(type(one.address)(f"10.1.{number // 250}.{number % 250 + 1}", PORT))
        assert len(one.serving.hosts()) == HOSTS_MOST
        kid = await crowd.child(one)
        await asyncio.sleep(1)
        assert 50 < len(kid.known.hosts) < HOSTS_MOST  # it believes so much of one teller

    play(tmp_path, story)


def test_a_newcomer_learns_of_all_from_one(tmp_path: Path) -> None:
    """The first list of hosts comes before its teller is believed."""

    async def story(crowd: Crowd) -> None:
        supers = await crowd.supers(5)
        late = await crowd.someone(supers[0], wish=Wish.SUPER)
        await crowd.world.until(lambda: late.member.serves and len(late.believed) == 5, 60)

    play(tmp_path, story)


def test_a_link_that_reads_nothing_while_all_are_asked_how_they_are(tmp_path: Path) -> None:
    """It is cut over the very question."""

    async def story(crowd: Crowd) -> None:
        one, two, _ = await crowd.supers(3)
        (here,) = [link for link in one.serving.peers.links if link.address == two.address]
        (there,) = [link for link in two.serving.peers.links if link.node == one.member.us.node]
        loop = asyncio.get_running_loop()
        await asyncio.sleep(max(one.serving.peers._next_ping - loop.time() - 0.5, 0))
        there.stream.pause()
        await fill(here)
        await asyncio.sleep(2)
        assert here.over
        assert one.member.serves

    play(tmp_path, story)
