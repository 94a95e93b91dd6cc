"""Hits in small datagrams: the same results, none lost, none twice."""

from hypothesis import given, strategies as st

from p2pswarm.formats.ids import Address
from p2pswarm.overlay.gnutella.udp.parcels import parcels
from p2pswarm.wire.gnutella.hit import QueryHit
from tests.support.gnutella_udp import hit_of

HERE = Address("81.0.0.1", 6346)


@given(
    st.lists(st.text("abc", max_size=600), max_size=60),
    st.integers(100, 2000),
    st.dictionaries(st.sampled_from(["BH", "SO", "PUSH"]), st.binary(max_size=30)),
)
def test_the_results_are_the_same_and_the_pieces_small(
    names: list[str], most: int, ggep: dict[str, bytes]
) -> None:
    hit = hit_of(HERE, names, b"s" * 16, push=True, ggep=ggep)
    pieces = [QueryHit.read(piece.encode()) for piece in parcels(hit, most)]
    assert [result for piece in pieces for result in piece.results] == list(hit.results)
    assert all(
        (piece.address, piece.servent, piece.push) == (HERE, b"s" * 16, True) for piece in pieces
    )
    assert all(piece.ggep == ggep for piece in pieces)
    assert all(len(piece.encode()) <= most for piece in pieces if len(piece.results) > 1)


def test_a_hit_that_fits_stays_one() -> None:
    assert list(parcels(hit_of(HERE, ["a", "b"]))) == [hit_of(HERE, ["a", "b"])]


def test_no_results_are_no_hit() -> None:
    assert not list(parcels(hit_of(HERE, [])))


def test_a_hit_counts_255_results_at_most() -> None:
    pieces = list(parcels(hit_of(HERE, ["a"] * 600), 60_000))
    assert [len(piece.results) for piece in pieces] == [255, 255, 90]
