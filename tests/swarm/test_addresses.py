from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from typing_extensions import override

from p2pswarm.formats.ids import Address, PeerId
from p2pswarm.formats.zones import owner_of
from p2pswarm.swarm import addresses as room
from p2pswarm.swarm.addresses import (
    BRIEF,
    FRIEND_AT_MOST,
    FRIEND_EVERY,
    GIVE_UP,
    LINKED_TRIES,
    MOST_BANS_PER_HOST,
    MOST_KNOWN,
    STRANGER_EVERY,
    STRANGERS_OF_HOST,
    AddressBook,
)

A, B, C = (Address(f"10.0.0.{n}", 6881) for n in (1, 2, 3))
ID, OTHER_ID = PeerId(b"-XX0100-aaaaaaaaaaaa"), PeerId(b"-XX0100-bbbbbbbbbbbb")


def book(*known: Address, trusted: bool = False) -> AddressBook:
    book = AddressBook()
    for address in known:
        book.add(address, 0.0, trusted=trusted)
    return book


def dials(book: AddressBook, until: float, step: float = 1.0) -> Iterator[float]:
    """When the book has A dialed, if every dial fails at once."""
    now = 0.0
    while now <= until:
        if A in book.due(now, 10):
            yield now
            book.failed(A, now)
        now += step


def test_an_address_is_due_once_and_busy_until_it_is_told() -> None:
    known = book(A, B)
    assert known.due(0, 10) == [A, B]
    assert known.due(9999, 10) == []


def test_no_more_are_due_than_asked_for() -> None:
    known = book(A, B, C)
    assert known.due(0, 2) == [A, B]
    assert known.due(0, 2) == [C]


@pytest.mark.parametrize(
    "nowhere",
    [("0.0.0.0", 1), ("224.0.0.1", 1), ("10.0.0.1", 0), ("a.name", 1), ("10.0.0.1", 65536)],
)
def test_where_nobody_can_be_is_not_dialed(nowhere: tuple[str, int]) -> None:
    assert book(Address(*nowhere)).due(0, 10) == []


def test_one_place_in_two_spellings_is_one() -> None:
    assert book(Address("::ffff:10.0.0.1", 6881), A, Address("10.0.0.1", 6881)).due(0, 9) == [A]


# How often


def test_a_stranger_is_dialed_every_ten_minutes_however_often_it_is_named() -> None:
    known = book(A)
    times = []
    for now in range(0, 7200, 10):
        known.add(A, float(now))
        times += [now] * known.due(float(now), 10).count(A)
        known.failed(A, float(now))
    assert times == [n * 600 for n in range(len(times))]


def test_a_stranger_that_never_answers_is_given_up_until_somebody_names_it_again() -> None:
    known = book(A)
    times = list(dials(known, until=100_000, step=100))
    assert len(times) == GIVE_UP
    known.add(A, 200_000.0)
    assert known.due(200_000.0, 10) == [A]
    known.failed(A, 200_000.0)
    assert known.due(300_000.0, 10) == []


def test_whom_we_met_is_not_dialed_soon() -> None:
    """Who wants a victim dialed twice has it named by one way after the other."""
    known = AddressBook()
    known.met(A, 0.0)
    known.add(A, 1.0)
    assert not known.due(STRANGER_EVERY - 1, 10)
    assert known.due(STRANGER_EVERY, 10) == [A]


def test_naming_a_given_up_address_does_not_shorten_its_rest() -> None:
    known = book(A)
    *_, last = dials(known, until=100_000, step=1000)
    known.add(A, last + 1)
    assert known.due(last + STRANGER_EVERY - 1, 10) == []
    assert known.due(last + STRANGER_EVERY, 10) == [A]


def test_a_peer_that_was_there_is_tried_sooner() -> None:
    known = book(A)
    known.due(0, 10)
    known.greeted(A)
    known.left(A, 100.0, useful=True)
    assert known.due(100 + FRIEND_EVERY, 10) == [A]
    known.failed(A, 105.0)
    assert known.due(105 + FRIEND_EVERY - 1, 10) == []
    assert known.due(105 + FRIEND_EVERY, 10) == [A]
    known.failed(A, 110.0)
    assert known.due(110 + FRIEND_EVERY, 10) == []
    assert known.due(110 + 2 * FRIEND_EVERY, 10) == [A]


