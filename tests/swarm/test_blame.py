from collections.abc import Hashable

import pytest
from hypothesis import given, settings, strategies as st

from p2pswarm.formats.ids import PieceIndex
from p2pswarm.swarm.blame import MOST, Blame

P = PieceIndex(7)
GOOD = [b"digest of block %d" % n for n in range(4)]


def lie(digests: list[bytes], *blocks: int) -> list[bytes]:
    return [b"a lie" if n in blocks else digest for n, digest in enumerate(digests)]


def test_the_only_sender_of_a_bad_piece_is_to_blame() -> None:
    assert Blame().failed(P, ["A"] * 4, lie(GOOD, 2)) == {"A"}


def test_nobody_sends_the_pad_of_a_piece() -> None:
    assert Blame().failed(P, ["A", "A", None, None], lie(GOOD, 1)) == {"A"}


def test_of_several_nobody_is_before_the_good_piece_is_known() -> None:
    blame = Blame()
    assert blame.failed(P, ["A", "B", "A", "C"], lie(GOOD, 1)) == set()
    assert blame.suspects(P)
    assert blame.good(P, GOOD) == {"B"}
    assert not blame.suspects(P)
    assert blame.good(P, GOOD) == set()


def test_every_liar_of_every_try_is_found() -> None:
    blame = Blame()
    blame.failed(P, ["A", "B", "A", "C"], lie(GOOD, 1, 3))
    blame.failed(P, ["D", "D", "A", "B"], lie(GOOD, 0))
    assert blame.good(P, GOOD) == {"B", "C", "D"}


def test_pieces_are_not_mixed() -> None:
    blame = Blame()
    blame.failed(P, ["A", "B", "B", "B"], lie(GOOD, 0))
    other = PieceIndex(8)
    assert not blame.suspects(other)
    assert blame.good(other, GOOD) == set()
    assert blame.good(P, GOOD) == {"A"}


def test_only_so_many_pieces_are_remembered() -> None:
    blame = Blame()
    for piece in range(MOST + 3):
        blame.failed(PieceIndex(piece), ["A", "B", "A", "B"], lie(GOOD, 0))
    assert [blame.suspects(PieceIndex(n)) for n in (0, 2, 3, MOST + 2)] == [
        False,
        False,
        True,
        True,
    ]


def test_a_digest_is_needed_for_every_block() -> None:
    with pytest.raises(ValueError, match="shorter"):
        Blame().failed(P, ["A", "B"], [b"only one"])


PEERS = st.integers(2, 8)


@settings(max_examples=150)
@given(st.data())
def test_whatever_liars_do_the_honest_are_not_blamed_and_the_liars_are(data: st.DataObject) -> None:
    """Pieces come from random peers; a bad one is fetched again by one peer alone until it is good.

    A liar lies in any of its blocks, or in none. Whoever is blamed is banned; with one honest peer at least
    every piece is good in the end, and whoever lied in it was found.
    """
    peers = set(range(data.draw(PEERS)))
    liars = data.draw(st.sets(st.sampled_from(sorted(peers)), max_size=len(peers) - 1))
    blame, banned, lied = Blame(), set[Hashable](), set[int]()

    def fetch(senders: list[int]) -> list[bytes]:
        digests = []
        for n, sender in enumerate(senders):
            bad = sender in liars and data.draw(st.booleans())
            lied.update({sender} if bad else ())
            digests.append(b"lie %d" % data.draw(st.integers(0, 1)) if bad else GOOD[n])
        return digests

    for piece in map(PieceIndex, range(3)):
        senders = data.draw(
            st.lists(st.sampled_from(sorted(peers - banned)), min_size=4, max_size=4)
        )
        digests = fetch(senders)
        while digests != GOOD:
            banned |= blame.failed(piece, senders, digests)
            senders = [data.draw(st.sampled_from(sorted(peers - banned)))] * 4
            digests = fetch(senders)
        banned |= blame.good(piece, digests)
        assert banned <= liars
        assert lied <= banned
        assert not blame.suspects(piece)
