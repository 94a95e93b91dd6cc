from random import Random

import pytest
from hypothesis import given, settings, strategies as st

from p2pswarm.discovery.dht.ids import distance, secure_id
from p2pswarm.discovery.dht.routing import BUCKET, Table
from p2pswarm.formats.ids import Address
from p2pswarm.wire.krpc import Contact, NodeId

OWN = NodeId(bytes(20))
dice = Random(1)


def address(number: int) -> Address:
    high, low = divmod(number, 256)
    return Address(f"20.{high}.{low}.1", 6881)


def far(number: int, *, secure: bool = False) -> Contact:
    """In the bucket of all whose first bit is not ours; there is room for 128."""
    where = address(number)
    if secure:
        while True:
            node = secure_id(where.host, dice)
            if node[0] & 128:
                return Contact(node, where)
            where = Address(where.host.replace("20.", f"{dice.randrange(21, 90)}.", 1), 6881)
    return Contact(NodeId(b"\xff" + number.to_bytes(19, "big")), where)


def near(number: int) -> Contact:
    """In a bucket of eight."""
    return Contact(NodeId(bytes(10) + b"\xff" + number.to_bytes(9, "big")), address(1000 + number))


def full() -> Table:
    table = Table(OWN)
    for number in range(BUCKET):
        table.answered(near(number), 0.0)
    return table


def test_the_first_buckets_hold_more() -> None:
    table = Table(OWN)
    for number in range(300):
        table.answered(far(number), 0.0)
        table.answered(near(number), 0.0)
    assert len(table) == 128 + BUCKET
    assert sum(1 for _ in table) == 128 + BUCKET + 2 * BUCKET, "each has eight spares"
    table.check()


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.binary(min_size=20, max_size=20))
def test_the_nearest_are_the_nearest(seed: int, target: bytes) -> None:
    random = Random(seed)
    table = Table(NodeId(random.randbytes(20)))
    for number in range(200):
        table.answered(Contact(NodeId(random.randbytes(20)), address(number)), 0.0)
    kept = [entry.contact for entry in table if not entry.spare]
    kept.sort(key=lambda contact: distance(contact.id, target))
    assert table.nearest(target) == kept[:BUCKET]
    assert table.nearest(table.own, 500) == sorted(kept, key=lambda c: distance(c.id, table.own))


def test_who_never_answered_is_named_to_nobody() -> None:
    table = Table(OWN)
    assert table.heard(far(1))
    assert not table.heard(far(1))
    assert table.nearest(OWN) == []
    assert table.nearest(OWN, proven=False) == [far(1)]
    table.answered(far(1), 0.0)
    assert table.nearest(OWN) == [far(1)]
    table.failed(far(1), 1.0)
    assert table.nearest(OWN) == [], "it fails now"
    table.answered(far(1), 1.0)
    assert table.nearest(OWN) == [far(1)]


def test_a_proven_node_yields_to_nobody_until_it_fails() -> None:
    table = full()
    table.answered(near(100), 1.0)
    assert near(100) not in table.nearest(OWN)
    table.failed(near(3), 1.0)
    assert near(100) in table.nearest(OWN), "a spare takes its place at once"
    assert near(3) not in [entry.contact for entry in table]
    table.check()


def test_without_a_spare_a_node_may_fail_nineteen_times() -> None:
    table = full()
    for _ in range(Table.MAX_FAILURES - 1):
        table.failed(near(3), 1.0)
    assert len(table) == BUCKET
    table.failed(near(3), 1.0)
    assert len(table) == BUCKET - 1


def test_who_never_answered_fails_once() -> None:
    table = Table(OWN)
    table.answered(far(2), 0.0)
    table.heard(far(1))
    table.failed(far(1), 1.0)
    assert table.nearest(OWN, proven=False) == [far(2)]


def test_while_nobody_answers_nobody_goes() -> None:
    """It is our own line that is down."""
    table = full()
    table.answered(near(100), 0.0)
    table.heard(far(1))
    for now in range(61, 200):
        for contact in (near(3), far(1)):
            table.failed(contact, float(now))
    assert near(3) in table.nearest(OWN, proven=False)
    assert far(1) in table.nearest(OWN, 99, proven=False)
    assert near(3) not in table.nearest(OWN), "but it is named to nobody"
    table.answered(near(4), 200.0)
    table.failed(near(3), 201.0)
    assert near(100) in table.nearest(OWN), "now it is gone"


