import pytest
from hypothesis import given, settings, strategies as st

from p2pswarm.formats.geometry import Geometry
from p2pswarm.formats.ids import BLOCK, PieceIndex

PIECE = 2 * BLOCK


def blocks_of(geometry: Geometry) -> list[int]:
    return [
        piece * geometry.per_piece + n
        for piece in range(geometry.pieces)
        for n in range(geometry.blocks_in(PieceIndex(piece)))
    ]


def test_a_block_has_one_number_across_the_torrent() -> None:
    geometry = Geometry(2 * 3 * BLOCK + BLOCK + 5, 3 * BLOCK)
    assert [geometry.blocks_in(PieceIndex(n)) for n in range(3)] == [3, 3, 2]
    assert geometry.request(0) == (0, 0, BLOCK)
    assert geometry.request(5) == (1, 2 * BLOCK, BLOCK)
    assert geometry.request(7) == (2, BLOCK, 5)


@pytest.mark.parametrize("length", [1, BLOCK - 1, BLOCK, BLOCK + 1, 20_000])
def test_pieces_that_are_no_whole_number_of_blocks(length: int) -> None:
    geometry = Geometry(3 * length + 1, length)
    ranges = sorted(geometry.request(block) for block in blocks_of(geometry))
    assert sum(size for _, _, size in ranges) == 3 * length + 1
    assert all(0 < size <= BLOCK and begin % BLOCK == 0 for _, begin, size in ranges)
    assert len(set(ranges)) == len(ranges)


@settings(max_examples=50)
@given(st.integers(1, 5 * BLOCK), st.integers(1000, 3 * BLOCK + 7), st.booleans(), st.data())
def test_many_requests_are_each_what_one_is_and_only_they_fit(
    total: int, length: int, counts: bool, data: st.DataObject
) -> None:
    pad = data.draw(st.integers(0, total))
    geometry = Geometry(total, length, [(total - pad, total)], counts_pads=counts)
    blocks = blocks_of(geometry)
    requests = geometry.requests(blocks)
    assert requests == [geometry.request(block) for block in blocks]
    for piece, begin, size in requests:
        if size:
            assert geometry.fits(piece, begin, size)
        for wrong in ((begin, size - 1), (begin, size + 1), (begin + 1, size), (begin, 0)):
            assert not geometry.fits(piece, *wrong)


# libtorrent 2.1.1 was asked: files of 20000, 40000, 5 and 100000 bytes, pieces of 32 KiB, tail padded.
SIZES = [20000, 40000, 5, 100000]


def padded(*, counts_pads: bool) -> Geometry:
    pads, at = [], 0
    for size in SIZES:
        end = -(-(at + size) // PIECE) * PIECE
        pads.append((at + size, end))
        at = end
    return Geometry(at, PIECE, pads, counts_pads=counts_pads)


def asked(geometry: Geometry) -> list[tuple[int, int, int]]:
    spared = {
        piece * geometry.per_piece + n
        for piece in range(geometry.pieces)
        for first, end in geometry.pad_blocks(PieceIndex(piece))
        for n in range(first, end)
    }
    return [geometry.request(n) for n in blocks_of(geometry) if n not in spared]


WHOLE = [(1, 0), (1, BLOCK)] + [(piece, n) for piece in (4, 5, 6) for n in (0, BLOCK)]


def test_without_version_1_only_data_is_asked_for_as_libtorrent_does() -> None:
    short = [(0, BLOCK, 3616), (2, 0, 7232), (3, 0, 5), (7, 0, 1696)]
    whole = [(piece, begin, BLOCK) for piece, begin in [(0, 0), *WHOLE]]
    assert asked(padded(counts_pads=False)) == sorted(short + whole)


def test_in_a_hybrid_blocks_are_asked_for_with_their_pad_as_libtorrent_does() -> None:
    some = [(0, 0), (0, BLOCK), (2, 0), (3, 0), (7, 0), *WHOLE]
    assert asked(padded(counts_pads=True)) == sorted((*each, BLOCK) for each in some)


def test_data_ends_where_the_pad_at_the_end_begins() -> None:
    geometry = padded(counts_pads=True)
    sizes = [geometry.data_size(PieceIndex(piece)) for piece in range(geometry.pieces)]
    assert sizes == [20000, PIECE, 7232, 5, PIECE, PIECE, PIECE, 1696]
    assert [geometry.piece_size(PieceIndex(piece)) for piece in range(8)] == [PIECE] * 8


@settings(max_examples=100)
@given(st.lists(st.tuples(st.integers(0, 9), st.booleans()), min_size=1), st.integers(1, 12))
def test_pads_anywhere_are_found_in_their_pieces(
    parts: list[tuple[int, bool]], length: int
) -> None:
    stream = b"".join((b"p" if pad else b"d") * size for size, pad in parts)
    pads, at = [], 0
    for size, pad in parts:
        pads += [(at, at + size)] * pad
        at += size
    geometry = Geometry(len(stream), length, pads)
    assert geometry.padded == (b"p" in stream)
    for piece in range(geometry.pieces):
        data = stream[piece * length : (piece + 1) * length]
        index = PieceIndex(piece)
        assert geometry.piece_size(index) == len(data)
        assert geometry.data_size(index) == len(data.rstrip(b"p"))
        assert geometry.content_size(index) == len(data.replace(b"p", b""))
        found = {at for start, end in geometry.pads_in(index) for at in range(start, end)}
        assert found == {at for at, byte in enumerate(data) if byte == ord("p")}
