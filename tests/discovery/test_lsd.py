"""Local discovery: what is said and how often, what is believed; and real datagrams on the loopback."""

import asyncio
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any

import pytest

from p2pswarm.discovery.lsd import Lsd, LsdSource
from p2pswarm.discovery.source import Progress
from p2pswarm.formats.ids import Address, InfoHash
from p2pswarm.lab.loop import VirtualLoop, play
from p2pswarm.net.multicast import Interface, Multicast, interfaces
from p2pswarm.wire.lsd import GROUPS, LocalSearch
from tests.support.patience import PATIENCE

A, B = InfoHash(b"a" * 20), InfoHash(b"b" * 20)
HERE = Interface("192.168.1.2", 3)
NEAR = Address("192.168.1.9", 6771)


class Ear:
    """One interface, without a network."""

    group = GROUPS[0]

    def __init__(self, clock: Callable[[], float]) -> None:
        self.said: list[tuple[float, LocalSearch]] = []
        self._clock = clock
        self.closed = False

    def send(self, data: bytes) -> None:
        self.said.append((self._clock(), LocalSearch.decode(data)))

    def close(self) -> None:
        self.closed = True

    def times(self, info_hash: InfoHash) -> list[float]:
        return [round(at) for at, search in self.said if info_hash in search.info_hashes]


class Street:
    """A node's discovery, and whom it found."""

    def __init__(self, loop: VirtualLoop) -> None:
        self.interfaces = [HERE]
        self.lsd = Lsd(lambda: 46881, lambda: self.interfaces, Random(1))
        self.ear = Ear(loop.time)
        self.lsd._ears[HERE] = self.ear  # type: ignore[assignment]
        self.found: list[Address] = []
        self.tasks: list[asyncio.Task[None]] = []

    def source(self, info_hash: InfoHash) -> LsdSource:
        source = LsdSource(self.lsd, info_hash)
        run = source.run(lambda: Progress(0, 0, 0), self.found.append)
        self.tasks.append(asyncio.create_task(run))
        return source

    def hear(self, port: int, *hashes: InfoHash, cookie: str = "x", source: Address = NEAR) -> None:
        self.lsd.heard(LocalSearch(port, hashes, cookie).encode(GROUPS[0]), source)


def story(tell: Callable[[Street], Awaitable[None]]) -> None:
    async def run(loop: VirtualLoop) -> None:
        street = Street(loop)
        try:
            await tell(street)
        finally:
            street.lsd.close()
            street.lsd.close()
            for task in street.tasks:
                task.cancel()
            await asyncio.wait(street.tasks)

    play(run)


def test_torrents_share_datagrams_and_are_named_each_five_minutes() -> None:
    async def tell(street: Street) -> None:
        street.source(A)
        street.source(B)
        await asyncio.sleep(1000)
        assert street.ear.times(A) == street.ear.times(B) == [1, 301, 601, 901]
        assert len(street.ear.said) == 4
        assert street.ear.said[0][1].port == 46881

    story(tell)


def test_one_who_needs_peers_asks_once_a_minute_and_no_sooner() -> None:
    async def tell(street: Street) -> None:
        source = street.source(A)
        for _ in range(17):
            await asyncio.sleep(10)
            source.need_more()
        await asyncio.sleep(600)
        assert street.ear.times(A) == [1, 61, 121, 181, 481]

    story(tell)


def test_one_who_left_is_silent_and_hears_nothing() -> None:
    async def tell(street: Street) -> None:
        source = street.source(A)
        await asyncio.sleep(10)
        street.hear(7000, A)
        await source.leave()
        await asyncio.sleep(1000)
        street.hear(7001, A)
        assert street.found == [Address(NEAR.host, 7000)]
        assert street.ear.times(A) == [1]

    story(tell)


def test_who_has_what_we_seek_is_found_at_the_port_it_says() -> None:
    async def tell(street: Street) -> None:
        street.source(A)
        await asyncio.sleep(1)
        street.hear(7000, B)
        street.hear(7001, B, A)
        street.lsd.heard(b"BT-SEARCH what", NEAR)
        street.hear(7002, A, source=Address("0.0.0.0", 1))
        assert street.found == [Address(NEAR.host, 7001)]

    story(tell)


def test_who_leaves_takes_nothing_from_who_came_later() -> None:
    """Two magnets may find out that they are one hybrid."""

    async def tell(street: Street) -> None:
        later: list[Address] = []
        street.source(A)
        await asyncio.sleep(1)
        street.lsd.seek(A, later.append)
        street.tasks[0].cancel()
        await asyncio.sleep(1)
        street.hear(7001, A)
        assert later == [Address(NEAR.host, 7001)]
        street.lsd.forget(A, later.append)
        street.hear(7002, A)
        assert len(later) == 1

    story(tell)


