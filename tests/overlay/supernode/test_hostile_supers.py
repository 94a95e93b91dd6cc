"""Nobody is a super node by saying so: what a liar gets, and what an honest node loses by it."""

import asyncio
from contextlib import suppress
from pathlib import Path

import pytest

from p2pswarm.errors import NetworkError, RemoteError
from p2pswarm.formats.ids import Address
from p2pswarm.overlay.supernode import flooding
from p2pswarm.overlay.supernode.family import LEAST_OF_HOST, PER_FRAME, SHARES
from p2pswarm.overlay.supernode.flooding import FEW_LOOKS
from p2pswarm.overlay.supernode.link import Link
from p2pswarm.overlay.supernode.links import MOST_OF_HOST
from p2pswarm.overlay.supernode.options import Wish
from p2pswarm.overlay.supernode.ordinary import FRUITLESS, STAY
from p2pswarm.overlay.supernode.promotion import LEAST_RATE
from p2pswarm.overlay.supernode.testing import MOST_TESTS, PROBE_SIZE, VISITOR_EVERY
from p2pswarm.wire.supernode.frames import Frame, FrameKind
from p2pswarm.wire.supernode.hello import Hello, Want
from p2pswarm.wire.supernode.hits import Found, Hits
from p2pswarm.wire.supernode.queries import Query, Stop
from p2pswarm.wire.supernode.shares import Share, SharedFile, Unshare
from p2pswarm.wire.supernode.testing import Data, Probe, Test as AskedTest, Verdict
from tests.support.crowd import Crowd, Someone, file, names, play
from tests.support.supernode_liar import PORT, Liar

NONCE = bytes(16)


async def liar(crowd: Crowd, number: int = 1) -> Liar:
    return await Liar(crowd.world, f"81.1.1.{number}", node=bytes([number]) * 16).open()


async def judged(crowd: Crowd, by: Someone, one: Liar) -> Verdict:
    """What a super node says of it."""
    link = await one.dial(by.address, Want.VISIT)
    link.send(AskedTest(PORT, NONCE).encode().encode())
    await crowd.world.until(lambda: one.heard(FrameKind.VERDICT), 30)
    link.close()
    return Verdict.read(one.heard(FrameKind.VERDICT)[-1].body)


def test_an_honest_line_passes_and_one_that_sends_before_it_is_asked_does_not(
    tmp_path: Path,
) -> None:
    """DATA may come with the welcome, before any PROBE, and would seem infinitely fast."""

    async def story(crowd: Crowd) -> None:
        (one,) = await crowd.supers(1)
        honest, hasty = await liar(crowd, 1), await liar(crowd, 2)
        assert (await judged(crowd, one, honest)).rate >= LEAST_RATE

        def before(link: Link, frame: Frame) -> None:
            if frame.kind == FrameKind.HELLO and Hello.read(frame.body).want is Want.TEST:
                link.send(*[Data(bytes(8192)).encode().encode()] * 8)

        hasty.says = before
        verdict = await judged(crowd, one, hasty)
        assert not verdict.reachable
        assert verdict.rate == 0
        for each in (honest, hasty):
            await each.close()

    play(tmp_path, story)


def test_who_keeps_the_first_bytes_back_seems_at_most_twice_as_fast(tmp_path: Path) -> None:
    async def story(crowd: Crowd) -> None:
        (one,) = await crowd.supers(1)
        slow = await liar(crowd)

        give = slow.give

        def late(link: Link, probe: Probe) -> None:
            """As if all had come in 8 s, in the wrong order."""
            asyncio.get_running_loop().call_later(8, give, link, probe)

        slow.give = late  # type: ignore[method-assign]
        verdict = await judged(crowd, one, slow)
        assert 0 < verdict.rate <= 2 * PROBE_SIZE / 8
        assert verdict.rate < LEAST_RATE
        await slow.close()

    play(tmp_path, story)


def test_fifty_nodes_of_one_host_have_few_places(tmp_path: Path) -> None:
    async def story(crowd: Crowd) -> None:
        one, two = await crowd.supers(2)
        sybil = await liar(crowd)
        for number in range(50):
            sybil.be(bytes([number, 1]) * 8, 2000 + number)
        for want in (Want.LINK, Want.PARENT):
            for port, node in sybil.nodes.items():
                with suppress(RemoteError):
                    await sybil.dial(one.address, want, node, port)
                await asyncio.sleep(4)
        links = [link for link in one.serving.peers.links if link.remote.host == sybil.host.name]
        assert len(links) <= MOST_OF_HOST
        children = [
            link for link in one.serving.family.children if link.remote.host == sybil.host.name
        ]
        assert 0 < len(children) <= max(15, LEAST_OF_HOST)
        assert two.address in one.believed
        await sybil.close()

    play(tmp_path, story)


