"""Which release is the newest, and what is told when log and DHT do not fit together."""

import pytest
from hypothesis import given, settings, strategies as st

from p2pswarm.discovery.dht.items import MutableItem
from p2pswarm.errors import FormatError, TwoStoriesError
from p2pswarm.formats.feed import Entry
from p2pswarm.swarm.feed_newest import PATIENCE, Complaint, Newest, value_of
from tests.support.feeds import Publisher

ALICE = Publisher(1)


def item(entry: Entry, number: int | None = None) -> MutableItem:
    return MutableItem.signed(ALICE.key, value_of(entry), number or entry.sequence)


def known(entries: int, told: int | None = None) -> Newest:
    """A log of so many entries, and the item of one of the chain."""
    newest = Newest(ALICE.log(entries))
    if told is not None:
        newest.heard(item(ALICE.entries(told)[-1]))
    return newest


def numbers(newest: Newest) -> int:
    release = newest.release
    return release.sequence if release else 0


def complaints(newest: Newest, *times: float) -> list[Complaint]:
    return [each for now in times for each in newest.complaints(now)]


def test_nothing_is_known_of_a_new_feed() -> None:
    assert known(0).release is None
    assert complaints(known(0), 0, 1000) == []


@pytest.mark.parametrize(
    ("entries", "told", "number"), [(3, 3, 3), (3, 2, 3), (2, 3, 3), (0, 7, 7)]
)
def test_the_highest_number_counts(entries: int, told: int, number: int) -> None:
    newest = known(entries, told)
    assert numbers(newest) == number
    release = newest.release
    assert release is not None
    assert release.info_hash == ALICE.entries(number)[-1].short
    assert (release.entry is None) == (told > entries)


def test_a_lower_number_is_never_followed() -> None:
    newest = known(0, 5)
    assert not newest.heard(item(ALICE.entries(4)[-1]))
    again = Newest.decode(ALICE.name, newest.encode())
    assert not again.heard(item(ALICE.entries(4)[-1]))
    assert numbers(again) == 5


def test_a_publisher_without_a_feed_is_followed_without_a_word() -> None:
    newest = known(0, 5)
    assert complaints(newest, 0, PATIENCE, 1000) == []


def test_an_entry_behind_what_the_dht_knows_is_told_once_and_not_at_once() -> None:
    newest = known(2, 4)
    assert complaints(newest, 0, PATIENCE - 1) == []
    (complaint,) = complaints(newest, PATIENCE, PATIENCE + 1, 1000)
    assert complaint.kind == "withheld"
    assert "release 4" in complaint.text


def test_an_entry_that_comes_in_time_is_no_matter() -> None:
    newest = known(2, 3)
    assert complaints(newest, 0) == []
    newest.log.add(ALICE.entries(3)[-1])
    assert complaints(newest, 1000, 2000) == []


def test_a_gap_in_the_log_is_told() -> None:
    newest = known(2)
    newest.log.add(ALICE.entries(5)[-1])
    assert numbers(newest) == 5
    (complaint,) = complaints(newest, 0, PATIENCE)
    assert complaint == (
        "withheld",
        "an entry is withheld: release 5 is signed, and nobody gives 3",
    )


def test_a_dht_that_is_behind_is_told() -> None:
    (complaint,) = complaints(known(3, 2), 0, PATIENCE, 1000)
    assert complaint == ("behind", "the DHT is behind: it says 2 of 3")


def test_two_entries_of_one_number_end_the_feed() -> None:
    newest = known(2)
    newest.log.add(ALICE.entry(what="another first"))
    with pytest.raises(TwoStoriesError):
        _ = newest.release
    assert [each.kind for each in complaints(newest, 0, 1)] == ["rewritten"]


@pytest.mark.parametrize("first", [0, 3], ids=["entry and item", "two items"])
def test_an_entry_and_an_item_that_contradict_each_other_end_the_feed(first: int) -> None:
    newest = known(2, first or None)
    newest.heard(item(ALICE.entry(what="another"), first or 2))
    with pytest.raises(TwoStoriesError):
        _ = newest.release
    assert [each.kind for each in complaints(newest, 0, 1)] == ["contradiction"]


@pytest.mark.parametrize("value", [7, b"x" * 20, {b"ih": b"short"}, {b"ih": 7}, {}, [b"ih"]])
def test_an_item_that_names_no_torrent_is_not_followed(value: object) -> None:
    newest = known(1)
    with pytest.raises(FormatError):
        newest.heard(MutableItem.signed(ALICE.key, value, 2))
    assert numbers(newest) == 1


def test_an_item_of_somebody_else_is_not_followed() -> None:
    with pytest.raises(FormatError):
        known(1).heard(MutableItem.signed(Publisher(2).key, value_of(ALICE.entry()), 2))


@pytest.mark.parametrize(("entries", "told"), [(0, None), (3, None), (0, 4), (2, 4)])
def test_what_is_known_is_known_after_a_restart(entries: int, told: int | None) -> None:
    newest = known(entries, told)
    again = Newest.decode(ALICE.name, newest.encode())
    assert (again.item, again.log.entries) == (newest.item, newest.log.entries)


@settings(max_examples=40)
@given(st.binary(max_size=100), st.integers(0, 900), st.integers(0, 255))
def test_any_file_is_read_or_refused(junk: bytes, at: int, byte: int) -> None:
    near = bytearray(known(2, 3).encode())
    near[at % len(near)] = byte
    for raw in (junk, bytes(near)):
        try:
            Newest.decode(ALICE.name, raw)
        except FormatError:
            continue
