from p2pswarm.swarm.hash_asking import FORGIVEN, PATIENCE, HashAsking
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
    assert asking.next_for("A", 0.0) == []
    asking.want([THREE])
    assert asking.next_for("A", 0.0) == [THREE]
    assert asking.answered("A", ONE)
    assert ONE not in asking
    assert not asking.answered("A", ONE)


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
