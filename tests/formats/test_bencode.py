"""Bencode: any bytes give a value or BencodeError, what we write is canonical, traps are refused."""

from typing import Any

import bencodepy
import pytest
from hypothesis import given, settings, strategies as st

from p2pswarm.errors import BencodeError
from p2pswarm.formats import bencode
from p2pswarm.formats.ids import InfoHash

VALUES = st.recursive(
    st.integers(-(10**19), 10**19) | st.binary(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=5) | st.dictionaries(st.binary(max_size=8), inner, max_size=5)
    ),
    max_leaves=20,
)
# Random bytes hardly ever nest; a soup of tokens does.
TOKENS = st.lists(
    st.sampled_from(
        [
            b"i",
            b"l",
            b"d",
            b"e",
            b"0:",
            b"1:a",
            b"1:b",
            b"4:info",
            b"i0e",
            b"i-5e",
            b"9:",
            b"-",
            b"0",
        ]
    )
    | st.binary(max_size=2),
    max_size=25,
).map(b"".join)
ANY_BYTES = st.binary(max_size=60) | TOKENS


@given(VALUES)
def test_a_value_survives(value: Any) -> None:
    assert bencode.decode(bencode.encode(value)) == value


@given(VALUES, st.binary(max_size=10))
def test_a_prefix_tells_its_end(value: Any, tail: bytes) -> None:
    data = bencode.encode(value)
    assert bencode.decode_prefix(data + tail) == (value, len(data))


@given(VALUES)
def test_we_write_what_the_library_writes(value: Any) -> None:
    assert bencode.encode(value) == bencodepy.Bencode(encoding=None).encode(value)


@given(st.dictionaries(st.binary(max_size=5), VALUES, max_size=5), st.binary(max_size=10))
def test_a_span_is_the_raw_value(table: dict[bytes, Any], tail: bytes) -> None:
    data = bencode.encode(table)
    for key, value in table.items():
        where = bencode.span(data + tail, key)
        assert where is not None
        assert data[slice(*where)] == bencode.encode(value)
        assert bencode.decode_located(data, key) == (table, where)
    assert bencode.span(data, b"none of them") is None


@given(ANY_BYTES)
@settings(max_examples=250)
def test_any_bytes_give_a_value_or_our_error(data: bytes) -> None:
    try:
        value, end = bencode.decode_prefix(data)
    except BencodeError as error:
        assert_one_line(error)
        with pytest.raises(BencodeError):
            bencode.decode(data)
        return
    assert bencodepy.Bencode(encoding=None).decode(data[:end]) == value
    if end == len(data):
        assert bencode.decode(data) == value
    else:
        with pytest.raises(BencodeError, match="follow"):
            bencode.decode(data)


@given(ANY_BYTES, st.sampled_from([b"info", b"a", b""]))
@settings(max_examples=200)
def test_any_bytes_have_a_span_or_not(data: bytes, key: bytes) -> None:
    try:
        where = bencode.span(data, key)
    except BencodeError as error:
        assert_one_line(error)
        return
    table, end = bencode.decode_prefix(data)
    assert (where is not None) == (key in table)
    if where is not None:
        assert bencode.decode(data[slice(*where)]) == table[key]
        assert bencode.decode_located(data[:end], key) == (table, where)


