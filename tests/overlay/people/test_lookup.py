"""The walk: referred nearer and nearer, in a directory that is partly dead and partly lies."""

from collections.abc import Callable, Mapping
from random import Random

import pytest
from hypothesis import given, settings, strategies as st

from p2pswarm.formats.ids import Address
from p2pswarm.overlay.people.lookup import ASK_TIME, HEDGE, MOST_ASKED, Verdict, Walk, Way
from p2pswarm.wire.people.nodes import Prefix, SuperNode

NEW, OLD = 7, 6


def at(number: int) -> Address:
    return Address(f"203.0.{number // 250}.{number % 250 + 1}", 4000)


MEMBERS = [Way(at(number), 8, True) for number in range(10)]
BLOCK = [Way(at(number), 5, False) for number in range(20, 30)]
STARTS = [at(number) for number in range(40, 43)]
Answer = Callable[[Walk[str], Address], None]


def honest(walk: Walk[str], address: Address) -> None:
    """A directory of three levels in which the name is known."""
    if address in [way.address for way in MEMBERS]:
        walk.found(address, "record", NEW)
    elif address in [way.address for way in BLOCK]:
        walk.referred(address, MEMBERS)
    else:
        walk.referred(address, BLOCK[:2])


def nobody(walk: Walk[str], address: Address) -> None:
    """The same without the name."""
    if address in [way.address for way in MEMBERS]:
        walk.unknown(address, authoritative=True)
    else:
        honest(walk, address)


def test_who_knows_the_slot_is_asked_before_who_only_has_as_many_bits_in_common() -> None:
    """Slots of several depths lie side by side: the block of a deeper one is smaller."""
    name = Prefix(8, 0b11010000)
    shallow, deep = (
        SuperNode(bytes([n]) * 16, at(n), slot)
        for n, slot in ((1, Prefix(4, 0b1000)), (2, Prefix(5, 0b10000)))
    )
    ways = [Way.to(each, name) for each in (deep, shallow)]
    assert [way.near for way in ways] == [1, 1]
    for seed in range(10):
        walk: Walk[str] = Walk(STARTS[:1], Random(seed))
        walk.step(0.0)
        walk.referred(STARTS[0], ways)
        assert walk.step(0.0) == [shallow.address]


def silent(walk: Walk[str], address: Address) -> None:
    pass


def liar(walk: Walk[str], address: Address) -> None:
    walk.unknown(address, authoritative=True)


def run(
    answer: Answer, others: Mapping[Address, Answer] | None = None, *, starts: int = 3, **more: bool
) -> Verdict[str]:
    """Each answer comes a moment later; the clock jumps to when the walk is due."""
    walk: Walk[str] = Walk(STARTS[:starts], Random(1), **more)
    now = 0.0
    while (verdict := walk.verdict) is None:
        asked = walk.step(now)
        for address in asked:
            (others or {}).get(address, answer)(walk, address)
        if not asked and walk.verdict is None:
            assert walk.due > now
            now = walk.due
    return verdict


def addresses(ways: list[Way]) -> list[Address]:
    return [way.address for way in ways]


def test_three_hops_and_two_messages_each() -> None:
    assert run(honest) == Verdict("record", True, 3, 6, 3)


def test_nobody_to_ask_is_no_verdict_about_the_name() -> None:
    walk: Walk[str] = Walk([], Random(1))
    assert walk.verdict == Verdict(None, False, 0, 0, 0)
    assert not run(silent).known


def test_dead_ones_cost_a_moment_each() -> None:
    dead = dict.fromkeys([STARTS[0], *addresses(MEMBERS)[:5], BLOCK[0].address], silent)
    assert run(honest, dead).record == "record"


def test_a_name_of_nobody_is_believed_along_several_ways() -> None:
    verdict = run(nobody)
    assert verdict.known
    assert verdict.record is None
    assert verdict.messages <= 2 * 10


def test_a_name_of_nobody_is_believed_of_the_only_one_we_know() -> None:
    verdict = run(nobody, starts=1)
    assert verdict.known
    assert verdict.messages == 2 * (2 + 3)


def test_a_start_that_says_nobody_is_not_enough() -> None:
    assert run(honest, {STARTS[0]: liar, STARTS[1]: liar}).record == "record"


