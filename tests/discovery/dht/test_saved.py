from contextlib import suppress

import pytest
from hypothesis import given, settings, strategies as st

from p2pswarm.discovery.dht.saved import MOST_SAVED, SavedTable
from p2pswarm.errors import FormatError
from p2pswarm.formats import bencode
from p2pswarm.formats.ids import Address
from p2pswarm.wire.krpc import Contact, Family, NodeId

V4 = Contact(NodeId(b"4" * 20), Address("8.8.8.8", 6881))
V6 = Contact(NodeId(b"6" * 20), Address("2a00:1::7", 6881))


def test_what_is_saved_is_read_again() -> None:
    table = SavedTable(
        {Family.IPV4: NodeId(b"a" * 20), Family.IPV6: NodeId(b"b" * 20)},
        {Family.IPV4: (V4,), Family.IPV6: (V6,)},
    )
    assert SavedTable.decode(table.encode()) == table


def test_a_node_of_one_family_says_nothing_of_the_other() -> None:
    table = SavedTable({Family.IPV4: NodeId(b"a" * 20)}, {Family.IPV4: (V4,)})
    read = SavedTable.decode(table.encode())
    assert read.ids == table.ids
    assert read.nodes == {Family.IPV4: (V4,), Family.IPV6: ()}


def test_no_more_than_three_hundred_nodes_are_saved_or_read() -> None:
    many = SavedTable({}, {Family.IPV4: (V4,) * 1000})
    assert SavedTable.decode(many.encode()).nodes[Family.IPV4] == (V4,) * MOST_SAVED
    foreign = bencode.encode({b"nodes4": many.encode()[9:] * 2})
    assert len(SavedTable.decode(foreign).nodes[Family.IPV4]) <= MOST_SAVED


@pytest.mark.parametrize("damaged", [b"", b"le", b"d3:id43:abce", b"d6:nodes4i1ee", b"junk"])
def test_a_damaged_file_is_refused(damaged: bytes) -> None:
    with pytest.raises(FormatError):
        SavedTable.decode(damaged)


@settings(max_examples=50)
@given(
    st.dictionaries(
        st.sampled_from((b"id4", b"id6", b"nodes4", b"nodes6")), st.binary(max_size=80)
    ).map(bencode.encode)
)
def test_any_file_is_a_table_or_refused(data: bytes) -> None:
    with suppress(FormatError):
        table = SavedTable.decode(data)
        assert SavedTable.decode(table.encode()) == table
