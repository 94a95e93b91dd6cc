"""What strangers say to a member, by hand."""

import asyncio
from collections.abc import Awaitable
from pathlib import Path

import pytest

from p2pswarm.formats.ids import Address
from p2pswarm.overlay.supernode.link import NAMES, Link
from p2pswarm.overlay.supernode.meeting import TurnedDownError, greet
from p2pswarm.overlay.supernode.options import Wish
from p2pswarm.wire.supernode.frames import OPENING, Frame, FrameKind
from p2pswarm.wire.supernode.hello import NONCE_SIZE, Hello, Reason, Want
from p2pswarm.wire.supernode.hosts import Entry, Hosts
from p2pswarm.wire.supernode.testing import Test as AskedTest, Verdict
from tests.support.crowd import PORT, Crowd, Someone, file, play
from tests.support.supernode_liar import Liar


async def stranger(someone: Someone, target: Someone, want: Want, node: bytes = b"s" * 16) -> Link:
    """A connection from the port of someone, who need not know of it."""
    hello = Hello(node, PORT, want, "stranger", True, False)
    meeting, _ = await greet(someone.port, target.address, hello)
    link = meeting.stay()
    link.listen(Deaf())
    return link


class Deaf:
    """Whatever it is told."""

    def got(self, link: Link, frame: Frame) -> None: ...

    def left(self, link: Link, reason: Exception) -> None: ...


async def bystander(crowd: Crowd) -> Someone:
    """It has a port and is no member of anything."""
    someone = await crowd.someone(wish=Wish.ORDINARY)
    await someone.rest()
    return someone


@pytest.mark.parametrize("want", [Want.PARENT, Want.LINK, Want.VISIT])
@pytest.mark.parametrize("kind", list(FrameKind))
def test_nonsense_of_any_kind_ends_that_link_at_most(tmp_path: Path, want: Want, kind: int) -> None:
    async def story(crowd: Crowd) -> None:
        one, two = await crowd.supers(2)
        kid = await crowd.child(one, files=[file(1, "ocean")])
        other = await bystander(crowd)
        link = await stranger(other, one, want)
        for body in (b"", b"\xff" * 7, b"de", bytes(40)):
            link.send(Frame(kind, body).encode())
        await asyncio.sleep(1)
        assert one.member.serves
        assert kid.member.parent is not None
        assert await two.found("ocean")
        link.close()

    play(tmp_path, story)


def test_a_parent_that_says_nonsense_with_its_welcome_is_left(tmp_path: Path) -> None:
    """What it says comes before anybody listens."""

    async def story(crowd: Crowd) -> None:
        liar, honest = await crowd.supers(2)
        liar.serving.peers.send_hosts = lambda link: link.send(  # type: ignore[method-assign]
            Frame(FrameKind.HOSTS, b"\xff").encode()
        )
        kid = await crowd.someone(liar, wish=Wish.ORDINARY)
        await asyncio.sleep(5)
        assert kid.member.parent is None
        kid.known.answered(honest.address)
        await crowd.world.until(lambda: kid.member.parent is not None, 60)

    play(tmp_path, story)


def test_few_lists_of_hosts_are_heard(tmp_path: Path) -> None:
    async def story(crowd: Crowd) -> None:
        one, two = await crowd.supers(2)
        (link,) = one.serving.peers.links
        told: list[int] = []
        two.member.told = lambda hosts, teller: told.append(1)  # type: ignore[method-assign]
        body = Hosts((Entry(Address("10.9.9.9", 1), 0, 0),)).encode().encode()
        link.send(*[body] * 1000)
        await asyncio.sleep(1)
        assert 0 < len(told) <= NAMES[1]
        assert one.believed

    play(tmp_path, story)


def test_one_test_of_a_visitor_at_a_time(tmp_path: Path) -> None:
    async def story(crowd: Crowd) -> None:
        (one,) = await crowd.supers(1)
        other = await bystander(crowd)
        link = await stranger(other, one, Want.VISIT)
        begun: list[int] = []
        test = one.serving._tester.test

        def counted(
            asker: Address, port: int, nonce: bytes, node: bytes, *, linked: bool
        ) -> Awaitable[Verdict]:
            begun.append(port)
            return test(asker, port, nonce, node, linked=linked)

        one.serving._tester.test = counted  # type: ignore[method-assign, assignment]
        nonce = bytes(NONCE_SIZE)
        link.send(*[AskedTest(port, nonce).encode().encode() for port in range(1, 1000)])
        await asyncio.sleep(0.2)
        assert begun == [1]
        link.close()

    play(tmp_path, story)


def test_who_serves_no_longer_is_told_to_nobody(tmp_path: Path) -> None:
    async def story(crowd: Crowd) -> None:
        (one,) = await crowd.supers(1)
        ordinary = await crowd.child(one)
        asker = await crowd.someone(ordinary, wish=Wish.ORDINARY)
        await asyncio.sleep(10)
        assert asker.member.parent is not None  # whom it was sent to
        assert ordinary.address not in asker.known.lately()
        assert one.address in asker.known.lately()

    play(tmp_path, story)


def test_nobody_has_the_name_of_a_child_at_another_host(tmp_path: Path) -> None:
    async def story(crowd: Crowd) -> None:
        (one,) = await crowd.supers(1)
        kid = await crowd.child(one, files=[file(1, "ocean")])
        await asyncio.sleep(1)
        other = await bystander(crowd)
        with pytest.raises(TurnedDownError) as refused:
            await stranger(other, one, Want.PARENT, kid.member.us.node)
        assert refused.value.refusal.reason is Reason.FULL
        (hit,) = await one.found("ocean")
        assert hit.host == kid.address

    play(tmp_path, story)


class Stammerer(Liar):
    """It is there, and its welcome cannot be read."""

    def _greeted(self, link: Link, hello: Hello) -> None:
        link.send(OPENING + Frame(FrameKind.WELCOME, b"welcome!").encode())


@pytest.mark.parametrize("wish", [Wish.ORDINARY, Wish.SUPER])
def test_a_welcome_that_cannot_be_read_ends_nothing_but_that_dial(
    tmp_path: Path, wish: Wish
) -> None:
    async def story(crowd: Crowd) -> None:
        liar = await Stammerer(crowd.world).open()
        (one,) = await crowd.supers(1)
        other = await crowd.someone(one, wish=wish)
        other.known.answered(liar.address)
        if wish is Wish.ORDINARY:
            await one.rest()
            await asyncio.sleep(5)
            one.again()
        await crowd.world.until(lambda: any(f.kind == FrameKind.HELLO for _, f in liar.frames), 60)
        await crowd.world.until(lambda: len(one.member.neighbours) == 1, 100)
        await liar.close()

    play(tmp_path, story)
