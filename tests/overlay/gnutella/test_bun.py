"""GnutellaBun as a leaf of ours and as our ultrapeer: it finds and is found, gives and is given."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from random import Random

import pytest

from p2pswarm.overlay.query import Query
from tests.support.bun import Bun
from tests.support.street import Street

SONG = Random(8).randbytes(1_200_321)
TALE = Random(9).randbytes(700_123)
FILES = {"blue moon.mp3": SONG}


@pytest.fixture
async def street(tmp_path: Path) -> AsyncIterator[Street]:
    async with AsyncExitStack() as stack:
        yield Street(tmp_path, stack)


@pytest.mark.parametrize(("bits", "deflate"), [(4, True), (1, False)])
async def test_it_is_found_behind_our_ultrapeer_and_gives(
    street: Street, bits: int, deflate: bool
) -> None:
    _, above = await street.node("ultrapeer")
    bun = await street.enter(Bun(street.host(), FILES))
    bun.bits, bun.deflate = bits, deflate
    await bun.connect(above)
    node, _ = await street.node("leaf", above)
    find = await street.found(node, "blue moon")
    assert [hit.host for hit in find.hits] == [bun.address]
    torrent = await street.downloaded(node, find)
    assert torrent.path.read_bytes() == SONG
    assert len(bun.requests) >= 3
    assert all(head.startswith("GET /uri-res/N2R?urn:sha1:") for head in bun.requests)


async def test_only_queries_for_what_it_has_come_to_it(street: Street) -> None:
    node, above = await street.node("ultrapeer")
    bun = await street.enter(Bun(street.host(), FILES))
    await bun.connect(above)
    await street.found(node, "blue moon")
    before = len(bun.asked)
    async with node.search(Query.parse("green sky")) as search:
        assert [find async for find in search] == []
    assert len(bun.asked) == before


async def test_it_gives_by_a_push_when_nobody_can_dial_it(street: Street) -> None:
    _, above = await street.node("ultrapeer")
    bun = await street.enter(Bun(street.host(), FILES))
    bun.closed = True
    await bun.connect(above)
    node, _ = await street.node("leaf", above)
    torrent = await street.downloaded(node, await street.found(node, "blue moon"))
    assert torrent.path.read_bytes() == SONG


async def test_it_finds_and_fetches_dialed_pushed_and_browsed(street: Street) -> None:
    _, above = await street.node("ultrapeer", red_sun=TALE)
    await street.node("leaf", above, blue_moon=SONG)
    bun = await street.enter(Bun(street.host()))
    await bun.connect(above)
    (hit,) = await bun.ask("blue moon")
    assert (hit.name, hit.size) == ("blue moon.mp3", len(SONG))
    assert await bun.fetch(hit) == SONG
    assert await bun.fetch(hit, by_index=True) == SONG
    assert await bun.over(*await bun.push(hit), hit) == SONG
    bun.hits.clear()
    (again,) = await bun.ask("", f"urn:sha1:{hit.sha1}")
    assert (again.index, again.servent) == (hit.index, hit.servent)
    (listed,) = await bun.browse(above)
    assert (listed.name, listed.address) == ("red sun.mp3", above)
    assert await bun.over(*await bun.push(listed), listed) == TALE


async def test_our_leaf_is_found_and_finds_where_it_leads(street: Street) -> None:
    bun = await street.enter(Bun(street.host(), {"red sun.mp3": TALE}))
    bun.leads = True
    node, _ = await street.node("leaf", bun.address, blue_moon=SONG)
    await bun.until(lambda: bun.table)
    # Each word, and its beginnings of three letters at least: blue, moon, mp3, blu, moo; and the SHA-1.
    assert bun.table is not None
    assert 5 <= len(bun.table) <= 12
    (hit,) = await bun.ask("blue moon")
    assert await bun.fetch(hit) == SONG
    assert await bun.over(*await bun.push(hit), hit) == SONG
    torrent = await street.downloaded(node, await street.found(node, "red sun"))
    assert torrent.path.read_bytes() == TALE
