"""A fetch without info-hash whose hosts had given up waited for ever, and asked who refused five times."""

import asyncio
from pathlib import Path

import pytest

from p2pswarm.cli.exits import CommandError, Exit
from p2pswarm.cli.following import Patience, follow
from p2pswarm.cli.options import Progress
from p2pswarm.cli.report import Report
from p2pswarm.cli.running import Stop
from p2pswarm.cli.transfer import complete
from p2pswarm.errors import BusyError, NetworkError, RefusedError
from p2pswarm.swarm.ranges import BUSY_PAUSE, PAUSE
from p2pswarm.swarm.torrent import Torrent
from tests.support.world import World, simulate
from tests.swarm.test_loose import DATA, started
from tests.swarm.test_ranges import Shop

pytestmark = pytest.mark.sim


async def followed(torrent: Torrent) -> bool:
    with Report(Progress(quiet=True)) as report:
        return await follow(torrent, report, Stop(lambda: None), complete, Patience(None))


def test_the_command_ends_and_says_why(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        torrent = await started(await world.node(world.host()), tmp_path / "to")
        gone, refusing = Shop(DATA, 1), Shop(DATA, 2)
        gone.refusals = [NetworkError("alice does not answer")] * 100
        refusing.refusals = [RefusedError("bob does not give song.mp3")] * 100
        torrent.add_source(refusing)
        torrent.add_source(gone)
        with pytest.raises(CommandError, match="every host was given up: alice does not") as ended:
            await followed(torrent)
        assert ended.value.code == Exit.NO_PEERS
        assert (len(gone.began), len(refusing.began)) == (5, 2)
        assert world.loop.time() < PAUSE * 16

    simulate(tmp_path, story)


def test_who_has_no_place_now_is_waited_for(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        torrent = await started(await world.node(world.host()), tmp_path / "to")
        refusing, busy = Shop(DATA, 1), Shop(DATA, 2)
        refusing.refusals = [RefusedError("no")] * 100
        busy.refusals = [BusyError("no place")] * 50
        torrent.add_source(busy)
        torrent.add_source(refusing)
        assert await followed(torrent)
        assert world.loop.time() > BUSY_PAUSE * 50

    simulate(tmp_path, story)


def test_who_was_away_for_a_moment_is_asked_again(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        torrent = await started(await world.node(world.host()), tmp_path / "to")
        shop = Shop(DATA)
        shop.refusals = [RefusedError("alice does not have it any more")]
        torrent.add_source(shop)
        assert await followed(torrent)

    simulate(tmp_path, story)


def test_a_torrent_with_hashes_waits_for_peers(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        meta, folder = world.content(100_000, 1 << 14)
        torrent = await world.download(await world.node(world.host()), meta)
        shop = Shop((folder / "file").read_bytes())
        shop.refusals = [RefusedError("no")] * 100
        torrent.add_source(shop)
        await world.until(lambda: torrent.sources[0].over)
        await asyncio.sleep(10)
        assert torrent.deserted is None

    simulate(tmp_path, story)
