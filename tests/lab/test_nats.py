"""Routers of a virtual world do to datagrams and connections what their kinds do."""

import asyncio

import pytest

from p2pswarm.lab.loop import VirtualLoop, play
from p2pswarm.lab.nats import Kind, Router
from p2pswarm.net.stream import Stream
from tests.reach.worlds import Lines, Talk

HERE, A, A2, B = ("10.0.0.1", 1), ("8.8.8.8", 1), ("8.8.8.8", 2), ("9.9.9.9", 1)


@pytest.mark.parametrize(
    ("kind", "same_number", "heard"),
    [
        (Kind.FULL, True, [A, A2, B]),
        (Kind.ADDRESS, True, [A, A2]),
        (Kind.PORT, True, [A]),
        (Kind.SYMMETRIC, False, [A]),
    ],
)
def test_what_is_mapped_and_what_comes_in(
    kind: Kind, heard: list[tuple[str, int]], *, same_number: bool
) -> None:
    router = Router("7.7.7.7", kind)
    seen = router.leaves("udp", HERE, A)
    assert seen is not None
    came = [place for place in (A, A2, B) if router.enters("udp", seen[1], place) == HERE]
    assert came == heard
    assert router.enters("tcp", seen[1], A) is None
    assert (router.leaves("udp", HERE, B) == seen) is same_number
    router.forget()
    assert router.enters("udp", seen[1], A) is None


def test_who_blocks_udp_lets_tcp_through() -> None:
    router = Router("7.7.7.7", Kind.BLOCKED)
    assert router.leaves("udp", HERE, A) is None
    assert router.leaves("tcp", HERE, A) is not None


def two(loop: VirtualLoop, kind: Kind) -> None:
    for n in (1, 2):
        loop.behind(loop.host(f"10.{n}.0.1"), kind, f"7.7.7.{n}")


async def dial(loop: VirtualLoop, here: int, number: int) -> Talk:
    """From number 5 of one to what the router of the other shows first."""
    talk = Talk()
    await loop.create_connection(
        lambda: Stream(Lines(), talk), f"7.7.7.{3 - here}", number, local_addr=(f"10.{here}.0.1", 5)
    )
    return talk


def test_two_that_dial_each_other_from_known_numbers_meet() -> None:
    async def story(loop: VirtualLoop) -> None:
        two(loop, Kind.PORT)
        for n in (1, 2):
            seen = loop.routers[f"7.7.7.{n}"].leaves("tcp", (f"10.{n}.0.1", 5), A)
            assert seen == (f"7.7.7.{n}", 20_000)

        async def later() -> Talk:
            await asyncio.sleep(0.4)
            return await dial(loop, 2, 20_000)

        await asyncio.gather(dial(loop, 1, 20_000), later())
        assert not loop.dialing

    play(story)


def test_one_that_dials_alone_does_not() -> None:
    async def story(loop: VirtualLoop) -> None:
        two(loop, Kind.PORT)
        with pytest.raises(TimeoutError):
            await dial(loop, 1, 20_000)
        assert loop.time() > 5

    play(story)


def test_nobody_comes_in_by_a_private_address() -> None:
    async def story(loop: VirtualLoop) -> None:
        two(loop, Kind.FULL)
        loop.host("8.8.8.8")
        one, other = (loop.hosts[f"10.{n}.0.1"] for n in (1, 2))
        there = (other.name, 5)
        assert loop.entering(one, "udp", (one.name, 5), there) is None
        assert loop.entering(loop.hosts["8.8.8.8"], "udp", A, there) is None
        assert loop.entering(other, "udp", there, there) == there

    play(story)
