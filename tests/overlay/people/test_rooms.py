"""The deciding rooms of a super node one by one: places, shapes, contacts, records, revocation lists."""

from random import Random

import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from p2pswarm.formats.ids import Address
from p2pswarm.overlay.people.contacts import GONE_FOR, MISSES, MOST_FAR, Contacts
from p2pswarm.overlay.people.places import PLACES, bits, may_be, network_of, places
from p2pswarm.overlay.people.questions import MOST_ASKED, Questions
from p2pswarm.overlay.people.records import Judged, Outcome, Records
from p2pswarm.overlay.people.revoking import RevokedList
from p2pswarm.overlay.people.shape import MERGED, SPLIT_AT, followed, halves, shaped
from p2pswarm.wire.people.dictionary import TokenMessage
from p2pswarm.wire.people.finding import Find, Found
from p2pswarm.wire.people.nodes import WHOLE, Prefix, SuperNode

US = b"us" + bytes(14)


def node(number: int, slot: Prefix = WHOLE) -> SuperNode:
    """One that may be there."""
    dice = Random(number)
    while True:
        address = Address(f"{dice.choice((5, 24))}.{number % 250}.{dice.randrange(250)}.1", 6881)
        if may_be(address, slot):
            return SuperNode(number.to_bytes(16, "big"), address, slot)


def nodes(start: int, n: int, slot: Prefix = WHOLE) -> list[SuperNode]:
    return [node(number, slot) for number in range(start, start + n)]


# Places


def test_hosts_of_one_network_have_the_same_eight_places_and_others_have_others() -> None:
    one, same, other = (Address(host, 6881) for host in ("5.6.7.8", "5.6.7.9", "5.6.8.8"))
    assert len(places(one)) == PLACES
    assert places(one) == places(same) != places(other)
    six, near = Address("2001:4860:1::1", 1), Address("2001:4860:1:9::2", 1)
    assert network_of(six) == network_of(near) != network_of(Address("2001:4860:2::1", 1))


def test_in_a_laboratory_each_address_stands_for_itself() -> None:
    one, other = Address("127.0.0.1", 6881), Address("127.0.0.1", 6882)
    assert network_of(one) != network_of(other)


def test_nobody_chooses_its_slot() -> None:
    """Of a thousand networks few have a place in one slot of 2048."""
    slot = Prefix(11, 1234)
    fit = [n for n in range(1000) if may_be(Address(f"5.{n // 250}.{n % 250}.1", 1), slot)]
    assert len(fit) < 12
    for n in fit:
        assert bits(Address(f"5.{n // 250}.{n % 250}.1", 1), slot)


# Shapes


