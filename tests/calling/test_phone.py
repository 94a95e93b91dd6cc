"""A name is called: who answers is who was meant, whatever the way, and both know how it goes."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from p2pswarm.calling.call import Call
from p2pswarm.calling.phone import MOST_OF_ONE, MOST_RINGING, RING_TIME, Incoming
from p2pswarm.calling.wav import WavReader, WavWriter
from p2pswarm.errors import (
    DeclinedError,
    FormatError,
    HostError,
    LocalProtocolError,
    NetworkError,
    RemoteProtocolError,
    UnknownNameError,
)
from p2pswarm.formats.signing import SigningKey
from p2pswarm.lab.loop import VirtualLoop, play
from p2pswarm.overlay.people.ringing import Rung
from p2pswarm.reach.offers import Candidates, Offer, new_session
from tests.support.phones import HOME, Exchange, Link, Stranger
from tests.support.sound import likeness, read_wav, speech, write_wav

Calls = tuple[Call, Call]


def told(
    folder: Path, story: Callable[[Exchange, VirtualLoop], Awaitable[None]], *, udp: bool = True
) -> None:
    async def begin(loop: VirtualLoop) -> None:
        await story(Exchange(loop, folder, udp=udp), loop)

    play(begin)


@asynccontextmanager
async def called(exchange: Exchange, want: str = "call") -> AsyncIterator[Calls]:
    """Alice calls Bob, who answers."""
    came: asyncio.Queue[Incoming] = asyncio.Queue()
    exchange.bob.phone.on_incoming = came.put_nowait

    async def answer() -> Call:
        call = await exchange.bob.phone.answer(await came.get())
        await call.open()
        return call

    async def ring() -> Call:
        call = await exchange.alice.phone.call("bob", want)
        await call.open()
        return call

    near, far = await asyncio.gather(ring(), answer())
    try:
        yield near, far
    finally:
        for call in (near, far):
            await call.close()
            await call.close()


def test_both_know_who_the_other_one_is_and_what_is_wanted(tmp_path: Path) -> None:
    async def story(exchange: Exchange, loop: VirtualLoop) -> None:
        async with called(exchange, "pipe") as (near, far):
            assert (near.other, far.other) == ("bob", "alice")
            assert near.wants == far.wants == "pipe"
            assert str(near.path) == "direct, 60 ms"
            heard: list[str] = []
            near.say("good evening")
            await asyncio.sleep(1)
            assert not near._control.settled  # nobody listens yet
            far.listen(heard.append)
            near.say("ü" * 2000)
            with pytest.raises(LocalProtocolError):
                near.say("ü" * 2001)
            await near.hang_up("bye")
            assert heard == ["good evening", "ü" * 2000]
            assert await far.ended == "bye"
        assert exchange.alice.meetings[0].closes

    told(tmp_path, story)


@pytest.mark.parametrize("udp", [True, False])
def test_a_voice_through_a_whole_call(tmp_path: Path, udp: bool) -> None:
    write_wav(tmp_path / "in.wav", speech(4.0))

    async def story(exchange: Exchange, loop: VirtualLoop) -> None:
        source, sink = WavReader(tmp_path / "in.wav"), WavWriter(tmp_path / "out.wav")
        async with called(exchange) as (near, far):
            ours, theirs = near.talk(source, None), far.talk(None, sink)
            talking = [asyncio.create_task(each.run()) for each in (ours, theirs)]
            await ours.said.wait()
            await asyncio.sleep(1)
            whole = theirs.counts.whole(loop.now)
            assert (whole.heard, whole.lost) == (200, 0)
            assert whole.delay == pytest.approx(0.11, abs=0.03)
            for each in talking:
                each.cancel()
            await asyncio.gather(*talking, return_exceptions=True)
        source.close()
        sink.close()
        assert (exchange.links[0].sent > 200) is udp

    told(tmp_path, story, udp=udp)
    assert likeness(speech(4.0), read_wav(tmp_path / "out.wav"))[0] > 0.97


def test_a_call_moves_to_another_path_while_both_talk(tmp_path: Path) -> None:
    write_wav(tmp_path / "in.wav", speech(6.0))

    async def story(exchange: Exchange, loop: VirtualLoop) -> None:
        source, sink = WavReader(tmp_path / "in.wav"), WavWriter(tmp_path / "out.wav")
        async with called(exchange) as (near, far):
            paths: list[object] = []
            near.on_path = paths.append
            ours, theirs = near.talk(source, None), far.talk(None, sink)
            talking = [asyncio.create_task(each.run()) for each in (ours, theirs)]
            await asyncio.sleep(2)
            exchange.links[0].loss = exchange.links[1].loss = 1.0  # the relay dies
            exchange.ways.cut()
            await asyncio.sleep(0.5)
            links = Link(loop), Link(loop)
            links[0].other, links[1].other = links[1], links[0]
            for someone, link in zip((exchange.alice, exchange.bob), links, strict=True):
                someone.meetings[0].datagrams = link
                someone.meetings[0].changed()
            await ours.said.wait()
            far.listen(lambda text: None)
            near.say("still there?")
            await asyncio.wait_for(near.line.settle(), 2)
            assert len(paths) == 1
            assert 0 < theirs.counts.whole(loop.now).lost < 60
            for each in talking:
                each.cancel()
            await asyncio.gather(*talking, return_exceptions=True)
        source.close()
        sink.close()

    told(tmp_path, story)
    assert likeness(speech(6.0), read_wav(tmp_path / "out.wav"))[0] > 0.85


def test_datagrams_of_strangers_are_passed_over(tmp_path: Path) -> None:
    async def story(exchange: Exchange, loop: VirtualLoop) -> None:
        async with called(exchange) as (_, far):
            talk = far.talk(None, None)
            for noise in (b"", b"P2PM", b"P2PM" + bytes(100)):
                exchange.links[1].on_datagram(noise)
            assert talk.counts.whole(loop.now + 1).rate_in == 0

    told(tmp_path, story)


# Who does not come to the telephone, and who should not


def test_nobody_listens_nobody_answers_nobody_has_that_name(tmp_path: Path) -> None:
    async def story(exchange: Exchange, loop: VirtualLoop) -> None:
        with pytest.raises(UnknownNameError):
            await exchange.alice.phone.call("carol", "call")
        with pytest.raises(DeclinedError, match="busy"):
            await exchange.alice.phone.call("bob", "call")
        exchange.bob.phone.on_incoming = lambda incoming: exchange.bob.phone.decline(incoming)
        with pytest.raises(DeclinedError, match="refused"):
            await exchange.alice.phone.call("bob", "call")
        exchange.bob.phone.on_incoming = lambda incoming: None
        with pytest.raises(DeclinedError) as caught:
            await exchange.alice.phone.call("bob", "call")
        assert caught.value.reason in ("no-answer", "refused")
        assert 30 <= loop.now < 31
        await asyncio.sleep(1)
        exchange.bob.phone.close()

    told(tmp_path, story)


def test_without_a_name_nobody_is_called(tmp_path: Path) -> None:
    async def story(exchange: Exchange, loop: VirtualLoop) -> None:
        exchange.alice.identity.certificate = None
        with pytest.raises(HostError, match="p2pswarm register"):
            await exchange.alice.phone.call("bob", "call")

    told(tmp_path, story)


def test_nobody_calls_himself(tmp_path: Path) -> None:
    async def story(exchange: Exchange, loop: VirtualLoop) -> None:
        with pytest.raises(HostError, match="alice is you"):
            await exchange.alice.phone.call("alice", "call")

    told(tmp_path, story)


@pytest.mark.parametrize(("whose", "why"), [("mallory", "not bob's"), ("bob", "wrong signature")])
def test_an_answer_of_somebody_else_is_refused(tmp_path: Path, whose: str, why: str) -> None:
    """With his own certificate, or with Bob's, whose key he has not."""

    async def story(exchange: Exchange, loop: VirtualLoop) -> None:
        mallory = SigningKey.new()
        own = exchange.certify("mallory", mallory.public)
        certificate = own if whose == "mallory" else exchange.bob.certificate

        async def ring(name: str, offer: bytes, session: bytes) -> bytes:
            to = exchange.alice.identity.key.public
            return Offer.new(
                mallory, certificate.der, to, Candidates(), (), session=session, now=exchange.wall()
            ).encode()

        exchange.ring = ring  # type: ignore[method-assign]
        with pytest.raises(FormatError, match=why):
            await exchange.alice.phone.call("bob", "call")
        assert exchange.alice.meetings == []

    told(tmp_path, story)


