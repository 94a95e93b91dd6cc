"""Peer exchange: what BEP 11 and libtorrent allow, exactly; a peer that tells more is dropped."""

import pytest
from hypothesis import given, settings, strategies as st

from p2pswarm.discovery.pex import PexListener, PexTeller
from p2pswarm.errors import RemoteProtocolError
from p2pswarm.formats.ids import Address
from p2pswarm.wire.extension.pex import Pex, PexFlag

FAR = Address("8.8.8.8", 6881)
NEAR = Address("192.168.0.7", 6881)
HERE = Address("127.0.0.1", 6881)


def crowd(*numbers: int) -> dict[Address, PexFlag]:
    return {Address(f"9.9.{n // 250}.{n % 250 + 1}", 6881): PexFlag.SEED for n in numbers}


def test_the_first_message_may_be_large_and_later_ones_are_not() -> None:
    teller = PexTeller(FAR)
    sizes = []
    for minute in range(4):
        news = teller.news(minute * 60.0, crowd(*range(310)))
        sizes.append(len(news.added) if news else 0)
    assert sizes == [200, 50, 50, 10]


def test_only_differences_are_told_and_once_a_minute() -> None:
    teller = PexTeller(FAR)
    assert teller.news(0.0, {}) is None
    assert not teller.is_due(4.9)
    assert teller.is_due(5.0)
    first = teller.news(5.0, crowd(1, 2))
    assert first == Pex(list(crowd(1, 2).items()), [])
    assert not teller.is_due(64.9)
    assert teller.is_due(65.0)
    assert teller.news(65.0, crowd(2, 3)) == Pex(list(crowd(3).items()), list(crowd(1)))
    assert teller.news(130.0, crowd(2, 3)) is None
    assert teller.is_due(135.0), "one that has nothing to tell does not wait a whole minute again"


@settings(max_examples=50)
@given(st.lists(st.sets(st.integers(0, 300), max_size=120), max_size=12))
def test_added_up_the_messages_are_what_we_are_connected_to(rounds: list[set[int]]) -> None:
    teller, told = PexTeller(FAR), set[Address]()
    now = 0.0
    for numbers in [*rounds, *[set[int]()] * 10]:
        now += 60
        news = teller.news(now, crowd(*numbers))
        if news is None:
            continue
        added, dropped = {address for address, _ in news.added}, set(news.dropped)
        assert not added & dropped
        assert dropped <= told
        assert not added & told
        assert added <= crowd(*numbers).keys()
        assert not dropped & crowd(*numbers).keys()
        assert len(dropped) <= 50
        told = (told | added) - dropped
    assert not told


def test_a_peer_does_not_hear_of_itself_or_of_our_local_network() -> None:
    connected = dict.fromkeys([FAR, NEAR, HERE, *crowd(1)], PexFlag(0))

    def told(to: Address) -> set[Address]:
        news = PexTeller(to).news(0.0, connected)
        assert news is not None
        return {address for address, _ in news.added}

    assert told(FAR) == set(crowd(1))
    assert told(NEAR) == {FAR, *crowd(1)}
    assert told(Address("192.168.0.9", 1)) == {FAR, NEAR, *crowd(1)}
    assert told(Address("127.0.0.2", 1)) == {FAR, NEAR, HERE, *crowd(1)}


def test_the_seventh_message_in_a_minute_is_too_much() -> None:
    listener = PexListener(FAR)
    for second in range(6):
        listener.heard(Pex(), float(second))
    with pytest.raises(RemoteProtocolError):
        listener.heard(Pex(), 59.9)
    patient = PexListener(FAR)
    for turn in range(50):
        patient.heard(Pex(), turn * 10.0)


def test_fifty_are_kept_of_one_peer_and_what_it_drops_makes_room() -> None:
    listener = PexListener(FAR)
    assert len(listener.heard(Pex(list(crowd(*range(120)).items())), 0.0)) == 50
    assert not listener.heard(Pex(list(crowd(60).items())), 1.0)
    taken_back = Pex(list(crowd(60, 61).items()), list(crowd(0)))
    assert not listener.heard(taken_back, 2.0), "fifty were new in this minute"
    assert listener.heard(taken_back, 60.0) == list(crowd(60).items())
    assert not listener.heard(Pex(list(crowd(60).items())), 61.0), "known already"
    assert listener.flags(next(iter(crowd(60)))) is PexFlag.SEED
    assert listener.flags(next(iter(crowd(0)))) is None


@pytest.mark.parametrize(("who", "believed"), [(FAR, 1), (NEAR, 2), (HERE, 3)])
def test_nobody_is_believed_about_what_is_nearer_to_us(who: Address, believed: int) -> None:
    others = [*crowd(5), Address("10.1.1.1", 5), Address("127.0.0.5", 5)]
    added = [(address, PexFlag(0)) for address in others]
    assert len(PexListener(who).heard(Pex(added), 0.0)) == believed
