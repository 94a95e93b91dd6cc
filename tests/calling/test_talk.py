"""Twenty seconds of voice over a virtual link: what is heard is what was said, though datagrams are lost."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from p2pswarm.calling.media import Media
from p2pswarm.calling.sealing import media_keys
from p2pswarm.calling.talk import Talk
from p2pswarm.calling.voice import FRAME_BYTES
from p2pswarm.calling.wav import WavReader, WavWriter
from p2pswarm.lab.loop import VirtualLoop, play
from p2pswarm.wire.calling.frames import CallHello
from tests.support.phones import Link
from tests.support.sound import likeness, read_wav, speech, write_wav

if TYPE_CHECKING:
    from p2pswarm.calling.statistics import Quality

SESSION = b"0123456789abcdef"
OUT, IN = media_keys(CallHello(SESSION, "call", b"a" * 32), CallHello(SESSION, "call", b"b" * 32))


class Side:
    def __init__(self, loop: VirtualLoop, link: Link | None, keys: tuple[bytes, bytes]) -> None:
        self.loop = loop
        self.told: list[Quality] = []
        self.other: Side
        self.media = Media(keys, SESSION, self.mention, lambda message: self.talk.got(message))
        if link is not None:
            self.media.datagrams = link
            link.on_datagram = lambda data: self.media.got_datagram(data, loop.time())

    def mention(self, body: bytes) -> None:
        self.loop.call_later(0.05, lambda: self.other.media.got_frame(body))

    async def run(self, source: WavReader | None, sink: WavWriter | None, seconds: float) -> None:
        self.talk = Talk(
            source,
            sink,
            lambda message: self.media.send(message, self.loop.time()),
            self.told.append,
        )
        try:
            async with asyncio.timeout(seconds):
                await self.talk.run()
        except TimeoutError:
            pass


def talk(
    folder: Path, seconds: float, *, loss: float, uneven: float = 0.0, udp: bool = True
) -> tuple[float, Side, Side]:
    """One speaks, the other one listens: the likeness, and both."""
    write_wav(folder / "in.wav", speech(seconds))
    source, sink = WavReader(folder / "in.wav"), WavWriter(folder / "out.wav")

    async def story(loop: VirtualLoop) -> tuple[Side, Side]:
        links = [Link(loop, uneven=uneven, loss=loss) for _ in range(2)] if udp else [None, None]
        if links[0] is not None and links[1] is not None:
            links[0].other, links[1].other = links[1], links[0]
        near, far = Side(loop, links[0], (OUT, IN)), Side(loop, links[1], (IN, OUT))
        near.other, far.other = far, near
        await asyncio.gather(near.run(source, None, seconds + 1), far.run(None, sink, seconds + 1))
        return near, far

    near, far = play(story)
    source.close()
    sink.close()
    return likeness(speech(seconds), read_wav(folder / "out.wav"))[0], near, far


def test_without_loss_twenty_seconds_are_heard_as_they_were_said(tmp_path: Path) -> None:
    alike, near, far = talk(tmp_path, 20.0, loss=0.0)
    assert alike > 0.98
    whole = far.talk.counts.whole(21.0)
    assert (whole.heard, whole.lost) == (1000, 0)
    assert whole.delay == pytest.approx(0.02 + 0.03 + 0.06, abs=0.03)
    assert whole.rtt == pytest.approx(0.06, abs=0.005)
    assert 30_000 < far.told[5].rate_in < 60_000
    assert near.talk.said.is_set()


def test_a_tenth_of_all_datagrams_lost_is_hardly_heard(tmp_path: Path) -> None:
    alike, near, far = talk(tmp_path, 20.0, loss=0.1)
    assert alike > 0.9
    whole = far.talk.counts.whole(21.0)
    assert 0.06 < whole.loss < 0.14
    assert whole.heard + whole.lost == pytest.approx(1000, abs=5)
    assert 0.05 < near.talk.counts.whole(21.0).loss_there < 0.15


def test_an_uneven_way_costs_delay_and_not_voice(tmp_path: Path) -> None:
    alike, _, far = talk(tmp_path, 8.0, loss=0.0, uneven=0.12)
    whole = far.talk.counts.whole(9.0)
    assert alike > 0.9
    assert whole.loss < 0.08
    assert 0.1 < (whole.delay or 0) < 0.3


def test_without_datagrams_it_goes_through_the_stream(tmp_path: Path) -> None:
    alike, _, far = talk(tmp_path, 3.0, loss=0.0, udp=False)
    assert alike > 0.97
    assert far.talk.counts.whole(4.0).lost == 0


def test_where_no_datagram_arrives_the_stream_helps_out(tmp_path: Path) -> None:
    alike, near, _ = talk(tmp_path, 3.0, loss=1.0)
    assert alike > 0.97
    assert near.media.datagrams is not None


class Timed:
    """A mouth and an ear that note when each frame passes."""

    def __init__(self, loop: VirtualLoop, frames: int) -> None:
        self.said: list[float] = []
        self.heard: dict[int, float] = {}
        self._loop, self._frames = loop, frames

    def frame(self) -> bytes | None:
        self.said.append(self._loop.now)
        return bytes(FRAME_BYTES) if len(self.said) <= self._frames else None

    def play(self, number: int, frame: bytes) -> None:
        self.heard[number] = self._loop.now


def test_the_delay_that_is_told_is_the_one_that_is_there() -> None:
    async def story(loop: VirtualLoop) -> None:
        links = Link(loop, 0.08, 0.05), Link(loop, 0.08, 0.05)
        links[0].other, links[1].other = links[1], links[0]
        near, far = Side(loop, links[0], (OUT, IN)), Side(loop, links[1], (IN, OUT))
        near.other, far.other = far, near
        timed: Any = Timed(loop, 400)
        await asyncio.gather(near.run(timed, None, 9), far.run(None, timed, 9))
        last = sorted(timed.heard)[-60:-20]
        true = sum(timed.heard[n] - timed.said[n] for n in last) / len(last) + 0.02
        assert far.talk.counts.whole(9.0).delay == pytest.approx(true, abs=0.04)

    play(story)
