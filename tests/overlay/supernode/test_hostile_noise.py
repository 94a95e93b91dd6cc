"""Nodes in each role among strangers, children, links, visitors and parents that say anything.

A world fails the story for whatever comes out of a callback, so nothing but RemoteError may be raised.
"""

import asyncio
import gc
import tracemalloc
from contextlib import aclosing, suppress
from pathlib import Path
from random import Random

import pytest

from p2pswarm.errors import RemoteError
from p2pswarm.formats.ids import Address, InfoHash
from p2pswarm.overlay.network import Cost
from p2pswarm.overlay.query import Query as Wanted
from p2pswarm.overlay.supernode.link import Link
from p2pswarm.overlay.supernode.options import Wish
from p2pswarm.wire import framer
from p2pswarm.wire.supernode.datagrams import UdpPing, UdpPong
from p2pswarm.wire.supernode.frames import MOST, OPENING, Frame, FrameFramer, FrameKind
from p2pswarm.wire.supernode.hello import NONCE_SIZE, Bye, Hello, Reason, Refuse, Want, Welcome
from p2pswarm.wire.supernode.hits import Found, Hits
from p2pswarm.wire.supernode.hosts import Entry, Hosts
from p2pswarm.wire.supernode.keeping import Ping, Pong
from p2pswarm.wire.supernode.pushing import Push
from p2pswarm.wire.supernode.queries import End, Query, Stop
from p2pswarm.wire.supernode.shares import Share, SharedFile, Unshare
from p2pswarm.wire.supernode.testing import Data, Invite, Probe, Test as AskedTest, Verdict
from tests.support.crowd import Crowd, Someone, file, names, play
from tests.support.supernode_liar import PORT, Liar

ROUNDS = 8  # of each half
MOST_GROWTH = 2 << 20  # bytes, in the second half
ATTACKERS = 8
WANTS = [Want.PARENT, Want.LINK, Want.VISIT]


def address(dice: Random) -> Address:
    return Address(
        f"{dice.choice([10, 81, 127, 224])}.0.0.{dice.randrange(9)}", dice.choice([PORT, 80])
    )


def sensible(dice: Random, guid: bytes) -> Frame:
    """Any message, with some of what may be in it."""
    node = bytes([dice.randrange(4)]) * 16
    shared = SharedFile(
        dice.randrange(50), dice.randrange(1 << 40), dice.choice(["ocean", "blue", "a" * 255]),
        dice.choice([None, bytes(20)]), None, dice.choice([None, InfoHash(bytes(20))]),
    )  # fmt: skip
    hosts = tuple(Entry(address(dice), 0, 50) for _ in range(dice.randrange(5)))
    found = Found(address(dice), node, dice.random() < 0.5, address(dice), (shared,))
    words = dice.choice([("ocean",), ("blue", "ocean"), ()])
    made = [
        Hello(node, PORT, dice.choice(WANTS), "x", True, False).encode,
        Welcome(node, PORT, "x", address(dice), True, 1, 1, 1).encode,
        Refuse(Reason.FULL, "x", hosts, invited=True).encode,
        Bye("x", hosts).encode,
        Ping().encode,
        Pong(50, 1, 1, 50).encode,
        Hosts(hosts).encode,
        Share((shared,) * dice.randrange(1, 100)).encode,
        Unshare((shared.number,)).encode,
        Query(guid, dice.choice([0, 1, 7, 255]), dice.choice([0, 6, 255]), words).encode,
        Hits(guid, dice.choice([0, 6, 255]), (found,) * dice.randrange(1, 9)).encode,
        End(guid, 5, hosts).encode,
        Stop(guid).encode,
        Push(node, shared.number, address(dice)).encode,
        Invite(hosts).encode,
        AskedTest(PORT, bytes(NONCE_SIZE)).encode,
        Verdict(dice.random() < 0.5, 1 << 30).encode,
        Probe(65536, bytes(NONCE_SIZE)).encode,
        Data(bytes(1000)).encode,
    ]
    # A BYE ends the link, and so it comes rarely.
    frame = dice.choice(made)()
    return frame if frame.kind != FrameKind.BYE or dice.random() < 0.1 else Ping().encode()


def noise(dice: Random, guids: list[bytes]) -> bytes:
    """A message, or one with some bytes changed, cut off or too many; or of a kind from tomorrow."""
    frame = sensible(dice, dice.choice(guids))
    body = bytearray(frame.body)
    match dice.randrange(60):  # the first wrong one ends the link
        case 0 if body:
            body[dice.randrange(len(body))] = dice.randrange(256)
        case 1:
            del body[dice.randrange(len(body) + 1) :]
        case 2:
            body += dice.randbytes(dice.randrange(9))
        case 3:
            body = bytearray(dice.randbytes(dice.randrange(60)))
        case 4:
            kind = dice.choice([kind for kind in range(256) if kind not in MOST])
            return Frame(kind, bytes(dice.choice([0, 1, 0xFFFF]))).encode()
        case _:
            pass
    return Frame(frame.kind, bytes(body[: MOST[frame.kind]])).encode()