def test_a_peer_that_wants_nothing_more_is_left_alone() -> None:
    known = book(A)
    known.due(0, 10)
    known.greeted(A)
    known.left(A, 100.0, useful=False)
    assert known.due(100 + STRANGER_EVERY - 1, 10) == []
    assert known.due(100 + STRANGER_EVERY, 10) == [A]


def test_whoever_was_a_peer_is_asked_soon_when_something_is_missing_again() -> None:
    known = book(A, B)
    known.due(0, 10)
    known.greeted(A)
    known.left(A, 100.0, useful=False)
    known.failed(B, 100.0)
    known.want_again(200.0)
    assert known.due(200.0, 10) == []
    assert known.due(200 + FRIEND_EVERY, 10) == [A]


def test_a_peer_that_has_no_place_for_us_is_asked_less_and_less_often() -> None:
    known, now, pauses = book(A), 0.0, []
    assert known.due(now, 10) == [A]
    for _ in range(8):
        known.greeted(A)
        now += BRIEF / 2
        known.left(A, now, useful=True)
        left = now
        while not known.due(now, 10):
            now += 1
        pauses.append(now - left)
    assert pauses == [10, 20, 40, 80, 160, 300, 300, 300]
    known.greeted(A)
    known.left(A, now + BRIEF, useful=True)
    assert known.due(now + BRIEF + FRIEND_EVERY, 10) == [A]


def test_what_the_user_named_is_tried_at_once_first_and_for_ever() -> None:
    known = book(B, C)
    known.add(A, 0.0, trusted=True)
    assert known.due(0, 1) == [A]
    known.failed(A, 0.0)
    times = list(dials(known, until=30_000))
    pauses = [b - a for a, b in pairwise(times)]
    assert times[0] == FRIEND_EVERY
    assert pauses[:3] == [10, 15, 20]
    assert max(pauses) == pauses[-1] == FRIEND_AT_MOST


def test_what_a_link_names_is_tried_a_few_times_and_then_it_is_a_stranger() -> None:
    """Anybody can write a link, and a victim's address into it."""
    known = book(B, C)
    known.add(A, 0.0, linked=True)
    assert known.due(0, 1) == [A]
    known.failed(A, 0.0)
    times = list(dials(known, until=30_000))
    pauses = [b - a for a, b in pairwise(times)]
    assert pauses[: LINKED_TRIES - 2] == [10, 15, 20, 25, 30, 35]
    assert set(pauses[LINKED_TRIES - 2 :]) == {STRANGER_EVERY}
    assert len(times) == GIVE_UP - 1


def test_a_link_may_name_what_the_user_named() -> None:
    known = AddressBook()
    known.add(A, 0.0, trusted=True)
    known.add(A, 0.0, linked=True)
    assert max(b - a for a, b in pairwise(dials(known, until=30_000))) == FRIEND_AT_MOST


def test_naming_a_stranger_makes_it_trusted() -> None:
    known = book(A)
    known.due(0, 10)
    known.failed(A, 0.0)
    known.add(A, 1.0, trusted=True)
    assert known.due(1.0, 10) == [A]


def ports_of(host: str, count: int = 50) -> list[Address]:
    return [Address(host, port) for port in range(1, count + 1)]


def test_however_many_ports_of_a_host_are_named_few_are_dialed() -> None:
    """Who names them makes us knock at a host that has nothing to do with it."""
    known, ports = book(*ports_of("8.8.8.8")), list[float]()
    for now in range(0, 1201, 10):
        for address in known.due(now, 10):
            ports.append(now)
            known.failed(address, now)
    assert ports == sorted([0, 600, 1200] * STRANGERS_OF_HOST)


def test_a_host_where_somebody_answers_may_be_many() -> None:
    known = book(*ports_of("8.8.8.8"))
    first = known.due(0.0, 50)
    assert len(first) == STRANGERS_OF_HOST
    known.greeted(first[0])
    assert len(known.due(1.0, 50)) == STRANGERS_OF_HOST


def test_in_the_local_network_a_host_may_be_many() -> None:
    assert len(book(*ports_of("192.168.0.1")).due(0.0, 50)) == 50


# How many