def test_who_answers_takes_the_place_of_one_that_never_did() -> None:
    table = Table(OWN)
    for number in range(BUCKET):
        table.heard(near(number))
    table.answered(near(100), 0.0)
    assert near(100) in table.nearest(OWN)
    assert len(table) == BUCKET
    table.check()


def test_ids_that_follow_from_addresses_go_first() -> None:
    table = Table(OWN)
    for number in range(200):
        table.answered(far(number), 0.0)
    honest = far(500, secure=True)
    table.answered(honest, 1.0)
    assert honest in table.nearest(honest.id)
    table.answered(far(501), 1.0)
    assert far(501) not in table.nearest(far(501).id)
    table.check()


def test_a_host_has_one_place() -> None:
    table = Table(OWN)
    table.answered(far(1), 0.0)
    for number in range(2, 50):
        again = Contact(far(number).id, Address(far(1).address.host, 7000 + number))
        table.answered(again, 0.0)
    assert [entry.contact for entry in table] == [far(1)]


def test_nobody_takes_the_id_of_a_proven_node() -> None:
    table = Table(OWN)
    table.answered(far(1), 0.0)
    thief = Contact(far(1).id, address(2))
    table.answered(thief, 1.0)
    assert table.nearest(OWN) == [far(1)]
    table.failed(far(1), 1.0)
    table.answered(thief, 1.0)
    assert table.nearest(OWN) == [thief]
    table.check()


def test_we_are_not_in_our_own_table() -> None:
    table = Table(OWN)
    table.answered(Contact(OWN, address(1)), 0.0)
    assert len(table) == 0


def test_whom_to_ping() -> None:
    table = Table(OWN)
    table.answered(far(1), 0.0)
    table.answered(far(2), 100.0)
    assert table.doubtful(500.0) is None
    entry = table.doubtful(900.0)
    assert entry is not None
    assert entry.contact == far(1)
    entry.asked = 900.0
    assert table.doubtful(901.0) is None, "the answer is waited for"
    table.heard(far(3))
    entry = table.doubtful(901.0)
    assert entry is not None
    assert entry.contact == far(3), "who never answered comes first"


def test_a_bucket_where_nobody_answered_for_long_is_looked_for() -> None:
    table = Table(OWN)
    table.answered(far(1), 0.0)
    assert table.stale(899.0, dice) is None
    target = table.stale(900.0, dice)
    assert target is not None
    assert target[0] & 128, "it is in that bucket"
    assert table.stale(901.0, dice) is None, "once"


@pytest.mark.parametrize("index", [0, 1, 7, 8, 158, 159])
def test_a_target_is_in_its_bucket(index: int) -> None:
    own = NodeId(dice.randbytes(20))
    table = Table(own)
    where = NodeId((int.from_bytes(own, "big") ^ 1 << 159 - index).to_bytes(20, "big"))
    table.answered(Contact(where, address(1)), -5000.0)
    while (target := table.stale(0.0, dice)) is not None:
        last = target
    assert distance(last, own).bit_length() == 160 - index


def test_a_table_moves_to_another_id_with_its_nodes() -> None:
    table = Table(OWN)
    for number in range(60):
        table.answered(far(number), float(number))
    table.failed(far(7), 1.0)
    table.heard(far(60))
    moved = table.moved(NodeId(b"\xff" * 20))
    moved.check()
    assert moved.own == NodeId(b"\xff" * 20)
    assert 8 <= len(moved) < len(table), "they are all in one half now"
    assert moved.proven() == len(moved), "those that answer first"


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 40), st.integers(0, 30)), max_size=120))
def test_whatever_happens_the_table_keeps_its_promises(steps: list[tuple[int, int, int]]) -> None:
    """Ids and addresses in any combination; a few of each, so that they collide."""
    table = Table(OWN)
    for now, (what, node, host) in enumerate(steps):
        contact = Contact(near(node).id, address(host))
        if what == 0:
            table.heard(contact)
        elif what == 1:
            table.answered(contact, float(now))
        else:
            table.failed(contact, float(now))
        table.check()
