from collections import deque
from random import Random

import pytest
from hypothesis import assume, given, settings, strategies as st

from p2pswarm.errors import RemoteProtocolError
from p2pswarm.formats.ids import Address
from p2pswarm.overlay.supernode.asking import OF_HOST, Role
from p2pswarm.wire.supernode.frames import Frame
from p2pswarm.wire.supernode.hits import Found, Hits
from p2pswarm.wire.supernode.hosts import Entry
from p2pswarm.wire.supernode.queries import End, Query, Stop
from tests.support.floods import ROLES, Net, SuperNode, Wire, file, guid, public, question

CHILD, STRANGER = public(1000), public(2000)
Edges = set[tuple[int, int]]


@st.composite
def graphs(draw: st.DrawFn) -> tuple[int, Edges]:
    """Connected ones."""
    count = draw(st.integers(1, 12))
    edges = {(draw(st.integers(0, node - 1)), node) for node in range(1, count)}
    pairs = st.tuples(st.integers(0, count - 1), st.integers(0, count - 1))
    edges |= {(min(pair), max(pair)) for pair in draw(st.lists(pairs)) if pair[0] != pair[1]}
    return count, edges


def distances(count: int, edges: Edges, origin: int) -> dict[int, int]:
    found, queue = {origin: 0}, deque([origin])
    while queue:
        node = queue.popleft()
        for pair in edges:
            if node in pair:
                other = sum(pair) - node
                if other not in found:
                    found[other] = found[node] + 1
                    queue.append(other)
    assert len(found) == count
    return found


def line(count: int) -> Net:
    return Net(count, [(node, node + 1) for node in range(count - 1)])


def hits(number: int, *found: Found, hops: int = 0) -> Hits:
    return Hits(guid(number), hops, found)


def found(host: Address = STRANGER, count: int = 1, parent: Address | None = None) -> Found:
    files = tuple(file(number) for number in range(count))
    return Found(host, b"n" * 16, parent is not None, parent, files)


def linked() -> tuple[SuperNode, Wire, Wire, Wire]:
    """A super node, its child and two links."""
    node = SuperNode(Net(0), 0)
    child = node.join(CHILD, Role.CHILD)
    links = [node.join(public(number), Role.LINK) for number in (1, 2)]
    for link in links:
        node.flood.confirmed(link)
    return node, child, links[0], links[1]


# The whole flood


@given(graphs(), st.booleans())
@settings(deadline=None)
def test_a_flood_costs_two_messages_a_link_less_one_a_super_node(
    graph: tuple[int, Edges], by_child: bool
) -> None:
    count, edges = graph
    assume(max(distances(count, edges, 0).values()) < 7)
    net = Net(count, edges)
    if by_child:
        net.nodes[0].got(net.nodes[0].join(CHILD, Role.CHILD), question(1))
    else:
        net.nodes[0].ask(question(1))
    net.run()
    assert net.sent("query") == 2 * len(edges) - count + 1
    received = sum(node.flood.counts.received["query"] for node in net.nodes)
    dropped = sum(node.flood.counts.dropped["duplicate"] for node in net.nodes)
    assert received - by_child == net.sent("query")
    assert dropped == net.sent("query") - (count - 1)


@given(graphs(), st.integers(1, 7))
@settings(deadline=None)
def test_a_query_comes_as_far_as_its_ttl(graph: tuple[int, Edges], ttl: int) -> None:
    count, edges = graph
    net = Net(count, edges)
    for node in net.nodes:
        node.share("moon")
    net.nodes[0].ask(question(1), ttl)
    net.run()
    within = {node for node, far in distances(count, edges, 0).items() if 0 < far <= ttl}
    answered = {one.host for one in net.nodes[0].heard}
    assert answered == {net.nodes[node].address for node in within}
    for node in net.nodes:
        node.flood.check()


def test_a_child_asks_seven_hops_far_whatever_it_says() -> None:
    net = line(10)
    for number, node in enumerate(net.nodes):
        node.share(f"moon {number}")
    child = net.nodes[0].join(CHILD, Role.CHILD)
    net.nodes[0].got(child, question(1, ttl=255, hops=200))
    net.run()
    assert child.found() == [f"moon {number}" for number in range(8)]