def assert_one_line(error: BencodeError) -> None:
    text = str(error)
    assert text
    assert text.isprintable()
    assert len(text) < 200


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty"),
        (b"i", "too early"),
        (b"i-", "too early"),
        (b"i12", "too early"),
        (b"12", "too early"),
        (b"l", "too early"),
        (b"d1:a", "too early"),
        (b"5:spam", "past the end"),
        (b"ie", "not bencode"),
        (b"i 5e", "not bencode"),
        (b"i+5e", "not bencode"),
        (b"i1_0e", "not bencode"),
        (b"i\xd9\xa5e", "not bencode"),
        (b"-1:a", "not bencode"),
        (b"d-4:e", "not bencode"),
        (b"i05e", "not canonical"),
        (b"i-0e", "not canonical"),
        (b"i-05e", "not canonical"),
        (b"i" + b"0" * 50 + b"e", "not canonical"),
        (b"04:spam", "not canonical"),
        (b"i" + b"9" * 21 + b"e", "21 digits"),
        (b"9" * 5000 + b":", "5000 digits"),
        (b"e", "without a beginning"),
        (b"lee", "1 bytes follow"),
        (b"di1ei2ee", "not a string"),
        (b"dlelee", "not a string"),
        (b"d1:ae", "without a value"),
        (b"d1:a1:x1:a1:ye", "twice"),
        (b"d1:b1:x1:a1:y1:b1:ze", "b'b' stands twice"),
        (b"d" + b"40:" + b"\xff" * 40 + b"i1e" + b"40:" + b"\xff" * 40 + b"i1ee", "twice"),
        (b"l" * 101 + b"e" * 101, "nested deeper than 100"),
        (b"l" * 5_000_000, "nested deeper than 100"),
    ],
)
def test_junk_is_refused_and_told(data: bytes, words: str) -> None:
    with pytest.raises(BencodeError, match=words) as caught:
        bencode.decode(data)
    assert_one_line(caught.value)


def test_values_come_as_bytes_whatever_they_hold() -> None:
    assert bencode.decode(b"l4:spam2:\xff\xfee") == [b"spam", b"\xff\xfe"]


def test_unsorted_keys_are_read_and_written_sorted() -> None:
    data = b"d1:b1:x1:a1:ye"
    assert bencode.decode(data) == {b"a": b"y", b"b": b"x"}
    assert bencode.encode(bencode.decode(data)) == b"d1:a1:y1:b1:xe"


def test_the_caps_hold_exactly() -> None:
    nested = b"l" * 5 + b"e" * 5
    assert bencode.decode(nested, max_depth=5) == [[[[[]]]]]
    assert bencode.decode(nested, max_size=10, max_tokens=10) == [[[[[]]]]]
    with pytest.raises(BencodeError, match="nested deeper than 4"):
        bencode.decode(nested, max_depth=4)
    with pytest.raises(BencodeError, match="10 bytes of bencode, at most 9"):
        bencode.decode(nested, max_size=9)
    with pytest.raises(BencodeError, match="more than 9 values"):
        bencode.decode(nested, max_tokens=9)
    with pytest.raises(BencodeError, match="at most 10485760"):
        bencode.decode_located(bytes(bencode.MAX_SIZE + 1), b"info")


def test_a_value_need_not_be_bytes_to_be_read() -> None:
    assert bencode.decode_prefix(bytearray(b"d1:a1:be")) == ({b"a": b"b"}, 8)
    assert bencode.decode_prefix(memoryview(b"d1:a1:be")) == ({b"a": b"b"}, 8)


def test_the_span_is_of_the_top_dictionary_only() -> None:
    data = b"d1:ad4:infoi1ee4:listl4:infoi2ee4:infoi3ee"
    assert bencode.span(data, b"info") == (len(data) - 4, len(data) - 1)
    with pytest.raises(BencodeError, match="not a bencoded dictionary"):
        bencode.span(b"l4:infoi1ee", b"info")


def test_kinds_of_bytes_and_lists_are_written_alike() -> None:
    name = InfoHash(b"h" * 20)
    value = {name: [bytearray(b"ab"), memoryview(b"cd"), name, (1, True + 1)]}
    assert (
        bencode.encode(value)
        == b"d20:hhhhhhhhhhhhhhhhhhhhl2:ab2:cd20:hhhhhhhhhhhhhhhhhhhhli1ei2eeee"
    )


@pytest.mark.parametrize(
    "value", ["text", 1.5, None, True, [{}, "text"], {"key": 1}, {1: 2}, object()]
)
def test_what_has_no_bencode_is_refused(value: object) -> None:
    with pytest.raises(BencodeError, match="cannot be bencoded"):
        bencode.encode(value)


def test_a_value_that_holds_itself_is_refused() -> None:
    endless: list[object] = []
    endless.append(endless)
    with pytest.raises(BencodeError, match="too deep"):
        bencode.encode(endless)
