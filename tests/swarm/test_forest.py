from random import Random

import pytest
from hypothesis import given, settings, strategies as st

from p2pswarm.errors import RemoteProtocolError
from p2pswarm.formats import merkle
from p2pswarm.formats.ids import BLOCK, PieceIndex
from p2pswarm.formats.merkle import HASH
from p2pswarm.formats.metainfo import Metainfo
from p2pswarm.swarm.forest import Forest
from p2pswarm.wire.hashes import Hashes, HashRange
from tests.support.generations import contents, generation

PIECE = 4 * BLOCK
FILES = {
    "a": contents(PIECE * 5 + 3 * BLOCK + 7, 1),
    "b": contents(PIECE, 2),
    "c": contents(BLOCK + 1, 3),
    "d": contents(7, 4),
    "e": b"",
    "f": contents(PIECE * 2 + 1, 5),
    "g": contents(PIECE * 5 + 3 * BLOCK + 7, 1),  # the same as a
}
META = Metainfo.from_bytes(generation(FILES, piece_length=PIECE))


def bare() -> Forest:
    """As after a magnet: without layers."""
    return Forest.of(Metainfo.from_info(bytes(META.info)))


def answered(asked: HashRange) -> Hashes:
    """As a true peer answers, computed another way than by the room itself: from all leaves of the file."""
    data = next(
        data for data in FILES.values() if data and merkle.root(merkle.leaves(data)) == asked.root
    )
    full = merkle.leaves(data)
    full += bytes(HASH * ((1 << merkle.height(len(full) // HASH)) - len(full) // HASH))
    layers = [full]
    while len(layers[-1]) > HASH:
        layers.append(merkle.parents(layers[-1], 0))
    run = layers[asked.base][asked.first * HASH : (asked.first + asked.length) * HASH]
    start, uncles = asked.base + merkle.height(asked.length), b""
    for at in range(start, start + asked.uncles):
        sibling = (asked.first >> (at - asked.base)) ^ 1
        uncles += layers[at][sibling * HASH : (sibling + 1) * HASH]
    return Hashes(asked, run + uncles)


def pieces() -> list[PieceIndex]:
    return [PieceIndex(n) for n in range(META.piece_count)]


def test_with_layers_every_piece_has_its_root() -> None:
    forest = Forest.of(META)
    assert [forest.expected(piece) for piece in pieces()] == [META.piece_root(p) for p in pieces()]
    assert not forest.lacking
    assert list(forest.unknown()) == []
    assert forest.layers() == META.layers


def test_without_them_only_files_of_one_piece_can_be_judged() -> None:
    forest = bare()
    known = {piece for piece in pieces() if forest.expected(piece) is not None}
    assert known == {PieceIndex(6), PieceIndex(7), PieceIndex(8)}
    assert sorted(forest.unknown()) == sorted(set(pieces()) - known)
    assert forest.layers() == {}


def test_layers_are_learned_and_files_that_are_the_same_learn_together() -> None:
    forest = bare()
    asked = list(forest.layer_ranges())
    assert sorted(each.length for each in asked) == [4, 8]
    learned = [piece for each in asked for piece in forest.learn(answered(each)).pieces]
    assert sorted(learned) == sorted(bare().unknown())
    assert forest.layers() == META.layers
    assert not forest.lacking
    assert list(forest.layer_ranges()) == []
    assert [forest.expected(piece) for piece in pieces()] == [META.piece_root(p) for p in pieces()]


def test_a_layer_of_many_chunks_comes_chunk_by_chunk() -> None:
    """Three chunks of 512, each with its own proof; a wrong hash anywhere is found."""
    layer = bytearray(Random(1).randbytes(1100 * HASH))
    base = 2
    root = merkle.root(layer, base)
    forest = Forest([(root, 0, 1100 * PIECE)], PIECE, {})
    asked = list(forest.layer_ranges())
    assert [(each.first, each.length, each.uncles) for each in asked] == [
        (0, 512, 2),
        (512, 512, 2),
        (1024, 512, 2),
    ]
    for each in asked:
        run = bytes(layer[each.first * HASH : (each.first + 512) * HASH])
        run += merkle.ZERO[base] * (512 - len(run) // HASH)
        answer = run + b"".join(merkle.proof(layer, each.first, 512, base))
        for at in (0, len(run) - 1, len(answer) - 1):
            bad = answer[:at] + bytes((answer[at] ^ 1,)) + answer[at + 1 :]
            with pytest.raises(RemoteProtocolError):
                forest.learn(Hashes(each, bad))
        assert forest.expected(PieceIndex(each.first)) is None
        forest.learn(Hashes(each, answer))
        assert forest.expected(PieceIndex(each.first)) == run[:HASH]
    assert forest.layers() == {root: bytes(layer)}


def test_leaves_of_pieces_lead_to_their_pieces() -> None:
    forest = Forest.of(META)
    whole = b"".join(data + bytes(-len(data) % PIECE) for data in FILES.values())
    for piece in pieces():
        data = whole[piece * PIECE : piece * PIECE + META.data_size(piece)]
        asked = forest.watch(piece)
        assert bool(asked) == (len(data) > BLOCK)
        assert forest.leaves(piece) is None
        for each in asked:
            answer = answered(each)
            with pytest.raises(RemoteProtocolError):
                forest.learn(Hashes(each, bytes(HASH) + answer.hashes[HASH:]))
            assert piece in forest.learn(answer).leaves
        if asked:
            assert forest.leaves(piece) == merkle.leaves(data)
            assert forest.watch(piece) == []
        assert forest.root_of(piece, merkle.leaves(data)) == forest.expected(piece)
        forest.forget(piece)
        assert forest.leaves(piece) is None


def test_leaves_of_a_large_piece_come_in_parts() -> None:
    length = 16 << 20
    leaves = Random(1).randbytes(1500 * HASH)
    top = merkle.height(length // BLOCK)
    layer = merkle.root(leaves[: 1024 * HASH], 0, top) + merkle.root(leaves[1024 * HASH :], 0, top)
    root = merkle.root(layer, top)
    forest = Forest([(root, 0, 1500 * BLOCK)], length, {root: layer})
    second = PieceIndex(1)
    assert [each.first for each in forest.watch(PieceIndex(0))] == [0, 512]
    (asked,) = forest.watch(second)
    run = leaves[1024 * HASH :] + bytes((512 - 476) * HASH)
    answer = Hashes(asked, run + merkle.proof(run + bytes(512 * HASH), 0, 512)[0])
    assert forest.learn(answer).leaves == [second]
    assert forest.leaves(second) == leaves[1024 * HASH :]
    assert forest.leaves(PieceIndex(0)) is None


def test_a_hybrid_learns_its_layers_from_pieces_that_are_good_by_sha1() -> None:
    forest, told = bare(), Forest.of(META)
    for piece in pieces():
        expected = told.expected(piece)
        assert expected is not None
        assert forest.compute(piece, expected)
    assert forest.layers() == META.layers
    assert not forest.lacking
    assert forest.compute(PieceIndex(0), bytes(HASH)) is False


def test_halves_that_contradict_each_other_are_found_when_the_layer_is_whole_or_comes() -> None:
    forest = bare()
    first, last = PieceIndex(9), PieceIndex(11)
    (asked,) = (each for each in forest.layer_ranges() if each.length == 4)
    assert forest.compute(first, bytes(HASH))
    assert forest.contradicted(forest.learn(answered(asked)).pieces) == first
    forest = bare()
    assert all(forest.compute(PieceIndex(n), bytes(HASH)) for n in range(first, last))
    assert not forest.compute(last, bytes(HASH))


@settings(max_examples=50)
@given(st.data())
def test_no_answer_breaks_it_and_none_is_believed_without_proof(data: st.DataObject) -> None:
    forest = bare()
    ranges = list(forest.layer_ranges()) + forest.watch(PieceIndex(6))
    asked = data.draw(st.sampled_from(ranges))
    true = answered(asked)
    at = data.draw(st.integers(0, len(true.hashes) - 1))
    bad = true.hashes[:at] + bytes((true.hashes[at] ^ data.draw(st.integers(1, 255)),))
    with pytest.raises(RemoteProtocolError):
        forest.learn(Hashes(asked, bad + true.hashes[at + 1 :]))
    assert forest.layers() == {}
    assert forest.leaves(PieceIndex(6)) is None
