"""Microphone and loudspeaker, where there are any: by the library `sounddevice`, the extra `audio`.

The only importer of it. PortAudio calls from a thread of its own, every 20 ms; frames wait in between, a few
at most: whatever is older would be heard late for the rest of the call.
"""

from collections import deque
from collections.abc import Callable
from typing import Any

from p2pswarm.calling.voice import FRAME_BYTES, RATE, SAMPLES
from p2pswarm.errors import HostError

__all__ = ["Loudspeaker", "Microphone"]

_WAITING = 5  # frames
_SILENCE = bytes(FRAME_BYTES)


def _begun(direction: str, called: Callable[..., None]) -> Any:
    """A stream that runs. Raises HostError."""
    try:
        import sounddevice
    except (ImportError, OSError) as error:  # the latter without PortAudio
        raise HostError("no sound here: install p2pswarm[audio] and libportaudio2") from error
    make = getattr(sounddevice, f"Raw{direction}Stream")
    try:
        stream = make(RATE, SAMPLES, channels=1, dtype="int16", callback=called)
        stream.start()
    except (sounddevice.PortAudioError, ValueError) as error:
        raise HostError(f"no {'microphone' if direction == 'Input' else 'loudspeaker'}") from error
    return stream


class Microphone:
    """A source of voice that never ends. Raises HostError."""

    def __init__(self) -> None:
        self._frames: deque[bytes] = deque(maxlen=_WAITING)
        self._stream = _begun("Input", self._came)

    def _came(self, data: Any, *_: object) -> None:
        self._frames.append(bytes(data))

    def frame(self) -> bytes | None:
        return self._frames.popleft() if self._frames else _SILENCE

    def close(self) -> None:
        self._stream.close()


class Loudspeaker:
    """A sink of voice. Raises HostError."""

    def __init__(self) -> None:
        self._frames: deque[bytes] = deque(maxlen=_WAITING)
        self._stream = _begun("Output", self._wanted)

    def _wanted(self, data: Any, *_: object) -> None:
        data[:] = self._frames.popleft() if self._frames else _SILENCE

    def play(self, number: int, frame: bytes) -> None:
        self._frames.append(frame)

    def close(self) -> None:
        self._stream.close()