def test_links_that_nobody_can_test_are_left_and_the_next_one_has_its_turn(tmp_path: Path) -> None:
    async def story(crowd: Crowd) -> None:
        (one,) = await crowd.supers(1)
        silent = [await liar(crowd, number) for number in range(1, 21)]
        for each in silent:
            each.tested = False
            await each.dial(one.address, Want.LINK)
        honest = await crowd.someone(one, wish=Wish.SUPER)
        await crowd.world.until(lambda: honest.address in one.believed, 900)
        await asyncio.sleep(900)
        assert {link.address for link in one.serving.peers.links} == {honest.address}
        for each in silent:
            assert each.address not in {entry.address for entry in one.serving.hosts()}
            await each.close()

    play(tmp_path, story)


def test_slow_visitors_do_not_keep_links_from_being_tested(tmp_path: Path) -> None:
    async def story(crowd: Crowd) -> None:
        (one,) = await crowd.supers(1)
        slow = [await liar(crowd, number) for number in range(1, 12 * MOST_TESTS + 1)]

        async def occupy(each: Liar) -> None:
            each.give = lambda link, probe: None  # type: ignore[method-assign]
            while True:
                with suppress(RemoteError):
                    link = await each.dial(one.address, Want.VISIT)
                    for _ in range(20):
                        link.send(AskedTest(PORT, NONCE).encode().encode())
                        await asyncio.sleep(1)
                await asyncio.sleep(3)

        going = [asyncio.ensure_future(occupy(each)) for each in slow]
        await asyncio.sleep(30)
        begun = crowd.world.loop.time()
        honest = await crowd.someone(one, wish=Wish.SUPER)
        await crowd.world.until(lambda: honest.address in one.believed, 60)
        assert crowd.world.loop.time() - begun < 15
        asked = crowd.world.loop.time()
        await asyncio.sleep(300)
        probes = sum(len(each.heard(FrameKind.PROBE)) for each in slow)
        assert probes <= len(slow) * (1 + (crowd.world.loop.time() - asked + 60) / VISITOR_EVERY)
        for task, each in zip(going, slow, strict=True):
            task.cancel()
            await each.close()

    play(tmp_path, story)


def test_a_parent_that_swallows_questions_is_left(tmp_path: Path) -> None:
    """It welcomes, answers pongs, and that is all."""

    async def story(crowd: Crowd) -> None:
        one, two = await crowd.supers(2)
        await crowd.child(two, files=[file(1, "blue ocean")])
        hole = await liar(crowd)
        kid = await crowd.someone(wish=Wish.ORDINARY)
        kid.known.answered(hole.address)
        await kid.member.settled()
        assert kid.member.parent is not None
        assert kid.member.parent.address == hole.address
        kid.known.answered(one.address)
        searches = 0
        while not await kid.found("ocean"):
            searches += 1
            assert searches <= FRUITLESS + STAY / 60
            await asyncio.sleep(60)
        assert kid.member.parent.address == one.address
        await hole.close()

    play(tmp_path, story)


def test_who_searches_in_vain_does_not_go_round(tmp_path: Path) -> None:
    async def story(crowd: Crowd) -> None:
        supers = await crowd.supers(3)
        kid = await crowd.child(*supers)
        moves = 0
        parent = kid.member.parent
        for _ in range(180):  # in an hour
            await kid.found("nowhere")
            await asyncio.sleep(10)
            moves += kid.member.parent is not parent
            parent = kid.member.parent
        assert moves <= 2 * 3600 / STAY

    play(tmp_path, story)


def test_one_teller_makes_no_host_ours_and_hides_no_hit(tmp_path: Path) -> None:
    """It says that it sees us where another one is, whose hits we would drop as our own."""

    async def story(crowd: Crowd) -> None:
        one, two = await crowd.supers(2)
        kid = await crowd.child(two, files=[file(1, "blue ocean")])
        liars = [await liar(crowd, number) for number in range(1, 4)]
        for each in liars:
            each.you = kid.address
            one.known.answered(each.address)
        await asyncio.sleep(120)
        assert kid.address not in one.member.us.addresses
        assert names(await one.found("ocean")) == ["blue ocean"]
        for each in liars:
            await each.close()

    play(tmp_path, story)


