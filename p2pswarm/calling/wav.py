"""WAV files instead of a microphone and a loudspeaker.

A file of any rate, width and number of channels is heard as one channel of 48 kHz: channels are averaged, and
between two samples there is a straight line. What is recorded lies where the other side said it lies: a pause
that the jitter buffer made is heard, but in a recording it would only be a shift.

The one hard thing: numbers of frames come from strangers, and none of them may make the file grow faster than
time goes.
"""

import os
import wave
from array import array
from pathlib import Path
from sys import byteorder
from typing import BinaryIO

from p2pswarm.calling.voice import FRAME_BYTES, RATE, SAMPLES
from p2pswarm.errors import FormatError, HostError
from p2pswarm.formats.wav import Coding, read_head, samples_of

__all__ = ["WavReader", "WavWriter"]

_LONGEST_GAP = 250  # frames of silence that a jump of numbers may make: five seconds


class WavReader:
    """Raises HostError for what is no such file."""

    def __init__(self, path: Path) -> None:
        try:
            self._file: BinaryIO = path.open("rb")
        except OSError as error:
            raise HostError(f"{path} cannot be read as WAV: {error.strerror}") from error
        try:
            self._head = head = read_head(self._file.read)
        except (FormatError, OSError) as error:
            self._file.close()
            raise HostError(f"{path} cannot be read as WAV: {error}") from error
        self._unread = head.size  # bytes
        self._step = head.rate / RATE  # source samples in one of ours
        self._as_it_is = (head.coding, head.channels, head.width, head.rate) == (
            Coding.WHOLE,
            1,
            2,
            RATE,
        )
        self._at = 0.0  # of the next of ours, counted from the first in `_left`
        self._left: list[int] = []

    def frame(self) -> bytes | None:
        """The next 20 ms, the last with silence behind it; None when there is no more."""
        if self._as_it_is:
            data = self._read(SAMPLES)
            return data.ljust(FRAME_BYTES, b"\0") if data else None
        return self._resampled()

    def _resampled(self) -> bytes | None:
        need = int(self._at + self._step * SAMPLES) + 2 - len(self._left)
        came = self._mono(self._read(max(need, 0)))
        left, step, at = self._left + came, self._step, self._at
        if not came and len(left) < 2:
            self._left = []
            return None
        last = len(left) - 1
        out = array("h", bytes(FRAME_BYTES))
        for i in range(SAMPLES):
            whole = int(at)
            if whole >= last:
                break
            out[i] = round(left[whole] + (left[whole + 1] - left[whole]) * (at - whole))
            at += step
        self._left, self._at = left[int(at) :], at - int(at)
        return _bytes(out)

    def _read(self, samples: int) -> bytes:
        """So many of each channel, or as many as there are."""
        want = samples * self._head.channels * self._head.width
        if self._unread is not None:
            want = min(want, self._unread)
        data = self._file.read(want)
        if self._unread is not None:
            self._unread -= len(data)
        return data

    def _mono(self, data: bytes) -> list[int]:
        """The channels averaged."""
        samples, n = samples_of(data, self._head), self._head.channels
        if n == 1:
            return samples.tolist()
        return [sum(each) // n for each in zip(*[iter(samples)] * n, strict=False)]

    def close(self) -> None:
        self._file.close()


class WavWriter:
    """What is there already is replaced when there is something to hear, not before. Raises OSError."""

    def __init__(self, path: Path) -> None:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o666)
        self._raw = os.fdopen(descriptor, "wb")  # on a descriptor it cuts nothing off
        self._file: wave.Wave_write | None = None
        self._next: int | None = None

    def play(self, number: int, frame: bytes) -> None:
        file = self._begun()
        gap = 0 if self._next is None else number - self._next
        if -_LONGEST_GAP <= gap < 0:
            return  # a pause, which is only heard
        if 0 < gap <= _LONGEST_GAP:
            file.writeframes(bytes(gap * FRAME_BYTES))
        file.writeframes(frame)
        self._next = number + 1

    def close(self) -> None:
        try:
            if self._file is not None or not os.fstat(self._raw.fileno()).st_size:
                self._begun().close()
        finally:
            self._raw.close()

    def _begun(self) -> wave.Wave_write:
        if self._file is None:
            if os.fstat(self._raw.fileno()).st_size:
                self._raw.truncate()
            self._file = wave.open(self._raw, "wb")  # noqa: SIM115 — `close` does
            self._file.setnchannels(1)
            self._file.setsampwidth(2)
            self._file.setframerate(RATE)
        return self._file


def _bytes(samples: "array[int]") -> bytes:
    if byteorder == "big":
        samples.byteswap()
    return samples.tobytes()
