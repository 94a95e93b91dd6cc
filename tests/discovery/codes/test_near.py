import asyncio
from collections.abc import Awaitable, Callable
from random import Random

from p2pswarm.discovery.codes.near import LOOK_FOR, MOST_PLACES, Nearby, answer
from p2pswarm.discovery.lsd import Lsd
from p2pswarm.formats.ids import Address
from p2pswarm.lab.loop import VirtualLoop, play
from p2pswarm.net.multicast import Interface
from p2pswarm.wire.lsd import GROUPS, LocalSearch


class Street:
    """A local network: what one says all others hear."""

    def __init__(self) -> None:
        self.houses: dict[str, Lsd] = {}
        self.said: list[bytes] = []

    def house(self, host: str, port: int) -> Lsd:
        here = Interface(host, 1)
        lsd = Lsd(lambda: port, lambda: [here], Random(host))
        lsd._ears[here] = Ear(self, host)  # type: ignore[assignment]
        self.houses[host] = lsd
        return lsd

    def say(self, data: bytes, source: str) -> None:
        self.said.append(data)
        for lsd in list(self.houses.values()):
            lsd.heard(data, Address(source, 6771))


class Ear:
    group = GROUPS[0]

    def __init__(self, street: Street, host: str) -> None:
        self._street, self._host = street, host

    def send(self, data: bytes) -> None:
        self._street.say(data, self._host)

    def close(self) -> None:
        self._street.houses.pop(self._host, None)


def story(tell: Callable[[Street, VirtualLoop], Awaitable[None]]) -> None:
    async def run(loop: VirtualLoop) -> None:
        street = Street()
        async with asyncio.TaskGroup() as tasks:
            giving = [
                tasks.create_task(
                    answer(number, street.house(f"192.168.1.{number}", 6960 + number))
                )
                for number in (7, 8)
            ]
            await tell(street, loop)
            for each in giving:
                each.cancel()

    play(run)


def test_who_gives_the_number_is_found_and_nobody_else() -> None:
    async def tell(street: Street, loop: VirtualLoop) -> None:
        nearby = Nearby(7, street.house("192.168.1.99", 1))
        assert await nearby.next() == Address("192.168.1.7", 6967)
        assert loop.time() < 3
        assert await nearby.next() is None
        nearby.close()

    story(tell)


def test_nobody_is_found_in_a_few_seconds() -> None:
    async def tell(street: Street, loop: VirtualLoop) -> None:
        nearby = Nearby(9, street.house("192.168.1.99", 1))
        assert await nearby.next() is None
        assert loop.time() < LOOK_FOR + 1
        nearby.close()

    story(tell)


def test_of_those_who_answer_a_few_are_believed() -> None:
    async def tell(street: Street, loop: VirtualLoop) -> None:
        nearby = Nearby(7, street.house("192.168.1.99", 1))
        assert await nearby.next() == Address("192.168.1.7", 6967)
        given = LocalSearch.decode(street.said[-1]).info_hashes
        for each in range(8):
            said = LocalSearch(100 + each, given, "liar").encode(GROUPS[0])
            street.say(said, "192.168.1.66")
        street.say(LocalSearch(1, given, "liar").encode(GROUPS[0]), "fe80::1")
        others = [await nearby.next() for _ in range(MOST_PLACES)]
        assert others == [Address("192.168.1.66", 100 + each) for each in range(3)] + [None]
        nearby.close()

    story(tell)


def test_two_who_look_at_once_do_not_find_each_other() -> None:
    async def tell(street: Street, loop: VirtualLoop) -> None:
        one = Nearby(9, street.house("192.168.1.98", 1))
        other = Nearby(9, street.house("192.168.1.99", 1))
        assert await asyncio.gather(one.next(), other.next()) == [None, None]
        one.close()
        other.close()

    story(tell)