@given(st.integers(0, 255), st.integers(0, 255))
def test_between_super_nodes_ttl_and_hops_are_at_most_seven(ttl: int, hops: int) -> None:
    node, _, one, other = linked()
    node.got(one, question(1, ttl=ttl, hops=hops))
    sane = 1 <= ttl <= 15 and hops < 7
    assert node.flood.counts.dropped["too far"] == (not sane)
    on = [query for query in other.said() if isinstance(query, Query)]
    goes_on = sane and min(ttl, 7 - hops) > 1
    assert [(q.ttl, q.hops) for q in on] == [(min(ttl, 7 - hops) - 1, hops + 1)] * goes_on
    assert one.said() == []


def test_hits_travel_back_and_count_their_hops() -> None:
    net = line(3)
    net.nodes[2].share("moon")
    child = net.nodes[0].join(CHILD, Role.CHILD)
    net.nodes[0].got(child, question(1))
    net.run()
    (message,) = child.said()
    assert isinstance(message, Hits)
    assert (message.guid, message.hops) == (guid(1), 2)
    assert message.found[0].host == net.nodes[2].address


# Answers from the index


def test_children_are_found_and_forgotten_when_they_leave() -> None:
    node, child, _, _ = linked()
    other = node.join(STRANGER, Role.CHILD, "moon")
    node.got(child, question(1))
    assert child.found() == ["moon"]
    node.leave(other)
    node.got(child, question(2))
    assert child.found() == []


def test_who_asks_does_not_find_itself() -> None:
    node = SuperNode(Net(0), 0)
    child = node.join(CHILD, Role.CHILD, "moon one")
    node.share("moon two")
    node.got(child, question(1))
    assert child.found() == ["moon two"]
    node.ask(question(2))
    assert [one.files[0].name for one in node.heard] == ["moon one"]


def test_of_one_host_come_so_many_files() -> None:
    node, child, _, _ = linked()
    node.join(STRANGER, Role.CHILD, *(f"moon {n}" for n in range(50)))
    node.got(child, question(1))
    assert len(child.found()) == OF_HOST


def test_a_visitor_is_answered_told_where_to_go_and_never_asked_for() -> None:
    node, _, one, other = linked()
    node.share("moon")
    node.known = (Entry(STRANGER, 1, 2),)
    visitor = node.join(public(3000), Role.VISITOR)
    node.got(visitor, question(1, ttl=7))
    answer, end = visitor.said()
    assert isinstance(answer, Hits)
    assert end == End(guid(1), 1, node.known)
    assert one.said() == other.said() == []
    with pytest.raises(RemoteProtocolError):
        node.got(visitor, hits(1, found()))


# Whose hits are relayed


def test_hits_go_to_whoever_asked_and_to_nobody_else() -> None:
    node, child, one, other = linked()
    node.got(child, question(1))
    node.got(one, question(2))
    node.ask(question(3))
    for link in (one, other):
        link.said()
    for number in (1, 2, 3, 4):
        node.got(other, hits(number, found()))
    assert child.found() == ["moon"]
    assert one.found() == ["moon"]
    assert [one.host for one in node.heard] == [STRANGER]
    assert node.flood.counts.dropped["not asked"] == 1
    assert other.said() == []


def test_hits_of_who_was_not_asked_are_dropped() -> None:
    node, child, one, other = linked()
    other.congested = True
    provisional = node.join(public(3), Role.LINK)
    node.got(child, question(1))
    later = node.join(public(4), Role.LINK)
    for link in (later, provisional):
        node.flood.confirmed(link)
    node.got(one, question(2, ttl=1))
    node.flood.got(one, hits(2, found()).encode(), 0.0)
    for link in (other, provisional, later):
        node.got(link, hits(1, found()))
        node.got(link, hits(2, found()))
    assert node.flood.counts.dropped["not asked"] == 7
    assert child.said() == []
    assert one.found() == []


def test_a_link_gets_no_queries_before_it_is_confirmed() -> None:
    node, child, _, _ = linked()
    provisional = node.join(public(3), Role.LINK)
    node.flood.confirmed(child)
    node.got(child, question(1))
    assert provisional.said() == []
    node.flood.confirmed(provisional)
    node.flood.confirmed(provisional)
    node.got(child, question(2))
    assert len(provisional.said()) == 1


