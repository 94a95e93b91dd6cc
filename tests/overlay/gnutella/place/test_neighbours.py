"""Who is dialed, let in and kept: bootstrap, places, doors that are knocked at too often, and goodbyes."""

import asyncio
from itertools import pairwise

import pytest
from typing_extensions import override

from p2pswarm.errors import NetworkError
from p2pswarm.formats.ids import Address
from p2pswarm.formats.zones import Zone
from p2pswarm.net.stream import Stream
from p2pswarm.overlay.gnutella.links.agreement import RefusedGreetingError, Role
from p2pswarm.overlay.gnutella.place import neighbours, slots
from p2pswarm.overlay.gnutella.place.slots import Wish
from p2pswarm.wire.framer import CuttingFramer
from p2pswarm.wire.gnutella.descriptor import Kind
from p2pswarm.wire.gnutella.pings import Pong
from tests.support.gnutella import PORT, Mesh, Stranger, play


class Plain(CuttingFramer):
    """Bytes as they come."""

    @override
    def _cut(self, view: memoryview, into: list[object]) -> int:
        into.append(bytes(view))
        return len(view)


class Browser:
    """Speaks plain text, and keeps what it is answered."""

    stream: Stream

    def __init__(self) -> None:
        self.heard = bytearray()
        self.over = False

    async def say(self, mesh: Mesh, to: Address, text: bytes) -> None:
        host = mesh.host()
        _, self.stream = await mesh.loop.create_connection(
            lambda: Stream(Plain(), self), *to, local_addr=(host.name, 0)
        )
        self.stream.send(text)
        await asyncio.sleep(1.5)

    def got(self, message: object) -> None:
        assert isinstance(message, bytes)
        self.heard += message

    def caught_up(self) -> None: ...
    def drained(self) -> None: ...

    def closed(self, reason: Exception | None) -> None:
        self.over = True


# Getting in


def test_nobody_to_dial_is_no_error() -> None:
    async def story(mesh: Mesh) -> None:
        alone = mesh.servent()
        await alone.open()
        await asyncio.sleep(100)
        assert not alone.router.links
        other = mesh.servent()
        await other.open(connect=[alone.address])
        await mesh.until(lambda: alone.neighbours_of == {other.host.name})

    play(story)


def test_who_is_named_may_come_later() -> None:
    async def story(mesh: Mesh) -> None:
        early, late = mesh.servent(), mesh.servent()
        await early.open(connect=[late.address])
        await asyncio.sleep(100)
        await late.open()
        await mesh.until(lambda: early.neighbours_of == {late.host.name}, 100)

    play(story)


def test_the_host_cache_alone_is_enough() -> None:
    async def story(mesh: Mesh) -> None:
        first, second, third = mesh.servent(), mesh.servent(), mesh.servent()
        await first.open()
        await second.open(connect=[first.address])
        await mesh.until(lambda: bool(second.router.links))
        third.hosts.load(second.hosts.dump(mesh.loop.time()))
        await third.open()
        await mesh.until(lambda: len(third.router.links) == 2)

    play(story)


def test_of_a_name_the_address_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(mesh: Mesh) -> None:
        first, second = mesh.servent(), mesh.servent()

        async def look_up(address: Address) -> Address:
            return first.address

        monkeypatch.setattr(neighbours, "_look_up", look_up)
        await first.open()
        await second.open(connect=[Address("gnutella.example.org", PORT)])
        await mesh.until(lambda: bool(second.router.links))
        assert second.hosts.proven(first.address)

    play(story)


def test_a_cache_of_hosts_that_are_gone_holds_nobody_up() -> None:
    async def story(mesh: Mesh) -> None:
        first, second = mesh.servent(), mesh.servent()
        await first.open()
        for number in range(20):
            gone = mesh.host(f"10.0.1.{number}")
            second.hosts.connected(Address(gone.name, PORT), 0.0)
        second.hosts.connected(first.address, 0.0)
        await asyncio.sleep(100)
        await second.open()
        await mesh.until(lambda: bool(second.router.links), 30)

    play(story)