def test_many_are_split_evenly_and_all_see_it_alike() -> None:
    many = nodes(0, SPLIT_AT)
    half = halves(WHOLE, many)
    assert sorted(half.values()) == [0] * (SPLIT_AT // 2) + [1] * (SPLIT_AT // 2)
    seen = {each.node: shaped(each, [other for other in many if other != each]) for each in many}
    assert seen == {each: WHOLE.down(bit) for each, bit in half.items()}
    assert shaped(many[0], many[1:-1]) == WHOLE


def test_nobody_goes_into_a_half_where_it_may_not_be() -> None:
    slot = Prefix(6, 33)
    for each in nodes(0, 20, slot):
        assert may_be(each.address, slot.down(halves(slot, nodes(0, 20, slot))[each.node]))


def test_a_slot_with_few_goes_together_with_its_sibling_and_others_do_not() -> None:
    zero, one = WHOLE.down(0), WHOLE.down(1)
    few, more, many = nodes(0, 4, zero), nodes(50, 6, one), nodes(50, MERGED - 3, one)
    assert shaped(few[0], few[1:] + more) == WHOLE
    assert shaped(more[0], few + more[1:]) == WHOLE
    assert shaped(few[0], few[1:] + many) == zero  # together they would be split again
    assert shaped(many[0], few + many[1:]) == one
    assert shaped(many[0], many[1:]) == WHOLE  # nobody has the other half
    deeper = nodes(80, 6, one.down(0)) + nodes(90, 6, one.down(1))
    assert shaped(few[0], few[1:] + deeper) == zero


def test_who_has_gone_down_alone_comes_back() -> None:
    """It saw one more than the others, who then see too few to split and too many to go together."""
    alone, stayed = node(0, WHOLE.down(0)), nodes(50, SPLIT_AT - 2)
    assert MERGED < 1 + len(stayed) < SPLIT_AT
    assert shaped(alone, stayed) == WHOLE
    assert shaped(stayed[0], [alone, *stayed[1:]]) == WHOLE


def test_who_stayed_behind_follows_the_others() -> None:
    zero, one = WHOLE.down(0), WHOLE.down(1)
    gone = nodes(0, 7, zero) + nodes(50, 4, one.down(0)) + nodes(60, 4, one.down(1))
    late = node(99)
    assert followed(late, gone) in {zero, one}
    assert followed(late, gone[:7]) == WHOLE
    assert followed(gone[0], gone[1:]) == zero


# Contacts


def test_who_is_merely_told_is_asked_once_and_known_when_it_answers() -> None:
    contacts = Contacts(US, Random(1))
    one = node(1)
    contacts.told([one], node(2).address, 0)
    assert not contacts.live
    assert contacts.take_told(0) == one
    contacts.told([one], node(2).address, 1)
    assert contacts.take_told(1) is None  # once in ten minutes
    assert contacts.heard(one, 5, 1) is not None
    assert contacts.size(WHOLE) == 1
    contacts.check()


def test_who_comes_is_not_lost_among_the_many_that_one_names() -> None:
    """One host named 240 a second, and for two minutes nobody new became known."""
    contacts, newcomer = Contacts(US, Random(1)), node(1)
    contacts.spoke(newcomer, 0)
    contacts.told(nodes(10, 100), node(2).address, 0)
    asked = [contacts.take_told(0) for _ in range(4)]
    assert asked.count(newcomer) == 1
    assert None not in asked
    contacts.check()


def test_who_is_where_it_may_not_be_is_not_known() -> None:
    contacts = Contacts(US, Random(1))
    one = node(1)
    at = next(
        place for place in (Prefix(20, n) for n in range(99)) if not may_be(one.address, place)
    )
    assert contacts.heard(one._replace(slot=at), 5, 1) is None
    contacts.told([one._replace(slot=at)], node(2).address, 0)
    assert contacts.take_told(0) is None


def test_where_an_operator_lists_them_nobody_else_is_known() -> None:
    listed, other = node(1), node(2)
    contacts = Contacts(US, Random(1), lambda address: address == listed.address)
    contacts.told([other], listed.address, 0)
    assert contacts.take_told(0) is None
    assert contacts.heard(other, 5, 0) is None
    assert contacts.heard(listed, 5, 0) is not None


def test_three_of_one_network_are_one_too_many() -> None:
    contacts = Contacts(US, Random(1))
    for number, host in enumerate(("5.6.7.8", "5.6.7.9", "5.6.7.10")):
        told = SuperNode(bytes((number,)) * 16, Address(host, 6881), WHOLE)
        assert (contacts.heard(told, 1, 0) is not None) == (number < 2)
    contacts.check()


def test_who_is_known_is_not_moved_out_by_new_ones() -> None:
    contacts = Contacts(US, Random(1), slot=Prefix(5, 3))
    far = Prefix(5, 28)
    known = [each for each in nodes(0, 20, far) if contacts.heard(each, 5, 0) is not None]
    assert len(known) == MOST_FAR
    assert {each.address for each in known} == contacts.live.keys()


def test_one_that_does_not_answer_three_times_is_gone_for_a_while() -> None:
    contacts = Contacts(US, Random(1))
    one = node(1)
    contact = contacts.heard(one, 5, 0)
    assert contact is not None
    assert [contacts.missed(contact, 1) for _ in range(MISSES)] == [False, False, True]
    contacts.told([one], node(2).address, 2)
    assert contacts.take_told(2) is None
    contacts.told([one], node(2).address, GONE_FOR + 2)
    assert contacts.take_told(GONE_FOR + 2) == one


def test_the_nearest_are_of_the_slot_then_of_the_block() -> None:
    contacts = Contacts(US, Random(1), slot=Prefix(6, 0))
    at = Prefix(32, 0b111111 << 26)
    for start, slot in (
        (0, Prefix(6, 63)),
        (50, Prefix(6, 56)),
        (100, Prefix(3, 6)),
        (150, Prefix(2, 1)),
    ):
        for each in nodes(start, 1, slot):
            assert contacts.heard(each, 5, 0) is not None
    found = [contact.slot for contact in contacts.nearest(at, 9, beyond=0)]
    assert found == [Prefix(6, 63), Prefix(6, 56), Prefix(3, 6)]


@settings(max_examples=25)
@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 5), st.integers(0, 31)), max_size=60))
def test_contacts_keep_their_bounds(heard: list[tuple[int, int, int]]) -> None:
    contacts = Contacts(US, Random(1))
    for number, length, bits_ in heard:
        slot = Prefix(length, bits_ >> (5 - length))
        if number % 7 == 0:
            contacts.moved(slot)
        else:
            contacts.heard(SuperNode(bytes((number,)) * 16, node(number).address, slot), 3, 0)
        contacts.check()


# Records


