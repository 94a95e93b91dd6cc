"""What the tracker answers by UDP, without a socket."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from ipaddress import ip_address
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from p2pswarm.errors import TrackerError
from p2pswarm.formats.ids import Address, InfoHash, PeerId
from p2pswarm.wire.tracker import Announce, Counts, Event, Reply, Scrape
from p2pswarm.wire.tracker_udp import MAX_SCRAPE, Answer, Question, connect
from tracker.desk import Desk
from tracker.logic import Policy
from tracker.store import Limits
from tracker.store.memory import MemoryStore
from tracker.udp import BURST, UdpTracker

HASH, ME = InfoHash(b"h" * 20), PeerId(b"p" * 20)
V4, OTHER_V4, V6 = "192.0.2.1", "192.0.2.2", "2001:db8::1"
INVALID = "connection id is not valid"


class World:
    """A tracker that hears datagrams from whoever the test says."""

    def __init__(self, **policy: Any) -> None:
        self.now = 1000.0
        dice = Random(1)
        self.store = MemoryStore(Limits(), dice)
        self.desk = Desk(self.store, Policy(1800, dice, **policy), lambda: self.now)
        self.tracker = UdpTracker(self.desk, b"secret")

    def says(self, data: bytes, host: str) -> bytes | None:
        return asyncio.run(self.tracker.answer(data, host))

    def answer(self, data: bytes, host: str) -> Answer:
        answer = self.says(data, host)
        assert answer is not None
        return Answer.read(answer)

    def connection(self, host: str) -> int:
        return self.answer(connect(1), host).connection()

    def announce(self, host: str = V4, **values: Any) -> Reply:
        data = Question.announce(self.connection(host), 7, question(**values))
        answer = self.answer(data, host)
        assert answer.transaction == 7
        return answer.reply(18 if ":" in host else 6)

    def crowd(self, host: Callable[[int], str], size: int = 300) -> None:
        for number in range(size):
            announce = question(port=1000 + number, peer_id=PeerId(number.to_bytes(20, "big")))
            asyncio.run(self.desk.announce(announce, ip_address(host(number))))


def question(**values: Any) -> Announce:
    return Announce(**{"info_hash": HASH, "peer_id": ME, "port": 6881, "left": 1} | values)


def test_peers_of_one_family_meet() -> None:
    world = World()
    assert world.announce(V4, left=0, event=Event.STARTED).addresses() == []
    reply = world.announce(OTHER_V4)
    assert reply.addresses() == [Address(V4, 6881)]
    assert (reply.complete, reply.incomplete) == (1, 1)
    assert 1620 <= reply.interval <= 1980
    assert world.announce(V6).addresses() == []
    assert world.announce("2001:db8::2").addresses() == [Address(V6, 6881)]
    assert world.announce(V4, event=Event.STOPPED).addresses() == []
    assert world.announce(OTHER_V4).complete == 0


def test_by_http_and_by_udp_it_is_one_swarm() -> None:
    world = World()
    asyncio.run(world.desk.announce(question(), ip_address(V4)))
    assert world.announce(OTHER_V4).addresses() == [Address(V4, 6881)]
    assert world.desk.tally.announces == 2


def test_a_scrape_is_answered_in_its_order() -> None:
    world = World()
    world.announce(V4, left=0)
    unknown = InfoHash(b"u" * 20)
    asked = Scrape([unknown, HASH])
    data = Question.scrape(world.connection(V4), 3, asked)
    swarms = world.answer(data, V4).counts(asked).swarms
    assert swarms == {unknown: Counts(), HASH: Counts(1, 0, 0)}


def test_without_a_connection_id_nothing_is_answered_but_that() -> None:
    world = World()
    number = world.connection(V4)
    for wrong, host in ((0, V4), (number ^ 1, V4), (number, OTHER_V4), (number, V6)):
        for data in (
            Question.announce(wrong, 9, question()),
            Question.scrape(wrong, 9, Scrape([HASH])),
        ):
            answer = world.answer(data, host)
            assert answer.transaction == 9
            with pytest.raises(TrackerError, match=INVALID):
                answer.connection()
    assert world.desk.tally.announces == 0


def test_a_connection_id_ends() -> None:
    world = World()
    data = Question.announce(world.connection(V4), 9, question())
    world.now += 60
    world.answer(data, V4).reply(6)
    world.now += 60
    with pytest.raises(TrackerError, match=INVALID):
        world.answer(data, V4).reply(6)


@settings(max_examples=100)
@given(
    st.binary(max_size=130)
    | st.builds(bytes.__add__, st.just(connect(1)), st.binary(max_size=20))
    | st.builds(
        lambda head, kind, rest: head + bytes((0, 0, 0, kind)) + rest,
        st.binary(min_size=8, max_size=8),
        st.integers(0, 4),
        st.binary(max_size=120),
    )
)
def test_before_the_address_is_proven_no_answer_is_longer_than_its_question(data: bytes) -> None:
    answer = World().says(data, V4)
    assert answer is None or len(answer) <= len(data)


@settings(max_examples=100)
@given(st.integers(1, 3), st.binary(max_size=200))
def test_with_a_good_id_anything_may_follow(kind: int, rest: bytes) -> None:
    world = World()
    data = world.connection(V4).to_bytes(8, "big") + bytes((0, 0, 0, kind)) + b"tttt" + rest
    answer = world.says(data, V4)
    assert (answer is None) == (kind == 3)


def test_nobody_is_flooded_in_the_name_of_another() -> None:
    world = World()
    forged = Question.scrape(5, 9, Scrape([HASH]))
    answers = [world.says(data, V4) for _ in range(500) for data in (connect(1), forged)]
    assert sum(answer is not None for answer in answers) == BURST
    assert world.says(connect(1), OTHER_V4) is not None
    world.now += 1
    assert world.says(connect(1), V4) is not None


def test_who_has_proven_its_address_may_ask_a_lot() -> None:
    world = World()
    data = Question.announce(world.connection(V4), 9, question())
    for _ in range(int(2 * BURST)):
        world.answer(data, V4).reply(6)


@pytest.mark.parametrize(
    ("host", "numwant", "named"),
    [(V4, None, 81), (V4, 10, 10), (V4, 10**6, 200), (V6, None, 27), (V6, 10**6, 76)],
)
def test_an_answer_fits_into_one_packet(host: str, numwant: int | None, named: int) -> None:
    world = World()
    world.crowd((lambda n: f"198.51.100.{n % 250}") if host == V4 else "2001:db8::a{:x}".format)
    reply = world.announce(host, numwant=numwant)
    stride = 6 if host == V4 else 18
    assert len(reply.peers + reply.peers6) == named * stride
    assert 20 + named * stride < (512 if numwant is None else 1401)


def test_of_a_mixed_swarm_the_own_half_is_named() -> None:
    world = World()
    world.crowd(lambda n: f"198.51.100.{n % 250}" if n % 2 else f"2001:db8::a{n:x}")
    reply = world.announce(V4, numwant=50)
    assert 30 <= len(reply.addresses()) <= 50
    assert all("." in address.host for address in reply.addresses())


def test_what_is_wrong_with_a_question_is_said() -> None:
    world = World()
    number = world.connection(V4)
    asked = Question.announce(number, 9, question())
    for data, wrong in (
        (asked[:97], "announce: 97 bytes"),
        (asked + b"\2\xff", "options: one is longer"),
        (Question.announce(number, 9, replace(question(), port=0)), "port: 0"),
        (Question.scrape(number, 9, Scrape([HASH] * (MAX_SCRAPE + 1))), "info_hash: 75"),
    ):
        with pytest.raises(TrackerError, match=wrong):
            world.answer(data, V4).connection()
    assert world.desk.tally.refused == 4


def test_a_passkey_does_no_harm() -> None:
    world = World()
    data = Question.announce(world.connection(V4), 9, question(), b"/announce?passkey=1")
    assert world.answer(data, V4).reply(6).incomplete == 1


def test_a_claimed_address_is_ignored_unless_allowed() -> None:
    for allow, place in ((False, V4), (True, "198.51.100.9")):
        world = World(allow_ip=allow)
        data = bytearray(Question.announce(world.connection(V4), 9, question()))
        data[84:88] = bytes((198, 51, 100, 9))
        world.answer(bytes(data), V4)
        assert world.announce(OTHER_V4).addresses() == [Address(place, 6881)]


def test_an_address_with_a_zone_is_nobody() -> None:
    assert World().says(connect(1), "fe80::1%eth0") is None


def test_the_silent_are_forgotten() -> None:
    world = World()
    world.announce(V4)
    world.now += 2 * 1980 + 10
    assert world.announce(OTHER_V4).incomplete == 1
