"""Hosts that offers name: few meetings send to one that never answered."""

from p2pswarm.formats.ids import Address
from p2pswarm.reach import strangers as room
from p2pswarm.reach.offers import MAX_OF_HOST, Candidate, CandidateKind, Candidates, fitting
from p2pswarm.reach.strangers import EVERY, MEETINGS, Strangers

VICTIM, FRIEND = "93.184.216.7", "8.8.8.8"


def test_a_victim_is_sent_to_in_three_meetings_of_ten_minutes() -> None:
    strangers = Strangers()
    times = range(0, 1200, 10)
    sent = [now for now in times if VICTIM not in strangers.barred([VICTIM, VICTIM], float(now))]
    assert len(sent) == 2 * MEETINGS
    assert sent[MEETINGS] == EVERY


def test_who_answered_is_sent_to_as_often_as_he_is_called() -> None:
    strangers = Strangers()
    for now in range(20):
        assert not strangers.barred([FRIEND, "192.168.1.7"], float(now))
        strangers.proved(FRIEND)


def test_nothing_grows() -> None:
    strangers = Strangers()
    for number in range(3 * room.MOST_TRIED):
        strangers.barred([f"93.1.{number // 250}.{number % 250}"], float(number))
        strangers.proved(f"94.1.{number // 250}.{number % 250}")
    assert len(strangers._tried) == room.MOST_TRIED
    assert len(strangers._proved) == room.MOST_PROVED


def test_of_one_host_few_ports_are_sent_to() -> None:
    """A call that named sixteen sent 160 datagrams to it in 25 seconds."""
    named = [Candidate(CandidateKind.HOST, Address(VICTIM, 1000 + n)) for n in range(16)]
    friend = Candidate(CandidateKind.REFLEXIVE, Address(FRIEND, 5))
    theirs = Candidates(tuple(named))
    ours = Candidates((Candidate(CandidateKind.HOST, Address("1.1.1.1", 5)),))
    fits = fitting([*named, friend], theirs, ours)
    assert fits == [each.address for each in named[:MAX_OF_HOST]] + [friend.address]
