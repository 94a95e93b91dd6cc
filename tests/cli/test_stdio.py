"""Lines that are typed and bytes that are piped, with real pipes; none of them holds the loop or the end."""

import asyncio
import contextlib
import os
from collections.abc import Iterator

import pytest

from p2pswarm.cli.stdio import MOST_LINE, StandardPipe, TypedLines
from tests.support.patience import PATIENCE


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for end in ends:
        with contextlib.suppress(OSError):
            os.close(end)


async def within(work: object) -> object:
    async with asyncio.timeout(PATIENCE):
        return await work  # type: ignore[misc]


async def test_lines_come_one_by_one(pipe: tuple[int, int]) -> None:
    typed = TypedLines(pipe[0])
    os.write(pipe[1], b"first\r\nsec")
    assert await within(typed.line()) == "first"
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await typed.line()  # whoever stops waiting loses nothing
    os.write(pipe[1], b"ond\n\n\xff\xfe broken\nno end")
    os.close(pipe[1])
    assert [await within(typed.line()) for _ in range(5)] == [
        "second",
        "",
        "\ufffd\ufffd broken",
        "no end",
        None,
    ]


async def test_a_line_has_an_end_even_if_nobody_types_it(pipe: tuple[int, int]) -> None:
    typed = TypedLines(pipe[0])
    os.write(pipe[1], b"x" * (MOST_LINE + 10) + b"\nnext\n" + b"\xff" * MOST_LINE + b"\n")
    assert await within(typed.line()) == "x" * MOST_LINE
    assert await within(typed.line()) == "x" * 10
    assert await within(typed.line()) == "next"
    line = await within(typed.line())
    assert isinstance(line, str)
    assert len(line.encode()) <= MOST_LINE


async def test_a_pipe_both_ways_and_its_ends(pipe: tuple[int, int]) -> None:
    ends = StandardPipe(pipe[0], pipe[1])
    await within(ends.write(b"there"))
    assert await within(ends.read(100)) == b"there"
    await within(ends.write_end())
    assert await within(ends.read(100)) == b""


async def test_who_reads_no_more_is_told(pipe: tuple[int, int]) -> None:
    os.close(pipe[0])
    with pytest.raises(BrokenPipeError):
        await within(StandardPipe(pipe[0], pipe[1]).write(b"?"))
