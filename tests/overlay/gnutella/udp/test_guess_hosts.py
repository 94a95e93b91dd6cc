"""The list of ultrapeers to query by UDP: bounded, and not to be filled by one."""

from hypothesis import given, strategies as st

from p2pswarm.formats.ids import Address
from p2pswarm.overlay.gnutella.udp.guess_hosts import KEY_LIFE, MOST_OF_ONE, GuessHosts


def host(number: int) -> Address:
    return Address(f"80.{number >> 16}.{number >> 8 & 255}.{number & 255}", 6346)


def test_who_answered_is_first_and_is_told_to_others() -> None:
    hosts = GuessHosts()
    for number in range(4):
        assert hosts.told(host(number), "81.0.0.1")
    hosts.answered(host(1), 5.0)
    assert hosts.known(3) == [host(1), host(3), host(2)]
    assert hosts.proven(9) == [host(1)]
    hosts.silent(host(3))
    assert hosts.known(9) == [host(1), host(2), host(0)]


def test_a_key_is_kept_for_an_hour() -> None:
    hosts = GuessHosts()
    hosts.told(host(1), "81.0.0.1")
    hosts.answered(host(1), 5.0, b"12345678")
    hosts.answered(host(1), 6.0)
    assert hosts.key(host(1), 7.0) == b"12345678"
    assert hosts.key(host(1), 5.0 + KEY_LIFE) is None
    assert hosts.key(host(2), 7.0) is None


def test_one_teller_replaces_only_what_it_told() -> None:
    hosts = GuessHosts()
    hosts.told(host(0), "81.0.0.1")
    for number in range(1, 1000):
        hosts.told(host(number), "81.0.0.2")
    assert len(hosts) == MOST_OF_ONE + 1
    assert host(0) in hosts.known(1000)
    hosts.check()


def test_many_tellers_do_not_push_out_who_answered() -> None:
    hosts = GuessHosts()
    hosts.told(host(0), "81.0.0.1")
    hosts.answered(host(0), 1.0)
    for number in range(1, 3000):
        hosts.told(host(number), f"81.0.1.{number % 200}")
    assert len(hosts) == GuessHosts.MOST
    assert hosts.known(1) == [host(0)]
    hosts.check()


def test_nobody_far_names_somebody_near() -> None:
    hosts = GuessHosts()
    assert not hosts.told(Address("127.0.0.1", 6346), "81.0.0.1")
    assert not hosts.told(Address("10.0.0.1", 6346), "81.0.0.1")
    assert not hosts.told(Address("80.0.0.1", 0), "81.0.0.1")
    assert not hosts.told(Address("2001:db8::1", 6346), "81.0.0.1")
    assert hosts.told(Address("127.0.0.1", 6346), "127.0.0.1")


@given(
    st.lists(
        st.tuples(st.sampled_from("tas"), st.integers(0, 700), st.integers(0, 20)), max_size=300
    )
)
def test_the_invariants_hold(said: list[tuple[str, int, int]]) -> None:
    hosts = GuessHosts()
    for now, (what, number, teller) in enumerate(said):
        if what == "t":
            hosts.told(host(number), f"81.0.0.{teller}")
        elif what == "a":
            hosts.answered(host(number), float(now), b"key!" if teller % 2 else None)
        else:
            hosts.silent(host(number))
        hosts.check()
