"""What strangers may do to a node by datagrams: they get few bytes, no place that grows, and no exception.

Time stands still unless a test lets it pass.
"""

from contextlib import suppress
from random import Random

import pytest
from hypothesis import given, settings, strategies as st

from p2pswarm.discovery.dht.dht import Dht
from p2pswarm.discovery.dht.items import ImmutableItem
from p2pswarm.discovery.dht.keeping import Keeping
from p2pswarm.discovery.dht.publishing import _Newest
from p2pswarm.discovery.dht.shelves import MAX_ITEMS, MAX_OF_ONE
from p2pswarm.discovery.dht.surveys import Survey, SwarmSize
from p2pswarm.errors import RemoteError
from p2pswarm.formats import bencode
from p2pswarm.formats.ids import Address, InfoHash
from p2pswarm.wire.krpc import (
    ANNOUNCE_PEER,
    FIND_NODE,
    GET,
    GET_PEERS,
    PING,
    PUT,
    SAMPLE_INFOHASHES,
    Contact,
    Error,
    Family,
    NodeId,
    Query,
    Reply,
    read_message,
)

METHODS = [PING, FIND_NODE, GET_PEERS, ANNOUNCE_PEER, GET, PUT, SAMPLE_INFOHASHES, b"vote"]
STRANGER = Address("45.67.89.10", 6881)
TARGET = NodeId(b"\x11" * 20)