def spam(one: Liar, link: Link, frame: Frame) -> None:
    """Two hundred made-up hosts have whatever is asked for."""
    if frame.kind == FrameKind.QUERY:
        query, dice = Query.read(frame.body), one.world.dice
        song = SharedFile(1, 1000, " ".join(query.words) + " free.exe", dice.randbytes(20))
        hosts = [Address(f"83.{n}.{n}.{n}", 80) for n in range(1, 201)]
        found = tuple(Found(host, dice.randbytes(16), False, None, (song,)) for host in hosts)
        link.send(*[hits.encode().encode() for hits in Hits.pack(query.guid, 0, found)])


def test_a_link_that_makes_up_hits_leaves_place_for_those_of_others(tmp_path: Path) -> None:
    async def story(crowd: Crowd) -> None:
        _, two, three = await crowd.supers(3)
        await crowd.child(three, files=[file(1, "blue ocean")])
        asker = await crowd.child(two)
        three.host.delay = 0.5  # the liar is faster
        spammer = await liar(crowd)

        def to_two(link: Link, frame: Frame) -> None:
            """A link is what is bounded: as a neighbour of both it would be heard over both."""
            if link.remote.host == two.host.name:
                spam(spammer, link, frame)

        spammer.says = to_two
        two.known.answered(spammer.address)
        await crowd.world.until(lambda: spammer.address in two.believed, 100)
        hits, _ = await asker.asked("ocean", limit=200)
        assert "blue ocean" in names(hits)
        assert len(hits) <= 200
        await spammer.close()

    play(tmp_path, story)


def test_hits_nobody_asked_for_and_stops_of_others_change_nothing(tmp_path: Path) -> None:
    async def story(crowd: Crowd) -> None:
        one, two = await crowd.supers(2)
        await crowd.child(one, files=[file(1, "blue ocean")])
        asker = await crowd.child(two)
        ears = await liar(crowd)
        two.known.answered(ears.address)
        await crowd.world.until(lambda: ears.address in two.believed, 100)

        def meddle(link: Link, frame: Frame) -> None:
            if frame.kind == FrameKind.QUERY:
                query = Query.read(frame.body)
                link.send(Stop(query.guid).encode().encode())
                link.send(Query(query.guid, 200, 0, ("other",)).encode().encode())  # the same guid
                link.send(Query(bytes(16), 255, 255, ("ocean",)).encode().encode())
                song = SharedFile(1, 5, "made up")
                found = (Found(Address("83.1.1.1", 80), bytes(16), False, None, (song,)),)
                link.send(Hits(b"n" * 16, 0, found).encode().encode())

        ears.says = meddle
        for _ in range(5):
            assert names(await asker.found("ocean")) == ["blue ocean"]
        assert two.serving.flood.counts.dropped["not asked"] >= 5
        await ears.close()

    play(tmp_path, story)


def test_poisoners_hide_nobody(tmp_path: Path) -> None:
    """Thirty children have two thousand files of everybody's words each; an honest one has one."""

    async def story(crowd: Crowd) -> None:
        one, two = await crowd.supers(2)
        asker = await crowd.child(two)
        bad = [await liar(crowd, number) for number in range(1, 31)]
        for each in bad:
            link = await each.dial(one.address, Want.PARENT)
            files = [file(n, f"blue ocean of the mp3 {n}") for n in range(2000)]
            for share in Share.pack(files):
                link.send(share.encode().encode())
            await asyncio.sleep(0.1)
        good = await crowd.child(one, files=[file(1, "blue ocean of the mp3")])
        await asyncio.sleep(5)
        assert one.serving.index.files == 60_001
        for words in ("ocean", "blue ocean", "the mp3 of ocean"):
            hits, _ = await asker.asked(words, limit=200)
            assert good.address in {hit.host for hit in hits}, words
        for each in bad:
            await each.close()
        await asyncio.sleep(1)
        assert one.serving.index.files == 1

    play(tmp_path, story)


