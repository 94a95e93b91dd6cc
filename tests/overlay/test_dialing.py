"""Whom a network may make us dial, and that it is done once."""

import asyncio
import logging
from collections.abc import Awaitable

import pytest

from p2pswarm.errors import BusyError, NetworkError
from p2pswarm.formats.ids import Address
from p2pswarm.formats.zones import Zone
from p2pswarm.net.port import Port
from p2pswarm.overlay.budget import EVERY, DialBudget
from p2pswarm.overlay.dialing import Dialing, to_the_end
from p2pswarm.overlay.talk import Talk

AWAY = Address("8.8.8.8", 6346)


class Internet:
    """Notes who is dialed; whoever is `there` answers, once it may."""

    def __init__(self, *there: Address) -> None:
        self.there = there
        self.dialed: list[Address] = []
        self.answers = asyncio.Event()
        self.answers.set()
        self.now = 0.0
        self.dialing = Dialing(Port("127.0.0.1", 0), DialBudget(), lambda: self.now, self.reach)

    async def reach(self, port: Port, address: Address) -> Talk:
        self.dialed.append(address)
        await self.answers.wait()
        if address not in self.there:
            raise NetworkError("nobody")
        return Talk(port)


async def test_who_answered_is_dialed_as_often_as_we_like() -> None:
    net = Internet(AWAY)
    assert not net.dialing.has_answered(AWAY)
    for _ in range(3):
        assert isinstance(await net.dialing.dial(AWAY, Zone.INTERNET), Talk)
    assert net.dialed == [AWAY] * 3
    assert net.dialing.has_answered(AWAY)


async def test_who_does_not_answer_is_dialed_once_in_a_while() -> None:
    net = Internet()
    for words in ("nobody", "is not dialed", "is not dialed"):
        with pytest.raises(NetworkError, match=words):
            await net.dialing.dial(AWAY, Zone.INTERNET)
    assert net.dialed == [AWAY]
    net.now = EVERY
    with pytest.raises(NetworkError, match="nobody"):
        await net.dialing.dial(AWAY, Zone.INTERNET)
    assert not net.dialing.has_answered(AWAY)


async def test_from_far_away_nobody_is_dialed_near_by() -> None:
    near = Address("192.168.0.1", 80)
    net = Internet(near)
    with pytest.raises(NetworkError, match="cannot be there"):
        await net.dialing.dial(near, Zone.INTERNET)
    assert net.dialed == []
    await net.dialing.dial(near, Zone.LOCAL_NETWORK)


async def test_who_is_being_dialed_is_waited_for() -> None:
    for there, outcome in (((), NetworkError), ((AWAY,), Talk)):
        net = Internet(*there)
        net.answers.clear()
        async with asyncio.TaskGroup() as tasks:
            both = [
                tasks.create_task(_outcome(net.dialing.dial(AWAY, Zone.INTERNET))) for _ in range(2)
            ]
            while not net.dialed:
                await asyncio.sleep(0)
            net.answers.set()
        assert [type(task.result()) for task in both] == [outcome, outcome]
        assert len(net.dialed) == 1 + len(there)


async def _outcome(dial: Awaitable[Talk]) -> Talk | NetworkError:
    try:
        return await dial
    except NetworkError as error:
        return error


async def test_a_transfer_that_fails_is_told(caplog: pytest.LogCaptureFixture) -> None:
    async def fails(error: Exception) -> None:
        raise error

    with caplog.at_level(logging.INFO):
        await to_the_end("napster", fails(BusyError("no place")))
    assert caplog.messages == ["napster: no place"]
    with pytest.raises(ZeroDivisionError):
        await to_the_end("napster", fails(ZeroDivisionError()))
