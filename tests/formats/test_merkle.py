"""Trees against the plain definition: all leaves written out, zero bytes beyond the end."""

from hashlib import sha256

import pytest
from hypothesis import given, settings, strategies as st

from p2pswarm.formats.merkle import (
    HASH,
    LEAF,
    ZERO,
    climbed,
    height,
    leaf,
    leaves,
    parents,
    piece_height,
    proof,
    root,
)


def written_out(hashes: list[bytes], width: int) -> bytes:
    layer = hashes + [bytes(HASH)] * (width - len(hashes))
    while len(layer) > 1:
        layer = [sha256(a + b).digest() for a, b in zip(layer[::2], layer[1::2], strict=True)]
    return layer[0]


def some(count: int) -> list[bytes]:
    return [leaf(bytes([number])) for number in range(count)]


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 7, 8, 9, 16, 17])
def test_root_is_that_of_the_tree_written_out(count: int) -> None:
    hashes, width = some(count), 1 << height(count)
    assert root(b"".join(hashes)) == written_out(hashes, width)
    assert root(b"".join(hashes), 0, 6) == written_out(hashes, 64)


def test_beyond_the_end_are_zero_bytes_not_hashes_of_zeros() -> None:
    assert ZERO[0] == bytes(32)
    assert ZERO[2] == written_out([], 4) == root(b"", 0, 2)
    assert leaf(bytes(LEAF)) != ZERO[0]


def test_a_last_block_is_hashed_as_short_as_it_is() -> None:
    assert leaves(bytes(LEAF + 1)) == leaf(bytes(LEAF)) + leaf(b"\0")
    assert leaves(b"") == b""


def test_a_layer_leads_to_the_root_of_its_leaves() -> None:
    joined = b"".join(some(11))
    pieces = b"".join(
        root(joined[at : at + 4 * HASH], 0, 2) for at in range(0, len(joined), 4 * HASH)
    )
    assert pieces == parents(parents(joined, 0), 1)
    assert root(pieces, 2) == root(joined)


@pytest.mark.parametrize(
    ("length", "expected"),
    [(1, 0), (LEAF, 0), (LEAF + 1, 1), (3 * LEAF, 2), (4 * LEAF, 2), (5 * LEAF, 2)],
)
def test_pieces_of_a_small_file_have_its_own_height(length: int, expected: int) -> None:
    assert piece_height(length, 4 * LEAF) == expected


@settings(max_examples=60)
@given(st.integers(1, 40), st.integers(0, 3), st.data())
def test_a_proof_leads_to_the_root(count: int, power: int, data: st.DataObject) -> None:
    joined = b"".join(some(count))
    power = min(power, height(count))
    index = data.draw(st.integers(0, (count - 1) >> power))
    run = joined[index * (HASH << power) : (index + 1) * (HASH << power)]
    uncles = proof(joined, index << power, 1 << power)
    assert len(uncles) == height(count) - power
    assert climbed(root(run, 0, power), index, uncles) == root(joined)
    if uncles:
        assert climbed(root(run, 0, power), index ^ 1, uncles) != root(joined)
