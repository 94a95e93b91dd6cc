"""Microphone and loudspeaker behind a PortAudio that is only played."""

import sys
from types import SimpleNamespace
from typing import Any

import pytest

from p2pswarm.calling.microphone import Loudspeaker, Microphone
from p2pswarm.calling.voice import FRAME_BYTES
from p2pswarm.errors import HostError


class Played:
    """A stream whose thread is the test."""

    def __init__(self, rate: int, block: int, **options: Any) -> None:
        assert (rate, block, options["channels"], options["dtype"]) == (48_000, 960, 1, "int16")
        self.call = options["callback"]
        self.runs = False

    def start(self) -> None:
        self.runs = True

    def close(self) -> None:
        self.runs = False


@pytest.fixture
def portaudio(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    module = SimpleNamespace(
        RawInputStream=Played, RawOutputStream=Played, PortAudioError=RuntimeError
    )
    monkeypatch.setitem(sys.modules, "sounddevice", module)
    return module


def test_what_is_said_is_heard_and_old_frames_are_not_kept(portaudio: SimpleNamespace) -> None:
    microphone = Microphone()
    assert microphone.frame() == bytes(FRAME_BYTES)
    for number in range(9):
        microphone._stream.call(bytes([number]) * FRAME_BYTES, 960, None, None)
    assert [(microphone.frame() or b"")[0] for _ in range(6)] == [4, 5, 6, 7, 8, 0]
    microphone.close()
    assert not microphone._stream.runs


def test_what_is_played_comes_out_and_then_there_is_silence(portaudio: SimpleNamespace) -> None:
    speaker = Loudspeaker()
    speaker.play(0, b"\1" * FRAME_BYTES)
    out = bytearray(FRAME_BYTES)
    speaker._stream.call(memoryview(out), 960, None, None)
    assert out == b"\1" * FRAME_BYTES
    speaker._stream.call(memoryview(out), 960, None, None)
    assert out == bytes(FRAME_BYTES)
    speaker.close()


def test_without_any_it_is_told(
    portaudio: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("no device")

    portaudio.RawInputStream = portaudio.RawOutputStream = broken
    with pytest.raises(HostError, match="no microphone"):
        Microphone()
    with pytest.raises(HostError, match="no loudspeaker"):
        Loudspeaker()
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(HostError, match=r"p2pswarm\[audio\]"):
        Microphone()