async def torment(one: Liar, target: Address, dice: Random, rounds: int) -> None:
    """It comes as anybody, in every way, and comes again when it is sent away."""
    guids = [bytes([number]) * 16 for number in range(4)]
    for number in range(rounds):
        if len(one.links) < 3:
            with suppress(RemoteError):
                await one.dial(target, dice.choice(WANTS), dice.randbytes(16))
        guids += [bytes(frame.body[:16]) for frame in one.heard(FrameKind.QUERY)[-4:]]
        one.frames.clear()
        for link in list(one.links):
            for _ in range(30):
                if not link.over:
                    link.send(noise(dice, guids[-20:]))
        for _ in range(10):
            pong = UdpPong(dice.randbytes(8), 0, True, 1, 1, 1).encode()
            data = dice.choice([UdpPing(dice.randbytes(8)).encode(), pong, pong[:-1], b"P2SN"])
            one.port.send_datagram(data, target)
        await strange(one, target, dice)
        await asyncio.sleep(1 + number % 2)


async def strange(one: Liar, target: Address, dice: Random) -> None:
    """A connection that begins with anything: half a greeting, another protocol, a frame too early."""
    with suppress(OSError):
        stream = await one.port.dial(target, FrameFramer(one.port.scratch), _Deaf())
        first = dice.choice(
            [
                OPENING[:7],
                OPENING,
                OPENING + noise(dice, [bytes(16)]),
                OPENING + Frame(FrameKind.HELLO, dice.randbytes(40)).encode(),
                b"GIV 1:" + bytes(16).hex().encode() + b"/a\n\n" + OPENING,
                b"GNUTELLA CONNECT/0.6\r\n" + OPENING,
                b"GET /gnutella/push-proxy?ServerId=" + b"A" * 26 + b" HTTP/1.1\r\n\r\n",
                OPENING + b"GET / HTTP/1.1\r\n\r\n",
                OPENING + b"\xff\xff\x01",
            ]
        )
        stream.send(first)
        await asyncio.sleep(0.5)
        stream.close()


class _Deaf:
    def got(self, message: object) -> None:
        """It does not listen."""

    def caught_up(self) -> None:
        """It does not listen."""

    def drained(self) -> None:
        """It said what it had to say."""

    def closed(self, reason: Exception | None) -> None:
        """It was sent away."""


def held() -> int:
    """Bytes of everything but receive buffers: each stranger has one of its own, a node has one in all."""
    traces = tracemalloc.take_snapshot().filter_traces([tracemalloc.Filter(False, framer.__file__)])
    return sum(trace.size for trace in traces.traces)


def chatty(one: Liar, dice: Random) -> None:
    """Whoever comes to it hears anything, too: as a child, a link, a visitor."""

    def says(link: Link, frame: Frame) -> None:
        if frame.kind in (FrameKind.HELLO, FrameKind.QUERY, FrameKind.TEST, FrameKind.PING):
            guid = bytes(frame.body[:16]) if frame.kind == FrameKind.QUERY else bytes(16)
            for _ in range(10):
                link.send(noise(dice, [guid]))

    one.says = says


@pytest.mark.parametrize("role", [Wish.ORDINARY, Wish.SUPER, Wish.AUTO])
def test_a_member_bears_any_noise(tmp_path: Path, role: Wish) -> None:
    async def story(crowd: Crowd) -> None:
        one, two = await crowd.supers(2)
        kid = await crowd.child(two, files=[file(1, "blue ocean")])
        dice = Random(2)
        liars = [
            await Liar(crowd.world, f"81.1.1.{n}", node=bytes([n]) * 16).open() for n in range(1, 3)
        ]
        for each in liars:
            chatty(each, dice)
        target: Someone = one
        if role is not Wish.SUPER:
            target = await crowd.someone(one, wish=role, files=[file(2, "green sea")])
        for each in liars:
            target.known.answered(each.address)
        tracemalloc.start()
        sizes = []
        for _ in range(2):
            await asyncio.gather(*(torment(each, target.address, dice, ROUNDS) for each in liars))
            await target.found("ocean")
            await asyncio.sleep(60)
            gc.collect()
            sizes.append(held())
        tracemalloc.stop()
        assert sizes[1] - sizes[0] < MOST_GROWTH, sizes
        for each in liars:
            await each.close()
        assert kid.member.parent is not None
        await crowd.world.until(lambda: target.member.serves or target.member.parent, 700)
        assert target.member.serves is (role is Wish.SUPER)
        if role is Wish.SUPER:
            target.serving.flood.check()
            target.serving.index.check()
            asker = await crowd.child(one)
            assert "blue ocean" in names(await asker.found("ocean"))

    play(tmp_path, story)


