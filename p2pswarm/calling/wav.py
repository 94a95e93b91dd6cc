"""WAV files instead of a microphone and a loudspeaker.

A file of any rate, width and number of channels is heard as one channel of 48 kHz: channels are averaged, and
between two samples there is a straight line. What is recorded lies where the other side said it lies: a pause
that the jitter buffer made is heard, but in a recording it would only be a shift.

The one hard thing: numbers of frames come from strangers, and none of them may make the file grow faster than
time goes.
"""

import wave
from array import array
from pathlib import Path
from sys import byteorder

from p2pswarm.calling.voice import FRAME_BYTES, RATE, SAMPLES
from p2pswarm.errors import HostError

__all__ = ["WavReader", "WavWriter"]

_LONGEST_GAP = 250  # frames of silence that a jump of numbers may make: five seconds
_WIDTHS = {1: "B", 2: "h", 4: "i"}


class WavReader:
    """Raises HostError for what is no such file."""

    def __init__(self, path: Path) -> None:
        try:
            self._file = wave.open(str(path), "rb")  # noqa: SIM115 — `close` does
        except (wave.Error, EOFError, OSError) as error:
            reason = getattr(error, "strerror", None) or error
            raise HostError(f"{path} cannot be read as WAV: {reason}") from error
        self._channels, self._width = self._file.getnchannels(), self._file.getsampwidth()
        self._step = self._file.getframerate() / RATE  # source samples in one of ours
        if not 1 <= self._width <= 4 or not 0 < self._channels <= 64 or self._step <= 0:
            raise HostError(f"{path} cannot be read as WAV: {self._width} bytes in a sample")
        self._at = 0.0  # of the next of ours, counted from the first in `_left`
        self._left: list[int] = []

    def frame(self) -> bytes | None:
        """The next 20 ms, the last with silence behind it; None when there is no more."""
        if self._step == 1.0 and self._channels == 1 and self._width == 2:
            data = self._file.readframes(SAMPLES)
            return data.ljust(FRAME_BYTES, b"\0") if data else None
        return self._resampled()

    def _resampled(self) -> bytes | None:
        need = int(self._at + self._step * SAMPLES) + 2 - len(self._left)
        came = self._mono(self._file.readframes(max(need, 0)))
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

    def _mono(self, data: bytes) -> list[int]:
        """Samples of 16 bits, the channels averaged."""
        samples = self._samples(data)
        n = self._channels
        return [sum(samples[i : i + n]) // n for i in range(0, len(samples) - n + 1, n)]

    def _samples(self, data: bytes) -> list[int]:
        width = self._width
        if width == 3:
            return [
                int.from_bytes(data[i + 1 : i + 3], "little", signed=True)
                for i in range(0, len(data) - 2, 3)
            ]
        samples = array(_WIDTHS[width], data[: len(data) // width * width])
        if byteorder == "big":
            samples.byteswap()
        if width == 1:
            return [(each - 128) << 8 for each in samples]
        return list(samples) if width == 2 else [each >> 16 for each in samples]

    def close(self) -> None:
        self._file.close()


class WavWriter:
    """Raises OSError."""

    def __init__(self, path: Path) -> None:
        self._raw = path.open("wb")
        self._file = wave.open(self._raw, "wb")  # noqa: SIM115 — `close` does
        self._file.setnchannels(1)
        self._file.setsampwidth(2)
        self._file.setframerate(RATE)
        self._next: int | None = None

    def play(self, number: int, frame: bytes) -> None:
        gap = 0 if self._next is None else number - self._next
        if -_LONGEST_GAP <= gap < 0:
            return  # a pause, which is only heard
        if 0 < gap <= _LONGEST_GAP:
            self._file.writeframes(bytes(gap * FRAME_BYTES))
        self._file.writeframes(frame)
        self._next = number + 1

    def close(self) -> None:
        self._file.close()
        self._raw.close()


def _bytes(samples: "array[int]") -> bytes:
    if byteorder == "big":
        samples.byteswap()
    return samples.tobytes()
