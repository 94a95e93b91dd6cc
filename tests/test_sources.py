"""Hosts as sources of a download: each once, and what is said of them to their networks."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from types import SimpleNamespace

from p2pswarm.formats.ids import Address, PieceIndex
from p2pswarm.overlay.query import Hit
from p2pswarm.sources import MOST_SOURCES, Sources
from p2pswarm.swarm.events import Completed, PeerBanned, PieceDone

HERE = Address("8.8.8.8", 6346)


class Network:
    """It names others while a host gives, and remembers what it is told."""

    def __init__(self) -> None:
        self.named: list[Hit] = []
        self.told: list[tuple[str, bool]] = []

    async def fetch(
        self, hit: Hit, offset: int, sink: Callable[[bytes], bool], gate: asyncio.Event
    ) -> int:
        self.named = [hit_of("later", Address("8.8.4.4", 1))]
        sink(b"abc")
        assert not self.named  # heard of before the end
        return 3

    def others(self, hit: Hit) -> Sequence[Hit]:
        named, self.named = self.named, []
        return named

    def judge(self, hit: Hit, *, good: bool) -> None:
        self.told.append((hit.nick, good))


class Torrent:
    def __init__(self, events: Sequence[object] = ()) -> None:
        self.sources: list[SimpleNamespace] = []
        self.hosts: list[object] = []
        self._events = events
        self.shareable = True

    def add_source(self, host: object) -> None:
        self.hosts.append(host)
        self.sources.append(SimpleNamespace(address=host.address, proved=True))  # type: ignore[attr-defined]

    async def events(self) -> AsyncIterator[object]:
        for event in self._events:
            yield event


def hit_of(nick: str, host: Address | None = None, **more: object) -> Hit:
    return Hit("blue moon.ogg", 3, "gnutella", host=host, nick=nick, **more)  # type: ignore[arg-type]


def sources(torrent: Torrent, network: Network) -> Sources:
    return Sources(lambda hit: network, torrent)  # type: ignore[arg-type, return-value]


def test_each_host_is_a_source_once() -> None:
    torrent = Torrent()
    near = Address("192.168.0.2", 6346)  # of many networks
    sources(torrent, Network()).add(
        [
            hit_of("one", HERE),
            hit_of("", HERE),
            hit_of("two", near, firewalled=True),
            hit_of("three", near, firewalled=True),
            hit_of("three", near, firewalled=True),
            hit_of("four"),
            hit_of("five", Address("8.8.8.8", 0)),
            hit_of("six", Address("8.8.8.8", 0)),
        ]
    )
    assert [host.hit.nick for host in torrent.hosts] == [  # type: ignore[attr-defined]
        "one",
        "two",
        "three",
        "four",
        "five",
        "six",
    ]


def test_there_is_an_end_of_them() -> None:
    torrent = Torrent()
    many = [hit_of("", Address("8.8.8.8", port)) for port in range(1, 1000)]
    sources(torrent, Network()).add(many)
    assert len(torrent.hosts) == MOST_SOURCES


async def test_who_is_named_while_another_gives_is_asked_then() -> None:
    torrent, network = Torrent(), Network()
    sources(torrent, network).add([hit_of("one", HERE)])
    (host,) = torrent.hosts
    await host.fetch(0, lambda data: True, asyncio.Event())  # type: ignore[attr-defined]
    assert len(torrent.hosts) == 2


async def test_who_gave_wrong_bytes_is_never_good_again() -> None:
    done, banned = PieceDone(PieceIndex(0)), PeerBanned(HERE)
    torrent, network = Torrent([done, done, banned, done]), Network()
    told = sources(torrent, network)
    told.add([hit_of("liar", HERE), hit_of("honest", Address("8.8.4.4", 1))])
    await told.judge()
    assert network.told == [("liar", True), ("honest", True), ("liar", False)]


async def test_bytes_that_nobody_can_check_prove_nothing_before_the_end() -> None:
    torrent, network = Torrent([PieceDone(PieceIndex(0))]), Network()
    torrent.shareable = False
    told = sources(torrent, network)
    told.add([hit_of("liar", HERE)])
    await told.judge()
    assert network.told == []
    torrent._events = [Completed()]
    await told.judge()
    assert network.told == [("liar", True)]
