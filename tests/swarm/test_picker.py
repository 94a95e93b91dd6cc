from collections import Counter
from dataclasses import dataclass, field
from random import Random

import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from typing_extensions import override

from p2pswarm.formats.bitfield import Bitfield
from p2pswarm.formats.geometry import Geometry
from p2pswarm.formats.ids import BLOCK, PieceIndex
from p2pswarm.swarm.picker import RANDOM_FIRST, OpenPiece, PiecePicker

ANY = 1000  # blocks: more than there are


def picker(pieces: int, per_piece: int = 4, *, seed: int = 1, had: int = 0) -> PiecePicker:
    made = PiecePicker(Geometry(pieces * per_piece * BLOCK, per_piece * BLOCK), Random(seed))
    made.start_with(Bitfield([1] * had + [0] * (pieces - had)))
    return made


def all_of(made: PiecePicker) -> Bitfield:
    return Bitfield.full(made.pieces)


def only(made: PiecePicker, *pieces: int) -> Bitfield:
    return Bitfield([piece in pieces for piece in range(made.pieces)])


def yes(_piece: PieceIndex) -> bool:
    return True


def no(_piece: PieceIndex) -> bool:
    return False


def pieces_of(made: PiecePicker, blocks: list[int]) -> list[int]:
    return [made.geometry.request(block)[0] for block in blocks]


# Pads


def test_pads_are_asked_of_nobody() -> None:
    made = PiecePicker(Geometry(8 * BLOCK, 4 * BLOCK, [(BLOCK + 9, 4 * BLOCK)]), Random(1))
    blocks = made.pick("A", all_of(made), ANY, yes)
    assert sorted(blocks) == [0, 1, 4, 5, 6, 7]
    assert made.landed(0, "A") is None
    full = made.landed(1, "A")
    assert full is not None
    assert (full.index, full.left, full.senders) == (0, 0, ["A", "A", None, None])
    made.had(PieceIndex(0))
    made.check()


def test_a_piece_that_is_all_pad_comes_by_one_block() -> None:
    made = PiecePicker(Geometry(2 * BLOCK, 2 * BLOCK, [(0, 2 * BLOCK)]), Random(1))
    assert made.pick("A", all_of(made), ANY, yes) == [0]
    full = made.landed(0, "A")
    assert full is not None
    assert not full.left


def test_in_a_bad_piece_the_pad_is_nobodys_again() -> None:
    made = PiecePicker(Geometry(4 * BLOCK, 4 * BLOCK, [(BLOCK, 4 * BLOCK)]), Random(1))
    assert made.pick("A", all_of(made), ANY, yes) == [0]
    made.landed(0, "A")
    made.failed(PieceIndex(0), suspect=True)
    made.check()
    assert made.pick("B", all_of(made), ANY, yes) == [0]
    made.check()


def test_nothing_to_have_is_done() -> None:
    made = PiecePicker(Geometry(0, BLOCK), Random(1))
    assert made.done
    assert made.availability() == 1.0
    assert made.pick("A", Bitfield(0), 5, yes) == []


def test_what_cannot_be_judged_is_not_asked_for_until_it_can() -> None:
    made = picker(3)
    made.withhold(map(PieceIndex, (0, 2)))
    made.check()
    assert made.pick("A", all_of(made), ANY, yes) == [4, 5, 6, 7]
    made.check()
    made.admit([PieceIndex(2)])
    made.check()
    assert made.pick("A", all_of(made), ANY, yes) == [8, 9, 10, 11]
    assert made.pick_busy(all_of(made), ()) is None  # no endgame: more is to come


def test_what_is_withheld_stays_so_when_it_is_lost_again() -> None:
    made = picker(2)
    made.withhold([PieceIndex(0)])
    made.had(PieceIndex(0))
    made.check()
    made.lost(PieceIndex(0))
    made.check()
    made.start_with(Bitfield(2))
    assert made.pick("A", all_of(made), ANY, yes) == [4, 5, 6, 7]


def test_a_spoiled_block_alone_is_asked_for_again() -> None:
    made = picker(1)
    assert made.pick("A", all_of(made), ANY, yes) == [0, 1, 2, 3]
    piece = [made.landed(block, "A") for block in range(4)][-1]
    assert piece is not None
    made.spoiled(piece, [1, 3])
    made.check()
    assert piece.left == 2
    assert made.pick("B", all_of(made), ANY, yes) == [1, 3]
    assert made.landed(1, "B") is None
    assert made.landed(3, "B") is piece
    assert piece.senders == ["A", "B", "A", "B"]
    made.check()


