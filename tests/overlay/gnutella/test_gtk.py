"""gtk-gnutella as a leaf of ours: files both ways, trees both ways, pushes both ways; cut, and lied to."""

import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from random import Random

import pytest

from p2pswarm.swarm.events import PeerBanned
from tests.support.gtk import Gtk, tree_of
from tests.support.street import Street
from tests.support.tiger import needs_tiger

pytestmark = needs_tiger()

MIB = 1 << 20
SONG = Random(5).randbytes(5 * MIB)
TALE = Random(6).randbytes(MIB + 321)


@pytest.fixture
async def street(tmp_path: Path) -> AsyncIterator[Street]:
    async with AsyncExitStack() as stack:
        yield Street(tmp_path, stack)


class Giver(Gtk):
    """With one file."""

    def __init__(self, host: str, data: bytes = SONG) -> None:
        super().__init__(host, {"blue moon.mp3": data})


@pytest.mark.parametrize("size", [1, 1024, 65_536, 65_537, 3 * MIB + 1, 5 * MIB])
async def test_it_fetches_from_us_in_pipelined_parts_and_checks_them_by_our_tree(
    street: Street, size: int
) -> None:
    _, above = await street.node("ultrapeer", red_sun=SONG[:size])
    gtk = await street.enter(Gtk(street.host()))
    await gtk.connect(above)
    (hit,) = await gtk.ask("red sun")
    assert await gtk.fetch(hit) == SONG[:size]
    assert await gtk.fetch(hit, 1 << 30) == SONG[:size]
    told = (await gtk.head(hit))["x-thex-uri"]
    root, level = await gtk.tree(hit, told)
    levels = tree_of(SONG[:size])
    assert root == levels[0][0]
    assert level in levels


async def test_it_has_us_connect_to_it(street: Street) -> None:
    _, above = await street.node("ultrapeer")
    await street.node("leaf", above, firewalled=True, red_sun=TALE)
    gtk = await street.enter(Gtk(street.host()))
    await gtk.connect(above)
    (hit,) = await gtk.ask("red sun")
    assert hit.push
    assert await gtk.over(*await gtk.push(hit), hit) == TALE


@pytest.mark.parametrize("closed", [False, True])
async def test_we_fetch_from_it_with_its_tree(street: Street, closed: bool) -> None:
    _, above = await street.node("ultrapeer")
    gtk = await street.enter(Giver(street.host()))
    gtk.closed = closed
    await gtk.connect(above)
    node, _ = await street.node("leaf", above)
    torrent = await street.downloaded(node, await street.found(node, "blue moon"))
    assert torrent.path.read_bytes() == SONG
    assert torrent.status().verified_by == "its SHA-1 and its tiger tree"
    assert sum("/uri-res/N2X?" in head for head in gtk.requests) == 1


async def test_who_has_not_heard_yet_that_it_can_be_dialed_is_dialed(
    street: Street, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("p2pswarm.overlay.files.pushes.PUSH_TIME", 0.5)
    _, above = await street.node("ultrapeer")
    gtk = await street.enter(Giver(street.host(), TALE))
    gtk.unsure = True
    await gtk.connect(above)
    node, _ = await street.node("leaf", above)
    torrent = await street.downloaded(node, await street.found(node, "blue moon"))
    assert torrent.path.read_bytes() == TALE


@pytest.mark.parametrize("cut", [1, 1 << 19, 2_345_678, 5 * MIB - 1])
async def test_a_connection_that_is_cut_anywhere(street: Street, cut: int) -> None:
    node, above = await street.node("ultrapeer")
    gtk = await street.enter(Giver(street.host()))
    gtk.cut = cut
    await gtk.connect(above)
    torrent = await street.downloaded(node, await street.found(node, "blue moon"))
    assert torrent.path.read_bytes() == SONG
    assert torrent.status().hash_failures == 0
    assert gtk.served <= len(SONG) + 1  # nothing comes twice


async def test_of_two_hosts_the_liar_is_found_out_by_the_tree(
    street: Street, caplog: pytest.LogCaptureFixture
) -> None:
    node, above = await street.node("ultrapeer")
    honest, liar = (
        await street.enter(Giver(street.host())),
        await street.enter(Giver(street.host())),
    )
    liar.damage = range(0, len(SONG), 100_000)
    honest.after = liar.gave  # so that both take part
    for gtk in (honest, liar):
        await gtk.connect(above)
    find = await street.found(node, "blue moon", 2)
    find.hits.sort(key=lambda hit: hit.host != honest.address)  # whose tree is asked for
    banned = set[str]()
    with caplog.at_level(logging.WARNING):
        torrent = await node.download(find, save_to=street.folder / "to")
        async for event in torrent.events():
            if isinstance(event, PeerBanned):
                banned.add(event.address.host)
            if torrent.status().have == torrent.metainfo.piece_count:
                break
        await torrent.finished()
    assert torrent.path.read_bytes() == SONG
    assert banned == {liar.host}
    named = [text for text in caplog.messages if "do not match the tiger tree" in text]
    assert named
    assert torrent.status().verified_by == "its SHA-1 and its tiger tree"
