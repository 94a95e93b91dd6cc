"""Looking up names: what the system says, and that nobody waits for it."""

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from p2pswarm.discovery.names import SystemNames
from tests.support.patience import PATIENCE

TCP = socket.SOCK_STREAM


async def test_what_the_system_says() -> None:
    found = await SystemNames().resolve("localhost", 80)
    assert {(each["hostname"], each["port"]) for each in found} == {("localhost", 80)}
    assert {each["host"] for each in found} <= {"127.0.0.1", "::1"}


async def test_a_link_local_address_keeps_its_scope(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = [(socket.AF_INET6, TCP, 6, "", ("fe80::1", 80, 0, 2))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *how, **more: answer)
    assert [each["host"] for each in await SystemNames().resolve("x", 80)] == ["fe80::1%2"]


@pytest.mark.parametrize("error", [socket.gaierror(-3, "try again"), UnicodeError("too long")])
async def test_the_error_arrives(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def fail(*how: Any, **more: Any) -> None:
        raise error

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    with pytest.raises(type(error), match=str(error.args[-1])):
        await SystemNames().resolve("x", 80)


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """A name server that answers when the event is set."""
    answers, before = threading.Event(), set(threading.enumerate())

    def hang(*how: Any, **more: Any) -> list[Any]:
        answers.wait(PATIENCE)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    yield answers
    answers.set()
    for thread in set(threading.enumerate()) - before:
        thread.join(PATIENCE)


def test_a_loop_closes_without_the_answer(silent: threading.Event) -> None:
    async def give_up() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await SystemNames().resolve("x", 80)

    began = time.monotonic()
    asyncio.run(give_up())
    assert time.monotonic() - began < PATIENCE / 2


async def test_an_answer_that_nobody_waits_for_is_dropped(silent: threading.Event) -> None:
    looking = asyncio.create_task(SystemNames().resolve("x", 80))
    await asyncio.sleep(0)
    looking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await looking
    silent.set()
    for thread in threading.enumerate():
        if thread.name == "look up x":
            await asyncio.to_thread(thread.join, PATIENCE)
    assert await asyncio.wait_for(SystemNames().resolve("x", 80), PATIENCE) == []