# The order of choice


def test_a_run_is_the_blocks_of_a_piece_in_order() -> None:
    made = picker(5)
    blocks = made.pick("A", all_of(made), 10, yes)
    pieces = pieces_of(made, blocks)
    assert pieces == [pieces[0]] * 4 + [pieces[4]] * 4 + [pieces[8]] * 2
    assert [block % 4 for block in blocks] == [0, 1, 2, 3, 0, 1, 2, 3, 0, 1]


def test_a_peer_goes_on_with_its_own_piece_then_helps_with_others() -> None:
    made = picker(9)
    mine = made.pick("A", all_of(made), 1, yes)
    theirs = made.pick("B", only(made, *set(range(9)) - set(pieces_of(made, mine))), 1, yes)
    more = made.pick("B", all_of(made), 4, yes)
    assert pieces_of(made, more) == pieces_of(made, theirs) * 3 + pieces_of(made, mine)
    more = made.pick("A", all_of(made), 3, yes)
    assert pieces_of(made, more)[:2] == pieces_of(made, mine) * 2
    assert more[2] // 4 not in (mine[0] // 4, theirs[0] // 4)


def test_only_what_the_peer_has_is_asked_for() -> None:
    made = picker(9)
    made.pick("A", all_of(made), 1, yes)
    assert set(pieces_of(made, made.pick("B", only(made, 3, 7), ANY, yes))) <= {3, 7}
    assert made.pick("B", only(made), ANY, yes) == []
    assert made.pick("B", only(made, 3, 7), ANY, yes) == []


def test_the_first_pieces_are_random_whatever_is_rare() -> None:
    firsts = Counter[int]()
    for seed in range(2000):
        made = picker(8, seed=seed, had=RANDOM_FIRST - 1)
        made.seen_all(only(made, 5, 6, 7))
        firsts.update(pieces_of(made, made.pick("A", all_of(made), 1, yes)))
    assert set(firsts) == {3, 4, 5, 6, 7}
    assert all(abs(n - 400) < 80 for n in firsts.values())


def test_from_then_on_the_rarest_comes_first() -> None:
    made = picker(10, had=RANDOM_FIRST)
    for piece in (4, 5, 5, 6, 7, 7, 7, 9, 9, 9, 9):
        made.seen(PieceIndex(piece))
    order = pieces_of(made, made.pick("A", all_of(made), ANY, yes))[::4]
    assert order[0] == 8
    assert set(order[1:3]) == {4, 6}
    assert order[3:] == [5, 7, 9]


def test_equals_are_chosen_at_random() -> None:
    firsts = Counter[int]()
    for seed in range(2000):
        made = picker(10, seed=seed, had=RANDOM_FIRST)
        made.seen_all(only(made, 4, 6, 7))
        made.seen_all(only(made, 4, 6, 7))
        made.seen(PieceIndex(9))
        firsts.update(pieces_of(made, made.pick("A", only(made, 4, 6, 7, 9), 5, yes))[4:])
    assert set(firsts) == {4, 6, 7}
    assert all(abs(n - 667) < 100 for n in firsts.values())


def test_who_comes_and_goes_changes_what_is_rare() -> None:
    made = picker(8, had=RANDOM_FIRST)
    made.pick("A", only(made, 7), 1, yes)
    made.seen_all(only(made, 4, 5))
    made.seen_all(only(made, 4, 5, 6))
    made.gone(only(made, 4, 5))
    made.seen(PieceIndex(5))
    order = pieces_of(made, made.pick("B", only(made, 4, 5, 6), ANY, yes))[::4]
    assert set(order[:2]) == {4, 6}
    assert order[2] == 5


def test_rarity_is_kept_while_pieces_start_fail_and_get_lost() -> None:
    made = picker(9, had=RANDOM_FIRST)
    everything = all_of(made)
    started = pieces_of(made, made.pick("A", only(made, 8), 4, yes))
    assert started == [8] * 4
    for piece in (4, 5, 5, 6, 6, 6, 8, 0):
        made.seen(PieceIndex(piece))
        made.check()
    made.failed(PieceIndex(8), suspect=False)
    made.check()
    made.lost(PieceIndex(0))
    made.check()
    made.seen(PieceIndex(4))
    made.had(PieceIndex(7))
    made.check()
    order = pieces_of(made, made.pick("A", everything, ANY, yes))[::4]
    assert set(order[:2]) == {0, 8}
    assert set(order[2:4]) == {4, 5}
    assert order[4:] == [6]


