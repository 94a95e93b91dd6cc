from random import Random

from p2pswarm.discovery.dht.ids import secure_id
from p2pswarm.discovery.dht.lookup import BRANCHING, Lookup
from p2pswarm.discovery.dht.routing import BUCKET
from p2pswarm.formats.ids import Address
from p2pswarm.wire.krpc import Contact, NodeId

OWN, TARGET = NodeId(b"\xff" * 20), bytes(20)


def node(away: int, host: int | None = None) -> Contact:
    high, low = divmod(away if host is None else host, 256)
    return Contact(NodeId(away.to_bytes(20, "big")), Address(f"20.{high}.{low}.1", 6881))


def begun(*away: int) -> Lookup:
    lookup = Lookup(TARGET, OWN)
    lookup.add(map(node, away))
    return lookup


def test_five_are_asked_at_once_the_nearest_first() -> None:
    lookup = begun(9, 2, 7, 1, 8, 3, 5)
    assert lookup.next() == [node(each) for each in (1, 2, 3, 5, 7)]
    assert lookup.next() == []
    assert not lookup.over


def test_it_is_over_when_the_eight_nearest_have_answered() -> None:
    lookup = begun(*range(100, 120))
    order = []
    while not lookup.over:
        for contact in lookup.next():
            order.append(contact)
            lookup.answered(contact, b"token")
    assert order == [node(each) for each in range(100, 100 + BUCKET)]
    assert lookup.nearest() == order
    assert lookup.hops == 0


def test_those_who_are_named_are_asked_and_count_as_hops() -> None:
    lookup = begun(1000)
    above = node(1000)
    for step in (900, 800, 700):
        (asked,) = lookup.next()
        assert asked == above
        lookup.answered(asked, None)
        lookup.add([node(step)], asked)
        above = node(step)
    (asked,) = lookup.next()
    lookup.answered(asked, None)
    assert lookup.over
    assert lookup.hops == 3
    assert lookup.asked == lookup.answers == 4


def test_after_a_second_another_one_is_asked_and_a_late_answer_counts() -> None:
    lookup = begun(*range(1, 8))
    first, *others = lookup.next()
    lookup.slow(first)
    assert not lookup.stuck
    assert lookup.next() == [node(6)]
    for contact in (*others, node(6)):
        lookup.answered(contact, None)
    assert lookup.next() == [node(7)]
    lookup.answered(node(7), None)
    assert not lookup.over, "six have answered; the slow one may still"
    assert lookup.stuck
    lookup.answered(first, None)
    assert lookup.over
    assert lookup.nearest()[0] == first


def test_a_slow_one_is_not_waited_for_when_eight_others_have_answered() -> None:
    lookup = begun(*range(1, 10))
    first, *others = lookup.next()
    lookup.slow(first)
    while others:
        lookup.answered(others.pop(), None)
        others += lookup.next()
    assert lookup.over


def test_who_fails_is_passed_over() -> None:
    lookup = begun(1, 2, 3)
    for contact in lookup.next():
        lookup.failed(contact)
    assert lookup.over
    assert lookup.nearest() == []
    assert lookup.hops == 0


def test_with_nobody_to_ask_it_is_over() -> None:
    assert begun().over


def test_a_neighbourhood_is_asked_once_and_we_never() -> None:
    lookup = begun()
    sybils = [
        Contact(NodeId(n.to_bytes(20, "big")), Address(f"20.0.0.{n}", n)) for n in range(1, 100)
    ]
    lookup.add([Contact(OWN, Address("9.9.9.9", 1)), *sybils])
    assert lookup.next() == sybils[:1]


def test_near_nodes_may_be_on_one_host() -> None:
    lookup = begun()
    lookup.add(
        Contact(NodeId(n.to_bytes(20, "big")), Address("127.0.0.1", n)) for n in range(1, 10)
    )
    assert len(lookup.next()) == BRANCHING


def test_made_up_nodes_end_with_a_hundred_questions() -> None:
    """Each answer names sixteen that are nearer still, none of which gives anything."""
    lookup = begun(1 << 40)
    away, asked = 1 << 40, 0
    while not lookup.over:
        for contact in lookup.next():
            asked += 1
            named = [node(away - n, 17 * asked + n) for n in range(1, 17)]
            away -= 16
            lookup.answered(contact, None)
            lookup.add(named, contact)
            if asked % 3:
                lookup.failed(contact)
    assert asked <= 100
    assert len(lookup._candidates) <= 200 + 16


def test_secure_ids_are_told_first_but_no_far_ones() -> None:
    """Eight sybils beside the target, and honest ones a little further away."""
    dice = Random(1)
    lookup = Lookup(TARGET, OWN)
    sybils = list(map(node, range(1, 9)))
    honest = []
    for number in range(100, 120):
        host = f"30.{number}.1.1"
        honest.append(Contact(secure_id(host, dice), Address(host, 1)))
    honest.sort()
    lookup.add([*sybils, *honest])
    for contact in [*sybils, *honest]:
        lookup.answered(contact, b"token")
    told = [contact for contact, _ in lookup.holders()]
    assert told == honest[:8]
    assert lookup.nearest() == sybils


def test_who_gave_no_token_is_not_told() -> None:
    lookup = begun(1, 2)
    for contact in lookup.next():
        lookup.answered(contact, b"token" if contact == node(2) else None)
    assert lookup.holders() == [(node(2), b"token")]