def test_registrations_that_flap_are_bounded(tmp_path: Path) -> None:
    """A hundred a second of one host, and of fifty hosts."""

    async def story(crowd: Crowd) -> None:
        one, two = await crowd.supers(2)
        kid = await crowd.child(one, files=[file(1, "blue ocean")])
        asker = await crowd.child(two)
        share = next(Share.pack([file(n, f"ocean {n}") for n in range(100)])).encode().encode()
        taken = 0

        async def flap(each: Liar) -> None:
            nonlocal taken
            with suppress(NetworkError):
                link = await each.dial(one.address, Want.PARENT)
                taken += 1
                link.send(share, Unshare(()).encode().encode(), share)
                await asyncio.sleep(0.05)
                link.close()

        single = await liar(crowd)
        for _ in range(1000):
            await flap(single)
            await asyncio.sleep(0.01)
        assert taken <= 20 + 20 * 100 / 60
        many = [await liar(crowd, number) for number in range(2, 52)]
        for number in range(1000):
            await flap(many[number % 50])
        await asyncio.sleep(1)
        assert one.serving.index.files == 1
        assert len(one.serving.family) == 1
        assert kid.member.parent is not None
        assert names(await asker.found("ocean")) == ["blue ocean"]
        for each in [single, *many]:
            await each.close()

    play(tmp_path, story)


def test_sharing_anew_for_ever_ends_the_link(tmp_path: Path) -> None:
    """Two thousand files in each frame, as fast as it goes: their number counts."""

    async def story(crowd: Crowd) -> None:
        (one,) = await crowd.supers(1)
        bad = await liar(crowd)
        link = await bad.dial(one.address, Want.PARENT)
        share = Share(tuple(SharedFile(n, 1, "a") for n in range(2000))).encode().encode()
        sent = 0
        while not link.over and sent < 1000:
            link.send(share)
            sent += 1
            await asyncio.sleep(0.1)
        assert sent <= SHARES[1] / 2000 + 10
        assert SHARES[1] >= PER_FRAME * 1000  # small ones have their time
        await bad.close()

    play(tmp_path, story)


def test_a_liar_that_is_welcomed_says_nothing_of_us(tmp_path: Path) -> None:
    """A link that is not tested yet is asked nothing, and may ask as a child does."""

    async def story(crowd: Crowd) -> None:
        (one,) = await crowd.supers(1)
        await crowd.child(one, files=[file(1, "blue ocean")])
        new = await liar(crowd)
        new.tested = False
        link = await new.dial(one.address, Want.LINK)
        for number in range(300):
            guid = number.to_bytes(16, "big")
            link.send(Query(guid, 7, 0, ("ocean",)).encode().encode())
        await asyncio.sleep(1)
        assert len(new.heard(FrameKind.HITS)) <= 32
        await one.found("ocean")
        assert not new.heard(FrameKind.QUERY)
        await new.close()

    play(tmp_path, story)


def test_questions_that_cost_much_are_worked_on_as_long_as_there_is_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two poisoners make each question for two common words as dear as one can be; ten ask."""
    rate, saved = 10_000.0, 40_000.0
    monkeypatch.setattr(flooding, "LOOKS", (rate, saved))

    async def story(crowd: Crowd) -> None:
        (one,) = await crowd.supers(1)
        bad = [await liar(crowd, number) for number in range(1, 13)]
        for each in bad[:2]:
            link = await each.dial(one.address, Want.PARENT)
            files = [file(n, "blue a" if n % 2 else "ocean a") for n in range(10_000)]
            for share in Share.pack(files):
                link.send(share.encode().encode())
        await asyncio.sleep(2)
        good = await crowd.child(one, files=[file(1, "blue ocean")])
        links = [await each.dial(one.address, Want.PARENT) for each in bad[2:]]
        await asyncio.sleep(30)
        begun, before = crowd.world.loop.time(), one.serving.index.looks
        dice = crowd.world.dice
        for _ in range(40):
            for link in links:
                link.send(Query(dice.randbytes(16), 7, 0, ("blue", "ocean")).encode().encode())
            await asyncio.sleep(0.5)
        seconds = crowd.world.loop.time() - begun
        few = 40 * len(links) * (FEW_LOOKS + 10)
        assert one.serving.index.looks - before <= saved + seconds * rate + few
        asker = await crowd.child(one)
        for _ in range(3):
            if good.address in {hit.host for hit in await asker.found("blue ocean")}:
                break
        else:
            raise AssertionError("it is not found any more")
        for each in bad:
            await each.close()

    play(tmp_path, story)