def test_our_own_words_are_known_again() -> None:
    async def tell(street: Street) -> None:
        street.source(A)
        await asyncio.sleep(5)
        own = street.ear.said[0][1].encode(GROUPS[0])
        for _ in range(20):  # they come back from every interface, and take no room of others
            street.lsd.heard(own, NEAR)
        assert not street.found
        street.hear(7000, A)
        assert street.found == [Address(NEAR.host, 7000)]
        assert Lsd(lambda: 1, list, Random(2))._cookie != street.lsd._cookie

    story(tell)


def test_of_a_flood_ten_a_second_are_read() -> None:
    async def tell(street: Street) -> None:
        street.source(A)
        await asyncio.sleep(1)
        for port in range(1, 100):
            street.hear(port, A)
        assert len(street.found) == 10
        await asyncio.sleep(1)
        street.hear(7000, A)
        assert len(street.found) == 11

    story(tell)


def test_a_thousand_torrents_are_not_said_all_at_once() -> None:
    async def tell(street: Street) -> None:
        hashes = [InfoHash(number.to_bytes(20, "big")) for number in range(1000)]
        for info_hash in hashes:
            street.source(info_hash)
        await asyncio.sleep(1.5)
        assert len(street.ear.said) == 10
        await asyncio.sleep(10)
        assert len(street.ear.said) == 50
        assert all(street.ear.times(info_hash) for info_hash in hashes)

    story(tell)


OTHER = Interface("10.1.1.1", 4)


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[Interface]:
    """Where somebody began to listen."""
    interfaces: list[Interface] = []

    async def note(_: Multicast, interface: Interface) -> None:
        interfaces.append(interface)

    monkeypatch.setattr(Multicast, "open", note)
    return interfaces


def test_another_network_is_noticed_with_the_next_announce(
    opened: list[Interface],
) -> None:
    async def tell(street: Street) -> None:
        street.source(A)
        await asyncio.sleep(100)
        street.interfaces[:] = [OTHER]
        assert not opened
        await asyncio.sleep(300)
        assert opened == [OTHER]
        assert street.ear.closed
        assert street.lsd._ears.keys() == {OTHER}

    story(tell)


def test_another_network_is_noticed_within_a_minute_when_an_address_was_lost(
    opened: list[Interface],
) -> None:
    async def tell(street: Street) -> None:
        source = street.source(A)
        await asyncio.sleep(20)
        street.interfaces[:] = [OTHER]
        street.lsd.moved()
        source.need_more()
        await asyncio.sleep(60)
        assert opened == [OTHER]

    story(tell)


def test_interfaces_are_those_that_are_bound() -> None:
    assert interfaces(["127.0.0.1"]) == [Interface("127.0.0.1", 1)]
    assert interfaces(["127.0.0.7"]) == [Interface("127.0.0.7", 1)]
    assert interfaces(["192.0.2.77", "host.example"]) == []
    everywhere = interfaces(["0.0.0.0", "::"])
    assert everywhere
    loopback = [Address(each.host, 1).ip for each in everywhere]
    assert len({ip is not None and ip.is_loopback for ip in loopback}) == 1


@pytest.mark.parametrize(("group", "host"), [(GROUPS[0], "127.0.0.1"), (GROUPS[1], "::")])
async def test_two_on_one_machine_hear_each_other(group: Address, host: str) -> None:
    heard: list[tuple[str, bytes, Address]] = []
    here = asyncio.Event()

    def listener(name: str) -> Callable[[bytes, Address], None]:
        def hear(data: bytes, source: Address) -> None:
            heard.append((name, data, source))
            if len(heard) == 2:
                here.set()

        return hear

    one, two = (Multicast(group, listener(name)) for name in ("one", "two"))
    place = next(iter(interfaces([host])), None)
    if place is None or place.host == "::1":
        pytest.skip("no interface but the loopback, which has no multicast of IPv6")
    try:
        await one.open(place)
        await two.open(place)
        one.send(b"hello")
        async with asyncio.timeout(PATIENCE):
            await here.wait()
        assert sorted(name for name, _, _ in heard) == ["one", "two"]
        assert {source.host for _, _, source in heard} == {place.host}
    finally:
        for each in (one, two, one):
            each.close()
        one.send(b"nobody hears this")


async def test_an_interface_without_multicast_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: Any) -> None:
        raise OSError("no such device")

    monkeypatch.setattr(Multicast, "open", fail)
    lsd = Lsd(lambda: 1, lambda: [HERE], Random(1))
    await lsd.look_round()
    lsd.announce(A)
    assert not lsd._ears
    assert lsd._timer is None