def test_without_memory_nothing_new_is_started() -> None:
    made = picker(5)
    assert made.pick("A", all_of(made), ANY, no) == []
    started = made.pick("A", all_of(made), 1, yes)
    assert pieces_of(made, made.pick("A", all_of(made), ANY, no)) == pieces_of(made, started) * 3
    made.check()


def test_availability_is_whole_copies_and_a_share() -> None:
    made = picker(4)
    assert made.availability() == 0
    made.seen_all(only(made, 0, 1, 2))
    assert made.availability() == 0.75
    made.seeds += 2
    assert made.availability() == 2.75
    made.had(PieceIndex(3))
    assert made.availability() == 3.0


def test_what_is_found_on_the_disk_is_not_asked_for() -> None:
    """A piece may become ours without having been started."""
    made = picker(6, had=RANDOM_FIRST)
    made.seen_all(all_of(made))
    made.pick("A", only(made, 4), ANY, yes)
    made.had(PieceIndex(5))
    made.check()
    assert made.pick("A", all_of(made), ANY, yes) == []


def test_what_the_disk_lost_is_wanted_again() -> None:
    made = picker(5, had=5)
    assert made.done
    made.lost(PieceIndex(2))
    made.check()
    assert made.wants_from(only(made, 2))
    assert not made.wants_from(only(made, 0, 1, 3, 4))
    assert pieces_of(made, made.pick("A", all_of(made), ANY, yes)) == [2] * 4


# Answers


def test_the_last_block_makes_the_piece_whole_with_its_senders() -> None:
    made = picker(1, per_piece=3)
    made.pick("A", all_of(made), 2, yes)
    made.pick("B", all_of(made), 2, yes)
    assert made.landed(1, "A") is None
    assert made.landed(2, "B") is None
    full = made.landed(0, "A")
    assert isinstance(full, OpenPiece)
    assert repr(full) == "<OpenPiece 0 free 0 left 0>"
    assert full.senders == ["A", "A", "B"]
    assert not made.wants(0, "A")
    assert made.missing.any()
    made.had(PieceIndex(0))
    assert made.done


def test_a_second_copy_changes_nothing() -> None:
    made = picker(1)
    made.pick("A", all_of(made), ANY, yes)
    made.landed(0, "A")
    assert not made.wants(0, "A")
    assert made.landed(0, "B") is None
    made.check()


def test_a_block_given_back_may_still_land() -> None:
    made = picker(1, per_piece=2)
    made.pick("A", all_of(made), ANY, yes)
    made.unask(0, "A")
    assert made.wants(0, "A")
    made.landed(0, "A")
    made.check()
    assert made.pick("B", all_of(made), ANY, yes) == []


def test_what_a_peer_will_not_send_is_asked_of_others() -> None:
    made = picker(1)
    blocks = made.pick("A", all_of(made), ANY, yes)
    assert made.pick("B", all_of(made), ANY, yes) == []
    made.unask(blocks[2], "A")
    made.unask(blocks[2], "A")
    made.check()
    assert made.pick("B", all_of(made), ANY, yes) == [blocks[2]]


def test_only_who_owes_a_block_can_give_it_back() -> None:
    """A reject may come for a request of before: the piece was given up and started again since."""
    made = picker(1)
    made.failed(PieceIndex(0), suspect=True)
    made.pick("A", all_of(made), ANY, yes)
    made.unask(0, "A")
    assert made.release("A") == [0]
    made.pick("B", all_of(made), ANY, yes)
    made.unask(1, "A")
    made.check()
    assert made.pick("B", all_of(made), ANY, yes) == []


# Endgame


def endgame() -> PiecePicker:
    """One piece of two blocks, all asked of A."""
    made = picker(1, per_piece=2)
    made.pick("A", all_of(made), ANY, yes)
    return made


def test_at_the_end_a_block_is_asked_of_one_more_peer_and_no_third() -> None:
    made = endgame()
    doubled = [made.pick_busy(all_of(made), ()) for _ in range(5)]
    assert doubled == [0, 1, None, None, None]
    assert made.is_doubled(0)
    assert made.is_doubled(1)


def test_not_while_anything_is_free_or_not_started() -> None:
    made = picker(2)
    made.pick("A", only(made, 0), ANY, yes)
    assert made.pick_busy(all_of(made), ()) is None
    made.pick("B", only(made, 1), 3, yes)
    assert made.pick_busy(all_of(made), ()) is None
    made.pick("B", only(made, 1), 1, yes)
    assert made.pick_busy(all_of(made), ()) == 0


