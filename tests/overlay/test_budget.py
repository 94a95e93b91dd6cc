import pytest
from hypothesis import given, strategies as st

from p2pswarm.formats.ids import Address
from p2pswarm.formats.zones import Zone
from p2pswarm.overlay import budget as room
from p2pswarm.overlay.budget import EVERY, MOST_PORTS, DialBudget

VICTIM = Address("93.184.216.7", 80)
OPEN = Zone.INTERNET


def test_an_address_that_never_answered_is_dialed_once_in_ten_minutes() -> None:
    budget = DialBudget()
    dialed = [t for t in range(0, 3600, 5) if budget.may_dial(VICTIM, OPEN, float(t))]
    assert dialed == [0, 600, 1200, 1800, 2400, 3000]


def test_one_that_answered_is_dialed_as_often_as_needed() -> None:
    budget = DialBudget()
    assert budget.may_dial(VICTIM, OPEN, 0.0)
    budget.answered(VICTIM)
    assert all(budget.may_dial(VICTIM, OPEN, float(t)) for t in range(10))
    assert not budget.may_dial(VICTIM._replace(port=0), OPEN, 0.0)


@given(st.lists(st.tuples(st.integers(0, 65536), st.floats(0, 3600)), max_size=200))
def test_a_host_gets_no_more_than_a_few_whatever_ports_are_named(
    told: list[tuple[int, float]],
) -> None:
    budget = DialBudget()
    dialed: list[float] = []
    for port, at in sorted(told, key=lambda each: each[1]):
        if budget.may_dial(Address("::ffff:93.184.216.7", port), OPEN, at):
            dialed.append(at)
    for at in dialed:
        assert sum(at <= other < at + EVERY for other in dialed) <= MOST_PORTS


def test_nobody_on_the_internet_sends_us_into_a_nearer_network() -> None:
    home, here = Address("192.168.1.9", 80), Address("127.0.0.1", 80)
    assert not DialBudget().may_dial(home, Zone.INTERNET, 0.0)
    assert not DialBudget().may_dial(here, Zone.LOCAL_NETWORK, 0.0)
    assert DialBudget().may_dial(home, Zone.LOCAL_NETWORK, 0.0)
    assert DialBudget().may_dial(here, Zone.THIS_MACHINE, 0.0)
    assert DialBudget().may_dial(VICTIM, Zone.THIS_MACHINE, 0.0)


def test_what_nobody_can_be_at_is_not_dialed() -> None:
    for address in (Address("0.0.0.0", 80), Address("224.0.0.1", 80), Address("a.name", 80)):
        assert not DialBudget().may_dial(address, Zone.THIS_MACHINE, 0.0)


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "MOST_KNOWN", 10)
    budget = DialBudget()
    hosts = [Address(f"93.184.216.{n}", 80) for n in range(100)]
    assert sum(budget.may_dial(host, OPEN, 0.0) for host in hosts) == 10
    assert budget.may_dial(hosts[50], OPEN, EVERY)
    for host in hosts:
        budget.answered(host)
    assert len(budget._answered) == 10
    assert not budget._dialed
