"""Web seeds beside peers and alone, in virtual time; the servers are scripted."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from p2pswarm.errors import BusyError, ChangedError, NetworkError, RefusedError
from p2pswarm.formats.building import build
from p2pswarm.formats.ids import BLOCK, Address, PieceIndex
from p2pswarm.formats.metainfo import File, Metainfo
from p2pswarm.formats.webseeds import Known, Part
from p2pswarm.swarm import ranges
from p2pswarm.swarm.events import PeerBanned
from p2pswarm.swarm.selection import Priority, Selection
from p2pswarm.swarm.torrent import Torrent
from p2pswarm.swarm.webseeds import MISSING_REST, MOST_ACTIVE, WebSeeds, shown
from tests.support.world import World, _hashes, simulate

pytestmark = pytest.mark.sim

PIECE = 4 * BLOCK
MB = 1_000_000
URL = "http://web.example/"


class Servers:
    """All web servers there are: `files` by URL, `chunk` bytes every `pause` seconds."""

    def __init__(self, files: dict[str, bytes], chunk: int = 100_000, pause: float = 0.1) -> None:
        self.files, self.chunk, self.pause = files, chunk, pause
        self.asked: list[Part] = []
        self.when: list[float] = []
        self.given = 0
        self.under_way = self.most = 0
        self.troubles: list[Exception] = []
        self.breaks_after = 1 << 60
        self.bad: Callable[[str, bytes], bytes] = lambda _, data: data

    async def fetch(
        self, part: Part, known: Known, sink: Callable[[bytes], bool], gate: asyncio.Event
    ) -> bool:
        self.asked.append(part)
        self.when.append(asyncio.get_running_loop().time())
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            return await self._give(part, known, sink, gate)
        finally:
            self.under_way -= 1

    async def _give(
        self, part: Part, known: Known, sink: Callable[[bytes], bool], gate: asyncio.Event
    ) -> bool:
        await asyncio.sleep(0.02)
        if self.troubles:
            raise self.troubles.pop(0)
        if part.url not in self.files:
            raise RefusedError("answered with HTTP status 404")
        known.ranges = True
        data = self.files[part.url]
        for at in range(part.start, part.end, self.chunk):
            await gate.wait()
            if at - part.start >= self.breaks_after:
                raise NetworkError("hung up in the middle")
            some = data[at : min(at + self.chunk, part.end)]
            self.given += len(some)
            if not sink(self.bad(part.url, some)):
                return False
            await asyncio.sleep(self.pause)
        return True


async def begin(
    world: World, meta: Metainfo, servers: Servers, *urls: str, **settings: int
) -> Torrent:
    node = await world.node(world.host(), **settings)
    torrent = await world.download(node, meta)
    seeded = replace(meta, web_seeds=urls or (URL,))
    torrent.web_seeds = WebSeeds(seeded, servers, world.loop.time)
    return torrent


def single(world: World, size: int = 4 * MB) -> tuple[Metainfo, bytes]:
    meta, folder = world.content(size, PIECE)
    return meta, (folder / "file").read_bytes()


def test_a_web_seed_alone_is_enough(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        meta, data = single(world)
        servers = Servers({URL + "file": data})
        torrent = await begin(world, meta, servers)
        await torrent.finished()
        assert torrent.path.read_bytes() == data
        status = torrent.status()
        assert (status.peers, status.seeds, status.downloaded) == (0, 0, servers.given)
        assert servers.given < len(data) + 3 * servers.chunk
        [seed] = status.web_seeds
        assert (seed.url, seed.state, seed.downloaded) == (URL, "idle", servers.given)
        torrent.picker.check()

    simulate(tmp_path, story)


def test_files_pads_and_empty_files_in_a_row(tmp_path: Path) -> None:
    """The hashes of a hybrid's version 1 half count the pads, which nobody is asked for."""

    async def story(world: World) -> None:
        datas = [world.dice.randbytes(n) for n in (PIECE + 5, 3, 0, 5 * PIECE, BLOCK + 1)]
        files, stream, offset = [], b"", 0
        for n, data in enumerate(datas):
            pad = -len(data) % PIECE
            files += [File(("many", str(n)), len(data), offset)]
            files += [File((".pad", str(pad)), pad, offset + len(data), pad=True)] if pad else []
            offset += len(data) + pad
            stream += data + bytes(pad)
        listed = [(file.path[1:], file.length) for file in files]
        meta = build(name="many", piece_length=PIECE, pieces=_hashes(stream, PIECE), files=listed)
        meta = replace(meta, files=tuple(files), renamed={})
        servers = Servers({f"{URL}many/{n}": data for n, data in enumerate(datas)})
        torrent = await begin(world, meta, servers)
        await torrent.finished()
        for n, data in enumerate(datas):
            assert (torrent.path / str(n)).read_bytes() == data
        assert {part.url for part in servers.asked} == {f"{URL}many/{n}" for n in (0, 1, 3, 4)}
        assert torrent.status().downloaded == servers.given
        assert servers.given == sum(map(len, datas))
        assert not torrent.status().wasted

    simulate(tmp_path, story)