def test_somebody_else_at_the_end_of_the_way_hears_nothing(tmp_path: Path) -> None:
    async def story(exchange: Exchange, loop: VirtualLoop) -> None:
        mallory = SigningKey.new()
        wrong = exchange.certify("mallory", mallory.public)
        bob = exchange.bob.identity
        heard: list[str] = []

        async def answer(incoming: Incoming) -> None:
            call = await exchange.bob.phone.answer(incoming)
            call.listen(heard.append)
            # Whoever sits on the way takes the place of Bob, with a certificate that is true, but his own.
            (bob.folder / "certificate.pem").write_bytes(wrong.pem)
            (bob.folder / "key.pem").write_bytes(_pem(mallory))
            with pytest.raises(NetworkError):
                await call.open()
            await call.close()

        answering: list[asyncio.Task[None]] = []
        exchange.bob.phone.on_incoming = lambda incoming: answering.append(
            asyncio.create_task(answer(incoming))
        )
        call = await exchange.alice.phone.call("bob", "call")
        call.say("a secret")
        with pytest.raises(NetworkError, match="no way leads to bob"):
            await call.open()
        await call.close()
        await asyncio.gather(*answering)
        assert heard == []

    told(tmp_path, story)


def _pem(key: SigningKey) -> bytes:
    from p2pswarm.identity import _to_pem

    return _to_pem(key)