def test_an_honest_child_is_served_among_eight_attackers(tmp_path: Path) -> None:
    """Frames of every kind as fast as the limits let them, at its own parent."""

    async def story(crowd: Crowd) -> None:
        one, two = await crowd.supers(2)
        await crowd.child(two, files=[file(1, "blue ocean")])
        asker = await crowd.child(one)
        dice = Random(3)

        async def attack(each: Liar) -> None:
            while True:
                with suppress(RemoteError):
                    link = await each.dial(one.address, dice.choice(WANTS), dice.randbytes(16))
                    while not link.over:
                        link.send(*[noise(dice, [dice.randbytes(16)]) for _ in range(50)])
                        await asyncio.sleep(0.1)
                await asyncio.sleep(1)

        liars = [
            await Liar(crowd.world, f"81.1.1.{n}", node=bytes([n]) * 16).open()
            for n in range(1, ATTACKERS + 1)
        ]
        going = [asyncio.ensure_future(attack(each)) for each in liars]
        slowest = 0.0
        for _ in range(20):
            begun = crowd.world.loop.time()
            found = asker.member.search(Wanted(("blue", "ocean")), Cost())
            async with aclosing(found) as hits:
                assert (await anext(hits)).name == "blue ocean"
            slowest = max(slowest, crowd.world.loop.time() - begun)
            await asyncio.sleep(2)
        assert slowest < 0.2
        assert asker.member.parent is not None
        for task, each in zip(going, liars, strict=True):
            task.cancel()
            await each.close()

    play(tmp_path, story)


@pytest.mark.parametrize("kind", [0x05, 0x07, 0x20, 0x21, 0x23, 0x40, 0x41, 0x42, 0x44, 0x99])
@pytest.mark.parametrize("want", [Want.PARENT, Want.LINK])
def test_a_storm_of_one_kind_ends_that_link_or_nothing(
    tmp_path: Path, kind: int, want: Want
) -> None:
    """A hundred thousand frames in ten seconds, full ones of a kind from tomorrow among them."""

    async def story(crowd: Crowd) -> None:
        one, two = await crowd.supers(2)
        await crowd.child(one, files=[file(1, "blue ocean")])
        asker = await crowd.child(two)
        other = await Liar(crowd.world, "81.1.1.1").open()
        link = await other.dial(one.address, want)
        dice = Random(kind)
        while (frame := sensible(dice, bytes(16))).kind != kind and kind != 0x99:
            pass
        data = Frame(0x99, bytes(0xFFFF)).encode() if kind == 0x99 else frame.encode()
        took = 0
        for _ in range(1000):
            if link.over:
                break
            link.send(*[data] * (1 if kind == 0x99 else 100))
            took += 1
            await asyncio.sleep(0.01)
        assert link.over
        assert took < 100  # the burst is 2000 frames, or 2 MiB of what nobody knows
        assert names(await asker.found("ocean")) == ["blue ocean"]
        await other.close()

    play(tmp_path, story)


def test_a_thousand_silent_guests_cost_nothing(tmp_path: Path) -> None:
    async def story(crowd: Crowd) -> None:
        one, two = await crowd.supers(2)
        await crowd.child(one, files=[file(1, "blue ocean")])
        asker = await crowd.child(two)
        other = await Liar(crowd.world, "81.1.1.1").open()
        streams = [
            await other.port.dial(one.address, FrameFramer(other.port.scratch), _Deaf())
            for _ in range(1000)
        ]
        for number, stream in enumerate(streams):
            stream.send(OPENING[: number % len(OPENING)])
        assert names(await asker.found("ocean")) == ["blue ocean"]
        await asyncio.sleep(15)
        assert all(stream.over for stream in streams)
        await other.close()

    play(tmp_path, story)


def test_one_that_says_a_byte_a_second_is_cut(tmp_path: Path) -> None:
    async def story(crowd: Crowd) -> None:
        (one,) = await crowd.supers(1)
        other = await Liar(crowd.world, "81.1.1.1").open()
        link = await other.dial(one.address, Want.PARENT)
        link.send(b"\x7f\xff\x99")
        for _ in range(60):
            if link.over:
                break
            link.stream.send(b"x")
            await asyncio.sleep(1)
        assert link.over
        await other.close()

    play(tmp_path, story)
