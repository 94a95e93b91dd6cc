"""The client of UDP trackers, on virtual time and a network that loses what the test says."""

import asyncio
import socket
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from random import Random
from socket import AF_INET, AF_INET6, AF_UNSPEC, AddressFamily
from typing import Any

import pytest

from p2pswarm.discovery.names import Names
from p2pswarm.discovery.source import Progress
from p2pswarm.discovery.trackers import Trackers, scrape
from p2pswarm.discovery.udp_trackers import PATIENCE, UdpTrackers
from p2pswarm.errors import FormatError, TrackerError
from p2pswarm.formats.ids import Address, InfoHash, PeerId, compact
from p2pswarm.wire.tracker import Announce, Counts, Reply, Scrape
from p2pswarm.wire.tracker_udp import (
    MAX_SCRAPE,
    Action,
    Question,
    announced,
    connected,
    refused,
    scraped,
)
from tests.discovery.virtual import run

ASKED = Announce(InfoHash(b"h" * 20), PeerId(b"p" * 20), 6881, left=1, key=b"0000ABCD")
V4, V6 = Address("192.0.2.1", 6969), Address("2001:db8::1", 6969)
URL = "udp://tracker.example:6969/announce?key=1"
PEER, PEER6 = Address("198.51.100.1", 1), Address("2001:db8::2", 2)
ROUND_TRIP = 0.1


@dataclass
class FakeNames(Names):
    hosts: Sequence[str] = (V4.host, V6.host)

    async def resolve(
        self, host: str, port: int = 0, family: AddressFamily = AF_UNSPEC
    ) -> list[Any]:
        fitting = [
            each
            for each in self.hosts
            if family == AF_UNSPEC or (":" in each) == (family == AF_INET6)
        ]
        if not fitting:
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        return [{"host": each} for each in fitting]


@dataclass
class World:
    """A tracker at both addresses. `lost` are the numbers of datagrams that do not arrive."""

    lost: Callable[[int], bool] = lambda number: False
    names: FakeNames = field(default_factory=FakeNames)
    connection: int = 77
    sent: list[tuple[float, Question, Address]] = field(default_factory=list)
    silent_to_strangers: bool = False
    peers: bytes = compact(PEER)

    def __post_init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.client = UdpTrackers(self.send, dice=Random(1), clock=loop.time, names=self.names)

    def send(self, data: bytes, address: Address) -> None:
        loop = asyncio.get_running_loop()
        question = Question.read(data)
        self.sent.append((loop.time(), question, address))
        answer = None if self.lost(len(self.sent) - 1) else self.answer(question, address)
        if answer is not None:
            loop.call_later(ROUND_TRIP, self.arrives, answer, address)

    def arrives(self, data: bytes, address: Address) -> bool:
        ours = self.client.ours(data, address)
        if ours:
            self.client.got(data, address)
        return ours

    def answer(self, question: Question, address: Address) -> bytes | None:
        if question.action == Action.CONNECT:
            return connected(question.transaction, self.connection)
        if question.connection != self.connection:
            return None if self.silent_to_strangers else refused(question.transaction, "who?", 99)
        if question.action == Action.SCRAPE:
            return scraped(question.transaction, [Counts(1, 2, 3)] * 9)
        reply = Reply(900, peers=self.peers, peers6=compact(PEER6), complete=4, incomplete=5)
        return announced(question.transaction, reply, 18 if ":" in address.host else 6)

    async def announce(
        self, family: AddressFamily = AF_INET, seconds: float = 30, url: str = URL
    ) -> Reply:
        return await self.client.announce(url, ASKED, seconds, family)

    @property
    def kinds(self) -> list[int]:
        return [question.action for _, question, _ in self.sent]

    @property
    def times(self) -> list[float]:
        return [round(time, 3) for time, _, _ in self.sent]


async def no_http(url: str, seconds: float, family: AddressFamily) -> bytes:
    raise AssertionError(url)


