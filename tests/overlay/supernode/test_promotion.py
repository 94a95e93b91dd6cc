from collections.abc import Sequence
from random import Random
from typing import Any

import pytest

from p2pswarm.formats.ids import Address
from p2pswarm.overlay.supernode.options import Options, Wish
from p2pswarm.overlay.supernode.promotion import LEAST_RATE, Ambition, Grooming, Move, Peer

OPTIONS = Options(children=(4, 10))


def at(number: int, port: int = 46881) -> Address:
    return Address(f"80.{number}.0.1", port)


OURS = [at(99)]
OTHERS = [at(n) for n in range(1, 6)]


# At a super node


def crowd(count: int, options: Options = OPTIONS) -> Grooming[int]:
    """Children that came one second after the other, all of them able."""
    rooms = Grooming[int](options, Random(1))
    for child in range(count):
        rooms.joined(child, bytes([child]), child, willing=True, firewalled=False)
        rooms.pong(child, 90)
    return rooms


def refuse(rooms: Grooming[int], count: int, now: float) -> None:
    for node in range(count):
        rooms.refused(b"refused %d" % node, now)


def count_invited(rooms: Grooming[int], now: float, seconds: int, *peers: Peer) -> int:
    """How many are invited in that time, asked once a second."""
    return sum(rooms.invite(now + second, peers) is not None for second in range(seconds))


FULL = Peer(load=100, since=0)


def test_nobody_is_invited_while_there_is_room() -> None:
    assert crowd(8).invite(10_000, ()) is None
    assert crowd(9).invite(10_000, ()) == 0
    assert crowd(9).invite(10_000, [Peer(79, 0)]) is None


def test_not_below_the_lower_bound_however_small_the_upper_one_is() -> None:
    options = Options(children=(5, 5))
    assert crowd(5, options).invite(10_000, ()) is None
    assert crowd(6, options).invite(10_000, ()) == 0


def test_somebody_is_invited_after_a_refusal() -> None:
    rooms = crowd(2)
    rooms.refused(b"x", 10_000)
    assert rooms.invite(10_029, ()) == 0
    rooms = crowd(2)
    rooms.refused(b"x", 10_000)
    assert rooms.invite(10_031, ()) is None


def test_who_was_refused_and_then_found_a_place_needs_nobody() -> None:
    rooms = crowd(2)
    rooms.refused(b"x", 10_000)
    rooms.joined(2, b"x", 10_001, willing=True, firewalled=False)
    assert rooms.invite(10_002, ()) is None


def test_as_many_as_a_crowd_needs_and_then_it_is_seen_whether_that_was_enough() -> None:
    rooms = crowd(50)
    refuse(rooms, 40, 10_000)  # eight places of one are counted on
    assert count_invited(rooms, 10_000, 5) == 5
    rooms = crowd(50)
    refuse(rooms, 40, 10_000)
    assert count_invited(rooms, 10_000, 5, Peer(0, 0), Peer(0, 0), Peer(0, 0)) < 3
    rooms = crowd(50)
    refuse(rooms, 40, 10_000)
    assert count_invited(rooms, 10_000, 5, *[Peer(0, 0)] * 4) == 0


def test_each_does_its_share() -> None:
    rooms = crowd(50)
    refuse(rooms, 40, 10_000)
    assert count_invited(rooms, 10_000, 5, *[FULL] * 4) == 1
    rooms = crowd(50)
    refuse(rooms, 40, 10_000)
    young = Peer(100, 9_900)  # none of its children is old enough to be invited
    assert count_invited(rooms, 10_000, 5, *[young] * 4) == 5
    total = 0
    for seed in range(300):
        alone = Grooming[int](OPTIONS, Random(seed))
        alone.joined(0, b"0", 0, willing=True, firewalled=False)
        alone.pong(0, 90)
        alone.refused(b"x", 10_000)
        total += count_invited(alone, 10_000, 5, *[FULL] * 9)
    assert 15 < total < 45  # one of ten


def test_only_who_is_willing_can_be_dialed_has_time_and_was_here_long_enough() -> None:
    rooms = Grooming[str](OPTIONS, Random(1))
    rooms.refused(b"x", 700)
    rooms.joined("not willing", b"1", 0, willing=False, firewalled=False)
    rooms.joined("firewalled", b"2", 1, willing=True, firewalled=True)
    rooms.joined("busy", b"3", 2, willing=True, firewalled=False)
    rooms.joined("silent", b"4", 3, willing=True, firewalled=False)
    rooms.joined("new", b"5", 200, willing=True, firewalled=False)
    for child in ("not willing", "firewalled", "new"):
        rooms.pong(child, 100)
    rooms.pong("busy", 49)
    assert rooms.invite(710, ()) is None
    rooms.joined("able", b"6", 100, willing=True, firewalled=False)
    rooms.pong("able", 50)
    assert rooms.invite(711, ()) == "able"


def test_who_is_refused_is_invited_when_no_child_can_serve() -> None:
    rooms = crowd(2)
    refuse(rooms, 3, 100)
    assert rooms.invites_refused(100, ())  # they are too young
    assert not rooms.invites_refused(101, ())  # one is enough
    rooms = crowd(2)
    refuse(rooms, 3, 10_000)
    assert not rooms.invites_refused(10_000, ())
    assert rooms.invite(10_001, ()) == 0


