from random import Random

from p2pswarm.formats.ids import Address
from p2pswarm.overlay.supernode.options import Options
from p2pswarm.overlay.supernode.promotion import LEAST_RATE
from p2pswarm.overlay.supernode.trust import MOST_TESTS, TRUSTED_FOR, Trust


def at(number: int, port: int = 46881) -> Address:
    return Address(f"80.{number}.0.1", port)


def trust(options: Options | None = None) -> Trust[int]:
    return Trust(options or Options(), Random(1))


def link(rooms: Trust[int], number: int, now: float = 0) -> None:
    rooms.linked(number, bytes([number]), at(number), now)


def passes(rooms: Trust[int], number: int, now: float = 0) -> bool:
    return rooms.verdict(number, now, reachable=True, rate=LEAST_RATE)


def test_nobody_is_believed_before_it_passed() -> None:
    rooms = trust()
    link(rooms, 1)
    assert not rooms.trusted(1)
    assert rooms.step(0) == [1]
    assert not rooms.trusted(1)
    assert passes(rooms, 1)
    assert rooms.trusted(1)
    assert not rooms.trusted(2)


def test_a_verdict_on_whom_we_do_not_test_makes_nobody_trusted() -> None:
    rooms = trust()
    link(rooms, 1)
    passes(rooms, 1)
    assert not rooms.trusted(1)


def test_who_is_too_slow_or_cannot_be_reached_is_closed_and_let_alone() -> None:
    for reachable, rate in ((True, LEAST_RATE - 1), (False, 0)):
        rooms = trust()
        link(rooms, 1)
        rooms.step(0)
        assert not rooms.verdict(1, 0, reachable=reachable, rate=rate)
        assert not rooms.trusted(1)
        rooms.left(1)
        assert not rooms.may_link(at(1, 7), 599)
        assert rooms.may_link(at(2), 0)
        assert rooms.may_link(at(1), 600)


def test_a_few_at_a_time_and_strangers_first() -> None:
    rooms = trust()
    link(rooms, 1)
    rooms.step(0)
    passes(rooms, 1)
    for number in range(2, 10):
        link(rooms, number, TRUSTED_FOR * 2)
    first = rooms.step(TRUSTED_FOR * 2)
    assert len(first) == MOST_TESTS
    assert 1 not in first
    assert rooms.step(TRUSTED_FOR * 2) == []
    rooms.left(first[0])
    assert len(rooms.step(TRUSTED_FOR * 2)) == 1
    rooms.check()


def test_it_is_tested_again_after_hours_and_believed_meanwhile() -> None:
    rooms = trust()
    link(rooms, 1)
    rooms.step(0)
    passes(rooms, 1)
    assert rooms.step(TRUSTED_FOR / 2) == []
    assert rooms.step(TRUSTED_FOR * 1.3) == [1]
    assert rooms.trusted(1)
    assert not rooms.verdict(1, TRUSTED_FOR * 1.3, reachable=False, rate=0)
    assert not rooms.trusted(1)


def test_a_link_that_comes_back_is_believed_but_nobody_with_another_name() -> None:
    rooms = trust()
    link(rooms, 1)
    rooms.step(0)
    passes(rooms, 1)
    rooms.left(1)
    rooms.linked(2, bytes([1]), at(1), 10)
    assert rooms.trusted(2)
    assert rooms.step(10) == []
    rooms.linked(3, bytes([3]), at(1), 10)
    rooms.linked(4, bytes([1]), at(4), 10)
    assert not rooms.trusted(3)
    assert not rooms.trusted(4)


def test_who_left_while_tested_is_forgotten() -> None:
    rooms = trust()
    link(rooms, 1)
    rooms.step(0)
    rooms.left(1)
    assert not passes(rooms, 1)
    assert not rooms.trusted(1)
    rooms.check()


def test_a_test_that_came_to_nothing_says_nothing_and_others_come_first() -> None:
    rooms = trust()
    for number in range(MOST_TESTS + 1):
        link(rooms, number)
    first = rooms.step(0)
    for number in first:
        rooms.unheard(number, 1)
        assert not rooms.testing(number)
        assert rooms.may_link(at(number), 1)
    (other,) = rooms.step(1)
    assert other not in first
    assert rooms.testing(other)
    assert rooms.step(31) == first  # and it is not waited for for ever
    assert not any(map(rooms.trusted, (*first, other)))
    rooms.check()


def test_the_operators_list_is_believed_and_nobody_else() -> None:
    rooms = trust(Options(supernodes=(at(1),)))
    assert rooms.may_link(at(1), 0)
    assert not rooms.may_link(at(2), 0)
    link(rooms, 1)
    assert rooms.trusted(1)
    assert rooms.step(1e9) == []