def flood(n: int) -> Iterator[Address]:
    return (Address(f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}", 6881) for n in range(1, n + 1))


def test_a_flood_of_strangers_is_cut() -> None:
    known = book(*flood(MOST_KNOWN + 500))
    assert len(known) == MOST_KNOWN


def test_the_users_own_has_a_place_all_the_same() -> None:
    known = book(*flood(MOST_KNOWN))
    new = Address("192.168.1.1", 1)
    known.add(new, 0.0)
    assert len(known) == MOST_KNOWN
    known.add(new, 0.0, trusted=True)
    assert known.due(0, 1) == [new]


def test_who_failed_makes_room_but_not_for_itself() -> None:
    """Forgotten and named again, it would be dialed at once."""
    known = book(*flood(MOST_KNOWN))
    tried = known.due(0, 3)
    for address in tried:
        known.failed(address, 0.0)
    for n in range(1, 3):
        known.add(Address("192.168.1.1", n), 1.0)
    assert len(known) == MOST_KNOWN
    for now in (2.0, 599.0):
        known.add(tried[0], now)
        assert tried[0] not in known.due(now, 9999)
    known.add(tried[0], 600.0)
    assert tried[0] in known.due(600.0, 9999)


def test_when_too_many_rest_nobody_new_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "MOST_RESTING", 2)
    known = book(*flood(MOST_KNOWN))
    for address in known.due(0, 5):
        known.failed(address, 0.0)
    new = [Address("192.168.1.1", n) for n in range(1, 5)]
    for address in new:
        known.add(address, 1.0)
    assert known.due(1.0, 9999)[-2:] == new[:2]


def test_who_is_being_dialed_is_not_forgotten() -> None:
    known = book(*flood(MOST_KNOWN))
    (first,) = known.due(0, 1)
    known.failed(first, 0.0)
    assert known.due(600.0, 1) == [first]
    known.add(Address("192.168.1.1", 1), 601.0)
    known.greeted(first)
    known.left(first, 700.0, useful=True)
    assert known.due(705.0, 1) == [first]


def test_the_users_own_is_not_forgotten() -> None:
    known = book(*flood(MOST_KNOWN - 1))
    mine = Address("192.168.1.1", 1)
    known.add(mine, 0.0, trusted=True)
    own, tried = known.due(0, 2)
    assert own == mine
    known.failed(own, 0.0)
    known.failed(tried, 0.0)
    assert known.due(0, 9999)[-1] != tried
    known.add(Address("192.168.1.2", 1), 1.0)  # takes the place of `tried`
    known.add(Address("192.168.1.3", 1), 1.0)  # finds none
    assert len(known) == MOST_KNOWN
    assert known.due(FRIEND_EVERY, 1) == [own]
    known.failed(own, FRIEND_EVERY)
    assert known.due(FRIEND_EVERY, 9999) == [Address("192.168.1.2", 1)]


def test_a_handshake_makes_up_for_all_failures() -> None:
    known = book(A)
    *_, last = dials(known, until=STRANGER_EVERY * (GIVE_UP - 2), step=STRANGER_EVERY)
    now = last + STRANGER_EVERY
    assert known.due(now, 1) == [A]
    known.greeted(A)
    known.left(A, now + 60, useful=True)
    assert len(list(dials(known, until=now + 100_000, step=1000))) == GIVE_UP


# Bans


def test_who_is_banned_is_neither_dialed_nor_welcome() -> None:
    known = book(A, B)
    known.ban(Address("::ffff:10.0.0.1", 6881), ID)
    assert known.due(0, 10) == [B]
    known.add(A, 1.0, trusted=True)
    assert known.due(1.0, 10) == []
    assert known.is_banned(A)
    assert not known.is_banned(B)


def test_an_id_is_banned_on_its_host_only() -> None:
    """On another port it is the same peer; from another host anybody may say it."""
    known = book()
    known.ban(A, ID)
    other_port = Address(A.host, 7777)
    assert known.is_banned(other_port, ID)
    assert not known.is_banned(other_port, OTHER_ID)
    assert not known.is_banned(other_port)
    assert not known.is_banned(B, ID)