def live(story: Callable[[], Coroutine[Any, Any, None]]) -> None:
    run(story())


def test_one_announce_is_two_round_trips() -> None:
    async def story() -> None:
        world = World()
        reply = await world.announce()
        assert reply.addresses() == [PEER]
        assert (reply.interval, reply.complete, reply.incomplete) == (900, 4, 5)
        assert world.kinds == [Action.CONNECT, Action.ANNOUNCE]
        assert world.times == [0, ROUND_TRIP]
        question = world.sent[1][1]
        assert question.read_announce() == ASKED
        assert question.url_data() == b"/announce?key=1"

    live(story)


def test_each_family_has_its_own_address_and_stride() -> None:
    async def story() -> None:
        world = World()
        assert (await world.announce(AF_INET6)).addresses() == [PEER6]
        assert (await world.announce(AF_INET)).addresses() == [PEER]
        assert [address for _, _, address in world.sent] == [V6, V6, V4, V4]

    live(story)


def test_who_is_far_names_nobody_near() -> None:
    async def story() -> None:
        far = Address("1.2.3.4", 1)
        for tracker, believed in (("192.168.1.1", [far, PEER]), ("1.1.1.1", [far])):
            world = World(names=FakeNames((tracker,)))
            world.peers = compact(far) + compact(PEER)
            assert (await world.announce()).addresses() == believed

    live(story)


def test_a_connection_id_is_used_for_a_minute() -> None:
    async def story() -> None:
        world = World()
        await world.announce()
        await asyncio.sleep(59)
        await world.announce()
        await asyncio.sleep(2)
        await world.announce()
        assert world.kinds == [
            Action.CONNECT,
            Action.ANNOUNCE,
            Action.ANNOUNCE,
            Action.CONNECT,
            Action.ANNOUNCE,
        ]

    live(story)


def test_many_torrents_fetch_one_connection_id() -> None:
    async def story() -> None:
        world = World()
        await asyncio.gather(*(world.announce() for _ in range(50)))
        assert world.kinds == [Action.CONNECT] + [Action.ANNOUNCE] * 50
        assert len({question.transaction for _, question, _ in world.sent}) == 51

    live(story)


def test_who_waits_for_another_who_gave_up_connects_itself() -> None:
    async def story() -> None:
        world = World(lost=lambda number: number == 0)
        first = asyncio.gather(world.announce(seconds=1), return_exceptions=True)
        await asyncio.sleep(0.5)
        reply = await world.announce()
        assert reply.addresses() == [PEER]
        assert isinstance((await first)[0], TrackerError)
        assert world.times[:2] == [0, 1]

    live(story)


def test_what_gets_lost_is_repeated() -> None:
    async def story() -> None:
        world = World(lost=lambda number: number in (0, 1, 3))
        await world.announce()
        assert world.kinds == [Action.CONNECT] * 3 + [Action.ANNOUNCE] * 2
        assert world.times == [0, 2.5, 7.5, 7.6, 10.1]
        transactions = [question.transaction for _, question, _ in world.sent]
        assert len(set(transactions)) == 2

    live(story)


@pytest.mark.parametrize(("seconds", "ends"), [(30, 17.5), (2, 2)])
def test_silence_ends_soon(seconds: float, ends: float) -> None:
    async def story() -> None:
        world = World(lost=lambda number: True)
        with pytest.raises(TrackerError, match="no answer"):
            await world.announce(seconds=seconds)
        assert asyncio.get_running_loop().time() == ends
        assert len(world.sent) == (3 if seconds > 20 else 1)
        assert not world.client._waiting

    live(story)


def test_all_of_it_together_ends_too() -> None:
    async def story() -> None:
        world = World(lost=lambda number: number != 2)
        with pytest.raises(TrackerError, match="no answer"):
            await world.announce()
        assert asyncio.get_running_loop().time() == PATIENCE

    live(story)


