"""Hosts that a user named: looked up, once each, and only where somebody can be."""

import socket
import threading
from typing import Any

import pytest

from p2pswarm.discovery import places as room
from p2pswarm.discovery.places import places
from p2pswarm.formats.ids import Address

HERE = Address("127.0.0.1", 80)
TCP = socket.SOCK_STREAM


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "AGAIN", 0.0)


def answer(monkeypatch: pytest.MonkeyPatch, *answers: str | Exception) -> None:
    """What the system says, one after the other; the last one for ever."""
    coming = list(answers)

    def look_up(*how: Any, **more: Any) -> list[Any]:
        said = coming.pop(0) if len(coming) > 1 else coming[0]
        if isinstance(said, Exception):
            raise said
        return [(socket.AF_INET, TCP, 6, "", (said, 80))]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)


async def test_a_name_and_its_number_are_one_place(monkeypatch: pytest.MonkeyPatch) -> None:
    answer(monkeypatch, "127.0.0.1")
    assert await places([HERE, Address("super", 80)]) == (HERE,)


async def test_a_host_that_starts_beside_us_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    answer(monkeypatch, socket.gaierror(-2, "no name"), "127.0.0.1")
    assert await places([Address("super", 80)]) == (HERE,)


async def test_who_cannot_be_found_is_named_when_others_are(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    answer(monkeypatch, socket.gaierror(-2, "no name"))
    assert await places([Address("nobody", 80)]) == ()
    assert not caplog.messages  # the caller says it
    assert await places([Address("nobody", 80), HERE]) == (HERE,)
    assert caplog.messages == ["nobody can be dialed at nobody:80"]


@pytest.mark.parametrize("host", ["0.0.0.0", "255.255.255.255", "224.0.0.1"])
async def test_nobody_is_at_an_address_for_all(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    answer(monkeypatch, host)
    assert await places([Address(host, 80), Address("name", 80)]) == ()


async def test_a_system_that_does_not_answer_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    over = threading.Event()

    def hang(*how: Any, **more: Any) -> list[Any]:
        over.wait()
        return []

    monkeypatch.setattr(room, "PATIENCE", 0.01)
    monkeypatch.setattr(socket, "getaddrinfo", hang)
    try:
        assert await places([Address("super", 80), HERE]) == (HERE,)
    finally:
        over.set()