def test_we_do_not_stay_connected_to_ourselves() -> None:
    async def story(mesh: Mesh) -> None:
        one = mesh.servent()
        one.hosts.tell(one.address, "10.0.0.9", 0.0, zone=Zone.LOCAL_NETWORK)
        await one.open(connect=[one.address])
        await asyncio.sleep(100)
        assert not one.router.links
        assert one.address not in one.hosts

    play(story)


def test_two_that_dial_each_other_have_one_link() -> None:
    async def story(mesh: Mesh) -> None:
        one, other = mesh.servent(), mesh.servent()
        await one.open(connect=[other.address])
        await other.open(connect=[one.address])
        await mesh.until(lambda: one.router.links and other.router.links)
        await asyncio.sleep(100)
        assert len(one.router.links) == len(other.router.links) == 1
        (link,) = one.router.links
        assert link.since < 5

    play(story)


def test_a_lost_neighbour_is_dialed_again() -> None:
    async def story(mesh: Mesh) -> None:
        one, other = mesh.servent(), mesh.servent()
        await one.open()
        await other.open(connect=[one.address])
        await mesh.until(lambda: bool(other.router.links))
        for _ in range(3):
            await asyncio.sleep(100)
            (lost,) = one.router.links
            lost.close()
            await mesh.until(lambda lost=lost: {*one.router.links} - {lost})

    play(story)


def test_who_goes_says_goodbye() -> None:
    async def story(mesh: Mesh) -> None:
        one = mesh.servent()
        await one.open()
        other = await mesh.stranger().dial(one)
        await one.close()
        await asyncio.sleep(1)
        assert other.link.told is not None
        assert (other.link.told.code, other.link.told.text) == (200, "I leave")
        with pytest.raises(NetworkError):
            await mesh.stranger().dial(one)

    play(story)


# Places


def test_a_leaf_has_three_ultrapeers() -> None:
    async def story(mesh: Mesh) -> None:
        above = [mesh.servent() for _ in range(6)]
        for servent in above:
            await servent.open(Wish.ULTRAPEER)
        leaf = mesh.servent()
        await leaf.open(Wish.LEAF, [servent.address for servent in above])
        await asyncio.sleep(30)
        assert len(leaf.router.links) == 3
        with pytest.raises(RefusedGreetingError, match="503 Busy"):
            await mesh.stranger().dial(leaf, Role.ULTRAPEER)

    play(story)


def test_who_finds_no_place_is_sent_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slots, "MOST_LEAVES", 2)

    async def story(mesh: Mesh) -> None:
        first, second = mesh.servent(), mesh.servent()
        await first.open(Wish.ULTRAPEER)
        await second.open(Wish.ULTRAPEER, [first.address])
        await mesh.until(lambda: bool(first.router.links))
        leaves = [mesh.servent() for _ in range(3)]
        for leaf in leaves:
            await leaf.open(Wish.LEAF, [first.address], goal=1)
        await mesh.until(lambda: all(leaf.router.links for leaf in leaves))
        await asyncio.sleep(1)
        assert len(first.router.leaves()) == 2
        assert len(second.router.leaves()) == 1

    play(story)


def test_one_host_does_not_take_all_places() -> None:
    async def story(mesh: Mesh) -> None:
        one = mesh.servent()
        await one.open()
        one.loop.hosts["8.8.8.8"] = mesh.host("8.8.8.8")
        strangers = [Stranger(mesh, mesh.host("8.8.8.8")) for _ in range(5)]
        for stranger in strangers:
            await stranger.dial(one)
        await asyncio.sleep(1)
        assert [stranger.reason is None for stranger in strangers] == [True] * 3 + [False] * 2

    play(story)


def test_who_knocks_too_often_is_not_heard() -> None:
    async def story(mesh: Mesh) -> None:
        one = mesh.servent()
        await one.open(goal=0)
        for _ in range(20):
            stranger = await Stranger(mesh, mesh.host("8.8.8.8")).dial(one)
            stranger.link.close()
        one.neighbours._knocks._hosts["8.8.8.8"].take(mesh.loop.time())  # regained meanwhile
        with pytest.raises(NetworkError):
            await Stranger(mesh, mesh.host("8.8.8.8")).dial(one)
        await mesh.stranger("9.9.9.9").dial(one)

    play(story)


