"""Query hits byte by byte, with the flags of the document and the liars' counts."""

import base64
from contextlib import suppress

import pytest
from hypothesis import given, strategies as st

from p2pswarm.errors import LocalProtocolError, RemoteProtocolError
from p2pswarm.formats.ids import Address
from p2pswarm.wire.gnutella.endpoints import pack_endpoints
from p2pswarm.wire.gnutella.ggep import write_ggep
from p2pswarm.wire.gnutella.hit import MAX_RESULTS, OUR_VENDOR, Glance, QueryHit
from p2pswarm.wire.gnutella.results import MAX_INFLATED, Result, read_result
from tests.support.gnutella_wire import addresses, deflated, ggeps, guids, texts

U32 = 0xFFFFFFFF
HOST = Address("1.2.3.4", 6346)
GUID = bytes(range(16))
SHA1, TTH, BTIH = bytes(range(20)), bytes(range(24)), b"\x00" * 20
URN = b"urn:sha1:" + base64.b32encode(SHA1)
HEAD = bytes.fromhex("01 ca18 01020304 64000000")
FILE = bytes.fromhex("07000000 05000000") + b"a b.txt\x00" + URN + b"\x00"
TRAILER = b"P2PS\x02"

flags = st.none() | st.booleans()
results = st.builds(
    Result,
    st.integers(0, U32),
    st.integers(0, 1 << 50),
    texts,
    st.none() | st.binary(min_size=20, max_size=20),
    st.none() | st.binary(min_size=24, max_size=24),
    st.none() | st.binary(min_size=20, max_size=20),
    ggeps.filter(lambda ggep: not {"H", "u", "LF", "TT", "FS64", "BTIH"} & set(ggep)),
)
hits = st.builds(
    QueryHit,
    addresses,
    st.integers(0, U32),
    st.lists(results, max_size=4).map(tuple),
    guids,
    st.binary(min_size=4, max_size=4),
    flags,
    flags,
    flags,
    flags,
    ggeps,
)


def test_a_hit_byte_by_byte() -> None:
    """Push is said in the first byte and known in the second, all others the other way round."""
    hit = QueryHit(
        HOST, 100, (Result(7, 5, "a b.txt", SHA1),), GUID, push=True, busy=False, uploaded=True
    )
    wire = HEAD + FILE + TRAILER + b"\x2d\x09" + GUID
    assert hit.encode() == wire
    assert QueryHit.read(wire) == hit


@pytest.mark.parametrize(
    ("first", "second", "push", "busy"),
    [
        (0x00, 0x00, None, None),
        (0x01, 0x01, True, None),
        (0x00, 0x01, False, None),
        (0x01, 0x00, None, None),
        (0x04, 0x04, None, True),
        (0x04, 0x00, None, False),
        (0x00, 0x04, None, None),
    ],
)
def test_what_is_known_and_what_is_so(
    first: int, second: int, push: bool | None, busy: bool | None
) -> None:
    hit = QueryHit.read(HEAD + FILE + TRAILER + bytes([first, second]) + GUID)
    assert (hit.push, hit.busy, hit.uploaded, hit.measured) == (push, busy, None, None)


@given(hits)
def test_every_hit(hit: QueryHit) -> None:
    assert QueryHit.read(hit.encode()) == hit


@given(st.binary(max_size=200))
def test_any_bytes(data: bytes) -> None:
    try:
        hit = QueryHit.read(data)
    except RemoteProtocolError:
        return
    assert hit.servent == data[-16:]
    assert len(hit.results) == data[0]


@given(st.binary(max_size=100), st.binary(max_size=60))
def test_any_extension_and_any_trailer(extension: bytes, trailer: bytes) -> None:
    ours = HEAD + bytes(8) + b"name\x00" + extension.replace(b"\x00", b"") + b"\x00"
    hit = QueryHit.read(ours + trailer + GUID)
    assert hit.results[0].name == "name"
    assert hit.servent == GUID
    assert hit.vendor == (trailer[:4] if len(trailer) > 4 else b"")


@given(hits, st.data())
def test_a_hit_that_was_cut_or_changed(hit: QueryHit, data: st.DataObject) -> None:
    wire = bytearray(hit.encode())
    at = data.draw(st.integers(0, len(wire) - 1))
    wire[at] = data.draw(st.integers(0, 255))
    cut = bytes(wire[: data.draw(st.integers(at, len(wire)))])
    with suppress(RemoteProtocolError):
        assert QueryHit.read(cut).servent == cut[-16:]
    assert glanced(cut) == read(cut)