def test_a_child_that_sends_hits_is_at_fault() -> None:
    node, child, one, _ = linked()
    node.got(one, question(1))
    with pytest.raises(RemoteProtocolError, match="child"):
        node.got(child, hits(1, found()))


def test_only_as_many_results_are_relayed_as_were_wanted() -> None:
    node, child, one, _ = linked()
    node.join(STRANGER, Role.CHILD, "moon")
    node.got(child, question(1, want=5))
    node.got(one, hits(1, found(public(3000), 3)))
    node.got(one, hits(1, found(public(3001), 3)))
    node.got(one, hits(1, found(public(3002), 3)))
    assert len(child.found()) == 5
    assert node.flood.counts.dropped["ended"] == 1


def test_one_host_gives_so_many_however_often_it_is_named() -> None:
    node, child, one, other = linked()
    node.got(child, question(1))
    for n in range(9):
        node.got(one, hits(1, found(Address(STRANGER.host, 1000 + n), 15)))
        node.got(other, hits(1, found(STRANGER, 15)))
    assert len(child.found()) == OF_HOST


def test_nearby_a_host_is_an_address_with_its_port() -> None:
    node = SuperNode(Net(0), 0)
    child = node.join(Address("127.0.0.1", 1), Role.CHILD)
    for port in range(2, 5):
        node.join(Address("127.0.0.1", port), Role.CHILD, *["moon"] * 30)
    node.got(child, question(1))
    assert len(child.found()) == 3 * OF_HOST


@pytest.mark.parametrize(
    ("host", "parent"),
    [
        ("192.168.1.1", None),
        ("127.0.0.1", None),
        ("8.8.0.0", None),  # ourselves
        ("8.8.9.9", "10.0.0.1"),
        ("8.8.9.9", "8.8.0.0"),
    ],
)
def test_nobody_sends_us_where_he_is_not(host: str, parent: str | None) -> None:
    node, child, one, _ = linked()
    node.got(child, question(1))
    behind = None if parent is None else Address(parent, 6346)
    good = found(public(3000))
    node.got(one, hits(1, found(Address(host, 6346), parent=behind), good))
    (message,) = child.said()
    assert isinstance(message, Hits)
    assert message.found == (good,)
    assert node.flood.counts.dropped["not believed"] == 1


def test_hits_that_came_too_far_are_dropped() -> None:
    node, child, one, _ = linked()
    node.got(child, question(1))
    node.got(one, hits(1, found(), hops=7))
    assert child.said() == []
    assert node.flood.counts.dropped["too far"] == 1


# Ends


def test_stop_ends_it_and_only_who_asked_may_say_so() -> None:
    node, child, one, _ = linked()
    node.got(child, question(1))
    node.got(one, Stop(guid(1)))
    node.got(one, hits(1, found()))
    assert child.found() == ["moon"]
    node.got(child, Stop(guid(1)))
    node.got(child, Stop(guid(77)))
    node.got(one, hits(1, found()))
    assert child.said() == []
    assert node.flood.counts.dropped["ended"] == 1


def test_we_stop_too() -> None:
    node, _, one, _ = linked()
    node.ask(question(1))
    node.flood.stop(guid(1))
    node.flood.stop(guid(1))
    node.got(one, hits(1, found()))
    assert node.heard == []


def test_who_left_gets_nothing_and_its_question_is_still_a_duplicate() -> None:
    node, child, one, _ = linked()
    node.got(child, question(1))
    node.leave(child)
    one.said()
    node.got(one, hits(1, found()))
    node.got(one, question(1))
    assert node.flood.counts.dropped == {"not asked": 1, "duplicate": 1}
    node.got(child, question(2))  # what was still on its way
    assert one.said() == []
    node.flood.check()


def test_the_same_guid_is_asked_once() -> None:
    node, child, one, other = linked()
    node.got(child, question(1))
    for who in (child, one, other):
        node.got(who, question(1, "sun"))
    node.ask(question(1))
    assert node.flood.counts.dropped["duplicate"] == 3
    assert len(one.said()) == 1


