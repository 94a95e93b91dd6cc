import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from hashlib import sha1
from pathlib import Path

import pytest

from p2pswarm.errors import LocalProtocolError
from p2pswarm.formats.ids import Address, InfoHash
from p2pswarm.formats.urns import btih_urn, sha1_urn
from p2pswarm.formats.zones import Zone
from p2pswarm.overlay.catalog import Catalog
from p2pswarm.overlay.gnutella.search.answering import (
    IN_ONE_HIT,
    MOST_RESULTS,
    REMEMBERED,
    Answering,
    Asked,
    Presence,
)
from p2pswarm.overlay.gnutella.search.waiting import MOST as MOST_WAITING
from p2pswarm.wire.gnutella.descriptor import Descriptor, Kind
from p2pswarm.wire.gnutella.hit import QueryHit
from p2pswarm.wire.gnutella.query import Query, QueryFlags
from tests.support.catalogs import opened
from tests.support.patience import PATIENCE

MOON = b"blue moon" * 1000
PROXY = Address("192.0.2.9", 6346)


class Mouth:
    """Who we are, and what we said."""

    def __init__(self, catalog: Catalog) -> None:
        self.now = 0.0
        self.us = Presence(bytes(16), 6346, firewalled=False, busy=False, proxies=[PROXY])
        self.said: list[tuple[int, QueryHit]] = []
        self.answering = Answering(lambda: self.us, self._say, lambda: self.now)
        self.answering.share(catalog)

    def _say(self, asked: Asked, hits: list[QueryHit]) -> None:
        self.said += [(asked.head.guid[0], QueryHit.read(hit.encode())) for hit in hits]

    def ask(self, query: Query, number: int = 0) -> None:
        head = Descriptor(bytes([number]) * 16, Kind.QUERY, 3, 1, query.encode())
        self.answering.asked(Asked(head, query, "198.51.100.1", Zone.INTERNET))

    async def heard(self, *queries: Query) -> list[QueryHit]:
        for query in queries:
            self.ask(query)
        working = asyncio.ensure_future(self.answering.run())
        end = Query("blue moon")
        self.ask(end, 255)
        async with asyncio.timeout(PATIENCE):
            while not self.said or self.said[-1][0] != 255:
                await asyncio.sleep(0)
        working.cancel()
        with suppress(asyncio.CancelledError):
            await working
        return [hit for number, hit in self.said if number != 255]


@asynccontextmanager
async def mouth(folder: Path) -> AsyncIterator[Mouth]:
    async with opened(folder.with_name("catalog.db"), folder) as catalog:
        yield Mouth(catalog)


@pytest.fixture
def share(tmp_path: Path) -> Path:
    folder = tmp_path / "Music"
    (folder / "old").mkdir(parents=True)
    (folder / "old" / "Blue Moon.mp3").write_bytes(MOON)
    return folder


async def test_words_find_a_file_with_its_hashes_and_our_address(share: Path) -> None:
    async with mouth(share) as us:
        (hit,) = await us.heard(Query("moon BLUE"))
    (result,) = hit.results
    assert (result.name, result.size) == ("Blue Moon.mp3", len(MOON))
    assert result.sha1 == sha1(MOON, usedforsecurity=False).digest()
    assert result.info_hash is not None
    assert result.ggep["PATH"] == b"Music/old"
    assert hit.address == Address("198.51.100.1", 6346)
    assert (hit.push, hit.busy, hit.proxies) == (False, False, ())


async def test_hashes_find_it_too(share: Path) -> None:
    digest = sha1(MOON, usedforsecurity=False).digest()
    async with mouth(share) as us:
        (hit,) = await us.heard(Query("\\", (sha1_urn(digest),)))
        info_hash = hit.results[0].info_hash
        assert info_hash is not None
        us.said.clear()
        (again,) = await us.heard(Query("", (btih_urn(InfoHash(info_hash)),)))
    assert again.results == hit.results


async def test_who_asks_for_nothing_in_particular_is_not_answered(share: Path) -> None:
    async with mouth(share) as us:
        assert await us.heard(Query(""), Query("\\", ("urn:",)), Query("red moon")) == []


async def test_two_that_nobody_can_dial_do_not_meet(share: Path) -> None:
    behind = Query("blue", flags=QueryFlags.FIREWALLED)
    async with mouth(share) as us:
        assert len(await us.heard(behind)) == 1
        us.said.clear()
        us.us = us.us._replace(firewalled=True)
        assert await us.heard(behind) == []
        us.said.clear()
        (hit,) = await us.heard(Query("blue"))
    assert hit.push
    assert hit.proxies == (PROXY,)


