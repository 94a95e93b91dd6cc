"""UploadSlots and the line for them."""

import pytest
from hypothesis import given, strategies as st

from p2pswarm.errors import RemoteProtocolError
from p2pswarm.overlay.files.queue import (
    HELD,
    MOST_WAITING,
    POLL_MAX,
    POLL_MIN,
    UploadSlots,
)

asks = st.tuples(st.integers(0, 12), st.integers(0, 4), st.sampled_from((0.0, 10.0, 50.0, 130.0)))


def position(
    slots: UploadSlots, who: str, now: float, host: str = "", waits: bool = True
) -> int | None:
    place = slots.ask(who, host or who, now, waits=waits)
    return None if place is None else place.position


def test_first_come_first_served() -> None:
    slots = UploadSlots(1)
    assert [position(slots, who, 0) for who in "abc"] == [None, 1, 2]
    assert position(slots, "c", POLL_MIN) == 2
    slots.leave("a")
    assert position(slots, "d", POLL_MIN) == 3
    assert position(slots, "c", 2 * POLL_MIN) == 2
    assert position(slots, "b", 2 * POLL_MIN) is None


def test_who_does_not_ask_again_is_forgotten() -> None:
    slots = UploadSlots(1)
    assert [position(slots, who, 0) for who in "ab"] == [None, 1]
    assert position(slots, "c", POLL_MAX + 1) == 1
    assert not slots.waits("b")


def test_who_asks_too_early_loses_the_place() -> None:
    slots = UploadSlots(1)
    assert [position(slots, who, 0) for who in "ab"] == [None, 1]
    with pytest.raises(RemoteProtocolError, match="b asked again after 5 s"):
        position(slots, "b", 5)
    assert position(slots, "c", 5) == 1


def test_a_slot_is_kept_from_part_to_part_but_not_for_ever() -> None:
    slots = UploadSlots(1)
    assert position(slots, "a", 0) is None
    assert position(slots, "a", HELD + 1) is None
    assert position(slots, "b", HELD + 2) == 1
    assert position(slots, "a", HELD + 3) == 2
    assert position(slots, "b", HELD + 2 + POLL_MIN) is None


def test_the_line_is_bounded_and_so_is_a_hosts_part_of_it() -> None:
    slots = UploadSlots(0)
    assert [position(slots, f"a{n}", 0, "a") for n in range(5)] == [1, 2, 3, 0, 0]
    others = [position(slots, f"b{n}", 0) for n in range(2 * MOST_WAITING)]
    assert others.count(0) == MOST_WAITING + 3
    slots.check()


def test_who_waits_for_its_own_host_does_not_hold_up_others() -> None:
    slots = UploadSlots(4)
    assert [position(slots, f"a{n}", 0, "a") for n in range(4)] == [None, None, None, 1]
    assert position(slots, "b", 1) is None


@given(st.integers(0, 5), st.lists(asks))
def test_the_invariant_holds(count: int, steps: list[tuple[int, int, float]]) -> None:
    slots, now = UploadSlots(count), 0.0
    for number, action, later in steps:
        now += later
        if action == 0:
            slots.leave(number)
        else:
            try:
                slots.ask(number, f"h{number % 3}", now, waits=action > 1)
            except RemoteProtocolError:
                assert not slots.waits(number)
        slots.check()
