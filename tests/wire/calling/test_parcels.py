"""What is said of files and messages in a call: read again, and nothing else is."""

import re
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from p2pswarm.calling import letters, tunnel
from p2pswarm.calling.giving import ASKED_FOR, MOST_STREAMS
from p2pswarm.calling.outbox import MOST_WAITING
from p2pswarm.calling.taking import FRUITLESS
from p2pswarm.errors import LocalProtocolError, RemoteProtocolError
from p2pswarm.wire.calling.frames import MOST_BODY, CallKind
from p2pswarm.wire.calling.letters import Kept, Left, Message
from p2pswarm.wire.calling.lists import ParcelKind
from p2pswarm.wire.calling.parcels import (
    MOST_PARCELS,
    MOST_TORRENT,
    Bytes,
    Done,
    Offer,
    Open,
    Parcel,
    Shut,
    Take,
    TorrentPart,
)

DOCUMENT = Path(__file__).parents[3] / "docs" / "protocols" / "sending.md"
FILM = Parcel("film \u00fc.mp4", 1 << 40, 1, 60_000)
SAID = [
    Offer((FILM, Parcel("photos", 0, 0, 400))),
    Take(()),
    Take((0, 3)),
    TorrentPart(7, b"torrent"),
    Done(3),
    Done(3, "no room"),
    Open(1, 2),
    Bytes(65_535, bytes(range(256))),
    Shut(9),
    Message(1_800_000_000_000, 1_800_000_000, "good evening \u00fc"),
    Kept(1_800_000_000_000),
    Left(),
]
KINDS = [Offer, Take, TorrentPart, Done, Open, Bytes, Shut, Message, Kept, Left]


@pytest.mark.parametrize("said", SAID)
def test_what_is_said_is_read_again(said: Offer | Take | Message) -> None:
    assert type(said).read(said.encode()) == said
    assert len(said.encode()) <= MOST_BODY


def test_the_document_says_what_is_said() -> None:
    text = DOCUMENT.read_text("utf-8")
    rows = re.findall(r"^\| ([0-9a-f]{2}) \| ([A-Z]+) \|", text, re.MULTILINE)
    assert {int(kind, 16): name for kind, name in rows} == {int(k): k.name for k in ParcelKind}
    bodies = [bytes.fromhex(each) for each in re.findall(r"```hex\n(.+?)```", text, re.DOTALL)]
    assert bodies == [
        Offer((Parcel("film.mp4", 1 << 20, 1, 640),)).encode(),
        Take((0,)).encode(),
        Open(0, 0).encode(),
        Bytes(0, b"\x13BitTorrent").encode(),
        Message(1_800_000_000_000, 1_800_000_000, "hello").encode(),
        Kept(1_800_000_000_000).encode(),
    ]


def test_no_number_is_used_twice() -> None:
    assert not {int(each) for each in ParcelKind} & {int(each) for each in CallKind}
    assert {kind.kind for kind in KINDS} == set(ParcelKind)


def test_the_largest_offer_fits_a_frame() -> None:
    most = Offer((Parcel("x" * 255, (1 << 63) - 1, (1 << 63) - 1, MOST_TORRENT),) * MOST_PARCELS)
    assert Offer.read(most.encode()) == most
    assert len(most.encode()) <= MOST_BODY


@pytest.mark.parametrize(
    "said",
    [
        Offer(()),
        Offer((FILM,) * (MOST_PARCELS + 1)),
        Offer((Parcel("", 1, 1, 1),)),
        Offer((Parcel("x" * 256, 1, 1, 1),)),
        Offer((Parcel("x", -1, 1, 1),)),
        Offer((Parcel("x", 1, 1, MOST_TORRENT + 1),)),
        Take((0, 0)),
        Take((MOST_PARCELS,)),
        Message(1, 1, ""),
        Message(1, 1, "x" * 4001),
        Message(-1, 1, "x"),
        Kept(-1),
    ],
)
def test_nothing_is_said_that_nobody_would_read(said: Offer | Take | Message | Kept) -> None:
    with pytest.raises(LocalProtocolError):
        said.encode()


def test_names_and_reasons_can_be_shown() -> None:
    name = b"\x1b[31mred\n.mp4"
    body = b"ll" + b"%d:" % len(name) + name + b"i1ei1ei1eee"
    assert Offer.read(body).parcels[0].name == "\ufffd[31mred\ufffd.mp4"
    assert Done.read(b"\0\1two\nlines\xff").why_not == "two\ufffdlines\ufffd"


def test_the_figures_are_ours() -> None:
    text = DOCUMENT.read_text("utf-8")
    assert f"a list of at most {MOST_PARCELS}:" in text
    assert ASKED_FOR == 5 * 60
    assert "the taker has five minutes" in text
    assert f"At most\n{MOST_STREAMS} streams are open" in text
    assert FRUITLESS == 5
    assert "five times without a new piece" in text
    assert f"After {tunnel.MOST >> 20} MiB on one" in text
    assert f"at most {letters.MOST}, then LEFT" in text
    assert f"at most {MOST_WAITING} for each name" in text


@settings(max_examples=60)
@given(st.binary(max_size=80), st.integers(0, 80), st.integers(0, 255))
def test_any_bytes_are_understood_or_an_error(junk: bytes, at: int, byte: int) -> None:
    for said in SAID:
        near = bytearray(said.encode() or b"x")
        near[at % len(near)] = byte
        for body in (junk, bytes(near), bytes(near[: at % len(near)])):
            for kind in KINDS:
                try:
                    kind.read(body)  # type: ignore[attr-defined]
                except RemoteProtocolError:
                    continue
