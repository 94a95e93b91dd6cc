"""What lookups brought, and for how long."""

import pytest

from p2pswarm.overlay.people import caches
from p2pswarm.overlay.people.caches import FRESH, UNKNOWN, Cache

NAME = b"n" * 32


def test_what_was_found_is_fresh_for_a_while() -> None:
    cache: Cache[str] = Cache()
    cache.found(NAME, "new", 7, 1e9, 0.0)
    assert cache.get(NAME, FRESH - 1) == "new"
    assert cache.get(NAME, FRESH) is None
    assert cache.newest(NAME) == 7


def test_a_record_ends_when_it_says_so() -> None:
    cache: Cache[str] = Cache()
    cache.found(NAME, "new", 7, 10.0, 0.0)
    assert cache.get(NAME, 10.0) is None


def test_an_older_record_changes_nothing() -> None:
    cache: Cache[str] = Cache()
    cache.found(NAME, "new", 7, 100.0, 0.0)
    cache.drop(NAME)
    cache.found(NAME, "old", 6, 100.0, 1.0)
    assert cache.get(NAME, 2.0) is None
    cache.found(NAME, "new", 7, 100.0, 1.0)
    assert cache.get(NAME, 2.0) == "new"


def test_a_name_of_nobody_is_believed_for_a_minute() -> None:
    cache: Cache[str] = Cache()
    cache.unknown(NAME, 1e9, 0.0)
    assert cache.is_unknown(NAME, UNKNOWN - 1)
    assert not cache.is_unknown(NAME, UNKNOWN)
    cache.unknown(NAME, 1e9, 100.0)
    cache.found(NAME, "new", 1, 1.0, 101.0)
    assert not cache.is_unknown(NAME, 102.0)


def test_so_many_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(caches, "MOST_FOUND", 2)
    monkeypatch.setattr(caches, "MOST_UNKNOWN", 2)
    cache: Cache[int] = Cache()
    for number in range(4):
        cache.found(bytes([number]) * 32, number, 1, 9.0, 0.0)
        cache.unknown(bytes([number]) * 31, 9.0, 0.0)
    assert [cache.get(bytes([number]) * 32, 1.0) for number in range(4)] == [None, None, 2, 3]
    assert [cache.is_unknown(bytes([n]) * 31, 1.0) for n in range(4)] == [False, False, True, True]
