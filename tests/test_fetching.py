"""Hits become downloads, whatever their hosts answer."""

import asyncio
from pathlib import Path
from types import SimpleNamespace

import pytest

from p2pswarm.errors import LocalProtocolError, NetworkError, RemoteError, RemoteProtocolError
from p2pswarm.fetching import TREE_TIME, Fetching
from p2pswarm.overlay.query import Hit
from tests.support.patience import PATIENCE
from tests.support.world import World, simulate
from tests.test_sources import HERE, Network, Torrent, hit_of


class Broken(Network):
    """Its hosts give neither torrent nor tree."""

    def __init__(self, error: Exception | None) -> None:
        super().__init__()
        self._error = error

    async def torrent(self, hit: Hit) -> bytes:
        return await self._fail()

    async def tree(self, hit: Hit) -> None:
        await self._fail()

    async def _fail(self) -> bytes:
        if self._error is None:
            await asyncio.Event().wait()
        raise self._error or AssertionError


def fetching(network: Network, torrent: Torrent, tasks: asyncio.TaskGroup) -> Fetching:
    async def add(*_: object, **__: object) -> Torrent:
        return torrent

    return Fetching(lambda hit: network, add, tasks.create_task)  # type: ignore[arg-type, return-value]


@pytest.mark.parametrize("error", [RemoteProtocolError("odd"), LocalProtocolError("odd")])
async def test_a_host_that_answers_nonsense_for_a_torrent_has_none(error: Exception) -> None:
    asked = hit_of("one", HERE, info_hash=b"\1" * 20)
    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as tasks:
        door = fetching(Broken(error), Torrent(), tasks)
        with pytest.raises(NetworkError, match="cannot get its torrent: odd"):
            await door.download([asked], Path("nowhere"))


async def test_who_waits_for_a_torrent_hears_when_the_node_ends() -> None:
    asked = hit_of("one", HERE, info_hash=b"\1" * 20)
    chores: list[asyncio.Task[None]] = []
    tasks = SimpleNamespace(create_task=lambda work: chores.append(asyncio.create_task(work)))
    door = fetching(Broken(None), Torrent(), tasks)  # type: ignore[arg-type]
    download = asyncio.create_task(door.download([asked], Path("nowhere")))
    await asyncio.sleep(0.01)
    chores[0].cancel()
    async with asyncio.timeout(PATIENCE):
        with pytest.raises(NetworkError, match="we stopped asking"):
            await download


@pytest.mark.parametrize("error", [RemoteProtocolError("odd"), NetworkError("gone"), None])
def test_a_host_that_has_no_tree_gives_the_file(tmp_path: Path, error: RemoteError | None) -> None:
    async def story(world: World) -> None:
        torrent, hit = Torrent(), hit_of("one", HERE, sha1=b"\1" * 20)
        torrent.shareable = False
        began = asyncio.get_running_loop().time()
        async with asyncio.TaskGroup() as tasks:
            await fetching(Broken(error), torrent, tasks).download([hit], tmp_path)
        took = asyncio.get_running_loop().time() - began
        assert [host.hit for host in torrent.hosts] == [hit]  # type: ignore[attr-defined]
        assert took == pytest.approx(0.0 if error else TREE_TIME, abs=1.0)

    simulate(tmp_path, story)
