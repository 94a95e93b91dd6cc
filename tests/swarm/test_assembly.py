"""The info dictionary put together: whom it asks, what it believes, and what it costs."""

from hashlib import sha1
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings, strategies as st

from p2pswarm.errors import RemoteProtocolError
from p2pswarm.formats.ids import InfoHash
from p2pswarm.formats.names import Names
from p2pswarm.swarm.assembly import MOST_DRAFTS, Assembly
from p2pswarm.wire.extension.metadata import METADATA_PIECE, MetadataPiece

if TYPE_CHECKING:
    from collections.abc import Callable

INFO = bytes(range(256)) * 200  # 51 200 bytes: three pieces and a rest
COUNT = 4


def assembly() -> Assembly:
    return Assembly(Names(InfoHash(sha1(INFO).digest())))


def piece(number: int, info: bytes = INFO, total: int | None = None) -> MetadataPiece:
    data = info[number * METADATA_PIECE : (number + 1) * METADATA_PIECE]
    return MetadataPiece(number, len(info) if total is None else total, data)


def test_one_peer_is_asked_for_two_at_a_time() -> None:
    made = assembly()
    made.gives("a", len(INFO))
    assert list(made.ask("a", 0)) == [0, 1]
    assert not made.ask("a", 0)
    assert not made.ask("stranger", 0)
    assert made.got("a", piece(0)) == frozenset()
    assert list(made.ask("a", 0)) == [2]
    assert made.progress == (METADATA_PIECE, len(INFO))
    for number in (1, 2):
        made.got("a", piece(number))
    assert list(made.ask("a", 0)) == [3]
    assert made.info is None
    made.got("a", piece(3))
    assert made.info == INFO
    assert not made.ask("a", 0)


def test_a_slow_peers_piece_is_asked_of_another_after_a_while() -> None:
    made = assembly()
    for name in "ab":
        made.gives(name, len(INFO))
    assert list(made.ask("a", 0)) == [0, 1]
    assert list(made.ask("b", 0)) == [2, 3]
    made.got("b", piece(2))
    made.got("b", piece(3))
    assert not made.ask("b", 2)
    assert list(made.ask("b", 3)) == [0, 1]
    made.got("b", piece(0))
    made.got("b", piece(1))
    assert made.info == INFO
    assert made.got("a", piece(0)) == frozenset()  # too late, and welcome


def test_who_gives_no_answer_rests() -> None:
    made = assembly()
    made.gives("a", len(INFO))
    made.ask("a", 0)
    assert not made.ask("a", 21)
    assert not made.ask("a", 80)
    assert list(made.ask("a", 82)) == [0, 1]


@pytest.mark.parametrize(
    "message",
    [
        piece(0, total=len(INFO) + 1),
        piece(0, INFO[:100]),
        MetadataPiece(COUNT, len(INFO), b"x"),
        MetadataPiece(3, len(INFO), INFO[:METADATA_PIECE]),
    ],
    ids=["another size", "too short", "no such piece", "too long"],
)
def test_a_piece_that_cannot_be_one_is_refused(message: MetadataPiece) -> None:
    made = assembly()
    made.gives("a", len(INFO))
    made.ask("a", 0)
    with pytest.raises(RemoteProtocolError):
        made.got("a", message)


def test_what_nobody_asked_for_is_refused() -> None:
    made = assembly()
    with pytest.raises(RemoteProtocolError):
        made.got("a", piece(0))
    made.gives("a", len(INFO))
    made.ask("a", 0)
    made.got("a", piece(0))
    made.got("a", piece(0))
    with pytest.raises(RemoteProtocolError):
        made.got("a", piece(0))


def test_a_lone_liar_is_guilty_and_several_are_asked_one_by_one() -> None:
    made = assembly()
    false = bytes(len(INFO))
    for name in "ab":
        made.gives(name, len(INFO))
    for name in "ab":
        for number in made.ask(name, 0):
            assert not made.got(name, piece(number, false if name == "a" else INFO))
    assert made.info is None
    assert list(made.ask("a", 1)) == [0, 1]
    assert list(made.ask("b", 1)) == [0, 1]  # each alone, so both the same
    made.got("a", piece(0, false))
    made.got("a", piece(1, false))
    made.ask("a", 1)
    made.got("a", piece(2, false))
    assert made.got("a", piece(3, false)) == {"a"}
    for number in range(COUNT):
        made.ask("b", 1)
        made.got("b", piece(number))
    assert made.info == INFO


def test_a_trickle_loses_its_place_to_whoever_waits() -> None:
    made = assembly()
    for number in range(MOST_DRAFTS):
        made.gives(number, 500 * METADATA_PIECE + number)
    made.gives("honest", len(INFO))
    for now in range(30):
        for number in range(MOST_DRAFTS):
            made.ask(number, now)
            made.got(number, MetadataPiece(now, 500 * METADATA_PIECE + number, bytes(16 << 10)))
        assert not made.ask("honest", now)
    assert list(made.ask("honest", 30)) == [0, 1]


class Simulation:
    """Peers that do anything at all; what may be counted on whatever they do."""

    def __init__(self) -> None:
        self.made, self.now, self.there = assembly(), 0.0, set[int]()

    def step(self, peer: int, what: int, number: int) -> None:
        made = self.made
        actions: list[Callable[[], object]] = [
            lambda: made.gives(peer, (1 + number) * 20_000),
            lambda: made.gives(peer, len(INFO)),
            lambda: made.ask(peer, self.now),
            lambda: made.got(peer, piece(number % COUNT)),
            lambda: made.got(peer, piece(number % COUNT, bytes(len(INFO)))),
            lambda: made.rejected(peer, number, self.now),
            lambda: made.gone(peer),
        ]
        try:
            actions[what]()
        except RemoteProtocolError:
            made.gone(peer)
        self.now += number
        assert len(made._drafts) <= MOST_DRAFTS
        assert all(len(giver.asked) <= 2 for giver in made._givers.values())
        assert made.info in (None, INFO)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 6), st.integers(0, 9)), max_size=60))
def test_whatever_peers_do_it_costs_three_drafts_and_the_honest_win(
    steps: list[tuple[int, int, int]],
) -> None:
    world = Simulation()
    for step in steps:
        world.step(*step)
    made = world.made
    made.gives("honest", len(INFO))
    for _ in range(10_000):
        if made.info is not None:
            break
        for peer in list(made._givers):
            asked = made.ask(peer, world.now)
            for number in asked if peer == "honest" else ():
                made.got(peer, piece(number))
        world.now += 1
    assert made.info == INFO
