"""The payloads of the extensions: written as their BEPs say, read whatever a stranger sends."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from p2pswarm.errors import RemoteProtocolError
from p2pswarm.formats import bencode
from p2pswarm.formats.ids import Address, PieceIndex
from p2pswarm.wire.extension.holepunch import Holepunch, HolepunchError, HolepunchKind
from p2pswarm.wire.extension.metadata import (
    MAX_METADATA,
    MetadataPiece,
    MetadataReject,
    MetadataRequest,
    read_metadata,
)
from p2pswarm.wire.extension.news import DontHave, UploadOnly
from p2pswarm.wire.extension.numbers import NUMBERS
from p2pswarm.wire.extension.pex import MAX_PEX, Pex, PexFlag

ports = st.integers(1, 65535)
v4 = st.builds(lambda n, port: Address(f"10.1.{n}.1", port), st.integers(0, 255), ports)
v6 = st.builds(lambda n, port: Address(f"2001:db8::{n + 1:x}", port), st.integers(0, 255), ports)
flags = st.integers(0, 31).map(PexFlag)
DECODERS: list[Callable[[bytes], Any]] = [
    read_metadata,
    Pex.decode,
    DontHave.decode,
    UploadOnly.decode,
    Holepunch.decode,
]


@pytest.mark.parametrize("decode", DECODERS, ids=lambda decode: decode.__qualname__)
def test_any_bytes_are_a_value_or_the_peers_fault(decode: Callable[[bytes], Any]) -> None:
    trees = st.dictionaries(
        st.sampled_from([b"msg_type", b"piece", b"total_size", b"added", b"added.f", b"dropped6"]),
        st.integers(-3, 2**70) | st.binary(max_size=50) | st.lists(st.integers(), max_size=2),
    ).map(bencode.encode)

    @settings(max_examples=60)
    @given(st.binary(max_size=40) | st.builds(bytes.__add__, trees, st.binary(max_size=9)))
    def try_it(data: bytes) -> None:
        try:
            value = decode(data)
        except RemoteProtocolError:
            return
        if value is not None:
            assert decode(value.encode()) == value

    try_it()


def test_numbers_are_different_and_fit() -> None:
    assert len(set(NUMBERS.values())) == len(NUMBERS)
    assert all(0 < number < 256 for number in NUMBERS.values())


def test_metadata_is_written_as_bep_9_says() -> None:
    assert MetadataRequest(0).encode() == b"d8:msg_typei0e5:piecei0ee"
    assert MetadataReject(3).encode() == b"d8:msg_typei2e5:piecei3ee"
    piece = MetadataPiece(1, 34256, b"xxde")
    assert piece.encode() == b"d8:msg_typei1e5:piecei1e10:total_sizei34256eexxde"
    for message in (MetadataRequest(0), MetadataReject(3), piece):
        assert read_metadata(message.encode()) == message


def test_a_metadata_message_of_another_kind_is_ignored() -> None:
    assert read_metadata(b"d8:msg_typei7e5:piecei0ee") is None


@pytest.mark.parametrize(
    "odd",
    [
        b"",
        b"le",
        b"d8:msg_typei0ee",
        b"d8:msg_typei0e5:piecei-1ee",
        b"d8:msg_typei0e5:piecei640ee",
        b"d8:msg_typei1e5:piecei0e10:total_sizei10eex" + b"x" * 16384,
        b"d8:msg_typei1e5:piecei0e10:total_sizei10ee",
        MetadataPiece(0, MAX_METADATA + 1, b"x").encode(),
        b"d8:msg_typei7e5:piecei0ee" + b"x" * (17 << 10),
        b"d8:msg_typei0e5:piecei0e1:xl" + b"le" * 50 + b"ee",
    ],
    ids=lambda odd: str(odd[:40]),
)
def test_an_odd_metadata_message_is_the_peers_fault(odd: bytes) -> None:
    with pytest.raises(RemoteProtocolError, match=r"^ut_metadata: "):
        read_metadata(odd)


@given(st.lists(st.tuples(v4 | v6, flags), max_size=20), st.lists(v4 | v6, max_size=20))
def test_pex_survives_the_wire(
    added: list[tuple[Address, PexFlag]], dropped: list[Address]
) -> None:
    there = Pex.decode(Pex(added, dropped).encode())
    assert sorted(there.added) == sorted(added)
    assert sorted(there.dropped) == sorted(dropped)


def test_pex_is_written_as_bep_11_says() -> None:
    one = Address("1.2.3.4", 0x1AE1)
    six = Address("2001:db8::1", 1)
    pex = Pex([(one, PexFlag.SEED | PexFlag.UTP)], [six])
    assert pex.encode() == (
        b"d5:added6:\x01\2\3\4\x1a\xe17:added.f1:\x066:added60:8:added6.f0:7:dropped0:"
        b"8:dropped618:\x20\x01\x0d\xb8" + b"\0" * 11 + b"\1\0\1e"
    )


def test_flags_that_do_not_fit_make_the_addresses_worthless() -> None:
    body = {b"added": b"\1\2\3\4\x1a\xe1" * 2, b"added.f": b"\0", b"dropped": b"\5\5\5\5\0\1"}
    assert Pex.decode(bencode.encode(body)) == Pex([], [Address("5.5.5.5", 1)])


def test_addresses_without_flags_are_taken() -> None:
    assert Pex.decode(b"d5:added6:\1\2\3\4\x1a\xe1e").added == [(Address("1.2.3.4", 6881), 0)]


def test_addresses_nobody_can_be_at_are_left_out() -> None:
    places = b"\1\2\3\4\0\0" + b"\xe0\0\0\1\0\1" + b"\0\0\0\0\0\1" + b"\1\2\3\4\0\1"
    pex = Pex.decode(
        bencode.encode({b"added": places, b"added.f": b"\1\2\3\4", b"dropped": places})
    )
    assert pex.added == [(Address("1.2.3.4", 1), 4)]
    assert pex.dropped == [Address("1.2.3.4", 1)]


def test_a_flood_of_addresses_is_cut_and_a_larger_one_is_a_fault() -> None:
    body = {b"added": b"\1\2\3\4\0\1" * 1000, b"added.f": b"\0" * 1000}
    assert len(Pex.decode(bencode.encode(body)).added) == 200
    with pytest.raises(RemoteProtocolError):
        Pex.decode(bencode.encode({b"added": b"\1\2\3\4\0\1" * (MAX_PEX // 6)}))


def test_news_is_written_as_it_is_read() -> None:
    assert DontHave(PieceIndex(258)).encode() == b"\0\0\1\2"
    assert DontHave.decode(b"\0\0\1\2") == DontHave(PieceIndex(258))
    assert (UploadOnly(True).encode(), UploadOnly(False).encode()) == (b"\1", b"\0")
    for decode, odd in ((DontHave.decode, b"\0\0\1"), (UploadOnly.decode, b"")):
        with pytest.raises(RemoteProtocolError):
            decode(odd)


def test_holepunch_is_written_as_bep_55_says() -> None:
    asked = Holepunch(HolepunchKind.RENDEZVOUS, Address("1.2.3.4", 0x1AE1))
    assert asked.encode() == b"\0\0\1\2\3\4\x1a\xe1\0\0\0\0"
    six = Holepunch(HolepunchKind.ERROR, Address("2001:db8::1", 1), HolepunchError.NO_SUPPORT)
    assert six.encode() == b"\2\1\x20\x01\x0d\xb8" + b"\0" * 11 + b"\1\0\1\0\0\0\3"
    for message in (asked, six):
        assert Holepunch.decode(message.encode()) == message


def test_holepunch_without_an_error_may_end_early_as_libtorrents_does() -> None:
    there = Holepunch.decode(b"\1\0\1\2\3\4\x1a\xe1")
    assert there == Holepunch(HolepunchKind.CONNECT, Address("1.2.3.4", 6881))


@pytest.mark.parametrize(
    "odd", [b"", b"\0", b"\0\2" + b"x" * 20, b"\0\0\1\2\3\4\x1a", b"\0\1abcdef"]
)
def test_an_odd_holepunch_is_the_peers_fault(odd: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        Holepunch.decode(odd)


def test_a_holepunch_of_another_kind_is_ignored() -> None:
    assert Holepunch.decode(b"\7\0\1\2\3\4\x1a\xe1") is None
