"""Offers: what is said is read, nothing else is; which addresses of a stranger are sent packets to."""

from dataclasses import replace

import pytest
from hypothesis import given, settings, strategies as st

from p2pswarm.errors import FormatError, LocalProtocolError, RemoteError
from p2pswarm.formats.ids import Address
from p2pswarm.formats.signing import SigningKey
from p2pswarm.reach.offers import (
    MAX_CANDIDATES,
    MAX_OFFER,
    Candidate,
    CandidateKind,
    Candidates,
    Nat,
    Offer,
    RelayAt,
    fitting,
    new_session,
)

HOST, REFLEXIVE = CandidateKind.HOST, CandidateKind.REFLEXIVE
OURS, THEIRS = SigningKey(bytes(32)), SigningKey(bytes([1] * 32))
NOW = 1_800_000_000.0


def candidates(count: int = 2) -> Candidates:
    udp = tuple(Candidate(REFLEXIVE, Address(f"9.9.9.{n}", 5000 + n)) for n in range(count))
    return Candidates(udp, (Candidate(HOST, Address("2001:db8::1", 46881)),), Nat.PORT)


def offer(found: Candidates | None = None, certificate: bytes = b"DER") -> Offer:
    relays = [RelayAt(bytes(16), Address("8.8.8.8", 46881))]
    return Offer.new(
        OURS, certificate, THEIRS.public, found or candidates(), relays,
        session=new_session(), now=NOW, want="call",
    )  # fmt: skip


def test_what_is_said_is_read() -> None:
    said = offer()
    heard = Offer.parse(said.encode())
    assert heard == said
    heard.check(OURS.public, THEIRS.public, NOW + 60)


def test_the_largest_offer_fits_and_names_no_more_than_it_may() -> None:
    many = Candidates(candidates(40).udp, candidates(40).udp, Nat.NONE)
    said = offer(many, certificate=bytes(2048))
    assert len(said.encode()) <= MAX_OFFER
    assert len(said.candidates.udp) == MAX_CANDIDATES


@pytest.mark.parametrize(
    ("key", "us", "later"),
    [
        (THEIRS.public, THEIRS.public, 0),  # signed by another one
        (OURS.public, OURS.public, 0),  # for another one
        (OURS.public, THEIRS.public, 4000),
    ],
)
def test_an_offer_of_somebody_else_or_of_yesterday_is_refused(
    key: bytes, us: bytes, later: int
) -> None:
    with pytest.raises(FormatError):
        offer().check(key, us, NOW + later)


def test_everything_in_it_is_signed() -> None:
    said = offer()
    for changed in (
        replace(said, session=bytes(16)),
        replace(said, certificate=b"other"),
        replace(said, candidates=candidates(1)),
        replace(said, relays=()),
        replace(said, password="A" * 24),
        replace(said, want="message"),
        replace(said, want=""),
        replace(said, time=said.time + 1),
    ):
        with pytest.raises(FormatError, match="signature"):
            changed.check(OURS.public, THEIRS.public, NOW)


def test_what_nobody_would_read_is_not_said() -> None:
    with pytest.raises(LocalProtocolError):
        offer(certificate=bytes(3000)).encode()
    for want in ("x" * 17, "two words", "ü"):
        with pytest.raises(LocalProtocolError):
            replace(offer(), want=want).encode()


def test_what_is_wanted_has_one_spelling() -> None:
    answer = replace(offer(), want="")
    assert Offer.parse(answer.encode()).want == ""
    body = answer.encode()[64:]
    with pytest.raises(FormatError, match="for nothing"):
        Offer.parse(bytes(64) + body[:-1] + b"1:y0:e")


def test_nothing_is_added_to_an_offer_that_its_signature_does_not_cover() -> None:
    said = offer().encode()
    with pytest.raises(FormatError, match="more than we read"):
        Offer.parse(said[:-1] + b"1:z3:abce")


@given(st.binary(max_size=200), st.integers(0, 400), st.binary(min_size=1, max_size=3))
@settings(max_examples=60, deadline=None)
def test_any_bytes_are_an_offer_or_an_error(junk: bytes, at: int, patch: bytes) -> None:
    said = offer().encode()
    for data in (junk, said[:at] + patch + said[at + len(patch) :], said[:64] + junk):
        try:
            heard = Offer.parse(data)
        except RemoteError:
            continue
        assert heard.encode() == data


PUBLIC, INSIDE = (
    Candidate(REFLEXIVE, Address("9.9.9.9", 1)),
    Candidate(HOST, Address("10.0.0.7", 2)),
)
LOOP = Candidate(HOST, Address("127.0.0.1", 3))


@pytest.mark.parametrize(
    ("theirs", "ours", "left"),
    [
        ([PUBLIC, INSIDE, LOOP], [Candidate(REFLEXIVE, Address("7.7.7.7", 1))], [PUBLIC]),
        ([PUBLIC, INSIDE, LOOP], [Candidate(REFLEXIVE, Address("9.9.9.9", 5))], [PUBLIC, INSIDE]),
        ([INSIDE, LOOP], [Candidate(HOST, Address("10.0.0.9", 5))], [INSIDE]),
        ([INSIDE, LOOP], [Candidate(HOST, Address("127.0.0.1", 5))], [INSIDE, LOOP]),
        ([INSIDE], [PUBLIC], []),
        ([Candidate(HOST, Address("224.0.0.1", 5)), PUBLIC], [], [PUBLIC]),
    ],
)
def test_nobody_far_away_names_what_is_near(
    theirs: list[Candidate], ours: list[Candidate], left: list[Candidate]
) -> None:
    found = fitting(theirs, Candidates(tuple(theirs)), Candidates(tcp=tuple(ours)))
    assert found == [address for _, address in left]
