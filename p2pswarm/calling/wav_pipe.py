"""WAV from a pipe and into one: `--in <(sox talk.mp3 -t wav -)`.

The one hard thing: a pipe may be silent for as long as it likes, and be full. So it is read in a thread that
nobody waits for, and nothing of it is silence; into it goes what it takes, as with a loudspeaker.
"""

import os
import stat
import struct
import threading
from contextlib import closing
from pathlib import Path
from queue import Empty, Full, Queue

from p2pswarm.calling.voice import FRAME_BYTES, RATE
from p2pswarm.calling.wav import WavReader, WavWriter
from p2pswarm.errors import HostError

__all__ = ["WavFromPipe", "WavToPipe", "wav_sink", "wav_source"]

_AHEAD = 50  # frames: a second
_LOOK = 0.5  # seconds between two looks whether the call is over
_SILENCE = bytes(FRAME_BYTES)
_UNKNOWN = b"\xff" * 4  # how much there will be
_HEAD = b"RIFF%bWAVEfmt %bdata%b" % (
    _UNKNOWN,
    struct.pack("<IHHIIHH", 16, 1, 1, RATE, 2 * RATE, 2, 16),
    _UNKNOWN,
)


def wav_source(path: Path) -> "WavReader | WavFromPipe":
    """Raises HostError for a file that is no WAV."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return WavReader(path)  # which says what is wrong
    return WavReader(path) if stat.S_ISREG(mode) or stat.S_ISDIR(mode) else WavFromPipe(path)


def wav_sink(path: Path) -> "WavWriter | WavToPipe":
    """Raises OSError for a file that cannot be written."""
    return WavToPipe(path) if path.is_fifo() else WavWriter(path)


class WavFromPipe:
    """It is opened when the first frame is asked for; `frame` raises HostError for what is no WAV."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._frames = Queue[bytes | HostError | None](_AHEAD)
        self._reading: threading.Thread | None = None
        self._over = False

    def frame(self) -> bytes | None:
        if self._reading is None:
            self._reading = threading.Thread(target=self._read, name="wav", daemon=True)
            self._reading.start()
        try:
            frame = self._frames.get_nowait()
        except Empty:
            return _SILENCE
        if isinstance(frame, HostError):
            raise frame
        return frame

    def close(self) -> None:
        self._over = True

    def _read(self) -> None:
        try:
            with closing(WavReader(self._path)) as reader:
                while self._put(frame := reader.frame()) and frame is not None:
                    pass
        except HostError as error:
            self._put(error)
        except OSError as error:
            self._put(HostError(f"{self._path} cannot be read: {error.strerror}"))

    def _put(self, frame: bytes | HostError | None) -> bool:
        """Whether somebody still wants it."""
        while not self._over:
            try:
                self._frames.put(frame, timeout=_LOOK)
            except Full:
                continue
            return True
        return False


class WavToPipe:
    """Opened with the first frame; `play` raises HostError where nobody reads."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._pipe: int | None = None
        self._begun = False  # the head went; nothing makes sense before it

    def play(self, number: int, frame: bytes) -> None:
        """What is late is not made up for, as in a loudspeaker."""
        try:
            if self._pipe is None:
                self._pipe = os.open(self._path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            if not self._begun:
                os.write(self._pipe, _HEAD)
                self._begun = True
            os.write(self._pipe, frame)  # less than PIPE_BUF, so it goes whole or not at all
        except BlockingIOError:
            return
        except OSError as error:
            raise HostError(f"nobody reads {self._path}: {error.strerror}") from error

    def close(self) -> None:
        if self._pipe is not None:
            os.close(self._pipe)
