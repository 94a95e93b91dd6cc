"""Prefixes, and super nodes and addresses in lists."""

from contextlib import suppress

import pytest
from hypothesis import given, settings, strategies as st

from p2pswarm.errors import LocalProtocolError, RemoteProtocolError
from p2pswarm.formats.ids import Address
from p2pswarm.wire.people.nodes import (
    WHOLE,
    Prefix,
    SuperNode,
    pack_nodes,
    pack_prefix,
    read_addresses,
    read_nodes,
    read_prefix,
)
from tests.support.people_wire import prefixes, super_nodes


def text(prefix: Prefix) -> str:
    return str(prefix) if prefix.length else ""


@settings(max_examples=60)
@given(prefixes, prefixes)
def test_prefixes_are_what_their_bits_say(one: Prefix, other: Prefix) -> None:
    assert one.covers(other) == text(other).startswith(text(one))
    common = one.common(other)
    assert text(one)[:common] == text(other)[:common]
    assert text(one)[common : common + 1] != text(other)[common : common + 1] or common == min(
        one.length, other.length
    )
    assert text(one.up(3)) == text(one)[:-3]
    assert read_prefix(pack_prefix(one)) == one


def test_halves_and_siblings() -> None:
    assert [str(WHOLE), str(WHOLE.down(0)), str(WHOLE.down(1).down(0))] == ["all", "0", "10"]
    assert WHOLE.down(1).down(0).sibling == WHOLE.down(1).down(1)
    assert WHOLE.sibling == WHOLE == WHOLE.up()
    assert Prefix.of(b"\xa5" + bytes(31), 4) == Prefix(4, 0b1010)


@settings(max_examples=60)
@given(st.lists(super_nodes, max_size=5))
def test_lists_come_through(nodes: list[SuperNode]) -> None:
    assert read_nodes(pack_nodes(nodes), 5) == tuple(nodes)
    if nodes:
        with pytest.raises(RemoteProtocolError):
            read_nodes(pack_nodes(nodes), len(nodes) - 1)


@settings(max_examples=60)
@given(st.binary(max_size=80))
def test_any_bytes_are_a_list_or_the_others_fault(data: bytes) -> None:
    with suppress(RemoteProtocolError):
        read_nodes(data, 3)
    with suppress(RemoteProtocolError):
        read_addresses(data, 3)
    with suppress(RemoteProtocolError):
        read_prefix(data)


@pytest.mark.parametrize("prefix", [Prefix(33, 0), Prefix(1, 2), Prefix(0, 1), Prefix(-1, 0)])
def test_a_prefix_that_cannot_be_is_not_told(prefix: Prefix) -> None:
    with pytest.raises(LocalProtocolError):
        pack_prefix(prefix)


@pytest.mark.parametrize("data", [b"\x21\0\0\0\0", b"\1\0\0\0\2", b"\0\0\0\0"])
def test_nor_read(data: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        read_prefix(data)


def test_a_name_of_another_length_is_not_told() -> None:
    with pytest.raises(LocalProtocolError):
        pack_nodes([SuperNode(b"short", Address("1.2.3.4", 1), WHOLE)])
