from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, settings, strategies as st

from p2pswarm.wire.rendezvous import Ask, Claim, Claimed, Left, Message, Refused, Said, Why
from tracker.rendezvous import desk
from tracker.rendezvous.desk import Rendezvous
from tracker.rendezvous.guests import MOST_WAITING, Guest


class Place:
    """A rendezvous, its clock, and who comes in."""

    def __init__(self) -> None:
        self.desk, self.now = Rendezvous(Random(1)), 0.0
        self.desk._visits = 0

    def guest(self, line: str = "192.0.2.1") -> Guest:
        guest = self.desk.enter(line, line, self.now, lambda: None)
        assert guest is not None
        return guest

    def say(self, guest: Guest, message: Message) -> list[Message]:
        """And what it is told by now."""
        self.desk.received(guest, message, self.now)
        return heard(guest)

    def giver(self, line: str = "192.0.2.1", ttl: int = 3600) -> tuple[Guest, Claimed]:
        guest = self.guest(line)
        (claimed,) = self.say(guest, Claim(ttl))
        assert isinstance(claimed, Claimed)
        return guest, claimed

    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.desk.sweep(self.now)


def heard(guest: Guest) -> list[Message]:
    said = [replace(each, host="") if isinstance(each, Said) else each for each in guest.out]
    guest.out.clear()
    return said


@pytest.fixture
def place() -> Place:
    return Place()


def test_what_the_two_say_is_carried_and_nothing_else(place: Place) -> None:
    giver, claimed = place.giver()
    assert claimed.you == "192.0.2.1"
    one, other = place.guest(), place.guest()
    assert place.say(one, Ask(claimed.number, b"one")) == []
    assert place.say(other, Ask(claimed.number, b"other")) == []
    first, second = heard(giver)
    assert first == Said(1, b"one")
    assert second == Said(2, b"other")
    place.say(giver, Said(2, b"to the other"))
    assert heard(one) == []
    assert heard(other) == [Said(0, b"to the other")]
    place.desk.leave(other, 0)
    assert heard(giver) == [Left(2)]
    place.say(giver, Said(2, b"too late"))
    place.say(giver, Left(1))
    assert heard(one) == [Refused(Why.BUSY, 2)]
    assert one.over


def test_the_giver_hears_where_takers_are_seen(place: Place) -> None:
    giver, claimed = place.giver("192.0.2.1")
    place.say(place.guest("198.51.100.7"), Ask(claimed.number, b"hello"))
    assert list(giver.out) == [Said(1, b"hello", "198.51.100.7")]


def test_numbers_are_short_and_never_twice(place: Place) -> None:
    numbers = [place.giver(f"192.0.2.{each}")[1].number for each in range(20)]
    assert len(set(numbers)) == 20
    assert max(numbers) <= 99


def test_a_number_that_nobody_gives_is_refused(place: Place) -> None:
    taker = place.guest()
    assert place.say(taker, Ask(7, b"")) == [Refused(Why.UNKNOWN)]
    assert taker.over


def test_a_number_given_back_is_unknown_and_not_given_again_soon(place: Place) -> None:
    giver, claimed = place.giver()
    taker = place.guest()
    place.say(taker, Ask(claimed.number, b""))
    heard(giver)
    assert place.say(giver, Left(0)) == [Left(1), Refused(Why.UNKNOWN)] or giver.over
    assert heard(taker) == [Refused(Why.UNKNOWN)]
    assert place.say(place.guest(), Ask(claimed.number, b"")) == [Refused(Why.UNKNOWN)]
    others = {place.giver(f"198.51.100.{each}")[1].number for each in range(60)}
    assert claimed.number not in others


def test_a_number_ends_when_its_time_is_over(place: Place) -> None:
    giver, claimed = place.giver(ttl=100)
    place.wait(99)
    assert not giver.over
    place.wait(1)
    assert heard(giver) == [Refused(Why.UNKNOWN)]
    assert place.say(place.guest(), Ask(claimed.number, b"")) == [Refused(Why.UNKNOWN)]