def test_several_peers_behind_one_address_are_not_banned_for_one() -> None:
    known = book()
    for n in range(MOST_BANS_PER_HOST):
        assert not known.is_banned(Address("10.0.0.1", 7777))
        known.ban(Address("10.0.0.1", 1000 + n), PeerId(b"-XX0100-%012d" % n))
    assert known.is_banned(Address("10.0.0.1", 7777))
    assert not known.is_banned(Address("10.0.0.2", 7777))


def test_telling_of_unknown_addresses_does_nothing() -> None:
    known = book()
    known.greeted(A)
    known.failed(A, 0.0)
    known.left(A, 0.0, useful=True)
    assert len(known) == 0


class BookMachine(RuleBasedStateMachine):
    """Everybody names addresses, dials end in every way, and there is little room to remember.

    Promise 12: an address that never completed a handshake is dialed at most once in ten minutes.
    """

    places = st.sampled_from(
        [Address(host, port) for host in ("10.0.0.1", "8.8.8.8") for port in range(1, 9)]
    )

    def __init__(self) -> None:
        super().__init__()
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(room, "MOST_KNOWN", 5)
        self.patch.setattr(room, "MOST_RESTING", 4)
        self.book = AddressBook()
        self.now = 0.0
        self.dialed: dict[Address, float] = {}
        self.knocks: dict[str, list[float]] = defaultdict(list)  # in vain so far, of strangers
        self.busy: list[Address] = []
        self.proven: set[Address] = set()
        self.trusted: set[Address] = set()
        self.banned: set[Address] = set()

    @rule(seconds=st.sampled_from([1.0, 300.0, 599.0, 600.0, 4000.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule(named=st.lists(places, min_size=3, max_size=9))
    def strangers_are_named(self, named: list[Address]) -> None:
        for address in named:
            self.book.add(address, self.now)

    @precondition(lambda self: len(self.trusted) < 2)
    @rule(address=places)
    def the_user_names(self, address: Address) -> None:
        self.book.add(address, self.now, trusted=True)
        self.trusted.add(address)

    @rule(most=st.integers(1, 6))
    def dial(self, most: int) -> None:
        due = self.book.due(self.now, most)
        assert len(due) <= most
        for address in due:
            assert address not in self.busy
            assert address not in self.banned
            if address not in self.proven | self.trusted:
                assert self.now - self.dialed.get(address, float("-inf")) >= STRANGER_EVERY
                knocks = self.knocks[owner_of(address)]
                knocks.append(self.now)
                assert sum(self.now - t < STRANGER_EVERY for t in knocks) <= STRANGERS_OF_HOST
            self.dialed[address] = self.now
            self.busy.append(address)

    @precondition(lambda self: self.busy)
    @rule()
    def nobody_answers(self) -> None:
        while self.busy:
            self.book.failed(self.busy.pop(0), self.now)

    @precondition(lambda self: self.busy)
    @rule(useful=st.booleans(), lasted=st.sampled_from([0.0, 1.0, 60.0]))
    def somebody_answers(self, useful: bool, lasted: float) -> None:
        address = self.busy.pop(0)
        self.book.greeted(address)
        self.proven.add(address)
        self.knocks[owner_of(address)].clear()
        self.now += lasted
        self.book.left(address, self.now, useful=useful)

    @precondition(lambda self: self.busy)
    @rule()
    def somebody_lies(self) -> None:
        address = self.busy.pop(0)
        self.book.ban(address, ID)
        self.banned.add(address)

    @invariant()
    def memory_is_bounded(self) -> None:
        assert len(self.book) <= 5 + len(self.trusted)
        assert len(self.book._resting) <= 4

    @override
    def teardown(self) -> None:
        self.patch.undo()


TestBook = BookMachine.TestCase
TestBook.settings = settings(max_examples=100, stateful_step_count=40)


def test_who_is_of_the_second_swarm_is_known_until_it_answers_otherwise() -> None:
    book, here = AddressBook(), Address("10.0.0.1", 1)
    assert not book.is_v2(here)
    book.add(here, 0)
    assert not book.is_v2(here)
    book.add(here, 0, v2=True)
    book.add(here, 0)
    assert book.is_v2(here)
    book.note_mode(here, plain=True)
    assert not book.is_v2(here)
    book.refused(here)
    assert book.is_v2(here)
    book.refused(Address("10.0.0.2", 1))
