"""Who is found by which name."""

from p2pswarm.formats.ids import InfoHash
from p2pswarm.formats.names import Names
from p2pswarm.roster import Roster

ONE, TWO = InfoHash(b"1" * 20), InfoHash(b"2" * 20)
BOTH = Names(ONE, TWO + bytes(12))


def test_a_hybrid_is_found_by_both_names_and_counted_once() -> None:
    roster: Roster[str] = Roster()
    roster.add("hybrid", BOTH)
    assert roster[ONE] == roster[TWO] == "hybrid"
    assert list(roster) == [ONE]
    assert list(roster.values()) == ["hybrid"]
    assert len(roster) == 1
    assert [roster.revealed(name.obfuscated) for name in (ONE, TWO)] == [ONE, TWO]
    roster.remove("hybrid", BOTH)
    roster.remove("hybrid", BOTH)
    assert not roster
    assert TWO not in roster
    assert roster.revealed(TWO.obfuscated) is None


def test_names_may_be_learned_later() -> None:
    roster: Roster[str] = Roster()
    roster.add("magnet", Names(None, BOTH.v2))
    roster.add("magnet", BOTH)
    assert list(roster) == [TWO]
    assert roster[ONE] == "magnet"


def test_a_name_stays_with_who_had_it_first() -> None:
    roster: Roster[str] = Roster()
    roster.add("first", Names(ONE))
    roster.add("second", BOTH)
    assert (roster[ONE], roster[TWO]) == ("first", "second")
    assert len(roster) == 2
    roster.remove("second", BOTH)
    assert dict(roster) == {ONE: "first"}
    assert roster.any_of(BOTH) == "first"
