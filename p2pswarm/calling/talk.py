"""Voice both ways: what is said is encoded and sent each 20 ms, what comes is put in order and played.

A source has a frame when it is asked for one, and none when it has come to its end; a sink plays what it is
given. Both may be missing: then nothing is said or played, but counted all the same.

The one hard thing: a loop that was held up comes late. It makes up for that, but hears what came meanwhile
before it takes a frame for lost; and after a second it gives the time up.
"""

import asyncio
from collections.abc import Callable
from typing import Protocol

from p2pswarm.calling.jitter import FRAME, JitterBuffer, Made, Played
from p2pswarm.calling.statistics import Counts, Quality
from p2pswarm.calling.voice import VoiceDecoder, VoiceEncoder
from p2pswarm.errors import RemoteProtocolError
from p2pswarm.wire.calling.media import Report, Voice

__all__ = ["Sink", "Source", "Talk"]

GIVE_UP = 1.0  # seconds behind
REPORT_EVERY = 0.5
TOLD_EVERY = 2  # reports
_FORGET = 0.95  # of the loss that is expected, with each report without any


class Source(Protocol):
    """A microphone or a file."""

    def frame(self) -> bytes | None:
        """20 ms of 48 kHz, one channel of 16 bits; None at the end."""


class Sink(Protocol):
    """A loudspeaker or a file."""

    def play(self, number: int, frame: bytes) -> None:
        """The other side's frame of this number."""


class Talk:
    """Raises HostError when there is a source or sink and no libopus."""

    def __init__(
        self,
        source: Source | None,
        sink: Sink | None,
        send: Callable[[Voice | Report], None],
        told: Callable[[Quality], None] = lambda quality: None,
    ) -> None:
        """`told` hears each second how good it was."""
        self._loop = asyncio.get_running_loop()
        self._source, self._sink, self._send, self._told = source, sink, send, told
        self._encoder = None if source is None else VoiceEncoder()
        self._decoder = None if sink is None else VoiceDecoder()
        self._buffer = JitterBuffer()
        self._expected = 0.0  # loss there
        self._last = self._loop.time()  # when voice came
        self.counts = Counts(self._buffer, self._loop.time())
        self.said = asyncio.Event()
        """All of the source was said."""

    def got(self, message: Voice | Report) -> None:
        now = self._loop.time()
        match message:
            case Voice():
                self.counts.came(len(message.opus))
                self._buffer.put(message, now)
                self._last = now
            case Report():
                self.counts.got_report(message, now)
                self._expect(self.counts.loss_there_now)

    @property
    def quiet_for(self) -> float:
        """Seconds without voice of the other side."""
        return self._loop.time() - self._last

    async def run(self) -> None:
        """Until it is cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._speak())
            tasks.create_task(self._listen())
            tasks.create_task(self._tell())

    async def _speak(self) -> None:
        pace, number = _Pace(self._loop), 0
        while self._source is not None and self._encoder is not None:
            frame = self._source.frame()
            if frame is None:
                break
            opus = self._encoder.encode(frame)
            self.counts.said(len(opus))
            self._send(Voice(number, opus))
            number += 1
            await pace.next()
        self.said.set()

    async def _listen(self) -> None:
        pace = _Pace(self._loop)
        while True:
            played = self._buffer.take(self._loop.time())
            if played is not None and self._sink is not None:
                self._sink.play(played.number, self._sound(played))
            await pace.next()

    async def _tell(self) -> None:
        while True:
            for _ in range(TOLD_EVERY):
                self._send(self.counts.report(self._loop.time()))
                await asyncio.sleep(REPORT_EVERY)
            self._told(self.counts.quality(self._loop.time()))

    def _sound(self, played: Played) -> bytes:
        assert self._decoder is not None
        opus = played.opus
        try:
            if played.made is Made.HEARD and opus is not None:
                return self._decoder.decode(opus)
            return self._decoder.missing(opus)
        except RemoteProtocolError:
            return self._decoder.missing(None)

    def _expect(self, loss: float) -> None:
        """Loss is believed at once and forgotten slowly."""
        self._expected = max(loss, self._expected * _FORGET)
        if self._encoder is not None:
            self._encoder.expect_loss(self._expected)


class _Pace:
    """Every 20 ms, on average: a turn that comes late does not move those after it."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._due = loop.time()

    async def next(self) -> None:
        self._due += FRAME
        behind = self._loop.time() - self._due
        if behind > GIVE_UP:
            self._due += behind
        await asyncio.sleep(max(-behind, 0.0))
