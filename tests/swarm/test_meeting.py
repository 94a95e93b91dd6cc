"""Hole punching: as the third, as one of the two, and all three together behind NATs of a virtual network."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from p2pswarm.formats.ids import Address
from p2pswarm.swarm.events import Seeding
from p2pswarm.swarm.meeting import Meetings
from p2pswarm.wire.extension.holepunch import Holepunch, HolepunchError, HolepunchKind
from p2pswarm.wire.extension.numbers import HOLEPUNCH, PEX
from tests.support.world import Host, World, simulate

US = Address("8.0.0.1", 46881)
KINDS = HolepunchKind


class FakePeer:
    """Remembers what it is told."""

    def __init__(self, number: int, *, speaks: bool = True, knows: Address | None = None) -> None:
        self.address = Address(f"8.8.8.{number}", 6881)
        self.stream = SimpleNamespace(remote=Address(self.address.host, 50_000), utp=False)
        self.told: list[Holepunch | None] = []
        self.extensions = SimpleNamespace(
            speaks=lambda _: speaks,
            say=lambda name, payload: self._hear(name, payload),
            may_introduce=lambda address: speaks and address == knows,
        )

    def _hear(self, name: str, payload: bytes) -> None:
        assert name == HOLEPUNCH
        self.told.append(Holepunch.decode(payload))


class Room:
    """The meetings of a torrent with these peers."""

    def __init__(self, *peers: Any) -> None:
        self.peers, self.met, self.now = peers, list[Address](), 0.0
        self.meetings = Meetings(
            lambda: self.peers, lambda address: address == US, lambda: self.now, self.met.append
        )

    def hear(self, peer: Any, kind: HolepunchKind, address: Address) -> None:
        self.meetings.heard(peer, Holepunch(kind, address))


@pytest.fixture
def pair() -> tuple[FakePeer, FakePeer]:
    return FakePeer(1), FakePeer(2)


def test_two_that_we_know_are_told_of_each_other(pair: tuple[FakePeer, FakePeer]) -> None:
    one, other = pair
    Room(one, other).hear(one, KINDS.RENDEZVOUS, other.address)
    assert one.told == [Holepunch(KINDS.CONNECT, other.address)]
    assert other.told == [Holepunch(KINDS.CONNECT, one.address)]


def test_behind_a_nat_a_peer_is_where_its_packets_come_from(
    pair: tuple[FakePeer, FakePeer],
) -> None:
    one, other = pair
    one.stream.utp = other.stream.utp = True
    Room(one, other).hear(one, KINDS.RENDEZVOUS, other.address)
    assert one.told == [Holepunch(KINDS.CONNECT, other.stream.remote)]
    assert other.told == [Holepunch(KINDS.CONNECT, one.stream.remote)]


@pytest.mark.parametrize(
    ("wish", "error"),
    [
        (Address("9.9.9.9", 1), HolepunchError.NOT_CONNECTED),
        (Address("8.8.8.1", 6881), HolepunchError.NOT_CONNECTED),  # itself
        (Address("8.8.8.2", 6881), HolepunchError.NO_SUPPORT),
        (Address("0.0.0.0", 1), HolepunchError.NO_SUCH_PEER),
        (US, HolepunchError.NO_SELF),
    ],
)
def test_whom_we_cannot_introduce(wish: Address, error: HolepunchError) -> None:
    one, other = FakePeer(1), FakePeer(2, speaks=False)
    Room(one, other).hear(one, KINDS.RENDEZVOUS, wish)
    assert one.told == [Holepunch(KINDS.ERROR, wish, error)]
    assert not other.told


def test_nobody_is_introduced_more_often_than_ten_times_a_minute(
    pair: tuple[FakePeer, FakePeer],
) -> None:
    one, other = pair
    room = Room(one, other)
    for _ in range(30):
        room.hear(one, KINDS.RENDEZVOUS, other.address)
    assert len(other.told) == len(one.told) == 10
    room.hear(other, KINDS.RENDEZVOUS, one.address)
    assert len(other.told) == 11, "each has its own minute"
    room.now = 60.0
    room.hear(one, KINDS.RENDEZVOUS, other.address)
    assert len(other.told) == 12


def test_an_address_is_met_once_in_ten_minutes_and_few_in_one(
    pair: tuple[FakePeer, FakePeer],
) -> None:
    room = Room(*pair)
    there = Address("9.9.9.9", 7000)
    for _ in range(3):
        room.hear(pair[0], KINDS.CONNECT, there)
    assert room.met == [there]
    room.now = 599.0
    room.hear(pair[1], KINDS.CONNECT, there)
    assert room.met == [there]
    room.now = 600.0
    room.hear(pair[1], KINDS.CONNECT, there)
    assert room.met == [there, there]
    for number in range(1, 100):
        room.hear(pair[0], KINDS.CONNECT, Address(there.host, number))
    assert len(room.met) == 2, "the host is the same"
    for number in range(1, 100):
        room.hear(pair[0], KINDS.CONNECT, Address(f"9.1.1.{number}", 7000))
    assert len(room.met) == 11


@pytest.mark.parametrize(
    "there", [Address("192.168.0.1", 80), Address("127.0.0.1", 80), US, Address("9.9.9.9", 0)]
)
def test_nobody_is_met_who_is_nearer_than_the_third_or_no_peer(there: Address) -> None:
    room = Room(FakePeer(1))
    room.hear(room.peers[0], KINDS.CONNECT, there)
    room.hear(room.peers[0], KINDS.CONNECT, room.peers[0].address)
    assert not room.met


def test_one_that_knows_is_asked_for_whom_we_cannot_reach() -> None:
    there = Address("9.9.9.9", 7000)
    deaf, knows, also = FakePeer(1), FakePeer(2, knows=there), FakePeer(3, knows=there)
    room = Room(deaf, knows, also)
    room.meetings.unreached(there)
    room.meetings.unreached(Address("9.9.9.8", 1))
    assert knows.told == [Holepunch(KINDS.RENDEZVOUS, there)]
    assert not deaf.told
    assert not also.told


# All three


def put_behind_nat(world: World, host: Host, port: int) -> None:
    """Nobody can dial it, datagrams come through from where it sent some itself, and its port is another."""
    world.loop.listeners.pop((host.name, 46881))
    ear = world.loop.ears.pop((host.name, 46881))
    world.loop.ears[host.name, port], ear._name = ear, (host.name, port)
    sendto, receive, opened = ear.sendto, ear.protocol.datagram_received, set[str]()

    def send(data: bytes, addr: tuple[str, int]) -> None:
        opened.add(addr[0])
        sendto(data, addr)

    def hear(data: bytes, addr: tuple[str, int]) -> None:
        if addr[0] in opened:
            receive(data, addr)

    ear.sendto = send  # type: ignore[method-assign]
    ear.protocol = SimpleNamespace(
        datagram_received=hear, connection_lost=ear.protocol.connection_lost
    )


@pytest.mark.sim
@pytest.mark.parametrize(
    ("port", "transport", "punch"),
    [
        (46881, "both", True),
        (60_001, "utp", True),  # to a third that they know by TCP nobody's other port shows
        (46881, "both", False),
    ],
)
def test_two_behind_nats_meet_with_the_help_of_a_third(
    port: int, transport: str, tmp_path: Path, *, punch: bool
) -> None:
    async def story(world: World) -> None:
        hosts = [world.host(delay=delay) for delay in (0.01, 0.02, 0.03)]
        slow = {"up_limit": 20_000, "transport": transport}
        seed, third, downloader = [await world.node(host, **slow) for host in hosts]
        meta, folder = world.content(3_000_000, 1 << 16)
        here = await third.add(meta, save_to=tmp_path / "third")
        here.offered -= set() if punch else {HOLEPUNCH}
        await world.until(lambda: here.ready)
        giver = await seed.add(meta, data=folder)
        giver.offered -= {PEX}  # else it may dial by itself in the same moment
        await world.until(lambda: giver.state == Seeding())
        for host in (hosts[0], hosts[2]):
            put_behind_nat(world, host, port)
        torrent = await world.download(downloader, meta, hosts[1])
        giver.add_peer(Address(hosts[1].name, 46881))

        def met() -> bool:
            peers = torrent.peers.values()
            return any(p.stream.utp and p.address.host == hosts[0].name for p in peers)

        if punch:
            await world.until(met, 30.0)
        else:
            with pytest.raises(TimeoutError):
                await world.until(met, 30.0)

    simulate(tmp_path, story)
