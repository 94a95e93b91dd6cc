import asyncio
from collections.abc import Coroutine
from socket import AF_INET, AF_INET6
from typing import Any

import pytest

from p2pswarm.discovery.families import NoAddressError, by_family, of_each, together
from p2pswarm.errors import FormatError, TrackerError
from p2pswarm.wire.tracker import Reply
from tests.discovery.virtual import run

FIRST, SECOND = Reply(1, peers=b"4" * 6), Reply(2, peers6=b"6" * 18)


async def after(seconds: float, result: Reply | Exception) -> Reply:
    await asyncio.sleep(seconds)
    if isinstance(result, Exception):
        raise result
    return result


def asked(*questions: Coroutine[Any, Any, Reply]) -> tuple[list[Reply], float]:
    async def main() -> tuple[list[Reply], float]:
        return await of_each(questions), asyncio.get_running_loop().time()

    return run(main())


def test_both_answer() -> None:
    assert asked(after(1, FIRST), after(2, SECOND)) == ([FIRST, SECOND], 2)
    assert asked(after(2, FIRST), after(1, SECOND)) == ([SECOND, FIRST], 2)


@pytest.mark.parametrize("error", [TrackerError("x"), FormatError("y"), NoAddressError("z")])
def test_one_that_fails_is_no_failure(error: Exception) -> None:
    assert asked(after(1, error), after(2, SECOND)) == ([SECOND], 2)
    assert asked(after(1, FIRST), after(2, error)) == ([FIRST], 2)


def test_a_straggler_is_not_waited_for() -> None:
    assert asked(after(1, FIRST), after(30, SECOND)) == ([FIRST], 4)


def test_how_one_failed_that_is_there_says_more() -> None:
    for questions in (
        (after(1, NoAddressError("none")), after(2, TrackerError("refused"))),
        (after(2, NoAddressError("none")), after(1, TrackerError("refused"))),
    ):
        with pytest.raises(TrackerError, match="refused"):
            asked(*questions)
    with pytest.raises(NoAddressError, match="none"):
        asked(after(1, NoAddressError("none")))


def test_who_gives_up_ends_both() -> None:
    ended: list[int] = []

    async def for_ever() -> Reply:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(1)
        raise AssertionError

    async def main() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await of_each([for_ever(), for_ever()])

    run(main())
    assert ended == [1, 1]


def test_two_answers_are_one() -> None:
    v4 = Reply(900, 60, b"4" * 6, complete=1, incomplete=5, external_ip=b"4444", trackerid=b"id")
    v6 = Reply(1800, None, b"", b"6" * 18, complete=3, incomplete=2, warning="careful")
    for replies in ((v4, v6), (v6, v4)):
        assert together(replies) == Reply(
            1800, 60, b"4" * 6, b"6" * 18, complete=3, incomplete=5,
            external_ip=b"4444", trackerid=b"id", warning="careful",
        )  # fmt: skip
    assert together([v6]) is v6


@pytest.mark.parametrize(
    ("hosts", "families"),
    [
        (("0.0.0.0", "::"), {AF_INET: "0.0.0.0", AF_INET6: "::"}),
        (("::1",), {AF_INET6: "::1"}),
        (("10.0.0.1", "10.0.0.2"), {AF_INET: "10.0.0.1"}),
        (("localhost",), {AF_INET: "0.0.0.0", AF_INET6: "::"}),
    ],
)
def test_local_addresses_by_family(hosts: tuple[str, ...], families: dict[int, str]) -> None:
    assert by_family(hosts) == families
