"""What peers say they have, in any order and taken back: the picker's sums stay those of all of them."""

from random import Random

import pytest

from p2pswarm.errors import RemoteProtocolError
from p2pswarm.formats.bitfield import Bitfield
from p2pswarm.formats.ids import PieceIndex
from p2pswarm.swarm.holdings import MOST_RESTATEMENTS, Holdings
from p2pswarm.swarm.picker import PiecePicker
from tests.swarm.test_picker import picker as picker_of

PIECES = 9


def some(dice: Random) -> Bitfield:
    return Bitfield([dice.random() < 0.7 for _ in range(PIECES)])


def says_something(holdings: Holdings, dice: Random) -> None:
    piece = PieceIndex(dice.randrange(PIECES))
    words = (
        lambda: holdings.add([piece]),
        lambda: holdings.become(some(dice)),
        holdings.become_all,
        holdings.become_none,
        lambda: holdings.lose(piece),
        holdings.forget,
    )
    dice.choice(words)()


def copies(picker: PiecePicker) -> list[int]:
    return [picker.seeds + n for n in picker._rarity.counts]


@pytest.mark.parametrize("seed", range(20))
def test_the_sums_are_those_of_all_peers(seed: int) -> None:
    dice, picker = Random(seed), picker_of(PIECES)
    peers = [Holdings(picker) for _ in range(4)]
    for _ in range(60):
        peer = dice.choice(peers)
        try:
            says_something(peer, dice)
        except RemoteProtocolError:  # it said too much, and goes
            peer.forget()
            peers[peers.index(peer)] = Holdings(picker)
        assert copies(picker) == [sum(p.have[n] for p in peers) for n in range(PIECES)]
        assert all(p.whole == p.have.all() for p in peers)
        picker.check()


def test_only_what_takes_something_back_is_a_reason_to_begin_anew() -> None:
    holdings = Holdings(picker_of(PIECES))
    assert not holdings.become(Bitfield([1] + [0] * (PIECES - 1)))
    assert not holdings.become_all()
    assert not holdings.become(Bitfield.full(PIECES))
    assert holdings.become_none()


def test_bitfields_without_end_are_refused_and_those_that_only_add_are_not() -> None:
    holdings = Holdings(picker_of(PIECES))
    for n in range(PIECES):
        holdings.become(Bitfield([at <= n for at in range(PIECES)]))
    for _ in range(MOST_RESTATEMENTS):
        holdings.become_all()
    with pytest.raises(RemoteProtocolError):
        holdings.become_all()


def test_pieces_that_do_not_exist_are_refused() -> None:
    holdings = Holdings(picker_of(PIECES))
    with pytest.raises(RemoteProtocolError):
        holdings.add([PieceIndex(PIECES)])
    with pytest.raises(RemoteProtocolError):
        holdings.lose(PieceIndex(PIECES))
    assert not holdings.lose(PieceIndex(0))
