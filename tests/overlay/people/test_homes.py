"""Who is at home with a super node, and who rings whom."""

import pytest
from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from p2pswarm.overlay.people import homes as room
from p2pswarm.overlay.people.homes import RING_TIME, Homes
from p2pswarm.wire.people.ringing import No

ALICE, BOB, CAROL = b"A" * 32, b"B" * 32, b"C" * 32
ONE, TWO = b"1" * 16, b"2" * 16


class Line:
    """A connection that notes what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[object, ...]] = []

    def rung(self, session: bytes, offer: bytes) -> None:
        self.told.append(("rung", session, offer))

    def answered(self, session: bytes, offer: bytes) -> None:
        self.told.append(("answered", session, offer))

    def declined(self, session: bytes, reason: No) -> None:
        self.told.append(("declined", session, reason))

    def cancelled(self, session: bytes) -> None:
        self.told.append(("cancelled", session))

    def replaced(self) -> None:
        self.told.append(("replaced",))


def test_a_ring_and_its_answer() -> None:
    homes, caller, callee = Homes(), Line(), Line()
    assert homes.came(callee, BOB)
    homes.ring(caller, ALICE, BOB, ONE, b"hello", 0.0)
    assert callee.told == [("rung", ONE, b"hello")]
    homes.answer(callee, ONE, b"here")
    homes.answer(callee, ONE, b"again")
    homes.decline(callee, ONE, No.BUSY)
    assert caller.told == [("answered", ONE, b"here")]


def test_nobody_else_answers_a_ring() -> None:
    homes, caller, callee, other = Homes(), Line(), Line(), Line()
    homes.came(callee, BOB)
    homes.came(other, CAROL)
    homes.ring(caller, ALICE, BOB, ONE, b"", 0.0)
    homes.answer(other, ONE, b"me")
    homes.decline(other, ONE, No.REFUSED)
    homes.answer(caller, ONE, b"me")
    assert caller.told == []
    homes.decline(callee, ONE, No.REFUSED)
    assert caller.told == [("declined", ONE, No.REFUSED)]


def test_who_is_not_at_home_is_offline() -> None:
    homes, caller, callee = Homes(), Line(), Line()
    homes.ring(caller, ALICE, BOB, ONE, b"", 0.0)
    homes.came(callee, BOB)
    homes.ring(caller, ALICE, BOB, TWO, b"", 0.0)
    homes.left(callee)
    homes.left(callee)
    assert caller.told == [("declined", each, No.OFFLINE) for each in (ONE, TWO)]
    assert not homes.has(BOB)


def test_a_ring_that_nobody_answers_ends() -> None:
    homes, caller, callee = Homes(), Line(), Line()
    homes.came(callee, BOB)
    homes.ring(caller, ALICE, BOB, ONE, b"", 0.0)
    homes.tick(RING_TIME - 1)
    assert not caller.told
    homes.tick(RING_TIME)
    assert caller.told == [("declined", ONE, No.OFFLINE)]


def test_who_rings_gives_up_and_nobody_else_does_that_for_him() -> None:
    homes, caller, callee, other = Homes(), Line(), Line(), Line()
    homes.came(callee, BOB)
    homes.ring(caller, ALICE, BOB, ONE, b"", 0.0)
    for stranger in (other, callee):
        homes.cancel(stranger, ONE)
    homes.cancel(caller, TWO)
    assert callee.told == [("rung", ONE, b"")]
    homes.cancel(caller, ONE)
    homes.cancel(caller, ONE)
    homes.answer(callee, ONE, b"too late")
    assert callee.told[1:] == [("cancelled", ONE)]
    homes.ring(caller, ALICE, BOB, TWO, b"", 0.0)
    homes.left(caller)  # whoever is gone has given up
    assert callee.told[-1] == ("cancelled", TWO)
    assert caller.told == []
    homes.check()


def test_the_newest_connection_of_a_user_is_rung() -> None:
    homes, caller, old, new = Homes(), Line(), Line(), Line()
    homes.came(old, BOB)
    homes.came(new, BOB)
    assert old.told == [("replaced",)]
    homes.left(old)
    homes.ring(caller, ALICE, BOB, ONE, b"", 0.0)
    assert new.told == [("rung", ONE, b"")]
    assert len(homes) == 1


def test_who_rings_much_is_told() -> None:
    homes, callee = Homes(), Line()
    homes.came(callee, BOB)
    callers = [Line() for _ in range(30)]
    for number, caller in enumerate(callers):
        homes.ring(caller, ALICE, BOB, bytes([number]) * 16, b"", 0.0)
        homes.decline(callee, bytes([number]) * 16, No.BUSY)
    reasons = [caller.told[-1][2] for caller in callers]
    assert reasons.count(No.TOO_OFTEN) == 24
    assert len(callee.told) == 6
    other = Line()
    homes.ring(other, CAROL, BOB, ONE, b"", 0.0)
    assert not other.told


def test_rings_that_wait_are_few() -> None:
    homes, callee = Homes(), Line()
    homes.came(callee, BOB)
    callers = [Line() for _ in range(6)]
    for number, caller in enumerate(callers):
        homes.ring(caller, bytes([number]) * 32, BOB, bytes([number]) * 16, b"", 0.0)
    told = [line.told for line in callers]
    assert told[:4] == [[], [], [], []]
    assert [each[0][2] for each in told[4:]] == [No.BUSY, No.BUSY]


def test_a_session_rings_once() -> None:
    homes, callee, caller, thief = Homes(), Line(), Line(), Line()
    homes.came(callee, BOB)
    homes.ring(caller, ALICE, BOB, ONE, b"", 0.0)
    homes.ring(thief, CAROL, BOB, ONE, b"", 0.0)
    homes.answer(callee, ONE, b"for her")
    assert caller.told == [("answered", ONE, b"for her")]
    assert thief.told == [("declined", ONE, No.TOO_OFTEN)]


def test_a_full_house_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "MOST_GUESTS", 1)
    homes, first, second = Homes(), Line(), Line()
    assert homes.came(first, ALICE)
    assert not homes.came(second, BOB)
    assert homes.came(second, ALICE)


class Crowd(RuleBasedStateMachine):
    """Whatever happens, counts are right and every ring ends once."""

    def __init__(self) -> None:
        super().__init__()
        self.homes, self.lines, self.now = Homes(), [Line() for _ in range(4)], 0.0

    who = st.integers(0, 3)
    session = st.integers(0, 5)

    @rule(who=who, key=who)
    def comes(self, who: int, key: int) -> None:
        self.homes.came(self.lines[who], bytes([key]) * 32)

    @rule(who=who)
    def leaves(self, who: int) -> None:
        self.homes.left(self.lines[who])

    @rule(who=who, to=who, session=session)
    def rings(self, who: int, to: int, session: int) -> None:
        key, name = bytes([to]) * 32, bytes([session]) * 16
        self.homes.ring(self.lines[who], bytes([who]) * 32, key, name, b"", self.now)

    @rule(who=who, session=session)
    def answers(self, who: int, session: int) -> None:
        self.homes.answer(self.lines[who], bytes([session]) * 16, b"")

    @rule(who=who, session=session)
    def cancels(self, who: int, session: int) -> None:
        self.homes.cancel(self.lines[who], bytes([session]) * 16)

    @rule(seconds=st.sampled_from((1.0, 30.0)))
    def waits(self, seconds: float) -> None:
        self.now += seconds
        self.homes.tick(self.now)

    @invariant()
    def counts(self) -> None:
        self.homes.check()


TestCrowd = Crowd.TestCase
TestCrowd.settings = settings(max_examples=30, stateful_step_count=30)