def test_the_one_that_is_here_longest_comes_first() -> None:
    rooms = crowd(10)
    assert rooms.invite(10_000, ()) == 0
    assert rooms.invite(10_001, ()) is None
    rooms.left(0)
    rooms.joined(10, b"x", 0, willing=False, firewalled=False)
    assert rooms.invite(10_005, ()) == 1


def test_who_failed_is_not_invited_again_for_half_an_hour() -> None:
    rooms = crowd(10)
    assert rooms.invite(10_000, ()) == 0
    rooms.failed(0, 10_001)
    assert rooms.invite(10_001, ()) == 1
    rooms = crowd(10)
    assert rooms.invite(10_000, ()) == 0
    rooms.failed(0, 10_001)
    for child in range(1, 10):
        rooms.left(child)
    rooms.refused(b"x", 11_790)
    assert rooms.invite(11_790, ()) is None
    rooms.refused(b"x", 11_802)
    assert rooms.invite(11_802, ()) == 0


def test_who_says_nothing_failed() -> None:
    rooms = crowd(1)
    rooms.refused(b"x", 10_000)
    assert rooms.invite(10_000, ()) == 0
    rooms.refused(b"x", 10_121)
    assert rooms.invite(10_121, ()) is None


def test_who_failed_and_comes_again_is_known() -> None:
    rooms = crowd(1)
    rooms.refused(b"x", 10_000)
    assert rooms.invite(10_000, ()) == 0
    rooms.failed(0, 10_000)
    rooms.left(0)
    rooms.joined(77, bytes([0]), 0, willing=True, firewalled=False)
    rooms.pong(77, 90)
    assert rooms.invite(10_001, ()) is None


def test_where_the_operator_decides_nobody_is_invited() -> None:
    rooms = crowd(10, Options(children=(4, 10), supernodes=(at(1),)))
    rooms.refused(b"x", 10_000)
    assert rooms.invite(10_000, ()) is None
    rooms = Grooming[int](Options(supernodes=(at(1),)), Random(1))
    rooms.refused(b"x", 10_000)
    assert not rooms.invites_refused(10_000, ())


# At the node itself


def ambition(options: Options = OPTIONS) -> Ambition:
    return Ambition(options, Random(1), 0.0)


def step(rooms: Ambition, now: float, *, nobody: bool = False) -> Move | None:
    return rooms.step(now, ours=OURS, nobody=nobody)


def judge(
    rooms: Ambition,
    now: float,
    *verdicts: tuple[bool, int] | None,
    known: Sequence[Address] = OTHERS,
) -> Move | None:
    """A whole round; None is a tester that says nothing. What the last one leads to."""
    testers = rooms.begin(known, now)
    assert len(testers) == len(verdicts)
    moves: list[Move | None] = []
    for tester, said in zip(testers, verdicts, strict=True):
        if said is None:
            moves.append(rooms.unheard(tester, now))
        else:
            moves.append(rooms.verdict(tester, now, reachable=said[0], rate=said[1]))
    assert not any(moves[:-1])
    return moves[-1]


GOOD, SLOW, CUT_OFF = (True, LEAST_RATE), (True, LEAST_RATE - 1), (False, 0)


def test_two_good_verdicts_make_a_super_node() -> None:
    rooms = ambition()
    assert step(rooms, 5000) is None  # nobody has invited us
    rooms.invited(5000)
    assert step(rooms, 5000) is Move.BE_TESTED
    assert judge(rooms, 5000, GOOD, GOOD) is Move.SERVE
    assert rooms.serving


@pytest.mark.parametrize("other", [SLOW, CUT_OFF, None])
def test_one_is_not_enough(other: tuple[bool, int] | None) -> None:
    rooms = ambition()
    rooms.invited(5000)
    assert judge(rooms, 5000, GOOD, other) is None
    assert not rooms.serving


def test_an_invitation_is_of_its_time() -> None:
    rooms = ambition()
    rooms.invited(580)
    assert step(rooms, 599) is None
    assert step(rooms, 600) is Move.BE_TESTED
    rooms = ambition()
    rooms.invited(560)
    assert step(rooms, 600) is None  # by then others may serve


def test_without_spare_cpu_nobody_is_tested_or_promoted() -> None:
    rooms = ambition()
    rooms.invited(5000)
    rooms.spare(49, 5000)
    assert step(rooms, 5000) is None
    rooms.spare(50, 5001)
    assert step(rooms, 5001) is Move.BE_TESTED
    testers = rooms.begin(OTHERS, 5001)
    rooms.spare(10, 5002)
    for tester in testers:
        assert rooms.verdict(tester, 5003, reachable=True, rate=10**9) is None


@pytest.mark.parametrize("options", [Options(wish=Wish.ORDINARY), Options(firewalled=True)])
def test_who_opted_out_is_never_promoted(options: Options) -> None:
    rooms = ambition(options)
    for now in range(10_000):
        rooms.invited(now)
        assert step(rooms, now) is None
        assert step(rooms, now, nobody=True) is None


