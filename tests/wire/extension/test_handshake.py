from typing import Any

import pytest
from hypothesis import example, given, settings, strategies as st

from p2pswarm.errors import RemoteProtocolError
from p2pswarm.formats import bencode
from p2pswarm.wire.extension.handshake import REQQ, ExtendedHandshake

names = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=30)
hellos = st.builds(
    ExtendedHandshake,
    messages=st.dictionaries(names, st.integers(0, 255), max_size=10),
    version=names | st.just(""),
    port=st.none() | st.integers(1, 65535),
    reqq=st.none() | st.integers(1, 1 << 20),
    yourip=st.sampled_from([b"", b"\x7f\0\0\1", b"\xfe" * 16]),
    upload_only=st.none() | st.booleans(),
    ipv4=st.sampled_from([b"", b"\x01\2\3\4"]),
    ipv6=st.sampled_from([b"", b"\xfd" * 16]),
    metadata_size=st.none() | st.integers(1, 10 << 20),
    encryption=st.none() | st.booleans(),
)
KEYS = [
    b"metadata_size",
    b"m",
    b"v",
    b"p",
    b"reqq",
    b"yourip",
    b"ipv4",
    b"ipv6",
    b"upload_only",
    b"e",
]
values = st.recursive(
    st.integers(-(2**63), 2**63) | st.binary(max_size=100),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.binary(max_size=9), inner, max_size=4)
    ),
    max_leaves=12,
)


def decode(**body: Any) -> ExtendedHandshake:
    return ExtendedHandshake.decode(bencode.encode({k.encode(): v for k, v in body.items()}))


@given(hellos)
def test_it_survives_the_wire(hello: ExtendedHandshake) -> None:
    assert ExtendedHandshake.decode(hello.encode()) == hello


def test_it_is_written_as_bep_10_says() -> None:
    hello = ExtendedHandshake({"ut_pex": 1, "ut_a": 2}, "p2p 1", 6881, 2000, b"\x01\2\3\4", True)
    assert hello.encode() == (
        b"d1:md4:ut_ai2e6:ut_pexi1ee1:pi6881e4:reqqi2000e"
        b"11:upload_onlyi1e1:v5:p2p 16:yourip4:\x01\2\3\4e"
    )
    assert ExtendedHandshake().encode() == b"d1:mde1:v0:e"


def test_what_is_not_said_is_not_there() -> None:
    assert ExtendedHandshake.decode(b"de") == ExtendedHandshake()


def test_bytes_after_the_dictionary_are_ignored() -> None:
    assert ExtendedHandshake.decode(b"d1:pi6881eetrailing").port == 6881


def test_the_number_zero_switches_a_message_off_and_is_told() -> None:
    assert decode(m={b"ut_pex": 0}).messages == {"ut_pex": 0}


@pytest.mark.parametrize(
    ("field", "odd"),
    [
        ("p", 0),
        ("p", -1),
        ("p", 65536),
        ("p", b"80"),
        ("reqq", 0),
        ("reqq", -5),
        ("reqq", 2**63),
        ("yourip", b"12345"),
        ("yourip", 7),
        ("m", [b"ut_pex"]),
        ("m", {b"ut_pex": 256, b"": 3, b"x": -1, b"y": b"1"}),
        ("v", 12),
        ("ipv4", b"12345"),
        ("ipv6", b"1234"),
        ("metadata_size", 0),
        ("metadata_size", (10 << 20) + 1),
        ("e", 7),
        ("upload_only", [1]),
        ("upload_only", 2),
    ],
)
def test_odd_entries_are_left_out(field: str, odd: object) -> None:
    assert decode(**{field: odd}) == ExtendedHandshake()


@pytest.mark.parametrize("yes", [1, b"1"])
def test_upload_only_is_read_as_clients_write_it(yes: object) -> None:
    assert decode(upload_only=yes).upload_only


def test_what_a_later_handshake_says_is_added() -> None:
    first = ExtendedHandshake({"ut_pex": 1, "ut_metadata": 2}, "a", 6881, 50, metadata_size=77)
    later = ExtendedHandshake({"ut_pex": 0, "lt_donthave": 7}, upload_only=True, reqq=60)
    both = first.and_then(later)
    assert both.messages == {"ut_pex": 0, "ut_metadata": 2, "lt_donthave": 7}
    assert (both.version, both.port, both.reqq, both.metadata_size) == ("a", 6881, 60, 77)
    assert both.upload_only
    assert both.and_then(ExtendedHandshake(upload_only=False)).upload_only is False
    assert (both.number("ut_pex"), both.number("ut_metadata"), both.number("x")) == (0, 2, 0)


@given(hellos)
def test_a_handshake_said_twice_is_the_same(hello: ExtendedHandshake) -> None:
    assert hello.and_then(hello) == hello
    assert hello.and_then(ExtendedHandshake()) == hello
    assert ExtendedHandshake().and_then(hello) == hello


def test_names_do_not_pile_up_over_many_handshakes() -> None:
    said = ExtendedHandshake()
    for turn in range(5):
        said = said.and_then(decode(m={b"%d-%d" % (turn, n): 1 for n in range(90)}))
    assert len(said.messages) == 100


def test_a_name_is_cut_and_made_printable() -> None:
    version = decode(v=b"evil\x1b[31m\n\xff\xe2\x80\xae" + b"x" * 60_000).version
    assert version.startswith("evil?[31m?\ufffd?xxx")
    assert version.isprintable()
    assert len(version) <= 64


def test_a_flood_of_message_names_is_cut() -> None:
    flood = {b"n%d" % n: 1 for n in range(400)}
    assert len(decode(m=flood).messages) == 100


@pytest.mark.parametrize(
    "junk",
    [
        b"",
        b"le",
        b"i1e",
        b"d",
        b"d1:pi1e",
        b"x",
        b"d" * 5000,
        b"d1:m" * 50 + b"e" * 50,
        b"d1:v70000:" + b"x" * 70_000 + b"e",
    ],
    ids=lambda junk: str(junk[:12]),
)
def test_junk_is_the_peers_fault(junk: bytes) -> None:
    with pytest.raises(RemoteProtocolError, match=r"^extended handshake: "):
        ExtendedHandshake.decode(junk)


def is_small(hello: ExtendedHandshake) -> bool:
    texts = [hello.version, *hello.messages]
    return len(texts) <= 101 and all(len(text) <= 64 and text.isprintable() for text in texts)


@given(st.binary(max_size=300))
@example(b"d1:md1:\xffi1eee")
def test_any_bytes_are_a_handshake_or_a_fault(data: bytes) -> None:
    try:
        hello = ExtendedHandshake.decode(data)
    except RemoteProtocolError:
        return
    assert is_small(hello)


@settings(max_examples=60)
@given(st.dictionaries(st.sampled_from(KEYS) | st.binary(max_size=5), values, max_size=9))
def test_any_dictionary_is_a_small_handshake(body: dict[bytes, Any]) -> None:
    hello = ExtendedHandshake.decode(bencode.encode(body))
    assert is_small(hello)
    assert hello.port is None or 0 < hello.port < 65536
    assert hello.reqq is None or 0 < hello.reqq <= 1 << 20
    assert len(hello.yourip) in (0, 4, 16)
    assert all(0 <= number < 256 for number in hello.messages.values())
    assert ExtendedHandshake.decode(hello.encode()) == hello


def test_we_queue_as_many_requests_as_the_others_do() -> None:
    assert REQQ == 2000
