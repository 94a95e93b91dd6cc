"""Any WAV becomes one channel of 48 kHz; what is recorded lies where it belongs."""

import wave
from pathlib import Path

import numpy as np
import pytest

from p2pswarm.calling.voice import FRAME_BYTES
from p2pswarm.calling.wav import WavReader, WavWriter
from p2pswarm.errors import HostError
from tests.support.sound import likeness, read_wav, speech, write_wav


def read_all(path: Path) -> bytes:
    reader, frames = WavReader(path), []
    while (frame := reader.frame()) is not None:
        assert len(frame) == FRAME_BYTES
        frames.append(frame)
    reader.close()
    return b"".join(frames)


def test_our_own_kind_is_read_as_it_is(tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", speech(0.5))
    read = np.frombuffer(read_all(tmp_path / "a.wav"), "<i2")
    assert (read == read_wav(tmp_path / "a.wav")).all()


@pytest.mark.parametrize("rate", [8000, 16_000, 44_100, 48_000, 96_000])
@pytest.mark.parametrize(("width", "channels"), [(1, 1), (2, 2), (3, 1), (4, 2)])
def test_rates_widths_and_channels(tmp_path: Path, rate: int, width: int, channels: int) -> None:
    """A tone of 400 Hz, half as loud as can be, half a second long."""
    tone = 0.5 * np.sin(2 * np.pi * 400 * np.arange(rate // 2) / rate)
    whole = np.round(tone * ((1 << (8 * width - 1)) - 1)).astype("<i8") + (128 if width == 1 else 0)
    samples = whole.repeat(channels)
    data = b"".join(int(each).to_bytes(8, "little", signed=True)[:width] for each in samples)
    with wave.open(str(tmp_path / "tone.wav"), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(data)
    read = np.frombuffer(read_all(tmp_path / "tone.wav"), "<i2").astype(float)
    ours = 16_383 * np.sin(2 * np.pi * 400 * np.arange(24_000) / 48_000)
    alike, delay = likeness(ours, read)
    assert alike > 0.99
    assert abs(delay) < 0.001
    assert abs(len(read) - 24_000) <= 960
    assert read.max() == pytest.approx(16_383, rel=0.03)


@pytest.mark.parametrize("data", [b"", b"RIFF", b"RIFF\4\0\0\0WAVE", b"\0" * 100])
def test_what_is_no_wav_is_told(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "x.wav").write_bytes(data)
    with pytest.raises(HostError, match=r"x\.wav cannot be read as WAV"):
        WavReader(tmp_path / "x.wav")
    with pytest.raises(HostError, match="No such file"):
        WavReader(tmp_path / "nobody.wav")


def test_a_recording_is_as_long_as_what_was_said(tmp_path: Path) -> None:
    writer = WavWriter(tmp_path / "out.wav")
    for number in (7, 8, 8, 12, 5_000_000, 5_000_001, 3):
        writer.play(number, bytes([number % 100, 1]) * 960)
    writer.close()
    said = [int(each) & 0xFF for each in read_wav(tmp_path / "out.wav")[::960]]
    assert said == [7, 8, 0, 0, 0, 12, 0, 1, 3]


def test_what_was_recorded_before_stays_until_something_is_heard(tmp_path: Path) -> None:
    write_wav(tmp_path / "out.wav", speech(0.1))
    before = (tmp_path / "out.wav").read_bytes()
    WavWriter(tmp_path / "out.wav").close()  # nobody was there
    assert (tmp_path / "out.wav").read_bytes() == before
    writer = WavWriter(tmp_path / "out.wav")
    writer.play(0, bytes(FRAME_BYTES))
    writer.close()
    assert len(read_wav(tmp_path / "out.wav")) == 960
    WavWriter(tmp_path / "new.wav").close()
    assert len(read_wav(tmp_path / "new.wav")) == 0


def test_chunks_behind_the_sound_are_not_said(tmp_path: Path) -> None:
    """And a chunk that reaches beyond the end is an error of the file, not ours."""
    write_wav(tmp_path / "a.wav", speech(0.02) + 1)
    data = (tmp_path / "a.wav").read_bytes()
    (tmp_path / "b.wav").write_bytes(data + b"LIST\4\0\0\0INFO" * 500)
    assert read_all(tmp_path / "b.wav") == data[44:]
    (tmp_path / "c.wav").write_bytes(data[:36] + b"LIST\5\0\0\0INFOx" + data[36:])  # not padded
    with pytest.raises(HostError, match="ends before there is any sound"):
        WavReader(tmp_path / "c.wav")