def test_nobody_is_asked_twice_or_for_what_it_does_not_have() -> None:
    made = endgame()
    assert made.pick_busy(only(made), ()) is None
    assert made.pick_busy(all_of(made), {0, 1}) is None
    assert made.pick_busy(all_of(made), {0}) == 1


def test_when_one_of_two_gives_up_the_other_still_owes() -> None:
    made = endgame()
    assert made.pick_busy(all_of(made), ()) == 0
    made.unask(0, "A")
    made.check()
    assert made.pick("C", all_of(made), ANY, yes) == []
    made.unask(0, "B")
    assert made.pick("C", all_of(made), ANY, yes) == [0]


def test_suspects_are_not_doubled_and_do_not_hold_the_endgame_up() -> None:
    made = picker(2)
    made.failed(PieceIndex(0), suspect=True)
    made.pick("A", only(made, 0), 1, yes)
    made.pick("B", only(made, 1), ANY, yes)
    assert made.pick_busy(only(made, 0), ()) is None
    assert made.pick_busy(all_of(made), ()) == 4


# Suspects


def test_a_suspect_piece_is_one_peers_alone() -> None:
    made = picker(2, per_piece=2)
    made.pick("A", only(made, 0), ANY, yes)
    made.landed(0, "A")
    made.landed(1, "A")
    made.failed(PieceIndex(0), suspect=True)
    made.check()
    assert made.pick("B", only(made, 0), 1, yes) == [0]
    assert made.pick("C", only(made, 0), ANY, yes) == []
    assert made.release("C") == []
    assert made.pick("B", only(made, 0), ANY, yes) == [1]


def test_a_suspect_piece_whose_peer_is_gone_begins_anew() -> None:
    made = picker(1, per_piece=2)
    made.failed(PieceIndex(0), suspect=True)
    made.pick("B", all_of(made), ANY, yes)
    made.landed(0, "B")
    made.unask(1, "B")
    assert made.release("B") == [0]
    made.check()
    assert made.pick("C", all_of(made), 1, yes) == [0]
    assert made.pick("D", all_of(made), 1, yes) == []


def test_a_suspect_piece_that_is_full_is_not_given_up() -> None:
    made = picker(1, per_piece=1)
    made.failed(PieceIndex(0), suspect=True)
    made.pick("B", all_of(made), 1, yes)
    assert made.landed(0, "B") is not None
    assert made.release("B") == []


def test_once_had_a_piece_is_no_suspect_any_more() -> None:
    made = picker(1, per_piece=2)
    made.failed(PieceIndex(0), suspect=True)
    made.had(PieceIndex(0))
    made.lost(PieceIndex(0))
    assert made.pick("A", all_of(made), 1, yes) == [0]
    assert made.pick("B", all_of(made), 1, yes) == [1]


# Memory


def test_the_stranded_piece_with_least_landed_may_be_given_up() -> None:
    made = picker(4)
    assert made.stranded(only(made)) is None
    for piece, landed in ((0, 3), (1, 1), (2, 0), (3, 4)):
        blocks = made.pick("A", only(made, piece), ANY, yes)
        for block in blocks[:landed]:
            made.landed(block, "A")
    assert made.stranded(all_of(made)) is None
    assert made.stranded(only(made, 0, 1)) == 2
    assert made.stranded(only(made, 2)) == 1
    assert made.stranded(only(made, 0, 1, 2)) is None  # the last one is with the disk
    made.failed(PieceIndex(2), suspect=False)
    made.check()
    assert made.stranded(only(made)) == 1
    assert made.pick("B", only(made, 2), 2, yes) == [8, 9]
    assert made.pick("C", only(made, 2), 2, yes) == [10, 11]


# All of it in any order


# Files that are wanted, or not


def test_what_nobody_wants_is_not_asked_for() -> None:
    made = picker(6, had=1)
    made.want([only(made, 0, 2, 3)])
    assert not made.done
    assert made.lacks == 2 * 4 * BLOCK
    assert made.left == 5 * 4 * BLOCK
    assert not made.wants_from(only(made, 1, 4, 5))
    assert {*pieces_of(made, made.pick("A", all_of(made), ANY, yes))} == {2, 3}
    for piece in (2, 3):
        made.had(PieceIndex(piece))
        made.check()
    assert made.done
    assert not made.whole
    assert made.lacks == 0
    assert made.left == 3 * 4 * BLOCK


