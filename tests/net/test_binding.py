import ifaddr
import pytest

from p2pswarm.errors import PortTakenError
from p2pswarm.net.binding import EVERYWHERE, bound_addresses, own_addresses


@pytest.mark.parametrize("wish", ["127.0.0.2", "::1", "0.0.0.0", "::", "some.name", "eth0:7"])
def test_what_is_no_interface_is_an_address_or_a_name(wish: str) -> None:
    assert bound_addresses(wish) == (wish,)


def test_any_is_both_families() -> None:
    assert bound_addresses("any") == EVERYWHERE


def adapter(*hosts: str) -> ifaddr.Adapter:
    ips = [ifaddr.IP((host, 0, 3) if ":" in host else host, 24, "x") for host in hosts]
    return ifaddr.Adapter("wan0", "wan0", ips, index=3)


def test_an_interface_is_the_first_address_of_each_family_that_others_reach(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    here = adapter("169.254.1.1", "fe80::1", "192.0.2.7", "192.0.2.8", "2001:db8::7")
    monkeypatch.setattr(ifaddr, "get_adapters", lambda: [here])
    assert bound_addresses("wan0") == ("192.0.2.7", "2001:db8::7")


def test_an_interface_without_an_address_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ifaddr, "get_adapters", lambda: [adapter("fe80::1")])
    with pytest.raises(PortTakenError, match="the interface wan0 has no address"):
        bound_addresses("wan0")


def test_own_addresses_are_each_that_is_bound_or_all_without_loopback() -> None:
    assert own_addresses(["192.0.2.7", "2001:db8::1"]) == ["2001:db8::1", "192.0.2.7"]
    assert own_addresses(["127.0.0.1"]) == ["127.0.0.1"]
    every = own_addresses(["0.0.0.0", "::"])
    assert "127.0.0.1" not in every
    assert "::1" not in every
    assert set(own_addresses(["0.0.0.0"])) == {host for host in every if ":" not in host}
