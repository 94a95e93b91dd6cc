"""Who came while a node was closing made it print a traceback; output that nobody took was exit code 120."""

import subprocess
import sys
from pathlib import Path

import pytest

from p2pswarm.errors import RemoteProtocolError
from p2pswarm.wire.sniff import Guest
from tests.support.patience import PATIENCE
from tests.support.processes import ROOT
from tests.support.world import World, simulate


@pytest.mark.parametrize("guest", [Guest.PEER_WIRE, Guest.OBFUSCATED])
def test_who_comes_while_a_node_closes_is_sent_away(tmp_path: Path, guest: Guest) -> None:
    async def story(world: World) -> None:
        node = await world.node(world.host(), encryption="prefer")
        stream = node._port.knock()
        node._is_open = False  # as from the beginning of its close on, while it listens still
        with pytest.raises(RemoteProtocolError):
            node._port.welcome(guest, stream)

    simulate(tmp_path, story)


def test_output_to_a_full_disk_is_told_once_and_has_its_code() -> None:
    with Path("/dev/full").open("wb") as full:
        ran = subprocess.run(
            [sys.executable, "-m", "p2pswarm", "--version"],
            cwd=ROOT,
            stdout=full,
            stderr=subprocess.PIPE,
            timeout=PATIENCE,
            check=False,
            text=True,
        )
    assert ran.returncode not in (0, 120)
    assert len(ran.stderr.splitlines()) == 1, ran.stderr