def test_started_pieces_that_become_unwanted_are_given_up_but_full_ones_are_not() -> None:
    made = picker(3)
    blocks = made.pick("A", only(made, 0, 1), ANY, yes)
    for block in blocks:
        if made.geometry.request(block)[0] == 0:
            made.landed(block, "A")
    assert made.full() == [0]
    assert made.want([only(made, 2)]) == [1]
    made.check()
    assert made.full() == [0]
    made.had(PieceIndex(0))
    made.check()
    assert made.want([all_of(made)]) == []
    assert {*pieces_of(made, made.pick("A", all_of(made), ANY, yes))} == {1, 2}


@pytest.mark.parametrize("outcome", ["failed", "lost"])
def test_an_unwanted_piece_that_goes_wrong_is_not_wanted_again(outcome: str) -> None:
    made = picker(2)
    for block in made.pick("A", only(made, 0), ANY, yes):
        made.landed(block, "A")
    if outcome == "lost":
        made.had(PieceIndex(0))
    made.want([only(made, 1)])
    if outcome == "lost":
        made.lost(PieceIndex(0))
    else:
        made.failed(PieceIndex(0), suspect=True)
    made.check()
    assert not made.wants_from(only(made, 0))
    assert made.lacks == 4 * BLOCK
    assert made.left == 8 * BLOCK


def test_the_first_tier_comes_first_however_rare_others_are() -> None:
    made = picker(40, had=RANDOM_FIRST)
    made.seen_all(only(made, *range(20, 40)))
    made.want([only(made, *range(20, 30)), only(made, *range(20))])
    order = list(dict.fromkeys(pieces_of(made, made.pick("A", all_of(made), ANY, yes))))
    assert {*order[:10]} == {*range(20, 30)}
    assert {*order[10:]} == {*range(RANDOM_FIRST, 20)}


@pytest.mark.parametrize("had", [0, RANDOM_FIRST])
def test_in_order(had: int) -> None:
    made = picker(30, had=had)
    made.seen_all(only(made, *range(10)))
    made.want([only(made, 25, 27), all_of(made) & ~only(made, 25, 27)], sequential=True)
    order = list(dict.fromkeys(pieces_of(made, made.pick("A", all_of(made), ANY, yes))))
    assert order == [25, 27, *(n for n in range(had, 30) if n not in (25, 27))]


def test_whose_turn_it_is() -> None:
    made = picker(30)
    some = only(made, 3, 5, 7)
    assert made.in_turn(some) == some
    made.want([all_of(made)], sequential=True)
    assert not made.in_turn(some).any()
    made.pick("A", only(made, 5), 1, yes)  # it is started, and has free blocks
    for piece in range(3):
        made.had(PieceIndex(piece))
    assert made.in_turn(some) == only(made, 3, 5)
    made.want([only(made, 7), all_of(made) & ~only(made, 7)], sequential=True)
    assert made.in_turn(some) == only(made, 5, 7)


@dataclass(eq=False)
class FakePeer:
    """What a peer has, owes, and may still send although it was given back."""

    name: int
    have: Bitfield
    seed: bool
    asked: set[int] = field(default_factory=set)
    late: set[int] = field(default_factory=set)


