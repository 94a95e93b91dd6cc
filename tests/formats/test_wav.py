"""Heads of WAV files as programs write them; samples of every kind."""

import struct
from io import BytesIO

import pytest
from hypothesis import given, strategies as st

from p2pswarm.errors import FormatError
from p2pswarm.formats.wav import Coding, WavHead, read_head, samples_of

GUID = bytes.fromhex("000000001000800000aa00389b71")


def chunk(name: bytes, body: bytes, size: int | None = None) -> bytes:
    return (
        name + struct.pack("<I", len(body) if size is None else size) + body + bytes(len(body) % 2)
    )


def plain(coding: int, channels: int, rate: int, width: int, bits: int | None = None) -> bytes:
    together = channels * width
    bits = 8 * width if bits is None else bits
    return struct.pack("<HHIIHH", coding, channels, rate, rate * together, together, bits)


def extensible(coding: int, channels: int, rate: int, width: int, bits: int) -> bytes:
    head = plain(0xFFFE, channels, rate, width)
    return head + struct.pack("<HHIH", 22, bits, 3, coding) + GUID


def wav(*chunks: bytes, kind: bytes = b"RIFF") -> bytes:
    return kind + b"\xff\xff\xff\xffWAVE" + b"".join(chunks)


def head_of(data: bytes) -> WavHead:
    return read_head(BytesIO(data).read)


@pytest.mark.parametrize(
    ("body", "head"),
    [
        (plain(1, 1, 48_000, 2), WavHead(Coding.WHOLE, 1, 48_000, 2, 4)),
        (plain(1, 2, 44_100, 3), WavHead(Coding.WHOLE, 2, 44_100, 3, 4)),
        (plain(1, 1, 8000, 2, 12), WavHead(Coding.WHOLE, 1, 8000, 2, 4)),
        (plain(3, 1, 48_000, 4) + b"\0\0", WavHead(Coding.FLOAT, 1, 48_000, 4, 4)),
        (plain(6, 1, 8000, 1) + b"\0\0", WavHead(Coding.A_LAW, 1, 8000, 1, 4)),
        (extensible(1, 6, 96_000, 3, 24), WavHead(Coding.WHOLE, 6, 96_000, 3, 4)),
        (extensible(1, 1, 192_000, 4, 24), WavHead(Coding.WHOLE, 1, 192_000, 4, 4)),
        (extensible(3, 2, 48_000, 8, 64), WavHead(Coding.FLOAT, 2, 48_000, 8, 4)),
    ],
)
def test_heads(body: bytes, head: WavHead) -> None:
    file = BytesIO(wav(chunk(b"fmt ", body), chunk(b"data", b"abcd")))
    assert read_head(file.read) == head
    assert file.read() == b"abcd"


def test_other_chunks_come_before_the_sound() -> None:
    odd, long = chunk(b"LIST", b"INFOx"), chunk(b"JUNK", bytes(200_000))
    file = BytesIO(wav(odd, chunk(b"fmt ", plain(1, 1, 8000, 2)), long, chunk(b"data", b"ab")))
    assert read_head(file.read).size == 2
    assert file.read() == b"ab"


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF])
def test_who_writes_into_a_pipe_does_not_know_the_size(size: int) -> None:
    form = chunk(b"fmt ", plain(1, 1, 8000, 2))
    assert head_of(wav(form, chunk(b"data", b"abcd", size))).size is None


def test_beyond_four_gibibytes() -> None:
    sizes = chunk(b"ds64", struct.pack("<QQQI", 9 << 32, 8 << 32, 0, 0))
    data = chunk(b"data", b"ab", 0xFFFFFFFF)
    assert (
        head_of(wav(sizes, chunk(b"fmt ", plain(1, 1, 8000, 2)), data, kind=b"RF64")).size
        == 8 << 32
    )


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "no sound"),
        (b"fLaC" + bytes(100), "no WAV file"),
        (wav(chunk(b"fmt ", plain(1, 1, 8000, 2))), "no sound"),
        (wav(chunk(b"data", b"ab")), "of which kind"),
        (wav(chunk(b"JUNK", b"", 0x7FFFFFFF)), "no sound"),
        (wav(chunk(b"LIST", b"INFOx", 0x7FFFFFFF)), "ends before"),
        (wav(chunk(b"fmt ", b"\1\0")), "cut off"),
        (wav(chunk(b"fmt ", plain(2, 1, 8000, 1))), "kind 2 is not known"),
        (wav(chunk(b"fmt ", plain(1, 0, 8000, 2))), "0 channels"),
        (wav(chunk(b"fmt ", plain(1, 65, 8000, 2))), "65 channels"),
        (wav(chunk(b"fmt ", plain(1, 1, 8000, 5))), "5 bytes"),
        (wav(chunk(b"fmt ", plain(1, 1, 0, 2))), "0 samples"),
        (wav(chunk(b"fmt ", plain(1, 1, 2_000_000_000, 2))), "2000000000 samples"),
        (wav(*[chunk(b"JUNK", b"")] * 2000), "no sound"),
    ],
)
def test_what_is_refused(data: bytes, said: str) -> None:
    with pytest.raises(FormatError, match=said):
        head_of(data)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_head_or_a_format_error(data: bytes) -> None:
    for whole in (data, wav(data), wav(chunk(b"fmt ", data), chunk(b"data", b""))):
        try:
            head = head_of(whole)
        except FormatError:
            continue
        assert len(samples_of(data, head)) == len(data) // head.width


@pytest.mark.parametrize(
    ("coding", "width", "data", "samples"),
    [
        (Coding.WHOLE, 1, b"\x00\x80\xff", [-32768, 0, 32512]),
        (Coding.WHOLE, 2, struct.pack("<3h", -32768, 0, 32767) + b"x", [-32768, 0, 32767]),
        (Coding.WHOLE, 3, b"\xff\x00\x80\x01\x02\x03", [-32768, 0x0302]),
        (Coding.WHOLE, 4, struct.pack("<2i", -(1 << 31), 5 << 16), [-32768, 5]),
        (
            Coding.FLOAT,
            4,
            struct.pack("<4f", -1, 0.5, 7, float("inf")),
            [-32767, 16384, 32767, 32767],
        ),
        (Coding.FLOAT, 8, struct.pack("<2d", 0, float("nan")), [0, -32767]),
        # as ffmpeg decodes them
        (Coding.A_LAW, 1, b"\x55\xd5\x2a\xaa\x80", [-8, 8, -32256, 32256, 5504]),
        (Coding.MU_LAW, 1, b"\x00\x80\x7f\xff\x10", [-32124, 32124, 0, 0, -15996]),
    ],
)
def test_samples(coding: Coding, width: int, data: bytes, samples: list[int]) -> None:
    assert samples_of(data, WavHead(coding, 1, 8000, width, None)).tolist() == samples