class RecordsMachine(RuleBasedStateMachine):
    """Against a plain table of what should be there."""

    @initialize()
    def begin(self) -> None:
        self.records, self.now = Records(8), 0.0
        self.model: dict[bytes, tuple[int, float]] = {}
        self.ended: dict[bytes, int] = {}

    @rule(name=st.integers(0, 11), seq=st.integers(1, 5), ttl=st.integers(1, 50))
    def put(self, name: int, seq: int, ttl: int) -> None:
        hash_ = bytes((name * 20,)) * 32
        kept = self.model.get(hash_)
        outcome = self.records.put(Judged(hash_, seq, 40), b"record", ttl, self.now)
        if kept is not None and kept[0] == seq:
            assert outcome is Outcome.SAME
        elif seq <= max(kept[0] if kept else 0, self.ended.get(hash_, 0)):
            assert outcome is Outcome.STALE
        elif kept is None and len(self.model) == 8:
            assert outcome is Outcome.FULL
        else:
            assert outcome is Outcome.NEW
            self.model[hash_] = seq, self.now + min(ttl, 40)

    @rule(name=st.integers(0, 11))
    def drop(self, name: int) -> None:
        self.records.drop(bytes((name * 20,)) * 32)
        self.model.pop(bytes((name * 20,)) * 32, None)

    @rule(seconds=st.integers(1, 30))
    def wait(self, seconds: int) -> None:
        self.now += seconds
        self.records.step(self.now)
        for hash_ in [hash_ for hash_, (_, until) in self.model.items() if until <= self.now]:
            self.ended[hash_] = self.model.pop(hash_)[0]

    @rule(length=st.integers(0, 8), bits_=st.integers(0, 255))
    def compare(self, length: int, bits_: int) -> None:
        prefix = Prefix(length, bits_ >> (8 - length))
        there = [hash_ for hash_ in self.model if prefix.covers(Prefix.of(hash_))]
        assert self.records.under(prefix) == sorted(there)
        assert sorted(self.records.outside(prefix) + there) == sorted(self.model)
        assert self.records.digest(prefix)[0] == len(there)
        anew = Records()
        for hash_ in there:
            anew.put(Judged(hash_, self.model[hash_][0], 40), b"record", 40, 0)
        assert anew.digest(prefix) == self.records.digest(prefix)

    @invariant()
    def same(self) -> None:
        self.records.digest(Prefix(0, 0))
        self.records.check()
        for hash_, (seq, until) in self.model.items():
            kept = self.records.get(hash_, self.now)
            assert kept is not None
            assert (kept.seq, kept.until) == (seq, until)


RecordsMachine.TestCase.settings = settings(max_examples=25, stateful_step_count=25)
test_records_are_as_the_model_says = RecordsMachine.TestCase


def test_a_sum_tells_whether_two_have_the_same() -> None:
    one, other = Records(), Records()
    for name in range(9):
        for records in (one, other):
            records.put(Judged(bytes((name,)) * 32, 1, 100), b"r", 100, 0)
    assert one.digest(WHOLE) == other.digest(WHOLE)
    other.put(Judged(bytes((3,)) * 32, 2, 100), b"r", 100, 0)
    assert one.digest(WHOLE) != other.digest(WHOLE)


def test_who_signs_a_new_record_each_second_leaves_nothing_behind() -> None:
    records = Records()
    for seq in range(10_000):
        records.put(Judged(bytes(32), seq + 1, 3 * 86_400), b"r", 3 * 86_400, seq)
    assert len(records._ends) < 2000
    records.step(9_999 + 3 * 86_400)
    assert not len(records)


def test_a_sum_that_is_asked_for_often_is_added_up_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A digest of 50 000 records takes 30 ms, and anybody may ask for one."""
    records, looks = Records(), list[Prefix]()
    under = records.under
    monkeypatch.setattr(records, "under", lambda prefix: looks.append(prefix) or under(prefix))
    for name in range(100):
        records.put(Judged(bytes((name,)) * 32, 1, 100), b"r", 100, 0)
        assert records.digest(WHOLE)[0] == name + 1
    assert looks == [WHOLE]


# Questions and revocation lists


def test_each_question_ends_once_and_only_the_asked_one_answers() -> None:
    questions, heard = Questions(Random(1)), list[TokenMessage | None]()
    there, elsewhere = node(1).address, node(2).address
    questions.ask(there, lambda token: Find(token, bytes(32)), lambda a, _: heard.append(a), 0)
    (sent,) = questions.take()
    answer = Found(sent.message.token, b"r", 1)
    assert not questions.answered(answer, elsewhere, 1)
    assert questions.answered(answer, there, 1)
    assert not questions.answered(answer, there, 1)
    questions.step(99)
    assert heard == [answer]


def test_no_more_questions_wait_than_may() -> None:
    questions, heard = Questions(Random(1)), list[TokenMessage | None]()
    for _ in range(MOST_ASKED + 5):
        questions.ask(
            node(1).address, lambda token: Find(token, bytes(32)), lambda a, _: heard.append(a), 0
        )
    assert len(questions.take()) == MOST_ASKED
    questions.step(0)
    assert heard == [None] * 5
    questions.step(5)
    assert len(heard) == MOST_ASKED + 5


@pytest.mark.parametrize(("number", "taken"), [(4, False), (5, False), (6, True), (None, False)])
def test_only_a_newer_list_that_is_good_is_taken(number: int | None, taken: bool) -> None:
    held = RevokedList(lambda data: {b"five": 5, b"other": number}[data], b"five")
    assert held.take(b"other") is taken
    assert (held.number, held.newest) == ((6, b"other") if taken else (5, b"five"))
