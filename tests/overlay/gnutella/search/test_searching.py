import asyncio
from contextlib import aclosing
from random import Random
from types import SimpleNamespace

import pytest

from p2pswarm.errors import NetworkError
from p2pswarm.formats.ids import Address, InfoHash
from p2pswarm.formats.zones import Zone
from p2pswarm.overlay.gnutella.routing.dynamic import LIFETIME
from p2pswarm.overlay.gnutella.search.searching import (
    AFTER_HASH,
    Searching,
    question_for,
)
from p2pswarm.overlay.network import Cost
from p2pswarm.overlay.query import Digest, Query as Asked
from p2pswarm.wire.gnutella.descriptor import Descriptor, Kind, new_guid
from p2pswarm.wire.gnutella.hit import QueryHit
from p2pswarm.wire.gnutella.query import Query, QueryFlags
from p2pswarm.wire.gnutella.results import Result
from tests.support.world import VirtualLoop

SHA1 = bytes(range(20))


class Net:
    """Stands for the router: keeps what was asked."""

    def __init__(self) -> None:
        self.asked_for: list[tuple[bytes, Query]] = []
        self.stopped: list[bytes] = []

    def ask(self, query: Query, guid: bytes, wanted: int) -> SimpleNamespace:
        self.asked_for.append((guid, query))
        return SimpleNamespace(messages=3, bytes=300)

    def stop(self, guid: bytes) -> None:
        self.stopped.append(guid)

    def asking(self, query: Query, wanted: int) -> tuple[Query, bytes]:
        return query, new_guid(Random(1))

    def asked(self, guid: bytes) -> None:
        assert guid == self.asked_for[-1][0]


def searching(net: Net) -> Searching:
    return Searching(net, net, None, wait=10, firewalled=False)  # type: ignore[arg-type]


def answer(net: Net, search: Searching, name: str, hops: int = 2) -> int:
    hit = QueryHit(Address("192.0.2.7", 1), 1, (Result(1, 5, name, SHA1),), name.encode() * 16)
    hit.servent = hit.servent[:16]
    head = Descriptor(net.asked_for[-1][0], Kind.HIT, 3, hops, hit.encode())
    return search.found(head, hit, Zone.LOCAL_NETWORK)


def run(story: object) -> float:
    """In virtual time; how many seconds it took."""
    loop = VirtualLoop()
    try:
        began = loop.time()
        loop.run_until_complete(story)  # type: ignore[arg-type]
        return loop.time() - began
    finally:
        loop.close()


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (Asked(("blue", "moon")), Query("blue moon", ("urn:",))),
        (
            Asked(digest=Digest("sha1", SHA1)),
            Query("\\", ("urn:sha1:AAAQEAYEAUDAOCAJBIFQYDIOB4IBCEQT",)),
        ),
        (
            Asked(digest=Digest("btih", InfoHash(SHA1))),
            Query("\\", (f"urn:btih:{SHA1.hex()}",)),
        ),
    ],
)
def test_what_is_asked(asked: Asked, said: Query) -> None:
    assert question_for(asked, firewalled=False) == said
    assert question_for(asked, firewalled=True).flags == QueryFlags.FIREWALLED


@pytest.mark.parametrize(
    "asked",
    [
        Asked(),
        Asked(digest=Digest("md5", bytes(16))),
        Asked(("blue" * 60,)),
        Asked(tuple(map(str, range(65)))),
    ],
)
def test_what_cannot_be_asked(asked: Asked) -> None:
    with pytest.raises(NetworkError):
        question_for(asked, firewalled=False)


def test_a_search_goes_on_as_long_as_something_new_comes() -> None:
    net, cost = Net(), Cost()
    names: list[str] = []

    async def story() -> None:
        search = searching(net)
        loop = asyncio.get_running_loop()
        for second in (9, 18, 27):
            loop.call_later(second, answer, net, search, f"f{second}")
        loop.call_later(36, answer, net, search, "f9")  # known already
        names.extend([hit.name async for hit in search.recursive(Asked(("f",)), cost)])

    took = run(story())
    assert names == ["f9", "f18", "f27"]
    assert took == pytest.approx(37)
    assert (cost.messages, cost.hops) == (3 + 4, 3)
    assert cost.bytes > 300 + 4 * 23
    assert net.stopped == [net.asked_for[0][0]]


def test_who_always_has_something_new_does_not_keep_a_search_going() -> None:
    net = Net()

    async def story() -> None:
        search = searching(net)
        loop = asyncio.get_running_loop()
        for number in range(100):
            loop.call_later(
                9 * number, lambda: net.stopped or answer(net, search, str(loop.time()))
            )
        async for _ in search.recursive(Asked(("f",), limit=1000), Cost()):
            pass

    assert run(story()) == pytest.approx(LIFETIME + 10)


def test_a_search_for_a_hash_ends_soon_after_it_was_found() -> None:
    net = Net()

    async def story() -> None:
        search = searching(net)
        asyncio.get_running_loop().call_later(1, answer, net, search, "f")
        async for _ in search.recursive(Asked(digest=Digest("sha1", SHA1)), Cost()):
            pass

    assert run(story()) == pytest.approx(1 + AFTER_HASH)


def test_whoever_has_enough_stops_the_network() -> None:
    net = Net()

    async def story() -> None:
        search = searching(net)
        asyncio.get_running_loop().call_later(1, answer, net, search, "f")
        async with aclosing(search.recursive(Asked(("f",)), Cost())) as hits:
            await anext(hits)
        assert net.stopped == [net.asked_for[0][0]]
        assert answer(net, search, "late") == 0

    run(story())