def test_a_giver_whose_connection_broke_finds_what_it_missed(place: Place) -> None:
    giver, claimed = place.giver()
    place.desk.leave(giver, place.now)
    taker, gone = place.guest(), place.guest()
    place.say(taker, Ask(claimed.number, b"hello"))
    place.say(gone, Ask(claimed.number, b"I do not wait"))
    place.desk.leave(gone, place.now)
    place.wait(5)
    again = place.guest()
    told = place.say(again, Claim(3000, claimed.number, claimed.token))
    assert told == [claimed, Said(1, b"hello")]


def test_nobody_else_gets_the_number_of_a_giver(place: Place) -> None:
    giver, claimed = place.giver()
    thief = place.guest("198.51.100.1")
    assert place.say(thief, Claim(60, claimed.number, bytes(16))) == [Refused(Why.TAKEN)]
    assert not giver.over
    again = place.guest()
    assert place.say(again, Claim(60, claimed.number, claimed.token)) == [claimed]
    assert heard(giver) == [Refused(Why.TAKEN)]  # its old connection, which it believes dead
    place.desk.leave(giver, place.now)
    place.say(place.guest(), Ask(claimed.number, b"hello"))
    assert heard(again) == [Said(1, b"hello")]


def test_after_a_restart_visits_have_other_names(place: Place) -> None:
    names = set[int]()
    for seed in range(5):
        place.desk = Rendezvous(Random(seed))
        giver, claimed = place.giver()
        place.say(place.guest(), Ask(claimed.number, b""))
        (said,) = heard(giver)
        assert isinstance(said, Said)
        names.add(said.visit)
    assert len(names) == 5


def test_after_a_restart_a_giver_has_its_number_again(place: Place) -> None:
    told = place.say(place.guest(), Claim(60, 7, b"t" * 16))
    assert told == [Claimed(7, b"t" * 16, "192.0.2.1")]


def test_a_number_waits_a_while_for_its_giver(place: Place) -> None:
    giver, claimed = place.giver()
    place.desk.leave(giver, place.now)
    place.desk.leave(giver, place.now)
    place.wait(desk.AWAY_FOR)
    assert place.say(place.guest(), Ask(claimed.number, b"")) == [Refused(Why.UNKNOWN)]


def test_who_says_nothing_or_stays_too_long_is_sent_away(place: Place) -> None:
    silent = place.guest()
    giver, claimed = place.giver()
    taker = place.guest()
    place.say(taker, Ask(claimed.number, b""))
    heard(giver)
    place.wait(desk.SILENT_FOR)
    assert silent.over
    assert not giver.over
    place.wait(desk.VISIT_FOR)
    assert heard(taker) == [Refused(Why.BUSY, 5)]
    assert heard(giver) == [Left(1)]


@pytest.mark.parametrize(
    "rude",
    [
        Claim(60),
        Ask(7, b""),
        Left(1),
        Claimed(7, bytes(16)),
        Refused(Why.BUSY),
        Said(0, bytes(257)),
    ],
)
def test_a_taker_has_few_words(place: Place, rude: Message) -> None:
    _, claimed = place.giver()
    taker = place.guest()
    place.say(taker, Ask(claimed.number, b""))
    assert place.say(taker, rude) == [Refused(Why.RUDE)]
    assert taker.over
    assert place.say(taker, Said(0, b"")) == []


def test_each_side_says_two_messages(place: Place) -> None:
    giver, claimed = place.giver()
    taker = place.guest()
    place.say(taker, Ask(claimed.number, b"1"))
    place.say(taker, Said(0, b"2"))
    assert heard(giver) == [Said(1, b"1"), Said(1, b"2")]
    for each in range(5):
        place.say(giver, Said(1, bytes([each])))
    assert heard(taker) == [Said(0, b"\0"), Said(0, b"\1")]
    assert place.say(taker, Said(0, b"3")) == [Refused(Why.RUDE)]


def test_a_giver_that_floods_is_sent_away(place: Place) -> None:
    giver, _ = place.giver()
    for _ in range(401):
        place.say(giver, Said(1, b""))
    assert giver.over


