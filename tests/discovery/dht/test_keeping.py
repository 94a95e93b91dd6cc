"""What a node answers to `get`, `put` and `sample_infohashes`, one question at a time."""

from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from p2pswarm.discovery.dht.answers import MAX_REPLY
from p2pswarm.discovery.dht.items import MAX_SALT, ImmutableItem, Item, MutableItem, item_of
from p2pswarm.discovery.dht.keeping import Keeping
from p2pswarm.discovery.dht.network import Network
from p2pswarm.discovery.dht.samples import INTERVAL, MOST
from p2pswarm.discovery.dht.shelves import LIFE
from p2pswarm.discovery.dht.store import PeerStore
from p2pswarm.discovery.dht.tokens import Tokens
from p2pswarm.formats.ids import Address, InfoHash
from p2pswarm.formats.signing import SigningKey
from p2pswarm.wire.krpc import (
    GET,
    PUT,
    SAMPLE_INFOHASHES,
    Contact,
    Error,
    ErrorCode,
    Family,
    NodeId,
    Query,
    Reply,
    read_message,
)

KEY = SigningKey(bytes(32))
V4, V6 = Address("192.0.2.1", 6881), Address("2001:db8::1", 6881)
NODES = tuple(Contact(NodeId(bytes([n]) * 20), Address(f"192.0.2.{n}", 1)) for n in range(1, 9))
NODES6 = tuple(Contact(NodeId(bytes([n]) * 20), Address(f"2001:db8::{n}", 1)) for n in range(1, 9))


class Node:
    """The parts of a `Dht` that are asked, and a clock."""

    def __init__(self) -> None:
        self.now = 0.0
        self.networks = {Family.IPV4: Network(Family.IPV4, NodeId(bytes(20)), Random(1))}
        self.tokens = Tokens(Random(1), 0.0)
        self.store = PeerStore()
        self.routes: dict[bytes, Callable[[Query, Address], Reply | Error]] = {}
        self.keeping = Keeping(self, clock=lambda: self.now, dice=Random(1))  # type: ignore[arg-type]

    def route(self, method: bytes, handler: Callable[[Query, Address], Reply | Error]) -> None:
        self.routes[method] = handler

    def nearest(self, query: Query, address: Address) -> Reply:
        token = self.tokens.make(address, self.now)
        return Reply(nodes=NODES, nodes6=NODES6, token=token)

    def asked(self, method: bytes, address: Address = V4, **fields: Any) -> Any:
        """As it goes over the wire, both ways."""
        query = read_message(Query(method=method, transaction=b"t", **fields).encode())
        assert isinstance(query, Query)
        data = replace(self.routes[method](query, address), transaction=bytes(32)).encode()
        assert len(data) <= MAX_REPLY
        return read_message(data)

    def put(self, item: Item, address: Address = V4, **more: Any) -> Any:
        token = self.asked(GET, address, target=item.target).token
        salt = item.salt if isinstance(item, MutableItem) else None
        return self.asked(PUT, address, **{"token": token, "salt": salt, **item.fields, **more})


@pytest.fixture
def node() -> Node:
    return Node()


def signed(number: int, value: bytes = b"news", salt: bytes = b"") -> MutableItem:
    return MutableItem.signed(KEY, value, number, salt)


@pytest.mark.parametrize("item", [ImmutableItem.of(b"hello"), signed(1), signed(7, salt=b"s")])
def test_what_is_put_is_got(node: Node, item: Item) -> None:
    assert isinstance(node.put(item), Reply)
    reply = node.asked(GET, V6, target=item.target)
    assert item_of(reply, getattr(item, "salt", b"")) == item
    assert reply.token
    assert reply.nodes6
    node.now = LIFE
    assert node.asked(GET, target=item.target).value is None


def test_who_has_the_newest_hears_the_number_only(node: Node) -> None:
    node.put(signed(5))
    for number in (5, 6):
        reply = node.asked(GET, target=signed(5).target, sequence=number)
        assert (reply.sequence, reply.value, reply.signature, reply.key) == (5, None, None, None)
    assert node.asked(GET, target=signed(5).target, sequence=4).value == signed(5).raw


