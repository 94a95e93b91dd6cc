"""Items, with the test vectors of BEP 44, and the key of RFC 8032."""

from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from p2pswarm.discovery.dht.items import (
    MAX_SALT,
    MAX_VALUE,
    ImmutableItem,
    Item,
    ItemError,
    MutableItem,
    item_of,
    target_of,
)
from p2pswarm.errors import LocalProtocolError
from p2pswarm.formats import bencode
from p2pswarm.formats.signing import SEED_SIZE, SigningKey, is_signed
from p2pswarm.wire.krpc import PUT, ErrorCode, Query, Reply, read_message

HELLO = b"12:Hello World!"
KEY = bytes.fromhex("77ff84905a91936367c01360803104f92432fcd904a43511876df5cdf3e7e548")
SIGNATURE = bytes.fromhex(
    "305ac8aeb6c9c151fa120f120ea2cfb923564e11552d06a5d856091e5e853cff"
    "1260d3f39e4999684aa92eb73ffd136e6f4f3ecbfda0ce53a1608ecd7ae21f01"
)
SALTED = bytes.fromhex(
    "6834284b6b24c3204eb2fea824d82f88883a3d95e8b4a21b8c0ded553d17d17d"
    "df9a8a7104b1258f30bed3787e6cb896fca78c58f8e03b5f18f14951a87d9a08"
)

values = st.recursive(
    st.integers(-(1 << 63), 1 << 63) | st.binary(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.binary(max_size=5), inner),
    max_leaves=5,
)
keys = st.binary(min_size=SEED_SIZE, max_size=SEED_SIZE).map(SigningKey)


def over_the_wire(item: Item, salt: bytes = b"") -> Item:
    """As it comes in by a put, with the salt, and by a reply, without it."""
    put = read_message(Query(method=PUT, transaction=b"t", salt=salt, **item.fields).encode())
    assert isinstance(put, Query)
    reply = read_message(Reply(transaction=b"t", **item.fields).encode())
    assert isinstance(reply, Reply)
    assert item_of(put, put.salt or b"") == item_of(reply, salt)
    return item_of(reply, salt)


# The vectors


def test_a_mutable_item() -> None:
    item = item_of(reply(key=KEY, sequence=1, signature=SIGNATURE))
    assert isinstance(item, MutableItem)
    assert item.target.hex() == "4a533d47ec9c7d95b1ad75f576cffc641853b750"


def test_a_mutable_item_with_a_salt() -> None:
    item = item_of(reply(key=KEY, sequence=1, signature=SALTED), b"foobar")
    assert item.target.hex() == "411eba73b6f087ca51a3795d9c8c938d365e32c1"
    assert target_of(KEY, b"foobar") == item.target


def test_an_immutable_item() -> None:
    item = item_of(reply())
    assert item == ImmutableItem.of(b"Hello World!")
    assert item.target.hex() == "e5f96f6f38320f0f33959cb4d3d656452117aadb"


def test_a_key_of_ours_is_a_key_of_rfc_8032() -> None:
    seed = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"
    key = SigningKey(bytes.fromhex(seed))
    assert key.public.hex() == "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
    assert (
        key.sign(b"").hex().startswith("e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065")
    )
    assert is_signed(b"", key.sign(b""), key.public)


def test_keys_are_new_and_have_their_size() -> None:
    assert SigningKey.new().seed != SigningKey.new().seed
    with pytest.raises(LocalProtocolError, match="32 bytes"):
        SigningKey(b"short")


# What is refused


def reply(**fields: Any) -> Reply:
    return Reply(**{"value": HELLO, **fields})


@pytest.mark.parametrize(
    ("fields", "salt", "code"),
    [
        ({"value": None}, b"", ErrorCode.PROTOCOL),
        ({"value": b"998:" + bytes(998)}, b"", ErrorCode.TOO_BIG),
        ({"key": KEY, "signature": SIGNATURE}, b"", ErrorCode.PROTOCOL),
        ({"key": KEY, "sequence": 1}, b"", ErrorCode.BAD_SIGNATURE),
        ({"key": KEY, "sequence": 2, "signature": SIGNATURE}, b"", ErrorCode.BAD_SIGNATURE),
        ({"key": KEY, "sequence": 1, "signature": SIGNATURE}, b"foobar", ErrorCode.BAD_SIGNATURE),
        ({"key": KEY, "sequence": 1, "signature": SALTED}, b"", ErrorCode.BAD_SIGNATURE),
        ({"key": b"\xff" * 32, "sequence": 1, "signature": SALTED}, b"", ErrorCode.BAD_SIGNATURE),
        ({"key": KEY, "sequence": 1, "signature": SALTED}, bytes(65), ErrorCode.SALT_TOO_BIG),
    ],
)
def test_what_is_no_item_has_a_code(fields: dict[str, Any], salt: bytes, code: ErrorCode) -> None:
    with pytest.raises(ItemError) as error:
        item_of(reply(**fields), salt)
    assert error.value.code is code


def test_the_largest_item_is_taken_and_ours_are_no_larger() -> None:
    key = SigningKey.new()
    item = MutableItem.signed(key, bytes(MAX_VALUE - 4), 0, bytes(MAX_SALT))
    assert over_the_wire(item, bytes(MAX_SALT)) == item
    with pytest.raises(ItemError):
        ImmutableItem.of(bytes(MAX_VALUE - 3))
    with pytest.raises(ItemError):
        MutableItem.signed(key, bytes(MAX_VALUE - 3), 0)
    with pytest.raises(ItemError):
        MutableItem.signed(key, b"", 0, bytes(MAX_SALT + 1))


def test_a_value_stays_as_it_was_written() -> None:
    unsorted = b"d1:bi1e1:ai2ee"
    item = over_the_wire(ImmutableItem(unsorted))
    assert item.raw == unsorted
    assert item.value == {b"a": 2, b"b": 1}


@settings(max_examples=30, deadline=None)
@given(keys, values, st.integers(0, (1 << 63) - 1), st.binary(max_size=MAX_SALT))
def test_what_is_signed_is_taken(key: SigningKey, value: Any, number: int, salt: bytes) -> None:
    item = MutableItem.signed(key, value, number, salt)
    assert over_the_wire(item, salt) == item
    assert item.value == value
    assert item.target == target_of(key.public, salt)


@settings(max_examples=30, deadline=None)
@given(values)
def test_an_immutable_item_survives_the_wire(value: Any) -> None:
    item = ImmutableItem.of(value)
    assert over_the_wire(item) == item
    assert bencode.encode(item.value) == item.raw


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 63), st.integers(1, 255))
def test_a_changed_signature_is_refused(at: int, flip: int) -> None:
    changed = bytearray(SIGNATURE)
    changed[at] ^= flip
    with pytest.raises(ItemError):
        item_of(reply(key=KEY, sequence=1, signature=bytes(changed)))
