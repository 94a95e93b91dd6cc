import contextlib

import pytest
from hypothesis import example, given, settings, strategies as st

from p2pswarm.errors import RemoteError, RemoteProtocolError
from p2pswarm.formats import bencode
from p2pswarm.formats.ids import Address, InfoHash
from p2pswarm.wire import krpc
from p2pswarm.wire.krpc import Contact, Error, Family, NodeId, Query, Reply, read_message

ME = NodeId(b"abcdefghij0123456789")
OTHER = NodeId(b"mnopqrstuvwxyz123456")
V4, V6 = Address("85.1.2.3", 6881), Address("2001:db8::7", 51413)

twenty = st.binary(min_size=20, max_size=20)
ids = twenty.map(NodeId)
hashes = twenty.map(InfoHash)
ports = st.integers(1, 65535)
v4 = st.builds(Address, st.ip_addresses(v=4).map(str), ports).filter(lambda a: a.dialable)
v6 = st.builds(Address, st.ip_addresses(v=6).map(str), ports).filter(
    lambda a: a.dialable and a.normal == a
)
numbers = st.integers(0, 2**63 - 1)
values = st.recursive(
    st.integers(-9, 9) | st.binary(max_size=9), lambda inner: st.lists(inner, max_size=3)
).map(bencode.encode)
item = {
    "value": st.none() | values,
    "key": st.none() | st.binary(min_size=32, max_size=32),
    "signature": st.none() | st.binary(min_size=64, max_size=64),
    "sequence": st.none() | numbers,
}
tokens = st.none() | st.binary(min_size=1, max_size=128)
transactions = st.binary(max_size=32)
queries = st.builds(
    Query,
    method=st.binary(max_size=20),
    transaction=transactions,
    id=ids,
    read_only=st.booleans(),
    version=st.just(b"PS\1\0"),
    target=st.none() | ids,
    info_hash=st.none() | hashes,
    want=st.none() | st.frozensets(st.sampled_from(Family)),
    port=st.none() | st.integers(0, 65535),
    implied_port=st.booleans(),
    token=tokens,
    seed=st.booleans(),
    noseed=st.booleans(),
    scrape=st.booleans(),
    salt=st.none() | st.binary(max_size=70),
    cas=st.none() | numbers,
    **item,
)
blooms = st.none() | st.binary(min_size=256, max_size=256)
replies = st.builds(
    Reply,
    transaction=transactions,
    id=ids,
    version=st.just(b"PS\1\0"),
    external=st.none() | v4 | v6,
    nodes=st.none() | st.lists(st.builds(Contact, ids, v4), max_size=3).map(tuple),
    nodes6=st.none() | st.lists(st.builds(Contact, ids, v6), max_size=3).map(tuple),
    values=st.none() | st.lists(v4 | v6, max_size=5).map(tuple),
    token=tokens,
    seeds=blooms,
    peers=blooms,
    samples=st.none() | st.lists(hashes, max_size=3).map(tuple),
    interval=st.none() | numbers,
    count=st.none() | numbers,
    **item,
)
errors = st.builds(
    Error, transaction=transactions, code=st.integers(0, 999), text=st.just("Server Error")
)


@settings(max_examples=150)
@given(queries | replies | errors)
def test_what_is_written_is_read_again(message: krpc.Message) -> None:
    data = message.encode()
    assert read_message(data) == message
    assert bencode.encode(bencode.decode(data)) == data, "not canonical"


