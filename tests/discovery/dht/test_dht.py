"""Nodes of ours among each other, in virtual time."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, settings, strategies as st

from p2pswarm.discovery.dht.dht import Dht
from p2pswarm.discovery.dht.ids import is_secure
from p2pswarm.discovery.dht.saved import SavedTable
from p2pswarm.errors import RemoteProtocolError
from p2pswarm.formats.ids import Address, InfoHash
from p2pswarm.lab.dht.network import DhtNet, Member
from p2pswarm.lab.loop import play
from p2pswarm.wire import krpc
from p2pswarm.wire.krpc import Contact, Error, Family, NodeId, Query, Reply, read_message
from tests.wire.test_krpc import queries, replies

HASH = InfoHash(b"h" * 20)
STRANGER = Address("8.8.8.8", 6881)
BOTH = (Family.IPV4, Family.IPV6)


def told(story: Callable[[DhtNet], Awaitable[None]], **options: float) -> None:
    async def tell(_: object) -> None:
        net = DhtNet(**options)  # type: ignore[arg-type]
        try:
            await story(net)
        finally:
            await net.close()

    play(tell)


class Alone:
    """One node without a network: what it sends is kept."""

    def __init__(self, **options: object) -> None:
        self.now = 1000.0
        self.sent: list[tuple[bytes, Address]] = []
        self.calls: list[tuple[float, Callable[[], None]]] = []
        arguments = {"families": (Family.IPV4,), "dice": Random(1), **options}
        self.dht = Dht(
            lambda data, to: self.sent.append((data, to)),
            clock=lambda: self.now,
            later=lambda delay, call: self.calls.append((self.now + delay, call)),
            **arguments,  # type: ignore[arg-type]
        )

    def answers(self, query: Query, address: Address = STRANGER) -> list[krpc.Message]:
        """What it sends when that comes from there; beside its own questions."""
        del self.sent[:]
        self.dht.got(query.encode(), address)
        messages = [read_message(data) for data, to in self.sent if to == address]
        return [each for each in messages if not isinstance(each, Query)]

    def answer(self, query: Query, address: Address = STRANGER) -> krpc.Message:
        (message,) = self.answers(query, address)
        return message


def query(method: bytes, **fields: object) -> Query:
    return Query(method=method, transaction=b"aa", id=NodeId(b"q" * 20), **fields)  # type: ignore[arg-type]


# What is answered


def test_a_ping_is_answered_with_our_id_and_how_we_see_who_asks() -> None:
    alone = Alone()
    reply = alone.answer(query(krpc.PING))
    assert isinstance(reply, Reply)
    assert (reply.transaction, reply.id) == (b"aa", alone.dht.networks[Family.IPV4].id)
    assert reply.external == STRANGER


def test_who_announces_must_have_asked_and_is_then_told_to_others() -> None:
    alone = Alone()
    announce = query(krpc.ANNOUNCE_PEER, info_hash=HASH, port=7777)
    refused = alone.answer(announce)
    assert isinstance(refused, Error)
    assert refused.code == krpc.ErrorCode.PROTOCOL
    asked = alone.answer(query(krpc.GET_PEERS, info_hash=HASH))
    assert isinstance(asked, Reply)
    assert asked.values is None
    assert asked.nodes == ()
    token = asked.token
    other = Address("8.8.4.4", 1234)
    assert isinstance(
        alone.answer(query(krpc.ANNOUNCE_PEER, info_hash=HASH, port=7777, token=token), other),
        Error,
    ), "a token is good for its host"
    for fields in ({"port": 7777}, {"port": 1, "implied_port": True}):
        noted = alone.answer(query(krpc.ANNOUNCE_PEER, info_hash=HASH, token=token, **fields))
        assert isinstance(noted, Reply)
    reply = alone.answer(query(krpc.GET_PEERS, info_hash=HASH), other)
    assert isinstance(reply, Reply)
    assert set(reply.values or ()) == {Address(STRANGER.host, 7777), STRANGER}


@pytest.mark.parametrize(
    ("method", "fields"),
    [
        (krpc.FIND_NODE, {}),
        (krpc.GET_PEERS, {}),
        (krpc.ANNOUNCE_PEER, {"port": 1}),
    ],
)
def test_what_lacks_a_field_is_refused(method: bytes, fields: dict[str, object]) -> None:
    answer = Alone().answer(query(method, **fields))
    assert isinstance(answer, Error)
    assert answer.code == krpc.ErrorCode.PROTOCOL


def test_port_0_is_not_noted() -> None:
    alone = Alone()
    asked = alone.answer(query(krpc.GET_PEERS, info_hash=HASH))
    assert isinstance(asked, Reply)
    for port in (0, None):
        announce = query(krpc.ANNOUNCE_PEER, info_hash=HASH, port=port, token=asked.token)
        assert isinstance(alone.answer(announce), Error)
    assert len(alone.dht.store) == 0


def test_what_we_do_not_know_is_find_node_where_it_is_about_something() -> None:
    alone = Alone()
    reply = alone.answer(query(b"from_tomorrow", target=NodeId(b"t" * 20)))
    assert isinstance(reply, Reply)
    assert reply.nodes == ()
    error = alone.answer(query(b"from_tomorrow"))
    assert isinstance(error, Error)
    assert error.code == krpc.ErrorCode.METHOD_UNKNOWN


def test_other_rooms_answer_methods_of_their_own() -> None:
    alone = Alone()
    alone.dht.route(krpc.GET, lambda query, address: alone.dht.nearest(query, address))
    reply = alone.answer(query(krpc.GET, target=NodeId(b"t" * 20)))
    assert isinstance(reply, Reply)
    assert reply.token


def test_the_largest_answer_is_carried_whole() -> None:
    """A full table in both networks and a full swarm."""
    saved = {
        Family.IPV4: tuple(
            Contact(NodeId(b"%20d" % n), Address(f"20.{n}.1.1", 6881)) for n in range(99)
        ),
        Family.IPV6: tuple(
            Contact(NodeId(b"%20d" % n), Address(f"2a00:{n}::1", 6881)) for n in range(1, 99)
        ),
    }
    alone = Alone(families=BOTH, saved=SavedTable({}, saved))
    for network in alone.dht.networks.values():
        for contact in saved[network.family]:
            network.table.answered(contact, alone.now)
    sixth = Address("2a00:ffff::7", 6881)
    for port in range(1, 400):
        for host in (STRANGER.host, sixth.host):
            alone.dht.store.add(HASH, Address(host, port), alone.now, seed=False)
    for address, least in ((STRANGER, 80), (sixth, 30)):
        asked = query(krpc.GET_PEERS, info_hash=HASH, want=frozenset(BOTH))
        reply = alone.answer(asked, address)
        assert isinstance(reply, Reply)
        assert len(reply.nodes or ()) == len(reply.nodes6 or ()) == 8
        assert least <= len(reply.values or ()) <= 100
        assert len(reply.encode()) <= 1400


def test_nobody_is_told_of_nodes_that_never_answered() -> None:
    saved = SavedTable({}, {Family.IPV4: (Contact(NodeId(b"n" * 20), STRANGER),)})
    reply = Alone(saved=saved).answer(query(krpc.FIND_NODE, target=NodeId(bytes(20))))
    assert isinstance(reply, Reply)
    assert reply.nodes == ()


def test_a_flood_from_one_host_is_not_answered() -> None:
    alone = Alone()
    answers = sum(len(alone.answers(query(krpc.PING))) for _ in range(1000))
    assert answers == 50
    assert alone.answers(query(krpc.PING), Address("8.8.4.4", 6881)), "others are heard"


def test_a_flood_from_many_hosts_takes_eight_thousand_bytes_a_second() -> None:
    alone = Alone()
    size = 0
    for number in range(3000):
        alone.now += 1 / 300
        host = Address(f"30.{number >> 8}.{number & 255}.1", 6881)
        alone.dht.got(query(krpc.GET_PEERS, info_hash=HASH).encode(), host)
    size = sum(len(data) for data, _ in alone.sent)
    assert size <= 24_000 + 10 * 8000 + 100 * 120, "ten seconds, what was saved, and our own pings"
    assert len(alone.dht.networks[Family.IPV4].table) <= 300


def test_who_is_read_only_gets_an_answer_and_no_place() -> None:
    alone = Alone()
    assert alone.answer(query(krpc.PING, read_only=True))
    assert len(alone.dht.networks[Family.IPV4].table) == 0
    alone.answer(query(krpc.PING))
    assert len(alone.dht.networks[Family.IPV4].table) == 1


def test_an_answer_counts_only_where_it_was_asked_for() -> None:
    alone = Alone()
    alone.dht.ping(STRANGER)
    ((data, _),) = alone.sent
    asked = read_message(data)
    reply = Reply(transaction=asked.transaction, id=NodeId(b"r" * 20))
    table = alone.dht.networks[Family.IPV4].table
    alone.dht.got(reply.encode(), Address(STRANGER.host, 1))
    alone.dht.got(Reply(transaction=b"guess", id=NodeId(b"r" * 20)).encode(), STRANGER)
    assert len(table) == 0
    alone.dht.got(reply.encode(), STRANGER)
    assert table.nearest(bytes(20)) == [Contact(NodeId(b"r" * 20), STRANGER)]
    alone.dht.got(reply.encode(), STRANGER)  # once more: nobody waits for it


def test_junk_is_a_fault_of_the_sender_and_changes_nothing() -> None:
    alone = Alone()
    with pytest.raises(RemoteProtocolError):
        alone.dht.got(b"d1:ae", STRANGER)
    assert alone.sent == []


def test_a_network_that_we_are_not_in_is_not_heard() -> None:
    alone = Alone()
    sixth = Address("2a00::7", 6881)
    assert alone.answers(query(krpc.PING), sixth) == []
    alone.dht.ping(sixth)
    assert alone.sent == []


@settings(max_examples=100)
@given(st.lists(queries | replies, max_size=5), st.booleans())
def test_whatever_strangers_say_the_answer_fits_and_nothing_breaks(
    messages: list[Query | Reply], sixth: bool
) -> None:
    """Also as answers to a question that is open: the number is ours, the rest is theirs."""
    alone = Alone(families=BOTH)
    address = Address("2a00:ffff::7", 6881) if sixth else STRANGER
    for message in messages:
        alone.dht.ping(address)
        asked = read_message(alone.sent[-1][0])
        if isinstance(message, Reply):
            message = replace(message, transaction=asked.transaction)
        alone.dht.got(message.encode(), address)
        for network in alone.dht.networks.values():
            network.table.check()
    assert all(len(data) <= 1400 for data, _ in alone.sent)


# Among each other


def _ignored(peer: Address) -> None:
    """Nobody looks."""


async def grown(net: DhtNet, count: int, **options: object) -> list[Member]:
    nodes = [net.node(**options)]  # type: ignore[arg-type]
    for _ in range(count - 1):
        known = net.dice.choice(nodes)[1]
        nodes.append(net.node([known], **options))  # type: ignore[arg-type]
        await asyncio.sleep(0.3)
    await asyncio.sleep(15)
    return nodes


def test_what_one_announces_another_finds_and_both_ends_are_cheap() -> None:
    async def story(net: DhtNet) -> None:
        nodes = await grown(net, 30)
        (first, where), (last, _) = nodes[7], nodes[-1]
        found: set[Address] = set()
        assert await first.announce(HASH, 7777, found.add) == 8
        assert found == set()
        cost = await last.peers(HASH, found.add)
        assert found == {Address(where.host, 7777)}
        assert cost.answered >= 8
        assert cost.asked < 30
        assert 0 < cost.seconds < 2

    told(story)


def test_a_seed_does_not_look_for_seeds() -> None:
    async def story(net: DhtNet) -> None:
        nodes = await grown(net, 10)
        by_seed, by_other = set[Address](), set[Address]()
        await nodes[1][0].announce(HASH, 1, _ignored, seed=True)
        await nodes[2][0].announce(HASH, 2, by_seed.add, seed=True)
        assert by_seed == set()
        await nodes[3][0].announce(HASH, 3, by_other.add)
        assert {peer.port for peer in by_other} == {1, 2}

    told(story)


def test_two_nodes_are_a_network_as_soon_as_one_knows_the_other() -> None:
    async def story(net: DhtNet) -> None:
        one, where = net.node()
        other, there = net.node()
        await asyncio.sleep(1)
        one.ping(there)
        found: set[Address] = set()
        assert await one.announce(HASH, 7777, found.add, implied_port=True) == 1
        await other.peers(HASH, found.add)
        assert found == {where}

    told(story)


def test_who_announces_itself_to_us_is_found_until_we_withdraw() -> None:
    async def story(net: DhtNet) -> None:
        one, _ = net.node()
        other, there = net.node()
        one.ping(there)
        found: set[Address] = set()
        await one.announce(HASH, 1, found.add)
        assert found == set(), "the other one has not announced itself yet"
        await other.announce(HASH, 2, _ignored)
        assert found == {Address(there.host, 2)}
        one.withdraw(HASH, _ignored)
        assert HASH in one._swarms, "that is not who asked last"
        one.withdraw(HASH, found.add)
        await other.announce(HASH, 3, _ignored)
        assert len(found) == 1

    told(story)


def test_lookups_go_on_in_the_other_network() -> None:
    """Only one node is in both; nobody of one network hears of the other but through it."""

    async def story(net: DhtNet) -> None:
        four, _ = net.node()
        six, _ = net.node(families=(Family.IPV6,))
        both, _ = net.node(families=BOTH)
        fourth, sixth = (each for each, node in net.nodes.items() if node is both)
        four.ping(fourth)
        six.ping(sixth)
        newcomer, _ = net.node([fourth], families=BOTH)
        await asyncio.sleep(80)
        status = newcomer.status().networks
        assert {family: each.nodes for family, each in status.items()} == {4: 2, 6: 2}
        assert await newcomer.announce(HASH, 7777, _ignored) == 4
        found: set[Address] = set()
        await six.peers(HASH, found.add)
        assert [":" in peer.host for peer in found] == [True]

    told(story)


def test_an_id_follows_from_the_address_that_others_see() -> None:
    async def story(net: DhtNet) -> None:
        nodes = await grown(net, 12)
        await asyncio.sleep(120)
        for dht, where in nodes:
            status = dht.status().networks[Family.IPV4]
            assert status.external == where.host
            assert is_secure(status.id, where.host)
            assert status.nodes >= 8, "the table has moved with it"

    told(story)


def test_the_second_start_is_warm() -> None:
    async def story(net: DhtNet) -> None:
        nodes = await grown(net, 20)
        dht, where = nodes[5]
        saved = SavedTable.decode(dht.saved().encode())
        net.leave(where)
        again, _ = net.node(addresses=(where,), saved=saved)
        began = net.loop.time()
        cost = await again.peers(HASH, _ignored)
        assert cost.answered >= 8
        assert net.loop.time() - began < 1.0
        assert again.status().networks[Family.IPV4].id == dht.status().networks[Family.IPV4].id

    told(story)


def test_names_are_asked_when_all_saved_nodes_are_gone_and_again_until_somebody_is_there() -> None:
    async def story(net: DhtNet) -> None:
        gone = tuple(Contact(NodeId(b"%20d" % n), Address(f"9.9.{n}.1", 1)) for n in range(99))
        router = net.address()
        dht, _ = net.node([router], saved=SavedTable({}, {Family.IPV4: gone}))
        await asyncio.sleep(60)
        assert dht.status().networks[Family.IPV4].nodes == 0
        net.node(addresses=(router,))
        await asyncio.sleep(120)
        assert dht.status().networks[Family.IPV4].nodes == 1

    told(story)


def test_who_leaves_is_replaced_and_lookups_go_on() -> None:
    async def story(net: DhtNet) -> None:
        nodes = await grown(net, 40)
        for _, where in nodes[::3]:
            net.leave(where)
        left = [node for at, node in enumerate(nodes) if at % 3]
        found: set[Address] = set()
        assert await left[0][0].announce(HASH, 7777, found.add) == 8
        cost = await left[-1][0].peers(HASH, found.add)
        assert len(found) == 1
        assert cost.seconds < 6, "nobody waits fifteen seconds for the dead"

    told(story)


def test_a_node_whose_line_was_down_is_back_in_a_minute() -> None:
    """Nobody told it of a name to begin with: it has its own table only."""

    async def story(net: DhtNet) -> None:
        nodes = await grown(net, 12)
        dht, where = nodes[7]
        del net.nodes[where]
        await asyncio.sleep(1500)
        assert dht.status().networks[Family.IPV4].nodes == 0
        net.nodes[where] = dht
        await asyncio.sleep(60)
        assert dht.status().networks[Family.IPV4].nodes >= 8
        assert await dht.announce(HASH, 1, _ignored) == 8

    told(story)


def test_who_answers_with_another_id_has_not_answered() -> None:
    async def story(net: DhtNet) -> None:
        liar, where = net.node()
        saved = SavedTable({}, {Family.IPV4: (Contact(NodeId(b"x" * 20), where),)})
        dht, _ = net.node(saved=saved, runs=False)
        dht.warmed()
        cost = await dht.peers(HASH, _ignored)
        assert (cost.asked, cost.answered) == (1, 0)
        contacts = [entry.id for entry in dht.networks[Family.IPV4].table]
        assert contacts == [liar.status().networks[Family.IPV4].id]

    told(story)


def test_nobody_names_what_is_nearer_to_us_than_itself() -> None:
    async def story(net: DhtNet) -> None:
        liar, where = net.node()
        lies = Reply(
            nodes=(Contact(NodeId(b"l" * 20), Address("127.0.0.1", 22)),),
            values=(Address("192.168.1.1", 80), Address("8.8.8.8", 80)),
        )
        liar.route(krpc.GET_PEERS, lambda query, address: lies)
        dht, _ = net.node([where])
        found: set[Address] = set()
        cost = await dht.peers(HASH, found.add)
        assert found == {Address("8.8.8.8", 80)}
        assert cost.asked == 1

    told(story)


def test_a_node_of_many_torrents_is_heard_by_its_only_neighbour() -> None:
    """Sixty announces are 120 queries; fifty in ten seconds are too many."""

    async def story(net: DhtNet) -> None:
        one, _ = net.node()
        _, there = net.node()
        one.ping(there)
        hashes = [InfoHash(net.dice.randbytes(20)) for _ in range(60)]
        noted = asyncio.gather(*(one.announce(each, 1, _ignored, seed=True) for each in hashes))
        await asyncio.sleep(5)
        assert await one.announce(HASH, 1, _ignored) == 1
        assert net.loop.time() < 6, "who still fetches does not wait behind them"
        assert await noted == [1] * 60

    told(story)


def test_one_that_has_left_does_not_hold_up_a_small_network() -> None:
    async def story(net: DhtNet) -> None:
        nodes = await grown(net, 4)
        net.leave(nodes[3].address)
        cost = await nodes[0].dht.peers(HASH, _ignored)
        assert (cost.asked, cost.answered) == (3, 2)
        assert cost.seconds < 5

    told(story)


def test_who_is_slow_is_waited_for() -> None:
    """Everybody needs four seconds for an answer, as over a satellite in the rain."""

    async def story(net: DhtNet) -> None:
        nodes = await grown(net, 4)
        net.delay = 2.0
        await asyncio.sleep(60)
        cost = await nodes[0].dht.peers(HASH, _ignored)
        assert (cost.asked, cost.answered) == (3, 3)

    told(story)


def test_a_lookup_of_a_node_alone_ends() -> None:
    async def story(net: DhtNet) -> None:
        dht, _ = net.node()
        cost = await dht.peers(HASH, _ignored)
        assert cost.asked == 0
        assert await dht.announce(HASH, 1, _ignored) == 0

    told(story)


def test_closing_ends_what_is_under_way_and_may_be_done_twice() -> None:
    async def story(net: DhtNet) -> None:
        dht, _ = net.node(runs=False)
        dht.ping(STRANGER)
        asked = asyncio.ensure_future(dht.ask(STRANGER, Query(method=krpc.PING)))
        looking = asyncio.ensure_future(dht.peers(HASH, _ignored))
        await asyncio.sleep(0.5)
        dht.close()
        dht.close()
        assert await asked is None
        assert (await looking).answered == 0
        dht.got(query(krpc.PING).encode(), STRANGER)
        assert await dht.ask(STRANGER, Query(method=krpc.PING)) is None

    told(story)


def test_who_stops_a_lookup_hears_no_more() -> None:
    async def story(net: DhtNet) -> None:
        nodes = await grown(net, 10)
        heard: list[object] = []
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.12):
                await nodes[0][0].lookup(
                    Query(method=krpc.GET_PEERS, info_hash=HASH), lambda *reply: heard.append(reply)
                )
        before = len(heard)
        assert before
        await asyncio.sleep(1)
        assert len(heard) == before

    told(story)
