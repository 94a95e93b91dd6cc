import asyncio
from collections.abc import Callable
from typing import Any

from p2pswarm.discovery.dht.source import DhtSource
from p2pswarm.discovery.source import Progress
from p2pswarm.formats.ids import Address, InfoHash
from tests.discovery.virtual import run

HASH = InfoHash(b"h" * 20)
PEER = Address("8.8.8.8", 6881)


class Announced:
    """A DHT that only writes down when it was told what."""

    def __init__(self) -> None:
        self.times: list[float] = []
        self.told: list[dict[str, Any]] = []
        self.noting = 8
        self.withdrawn: list[InfoHash] = []

    async def announce(
        self, info_hash: InfoHash, port: int, found: Callable[[Address], None], **options: bool
    ) -> int:
        self.times.append(asyncio.get_running_loop().time())
        self.told.append({"info_hash": info_hash, "port": port, **options})
        found(PEER)
        return self.noting

    def withdraw(self, info_hash: InfoHash, found: Callable[[Address], None]) -> None:
        self.withdrawn.append(info_hash)


def told(
    seconds: float, *, left: int = 1, short: bool = False, noting: int = 8
) -> tuple[Announced, list[Address]]:
    """What a source does in so many seconds; a torrent that is short of peers says so every second."""

    async def story() -> tuple[Announced, list[Address]]:
        dht, found = Announced(), list[Address]()
        dht.noting = noting
        source = DhtSource(dht, HASH, lambda: 7777)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(source.run(lambda: Progress(0, 0, left), found.append))
            for _ in range(int(seconds)):
                await asyncio.sleep(1)
                if short:
                    source.need_more()
            await source.leave()
        return dht, found

    return run(story())


def test_a_torrent_is_announced_every_fifteen_minutes() -> None:
    dht, found = told(2000)
    assert dht.times == [0, 900, 1800]
    assert found == [PEER] * 3
    assert dht.told[0] == {"info_hash": HASH, "port": 7777, "seed": False, "implied_port": True}


def test_one_that_is_short_of_peers_is_announced_sooner_but_less_and_less_often() -> None:
    dht, _ = told(3000, short=True)
    pauses = [b - a for a, b in zip(dht.times, dht.times[1:], strict=False)]
    wanted = [60, 120, 240, 480, 900, 900]
    assert all(0 <= pause - want <= 1 for pause, want in zip(pauses, wanted, strict=True))


def test_a_seed_says_so() -> None:
    dht, _ = told(1, left=0)
    assert dht.told[0]["seed"] is True


def test_while_no_node_notes_us_we_try_again_soon() -> None:
    dht, _ = told(100, noting=0)
    assert dht.times == [0, 5, 15, 35, 75]


def test_it_leaves_at_once() -> None:
    dht, _ = told(0)
    assert len(dht.times) <= 1
    assert dht.withdrawn == [HASH] * len(dht.times)
