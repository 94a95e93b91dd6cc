"""Who else has a file: heard, proved, failed, forgotten."""

from hypothesis import given, strategies as st

from p2pswarm.formats.ids import Address
from p2pswarm.overlay.files import mesh
from p2pswarm.overlay.files.mesh import Mesh

SHA1, TELLER = b"\1" * 20, Address("5.5.5.5", 6346)


def host(number: int) -> Address:
    return Address(f"8.8.{number // 256}.{number % 256}", 6346)


def test_only_who_gave_good_bytes_is_told_of() -> None:
    known = Mesh()
    assert known.heard(SHA1, host(1), TELLER, 0)
    assert known.good(SHA1, 0) == []
    assert not known.heard(SHA1, host(1), TELLER, 0)
    known.proved(SHA1, host(1), 1)
    known.proved(SHA1, host(2), 2)
    assert known.good(SHA1, 2) == [host(2), host(1)]
    assert known.good(SHA1, 2, host(1)) == [host(2)]
    known.failed(SHA1, host(1), 3)
    assert (known.good(SHA1, 3), known.bad(SHA1, 3)) == ([host(2)], [host(1)])
    assert not known.heard(SHA1, host(1), TELLER, 4)


def test_who_tells_of_itself_counts_unless_it_failed() -> None:
    known = Mesh()
    known.heard(SHA1, host(1), TELLER, 0)
    for number in (1, 2, 2):
        known.offered(SHA1, host(number), 1)
    known.failed(SHA1, host(3), 1)
    known.offered(SHA1, host(3), 2)
    assert known.good(SHA1, 2) == [host(2), host(1)]
    for port in range(100):
        known.offered(SHA1, Address("9.9.9.9", port), 3)
    assert len(known.good(SHA1, 3)) == 2 + mesh.MOST_PORTS


def test_whom_two_others_could_not_reach_is_told_of_no_more() -> None:
    known = Mesh()
    known.offered(SHA1, host(1), 0)
    known.offered(SHA1, host(2), 0)
    for teller in (host(8), host(8)._replace(port=9), host(8)):
        known.doubted(SHA1, host(1), teller, 1)
        known.doubted(SHA1, host(3), teller, 1)
    assert known.good(SHA1, 1) == [host(2), host(1)]
    known.doubted(SHA1, host(1), host(9), 1)
    assert known.good(SHA1, 1) == [host(2)]
    assert known.bad(SHA1, 1) == []  # that others say so is no reason to tell of it


def test_all_of_it_is_forgotten() -> None:
    known = Mesh()
    known.heard(SHA1, host(1), TELLER, 0)
    known.proved(SHA1, host(2), 0)
    known.failed(SHA1, host(3), 0)
    later = mesh.KEPT + 1
    assert known.good(SHA1, later) == known.bad(SHA1, later) == []
    assert known.heard(SHA1, host(3), TELLER, later)


def test_a_teller_names_few_and_nobody_nearer_than_himself() -> None:
    known = Mesh()
    taken = [known.heard(SHA1, host(n), TELLER, 0) for n in range(100)]
    assert taken.count(True) == mesh.MOST_OF_TELLER
    for near in ("127.0.0.1", "192.168.0.1", "10.0.0.1", "0.0.0.0", "::1"):
        assert not known.heard(SHA1, Address(near, 6346), Address("6.6.6.6", 1), 0)
    assert not known.heard(SHA1, Address("7.7.7.7", 0), Address("6.6.6.6", 1), 0)
    assert known.heard(SHA1, Address("192.168.0.1", 1), Address("192.168.0.2", 1), 0)


def test_who_is_near_is_not_told_of_far_away() -> None:
    known = Mesh()
    known.proved(SHA1, Address("192.168.0.1", 1), 0)
    assert known.good(SHA1, 0, TELLER) == []
    assert known.good(SHA1, 0, Address("192.168.0.2", 1)) == [Address("192.168.0.1", 1)]


@given(st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 2), st.integers(0, 5)), max_size=50))
def test_it_does_not_grow(steps: list[tuple[int, int, int]]) -> None:
    known = Mesh()
    for sha1, action, spread in steps:
        name = sha1.to_bytes(20, "big")
        for number in range(spread * 20):
            if action == 0:
                known.heard(name, host(number), host(number // 3), number)
            else:
                (known.proved if action == 1 else known.failed)(name, host(number), number)
        hosts = known._files.get(name)
        assert hosts is None or max(map(len, (hosts.heard, hosts.good, hosts.bad))) <= 50
        assert len(known.good(name, 0)) <= mesh.MOST_TOLD


def test_the_oldest_file_gives_way() -> None:
    known = Mesh()
    for number in range(mesh.MOST_FILES + 1):
        known.proved(number.to_bytes(20, "big"), host(1), 0)
    assert known.good((0).to_bytes(20, "big"), 0) == []
    assert known.good((1).to_bytes(20, "big"), 0) == [host(1)]
