"""A whole node among neighbours that say anything, by link, by UDP and by HTTP.

The loop of a world complains of every exception that comes out of a callback.
"""

import asyncio
import gc
import tracemalloc
from pathlib import Path
from random import Random

import pytest

from p2pswarm.config import NetworkSettings
from p2pswarm.errors import NetworkError
from p2pswarm.formats.ids import Address
from p2pswarm.node import Node
from p2pswarm.overlay.gnutella.links.agreement import Role
from p2pswarm.wire import framer
from tests.support.gnutella import Stranger
from tests.support.gnutella_noise import noise, request
from tests.support.quiet import quiet
from tests.support.servent import dial
from tests.support.world import World, simulate

ROUNDS = 30  # of each half
MESSAGES = 40  # of a round
MOST_GROWTH = (
    2 << 20
)  # bytes in the second half; what is remembered for ten minutes is some of them


class There:
    """Something to dial."""

    def __init__(self, address: Address) -> None:
        self.address = address


async def torment(world: World, there: There, dice: Random) -> None:
    """Rounds of noise, from neighbours that come again when they are sent away."""
    stranger = Stranger(world, world.host())  # type: ignore[arg-type]  # its dice are enough
    await stranger.port.open()
    await stranger.port.open_datagrams()
    for _ in range(ROUNDS):
        if not hasattr(stranger, "link") or stranger.link.over:
            try:
                await stranger.dial(there, dice.choice(list(Role)))  # type: ignore[arg-type]
            except NetworkError:  # it does not want this role now
                await asyncio.sleep(1)
                continue
        guids = [stranger.guid, bytes(16)] + [head.guid for head in stranger.heads[-20:]]
        guids += [head.payload[-16:] for head in stranger.heads[-20:]]
        guids = [guid for guid in guids if len(guid) == 16]
        stranger.heads.clear()
        for _ in range(MESSAGES):
            stranger.link.tell(noise(dice, guids))
            stranger.port.send_datagram(noise(dice, guids).encode(), there.address)
        caller = await dial(world, there.address, stranger.host.name)
        caller.say(request(dice))
        await asyncio.sleep(2)
        caller.hang_up()
    if hasattr(stranger, "link"):
        stranger.link.close()
    await stranger.port.close()


def held() -> int:
    """Bytes of everything but receive buffers: each stranger has one of its own, a node has one in all."""
    traces = tracemalloc.take_snapshot().filter_traces([tracemalloc.Filter(False, framer.__file__)])
    return sum(trace.size for trace in traces.traces)


@pytest.mark.parametrize("role", ["flat", "ultrapeer", "leaf", "auto"])
def test_a_node_bears_any_noise(tmp_path: Path, role: str) -> None:
    share = tmp_path / "Music"
    share.mkdir()
    for name in ("blue moon.mp3", "blue cheese.ogg"):
        (share / name).write_bytes(b"blue" * 100)

    async def story(world: World) -> None:
        host = world.host()
        where = quiet(bind=host.name, data_dir=tmp_path / "state", disk_threads=0, port=46881)
        flat = role == "flat"
        networks = NetworkSettings(flood=flat, gnutella_role="auto" if flat else role)
        async with Node(where, networks, dice=Random(1)) as node:
            await node.networks.share([share])
            await node.networks.join("gnutella")
            there, dice = There(Address(host.name, node.port)), Random(2)
            tracemalloc.start()
            sizes = []
            for _ in range(2):
                await asyncio.gather(*(torment(world, there, dice) for _ in range(2)))
                await asyncio.sleep(60)
                gc.collect()
                sizes.append(held())
            tracemalloc.stop()
            assert sizes[1] - sizes[0] < MOST_GROWTH, sizes
            (status,) = node.networks.status()
            assert sum(status.received.values()) > ROUNDS * MESSAGES

    simulate(tmp_path, story)
