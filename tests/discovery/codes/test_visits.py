from itertools import count

import pytest
from hypothesis import given, settings, strategies as st

from p2pswarm.discovery.codes import visits
from p2pswarm.discovery.codes.visits import (
    MOST_A_SECOND,
    MOST_PLACES,
    MOST_WRONG,
    VISIT_FOR,
    Giving,
    Taking,
    pack_place,
    read_place,
)
from p2pswarm.errors import BusyError, CodeError, NetworkError, RemoteError, RemoteProtocolError
from p2pswarm.formats.code import Code
from p2pswarm.formats.ids import Address
from p2pswarm.formats.zones import Zone, zone_of
from p2pswarm.wire.rendezvous import Claimed, Left, Refused, Said, Why
from tracker.rendezvous.desk import TAKER_BODY

CODE = Code(7, "acorn", "abacus")
OTHER = Code(7, "acorn", "academy")
LINK = b"magnet:?xt=urn:btih:" + b"a" * 40
names = count(1)


def said(giving: Giving, message: Said | Left, now: float = 0.0) -> Said | Left | None:
    """The one answer, if there is one."""
    answers = list(giving.received(message, now))
    assert len(answers) <= 1
    return answers[0] if answers else None


def visit(giving: Giving, taking: Taking, now: float = 0.0) -> None:
    """All of it. Raises what `Taking` raises."""
    name, ask = next(names), taking.begin()
    first = said(giving, Said(name, ask.body), now)
    assert isinstance(first, Said)
    proof = taking.received(Said(0, first.body))
    assert proof is not None
    verdict = said(giving, Said(name, proof.body), now)
    assert isinstance(verdict, Said)
    assert taking.received(Said(0, verdict.body)) is None


def test_many_takers_get_the_link() -> None:
    giving = Giving(CODE, LINK)
    for _ in range(7):
        taking = Taking(CODE)
        visit(giving, taking)
        assert taking.link == LINK
    assert (giving.given, giving.wrong, giving.dead) == (7, 0, False)


def test_a_few_wrong_guesses_and_the_code_is_dead_for_everybody() -> None:
    giving, early, asked = Giving(CODE, LINK), Taking(CODE), next(names)
    first = said(giving, Said(asked, early.begin().body))
    assert isinstance(first, Said)
    for wrong in range(MOST_WRONG):
        assert not giving.dead
        with pytest.raises(CodeError, match="not the words of code 7"):
            visit(giving, Taking(OTHER), now=wrong)
        assert giving.wrong == wrong + 1
    assert giving.dead
    late = Taking(CODE)
    assert said(giving, Said(99, late.begin().body)) == Left(99)
    proof = early.received(Said(0, first.body))
    assert proof is not None
    assert said(giving, Said(asked, proof.body)) == Left(asked)  # who began before, too
    assert giving.given == 0


def test_many_at_once_guess_no_oftener() -> None:
    giving = Giving(CODE, LINK)
    began = []
    for name in range(1, MOST_A_SECOND + 1):
        taking = Taking(OTHER)
        first = said(giving, Said(name, taking.begin().body))
        assert isinstance(first, Said)
        began.append((name, taking.received(Said(0, first.body))))
    answers = [said(giving, Said(name, proof.body)) for name, proof in began if proof]
    assert [isinstance(each, Said) for each in answers] == [
        at < MOST_WRONG for at in range(len(began))
    ]
    assert giving.wrong == MOST_WRONG


def test_who_shows_no_proof_burns_no_guess_and_learns_nothing() -> None:
    giving = Giving(CODE, LINK)
    for name in range(1, 50):
        first = said(giving, Said(name, Taking(OTHER).begin().body), now=name)
        assert isinstance(first, Said)
        assert said(giving, Left(name), now=name) is None
    assert giving.wrong == 0


def test_so_many_takers_a_second_and_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    giving, body = Giving(CODE, LINK), Taking(CODE).begin().body
    answers = [said(giving, Said(name, body)) for name in range(1, MOST_A_SECOND + 2)]
    assert isinstance(answers[-2], Said)
    assert answers[-1] == Left(MOST_A_SECOND + 1)
    monkeypatch.setattr(visits, "MOST_VISITS", MOST_A_SECOND + 1)
    assert isinstance(said(giving, Said(100, body), now=1), Said)
    assert said(giving, Said(101, body), now=2) == Left(101)
    answers = list(giving.received(Said(102, body), VISIT_FOR))
    assert answers[:-1] == [Left(name) for name in range(1, MOST_A_SECOND + 1)]
    assert isinstance(answers[-1], Said)


def test_a_proof_said_again_in_another_visit_is_a_wrong_guess() -> None:
    giving, taking = Giving(CODE, LINK), Taking(CODE)
    ask = taking.begin()
    first = said(giving, Said(1, ask.body))
    assert isinstance(first, Said)
    proof = taking.received(Said(0, first.body))
    assert proof is not None
    assert isinstance(said(giving, Said(2, ask.body)), Said)
    assert said(giving, Said(2, proof.body)) == Said(2, b"\0")
    assert giving.wrong == 1