def read(payload: bytes) -> tuple[object, ...] | None:
    try:
        hit = QueryHit.read(payload)
    except RemoteProtocolError:
        return None
    return hit.address, len(hit.results), hit.servent, hit.push


def glanced(payload: bytes) -> Glance | None:
    """The same, without what is in the files."""
    try:
        return Glance.at(payload)
    except RemoteProtocolError:
        return None


def test_separators_alone_are_read_once() -> None:
    extension = b"\x1c" * 60_000 + b"urn:sha1:" + b"A" * 32
    hit = QueryHit.read(HEAD + bytes(8) + b"name\x00" + extension + b"\x00" + GUID)
    assert hit.results[0].sha1 == bytes(20)


def test_a_hit_without_anything_after_its_results() -> None:
    hit = QueryHit.read(HEAD + FILE + GUID)
    assert (hit.vendor, hit.push, hit.ggep) == (b"", None, {})
    assert hit.results == (Result(7, 5, "a b.txt", SHA1),)


def test_a_vendor_without_flags() -> None:
    for opened in (b"\x00", b"\x01\xff"):
        hit = QueryHit.read(HEAD + FILE + b"RAZA" + opened + GUID)
        assert (hit.vendor, hit.push, hit.busy) == (b"RAZA", None, None)


def test_open_data_that_grew() -> None:
    hit = QueryHit.read(HEAD + FILE + b"RAZA\x06\x01\x01\x00\x00\xff\xff" + GUID)
    assert hit.push is True


def test_private_data_with_xml_and_more() -> None:
    """LimeWire: a byte of its own, then GGEP, and XML at the end, whose size is in the open data."""
    xml = b"<x>\xc3</x>\x00"
    size = len(xml).to_bytes(2, "little")
    block = write_ggep({"BH": b"", "PUSH": pack_endpoints([HOST]), "SO": b"token"})
    wire = HEAD + FILE + b"LIME\x04\x3d\x21" + size + b"\x01" + block + xml + GUID
    hit = QueryHit.read(wire)
    assert "BH" in hit.ggep
    assert hit.proxies == (HOST,)
    assert hit.token == b"token"
    assert (hit.push, hit.busy, hit.measured) == (True, False, False)
    no_block = HEAD + FILE + b"LIME\x04\x3d\x21" + size + xml + GUID
    assert QueryHit.read(no_block).ggep == {}


