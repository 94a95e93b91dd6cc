"""A WAV that comes by a pipe, and one that goes into one."""

import os
import select
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from p2pswarm.calling.voice import FRAME_BYTES
from p2pswarm.calling.wav import WavReader, WavWriter
from p2pswarm.calling.wav_pipe import WavFromPipe, WavToPipe, wav_sink, wav_source
from p2pswarm.errors import HostError
from tests.support.sound import read_wav, speech, write_wav

SILENCE = bytes(FRAME_BYTES)


class Fifo:
    """Its path, and a descriptor that both reads and writes: nobody waits for the other end."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "pipe"
        os.mkfifo(self.path)
        self.end = os.open(self.path, os.O_RDWR | os.O_NONBLOCK)


@pytest.fixture
def fifo(tmp_path: Path) -> Iterator[Fifo]:
    made = Fifo(tmp_path)
    yield made
    os.close(made.end)


def next_frame(source: WavFromPipe) -> bytes | None:
    """The next that is not silence; the reading thread has all the time that it needs."""
    while (frame := source.frame()) == SILENCE:
        time.sleep(0)
    return frame


def test_what_comes_by_a_pipe_is_said(fifo: Fifo, tmp_path: Path) -> None:
    write_wav(tmp_path / "in.wav", speech(0.2) + 1)
    data = (tmp_path / "in.wav").read_bytes()
    source = wav_source(fifo.path)
    assert isinstance(source, WavFromPipe)
    assert source.frame() == SILENCE  # nobody has written yet, and nobody waits
    os.write(fifo.end, data[:5000])
    frames = [next_frame(source), next_frame(source)]
    os.write(fifo.end, data[5000:])
    os.write(fifo.end, b"LIST")  # behind the sound, whose size was said
    while (frame := next_frame(source)) is not None:
        frames.append(frame)
    assert b"".join(each or b"" for each in frames) == data[44:]
    source.close()


def test_what_is_no_wav_ends_the_call(fifo: Fifo) -> None:
    source = WavFromPipe(fifo.path)
    os.write(fifo.end, b"ID3 is an MP3, which many try")
    with pytest.raises(HostError, match="pipe cannot be read as WAV: it is no WAV file"):
        next_frame(source)
    source.close()


def test_a_pipe_that_nobody_fills_keeps_nobody(fifo: Fifo) -> None:
    source = WavFromPipe(fifo.path)
    assert source.frame() == SILENCE
    source.close()


def test_what_is_heard_goes_into_a_pipe_as_far_as_it_is_read(fifo: Fifo, tmp_path: Path) -> None:
    sink = wav_sink(fifo.path)
    assert isinstance(sink, WavToPipe)
    for number in range(100):  # nobody reads meanwhile, and nobody waits
        sink.play(number, bytes([number, 1]) * 960)
    sink.close()
    came = b"".join(iter(lambda: os.read(fifo.end, 4096) if has_more(fifo.end) else b"", b""))
    (tmp_path / "out.wav").write_bytes(came)
    reader = WavReader(tmp_path / "out.wav")
    assert [reader.frame(), reader.frame()] == [bytes([n, 1]) * 960 for n in range(2)]
    reader.close()
    assert (len(came) - 44) % FRAME_BYTES == 0
    assert len(read_wav(tmp_path / "out.wav")) == (len(came) - 44) // 2


def has_more(descriptor: int) -> bool:
    return bool(select.select([descriptor], [], [], 0)[0])


def test_a_pipe_without_a_reader_is_one_clear_line(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    sink = WavToPipe(tmp_path / "pipe")
    with pytest.raises(HostError, match="nobody reads"):
        sink.play(0, SILENCE)
    sink.close()


def test_files_are_files(tmp_path: Path) -> None:
    write_wav(tmp_path / "in.wav", speech(0.1))
    source, sink = wav_source(tmp_path / "in.wav"), wav_sink(tmp_path / "out.wav")
    assert (type(source), type(sink)) == (WavReader, WavWriter)
    source.close()
    sink.close()
    for wrong in (tmp_path / "nobody.wav", tmp_path):
        with pytest.raises(HostError, match="cannot be read as WAV"):
            wav_source(wrong)