@settings(max_examples=150)
@given(queries | replies, st.data())
def test_a_spoiled_message_is_a_message_or_a_fault_of_the_sender(
    message: Query | Reply, data: st.DataObject
) -> None:
    spoiled = bytearray(message.encode())
    for _ in range(data.draw(st.integers(1, 4))):
        spoiled[data.draw(st.integers(0, len(spoiled) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(RemoteError):
        read_message(bytes(spoiled)).encode()


@settings(max_examples=100)
@given(
    st.binary(max_size=60)
    | st.dictionaries(
        st.sampled_from((b"t", b"y", b"q", b"a", b"r", b"e", b"v", b"ip", b"ro")),
        st.recursive(
            st.sampled_from((b"q", b"r", b"e", b"aa", 1)) | st.binary(max_size=30),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(st.sampled_from((b"id", b"nodes", b"values", b"v")), inner)
            ),
        ),
    ).map(bencode.encode)
)
@example(b"")
@example(b"de")
@example(b"d1:ale1:q4:ping1:t2:aa1:y1:qe")
def test_any_bytes_are_a_message_or_a_fault_of_the_sender(data: bytes) -> None:
    with contextlib.suppress(RemoteError):
        read_message(data)


def test_the_examples_of_bep_5_are_read_and_written() -> None:
    """The bytes of the specification; ours have `v` too."""
    ask = b"d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe"
    assert read_message(ask) == Query(method=krpc.PING, transaction=b"aa", id=ME)
    answer = b"d1:rd2:id20:mnopqrstuvwxyz123456e1:t2:aa1:y1:re"
    assert read_message(answer) == Reply(transaction=b"aa", id=OTHER)
    fault = b"d1:eli201e23:A Generic Error Ocurrede1:t2:aa1:y1:ee"
    assert read_message(fault) == Error(transaction=b"aa", code=201, text="A Generic Error Ocurred")
    announce = (
        b"d1:ad2:id20:abcdefghij012345678912:implied_porti1e9:info_hash20:mnopqrstuvwxyz123456"
        b"4:porti6881e5:token8:aoeusnthe1:q13:announce_peer1:t2:aa1:y1:qe"
    )
    query = Query(
        method=krpc.ANNOUNCE_PEER,
        transaction=b"aa",
        id=ME,
        info_hash=InfoHash(OTHER),
        port=6881,
        implied_port=True,
        token=b"aoeusnth",
    )
    assert read_message(announce) == query
    assert query.encode() == announce.replace(b"1:t2:aa1:y", b"1:t2:aa1:v4:PS\1\x001:y")


def test_a_value_is_carried_as_it_was_written() -> None:
    """Its keys are not in order: written anew, its signature would not hold."""
    value = b"d1:bi1e1:ai2ee"
    data = b"d1:rd2:id20:mnopqrstuvwxyz1234561:v" + value + b"e1:t2:aa1:y1:re"
    reply = read_message(data)
    assert isinstance(reply, Reply)
    assert reply.value == value
    assert value in reply.encode()


def test_fields_of_the_wrong_type_or_size_are_not_there() -> None:
    body = {b"id": ME, b"target": b"short", b"port": 65536, b"token": b"", b"want": b"n4", b"k": 7}
    message = {b"t": b"aa", b"y": b"q", b"q": b"get", b"a": body}
    query = read_message(bencode.encode(message))
    assert query == Query(method=krpc.GET, transaction=b"aa", id=ME)


def test_nodes_are_those_that_can_be_reached() -> None:
    """Port 0, and an IPv4 address among IPv6 ones: nobody can be there. An odd rest is passed over."""
    good = bytes(20) + bytes((85, 1, 2, 3, 26, 225))
    mapped = bytes(20) + bytes.fromhex("00000000000000000000ffff55010203") + b"\x1a\xe1"
    body = {
        b"id": ME,
        b"nodes": good + good[:-2] + b"\0\0" + good + b"rest",
        b"nodes6": mapped,
        b"values": [good[20:], b"odd", 5],
    }
    reply = read_message(bencode.encode({b"t": b"aa", b"y": b"r", b"r": body}))
    assert isinstance(reply, Reply)
    assert reply.nodes == (Contact(NodeId(bytes(20)), V4),) * 2
    assert reply.nodes6 == ()
    assert reply.values == (V4,)


@pytest.mark.parametrize("packed", [bytes((85, 1, 2, 3)), bytes((85, 1, 2, 3, 26, 225))])
def test_how_others_see_us_is_read_with_and_without_a_port(packed: bytes) -> None:
    message = {b"t": b"aa", b"y": b"r", b"r": {b"id": ME}, b"ip": packed}
    reply = read_message(bencode.encode(message))
    assert isinstance(reply, Reply)
    assert reply.external is not None
    assert reply.external.host == V4.host


@pytest.mark.parametrize(
    "message",
    [
        {b"y": b"q", b"q": b"ping", b"a": {b"id": ME}},
        {b"t": b"x" * 33, b"y": b"q", b"q": b"ping", b"a": {b"id": ME}},
        {b"t": b"aa", b"y": b"q", b"q": b"ping", b"a": {}},
        {b"t": b"aa", b"y": b"q", b"a": {b"id": ME}},
        {b"t": b"aa", b"y": b"q", b"q": b"ping"},
        {b"t": b"aa", b"y": b"r", b"r": {b"id": b"short"}},
        {b"t": b"aa", b"y": b"x"},
        [],
    ],
)
def test_what_is_no_message_is_refused(message: object) -> None:
    with pytest.raises(RemoteProtocolError):
        read_message(bencode.encode(message))


def test_a_giant_is_not_read() -> None:
    with pytest.raises(RemoteProtocolError, match="at most"):
        read_message(Reply(id=ME, token=b"x", value=b"5000:" + b"x" * 5000).encode())
