"""Queries on the wire, and the hashes they name."""

import base64

import pytest
from hypothesis import given, strategies as st

from p2pswarm.errors import LocalProtocolError, RemoteProtocolError
from p2pswarm.formats.urns import sha1_urn
from p2pswarm.wire.gnutella.ggep import Ggep
from p2pswarm.wire.gnutella.hashes import Hashes, hashes_of
from p2pswarm.wire.gnutella.query import (
    MAX_QUERY,
    MAX_URNS,
    MAX_WORDS,
    Query,
    QueryFlags,
    without_oob,
)
from tests.support.gnutella_wire import ggeps, texts

SHA1, TTH = bytes(range(20)), bytes(range(24))
B32_SHA1 = base64.b32encode(SHA1).decode()
B32_TTH = base64.b32encode(TTH).decode().rstrip("=")
URN = f"urn:sha1:{B32_SHA1}"

urns = st.sampled_from(["urn:", "URN:x", URN, "urn:bitprint:x.y"])
queries = st.builds(
    Query,
    texts,
    st.lists(urns, max_size=4).map(tuple),
    ggeps,
    st.integers(0, 63).map(lambda bits: QueryFlags(bits << 9)),
)


def test_a_query_of_gtk_gnutella() -> None:
    wire = b"\xb9\x00quasar8 nebula8\x00\xc3\x82PR\x40"
    query = Query.read(wire)
    assert (query.text, query.urns, query.ggep) == ("quasar8 nebula8", (), {"PR": b""})
    asked = QueryFlags.XML | QueryFlags.LEAF_GUIDED | QueryFlags.GGEP_H
    assert query.flags == asked
    assert QueryFlags.OOB not in query.flags
    assert QueryFlags.FIREWALLED not in query.flags
    assert query.encode() == b"\xb8" + wire[1:]  # the older meaning of the low bits is not kept


def test_flags_that_nobody_named_are_not_remembered() -> None:
    for word in range(0x8000, 0x10000):
        Query.read(word.to_bytes(2, "big") + b"x\x00")
    assert len(QueryFlags._value2member_map_) < 200


@pytest.mark.parametrize(
    ("flag", "word"),
    [
        (QueryFlags.NONE, "8000"),
        (QueryFlags.FIREWALLED, "c000"),
        (QueryFlags.XML, "a000"),
        (QueryFlags.LEAF_GUIDED, "9000"),
        (QueryFlags.GGEP_H, "8800"),
        (QueryFlags.OOB, "8400"),
        (QueryFlags.FW2FW, "8200"),
    ],
)
def test_each_flag(flag: QueryFlags, word: str) -> None:
    wire = bytes.fromhex(word) + b"x\x00"
    assert Query("x", flags=flag).encode() == wire
    assert Query.read(wire) == Query("x", flags=flag)


def test_an_old_query_with_a_speed() -> None:
    assert Query.read(b"\x7f\xffold\x00") == Query("old")


@given(queries)
def test_every_query(query: Query) -> None:
    if len(query.text.split()) <= MAX_WORDS:
        assert Query.read(query.encode()) == query


@given(st.binary(max_size=300))
def test_any_bytes(data: bytes) -> None:
    try:
        query = Query.read(data)
    except RemoteProtocolError:
        assert b"\x00" not in data[2:] or len(data[2:].split()) > MAX_WORDS
        return
    assert query.sha1 is None or len(query.sha1) == 20
    assert Query.read(query.encode()).text == query.text


@given(st.binary(max_size=100))
def test_any_extensions(data: bytes) -> None:
    query = Query.read(b"\x80\x00x\x00" + data)
    assert Query.read(query.encode()) == query


def test_extensions_of_all_sorts() -> None:
    rest = b"\x1c".join(
        [b"urn:", b"<xml/>", URN.encode(), b"{x}", b"junk", b"urn:\xff", b"\xc3\x81X\x41\x1c\x00"]
    )
    query = Query.read(b"\x80\x00x\x00" + rest)
    assert query == Query("x", ("urn:", URN), {"X": b"\x1c"})
    assert query.sha1 == SHA1


def test_a_nul_too_many() -> None:
    assert Query.read(b"\x80\x00x\x00" + URN.encode() + b"\x00") == Query("x", (URN,))