def test_a_hit_that_says_little() -> None:
    hit = QueryHit.read(HEAD + FILE + GUID)
    assert (hit.proxies, hit.token) == ((), None)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        bytes(26),
        b"\x02" + HEAD[1:] + FILE + GUID,  # one more than there are
        b"\xff" + HEAD[1:] + FILE + TRAILER + b"\x00\x00" + GUID,
        HEAD + FILE[:-1] + GUID,  # its NUL is one of the GUID, which is never a part of a result
        HEAD + FILE[:12] + GUID,
        HEAD + GUID,
    ],
)
def test_a_count_that_lies(payload: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        QueryHit.read(payload)


def test_a_result_of_gtk_gnutella() -> None:
    tth = b"\x01\x18" + TTH[1:]  # COBS of a root that starts with NUL
    wire = bytes(4) + b"\x05" + bytes(3) + b"f\x00" + URN + b"\x1c\xc3\xc2TT\x59" + tth + b"\x00"
    result = Result(0, 5, "f", SHA1, TTH)
    assert read_result(wire, 0, len(wire)) == (result, len(wire))
    assert result.encode() == wire


def test_our_info_hash() -> None:
    wire = Result(1, 2, "f", info_hash=BTIH).encode()
    assert wire.endswith(b"\xc3\xc4BTIH\x55" + b"\x01" * 21 + b"\x00")
    assert read_result(wire, 0, len(wire))[0].info_hash == BTIH


@pytest.mark.parametrize("size", [U32 - 1, U32, 1 << 32, 5 << 30, (1 << 64) - 1])
def test_files_of_more_than_4_gib(size: int) -> None:
    wire = Result(1, size, "f").encode()
    assert wire[4:8] == min(size, U32).to_bytes(4, "little")
    assert (b"LF" in wire) == (size >= U32)
    assert read_result(wire, 0, len(wire))[0].size == size


def test_the_size_as_gtk_gnutella_has_it() -> None:
    wire = Result(1, 1 << 32, "f").encode()
    assert wire.endswith(b"f\x00\xc3\xc2LF\x46\x01\x01\x01\x01\x02\x01\x00")


def test_a_size_of_the_proposal() -> None:
    block = write_ggep({"FS64": (5 << 30).to_bytes(8, "little")}, no_nul=True)
    wire = bytes(4) + b"\xff" * 4 + b"f\x00" + block + b"\x00"
    assert read_result(wire, 0, len(wire))[0] == Result(0, 5 << 30, "f")


def test_a_bitprint_and_text_for_people() -> None:
    urn = f"urn:bitprint:{base64.b32encode(SHA1).decode()}.{base64.b32encode(TTH).decode()}"
    ext = b"192 kbps 44 kHz 3:23\x1c" + urn.rstrip("=").encode()
    wire = bytes(8) + b"f\x00" + ext + b"\x00"
    assert read_result(wire, 0, len(wire))[0] == Result(0, 0, "f", SHA1, TTH)


def test_hashes_of_a_wrong_size_are_no_hashes() -> None:
    ggep = write_ggep({"TT": b"short", "BTIH": b"short", "H": b"\x01short"}, no_nul=True)
    wire = bytes(8) + b"f\x00urn:sha1:AAAA\x1c" + ggep + b"\x00"
    assert read_result(wire, 0, len(wire))[0] == Result(0, 0, "f")


@pytest.mark.parametrize("size", [MAX_INFLATED, MAX_INFLATED + 1])
def test_a_result_does_not_inflate_without_bounds(size: int) -> None:
    """With 255 results in a hit, each gets less than a message as a whole."""
    wire = bytes(8) + b"f\x00" + deflated(bytes(size)) + b"\x00"
    read = {"X": bytes(size)} if size <= MAX_INFLATED else {}
    assert read_result(wire, 0, len(wire))[0] == Result(0, 0, "f", ggep=read)


def test_what_a_field_says_is_not_said_twice() -> None:
    wire = Result(1, 2, "f", ggep={"LF": b"\x01", "X": b"1"}).encode()
    assert read_result(wire, 0, len(wire))[0] == Result(1, 2, "f", ggep={"X": b"1"})


@pytest.mark.parametrize(
    "result",
    [
        Result(-1, 0, "f"),
        Result(1 << 32, 0, "f"),
        Result(0, -1, "f"),
        Result(0, 1 << 64, "f"),
        Result(0, 0, "a\x00b"),
        Result(0, 0, "\ud800"),
        Result(0, 0, "f", b"short"),
        Result(0, 0, "f", None, b"short"),
        Result(0, 0, "f", None, None, b"short"),
    ],
)
def test_results_that_cannot_be(result: Result) -> None:
    with pytest.raises(LocalProtocolError):
        QueryHit(HOST, 0, (result,), GUID).encode()


@pytest.mark.parametrize(
    "hit",
    [
        QueryHit(HOST, 0, (Result(0, 0, "f"),) * (MAX_RESULTS + 1), GUID),
        QueryHit(HOST, 0, (Result(0, 0, "f" * 300),) * MAX_RESULTS, GUID),
        QueryHit(Address("::1", 1), 0, (), GUID),
        QueryHit(Address("1.2.3.4", 65536), 0, (), GUID),
        QueryHit(HOST, 0, (), b"short"),
        QueryHit(HOST, 0, (), GUID, b"LONGER"),
        QueryHit(HOST, 0, (), GUID, b""),
    ],
)
def test_hits_that_cannot_be(hit: QueryHit) -> None:
    with pytest.raises(LocalProtocolError):
        hit.encode()


def test_as_many_results_as_there_can_be() -> None:
    hit = QueryHit(HOST, 1 << 40, (Result(0, 0, "f"),) * MAX_RESULTS, GUID)
    read = QueryHit.read(hit.encode())
    assert len(read.results) == MAX_RESULTS
    assert (read.speed, read.vendor) == (U32, OUR_VENDOR)


def test_a_result_has_so_many_extensions() -> None:
    for count, read in ((20, 20), (21, 0)):
        names = [f"X{number}" for number in range(count)]
        result = Result(1, 2, "name", ggep=dict.fromkeys(names, b"x"))
        hit = QueryHit(Address("192.0.2.7", 1), 1, (result,), GUID)
        assert len(QueryHit.read(hit.encode()).results[0].ggep) == read