def test_who_has_enough_of_ours_asks_nobody_else() -> None:
    node, child, one, other = linked()
    for number in range(10):
        node.join(public(3000 + number), Role.CHILD, *["moon"] * 30)
    node.got(child, question(1))
    node.got(one, question(2))
    assert one.found() == child.found() == ["moon"] * 200
    assert other.said() == []


def test_we_may_stop_while_we_hear() -> None:
    node, _, one, _ = linked()
    node.share("moon")
    node.join(STRANGER, Role.CHILD, "moon")
    node.flood.ask(question(1), 0.0, lambda _: node.flood.stop(guid(1)))
    assert one.said() == []


def test_who_asks_for_nothing_asks_nobody() -> None:
    node, child, one, _ = linked()
    node.got(child, question(1, ""))
    assert node.flood.counts.dropped["asks for nothing"] == 1
    assert one.said() == []


# Who does too much


def test_a_congested_link_gets_no_queries_and_asks_none() -> None:
    node, child, one, other = linked()
    one.congested = True
    node.got(child, question(1))
    node.got(one, question(2))
    assert one.said() == []
    assert len(other.said()) == 1
    assert node.flood.counts.dropped["congested"] == 2


def test_a_link_that_breaks_while_it_is_sent_to_is_left_out() -> None:
    node, child, one, other = linked()
    send = one.send

    def broken(*data: bytes) -> bool:
        node.leave(one)
        return send(*data)

    one.send = broken  # type: ignore[method-assign]
    node.got(child, question(1))
    assert len(other.said()) == 1
    node.flood.check()


def test_a_child_asks_once_a_second() -> None:
    node, child, one, _ = linked()
    for number in range(100):
        node.got(child, question(number))
    assert len(one.said()) == 30
    assert node.flood.counts.dropped["too often"] == 70
    node.net.now = 2.0
    for number in range(100, 200):
        node.got(child, question(number))
    assert len(one.said()) == 2


def test_a_child_is_answered_while_a_link_floods() -> None:
    """By queries and by hits."""
    node, child, bad, good = linked()
    numbers = iter(range(1, 1 << 30))
    answered = asked = 0
    for step in range(200):
        node.net.now = step / 10
        for _ in range(500):
            node.got(bad, question(next(numbers)))
        if step % 10 == 5:
            asked += 1
            number = next(numbers)
            node.got(child, question(number))
            for _ in range(50):
                node.got(bad, hits(number, found(), found(public(666), 3)))
            node.got(good, hits(number, found(public(3000))))
            messages = [message for message in child.said() if isinstance(message, Hits)]
            hosts = {one.host for message in messages for one in message.found}
            answered += public(3000) in hosts
    assert asked == answered == 20
    assert node.flood.counts.sent["query"] < 20 * 5000 * 1.1
    assert node.flood.counts.dropped["budget"] > 10_000
    node.flood.check()


def test_tables_stay_bounded() -> None:
    node, _, bad, good = linked()
    relay = node.flood._relay
    for number in range(60_000):
        node.net.now = number / 500
        node.got(bad, question(number))
        good.sent.clear()
    assert len(relay._routes) <= 50_000
    asker = relay.asker(bad)
    assert asker is not None
    assert len(asker.open) == 1000
    node.flood.check()


@given(
    st.binary(max_size=60), st.sampled_from([0x20, 0x21, 0x23, 0x22, 0x77]), st.sampled_from(ROLES)
)
def test_bytes_of_strangers_do_no_harm(body: bytes, kind: int, role: Role) -> None:
    node, _, _, _ = linked()
    wire = node.join(STRANGER, role)
    try:
        node.flood.got(wire, Frame(kind, body), 0.0)
    except RemoteProtocolError:
        return
    node.flood.check()


def test_a_large_network_is_reached_by_what_the_identity_says() -> None:
    dice, edges = Random(7), Edges()
    for node in range(1, 200):
        edges |= {(dice.randrange(node), node) for _ in range(min(node, 8))}
    net = Net(200, edges)
    for node in net.nodes:
        node.share("moon")
    net.nodes[5].ask(question(1))
    net.run()
    assert net.sent("query") == 2 * len(edges) - 200 + 1
    assert len(net.nodes[5].heard) == 199