def test_the_largest_item_fits_into_a_packet_and_leaves_out_the_other_network(node: Node) -> None:
    item = signed(1, bytes(996))
    node.put(item)
    reply = node.asked(GET, V4, target=item.target)
    assert reply.value == item.raw
    assert not reply.nodes6
    assert reply.nodes == NODES[: len(reply.nodes)] != ()
    reply = node.asked(GET, V6, target=item.target)
    assert not reply.nodes
    assert reply.nodes6 == NODES6[: len(reply.nodes6)] != ()


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"token": None}, ErrorCode.PROTOCOL),
        ({"token": b"guessed"}, ErrorCode.PROTOCOL),
        ({"value": None}, ErrorCode.PROTOCOL),
        ({"value": b"997:" + bytes(997)}, ErrorCode.TOO_BIG),
        ({"sequence": 2}, ErrorCode.BAD_SIGNATURE),
        ({"salt": bytes(MAX_SALT + 1)}, ErrorCode.SALT_TOO_BIG),
    ],
)
def test_what_is_not_taken_has_a_code(node: Node, fields: dict[str, Any], code: ErrorCode) -> None:
    error = node.put(signed(1), **fields)
    assert isinstance(error, Error)
    assert error.code == code
    assert not len(node.keeping.shelves)


def test_old_numbers_and_wrong_comparisons_have_codes(node: Node) -> None:
    node.put(signed(5))
    assert node.put(signed(4)).code == ErrorCode.SEQUENCE_TOO_LOW
    assert node.put(signed(6), cas=4).code == ErrorCode.CAS_MISMATCH
    assert isinstance(node.put(signed(6), cas=5), Reply)


def test_a_token_is_for_one_host(node: Node) -> None:
    token = node.asked(GET, V4, target=signed(1).target).token
    error = node.asked(PUT, Address("192.0.2.2", 6881), token=token, **signed(1).fields)
    assert error.code == ErrorCode.PROTOCOL


def test_samples_are_of_the_network_of_who_asks(node: Node) -> None:
    for number in range(100):
        node.store.add(InfoHash(bytes(19) + bytes([number])), V4, 0.0, seed=False)
    reply = node.asked(SAMPLE_INFOHASHES, V4, target=NodeId(bytes(20)))
    assert (len(set(reply.samples)), reply.count, reply.interval) == (MOST, 100, INTERVAL)
    assert reply.nodes == NODES
    reply = node.asked(SAMPLE_INFOHASHES, V6, target=NodeId(bytes(20)))
    assert (reply.samples, reply.count) == ((), 0)


@pytest.mark.parametrize("method", [GET, SAMPLE_INFOHASHES])
def test_a_question_without_a_target_is_an_error(node: Node, method: bytes) -> None:
    assert node.asked(method).code == ErrorCode.PROTOCOL


anything = st.fixed_dictionaries(
    {},
    optional={
        "target": st.binary(min_size=20, max_size=20).map(NodeId) | st.just(signed(1).target),
        "value": st.sampled_from([signed(1).raw, b"i1e", b"de", b"l" * 5 + b"e" * 5]),
        "key": st.binary(min_size=32, max_size=32) | st.just(KEY.public),
        "signature": st.binary(min_size=64, max_size=64) | st.just(signed(1).signature),
        "sequence": st.integers(0, (1 << 63) - 1) | st.just(1),
        "salt": st.binary(max_size=100),
        "cas": st.integers(0, 3),
        "token": st.binary(min_size=1, max_size=20) | st.just(None),
    },
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([GET, PUT, SAMPLE_INFOHASHES]), anything), max_size=8))
def test_whatever_is_asked_has_an_answer(asked: list[tuple[bytes, dict[str, Any]]]) -> None:
    node = Node()
    for method, fields in asked:
        token = node.tokens.make(V4, 0.0)
        if "token" in fields and fields["token"] is None:
            fields["token"] = token
        assert isinstance(node.asked(method, **fields), Reply | Error)
    node.keeping.shelves.check()