def test_one_line_takes_neither_all_places_nor_all_numbers(place: Place) -> None:
    for _ in range(desk.NUMBERS_PER_LINE):
        place.giver()
    assert place.say(place.guest(), Claim(60)) == [Refused(Why.BUSY, 60)]
    place.giver("198.51.100.1")
    while place.desk.enter("192.0.2.1", "192.0.2.1", 0, lambda: None) is not None:
        pass
    assert len(place.desk._guests) == desk.GUESTS_PER_LINE + 1


def test_one_line_does_not_hold_all_places_at_a_number(place: Place) -> None:
    _, claimed = place.giver()
    for _ in range(desk.VISITS_PER_LINE):
        assert place.say(place.guest("203.0.113.1"), Ask(claimed.number, b"")) == []
    crowd = place.guest("203.0.113.1")
    assert place.say(crowd, Ask(claimed.number, b"")) == [Refused(Why.BUSY, 1)]
    assert place.say(place.guest("203.0.113.2"), Ask(claimed.number, b"")) == []


def test_one_line_asks_for_so_many_numbers_a_minute(place: Place) -> None:
    asked = 0
    while True:
        guest = place.guest()
        (refused,) = place.say(guest, Ask(7, b""))
        place.desk.leave(guest, 0)
        if refused == Refused(Why.BUSY, 5):
            break
        asked += 1
    assert asked == desk.ASKS_AT_ONCE
    place.now += 2
    assert place.say(place.guest(), Ask(7, b"")) == [Refused(Why.UNKNOWN)]
    assert place.say(place.guest("198.51.100.1"), Ask(7, b"")) == [Refused(Why.UNKNOWN)]


def test_all_tables_have_an_end(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk, "MOST_LINES", 10)
    monkeypatch.setattr(desk, "MOST_NUMBERS", 5)
    for each in range(20):
        guest = place.guest(f"192.0.2.{each}")
        place.say(guest, Ask(7, b""))
        place.desk.leave(guest, 0)
    assert len(place.desk._asking) == 10
    assert not place.desk._lines
    for each in range(5):
        place.giver(f"192.0.2.{each}")
    assert place.say(place.guest("192.0.2.99"), Claim(60)) == [Refused(Why.BUSY, 60)]
    giver, claimed = next((g, g.number) for g in place.desk._guests if g.number)
    for each in range(desk.VISITS_PER_NUMBER):
        line = f"203.0.113.{each // desk.VISITS_PER_LINE}"
        assert place.say(place.guest(line), Ask(claimed.value, b"")) == []
    assert place.say(place.guest("203.0.113.99"), Ask(claimed.value, b"")) == [Refused(Why.BUSY, 1)]
    assert not giver.over
    for _ in range(MOST_WAITING):  # it takes nothing
        giver.tell(Left(1))
    assert giver.over
    assert len(giver.out) <= MOST_WAITING


WORDS = st.one_of(
    st.builds(Claim, st.integers(1, 100)),
    st.builds(
        Claim, st.integers(1, 100), st.integers(1, 3), st.sampled_from([bytes(16), b"t" * 16])
    ),
    st.builds(Ask, st.integers(1, 3), st.just(b"")),
    st.builds(Said, st.integers(0, 4), st.just(b"")),
    st.builds(Left, st.integers(0, 4)),
)


@given(
    st.lists(st.tuples(st.integers(0, 5), WORDS | st.sampled_from(["leave", "wait"])), max_size=40)
)
@settings(max_examples=60)
def test_whatever_guests_say_the_tables_fit_each_other(
    said: list[tuple[int, Message | str]],
) -> None:
    place = Place()
    guests = [place.guest() for _ in range(6)]
    for who, what in said:
        if what == "leave":
            place.desk.leave(guests[who], place.now)
            guests[who] = place.guest()
        elif what == "wait":
            place.wait(20)
        else:
            place.say(guests[who], what)  # type: ignore[arg-type]
        for value, number in place.desk._numbers.items():
            assert number.value == value
            assert number.giver is None or number.giver.number is number
            assert all(visit.guest.visit is visit for visit in number.visits.values())
            assert {each.visit for each in number.held} <= set(number.visits)
    for guest in guests:
        place.desk.leave(guest, place.now)
    place.wait(1000)
    assert not place.desk._numbers
    assert not place.desk._claiming
    assert not place.desk._lines