def test_broken_extensions_are_not_read() -> None:
    assert Query.read(b"\x80\x00x\x00urn:\x1c\xc3junk") == Query("x", ("urn:",))


def test_text_of_no_stated_encoding() -> None:
    assert Query.read(b"\x80\x00caf\xc3\xa9\x00").text == "caf\u00e9"
    assert Query.read(b"\x80\x00caf\xe9\x00").text == "caf\u00e9"


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\x80\x00",
        b"\x80\x00no end",
        b"\x80\x00x\x00" + bytes(MAX_QUERY - 3),
        b"\x80\x00" + b"a " * (MAX_WORDS + 1) + b"\x00",
    ],
)
def test_queries_that_are_dropped(payload: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        Query.read(payload)


def test_the_largest_query() -> None:
    assert Query.read(b"\x80\x00x\x00" + bytes(MAX_QUERY - 4)) == Query("x")
    assert len(Query.read(b"\x80\x00x\x00" + b"urn:a\x1c" * 100).urns) == MAX_URNS


@pytest.mark.parametrize(
    "query",
    [
        Query("nul\x00"),
        Query("\ud800"),
        Query("a " * (MAX_WORDS + 1)),
        Query("x" * MAX_QUERY),
        Query("x", ("urn:",) * (MAX_URNS + 1)),
        Query("x", ("sha1:",)),
        Query("x", ("urn:\x1c",)),
        Query("x", ("urn:\u00e9",)),
    ],
)
def test_queries_that_cannot_be(query: Query) -> None:
    with pytest.raises(LocalProtocolError):
        query.encode()


@pytest.mark.parametrize(
    ("urns", "ggep", "hashes"),
    [
        ((URN,), {}, Hashes(SHA1)),
        ((URN.lower(),), {}, Hashes(SHA1)),
        ((f"urn:bitprint:{B32_SHA1}.{B32_TTH}",), {}, Hashes(SHA1, TTH)),
        ((f"urn:bitprint:{B32_SHA1}",), {}, Hashes(SHA1)),
        ((), {"H": b"\x01" + SHA1}, Hashes(SHA1)),
        ((), {"H": b"\x02" + SHA1 + TTH}, Hashes(SHA1, TTH)),
        ((), {"u": f"sha1:{B32_SHA1}".encode()}, Hashes(SHA1)),
        ((sha1_urn(bytes(20)),), {"H": b"\x02" + SHA1 + TTH}, Hashes(bytes(20), TTH)),
        (("urn:", "urn:sha1:", "urn:sha1:AAAA", "urn:sha1:1", "urn:md5:x"), {}, Hashes()),
        (("urn:sha1:\u00e9",), {"H": b"\x01short", "u": b"\xff"}, Hashes()),
        ((), {"H": b"\x03" + bytes(60)}, Hashes()),
    ],
)
def test_names_of_content(urns: tuple[str, ...], ggep: Ggep, hashes: Hashes) -> None:
    assert hashes_of(urns, ggep) == hashes


@given(st.text(), ggeps, st.binary(max_size=60))
def test_any_names_of_content(text: str, ggep: Ggep, value: bytes) -> None:
    found = hashes_of(["urn:sha1:" + text, "urn:bitprint:" + text], {**ggep, "H": value})
    assert found.sha1 is None or len(found.sha1) == 20
    assert found.tth is None or len(found.tth) == 24


def test_a_sha1_as_a_urn() -> None:
    assert sha1_urn(SHA1) == URN


@given(st.text("abc xyz", max_size=20), st.sampled_from([0x0400, 0x4400, 0x0000, 0x3C00]))
def test_the_wish_for_offers_is_taken_out_of_a_query_and_nothing_else(text: str, word: int) -> None:
    query = Query(text, ggep={"SO": b""}, flags=QueryFlags(word))
    changed = Query.read(without_oob(query.encode()))
    assert changed.flags == query.flags & ~QueryFlags.OOB
    assert (changed.text, changed.ggep) == (query.text, query.ggep)


def test_an_old_query_with_a_speed_is_left_as_it_is() -> None:
    payload = b"\x04\x00words\x00"
    assert without_oob(payload) == payload
    assert without_oob(b"") == b""
