"""Datagrams in virtual time: they take as long as the line is, and some are lost."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from p2pswarm.errors import PortTakenError
from p2pswarm.formats.ids import Address
from p2pswarm.net.port import Port
from p2pswarm.wire.sniff import DatagramGuest
from tests.support.world import Host, World, simulate

pytestmark = pytest.mark.sim

NUMBER = 6346


def ping(number: int) -> bytes:
    return number.to_bytes(16, "big") + bytes((0, 1, 0, 0, 0, 0, 0))


class Place:
    """A port that notes what it hears, and when."""

    def __init__(self, host: Host) -> None:
        self.heard: list[tuple[float, int, Address]] = []
        self.port = Port(host.name, NUMBER)
        self.port.route_datagrams(DatagramGuest.GNUTELLA, self._hear)

    def _hear(self, data: bytes, remote: Address) -> None:
        now = asyncio.get_running_loop().time()
        self.heard.append((now, int.from_bytes(data[:16], "big"), remote))

    def send(self, number: int, to: Host) -> None:
        self.port.send_datagram(ping(number), Address(to.name, NUMBER))


def played(tmp_path: Path, play: Callable[[World, Place, Place], Awaitable[None]]) -> None:
    async def story(world: World) -> None:
        one, two = Place(world.host(up=2300.0, delay=0.5)), Place(world.host())
        for place in (one, two):
            await place.port.open()
        await play(world, one, two)
        for place in (one, two):
            await place.port.close()

    simulate(tmp_path, story)


def hosts(world: World) -> list[Host]:
    return list(world.loop.hosts.values())


def test_they_arrive_after_the_delay_with_the_address_of_the_sender(tmp_path: Path) -> None:
    async def play(world: World, one: Place, two: Place) -> None:
        home, away = hosts(world)
        one.send(7, away)
        await asyncio.sleep(10)
        assert two.heard == [(pytest.approx(0.51), 7, Address(home.name, NUMBER))]
        assert home.sent == len(ping(7))
        two.port.send_datagram(ping(8), two.heard[0][2])
        await asyncio.sleep(10)
        assert [heard[1:] for heard in one.heard] == [(8, Address(away.name, NUMBER))]

    played(tmp_path, play)


def test_a_host_that_is_unplugged_hears_and_says_nothing(tmp_path: Path) -> None:
    async def play(world: World, one: Place, two: Place) -> None:
        home, away = hosts(world)
        one.send(1, away)
        world.unplug(away)  # while it is on its way
        one.send(2, away)
        two.send(3, home)
        await asyncio.sleep(10)
        world.plug_in(away)
        one.send(4, away)
        await asyncio.sleep(10)
        assert [number for _, number, _ in one.heard + two.heard] == [4]

    played(tmp_path, play)


def test_the_share_that_is_lost_is_the_same_in_every_run(tmp_path: Path) -> None:
    runs: list[set[int]] = []

    async def play(world: World, one: Place, two: Place) -> None:
        _, away = hosts(world)
        away.loss = 0.25
        for number in range(1000):
            one.send(number, away)
        await asyncio.sleep(10)
        runs.append({number for _, number, _ in two.heard})

    played(tmp_path / "one", play)
    played(tmp_path / "two", play)
    assert runs[0] == runs[1]
    assert 700 < len(runs[0]) < 800


def test_to_nobody_they_go_nowhere_and_a_number_is_taken_once(tmp_path: Path) -> None:
    async def play(world: World, one: Place, two: Place) -> None:
        home, away = hosts(world)
        one.port.send_datagram(ping(1), Address("10.9.9.9", NUMBER))
        one.port.send_datagram(ping(1), Address(away.name, NUMBER + 1))
        with pytest.raises(PortTakenError, match="in use for UDP"):
            await Place(home).port.open()
        await two.port.close()
        one.send(2, away)
        await asyncio.sleep(10)
        assert two.heard == []

    played(tmp_path, play)


def test_a_host_that_does_not_exist_cannot_be_reached(tmp_path: Path) -> None:
    async def play(world: World, one: Place, two: Place) -> None:
        with pytest.raises(OSError, match="No route"):
            await asyncio.get_running_loop().create_connection(
                asyncio.Protocol, "10.9.9.9", 1, local_addr=(hosts(world)[0].name, 0)
            )

    played(tmp_path, play)
