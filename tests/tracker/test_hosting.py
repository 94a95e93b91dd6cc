"""Hosted torrents by HTTP: the list, and who may add to it."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from hashlib import sha1
from pathlib import Path

import aiohttp
import pytest

from p2pswarm.errors import HostError
from p2pswarm.formats.bencode import MAX_SIZE
from p2pswarm.formats.ids import InfoHash
from p2pswarm.formats.magnet import Magnet
from p2pswarm.formats.metainfo import Metainfo
from tests.support.generations import contents, generation
from tests.tracker.test_app import World, start, torrent
from tracker.config import TrackerSettings
from tracker.uploads import A_MINUTE, MOST_REMEMBERED, RefusedUploadError, Uploads

TOKEN = "correct horse battery"
BOUNDARY = "b0undary"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "hosted"
    folder.mkdir()
    return folder


@pytest.fixture
async def world(tmp_path: Path, folder: Path) -> AsyncIterator[World]:
    token = tmp_path / "token"
    token.write_text(TOKEN + "\n")
    world = await start(torrents=folder, upload_token_file=token)
    yield world
    await world.aclose()


def kept(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


def form(*fields: tuple[str, bytes, str]) -> bytes:
    """Name, content, further headers of each."""
    parts = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n'.encode()
        + data
        + b"\r\n"
        for name, data, more in fields
    ]
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


def filled(data: bytes, token: str = TOKEN) -> bytes:
    return form(
        ("token", token.encode(), ""), ("torrent", data, '; filename="../../../etc/passwd"')
    )


async def post(world: World, body: bytes, path: str = "/t/", **headers: str) -> tuple[int, str]:
    url = f"http://127.0.0.1:{world.service.port}{path}"
    kind = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
    said = {name.replace("_", "-"): value for name, value in headers.items()}
    async with (
        aiohttp.ClientSession() as session,
        session.post(url, data=body, headers=kind | said) as response,
    ):
        return response.status, await response.text()


async def first_line(world: World, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", world.service.port)
    writer.write(request)
    line = await reader.readline()
    writer.close()
    return line


# The list


async def test_a_row_has_a_link_a_magnet_and_the_swarm(world: World, folder: Path) -> None:
    (folder / "x.torrent").write_bytes(torrent(b"some name", 2048))
    page = (await world.client(2).body("/t/")).decode()
    assert 'href="/t/x.torrent"' in page
    [link] = re.findall(r'href="(magnet:[^"]+)"', page)
    magnet = Magnet.parse(link.replace("&amp;", "&"))
    assert magnet.info_hash == Metainfo.from_bytes(torrent(b"some name", 2048)).info_hash
    assert (magnet.name, magnet.trackers) == ("some name", ("http://t/announce",))


async def test_a_hybrid_is_counted_under_both_names_once(world: World, folder: Path) -> None:
    raw = generation({"a": contents(40_000)}, v1=True)
    (folder / "h.torrent").write_bytes(raw)
    meta = Metainfo.from_bytes(raw)
    first, second = meta.names
    seed, other, old = world.client(2), world.client(3), world.client(4)
    for client, names in ((seed, (first, second)), (other, (first, second)), (old, (second,))):
        for name in names:
            await client.announce(info_hash=name, left=0)
    told = json.loads(await old.body("/t/index.json"))
    [row] = told["torrents"]
    assert (row["seeds"], row["leechers"]) == (3, 0)
    assert row["info_hashes"] == [first.hex(), second.hex()]
    assert (row["size"], row["files"]) == (40_000, 1)
    magnet = Magnet.parse(row["magnet"])
    assert (magnet.info_hash, magnet.v2) == (meta.info_hash, meta.v2)


async def test_names_are_never_markup(world: World, folder: Path) -> None:
    nasty = '"><script>alert(1)</script>'
    (folder / "x.torrent").write_bytes(torrent(nasty.replace("/", "\u2215").encode()))
    (folder / '" onclick="x.torrent').write_bytes(torrent(b"2"))
    for path in ("/t/", f"/t/?q={nasty}", '/t/?q="onclick="x&sort="><script>'):
        page = (await world.client(2).body(path.replace(" ", "%20"))).decode()
        assert "<script" not in page
        assert 'onclick="' not in page.replace("&quot;", "")


async def test_pages_let_nothing_in(world: World) -> None:
    url = f"http://127.0.0.1:{world.service.port}/t/"
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        rules = response.headers["Content-Security-Policy"]
        assert "default-src 'none'" in rules
        assert "frame-ancestors 'none'" in rules
        assert "form-action 'self'" in rules
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert "Access-Control-Allow-Origin" not in response.headers
        assert "Set-Cookie" not in response.headers


async def test_files_come_and_go_by_hand_and_pages_turn(world: World, folder: Path) -> None:
    client = world.client(2)
    for n in range(3):
        (folder / f"{n}.torrent").write_bytes(torrent(b"n%d" % n))
    page = (await client.body("/t/?per=2")).decode()
    assert "3 torrents, page 1 of 2" in page
    assert "/t/?page=2&amp;per=2" in page
    assert "2.torrent" in (await client.body("/t/?per=2&page=2")).decode()
    (folder / "1.torrent").unlink()
    assert json.loads(await client.body("/t/index.json"))["found"] == 2
    assert json.loads(await client.body("/t/index.json?q=n2"))["found"] == 1


# Uploads


async def test_who_knows_the_token_adds_a_torrent(world: World, folder: Path) -> None:
    data = torrent(b"holiday film")
    status, page = await post(world, filled(data))
    assert status == 201
    assert 'href="/t/holiday%20film.torrent"' in page
    assert (folder / "holiday film.torrent").read_bytes() == data
    assert await world.client(2).body("/t/holiday%20film.torrent") == data
    assert [path.name for path in kept(folder)] == ["holiday film.torrent"]


async def test_the_form_is_there_only_where_it_works(world: World, folder: Path) -> None:
    page = (await world.client(2).body("/t/")).decode()
    assert '<form action="/t/" method="post"' in page
    assert TOKEN not in page
    closed = await start(torrents=folder)
    assert "<form" in (page := (await closed.client(2).body("/t/")).decode())
    assert "post" not in page
    assert (await post(closed, filled(torrent())))[0] == 405
    await closed.aclose()


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (filled(torrent(), "wrong"), 403),
        (filled(torrent(), ""), 403),
        (filled(torrent(), TOKEN * 100), 413),
        (form(("torrent", torrent(), ""), ("token", TOKEN.encode(), "")), 400),
        (form(("token", TOKEN.encode(), "")), 400),
        (form(("token", TOKEN.encode(), ""), ("else", b"x", "")), 400),
        (filled(b"<script>alert(1)</script>"), 400),
        (filled(b""), 400),
        (b"", 400),
        (b"--" + BOUNDARY.encode(), 400),
        (b"\0" * 1000, 400),
        (filled(torrent())[:200], 400),
        (form(("token", TOKEN.encode(), "\r\nX: " + "y" * 100_000), ("torrent", b"", "")), 400),
        (
            form(
                ("token", b"", "\r\nContent-Type: multipart/mixed; boundary=b2"),
            ),
            400,
        ),
    ],
)
async def test_what_is_not_taken(world: World, folder: Path, body: bytes, status: int) -> None:
    answer, page = await post(world, body)
    assert answer == status
    assert "<script" not in page
    assert not kept(folder)


async def test_a_form_on_another_page_is_refused(world: World, folder: Path) -> None:
    body, here = filled(torrent()), f"127.0.0.1:{world.service.port}"
    for headers in (
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": f"http://{here}.evil.example"},
        {"Sec_Fetch_Site": "cross-site", "Origin": f"http://{here}"},
        {"Sec_Fetch_Site": "same-site"},
    ):
        assert (await post(world, body, **headers))[0] == 403
    assert not kept(folder)
    assert (await post(world, body, Origin=f"http://{here}"))[0] == 201
    other = filled(torrent(b"other"))
    assert (await post(world, other, Sec_Fetch_Site="same-origin"))[0] == 201


async def test_other_kinds_and_ways_are_refused(world: World, folder: Path) -> None:
    body = filled(torrent())
    assert (await post(world, body, Content_Type="text/plain"))[0] == 415
    assert (await post(world, body, Content_Type="multipart/form-data"))[0] == 400
    assert (await post(world, body, path="/t/x.torrent"))[0] == 405
    assert (await post(world, body, path=f"/t/?token={TOKEN}".replace(" ", "+")))[0] == 201
    head = f"POST /t/ HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary={BOUNDARY}\r\n"
    chunked = (head + "Transfer-Encoding: chunked\r\n\r\n").encode()
    assert b" 411 " in await first_line(world, chunked + b"5\r\nhello\r\n")
    large = (head + f"Content-Length: {MAX_SIZE * 2}\r\n\r\n").encode()
    assert b" 413 " in await first_line(world, large + b"x")
    assert len(kept(folder)) == 1


async def test_nothing_is_written_over(world: World, folder: Path) -> None:
    (folder / "film.torrent").write_bytes(b"mine")
    data = torrent(b"film")
    key = Metainfo.from_bytes(data).info_hash.hex()
    assert (await post(world, filled(data)))[0] == 201
    assert (folder / "film.torrent").read_bytes() == b"mine"
    assert (folder / f"film {key[:8]}.torrent").read_bytes() == data
    status, page = await post(world, filled(data))
    assert (status, f"film {key[:8]}.torrent" in page) == (409, True)
    assert len(kept(folder)) == 2


async def test_two_of_one_name_at_once_are_both_kept(world: World, folder: Path) -> None:
    datas = [torrent(b"same", size) for size in (1000, 2000, 3000)]
    answers = await asyncio.gather(*(post(world, filled(data)) for data in datas))
    assert [status for status, _ in answers] == [201] * 3
    assert sorted(path.read_bytes() for path in kept(folder)) == sorted(datas)


@pytest.mark.parametrize(
    "name",
    [".htaccess", "x" * 250, "日本" * 40, "x.torrent"],
)
async def test_a_name_becomes_a_plain_file(world: World, folder: Path, name: str) -> None:
    status, _ = await post(world, filled(torrent(name.encode())))
    assert status == 201
    [file] = kept(folder)
    assert file.suffix == ".torrent"
    assert not file.name.startswith(".")
    assert not file.name.endswith(".torrent.torrent")
    assert len(file.name.encode()) <= 255
    assert json.loads(await world.client(2).body("/t/index.json"))["found"] == 1


@pytest.mark.parametrize("name", [b"../x", b"/etc/x", b"..", b"a\0b", b"a\nb", b"CON"])
async def test_a_name_is_never_a_path(world: World, folder: Path, name: bytes) -> None:
    await post(world, filled(torrent(name)))
    assert not [path for path in kept(folder.parent) if path.name not in ("hosted", "token")]
    assert all(re.fullmatch(r"[0-9a-f]{40}\.torrent|[^/\0\n]+", p.name) for p in kept(folder))


async def test_the_token_cannot_be_guessed_by_trying(world: World) -> None:
    wrong, right = filled(torrent(), "x" * 20), filled(torrent())
    answers = [(await post(world, wrong))[0] for _ in range(A_MINUTE)]
    assert answers == [403] * A_MINUTE
    assert (await post(world, right))[0] == 429
    world.clock.now += 61
    assert (await post(world, right))[0] == 201


async def test_announces_go_on_while_somebody_uploads_slowly(world: World) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", world.service.port)
    body = filled(torrent())
    head = f"POST /t/ HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary={BOUNDARY}\r\n"
    writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body[:50])
    key = InfoHash(sha1(b"x").digest())
    assert (await world.client(2).announce(info_hash=key, left=0)).complete == 1
    writer.write(body[50:])
    assert b" 201 " in await reader.readline()
    writer.close()


def test_a_token_that_can_be_guessed_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "token"
    for text in ("", "short", "x" * 5000):
        file.write_text(text)
        with pytest.raises(HostError, match="characters"):
            Uploads(file, lambda: 0.0)
    with pytest.raises(HostError, match="cannot be read"):
        Uploads(tmp_path / "nothing", lambda: 0.0)
    with pytest.raises(ValueError, match="a folder"):
        TrackerSettings(upload_token_file=file)


async def test_a_new_token_holds_after_a_reload(world: World, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("another token, long enough")
    assert (await post(world, filled(torrent())))[0] == 201
    world.service.reload()
    assert (await post(world, filled(torrent(b"2"))))[0] == 403
    (tmp_path / "token").write_text("short")
    world.service.reload()
    assert (await post(world, filled(torrent(b"2"), "another token, long enough")))[0] == 201


def test_addresses_are_not_remembered_without_end(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(TOKEN)
    uploads = Uploads(file, lambda: 0.0)
    for n in range(MOST_REMEMBERED + 10):
        uploads._count(str(n))
    assert len(uploads._recent) == MOST_REMEMBERED
    for _ in range(A_MINUTE):
        uploads._count("me")
    with pytest.raises(RefusedUploadError):
        uploads._count("me")


@pytest.mark.parametrize(
    ("first", "other", "same"),
    [
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("192.0.2.1", "192.0.2.2", False),
    ],
)
def test_who_has_many_addresses_of_ipv6_guesses_no_oftener(
    tmp_path: Path, first: str, other: str, same: bool
) -> None:
    file = tmp_path / "token"
    file.write_text(TOKEN)
    uploads = Uploads(file, lambda: 0.0)
    for _ in range(A_MINUTE):
        uploads._count(first)
    if not same:
        uploads._count(other)
        return
    with pytest.raises(RefusedUploadError, match="too many"):
        uploads._count(other)