async def test_many_results_come_in_several_hits_and_have_an_end(share: Path) -> None:
    for number in range(MOST_RESULTS + 9):
        (share / f"many {number}.txt").write_bytes(b"%d" % number)
    async with mouth(share) as us:
        hits = await us.heard(Query("many"))
    assert [len(hit.results) for hit in hits] == [IN_ONE_HIT] * (MOST_RESULTS // IN_ONE_HIT)
    assert all(len(hit.encode()) <= 4096 for hit in hits)


async def test_two_files_of_one_content_come_in_two_hits(share: Path) -> None:
    (share / "Blue Moon (copy).mp3").write_bytes(MOON)
    (share / "Blue Sun.mp3").write_bytes(b"another")
    async with mouth(share) as us:
        hits = await us.heard(Query("blue"))
    assert sorted(len(hit.results) for hit in hits) == [1, 2]
    names = [{result.name for result in hit.results} for hit in hits]
    assert not any({"Blue Moon.mp3", "Blue Moon (copy).mp3"} <= some for some in names)


async def test_long_folders_do_not_make_hits_too_large(share: Path) -> None:
    deep = share.joinpath(*["d" * 200] * 12)
    deep.mkdir(parents=True)
    for number in range(5):
        (deep / f"many {number}.txt").write_bytes(b"%d" % number)
    async with mouth(share) as us:
        hits = await us.heard(Query("many"))
    assert [len(hit.results) for hit in hits] == [1] * 5


@pytest.mark.parametrize(
    "name", ["blue%2F", "blue%2f..", "blue%2F%2e%2E%2Fmoon", "%2e%2e%2fblue", "blue%2F."]
)
async def test_names_that_lead_out_are_not_told(share: Path, name: str) -> None:
    (share / name).write_bytes(b"another")
    (share / "blue..%2G%2Fx.mp3").write_bytes(b"a third")
    async with mouth(share) as us:
        hits = await us.heard(Query("blue"))
    names = {result.name for hit in hits for result in hit.results}
    assert names == {"Blue Moon.mp3", "blue..%2G%2Fx.mp3"}


async def test_a_push_may_be_asked_for_what_we_told_of_lately(share: Path) -> None:
    async with mouth(share) as us:
        assert not us.answering.told(1)
        (hit,) = await us.heard(Query("blue"))
        index = hit.results[0].index
        assert us.answering.told(index)
        us.now += REMEMBERED + 1
        assert not us.answering.told(index)


async def test_a_long_line_of_queries_has_an_end(share: Path) -> None:
    async with mouth(share) as us:
        for _ in range(MOST_WAITING + 50):
            us.ask(Query("blue"))
        assert len(us.answering._waiting) == MOST_WAITING
        working = asyncio.ensure_future(us.answering.run())
        async with asyncio.timeout(PATIENCE):
            while us.answering._waiting:
                await asyncio.sleep(0)
        working.cancel()
        with suppress(asyncio.CancelledError):
            await working
    assert MOST_WAITING - 1 <= len(us.said) <= MOST_WAITING


async def test_long_folders_need_more_messages(share: Path) -> None:
    folder = share
    for _ in range(10):
        folder /= "f" * 200
    folder.mkdir(parents=True)
    for number in range(IN_ONE_HIT):
        (folder / f"moon {number}.ogg").write_bytes(b"%d" % number)
    async with mouth(share) as us:
        hits = await us.heard(Query("moon ogg"))
    assert sum(len(hit.results) for hit in hits) == IN_ONE_HIT
    assert max(len(hit.encode()) for hit in hits) < 16_384


async def test_a_name_that_no_message_holds_is_not_the_end(
    share: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with mouth(share) as us:
        say = us._say

        def too_much(asked: Asked, hits: list[QueryHit]) -> None:
            if asked.head.guid[0] == 1:
                raise LocalProtocolError("a hit of 70000 bytes")
            say(asked, hits)

        monkeypatch.setattr(us.answering, "_answer", too_much)
        us.ask(Query("moon"), 1)
        assert await us.heard(Query("moon"))


async def test_what_cannot_be_told_of_us_is_not_the_end_of_answering(
    share: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with mouth(share) as us:
        odd = us.us._replace(firewalled=True, proxies=[Address("2001:db8::1", 6346)])
        told = iter([odd])
        monkeypatch.setattr(us.answering, "_us", lambda: next(told, us.us))
        us.ask(Query("moon"), 1)
        assert len(await us.heard(Query("moon"))) == 1
