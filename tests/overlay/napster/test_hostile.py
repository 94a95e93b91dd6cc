"""Whatever a server says, and whoever knocks at the port: the client goes on, and comes back when it left."""

import asyncio
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from p2pswarm.errors import NetworkError
from p2pswarm.overlay.napster import connection
from p2pswarm.overlay.napster.client import Napster
from p2pswarm.overlay.network import Cost
from p2pswarm.overlay.query import Hit, Query
from p2pswarm.wire import napster
from p2pswarm.wire.fields import as_bytes
from tests.support.napster import MD5, frame
from tests.support.scripted_napster import PATIENCE, Guest, Server, client, number_of

NAME = r"Music\song.mp3"
HERE = number_of("127.0.0.1")
TORRENT = f"p2pswarm:btih:{'1' * 40}.torrent"

# No number but 127.0.0.1 is an address: nobody else is dialed.
digits = f"0 {HERE} {'9' * 11} {'9' * 30}".split()
odd = ['"a', 'b"', '"', "", "\udcff", "\u2028"]
words = st.sampled_from(
    ["alice", "bob", MD5, "-", "sha1", f'"{NAME}"', f'"{TORRENT}"', *digits, *odd]
)
numbers = sorted(
    kind.number
    for name in napster.__all__
    if isinstance(kind := getattr(napster, name), type) and hasattr(kind, "encode")
    if hasattr(kind, "number")
)
sensible = st.sampled_from(
    [
        frame(607, f'bob "{NAME}"'),
        frame(607, f'bob "{TORRENT}"'),
        frame(607, r'bob "..\..\etc\passwd"'),
        frame(204, f'bob {HERE} 9 "{NAME}" {MD5} 4'),
        frame(204, f'bob {HERE} 0 "{NAME}" {MD5} 4'),
        frame(501, f'bob {HERE} 9 "{NAME}" {MD5} 4'),
        frame(201, f'"{NAME}" {MD5} 5 128 44100 9 bob {HERE} 4'),
        frame(0x7002, f'bob "{NAME}" {"2" * 40} {"1" * 40} {HERE}'),
        frame(0x7000, "p2pswarm/9 1"),
        frame(626, "bob"),
        frame(404, "bob is not there"),
        frame(202),
        frame(751, b"bob " + b"x" * 9000),
    ]
)
saids = (
    sensible
    | st.builds(
        frame, st.sampled_from(numbers), st.lists(words, max_size=9).map(" ".join).map(as_bytes)
    )
    | st.builds(frame, st.integers(0, 0xFFFF), st.binary(max_size=60))
    | st.binary(max_size=20)
)
knocks = st.binary(max_size=40) | st.sampled_from(
    [f'{verb}bob "{NAME}" {number}'.encode() for verb in ("GET", "SEND") for number in (0, 9**19)]
    + [b"GETLIST", b"SENDLIST bob\n", b"1", b'GETbob "' + b"x" * 3000]
)
acts = st.tuples(st.just("say"), saids) | st.tuples(st.just("knock"), knocks)


@pytest.fixture(scope="module")
def share() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "Music"
        path.mkdir()
        (path / "song.mp3").write_bytes(b"la la")
        yield path


@given(st.lists(acts, max_size=12))
@settings(
    deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_nothing_that_is_said_ends_it(
    share: Path, monkeypatch: pytest.MonkeyPatch, story: list[tuple[str, bytes]]
) -> None:
    monkeypatch.setattr(connection, "FIRST_PAUSE", 0.001)
    asyncio.run(tell(share, story))


async def tell(share: Path, story: list[tuple[str, bytes]]) -> None:
    async with Server() as server, client(server.address, share=share, nick="alice") as network:
        joining = asyncio.ensure_future(network.join())
        guest = await server.member()
        await joining
        work = [asyncio.ensure_future(search(network)), asyncio.ensure_future(fetch(network))]
        for what, data in story:
            if what == "say":
                guest.raw(data)
            else:
                await knock(network, data)
        try:
            guest.raw(frame(751, "bob still there"))
            async with asyncio.timeout(0.2):
                while await guest.hear(752) != "bob still there":
                    pass  # the answer to a ping of the story, after which half a message may come
        except (asyncio.IncompleteReadError, ConnectionError, TimeoutError):
            guest.close()  # it left, or waits for the end of half a message
            guest = await server.member()
        assert network._life is not None
        assert not network._life.done()
        await gives(network, guest)
        for each in work:
            each.cancel()
        await asyncio.wait(work)
        assert all(each.cancelled() or each.exception() is None for each in work)


async def search(network: Napster) -> None:
    with suppress(NetworkError):
        async for hit in network.search(Query.parse("song"), Cost()):
            assert "/" not in hit.filename
            assert "\\" not in hit.filename


async def fetch(network: Napster) -> None:
    with suppress(NetworkError):
        await network.fetch(Hit(NAME, 5, "napster", nick="bob"), 0, lambda _: True)


async def knock(network: Napster, data: bytes) -> None:
    port = network._tools.port
    _, writer = await asyncio.open_connection(port.host, port.number, local_addr=("127.0.0.9", 0))
    writer.write(data)
    await asyncio.sleep(0)
    writer.close()


async def gives(network: Napster, guest: Guest) -> None:
    """An honest member still gets the file."""
    guest.raw(frame(607, f'carol "{NAME}"'))
    async with asyncio.timeout(PATIENCE):
        while await guest.hear(608) != f'carol "{NAME}"':
            pass
    port = network._tools.port
    reader, writer = await asyncio.open_connection(port.host, port.number)
    async with asyncio.timeout(PATIENCE):
        assert await reader.readexactly(1) == b"1"
        writer.write(f'GETcarol "{NAME}" 0'.encode())
        assert await reader.readexactly(6) == b"5la la"
    writer.close()