@pytest.mark.parametrize(
    ("ours", "nearer"), [("11.0.0.9", ("fd00::5", "192.168.1.5")), ("11.0.0.8", ()), ("", ())]
)
def test_the_giver_hears_where_the_taker_is(ours: str, nearer: tuple[str, ...]) -> None:
    """And dials nobody in its own network for one who is not there: as PEX, and as calls."""
    giving = Giving(CODE, LINK, ours)
    hosts = ["fd00::5", "192.168.1.5", "host.example", "2600::1"]
    for place, places in (
        (pack_place(7000, hosts), ("11.0.0.9", *nearer, "2600::1")),
        (b"", ()),
    ):
        taking = Taking(CODE, place)
        first = said(giving, Said(1, taking.begin().body, "11.0.0.9"))
        assert isinstance(first, Said)
        proof = taking.received(Said(0, first.body))
        assert proof is not None
        assert len(proof.body) <= TAKER_BODY
        said(giving, Said(1, proof.body, "11.0.0.9"))
        assert giving.latest == tuple(Address(host, 7000) for host in places)


def test_who_guesses_wrong_is_not_dialed() -> None:
    giving = Giving(CODE, LINK)
    with pytest.raises(CodeError):
        visit(giving, Taking(OTHER, pack_place(7000, ["192.0.2.1"])))
    assert giving.latest == ()


@given(st.binary(max_size=200), st.sampled_from(["", "nonsense", "192.0.2.1", "0.0.0.0", "::1"]))
@settings(max_examples=50)
def test_any_place_is_a_few_addresses(data: bytes, seen: str) -> None:
    places = read_place(data, seen, seen)
    assert len(places) <= MOST_PLACES + 1
    assert all(place.dialable for place in places)
    hosts = [place.host for place in places]
    port = places[0].port if places else 1
    again = read_place(pack_place(port, hosts), seen, seen)
    assert {*again, *places[:MOST_PLACES]} == {*again}
    assert all(zone_of(place.host) is Zone.INTERNET for place in read_place(data, "", ""))


def test_a_place_has_room() -> None:
    longest = pack_place(65535, [f"2001:db8::{each}" for each in range(20)])
    assert len(Taking(CODE, longest)._place) + 48 <= TAKER_BODY


def test_a_visit_has_one_guess() -> None:
    giving, taking = Giving(CODE, LINK), Taking(OTHER)
    first = said(giving, Said(1, taking.begin().body))
    assert isinstance(first, Said)
    proof = taking.received(Said(0, first.body))
    assert proof is not None
    assert said(giving, Said(1, proof.body)) == Said(1, b"\0")
    assert said(giving, Said(1, bytes(32))) == Left(1)
    assert giving.wrong == 1


def test_a_taker_that_met_a_stranger_believes_nothing() -> None:
    stranger, taking = Giving(OTHER, b"magnet:?evil"), Taking(CODE)
    name, ask = 1, taking.begin()
    first = said(stranger, Said(name, ask.body))
    assert isinstance(first, Said)
    assert taking.received(Said(0, first.body)) is not None
    with pytest.raises(CodeError, match="nothing of it is believed"):
        taking.received(Said(0, b"\1" + bytes(400)))
    assert taking.link == b""


def test_busy_is_tried_again_only_before_the_proof_is_said() -> None:
    giving, taking = Giving(CODE, LINK), Taking(CODE)
    with pytest.raises(BusyError) as caught:
        taking.received(Refused(Why.BUSY, 3))
    assert caught.value.retry_in == 3
    first = said(giving, Said(1, taking.begin().body))
    assert isinstance(first, Said)
    taking.received(Said(0, first.body))
    with pytest.raises(NetworkError, match="hung up") as late:
        taking.received(Refused(Why.BUSY, 3))
    assert not isinstance(late.value, BusyError)


def test_an_unknown_number_is_told() -> None:
    with pytest.raises(CodeError, match="nobody gives code 7"):
        Taking(CODE).received(Refused(Why.UNKNOWN))
    with pytest.raises(RemoteProtocolError):
        Taking(CODE).received(Claimed(7, bytes(16)))


@given(
    st.lists(
        st.builds(Said, st.integers(0, 3), st.binary(max_size=40))
        | st.builds(Left, st.integers(0, 3)),
        max_size=8,
    )
)
@settings(max_examples=30, deadline=None)
def test_whatever_a_rendezvous_says_nothing_breaks(messages: list[Said | Left]) -> None:
    giving, taking = Giving(CODE, LINK), Taking(CODE)
    for message in messages:
        for answer in giving.received(message, 0.0):
            assert LINK not in getattr(answer, "body", b"")
        try:
            taking.received(message)
        except RemoteError:
            break
    assert giving.given == 0
    assert taking.link == b""
