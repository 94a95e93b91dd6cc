"""What a node keeps for others, and what it lets go."""

from collections.abc import Sequence

import pytest
from hypothesis import given, settings, strategies as st

from p2pswarm.discovery.dht.items import ImmutableItem, Item, ItemError, MutableItem
from p2pswarm.discovery.dht.shelves import LIFE, MAX_ITEMS, MAX_OF_ONE, Shelves
from p2pswarm.formats.signing import SigningKey
from p2pswarm.wire.krpc import ErrorCode, NodeId

KEY = SigningKey(bytes(32))
ME = NodeId(bytes(20))


def ids() -> list[NodeId]:
    return [ME]


def immutable(number: int) -> ImmutableItem:
    return ImmutableItem.of(number)


def mutable(sequence: int, value: bytes = b"x", salt: bytes = b"") -> MutableItem:
    return MutableItem.signed(KEY, value, sequence, salt)


def has(shelves: Shelves, item: Item, now: float = 0.0) -> bool:
    return shelves.get(item.target, now) == item


def test_an_item_is_there_for_two_hours_after_the_last_put() -> None:
    shelves = Shelves(ids)
    shelves.put(immutable(1), "a", 0.0)
    shelves.put(immutable(2), "a", 1.0)
    shelves.put(immutable(1), "b", 100.0)
    assert has(shelves, immutable(2), LIFE)
    assert not has(shelves, immutable(2), LIFE + 1)
    shelves.expire(LIFE + 1)
    assert list(shelves) == [immutable(1).target]
    assert has(shelves, immutable(1), LIFE + 99)
    shelves.expire(LIFE + 100)
    assert not len(shelves)


def test_a_newer_value_takes_the_place_of_an_older_one() -> None:
    shelves = Shelves(ids)
    shelves.put(mutable(5), "a", 0.0)
    shelves.put(mutable(5, b"other"), "a", 0.0)
    assert has(shelves, mutable(5))
    shelves.put(mutable(6), "b", 0.0)
    shelves.put(mutable(1, salt=b"s"), "b", 0.0)
    assert has(shelves, mutable(6))
    assert len(shelves) == 2
    with pytest.raises(ItemError) as error:
        shelves.put(mutable(5), "a", 0.0)
    assert error.value.code is ErrorCode.SEQUENCE_TOO_LOW
    shelves.check()


def test_compare_and_swap() -> None:
    shelves = Shelves(ids)
    shelves.put(mutable(5), "a", 0.0, cas=4)  # nothing to compare with
    with pytest.raises(ItemError) as error:
        shelves.put(mutable(7), "a", 0.0, cas=4)
    assert error.value.code is ErrorCode.CAS_MISMATCH
    shelves.put(mutable(7), "a", 0.0, cas=5)
    assert has(shelves, mutable(7))


def test_a_put_that_fails_prolongs_nothing() -> None:
    shelves = Shelves(ids)
    shelves.put(mutable(5), "a", 0.0)
    with pytest.raises(ItemError):
        shelves.put(mutable(4), "a", 10.0)
    assert not has(shelves, mutable(5), LIFE)


def test_when_all_is_full_what_few_want_goes_and_of_that_the_farthest() -> None:
    shelves = Shelves(ids)
    items = [immutable(number) for number in range(MAX_ITEMS)]
    for at, item in enumerate(items):
        shelves.put(item, f"host {at % 20}", 0.0)
    farthest, next_one = sorted(items, key=lambda item: item.target)[:-3:-1]
    shelves.put(farthest, "another", 0.0)
    shelves.put(immutable(MAX_ITEMS), "another", 0.0)
    assert has(shelves, farthest)
    assert not has(shelves, next_one)
    assert len(shelves) == MAX_ITEMS
    shelves.check()


def test_one_host_cannot_push_out_the_items_of_others() -> None:
    shelves = Shelves(ids)
    shelves.put(immutable(-1), "honest", 0.0)
    for number in range(MAX_ITEMS * 2):
        shelves.put(immutable(number), "flooder", 0.0)
    assert has(shelves, immutable(-1))
    assert len(shelves) == 1 + MAX_OF_ONE
    shelves.check()


@settings(max_examples=20, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.one_of(
                st.builds(immutable, st.integers(0, 200)),
                st.builds(mutable, st.integers(0, 3), salt=st.binary(max_size=1)),
            ),
            st.sampled_from("abc"),
            st.floats(0, LIFE / 4),
            st.none() | st.integers(0, 3),
        ),
        max_size=60,
    )
)
def test_the_books_are_right(puts: Sequence[tuple[Item, str, float, int | None]]) -> None:
    shelves, now = Shelves(ids), 0.0
    for item, host, passed, cas in puts:
        now += passed
        try:
            shelves.put(item, host, now, cas)
        except ItemError:
            assert isinstance(item, MutableItem)
        else:
            kept = shelves.get(item.target, now)
            assert kept is not None
            assert kept.raw == item.raw or isinstance(kept, MutableItem)
        shelves.check()