class Bench:
    """A node between a clock and a wire, both in our hands."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.dice = Random(1)
        self.sent: list[tuple[bytes, Address]] = []
        self.dht = Dht(
            lambda data, address: self.sent.append((data, address)),
            families=list(Family),
            dice=self.dice,
            clock=lambda: self.now,
            later=lambda delay, call: None,
        )
        self.keeping = Keeping(self.dht, clock=lambda: self.now, dice=self.dice)

    def got(self, data: bytes, address: Address = STRANGER) -> None:
        with suppress(RemoteError):
            self.dht.got(data, address)

    def ask(self, method: bytes, address: Address = STRANGER, **fields: object) -> None:
        query = Query(
            method=method,
            transaction=b"tt",
            id=NodeId(self.dice.randbytes(20)),
            **{"target": TARGET, "info_hash": InfoHash(TARGET), **fields},  # type: ignore[arg-type]
        )
        self.got(query.encode(), address)

    def somebody(self) -> Address:
        return Address(".".join(str(self.dice.randint(1, 223)) for _ in range(4)), 6881)

    def fill(self) -> None:
        """Nodes, a full swarm and a large item, so that answers are as long as they get."""
        for number in range(100):
            for host in (f"52.{number}.0.1", f"2a00:{number}::1"):
                network = self.dht.networks[Family.IPV6 if ":" in host else Family.IPV4]
                node = Contact(NodeId(self.dice.randbytes(20)), Address(host, 6881))
                network.table.answered(node, self.now)
        for _ in range(500):
            self.dht.store.add(InfoHash(TARGET), self.somebody(), self.now, seed=False)
        self.keeping.shelves.put(BIG, "somebody", self.now)

    @property
    def answers(self) -> list[bytes]:
        return [data for data, _ in self.sent if not isinstance(read_message(data), Query)]

    @property
    def size(self) -> int:
        """How much the node remembers of others."""
        tables = sum(len(each.table) for each in self.dht.networks.values())
        return tables + len(self.dht.store) + len(self.keeping.shelves) + len(self.dht._visitors)


BIG = ImmutableItem.of(bytes(996))


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("host", ["45.67.89.10", "2a01::7"])
def test_no_answer_is_longer_than_a_packet(bench: Bench, method: bytes, host: str) -> None:
    bench.fill()
    for fields in ({}, {"scrape": True}, {"target": BIG.target}, {"want": frozenset(Family)}):
        bench.now += 10
        bench.ask(method, Address(host, 6881), **fields)
    assert len(bench.answers) == 4
    assert all(len(data) <= 1400 for data in bench.answers)


def test_a_victim_in_whose_name_is_asked_hears_little(bench: Bench) -> None:
    """Ten minutes of a hundred forged questions each ten seconds: fifty are answered, and soon none."""
    bench.fill()
    for _ in range(60):
        bench.now += 10.0
        for port in range(100):
            bench.ask(GET_PEERS, Address(STRANGER.host, 1 + port))
    assert len(bench.answers) <= 3 * 50
    assert len(bench.sent) <= 3 * 50 * 2  # it is asked back whether it is there


def test_a_flood_in_many_names_takes_eight_kilobytes_a_second(bench: Bench) -> None:
    bench.fill()
    for _ in range(20):
        bench.now += 1.0
        for _ in range(100):
            bench.ask(GET_PEERS, bench.somebody())
    assert 8000 * 20 < sum(len(data) for data, _ in bench.sent) <= 8000 * (20 + 3)


def test_what_is_not_answered_is_not_made(bench: Bench) -> None:
    """A reply costs some ten times as much as to read its question."""
    made = 0

    def make(query: Query, address: Address) -> Reply:
        nonlocal made
        made += 1
        return Reply(value=BIG.raw)

    bench.dht.route(GET, make)
    for _ in range(200):
        bench.ask(GET, bench.somebody())
    assert made == len(bench.answers) < 40


def test_a_flood_leaves_nothing_that_grows(bench: Bench) -> None:
    for count in range(4000):
        bench.now += 0.01
        bench.ask(METHODS[count % len(METHODS)], bench.somebody(), token=b"guessed", port=1)
    assert not len(bench.dht.store)
    assert not len(bench.keeping.shelves)
    assert bench.size <= 2000 + 2 * 8 * 160


def test_who_has_a_token_fills_its_own_part_only(bench: Bench) -> None:
    for count in range(MAX_ITEMS):
        bench.now += 1.0
        token = bench.dht.tokens.make(STRANGER, bench.now)
        bench.ask(PUT, token=token, value=b"i%de" % count)
        token = bench.dht.tokens.make(STRANGER, bench.now)
        bench.ask(ANNOUNCE_PEER, token=token, port=1 + count)
    assert len(bench.keeping.shelves) == MAX_OF_ONE
    members = bench.dht.store.members(InfoHash(TARGET), Family.IPV4, bench.now)
    assert len(list(members)) <= bench.dht.store.PEERS


def test_an_answer_that_nobody_asked_for_changes_nothing(bench: Bench) -> None:
    bench.dht.ping(STRANGER)
    [(data, _)] = bench.sent
    number, before = read_message(data).transaction, bench.size
    nodes = tuple(Contact(NodeId(bytes([n]) * 20), bench.somebody()) for n in range(1, 9))
    for wrong in (Reply(transaction=b"\0\0\0\0", nodes=nodes), Error(transaction=b"", code=201)):
        bench.got(wrong.encode())
    bench.got(Reply(transaction=number, nodes=nodes).encode(), Address("45.67.89.11", 6881))
    bench.got(Reply(transaction=number, nodes=nodes).encode(), Address("45.67.89.10", 6882))
    assert bench.size == before
    assert bench.dht.status().open_questions == 1
    bench.got(Reply(transaction=number, id=TARGET).encode())
    assert bench.dht.status().networks[Family.IPV4].nodes == 1
    assert bench.dht.status().open_questions == 0


values = st.recursive(
    st.integers() | st.binary(max_size=40),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from([b"id", b"t", b"v", b"token", b"nodes"]), inner, max_size=3
        )
    ),
    max_leaves=6,
)
KEYS = [b"target", b"info_hash", b"token", b"port", b"v", b"k", b"sig", b"seq", b"salt"]
queries = st.fixed_dictionaries(
    {
        b"t": st.binary(max_size=40) | values,
        b"y": st.sampled_from([b"q", b"r", b"e", b""]),
        b"q": st.sampled_from(METHODS) | values,
        b"a": st.fixed_dictionaries(
            {b"id": st.just(bytes(20)) | values},
            optional={key: st.just(bytes(20)) | st.integers(-2, 1 << 64) | values for key in KEYS},
        )
        | values,
    },
    optional={b"r": values, b"e": values, b"ro": values, b"ip": values},
)


@settings(max_examples=80, deadline=None)
@given(st.lists(queries.map(bencode.encode) | st.binary(max_size=60), max_size=6))
def test_whatever_comes_is_a_remote_error_or_an_answer(datagrams: list[bytes]) -> None:
    bench = Bench()
    for data in datagrams:
        bench.got(data)
    assert len(bench.answers) <= len(datagrams)


REPLY_KEYS = [b"nodes", b"nodes6", b"values", b"token", b"samples", b"interval", b"num"]
ITEM_KEYS = [b"v", b"k", b"sig", b"seq", b"BFsd", b"BFpe"]
bodies = st.fixed_dictionaries(
    {b"id": st.just(bytes(20)) | values},
    optional={
        key: st.integers(-2, 1 << 64)
        | st.sampled_from([20, 26, 32, 38, 64, 256]).map(bytes)
        | st.lists(st.just(bytes(6)) | values, max_size=3)
        | values
        for key in (*REPLY_KEYS, *ITEM_KEYS)
    },
)


@settings(max_examples=80, deadline=None)
@given(bodies, values)
def test_whatever_is_answered_to_us_harms_nobody(body: dict[bytes, object], seen: object) -> None:
    bench = Bench()
    bench.dht.ping(STRANGER)
    number = read_message(bench.sent[0][0]).transaction
    data = bencode.encode({b"t": number, b"y": b"r", b"r": body, b"ip": seen})
    bench.got(data)
    assert len(bench.sent) == 1
    with suppress(RemoteError):
        reply = read_message(data)
        assert isinstance(reply, Reply)
        gathering = _Newest(TARGET, b""), SwarmSize(), Survey(lambda info_hash: None)
        for each in gathering:
            each.heard(Contact(TARGET, STRANGER), reply)
        assert gathering[0].item is None


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 200), st.integers(0, 255), st.sampled_from(METHODS))
def test_a_changed_byte_harms_nobody(at: int, byte: int, method: bytes) -> None:
    bench = Bench()
    query = Query(method=method, transaction=b"tt", target=TARGET, token=b"tok", value=b"de")
    data = bytearray(query.encode())
    data[at % len(data)] = byte
    bench.got(bytes(data))
    assert len(bench.answers) <= 1