@pytest.mark.parametrize(
    "what", ["noise", "expired", "for another", "unsigned", "other session", "for nothing"]
)
def test_a_ring_that_is_not_true_does_not_ring(tmp_path: Path, what: str) -> None:
    async def story(exchange: Exchange, loop: VirtualLoop) -> None:
        key, session = SigningKey.new(), new_session()
        certificate = exchange.certify("carol", key.public)
        if what == "expired":
            certificate = exchange.issuer.issue("carol", key.public, 9, 0, 1000)
        to = bytes(32) if what == "for another" else exchange.bob.identity.key.public
        signer = SigningKey.new() if what == "unsigned" else key
        offer = Offer.new(
            signer,
            certificate.der,
            to,
            Candidates(),
            (),
            session=session,
            now=exchange.wall(),
            want="" if what == "for nothing" else "call",
        ).encode()
        data = b"\0" * 200 if what == "noise" else offer
        rings: list[Incoming] = []
        exchange.bob.phone.on_incoming = rings.append
        declined: list[str] = []
        session = bytes(16) if what == "other session" else session
        exchange.bob.on_ring(Rung(session, data, HOME, lambda answer: None, declined.append))
        assert declined == ["refused"]
        assert rings == []

    told(tmp_path, story)


def test_few_ring_at_a_time_and_one_alone_not_all_of_them(tmp_path: Path) -> None:
    async def story(exchange: Exchange, loop: VirtualLoop) -> None:
        phone, rings = exchange.bob.phone, list[Incoming]()
        phone.on_incoming = rings.append
        strangers = [Stranger(exchange, f"stranger{n}") for n in range(MOST_RINGING)]
        for _ in range(MOST_OF_ONE + 1):
            strangers[0].ring()
        assert strangers[0].declined == ["too-often"]
        for stranger in strangers[1:]:
            stranger.ring()
        assert len(rings) == MOST_RINGING
        assert strangers[-1].declined == ["busy"]
        await asyncio.sleep(RING_TIME + 1)
        assert phone._ringing == {}
        assert all(each.over.is_set() for each in rings)

    told(tmp_path, story)


def test_who_rings_again_and_again_is_not_heard_for_a_while(tmp_path: Path) -> None:
    async def story(exchange: Exchange, loop: VirtualLoop) -> None:
        phone = exchange.bob.phone
        phone.on_incoming = phone.decline
        stranger, other = Stranger(exchange, "mallory"), Stranger(exchange, "carol")
        for _ in range(20):
            stranger.ring()
        other.ring()
        assert stranger.declined == ["refused"] * 6 + ["too-often"] * 14
        assert other.declined == ["refused"]
        await asyncio.sleep(11)
        stranger.ring()
        assert stranger.declined[-1] == "refused"

    told(tmp_path, story)


def test_who_gives_up_rings_no_longer(tmp_path: Path) -> None:
    async def story(exchange: Exchange, loop: VirtualLoop) -> None:
        rings: list[Incoming] = []
        exchange.bob.phone.on_incoming = rings.append
        stranger = Stranger(exchange, "mallory")
        first, second = stranger.ring(), stranger.ring()
        exchange.bob.phone.decline(rings[1])
        first.cancel()
        second.cancel()
        assert [each.over.is_set() for each in rings] == [True, True]
        assert exchange.bob.phone._ringing == {}
        exchange.bob.phone.decline(rings[0])
        assert stranger.declined == ["refused"]  # who gave up hears nothing

    told(tmp_path, story)


def test_who_rings_for_one_thing_does_not_get_another(tmp_path: Path) -> None:
    async def story(exchange: Exchange, loop: VirtualLoop) -> None:
        came: asyncio.Queue[Incoming] = asyncio.Queue()
        exchange.bob.phone.on_incoming = came.put_nowait

        async def answer() -> None:
            incoming = await came.get()
            assert incoming.want == "message"
            call = await exchange.bob.phone.answer(incoming)
            try:
                with pytest.raises(RemoteProtocolError, match="rang for message, and wants call"):
                    await call.open()
            finally:
                await call.hang_up()

        answering = asyncio.create_task(answer())
        call = await exchange.alice.phone.call("bob", "message")
        call._control.hello = replace(call._control.hello, want="call")
        await call.open()
        await answering
        await call.close()

    told(tmp_path, story)