@pytest.mark.parametrize(
    ("silent", "costs"), [(False, 3 * ROUND_TRIP), (True, 2.5 + 2 * ROUND_TRIP)]
)
def test_a_tracker_that_started_anew(silent: bool, costs: float) -> None:
    async def story() -> None:
        world = World(silent_to_strangers=silent)
        await world.announce()
        began = asyncio.get_running_loop().time()
        world.connection = 88
        assert (await world.announce()).addresses() == [PEER]
        assert asyncio.get_running_loop().time() - began == pytest.approx(costs)

    live(story)


def test_a_refusal_is_said() -> None:
    async def story() -> None:
        world = World()
        world.answer = lambda question, address: refused(question.transaction, "no", 99)  # type: ignore[method-assign]
        with pytest.raises(TrackerError, match=r"^no$"):
            await world.announce()

    live(story)


def test_what_is_not_from_there_is_nobodys() -> None:
    async def story() -> None:
        world = World(lost=lambda number: True)
        asking = asyncio.gather(world.announce(), return_exceptions=True)
        await asyncio.sleep(1)
        transaction = world.sent[0][1].transaction
        forged = connected(transaction, 1)
        assert not world.arrives(forged, Address(V4.host, V4.port + 1))
        assert not world.arrives(forged, V6)
        assert not world.arrives(connected(transaction ^ 1, 1), V4)
        assert not world.arrives(forged[:7], V4)
        assert not world.arrives(b"", V4)
        world.client.got(forged, V6)
        assert world.arrives(forged, V4)
        assert world.arrives(forged, V4)  # it came twice
        await asyncio.sleep(0.1)
        assert not world.arrives(forged, V4)
        asking.cancel()

    live(story)


def test_an_answer_of_another_kind_is_an_error() -> None:
    async def story() -> None:
        world = World()
        world.answer = lambda question, address: connected(question.transaction, 77)  # type: ignore[method-assign]
        with pytest.raises(FormatError, match="of another kind"):
            await world.announce()

    live(story)


def test_a_name_that_comes_to_exist() -> None:
    async def story() -> None:
        world = World(names=FakeNames(()))
        with pytest.raises(TrackerError, match="no address"):
            await world.announce()
        world.names.hosts = (V4.host,)
        await world.announce()
        with pytest.raises(TrackerError, match="no address"):
            await world.announce(AF_INET6)

    live(story)


def test_of_several_addresses_any_is_asked() -> None:
    async def story() -> None:
        world = World(names=FakeNames([f"192.0.2.{n}" for n in range(1, 9)]))
        await asyncio.gather(*(world.announce() for _ in range(50)))
        assert len({address for _, _, address in world.sent}) > 4

    live(story)


def test_an_address_needs_no_name() -> None:
    async def story() -> None:
        world = World(names=FakeNames(()))
        assert (await world.announce(url="udp://192.0.2.1:6969")).addresses() == [PEER]
        assert world.sent[1][1].url_data() == b""
        assert (await world.announce(AF_UNSPEC, url="udp://[2001:db8::1]:6969/")).addresses() == [
            PEER6
        ]
        with pytest.raises(TrackerError, match="no address of a family"):
            await world.announce(AF_INET6, url="udp://192.0.2.1:6969")

    live(story)


@pytest.mark.parametrize(
    "url",
    [
        "udp://host", "udp://host:0", "udp://host:x", "udp://:5", "udp://[::1:5", "http://host:5",
        "udp://host:5/\u00e4", "udp://host:5/\n", "udp://host:5/" + "x" * 1000, "udp://224.0.0.1:5",
        "udp://255.255.255.255:5", "udp://0.0.0.0:5",
    ],
)  # fmt: skip
def test_what_cannot_be_asked(url: str) -> None:
    async def story() -> None:
        world = World()
        with pytest.raises(TrackerError):
            await world.announce(url=url)
        assert not world.sent

    live(story)


