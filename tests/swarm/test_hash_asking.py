from p2pswarm.swarm.hash_asking import FORGIVEN, MOST_REFUSALS, PATIENCE, HashAsking
from p2pswarm.wire.hashes import HashRange

ONE, TWO, THREE = (HashRange(bytes(32), 0, n * 2, 2, 0) for n in range(3))


def test_two_wait_for_a_peer_and_no_more() -> None:
    asking = HashAsking()
    asking.want([ONE, TWO, THREE, ONE])
    assert asking.next_for("A", 0.0) == [ONE, TWO]
    assert asking.next_for("A", 1.0) == []
    assert asking.next_for("B", 1.0) == [THREE]
    assert asking.answered("A", ONE)
    asking.drop([ONE])
    assert asking.next_for("A", 2.0) == []
    assert ONE not in asking
    assert TWO in asking


def test_who_refuses_is_not_asked_again_for_a_while() -> None:
    asking = HashAsking()
    asking.want([ONE])
    assert asking.next_for("A", 0.0) == [ONE]
    assert not asking.hopeless(ONE, ["A"], 0.0)
    assert asking.refused("A", ONE, 0.0)
    assert asking.next_for("A", 1.0) == []
    assert asking.hopeless(ONE, ["A"], 1.0)
    assert not asking.hopeless(ONE, ["A", "B"], 1.0)
    assert asking.next_for("B", 1.0) == [ONE]
    assert asking.refused("B", ONE, 1.0)
    assert asking.next_for("A", FORGIVEN) == [ONE]


def test_who_is_silent_is_passed_over_and_its_answer_welcome_once() -> None:
    asking = HashAsking()
    asking.want([ONE])
    asking.next_for("A", 0.0)
    asking.tick(PATIENCE - 0.1)
    assert asking.next_for("B", PATIENCE) == []
    asking.tick(PATIENCE)
    assert asking.next_for("A", PATIENCE) == []
    assert asking.next_for("B", PATIENCE) == [ONE]
    assert asking.answered("A", ONE)
    assert not asking.answered("A", ONE)


def test_an_answer_to_what_is_not_wanted_any_more_is_no_fault() -> None:
    asking = HashAsking()
    asking.want([ONE, TWO])
    asking.next_for("A", 0.0)
    asking.drop([ONE])
    asking.want([THREE])
    assert asking.next_for("A", 0.0) == []  # it still waits for it
    assert asking.answered("A", ONE)
    assert ONE not in asking
    assert not asking.answered("A", ONE)
    assert asking.next_for("A", 0.0) == [THREE]


def test_what_was_never_asked_is_known() -> None:
    asking = HashAsking()
    asking.want([ONE])
    asking.next_for("A", 0.0)
    assert not asking.answered("B", ONE)
    assert not asking.answered("A", TWO)
    assert not asking.refused("A", TWO, 0.0)


def test_what_was_asked_of_who_is_gone_others_are_asked() -> None:
    asking = HashAsking()
    asking.want([ONE, TWO])
    asking.next_for("A", 0.0)
    asking.gone("A")
    assert asking.next_for("B", 0.0) == [ONE, TWO]
    assert asking.hopeless(ONE, [], 0.0) is False
    asking.gone("B")
    assert asking.hopeless(ONE, [], 0.0)
    assert not asking.hopeless(THREE, [], 0.0)


def test_what_is_dropped_while_it_is_under_way_is_welcome_once() -> None:
    """A small piece is often done before its hashes come."""
    asking = HashAsking()
    asking.want([ONE, TWO])
    assert asking.next_for("A", 0.0) == [ONE, TWO]
    asking.drop([ONE])
    assert not asking.answered("B", ONE)
    assert asking.answered("A", ONE)
    assert not asking.answered("A", ONE)


def refuse_all(asking: HashAsking, who: str, now: float) -> int:
    """How many it is asked for, and refuses."""
    count = 0
    while asked := asking.next_for(who, now):
        count += len(asked)
        assert all(asking.refused(who, each, now) for each in asked)
    return count


def test_who_refuses_everything_is_left_alone_before_it_costs_much() -> None:
    """Each refusal is remembered, and each look through 100 000 of them took a quarter of a second."""
    asking = HashAsking()
    asking.want(HashRange(bytes(32), 0, n * 2, 2, 0) for n in range(3 * MOST_REFUSALS))
    assert refuse_all(asking, "A", 0.0) == MOST_REFUSALS
    assert asking.next_for("A", FORGIVEN - 1) == []
    assert len(asking.next_for("B", 0.0)) == 2
    asking.helped("B")
    assert refuse_all(asking, "A", FORGIVEN) == MOST_REFUSALS


def test_what_others_refused_does_not_hide_the_rest() -> None:
    asking = HashAsking()
    ranges = [HashRange(bytes(32), 0, n * 2, 2, 0) for n in range(300)]
    asking.want(ranges)
    refuse_all(asking, "A", 0.0)
    late = HashRange(bytes(32), 1, 0, 2, 0)
    asking.want([late])
    asked = [each for _ in range(10) for each in asking.next_for("A", 1.0)]
    assert asked == [late]


def test_many_that_are_silent_delay_nothing_for_long() -> None:
    """Each of them was waited for ten seconds: a hundred held a download up for a quarter of an hour."""
    asking = HashAsking()
    asking.want([ONE])
    now, asked = 0.0, 0
    for liar in range(100):
        while not asking.next_for(liar, now):
            now += 1
            asking.tick(now)
        asked += 1
    assert asked == 100
    assert now < 130
    assert asking.answered(0, ONE)  # late, and welcome
    asking.drop([ONE])
    asking.want([ONE])
    assert asking.next_for("A", 1000.0) == [ONE]
    asking.tick(1000.0 + PATIENCE - 0.1)
    assert asking.next_for("B", 1000.0 + PATIENCE) == []
