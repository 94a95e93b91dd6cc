"""Children as their parent sees them: pushes to those that nobody can dial, and what they may share."""

import asyncio
from pathlib import Path

from p2pswarm.formats.ids import Address
from p2pswarm.overlay.supernode.family import PUSHES, SHARES
from p2pswarm.wire.supernode.pushing import Push
from p2pswarm.wire.supernode.shares import Share
from tests.support.crowd import Crowd, Someone, file, fill, play

ASKER = Address("10.0.0.77", 1234)


async def firewalled(crowd: Crowd, parent: Someone) -> Someone:
    kid = await crowd.child(parent, files=[file(3, "blue ocean")], firewalled=True)
    await asyncio.sleep(1)
    return kid


def test_a_child_behind_a_firewall_is_found_with_its_parent(tmp_path: Path) -> None:
    async def story(crowd: Crowd) -> None:
        one, two = await crowd.supers(2)
        kid = await firewalled(crowd, two)
        asker = await crowd.child(one)
        (hit,) = await asker.found("ocean")
        assert hit.firewalled
        assert hit.proxies == (two.address,)
        assert hit.nick == kid.member.us.node.hex()
        assert hit.peer is None

    play(tmp_path, story)


def test_only_its_own_parent_pushes_and_only_after_a_hit(tmp_path: Path) -> None:
    async def story(crowd: Crowd) -> None:
        one, two = await crowd.supers(2)
        kid = await firewalled(crowd, two)
        node = kid.member.us.node
        assert not two.member.push(node, 3, ASKER)  # nobody was told of it
        assert await one.found("ocean")
        assert not one.member.push(node, 3, ASKER)
        assert not kid.member.push(node, 3, ASKER)
        assert two.member.push(node, 3, ASKER)
        await asyncio.sleep(1)
        assert [push for push, _ in kid.pushes] == [Push(node, 3, ASKER)]
        assert [parent for _, parent in kid.pushes] == [two.address]
        await asyncio.sleep(700)
        assert not two.member.push(node, 3, ASKER)  # that hit is old

    play(tmp_path, story)


def test_pushes_are_few(tmp_path: Path) -> None:
    async def story(crowd: Crowd) -> None:
        one, two = await crowd.supers(2)
        kid = await firewalled(crowd, two)
        assert await one.found("ocean")
        node = kid.member.us.node
        passed = sum(two.member.push(node, 3, ASKER) for _ in range(100))
        assert passed == PUSHES[1]
        await asyncio.sleep(1)
        assert len(kid.pushes) == passed

    play(tmp_path, story)


def test_who_left_is_pushed_no_more(tmp_path: Path) -> None:
    async def story(crowd: Crowd) -> None:
        one, two = await crowd.supers(2)
        kid = await firewalled(crowd, two)
        assert await one.found("ocean")
        await kid.stop()
        await asyncio.sleep(0.1)
        assert not two.member.push(kid.member.us.node, 3, ASKER)

    play(tmp_path, story)


def test_who_shares_too_often_is_cut(tmp_path: Path) -> None:
    """Passed over, files would be missed, or found for ever."""

    async def story(crowd: Crowd) -> None:
        (one,) = await crowd.supers(1)
        kid = await crowd.child(one)
        parent = kid.member.parent
        assert parent is not None
        frame = Share(tuple(file(n, "ocean") for n in range(100))).encode().encode()
        parent.send(*[frame] * int(SHARES[1] / 100))
        await asyncio.sleep(1)
        assert one.counts(kid) == 100
        parent.send(*[frame] * 10)
        await asyncio.sleep(0.1)
        assert one.counts(kid) == 0
        assert parent.over

    play(tmp_path, story)


def test_a_child_that_reads_nothing_while_all_are_asked_how_they_are(tmp_path: Path) -> None:
    """One of them is cut over the very question."""

    async def story(crowd: Crowd) -> None:
        (one,) = await crowd.supers(1)
        kids = [await crowd.child(one) for _ in range(3)]
        deaf = next(iter(one.serving.family.children))
        loop = asyncio.get_running_loop()
        await asyncio.sleep(one.serving.family._next_ping - loop.time() - 0.5)
        assert kids[0].member.parent is not None
        kids[0].member.parent.stream.pause()
        await fill(deaf)
        await asyncio.sleep(2)
        assert deaf.over
        assert one.member.serves
        assert await kids[1].found("ocean") == []

    play(tmp_path, story)


def test_who_comes_again_from_its_host_takes_its_own_place(tmp_path: Path) -> None:
    async def story(crowd: Crowd) -> None:
        (one,) = await crowd.supers(1)
        kid = await crowd.child(one, files=[file(1, "ocean")])
        await asyncio.sleep(1)
        crowd.world.unplug(kid.host)
        parent = kid.member.parent
        assert parent is not None
        parent.close()  # its word of that does not arrive
        crowd.world.plug_in(kid.host)
        await crowd.world.until(lambda: kid.member.parent is not None)
        await asyncio.sleep(1)
        assert len(one.serving.family) == 1
        assert one.counts(kid) == 1

    play(tmp_path, story)