def test_a_scrape() -> None:
    async def story() -> None:
        world = World()
        swarms = [InfoHash(bytes([n]) * 20) for n in range(2)]
        reply = await scrape(no_http, URL, swarms, world.client)
        assert reply.swarms == dict.fromkeys(swarms, Counts(1, 2, 3))
        assert list(world.sent[1][1].read_scrape().info_hashes) == swarms
        for count in (0, MAX_SCRAPE + 1):
            with pytest.raises(TrackerError, match="1 to 74"):
                await world.client.scrape(URL, Scrape(swarms[:1] * count), 30, AF_INET)

    live(story)


def test_connection_ids_cost_bounded_memory() -> None:
    async def story() -> None:
        world = World()
        for number in range(1100):
            await world.announce(url=f"udp://192.0.2.1:{6000 + number}")
        assert len(world.client._ids) <= 1000

    live(story)


LIES: dict[str, Callable[[Question], bytes | None]] = {
    "silence": lambda asked: None,
    "silence after the connection id": lambda asked: (
        connected(asked.transaction, 77) if asked.action == Action.CONNECT else None
    ),
    "an error": lambda asked: refused(asked.transaction, "go away", 99),
    "an error without words": lambda asked: refused(asked.transaction, "", 99),
    "an error that is no text": lambda asked: (
        refused(asked.transaction, "", 9) + b"\xff\0\x1b" * 999
    ),
    "always a connection id": lambda asked: connected(asked.transaction, 77),
    "always peers": lambda asked: announced(asked.transaction, Reply(peers=bytes(range(6))), 6),
    "always sizes": lambda asked: scraped(asked.transaction, [Counts(1, 2, 3)]),
    "another transaction": lambda asked: connected(asked.transaction ^ 1, 77),
    "nothing": lambda asked: b"",
    "half a head": lambda asked: connected(asked.transaction, 77)[:7],
    "a head": lambda asked: connected(asked.transaction, 77)[:8],
    "an unknown kind": lambda asked: b"\0\0\0\7" + connected(asked.transaction, 77)[4:],
    "its own question": lambda asked: asked.data,
    "HTTP": lambda asked: b"HTTP/1.1 200 OK\r\n\r\nd8:intervali1800ee",
    "an interval of nothing": lambda asked: then(asked, Reply(0, peers=compact(PEER))),
    "an interval of for ever": lambda asked: then(asked, Reply(2**32 - 1)),
    "nowhere": lambda asked: then(asked, Reply(peers=bytes(6) + b"\xe0\0\0\1\0\1" + b"\xff" * 6)),
    "more than it may": lambda asked: then(asked, Reply(peers=b"\x01\2\3\4\0\1" * 10_000)),
    "a part of a peer": lambda asked: then(asked, Reply(peers=b"\1\2\3\4\5")),
}


def then(asked: Question, reply: Reply) -> bytes:
    if asked.action == Action.CONNECT:
        return connected(asked.transaction, 77)
    return announced(asked.transaction, reply, 6)


@pytest.mark.parametrize("lie", LIES)
def test_beside_one_that_lies_the_good_one_is_found_and_nobody_is_hammered(lie: str) -> None:
    found: list[Address] = []

    async def good(url: str, seconds: float, family: AddressFamily) -> bytes:
        return Reply(1800, peers=compact(PEER)).encode()

    async def story() -> None:
        world = World()
        world.answer = lambda question, address: LIES[lie](question)  # type: ignore[method-assign]
        trackers = Trackers(
            [[URL], ["http://good/announce"]], ASKED.info_hash, ASKED.peer_id, lambda: 6881,
            fetch=good, udp=world.client, families=(AF_INET,), dice=Random(1),
            clock=asyncio.get_running_loop().time,
        )  # fmt: skip
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(trackers.run(lambda: Progress(0, 0, 1), found.append))
            await asyncio.sleep(3600)
            await trackers.leave()
        assert PEER in found
        assert all(address.dialable for address in found)
        assert len(world.sent) < 130
        assert not world.client._waiting

    live(story)