def test_the_first_node_of_a_network_serves_at_once() -> None:
    for wish in (Wish.AUTO, Wish.SUPER):
        rooms = ambition(Options(wish=wish))
        assert step(rooms, 0, nobody=True) is Move.SERVE
        assert step(rooms, 10_000, nobody=True) is None


def invited() -> Ambition:
    rooms = ambition(Options(promote_after=0))
    rooms.invited(0)
    return rooms


def test_who_wishes_to_serve_does_and_others_test_it_when_it_comes() -> None:
    rooms = ambition(Options(wish=Wish.SUPER))
    assert step(rooms, 1) is Move.SERVE


def test_who_failed_waits_for_half_an_hour_and_another_invitation() -> None:
    rooms = invited()
    assert step(rooms, 1) is Move.BE_TESTED
    assert judge(rooms, 1, CUT_OFF, GOOD) is None
    rooms.invited(1000)
    assert step(rooms, 1000) is None
    rooms.invited(1801)
    assert step(rooms, 1801) is Move.BE_TESTED


def test_after_a_round_without_verdicts_it_tries_again_soon() -> None:
    rooms = invited()
    assert judge(rooms, 1, None, GOOD) is None
    rooms.invited(302)
    assert step(rooms, 302) is Move.BE_TESTED
    assert rooms.begin([], 302) == ()
    rooms.invited(603)
    assert step(rooms, 601) is None
    assert step(rooms, 603) is Move.BE_TESTED


def test_testers_are_on_different_hosts() -> None:
    known = [at(1, port) for port in range(1, 100)] + [at(2)]
    for _ in range(20):
        assert {tester.host for tester in ambition().begin(known, 0)} == {at(1).host, at(2).host}


def test_where_there_is_one_other_it_decides_alone() -> None:
    rooms = invited()
    assert judge(rooms, 1, GOOD, known=[at(1)]) is Move.SERVE


def test_only_testers_of_this_round_are_heard_and_each_once() -> None:
    rooms = invited()
    first, second = rooms.begin(OTHERS, 0)
    for tester in (at(77), first, first, first):
        assert rooms.verdict(tester, 0, reachable=True, rate=10**9) is None
    assert rooms.verdict(second, 0, reachable=True, rate=10**9) is Move.SERVE


def serving() -> Ambition:
    rooms = invited()
    assert judge(rooms, 0, GOOD, GOOD) is Move.SERVE
    return rooms


def test_a_super_node_is_tested_every_half_hour_and_steps_down_after_two_failures() -> None:
    rooms = serving()
    assert step(rooms, 1799) is None
    assert step(rooms, 1800) is Move.BE_TESTED
    assert judge(rooms, 1800, SLOW, CUT_OFF) is None
    assert step(rooms, 3600) is Move.BE_TESTED
    assert judge(rooms, 3600, SLOW, SLOW) is Move.STEP_DOWN
    assert not rooms.serving
    assert step(rooms, 3700) is None


def test_one_good_verdict_keeps_it_so_that_one_liar_ends_nothing() -> None:
    rooms = serving()
    for now in range(1800, 100_000, 1800):
        assert step(rooms, now) is Move.BE_TESTED
        assert judge(rooms, now, CUT_OFF, GOOD) is None
    assert rooms.serving


def test_silent_testers_do_not_end_it() -> None:
    rooms = serving()
    for now in range(1800, 100_000, 300):
        if step(rooms, now) is Move.BE_TESTED:
            assert judge(rooms, now, None, None) is None
    assert rooms.serving


def test_too_little_cpu_for_five_minutes_ends_it() -> None:
    rooms = serving()
    rooms.spare(10, 100)
    assert step(rooms, 399) is None
    rooms.spare(60, 399)
    rooms.spare(10, 400)
    assert step(rooms, 699) is None
    rooms.spare(15, 650)
    assert step(rooms, 700) is Move.STEP_DOWN
    rooms.spare(90, 701)
    assert step(rooms, 710) is None


def test_the_operator_decides_alone() -> None:
    listed = ambition(Options(supernodes=(OURS[0], at(1))))
    assert step(listed, 0) is Move.SERVE
    listed.spare(0, 0)
    assert all(step(listed, now) is None for now in range(0, 10_000, 50))
    other = ambition(Options(supernodes=(at(1),), wish=Wish.SUPER))
    other.invited(0)
    assert all(step(other, now, nobody=True) is None for now in range(0, 10_000, 50))


@pytest.mark.parametrize("unwilling", [{"wish": Wish.ORDINARY}, {"firewalled": True}])
def test_who_is_listed_and_opted_out_does_not_serve(unwilling: dict[str, Any]) -> None:
    rooms = ambition(Options(supernodes=(OURS[0],), **unwilling))
    assert all(step(rooms, now) is None for now in range(0, 10_000, 100))


def test_who_meets_its_address_late_serves_then() -> None:
    rooms = ambition(Options(supernodes=(at(1),)))
    assert rooms.step(0, ours=[], nobody=False) is None
    assert rooms.step(1, ours=[at(7), at(1)], nobody=False) is Move.SERVE
