"""Nodes that turn from ordinary to super and back, in a world."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from p2pswarm.formats.ids import Address
from p2pswarm.overlay.query import Lookup
from p2pswarm.overlay.supernode.options import Wish
from tests.support.crowd import PORT, Crowd, Someone, file, names, play

FULL: dict[str, Any] = {"children": (1, 4)}


async def candidate(crowd: Crowd, supers: list[Someone], **more: Any) -> Someone:
    """A child that would like to serve, where no super node has a place any more."""
    kid = await crowd.someone(
        supers[0],
        **{"wish": Wish.AUTO, "promote_after": 60.0, "files": [file(1, "blue ocean")], **more},
    )
    await kid.member.settled()
    for each in supers:
        while each.serving.family.room:
            await crowd.child(each)
    return kid


async def parents(crowd: Crowd, count: int = 3) -> list[Someone]:
    supers = await crowd.supers(count, **FULL, promote_after=60.0)
    await asyncio.sleep(5)
    return supers


def test_a_child_is_promoted_when_all_is_well(tmp_path: Path) -> None:
    async def story(crowd: Crowd) -> None:
        supers = await parents(crowd)
        kid = await candidate(crowd, supers)
        asker = crowd.all[-1]
        assert not kid.member.serves
        await crowd.world.until(lambda: kid.member.serves, 400)
        # It is believed by each that tested it itself, and no child of anybody any more.
        await crowd.world.until(lambda: all(kid.address in each.believed for each in supers), 100)
        assert supers[0].counts(kid) == 0
        assert kid.member.us.node not in supers[0].serving.family._nodes
        assert names(await asker.found("ocean")) == ["blue ocean"]
        late = await crowd.child(kid, files=[file(2, "red ocean")])
        assert late.member.parent is not None
        await asyncio.sleep(1)
        assert names(await asker.found("ocean")) == ["blue ocean", "red ocean"]

    play(tmp_path, story)


@pytest.mark.parametrize(
    "more",
    [
        {"up": 10_000.0},
        {"wish": Wish.ORDINARY},
        {"firewalled": True},
        {"promote_after": 1e6},
        {"supernodes": (Address("10.0.0.1", PORT),)},
    ],
    ids=["slow", "opted out", "firewalled", "too young", "operated"],
)
def test_with_one_condition_missing_it_is_not(tmp_path: Path, more: dict[str, Any]) -> None:
    async def story(crowd: Crowd) -> None:
        supers = await parents(crowd)
        kid = await candidate(crowd, supers, **more)
        await asyncio.sleep(1500)
        assert not kid.member.serves
        assert kid.member.parent is not None

    play(tmp_path, story)


def test_a_busy_node_is_not_promoted(tmp_path: Path) -> None:
    async def story(crowd: Crowd) -> None:
        supers = await parents(crowd)
        kid = await candidate(crowd, supers)
        kid.free = 40
        await asyncio.sleep(1500)
        assert not kid.member.serves

    play(tmp_path, story)


def test_who_cannot_be_dialed_is_not_promoted(tmp_path: Path) -> None:
    async def story(crowd: Crowd) -> None:
        supers = await parents(crowd)
        kid = await candidate(crowd, supers)
        await kid.hide()
        await asyncio.sleep(1500)
        assert not kid.member.serves

    play(tmp_path, story)


def test_nobody_is_promoted_by_one_tester(tmp_path: Path) -> None:
    """A second super node is known, and does not answer."""

    async def story(crowd: Crowd) -> None:
        supers = await parents(crowd, 2)
        kid = await candidate(crowd, supers)
        await crowd.world.until(lambda: len(kid.known.hosts) >= 1)
        crowd.world.unplug(supers[1].host)
        await asyncio.sleep(1500)
        assert not kid.member.serves

    play(tmp_path, story)


def test_while_there_is_room_nobody_is_promoted(tmp_path: Path) -> None:
    async def story(crowd: Crowd) -> None:
        supers = await parents(crowd)
        kid = await crowd.someone(supers[0], promote_after=60.0)
        await asyncio.sleep(1500)
        assert not kid.member.serves

    play(tmp_path, story)


def test_the_first_of_a_network_serves_at_once(tmp_path: Path) -> None:
    async def story(crowd: Crowd) -> None:
        first = await crowd.someone()
        await first.member.settled()
        assert first.member.serves
        second = await crowd.someone(first)
        await second.member.settled()
        assert not second.member.serves
        ordinary = await crowd.someone(wish=Wish.ORDINARY)
        await asyncio.sleep(60)
        assert not ordinary.member.serves

    play(tmp_path, story)


def test_who_steps_down_tells_its_children_where_to_go(tmp_path: Path) -> None:
    async def story(crowd: Crowd) -> None:
        one, two, three = await crowd.supers(3)
        kids = [await crowd.child(one, files=[file(1, f"ocean {n}")]) for n in range(10)]
        asker = await crowd.child(two)
        await asyncio.sleep(5)
        one.free = 5
        await crowd.world.until(lambda: not one.member.serves, 400)
        await crowd.world.until(
            lambda: all(kid.member.parent is not None for kid in [*kids, one]), 10
        )
        await asyncio.sleep(2)
        assert len(await asker.found("ocean")) == 10
        assert len(two.serving.family) + len(three.serving.family) == 12
        assert one.address not in two.believed

    play(tmp_path, story)


def test_who_fails_its_tests_twice_steps_down(tmp_path: Path) -> None:
    async def story(crowd: Crowd) -> None:
        one, *_ = await crowd.supers(3)
        one.host.up = 10_000.0
        await asyncio.sleep(1500)
        assert one.member.serves
        await crowd.world.until(lambda: not one.member.serves, 4000)
        await crowd.world.until(lambda: one.member.parent is not None, 20)

    play(tmp_path, story)


def test_a_question_outlives_the_change_of_its_askers_role(tmp_path: Path) -> None:
    async def story(crowd: Crowd) -> None:
        one, _, three = await crowd.supers(3)
        kid = await crowd.child(three, files=[])
        await asyncio.sleep(5)
        one.free = 5
        found: list[str] = []

        async def ask() -> None:
            found.extend(names(await one.found("ocean")))

        await asyncio.sleep(300)
        assert one.member.serves
        asking = asyncio.ensure_future(ask())
        await crowd.world.until(lambda: not one.member.serves, 5)
        kid.member.share([file(1, "blue ocean")])  # only who is asked anew finds it
        await asking
        assert found == ["blue ocean"]

    play(tmp_path, story)


def listed(*numbers: int) -> tuple[Address, ...]:
    return tuple(Address(f"10.0.0.{number}", PORT) for number in numbers)


def test_in_operators_mode_the_listed_serve_and_nobody_else(tmp_path: Path) -> None:
    async def story(crowd: Crowd) -> None:
        ones = [await crowd.someone(supernodes=listed(1, 2)) for _ in range(5)]
        await asyncio.sleep(30)
        assert [one.member.serves for one in ones] == [True, True, False, False, False]
        assert ones[0].believed == {ones[1].address}
        ones[2].member.share([file(1, "blue ocean")])
        await asyncio.sleep(1)
        for each in (*ones[:2], *ones[3:]):
            assert names(await each.found("ocean")) == ["blue ocean"]
        # Somebody without that list wants to serve, and is believed by none of them.
        stranger = await crowd.someone(ones[0], wish=Wish.SUPER)
        await asyncio.sleep(120)
        assert ones[0].believed == {ones[1].address}
        assert stranger.believed <= {one.address for one in ones[:2]}
        assert not any(stranger.address in one.known.candidates(99) for one in ones)

    play(tmp_path, story)


def test_changes_of_role_under_load(tmp_path: Path) -> None:
    async def story(crowd: Crowd) -> None:
        supers = await crowd.supers(4, links=(3, 4))
        kids = [
            await crowd.child(*supers, files=[file(n, f"ocean {k} {n}") for n in range(5)])
            for k in range(20)
        ]

        async def ask(kid: Someone) -> None:
            for turn in range(8):
                lookup = Lookup.ITERATIVE if turn % 4 == 3 else Lookup.RECURSIVE
                await kid.found("ocean", lookup)

        asking = [asyncio.ensure_future(ask(kid)) for kid in kids]
        for each in supers[:2]:
            each.free = 5
        await asyncio.gather(*asking, return_exceptions=False)
        await crowd.world.until(lambda: not any(each.member.serves for each in supers[:2]), 600)
        await crowd.world.until(lambda: all(kid.member.parent for kid in kids), 20)
        await kids[0].stop()
        await kids[0].stop()

    play(tmp_path, story)


def test_who_comes_after_the_end_is_refused(tmp_path: Path) -> None:
    """The port may go on for other networks."""

    async def story(crowd: Crowd) -> None:
        one, two = await crowd.supers(2)
        await one.rest()
        kid = await crowd.someone(one, wish=Wish.ORDINARY)
        await asyncio.sleep(20)
        assert kid.member.parent is not None
        assert kid.member.parent.address == two.address  # whom the other one named
        assert not one.serving.family.children
        one.again()
        await crowd.world.until(lambda: two.address in one.believed, 100)

    play(tmp_path, story)
