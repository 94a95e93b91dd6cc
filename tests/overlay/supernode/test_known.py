from collections.abc import Iterable
from random import Random

from p2pswarm.formats.ids import Address
from p2pswarm.overlay.budget import DialBudget
from p2pswarm.overlay.hosts.hosts import Hosts
from p2pswarm.overlay.supernode.known import MOST_LIVE, Known
from p2pswarm.overlay.supernode.options import Options

WALL = 1e9


def at(number: int) -> Address:
    return Address(f"80.{number}.0.1", 46881)


def known(told: Iterable[Address] = (), options: Options | None = None) -> Known:
    hosts = Hosts("supernode")
    for address in told:
        hosts.tell(address, address.host, WALL)
    return Known(hosts, DialBudget(), options or Options(), Random(1), lambda: WALL)


def test_who_is_named_who_is_told_and_who_answered_come_by_turns() -> None:
    rooms = known([at(n) for n in range(50)], Options(connect=(at(100), at(101))))
    rooms.answered(at(102))
    first = rooms.candidates(3)
    assert first[0] == at(102)
    assert first[1] in (at(100), at(101))
    assert first[2] not in (at(100), at(101), at(102))
    everybody = rooms.candidates(1000)
    assert len(everybody) == len(set(everybody)) == 53


def test_nobody_who_is_busy() -> None:
    assert known([at(1), at(2)]).candidates(5, [at(1)]) == [at(2)]


def test_strangers_are_dialed_within_the_budget_and_friends_always() -> None:
    rooms = known([at(1)])
    assert rooms.may_dial(at(1), 0)
    assert not rooms.may_dial(at(1), 10)
    rooms.answered(at(1))
    assert rooms.may_dial(at(1), 20)
    assert rooms.may_dial(at(1), 20)
    assert rooms.candidates(5) == [at(1)]


def test_who_the_user_named_is_dialed_again() -> None:
    rooms = known(options=Options(connect=(at(1),)))
    assert rooms.may_dial(at(1), 0)
    assert rooms.may_dial(at(1), 0)


def test_who_failed_comes_after_all_others() -> None:
    """It is not forgotten: perhaps our own line was cut, and all of them failed."""
    rooms = known([at(2), at(3)])
    rooms.answered(at(1))
    rooms.may_dial(at(1), 0)
    rooms.failed(at(1))
    assert rooms.candidates(5)[2:] == [at(1)]
    assert at(1) not in rooms.candidates(2)
    assert at(1) not in rooms.lately()


def test_the_operators_list_is_all_there_is() -> None:
    rooms = known([at(1)], Options(supernodes=(at(2), at(3)), connect=(at(4),)))
    rooms.answered(at(5))
    assert set(rooms.candidates(10)) == {at(2), at(3)}
    assert not any(rooms.may_dial(address, 0) for address in (at(1), at(4), at(5)))
    assert rooms.may_dial(at(2), 0)


def test_we_are_nobody_to_dial() -> None:
    rooms = known([at(1)], Options(connect=(at(1),)))
    assert not rooms.nobody
    rooms.ourselves(at(1))
    assert not rooms.candidates(5)
    assert not rooms.may_dial(at(1), 0)
    assert rooms.nobody


def test_somebody_is_known() -> None:
    assert known().nobody
    assert not known([at(1)]).nobody
    assert not known(options=Options(supernodes=(at(1),))).nobody


def test_those_remembered_are_bounded() -> None:
    rooms = known()
    for n in range(5000):
        rooms.answered(Address(f"80.{n // 250}.0.{n % 250}", 46881))
    assert len(rooms._live) == MOST_LIVE
