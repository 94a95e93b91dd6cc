"""What a relay carries: shares of a day, places, and how long."""

import pytest

from p2pswarm.errors import BusyError, RefusedError
from p2pswarm.overlay.people.quotas import DAY, MOST_REMEMBERED, Quotas, Terms

SMALL = Terms(of_pair=100, of_owner=150, seconds=1000.0, idle=60.0, most=4)


def test_a_pair_has_its_share_of_a_day_whatever_its_relays() -> None:
    quotas = Quotas(SMALL)
    account = quotas.begin("ann", "bob", 0.0)
    assert account.spend(60, 0.0)
    assert account.spend(40, 1.0)
    assert not account.spend(1, 2.0)
    quotas.end(account)
    with pytest.raises(RefusedError):
        quotas.begin("bob", "ann", 3.0)
    assert quotas.begin("ann", "bob", DAY).spend(100, DAY)


def test_an_owner_has_one_too_whoever_is_at_the_other_end() -> None:
    quotas = Quotas(SMALL)
    assert quotas.begin("ann", "bob", 0.0).spend(100, 0.0)
    account = quotas.begin("ann", "cid", 0.0)
    assert quotas.left(account, 0.0) == 50
    assert account.spend(50, 0.0)
    assert not account.spend(1, 0.0)
    assert quotas.begin("bob", "cid", 0.0).spend(50, 0.0)


def test_there_are_so_many_places_and_an_end_gives_one_back() -> None:
    quotas = Quotas(SMALL)
    accounts = [quotas.begin(name, "x" + name, 0.0) for name in "abcd"]
    with pytest.raises(BusyError):
        quotas.begin("e", "f", 0.0)
    quotas.end(accounts[0])
    quotas.end(accounts[0])
    assert quotas.count == 3
    quotas.begin("e", "f", 0.0)


@pytest.mark.parametrize("others", ["same", "many"])
def test_nobody_has_all_places(others: str) -> None:
    quotas = Quotas(Terms(most_of_pair=2, most_of_owner=3))
    most = 2 if others == "same" else 3
    for number in range(most):
        quotas.begin("ann", "bob" if others == "same" else f"bob{number}", 0.0)
    with pytest.raises(BusyError):
        quotas.begin("bob" if others == "same" else "eve", "ann", 0.0)


def test_a_relay_ends_when_it_is_old_or_nothing_comes() -> None:
    account = Quotas(SMALL).begin("ann", "bob", 0.0)
    assert account.why_over(59.0) is None
    assert "nothing came" in str(account.why_over(60.0))
    for now in range(0, 1000, 50):
        account.spend(1, float(now))
    assert account.why_over(999.0) is None
    assert "lasts" in str(account.why_over(1000.0))


def test_what_is_over_carries_nothing() -> None:
    quotas = Quotas(SMALL)
    account = quotas.begin("ann", "bob", 0.0)
    quotas.end(account)
    assert not account.spend(1, 0.0)


def test_what_is_remembered_has_an_end() -> None:
    quotas = Quotas(Terms())
    for number in range(MOST_REMEMBERED):
        account = quotas.begin(number, -number - 1, 0.0)
        account.spend(1, 0.0)
        quotas.end(account)
    assert len(quotas._spent) == MOST_REMEMBERED
    assert not quotas._open