class PickerMachine(RuleBasedStateMachine):
    """Peers come, ask, answer, refuse and go as `Peer` lets them; pieces turn out good or bad."""

    def __init__(self) -> None:
        super().__init__()
        self.peers: list[FakePeer] = []
        self.names = 0
        self.tiers: list[Bitfield] = []
        self.sequential = False
        self.memory: set[PieceIndex] = set()  # pieces that have a buffer
        self.storing: list[PieceIndex] = []

    @initialize(
        pieces=st.sampled_from([1, 2, 7, 8, 9]),
        per_piece=st.integers(1, 4),
        short=st.integers(0, 2 * BLOCK),
        seed=st.integers(0, 9),
        had=st.sampled_from([0, 3, RANDOM_FIRST]),
        budget=st.integers(1, 9),
    )
    def open(
        self, pieces: int, per_piece: int, short: int, seed: int, had: int, budget: int
    ) -> None:
        length = per_piece * BLOCK
        total = pieces * length - min(short, length - 1)
        self.picker = PiecePicker(Geometry(total, length), Random(seed))
        self.picker.start_with(Bitfield([n < min(had, pieces - 1) for n in range(pieces)]))
        self.budget = budget

    def may_open(self, piece: PieceIndex) -> bool:
        if len(self.memory) >= self.budget:
            return False
        assert piece not in self.memory
        self.memory.add(piece)
        return True

    def some_peer(self, data: st.DataObject) -> FakePeer:
        return data.draw(st.sampled_from(self.peers))

    @rule(
        priorities=st.lists(st.integers(0, 3), min_size=9, max_size=9),
        sequential=st.booleans(),
    )
    def chooses(self, priorities: list[int], sequential: bool) -> None:
        pieces = range(self.picker.pieces)
        tiers = [Bitfield([priorities[n] == wanted for n in pieces]) for wanted in (3, 2, 1)]
        self.tiers, self.sequential = [tier for tier in tiers if tier.any()], sequential
        for piece in self.picker.want(self.tiers, sequential=sequential):
            assert priorities[piece] == 0
            self._close(piece)

    # Who comes, what they have, who goes

    @precondition(lambda self: len(self.peers) < 5)
    @rule(seed=st.booleans(), bits=st.integers(0, 2**9 - 1))
    def joins(self, seed: bool, bits: int) -> None:
        pieces = self.picker.pieces
        have = Bitfield([seed or bits >> n & 1 for n in range(pieces)])
        if seed:
            self.picker.seeds += 1
        else:
            self.picker.seen_all(have)
        self.peers.append(FakePeer(self.names, have, seed))
        self.names += 1

    @precondition(lambda self: self.peers)
    @rule(data=st.data())
    def has_one_more(self, data: st.DataObject) -> None:
        peer = self.some_peer(data)
        piece = PieceIndex(data.draw(st.integers(0, self.picker.pieces - 1)))
        if not peer.have[piece]:
            peer.have[piece] = 1
            self.picker.seen(piece)

    @precondition(lambda self: self.peers)
    @rule(data=st.data())
    def goes(self, data: st.DataObject) -> None:
        peer = self.some_peer(data)
        self.peers.remove(peer)
        self._give_back(peer)
        if peer.seed:
            self.picker.seeds -= 1
        else:
            self.picker.gone(peer.have)

    # Asking

    @precondition(lambda self: self.peers)
    @rule(data=st.data(), count=st.integers(1, 9))
    def picks(self, data: st.DataObject, count: int) -> None:
        self._pick(self.some_peer(data), count)

    def _pick(self, peer: FakePeer, count: int) -> list[int]:
        started = self._started_for(peer)
        before = set(self.memory)
        blocks = self.picker.pick(peer, peer.have, count, self.may_open)
        assert len(blocks) <= count
        assert len(set(blocks)) == len(blocks)
        pieces = [self.picker.geometry.request(block)[0] for block in blocks]
        assert all(peer.have[piece] and self.picker.missing[piece] for piece in pieces)
        new = [piece for piece in pieces if piece not in before]
        assert pieces[len(pieces) - len(new) :] == new  # started ones first
        assert not new or started <= set(blocks)
        for piece in {*pieces}:
            run = [block for block in blocks if self.picker.geometry.request(block)[0] == piece]
            assert run == sorted(run)
            assert piece not in new or run == list(range(run[0], run[0] + len(run)))
        self._assert_rarest(peer, list(dict.fromkeys(new)))
        assert not peer.asked & set(blocks)
        peer.asked.update(blocks)
        return blocks

    def _started_for(self, peer: FakePeer) -> set[int]:
        """Free blocks of started pieces that this peer may be asked for."""
        return {
            index * self.picker.per_piece + n
            for index, piece in self.picker._open.items()
            if peer.have[index] and piece.only in (None, peer)
            for n, state in enumerate(piece.state)
            if state == 0
        }

    def _assert_rarest(self, peer: FakePeer, new: list[PieceIndex]) -> None:
        free = self.picker._rarity.wanted | Bitfield([n in new for n in range(self.picker.pieces)])
        tiers = [free & peer.have & tier for tier in self.tiers] or [free & peer.have]
        wanted = [[*tier.pieces()] for tier in tiers]
        if self.sequential:
            assert new == [piece for tier in wanted for piece in tier][: len(new)]
        elif len(self.tiers) > 1:
            places = [next(n for n, tier in enumerate(wanted) if piece in tier) for piece in new]
            assert places == sorted(places)
        if self.sequential or len(self.tiers) > 1 or self.picker.have.count() < RANDOM_FIRST:
            return
        rest = [piece for piece in self.picker._rarity.wanted.pieces() if peer.have[piece]]
        counts = [self._copies(piece) for piece in new]
        assert counts == sorted(counts)
        assert all(self._copies(piece) >= max(counts, default=0) for piece in rest)

    def _copies(self, piece: PieceIndex) -> int:
        return sum(peer.have[piece] for peer in self.peers if not peer.seed)

    @precondition(lambda self: any(not peer.asked for peer in self.peers))
    @rule(data=st.data())
    def picks_busy(self, data: st.DataObject) -> None:
        peer = data.draw(st.sampled_from([peer for peer in self.peers if not peer.asked]))
        block = self.picker.pick_busy(peer.have, peer.late)
        if block is None:
            return
        assert not self.picker._rarity.wanted.any()
        assert all(piece.only is not None for piece in self.picker._todo.values())
        assert sum(block in other.asked for other in self.peers) == 1
        assert peer.have[self.picker.geometry.request(block)[0]]
        peer.asked.add(block)

    # Answering

    @precondition(lambda self: any(peer.asked for peer in self.peers))
    @rule(data=st.data())
    def answers(self, data: st.DataObject) -> None:
        peer = data.draw(st.sampled_from([peer for peer in self.peers if peer.asked]))
        self._land(peer, data.draw(st.sampled_from(sorted(peer.asked))))

    @precondition(lambda self: any(peer.asked for peer in self.peers))
    @rule(data=st.data(), n=st.integers(1, 5))
    def answers_in_a_row(self, data: st.DataObject, n: int) -> None:
        peer = data.draw(st.sampled_from([peer for peer in self.peers if peer.asked]))
        first = data.draw(st.sampled_from(sorted(peer.asked)))
        row = set(range(first, first + n))
        if not self.picker.awaits(first, n, peer):
            return
        assert {block // self.picker.per_piece for block in row} == {first // self.picker.per_piece}
        assert row <= peer.asked
        assert not any(row & other.asked for other in self.peers if other is not peer)
        peer.asked -= row
        full = self.picker.landed_row(first, n)
        if full is not None:
            assert None not in full.senders
            self.storing.append(full.index)

    @precondition(lambda self: any(peer.late for peer in self.peers))
    @rule(data=st.data())
    def answers_late(self, data: st.DataObject) -> None:
        peer = data.draw(st.sampled_from([peer for peer in self.peers if peer.late]))
        self._land(peer, data.draw(st.sampled_from(sorted(peer.late))))

    def _land(self, peer: FakePeer, block: int) -> None:
        was_late = block not in peer.asked
        peer.asked.discard(block)
        peer.late.discard(block)
        if not self.picker.wants(block, peer):
            return
        contested = was_late or self.picker.is_doubled(block)
        full = self.picker.landed(block, peer)
        if contested:
            for other in self.peers:
                if block in other.asked:
                    other.asked.remove(block)
                    other.late.add(block)
        if full is not None:
            assert None not in full.senders
            self.storing.append(full.index)

    @precondition(lambda self: any(peer.asked for peer in self.peers))
    @rule(data=st.data())
    def rejects(self, data: st.DataObject) -> None:
        peer = data.draw(st.sampled_from([peer for peer in self.peers if peer.asked]))
        block = data.draw(st.sampled_from(sorted(peer.asked)))
        peer.asked.remove(block)
        self.picker.unask(block, peer)
        self._release(peer)

    @precondition(lambda self: self.peers)
    @rule(data=st.data())
    def stalls(self, data: st.DataObject) -> None:
        self._give_back(self.some_peer(data))

    @precondition(lambda self: len(self.peers) > 1)
    @rule(data=st.data(), block=st.integers(0, 35))
    def refuses_what_it_does_not_owe(self, data: st.DataObject, block: int) -> None:
        peer = self.some_peer(data)
        if block not in peer.asked and not self.picker.is_doubled(block):
            owners = sum(block in other.asked for other in self.peers)
            if owners == 1 and self._sender_of(block) is not None:
                self.picker.unask(block, peer)

    def _sender_of(self, block: int) -> object:
        piece = self.picker._open.get(PieceIndex(block // self.picker.per_piece))
        return None if piece is None else piece.senders[block % self.picker.per_piece]

    def _give_back(self, peer: FakePeer) -> None:
        for block in peer.asked:
            self.picker.unask(block, peer)
        peer.late |= peer.asked
        peer.asked.clear()
        self._release(peer)

    def _release(self, peer: FakePeer) -> None:
        for piece in self.picker.release(peer):
            self._close(piece)

    def _close(self, piece: PieceIndex) -> None:
        """It has no buffer any more; what is asked for of it is not waited for."""
        self.memory.remove(piece)
        for peer in self.peers:
            gone = {
                block for block in peer.asked if self.picker.geometry.request(block)[0] == piece
            }
            peer.asked -= gone
            peer.late |= gone

    @rule(data=st.data())
    def gives_up_what_is_stranded(self, data: st.DataObject) -> None:
        coming = Bitfield(self.picker.pieces)
        for peer in self.peers:
            if data.draw(st.booleans()):
                coming |= peer.have
        piece = self.picker.stranded(coming)
        if piece is not None:
            assert not coming[piece]
            self.picker.failed(piece, suspect=False)
            self._close(piece)

    # The disk

    @precondition(lambda self: self.storing)
    @rule(good=st.booleans())
    def is_stored(self, good: bool) -> None:
        piece = self.storing.pop(0)
        self.memory.remove(piece)
        if good:
            self.picker.had(piece)
        else:
            self.picker.failed(piece, suspect=True)

    @precondition(lambda self: self.picker.have.any())
    @rule(data=st.data())
    def is_lost(self, data: st.DataObject) -> None:
        self.picker.lost(data.draw(st.sampled_from(list(self.picker.have.pieces()))))

    @precondition(lambda self: self.picker._rarity.wanted.any())
    @rule(data=st.data())
    def is_found(self, data: st.DataObject) -> None:
        self.picker.had(data.draw(st.sampled_from(list(self.picker._rarity.wanted.pieces()))))

    # What is always true

    @invariant()
    def the_books_agree(self) -> None:
        if not hasattr(self, "picker"):
            return
        self.picker.check()
        assert set(self.picker._open) == self.memory
        owed = Counter(block for peer in self.peers for block in peer.asked)
        for index, piece in self.picker._open.items():
            for n, state in enumerate(piece.state):
                block = index * self.picker.per_piece + n
                most = 2 if self.picker.is_doubled(block) else 1
                assert (state == 1) == (owed[block] > 0)
                assert owed[block] <= most
                assert self.picker.wants(block, piece.only or "anybody") == (state != 2)
            if piece.only is not None:
                blocks = range(index * self.picker.per_piece, (index + 1) * self.picker.per_piece)
                assert all(
                    not peer.asked & {*blocks} for peer in self.peers if peer is not piece.only
                )

    @override
    def teardown(self) -> None:
        """When everybody answers at last, and one peer has everything, the torrent completes."""
        if not hasattr(self, "picker"):
            return
        self.joins(seed=True, bits=0)
        for _ in range(200):
            for peer in self.peers:
                self._pick(peer, 3)
                for block in sorted(peer.asked):
                    self._land(peer, block)
            while self.storing:
                self.is_stored(good=True)
            self.the_books_agree()
            if self.picker.done:
                return
        raise AssertionError(f"stuck: {self.picker._open}")


TestPicker = PickerMachine.TestCase
TestPicker.settings = settings(max_examples=120, stateful_step_count=50, deadline=None)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 60), st.integers(1, 8), st.integers(1, 40), st.randoms(use_true_random=False))
def test_fast_and_slow_peers_finish_together(
    pieces: int, peers: int, depth: int, dice: Random
) -> None:
    """In endgame a block is owed by two at most, and what comes twice is bounded by what was doubled."""
    made = picker(pieces)
    owed: list[list[int]] = [[] for _ in range(peers)]
    speed = [dice.choice([1, 2, 16]) for _ in range(peers)]
    wasted = doubled = turns = 0
    while made.missing.any():
        turns += 1
        assert turns < 10_000
        for who in range(peers):
            new = made.pick(who, all_of(made), max(0, depth - len(owed[who])), yes)
            if not new and not owed[who]:
                busy = made.pick_busy(all_of(made), ())
                new = [] if busy is None else [busy]
                doubled += len(new)
            owed[who] += new
            batch, owed[who] = owed[who][: speed[who]], owed[who][speed[who] :]
            for block in batch:
                if not made.wants(block, who):
                    wasted += 1
                    continue
                contested = made.is_doubled(block)
                full = made.landed(block, who)
                if contested:
                    owed = [[b for b in blocks if b != block] for blocks in owed]
                if full is not None:
                    made.had(full.index)
    assert wasted == 0  # all second copies were cancelled in time
    assert doubled <= pieces * 4
