import random
import zlib

import pytest
from hypothesis import given, strategies as st

from p2pswarm.errors import LocalProtocolError, RemoteProtocolError
from p2pswarm.wire.gnutella.qrp import (
    INFINITY,
    QueryTable,
    TableReader,
    patches,
    size_for,
)
from p2pswarm.wire.gnutella.routes import Patch, Reset, read_routes

URN = "urn:sha1:PLSTHIPQGSSZTS5FJUPAKUZWUGYQYPFB"


def table(size: int, *slots: int) -> QueryTable:
    return QueryTable(size, sum(1 << (size - 1 - slot) for slot in set(slots)))


def entries_of(old: QueryTable, new: QueryTable, bits: int, infinity: int) -> list[int]:
    """The differences as the document has them, slot by slot: the twin of what the room does at once."""
    if bits == 1:
        return [old.has(slot) != new.has(slot) for slot in range(new.size)]
    value = lambda some, slot: 1 if some.has(slot) else infinity  # noqa: E731
    return [value(new, slot) - value(old, slot) for slot in range(new.size)]


def pack(entries: list[int], bits: int) -> bytes:
    text = "".join(f"{entry % (1 << bits):0{bits}b}" for entry in entries)
    return int(text, 2).to_bytes(len(text) // 8, "big")


def sequence(data: bytes, bits: int, compressor: int, parts: int) -> list[Patch]:
    if compressor:
        data = zlib.compress(data)
    step = -(-len(data) // parts)
    chunks = [data[at : at + step] for at in range(0, len(data), step)]
    return [Patch(n, len(chunks), compressor, bits, chunk) for n, chunk in enumerate(chunks, 1)]


def said(reader: TableReader, text: str) -> bool:
    payload = bytes(int(byte, 16) for byte in text.split())
    message = read_routes(payload)
    assert message is not None
    assert message.encode() == payload
    return reader.feed(message)


sizes = st.sampled_from([8, 16, 64, 1024])
tables = sizes.flatmap(
    lambda size: st.builds(QueryTable, st.just(size), st.integers(0, (1 << size) - 1))
)
pairs = sizes.flatmap(
    lambda size: st.tuples(
        *[st.builds(QueryTable, st.just(size), st.integers(0, (1 << size) - 1))] * 2
    )
)


# QRP 1.0, appendix B, the payloads: "test" comes (slot 2), "qrp" comes, "test" goes. The text has "qrp" in
# slot 7, as it hashes; the bytes of every example have it in 6.
@pytest.mark.parametrize(
    "updates",
    [
        [
            ["1 1 1 0 8 0 0 fa 0 0 0 0 0"],
            ["1 1 1 0 8 0 0 0 0 0 0 fa 0"],
            ["1 1 1 0 8 0 0 6 0 0 0 0 0"],
        ],
        [["1 1 1 0 4 0 a0 0 0"], ["1 1 1 0 4 0 0 0 a0"], ["1 1 1 0 4 0 60 0 0"]],
        [
            ["1 1 2 0 4 0 a0", "1 2 2 0 4 0 0"],
            ["1 1 2 0 4 0 0", "1 2 2 0 4 0 a0"],
            ["1 1 2 0 4 0 60", "1 2 2 0 4 0 0"],
        ],
        [
            ["1 1 1 1 4 78 9c 63 58 c0 c0 0 0 1 e4 0 a1"],
            ["1 1 1 1 4 78 9c 63 60 60 58 0 0 0 a4 0 a1"],
            ["1 1 1 1 4 78 9c 63 48 60 60 0 0 1 24 0 61"],
        ],
        [
            ["1 1 2 1 4 78 9c 63 58 c0 c0 0 0 1 e4", "1 2 2 1 4 0 a1"],
            ["1 1 2 1 4 78 9c 63 60 60 58 0 0 0 a4", "1 2 2 1 4 0 a1"],
            ["1 1 2 1 4 78 9c 63 48 60 60 0 0 1 24", "1 2 2 1 4 0 61"],
        ],
    ],
)
def test_examples_of_the_document(updates: list[list[str]]) -> None:
    reader = TableReader()
    said(reader, "0 8 0 0 0 7")
    for update, slots in zip(updates, [{2}, {2, 6}, {6}], strict=True):
        before = reader.table
        for payload in update[:-1]:
            assert not said(reader, payload)
            assert reader.table is before
        assert said(reader, update[-1])
        assert reader.table == table(8, *slots)


def test_we_say_the_examples_of_the_document() -> None:
    reset, first = patches(None, table(8, 2))
    assert reset.encode().hex(" ") == "00 08 00 00 00 07"
    assert first == Patch(1, 1, 1, 4, zlib.compress(bytes.fromhex("00a00000")))
    (second,) = patches(table(8, 2), table(8, 2, 6))
    assert second == Patch(1, 1, 1, 4, zlib.compress(bytes.fromhex("000000a0")))
    (third,) = patches(table(8, 2, 6), table(8, 6))
    assert third == Patch(1, 1, 1, 4, zlib.compress(bytes.fromhex("00600000")))


@given(pairs, st.integers(1, 2))
def test_a_neighbour_has_what_we_said(pair: tuple[QueryTable, QueryTable], rounds: int) -> None:
    reader, said = TableReader(), None
    for new in pair * rounds:
        for message in patches(said, new):
            reader.feed(message)
        said = new
        assert reader.table == new


@pytest.mark.parametrize(
    ("bits", "infinity"),
    [(1, 7), (1, 1), (2, 2), (4, 2), (4, 7), (4, 8), (8, 7), (8, 11), (8, 128)],
)
@given(pair=pairs, packed=st.booleans(), parts=st.integers(1, 255))
def test_patches_of_any_width(
    bits: int, infinity: int, pair: tuple[QueryTable, QueryTable], packed: bool, parts: int
) -> None:
    first, second = pair
    reader, old = TableReader(), QueryTable(first.size)
    reader.feed(Reset(first.size, infinity))
    for new in (first, second):
        data = pack(entries_of(old, new, bits, infinity), bits)
        *begin, last = sequence(data, bits, int(packed), parts)
        assert not any(reader.feed(patch) for patch in begin)
        assert reader.feed(last)
        assert reader.table == new
        old = new


def test_a_table_has_another_size() -> None:
    reader = TableReader()
    for old, new in [(None, table(64, 1)), (table(64, 1), table(8, 5)), (table(8, 5), table(16))]:
        messages = patches(old, new)
        assert messages[0] == Reset(new.size, INFINITY)
        reader.feed(messages[0])
        assert reader.table is None
        assert [reader.feed(message) for message in messages[1:]] == [True]
        assert reader.table == new


def test_nothing_new_is_not_said() -> None:
    assert patches(table(64, 1), table(64, 1)) == []


def test_large_tables_go_in_messages_of_4_kib() -> None:
    new = QueryTable(1 << 18, random.Random(5).getrandbits(1 << 18))
    reset, *rest = patches(None, new)
    assert all(len(message.encode()) <= 4096 for message in rest)
    assert [message.seq for message in rest] == list(range(1, len(rest) + 1))  # type: ignore[union-attr]
    assert len(rest) > 2
    reader = TableReader()
    assert [reader.feed(message) for message in (reset, *rest)][-1]
    assert reader.table == new


def test_a_word_that_comes_nearer_or_moves_away_is_still_there() -> None:
    reader = TableReader()
    reader.feed(Reset(8, 7))
    reader.feed(Patch(1, 1, 0, 8, bytes([0xFA, 0xFD, 0, 0, 0, 0, 0, 0])))  # 1 and 4 hops
    reader.feed(Patch(1, 1, 0, 8, bytes([2, 0xFF, 0, 0, 0, 0, 0, 0])))  # 3 and 3 hops
    assert reader.table == table(8, 0, 1)


@pytest.mark.parametrize(
    "reset", [Reset(0, 7), Reset(4, 7), Reset(1 << 22, 7), Reset(100, 7), Reset(64, 0)]
)
def test_impossible_tables(reset: Reset) -> None:
    with pytest.raises(RemoteProtocolError):
        TableReader().feed(reset)


GOOD = bytes(32)


@pytest.mark.parametrize(
    "wrong",
    [
        [Patch(1, 1, 0, 3, GOOD)],
        [Patch(1, 1, 2, 4, GOOD)],
        [Patch(0, 1, 0, 4, GOOD)],
        [Patch(2, 2, 0, 4, GOOD)],
        [Patch(1, 0, 0, 4, GOOD)],
        [Patch(1, 1, 0, 4, GOOD[1:])],
        [Patch(1, 1, 0, 4, GOOD + b"x")],
        [Patch(1, 1, 0, 4, bytes(10_000))],
        [Patch(1, 1, 1, 4, GOOD)],
        [Patch(1, 1, 1, 4, zlib.compress(GOOD[1:]))],
        [Patch(1, 1, 1, 4, zlib.compress(bytes(10_000_000)))],
        [Patch(1, 1, 1, 4, zlib.compress(random.Random(1).randbytes(32))[:-9])],
        [Patch(1, 3, 0, 4, b"a"), Patch(3, 3, 0, 4, GOOD)],
        [Patch(1, 3, 0, 4, b"a"), Patch(1, 3, 0, 4, b"a")],
        [Patch(1, 3, 0, 4, b"a"), Patch(2, 2, 0, 4, GOOD)],
        [Patch(1, 2, 0, 4, b"a"), Patch(2, 2, 1, 4, GOOD)],
        [Patch(1, 2, 0, 4, b"a"), Patch(2, 2, 0, 8, GOOD)],
        [Patch(n, 255, 1, 4, bytes(4000)) for n in (1, 2)],
    ],
)
def test_patches_that_do_not_fit(wrong: list[Patch]) -> None:
    reader = TableReader()
    reader.feed(Reset(64, 7))
    reader.feed(Patch(1, 1, 0, 1, b"\x80" + bytes(7)))
    *begin, last = wrong
    assert not any(reader.feed(patch) for patch in begin)
    with pytest.raises(RemoteProtocolError):
        reader.feed(last)
    assert reader.table == table(64, 0)


def test_a_patch_of_no_table() -> None:
    with pytest.raises(RemoteProtocolError):
        TableReader().feed(Patch(1, 1, 0, 4, GOOD))


def test_a_reset_ends_a_sequence() -> None:
    reader = TableReader()
    reader.feed(Reset(64, 7))
    reader.feed(Patch(1, 2, 0, 4, GOOD))
    reader.feed(Reset(8, 7))
    assert reader.feed(Patch(1, 1, 0, 1, b"\x01"))
    assert reader.table == table(8, 7)


messages = st.one_of(
    st.builds(Reset, sizes | st.integers(0, 1 << 22), st.integers(0, 255)),
    st.builds(
        Patch,
        st.integers(0, 3),
        st.integers(0, 3),
        st.integers(0, 2),
        st.sampled_from([1, 2, 3, 4, 8]),
        st.binary(max_size=40)
        | st.integers(0, 1100).map(bytes)
        | st.integers(0, 1100).map(lambda n: zlib.compress(bytes(n))),
    ),
)


@given(st.lists(messages, max_size=8))
def test_any_messages_make_a_table_or_are_refused(some: list[Reset | Patch]) -> None:
    reader = TableReader()
    for message in some:
        try:
            changed = reader.feed(message)
        except RemoteProtocolError:
            return
        assert not changed or reader.table is not None


@given(st.binary(max_size=40))
def test_any_payload_is_read_or_refused(payload: bytes) -> None:
    for read in (read_routes, Reset.read, Patch.read):
        try:
            message = read(payload)
        except RemoteProtocolError:
            continue
        assert message is None or payload.startswith(message.encode())


def test_variants_of_later_documents_are_left_out() -> None:
    assert read_routes(b"\2whatever") is None


@pytest.mark.parametrize("payload", [b"", b"\0\0\0\1\0", b"\1\1\1\0"])
def test_payloads_that_end_too_early(payload: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        read_routes(payload)


@pytest.mark.parametrize("message", [Reset(1 << 32, 7), Reset(8, 256), Patch(1, 256, 0, 4, b"")])
def test_what_cannot_be_said_is_our_own_fault(message: Reset | Patch) -> None:
    with pytest.raises(LocalProtocolError):
        message.encode()


def test_a_query_needs_all_its_words_or_one_of_its_urns() -> None:
    some = QueryTable()
    some.add_name("Blue moon.mp3")
    some.add_urn(URN)
    assert some.may_have(["blue", "moo"])
    assert not some.may_have(["blue", "sun"])
    assert some.may_have([])
    assert some.may_have(["sun"], [URN.replace("P", "Q"), URN.lower()])
    assert not some.may_have(["blue"], [URN.replace("P", "Q")])


def test_what_a_table_tells_of_itself() -> None:
    some = table(64, 0, 9, 63)
    assert (some.size, some.count) == (64, 3)
    assert [slot for slot in range(64) if some.has(slot)] == [0, 9, 63]
    assert repr(some) == "<QueryTable 3 of 64>"
    assert some == table(64, 63, 9, 0) != table(64, 9)
    assert some != table(128, 0, 9, 63)
    assert some != 1


@given(tables, tables)
def test_a_merged_table_misses_nothing(ours: QueryTable, theirs: QueryTable) -> None:
    size, before = ours.size, QueryTable(ours.size, ours.slots)
    ours.merge(theirs)
    assert ours.size == size
    for slot in range(max(size, theirs.size)):
        mine, other = (slot * some.size // max(size, theirs.size) for some in (ours, theirs))
        if before.has(mine) or theirs.has(other):
            assert ours.has(mine)
    assert ours.count <= before.count + theirs.count * max(size // theirs.size, 1)


@given(st.lists(st.text(max_size=12), max_size=20), sizes, sizes)
def test_words_are_found_in_any_size(words: list[str], small: int, large: int) -> None:
    small, large = sorted((small, large))
    tables = QueryTable(small), QueryTable(large)
    for some in tables:
        for word in words:
            some.add_word(word)
    assert tables[1].resized(small) == tables[0]
    assert tables[0].resized(large).may_have(words)
    assert tables[0].resized(large).resized(small) == tables[0]


def test_tables_grow_with_their_words() -> None:
    assert size_for(0) == size_for(6553) == 1 << 16
    assert size_for(6554) == 1 << 17
    assert size_for(100_000) == size_for(10**9) == 1 << 20
