from tracker.proof import ConnectionIds, Patience

A, B = b"\x7f\0\0\1", b"\x7f\0\0\2"
HOME, SAME_HOME = b"\x20\1" + bytes(13) + b"\1", b"\x20\1" + bytes(13) + b"\2"


def test_an_id_is_good_for_a_minute_and_no_longer_than_two() -> None:
    ids = ConnectionIds(b"secret")
    for given in (0.0, 30.0, 59.9, 60.0, 1e6):
        number = ids.give(A, given)
        assert 0 <= number < 1 << 64
        assert ids.good(number, A, given)
        assert ids.good(number, A, given + 60)
        assert not ids.good(number, A, given + 120)
        assert not ids.good(number, A, given - 61)


def test_an_id_is_good_for_one_address_and_one_tracker() -> None:
    ids = ConnectionIds(b"secret")
    number = ids.give(A, 0)
    assert not ids.good(number, B, 0)
    assert not ids.good(number + 1, A, 0)
    assert not ConnectionIds(b"another").good(number, A, 0)


def test_patience_comes_back_with_time() -> None:
    patience = Patience(rate=2, burst=3)
    assert [patience.allows(A, 10) for _ in range(5)] == [True, True, True, False, False]
    assert patience.allows(B, 10)
    assert [patience.allows(A, 11) for _ in range(3)] == [True, True, False]
    assert [patience.allows(A, 1000) for _ in range(4)] == [True, True, True, False]


def test_a_household_has_one_patience() -> None:
    patience = Patience(rate=1, burst=1)
    assert patience.allows(HOME, 0)
    assert not patience.allows(SAME_HOME, 0)


def test_patience_with_strangers_costs_bounded_memory() -> None:
    patience = Patience(rate=1, burst=1)
    for number in range(30_000):
        patience.allows(number.to_bytes(4, "big"), 0)
    assert len(patience._left) == 20_000
