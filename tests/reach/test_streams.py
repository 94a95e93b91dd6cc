"""Streams of a meeting before somebody has them: who may say what, for how long, and how many."""

import asyncio
from dataclasses import replace

import pytest

from p2pswarm.errors import NetworkError, RemoteProtocolError
from p2pswarm.lab.loop import VirtualLoop, play
from p2pswarm.net.stream import Stream
from p2pswarm.reach.offers import Candidates, Offer
from p2pswarm.reach.streams import MOST_OFFERED, Offered, StreamKind, Streams
from p2pswarm.wire.framer import Scratch
from p2pswarm.wire.reaching import Chosen, GreetingFramer
from tests.reach.worlds import Lines, Talk

TCP, UTP, RELAY = StreamKind.TCP, StreamKind.UTP, StreamKind.RELAY
A = Offer(bytes(16), b"", b"a" * 32, "aaaaaaaa", "A" * 24, Candidates(), (), 0)
B = replace(A, ufrag="bbbbbbbb", password="B" * 24)


class Two:
    """Both sides, and streams between them."""

    def __init__(self, loop: VirtualLoop) -> None:
        self.loop = loop
        for name in ("1.1.1.1", "2.2.2.2"):
            loop.host(name)
        self.leader = Streams(A, B, leads=True, clock=loop.time, scratch=Scratch())
        self.other = Streams(B, A, leads=False, clock=loop.time, scratch=Scratch())

    def join(
        self, kind: StreamKind, left: Streams | None = None, right: Streams | None = None
    ) -> tuple[Offered, Offered]:
        """A stream on which both speak first."""
        ends = [
            (s or d).offer(kind, crossing=True)
            for s, d in ((left, self.leader), (right, self.other))
        ]
        streams = [Stream(GreetingFramer(), end) for end in ends]
        here, there = (self.loop.hosts[name] for name in ("1.1.1.1", "2.2.2.2"))
        self.loop.connect(here, there, *streams, port=1)
        for end, stream in zip(ends, streams, strict=True):
            end.begin(stream)
        return ends[0], ends[1]

    async def taken(self) -> tuple[Offered, Offered]:
        """What the leader picks and the other side hears of."""
        picked = self.leader.pick()
        assert picked is not None
        assert await self.leader.confirm(picked)
        heard = self.other.pick()
        assert heard is not None
        for side, each in ((self.leader, picked), (self.other, heard)):
            side.hand_out(each, Lines(), Talk())
        return picked, heard


def test_the_better_one_is_chosen_and_the_rest_is_closed() -> None:
    async def story(loop: VirtualLoop) -> None:
        two = Two(loop)
        relayed, utp, tcp = (two.join(kind) for kind in (RELAY, UTP, TCP))
        await asyncio.sleep(0.1)
        assert await two.taken() == tcp
        await asyncio.sleep(0.1)
        assert not any(end.works for pair in (relayed, utp) for end in pair)
        assert two.leader.direct
        assert two.other.direct

    play(story)


def test_one_that_is_no_better_is_not_kept_unless_it_is_wanted() -> None:
    async def story(loop: VirtualLoop) -> None:
        two, told = Two(loop), list[str]()
        two.leader.better = lambda: told.append("better")
        two.join(RELAY)
        await asyncio.sleep(0.1)
        await two.taken()
        again = two.join(RELAY)
        await asyncio.sleep(0.1)
        assert not again[0].works
        two.leader.wanted = lambda: True
        kept = two.join(RELAY)
        await asyncio.sleep(0.1)
        assert kept[0].works
        assert told == []
        two.join(UTP)
        await asyncio.sleep(0.1)
        assert told == ["better"]

    play(story)


def test_a_dead_one_is_not_handed_out() -> None:
    async def story(loop: VirtualLoop) -> None:
        two = Two(loop)
        two.join(TCP)
        await asyncio.sleep(0.1)
        loop.hosts["2.2.2.2"].online = False
        picked, begun = two.leader.pick(), loop.time()
        assert picked is not None
        assert not await two.leader.confirm(picked)
        assert loop.time() - begun < 3
        assert not picked.works

    play(story)


def test_the_round_trip_is_measured_whoever_dialed() -> None:
    async def story(loop: VirtualLoop) -> None:
        two = Two(loop)  # hosts are ten milliseconds from each other
        two.join(TCP)
        await asyncio.sleep(0.02)
        for each in await two.taken():
            assert each.rtt is not None
            assert 0.015 < each.rtt < 0.05

    play(story)


def test_silence_and_being_unwanted_have_an_end() -> None:
    async def story(loop: VirtualLoop) -> None:
        two = Two(loop)
        silent = two.leader.offer(TCP)
        greeted, _ = two.join(TCP)
        await asyncio.sleep(0.1)
        assert two.leader.waiting
        two.leader.tick(loop.time() + 11)
        assert silent.settled.is_set()
        assert greeted.works
        two.leader.tick(loop.time() + 21)
        assert not greeted.works
        assert not two.leader.waiting

    play(story)


def test_there_are_never_many() -> None:
    async def story(loop: VirtualLoop) -> None:
        two = Two(loop)
        for _ in range(MOST_OFFERED):
            two.leader.offer(TCP)
        with pytest.raises(NetworkError):
            two.leader.offer(TCP)
        two.leader.close()
        two.leader.close()
        two.leader.offer(TCP)

    play(story)


def test_who_knows_another_secret_or_chooses_too_early_is_sent_away() -> None:
    async def story(loop: VirtualLoop) -> None:
        two = Two(loop)
        wrong = Streams(B, B, leads=False, clock=loop.time, scratch=Scratch())
        left, right = two.join(TCP, right=wrong)
        await asyncio.sleep(0.1)
        assert not left.works
        assert not right.works
        assert two.leader.pick() is None
        early = two.other.offer(TCP)
        early.stream = Stream(GreetingFramer(), early)
        with pytest.raises(RemoteProtocolError):
            early.got(Chosen())

    play(story)