def test_web_seeds_and_peers_share_the_work(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        meta, data = single(world, 8 * MB)
        home = world.host(up=MB)
        await (await world.node(home)).add(meta, data=world.folder / "seed")
        servers = Servers({URL + "file": data})
        torrent = await begin(world, meta, servers)
        torrent.add_peer(Address(home.name, 46881))
        await torrent.finished()
        assert torrent.path.read_bytes() == data
        from_peers = sum(peer.downloaded for peer in torrent.peers.values())
        assert from_peers > MB
        assert servers.given > MB
        assert from_peers + servers.given < len(data) * 1.3
        torrent.picker.check()

    simulate(tmp_path, story)


def test_one_stretch_follows_the_other_at_once(tmp_path: Path) -> None:
    """Peers take pieces here and there; no second is lost at every one of them."""

    async def story(world: World) -> None:
        meta, data = single(world, 100 * PIECE)
        servers = Servers({URL + "file": data}, chunk=PIECE, pause=0.001)
        torrent = await world.download(await world.node(world.host()), meta)
        await world.until(lambda: torrent._known)
        for piece in range(0, 100, 2):
            torrent.picker.had(PieceIndex(piece))
        torrent.web_seeds = WebSeeds(replace(meta, web_seeds=(URL,)), servers, world.loop.time)
        torrent.disk_works()
        await torrent.finished()
        assert len(servers.asked) >= 50
        assert servers.when[-1] - servers.when[0] < 2

    simulate(tmp_path, story)


def test_files_that_are_wanted_first_come_first_and_others_never(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        sizes = {"0 low": 60 * PIECE, "1 high": 60 * PIECE, "2 skipped": 60 * PIECE}
        meta, folder = world.many_files(sizes, PIECE)
        datas = {
            f"{URL}many/{n.replace(' ', '%20')}": (folder / "many" / n).read_bytes() for n in sizes
        }
        servers = Servers(datas)
        node = await world.node(world.host())
        select = Selection(skip=("*skipped",), priorities=(("*high", Priority.HIGH),))
        torrent = await node.add(meta, save_to=world.folder / "x", select=select)
        torrent.web_seeds = WebSeeds(replace(meta, web_seeds=(URL,)), servers, world.loop.time)
        await torrent.finished()
        order = [part.file for part in servers.asked]
        assert {*order} == {0, 1}
        assert order == sorted(order, reverse=True)
        assert servers.given < 130 * PIECE

    simulate(tmp_path, story)


def test_in_order_means_from_the_beginning(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        meta, data = single(world, 20 * PIECE)
        servers = Servers({URL + "file": data}, chunk=PIECE)
        torrent = await world.download(await world.node(world.host()), meta)
        await world.until(lambda: torrent._known)
        await torrent.select(Selection(sequential=True))
        torrent.picker.had(PieceIndex(3))  # the row before it is the shorter one
        torrent.web_seeds = WebSeeds(replace(meta, web_seeds=(URL,)), servers, world.loop.time)
        torrent.disk_works()
        await torrent.finished()
        assert [part.start // PIECE for part in servers.asked] == [0, 4]

    simulate(tmp_path, story)


def test_in_order_both_connections_stay_at_the_front(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ranges, "AHEAD", 4 * PIECE)
    monkeypatch.setattr(ranges, "SKIP", PIECE)

    async def story(world: World) -> None:
        sizes = {str(number): 20 * PIECE for number in range(9)}
        meta, folder = world.many_files(sizes, PIECE)
        datas = {f"{URL}many/{name}": (folder / "many" / name).read_bytes() for name in sizes}
        servers = Servers(datas, chunk=PIECE)
        torrent = await world.download(await world.node(world.host()), meta)
        await world.until(lambda: torrent._known)
        await torrent.select(Selection(sequential=True))
        torrent.web_seeds = WebSeeds(replace(meta, web_seeds=(URL,)), servers, world.loop.time)
        torrent.disk_works()
        ahead = []
        while not torrent.picker.done:
            have = torrent.picker.have
            ahead.append(have.count() - have.find(0))  # pieces that a player cannot use yet
            await asyncio.sleep(0.1)
        assert servers.most == 2
        assert max(ahead) <= 8
        assert servers.given < meta.total + 10 * PIECE

    simulate(tmp_path, story)


def test_what_becomes_more_wanted_comes_at_once(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        sizes = {"a": 60 * PIECE, "b": 60 * PIECE}
        meta, folder = world.many_files(sizes, PIECE)
        datas = {f"{URL}many/{name}": (folder / "many" / name).read_bytes() for name in sizes}
        servers = Servers(datas, chunk=PIECE)
        torrent = await world.download(await world.node(world.host()), meta)
        await world.until(lambda: torrent._known)
        await torrent.select(Selection(priorities=(("a", Priority.HIGH),)))
        torrent.web_seeds = WebSeeds(replace(meta, web_seeds=(URL,)), servers, world.loop.time)
        torrent.disk_works()
        await world.until(lambda: torrent.files()[0].done > 5 * PIECE)
        await torrent.select(Selection(priorities=(("b", Priority.HIGH),)))
        before = torrent.files()[0].done
        await world.until(lambda: torrent.files()[1].done == sizes["b"])
        assert torrent.files()[0].done <= before + 3 * PIECE
        await torrent.finished()

    simulate(tmp_path, story)


def test_connections_are_bounded(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        meta, data = single(world, 12 * MB)
        urls = [f"http://w{n}.example/" for n in range(9)]
        servers = Servers({url + "file": data for url in urls})
        torrent = await begin(world, meta, servers, *urls)
        await torrent.finished()
        assert servers.most == MOST_ACTIVE

    simulate(tmp_path, story)


def test_a_web_seed_that_lies_is_asked_no_more(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        meta, data = single(world, 8 * MB)
        liar, honest = "http://liar.example/", "http://honest.example/"
        servers = Servers({liar + "file": data, honest + "file": data})
        servers.bad = lambda url, some: bytes(len(some)) if url.startswith(liar) else some
        torrent = await begin(world, meta, servers, liar, honest)
        banned = asyncio.create_task(_first(torrent, PeerBanned))
        await torrent.finished()
        assert torrent.path.read_bytes() == data
        assert (await banned).address == Address("liar.example", 80)
        states = {seed.url: seed.state for seed in torrent.status().web_seeds}
        assert states == {liar: "banned", honest: "idle"}
        lies = [
            at
            for at, part in zip(servers.when, servers.asked, strict=True)
            if part.url.startswith(liar)
        ]
        assert len(lies) <= 2
        assert not servers.under_way

    simulate(tmp_path, story)


async def _first(torrent: Torrent, kind: type[PeerBanned]) -> PeerBanned:
    async for event in torrent.events():
        if isinstance(event, kind):
            return event
    raise AssertionError


def test_one_wrong_byte_is_found_where_a_peer_sent_the_rest(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        meta, data = single(world, 2 * MB)
        servers = Servers({URL + "file": data})
        servers.bad = lambda _, some: some[:-1] + bytes([some[-1] ^ 1])
        torrent = await begin(world, meta, servers)
        await world.until(lambda: torrent.status().web_seeds[0].state == "banned")
        home = world.host()
        await (await world.node(home)).add(meta, data=world.folder / "seed")
        torrent.add_peer(Address(home.name, 46881))
        await torrent.finished()
        assert torrent.path.read_bytes() == data

    simulate(tmp_path, story)


def test_a_busy_server_says_when(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        meta, data = single(world)
        servers = Servers({URL + "file": data})
        servers.troubles = [BusyError("answered with HTTP status 503", 100.0)]
        torrent = await begin(world, meta, servers)
        await world.until(lambda: torrent.status().web_seeds[0].state == "resting")
        [seed] = torrent.status().web_seeds
        assert seed.retry_in == pytest.approx(100, abs=1)
        assert seed.message == "web.example: answered with HTTP status 503"
        await torrent.finished()
        assert 100 <= servers.when[1] - servers.when[0] < 102

    simulate(tmp_path, story)


def test_who_fails_rests_longer_each_time_and_is_never_given_up(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        meta, data = single(world)
        servers = Servers({URL + "file": data})
        servers.troubles = [NetworkError("cannot be reached") for _ in range(7)]
        torrent = await begin(world, meta, servers)
        await torrent.finished()
        rests = [after - before for before, after in pairwise(servers.when)][:7]
        wanted = [30, 60, 120, 240, 480, 960, 1920]
        assert rests == [pytest.approx(rest, abs=2) for rest in wanted]
        assert not torrent.status().web_seeds[0].failures

    simulate(tmp_path, story)


def test_a_download_whose_web_seeds_rest_costs_nothing(tmp_path: Path) -> None:
    """It sleeps until one of them may be asked again."""

    async def story(world: World) -> None:
        meta, data = single(world)
        servers = Servers({URL + "file": data})
        servers.troubles = [BusyError("answered with HTTP status 503", 600.0)]
        torrent = await begin(world, meta, servers)
        await world.until(lambda: torrent.status().web_seeds[0].state == "resting")
        ticks = 0
        tick = torrent.do_what_is_due

        def counted() -> None:
            nonlocal ticks
            ticks += 1
            tick()

        torrent.do_what_is_due = counted  # type: ignore[method-assign]
        await asyncio.sleep(590)
        assert ticks < 60
        await torrent.finished()
        assert world.loop.time() < 620

    simulate(tmp_path, story)


def test_who_gave_something_before_it_failed_rests_the_shortest_time(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        meta, data = single(world, MB)
        servers = Servers({URL + "file": data})
        servers.breaks_after = 300_000
        torrent = await begin(world, meta, servers)
        await torrent.finished()
        assert torrent.path.read_bytes() == data
        assert world.loop.time() < 200
        assert max(b - a for a, b in pairwise(servers.when)) < 33

    simulate(tmp_path, story)


def test_a_file_that_is_not_there_comes_from_others(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        sizes = {"a": 3 * PIECE + 7, "gone": 2 * PIECE, "b": 3 * PIECE}
        meta, folder = world.many_files(sizes, PIECE)
        datas = {name: (folder / "many" / name).read_bytes() for name in sizes}
        servers = Servers({f"{URL}many/{name}": datas[name] for name in ("a", "b")})
        torrent = await begin(world, meta, servers)
        await asyncio.sleep(60)
        # Pieces 3 to 5 reach into the file that is not there.
        assert [*torrent.picker.have.pieces()] == [0, 1, 2, 6, 7, 8][: torrent.picker.have.count()]
        assert torrent.picker.have.count() >= 5
        assert sum(part.url.endswith("gone") for part in servers.asked) == 1
        assert torrent.status().web_seeds[0].failures == 0
        servers.files[f"{URL}many/gone"] = datas["gone"]
        await torrent.finished()
        assert world.loop.time() == pytest.approx(MISSING_REST, abs=70)

    simulate(tmp_path, story)


def test_a_server_of_something_else_is_not_asked_for_every_file(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        meta, _ = world.many_files({f"{n:03}": 2 * PIECE for n in range(100)}, PIECE)
        servers = Servers({})
        await begin(world, meta, servers)
        await asyncio.sleep(600)
        assert 5 <= len(servers.asked) <= 40

    simulate(tmp_path, story)


def test_two_versions_of_a_file_do_not_come_into_one_piece(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        meta, data = single(world, 20 * PIECE)
        old = bytes(len(data))
        servers = Servers({URL + "file": old}, chunk=BLOCK, pause=0.5)
        torrent = await begin(world, meta, servers)
        await world.until(lambda: servers.given == 2 * BLOCK)
        servers.breaks_after, servers.files = 0, {URL + "file": data}
        await world.until(lambda: torrent.status().web_seeds[0].failures)
        servers.breaks_after = 1 << 60
        servers.troubles = [ChangedError("has another version of the file by now")]
        await torrent.finished()
        assert torrent.path.read_bytes() == data
        assert not torrent.status().hash_failures

    simulate(tmp_path, story)


def test_memory_and_rate_hold_a_web_seed_up(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        meta, data = single(world)
        servers = Servers({URL + "file": data})
        began = world.loop.time()
        torrent = await begin(world, meta, servers, down_limit=500_000)
        await torrent.finished()
        assert world.loop.time() - began > 0.8 * len(data) / 500_000

    simulate(tmp_path, story)


def test_a_seed_asks_nobody(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        meta, data = single(world)
        servers = Servers({URL + "file": data})
        node = await world.node(world.host())
        torrent = await node.add(meta, data=world.folder / "seed")
        torrent.web_seeds = WebSeeds(replace(meta, web_seeds=(URL,)), servers, world.loop.time)
        await torrent.finished()
        await asyncio.sleep(60)
        assert not servers.asked
        assert torrent.status().web_seeds[0].state == "not contacted"
        assert not torrent.sources

    simulate(tmp_path, story)


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("http://me:secret@a/x?key=1", "http://a/x?…"),
        ("https://a:8/x", "https://a:8/x"),
    ],
)
def test_secrets_are_not_shown(url: str, text: str) -> None:
    assert shown(url) == text
