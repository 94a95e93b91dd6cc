import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest

from p2pswarm.lab.loop import VirtualLoop, play
from p2pswarm.net.racing import first_of


class Way:
    """Takes so many seconds to the goal, or to failing."""

    def __init__(self, name: str, seconds: float, *, fails: bool = False) -> None:
        self.name, self.seconds, self.fails = name, seconds, fails
        self.began: float | None = None
        self.cancelled = False
        self.dropped = False

    async def go(self) -> "Way":
        loop = asyncio.get_running_loop()
        self.began = loop.time()
        try:
            await asyncio.sleep(self.seconds)
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        if self.fails:
            raise OSError(self.name)
        return self

    def drop(self) -> None:
        self.dropped = True


async def race(*ways: Way) -> str:
    starts: list[Callable[[], Coroutine[Any, Any, Way]]] = [way.go for way in ways]
    return (await first_of(starts, 0.3, Way.drop)).name


def told(story: Callable[[], Awaitable[Any]]) -> tuple[Any, float]:
    """What a story tells, and how long it took."""

    async def timed(loop: VirtualLoop) -> tuple[Any, float]:
        return await story(), loop.time()

    return play(timed)


def test_who_is_there_in_time_has_no_rival() -> None:
    first, second = Way("first", 0.2), Way("second", 0)
    assert told(lambda: race(first, second)) == ("first", 0.2)
    assert second.began is None


def test_after_the_head_start_the_next_begins_and_may_win() -> None:
    first, second = Way("first", 5), Way("second", 1)
    assert told(lambda: race(first, second)) == ("second", 1.3)
    assert first.cancelled
    assert not second.dropped


def test_the_slower_first_may_win_nevertheless() -> None:
    first, second = Way("first", 0.5), Way("second", 1)
    assert told(lambda: race(first, second)) == ("first", 0.5)
    assert second.cancelled


def test_after_a_failure_the_next_begins_at_once() -> None:
    first, second = Way("first", 0.1, fails=True), Way("second", 1)
    assert told(lambda: race(first, second)) == ("second", pytest.approx(1.1))


def test_of_two_failures_the_first_is_told() -> None:
    async def story() -> str:
        with pytest.raises(OSError, match="second"):
            await race(Way("first", 2, fails=True), Way("second", 1, fails=True))
        return "both"

    assert told(story) == ("both", 2)


def test_one_way_alone() -> None:
    assert told(lambda: race(Way("only", 2))) == ("only", 2)


def test_two_at_once_are_not_both_kept() -> None:
    ways = Way("first", 1.3), Way("second", 1.0)
    told(lambda: race(*ways))
    left = [way for way in ways if not way.cancelled and not way.dropped]
    assert len(left) == 1


def test_who_is_late_because_nobody_may_cancel_it_is_dropped() -> None:
    class Stubborn(Way):
        async def go(self) -> Way:
            try:
                await super().go()
            except asyncio.CancelledError:
                """It was through already when it was told."""
            return self

    first, second = Stubborn("first", 5), Way("second", 1)
    assert told(lambda: race(first, second)) == ("second", 1.3)
    assert first.dropped
    assert not second.dropped


def test_whoever_gives_up_waiting_leaves_nothing_behind() -> None:
    async def story() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await race(*ways)

    ways = Way("first", 5), Way("second", 5)
    assert told(story) == (None, 0.5)
    assert all(way.cancelled for way in ways)


def test_what_was_won_and_cannot_be_given_is_dropped() -> None:
    """The race was won, and its loser had not ended yet, when nobody waited any more."""

    class Slow(Way):
        async def go(self) -> Way:
            try:
                await asyncio.sleep(100)
            except asyncio.CancelledError:
                await asyncio.sleep(1)
                raise
            return self

    async def story() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1.8):
                await race(Slow("first", 100), second)

    second = Way("second", 1)
    assert told(story)[0] is None
    assert second.dropped
