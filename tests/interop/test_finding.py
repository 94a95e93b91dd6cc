"""Peers without a tracker: addresses exchanged with other clients, and searches in the local network."""

from collections.abc import Mapping
from typing import Any

import pytest

from tests.interop.lab import Lab, StartClient
from tests.interop.table import GIVES, TAKES, part
from tests.interop.test_variants import some_files
from tests.support.foreign import aria2, libtorrent, until
from tests.support.patience import PATIENCE
from tests.support.processes import Program

pytestmark = pytest.mark.interop

BOTH = pytest.mark.parametrize("client", [libtorrent, aria2])
SLOW = ("--up-limit", "50KiB")  # so that nobody is done before all have heard of all
EXCHANGES: Mapping[StartClient, Mapping[str, Any]] = {
    libtorrent: {},
    aria2: {"options": ["--enable-peer-exchange=true"]},
}
SEARCHES: Mapping[StartClient, Mapping[str, Any]] = {
    libtorrent: {"enable_lsd": True},
    aria2: {"options": ["--bt-enable-lpd=true"]},
}


def meets(running: Program, address: str, within: float = PATIENCE) -> None:
    """Until it is connected to the host of this address."""
    host = address.partition(":")[0]

    def joined() -> bool:
        told = [each for each in list(running.events) if each["event"] == "peer_joined"]
        return any(each["address"].startswith(f"{host}:") for each in told)

    until(joined, f"a connection to {host}", within)


@part("PEX", GIVES)
@pytest.mark.parametrize("client", [libtorrent])  # aria2 tells the first time after a minute
def test_it_tells_us_of_another(client: StartClient, lab: Lab) -> None:
    lab.share(some_files(3 << 20), tracked=False)
    with lab.foreign_get(client, **EXCHANGES[client]) as peer:
        named = ("--peer", peer.address)
        with lab.get(*named, name="other") as other, lab.get(*named) as get:
            meets(other, peer.address)
            meets(get, lab.address_of("other"))


@part("PEX", TAKES)
@BOTH
def test_we_tell_it_of_a_seed(client: StartClient, lab: Lab) -> None:
    lab.share(some_files(3 << 20), tracked=False)
    with lab.foreign_get(client, **EXCHANGES[client]) as peer, lab.seed(*SLOW) as seed:
        place = f"{lab.address_of('seed')}:{seed.wait_for('listening')['port']}"
        with lab.get(*SLOW, "--peer", place, "--peer", peer.address):
            meets(seed, peer.address)


@part("local discovery", GIVES)
@BOTH
def test_we_find_it_in_the_local_network(client: StartClient, lab: Lab) -> None:
    lab.share(some_files(100_000), tracked=False)
    with lab.get("--lsd") as get, lab.foreign_get(client, **SEARCHES[client]) as peer:
        meets(get, peer.address)


@part("local discovery", TAKES)
@BOTH
def test_it_finds_us_in_the_local_network(client: StartClient, lab: Lab) -> None:
    files = some_files(100_000)
    lab.share(files, tracked=False)
    with lab.foreign_get(client, **SEARCHES[client]) as peer, lab.seed("--lsd"):
        until(peer.is_complete, "the download")
    assert lab.fetched(client.__name__) == files