def test_addresses_from_afar_do_not_make_us_dial_what_is_near() -> None:
    async def story(mesh: Mesh) -> None:
        victim, one = mesh.servent(), mesh.servent()
        await victim.open()
        await one.open()
        far = mesh.stranger("8.8.8.8")
        await far.dial(one)
        for near in (victim.address, Address("127.0.0.1", 22), Address("192.168.1.1", 80)):
            far.say(Kind.PONG, Pong(near, 1, 1).encode(), hops=1)
        await asyncio.sleep(30)
        assert one.neighbours_of == {"8.8.8.8"}
        assert len(one.hosts) == 0

    play(story)


# What others see


def test_a_crawler_sees_the_graph() -> None:
    async def story(mesh: Mesh) -> None:
        row = [mesh.servent() for _ in range(3)]
        await row[0].open(goal=0)
        for before, servent in pairwise(row):
            await servent.open(connect=[before.address], goal=0)
        await mesh.until(lambda: len(row[1].router.links) == 2)
        browser = Browser()
        await browser.say(mesh, row[1].address, b"GNUTELLA CONNECT/0.6\r\nCrawler: 0.1\r\n\r\n")
        lines = browser.heard.decode().split("\r\n")
        assert lines[0] == "GNUTELLA/0.6 200 OK"
        (peers,) = [line[7:] for line in lines if line.startswith("Peers: ")]
        assert set(peers.split(", ")) == {str(row[0].address), str(row[2].address)}
        assert browser.over

    play(story)


def test_a_leaf_that_becomes_an_ultrapeer_for_another_says_how_many_it_will_know() -> None:
    async def story(mesh: Mesh) -> None:
        one = mesh.servent()
        await one.open(Wish.AUTO)
        browser = Browser()
        hello = b"GNUTELLA CONNECT/0.6\r\nX-Ultrapeer: False\r\n\r\n"
        await browser.say(mesh, one.address, hello)
        lines = browser.heard.decode().split("\r\n")
        assert {"X-Ultrapeer: True", "X-Degree: 16"} <= set(lines)

    play(story)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (b"GNUTELLA CONNECT/0.4\n\n", b""),
        (
            b"GNUTELLA CONNECT/0.6\r\nX-Ultrapeer: nonsense\r\nGUID: x\r\n\r\n",
            b"GNUTELLA/0.6 200 OK",
        ),
        (b"GNUTELLA CONNECT/0.6\r\nno header\r\n\r\n", b""),
        (b"GNUTELLA CONNECT/0.6\r\n" + b"A: b\r\n" * 5000, b""),
        (b"GNUTELLA CONNECT/0.6\n\n", b"GNUTELLA/0.6 200 OK"),
        (b"GNUTELLA CONNECT/0.7\r\n\r\n", b"GNUTELLA/0.6 200 OK"),
    ],
)
def test_odd_greetings(text: bytes, answer: bytes) -> None:
    async def story(mesh: Mesh) -> None:
        one = mesh.servent()
        await one.open()
        browser = Browser()
        await browser.say(mesh, one.address, text)
        assert browser.heard.split(b"\r\n")[0] == answer
        assert browser.over is not bool(answer)
        await asyncio.sleep(10)
        assert browser.over  # it says nothing more, and the door has a clock

    play(story)


def test_gnutella_0_4_where_it_is_wanted() -> None:
    async def story(mesh: Mesh) -> None:
        one = mesh.servent("blue moon.ogg")
        await one.open(legacy=True)
        browser = Browser()
        query = bytes(16) + b"\x80\x07\x00\x07\x00\x00\x00" + b"\x00\x00blue\x00"
        await browser.say(mesh, one.address, b"GNUTELLA CONNECT/0.4\n\n" + query)
        assert browser.heard.startswith(b"GNUTELLA OK\n\n")
        assert b"blue moon.ogg" in browser.heard

    play(story)


def test_a_snapshot() -> None:
    async def story(mesh: Mesh) -> None:
        one = mesh.servent()
        await one.open(Wish.ULTRAPEER)
        await mesh.stranger().dial(one, Role.LEAF)
        await mesh.stranger().dial(one, Role.ULTRAPEER)
        status = one.neighbours.status()
        assert (status.role, status.leaves, len(status.links)) == (Role.ULTRAPEER, 1, 2)

    play(story)