def test_a_start_that_sends_us_to_its_friends_alone_is_left() -> None:
    friends = [Way(at(number), 60, True) for number in range(100, 110)]

    def sends(walk: Walk[str], address: Address) -> None:
        walk.referred(address, friends)

    others: dict[Address, Answer] = {
        STARTS[1]: sends,
        **dict.fromkeys(addresses(friends), liar),
    }
    assert run(honest, others).record == "record"


@pytest.mark.parametrize("who", range(10))
def test_one_member_that_denies_the_name_is_overruled(who: int) -> None:
    assert run(honest, {MEMBERS[who].address: liar}).record == "record"


def test_a_forged_record_sends_us_elsewhere() -> None:
    def forges(walk: Walk[str], address: Address) -> None:
        walk.lied(address)

    others: dict[Address, Answer] = dict.fromkeys(addresses(MEMBERS)[:6], forges)
    assert run(honest, others).record == "record"


def test_a_referral_to_nobody_nearer_leads_nowhere() -> None:
    asked: list[Address] = []

    def circles(walk: Walk[str], address: Address) -> None:
        asked.append(address)
        walk.referred(address, BLOCK if address in STARTS else [*BLOCK, Way(at(99), 5, False)])

    verdict = run(circles)
    assert not verdict.known
    assert at(99) not in asked
    assert len(asked) == len(set(asked)) <= MOST_ASKED


def test_whoever_is_far_sends_us_to_nobody_near() -> None:
    asked: list[Address] = []

    def lures(walk: Walk[str], address: Address) -> None:
        asked.append(address)
        walk.referred(address, [Way(Address("192.168.1.1", 80), 9, True)])

    assert not run(lures).known
    assert asked
    assert set(asked) <= set(STARTS)


def test_an_endless_way_ends() -> None:
    def deeper(walk: Walk[str], address: Address) -> None:
        depth = int(address.host.rpartition(".")[2])
        walk.referred(address, [Way(at(depth * 3 + each), depth, False) for each in range(10)])

    assert not run(deeper).known


def test_who_denies_the_name_names_others_who_should_know() -> None:
    def denies(walk: Walk[str], address: Address) -> None:
        walk.unknown(address, MEMBERS)

    assert run(honest, {STARTS[0]: denies}, starts=1).record == "record"


def test_the_newest_of_several_where_that_matters() -> None:
    def old(walk: Walk[str], address: Address) -> None:
        walk.found(address, "old", OLD)

    others: dict[Address, Answer] = dict.fromkeys(addresses(MEMBERS)[:8], old)
    found = {run(honest, {**others, MEMBERS[9].address: silent}, thorough=True).record}
    assert found <= {"old", "record"}
    assert run(honest, dict.fromkeys(addresses(MEMBERS)[:1], old), thorough=True).record == "record"


def test_somebody_else_is_asked_when_it_takes_long() -> None:
    walk: Walk[str] = Walk(STARTS, Random(1))
    (first,) = walk.step(0.0)
    assert walk.step(HEDGE / 2) == []
    (second,) = walk.step(HEDGE)
    walk.unknown(first, authoritative=False)  # late, but heard
    assert walk.due == HEDGE * 2
    assert second != first
    walk.step(HEDGE * 2)
    walk.step(HEDGE * 2 + ASK_TIME)
    assert walk.verdict == Verdict(None, False, 0, 4, 1)


def test_who_was_not_asked_is_not_heard() -> None:
    walk: Walk[str] = Walk(STARTS[:1], Random(1))
    walk.found(STARTS[0], "record", 1)
    walk.found(at(200), "record", 1)
    assert walk.verdict is None


@settings(max_examples=50)
@given(
    st.lists(st.sampled_from(["found", "lied", "unknown", "member", "block", "none"])), st.data()
)
def test_any_answers_end(answers: list[str], data: st.DataObject) -> None:
    walk: Walk[str] = Walk(STARTS, Random(1), thorough=data.draw(st.booleans()))
    now, left, asked = 0.0, list(answers), 0
    while walk.verdict is None:
        for address in walk.step(now):
            asked += 1
            match left.pop() if left else "none":
                case "found":
                    walk.found(address, "record", 1)
                case "lied":
                    walk.lied(address)
                case "unknown":
                    walk.unknown(address, authoritative=True)
                case "member":
                    walk.referred(address, MEMBERS)
                case "block":
                    walk.referred(address, BLOCK)
                case _:
                    pass
        if walk.verdict is None:
            now = max(now, walk.due)
    assert asked <= MOST_ASKED
    assert now < MOST_ASKED * (ASK_TIME + HEDGE)
