"""How clients that dial nobody on the loopback, or take their time, find us and we them; run by
scripts/test-interop.

Transmission's DHT needs more than eight nodes before it announces, so some of ours are around it.
"""

import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

from p2pswarm.formats.magnet import Magnet
from p2pswarm.formats.metainfo import Metainfo
from tests.interop.lab import Lab, StartClient
from tests.interop.table import GIVES, TAKES, part
from tests.interop.test_finding import SLOW, meets
from tests.interop.test_utp import ALONE
from tests.interop.test_variants import some_files
from tests.support.dht_nodes import dht_of
from tests.support.foreign import aria2, libtorrent, transmission, until
from tests.support.foreign_dht import Ours
from tests.support.patience import PATIENCE

pytestmark = pytest.mark.interop

NETWORK = "10.77.0."
FILES = some_files(300_000)
ALL = pytest.mark.parametrize("client", [libtorrent, aria2, transmission])
TRANSMISSION = pytest.mark.parametrize("client", [transmission])
MakeLab = Callable[..., Lab]


@pytest.fixture
def lab(make_lab: MakeLab) -> Lab:
    return make_lab(NETWORK)


# IPv6


@part("IPv6, HTTP tracker", GIVES)
@ALL
def test_gives_over_ipv6(client: StartClient, make_lab: MakeLab) -> None:
    lab = make_lab("fd77::")
    lab.share(FILES)
    with lab.foreign_seed(client), lab.get() as get:
        assert get.wait() == 0, get.stderr
    assert lab.fetched("get") == FILES


@part("IPv6, HTTP tracker", TAKES)
@ALL
def test_takes_over_ipv6(client: StartClient, make_lab: MakeLab) -> None:
    lab = make_lab("fd77::")
    lab.share(FILES)
    with lab.foreign_get(client) as peer:
        until(lambda: lab.counts().incomplete == 1, "the client announces")
        with lab.seed():
            until(peer.is_complete, "the download")
    assert lab.fetched(client.__name__) == FILES


# Addresses exchanged

EXCHANGES: Mapping[StartClient, Mapping[str, Any]] = {
    aria2: {"options": ["--enable-peer-exchange=true"]},
    transmission: {},
}


@part("PEX", GIVES)
@pytest.mark.parametrize("client", EXCHANGES)
def test_it_tells_us_of_another(client: StartClient, make_lab: MakeLab) -> None:
    """It tells of whom it dialed: of a seed that gives slowly and does not ask the tracker again."""
    lab = make_lab(NETWORK, interval=1800)
    lab.share(some_files(400_000), "16KiB")
    link = Magnet(info_hash=Metainfo.from_file(lab.torrent).info_hash)
    with (
        lab.seed("--up-limit", "2KiB") as seed,
        lab.foreign_get(client, **EXCHANGES[client]) as peer,
    ):
        seed.wait_for("peer_joined")  # aria2 tells at once, and later only of who is new
        with lab.get("--peer", peer.address, source=link) as get:
            meets(get, f"{lab.address_of('seed')}:0", 150)


@part("PEX", TAKES)
@TRANSMISSION
def test_we_tell_it_of_a_seed(client: StartClient, lab: Lab) -> None:
    """It dials whom we name: as a leech, it is the only one who wants to."""
    lab.share(some_files(3 << 20), tracked=False)
    with lab.foreign_get(client) as peer, lab.seed(*SLOW) as seed:
        place = f"{lab.address_of('seed')}:{seed.wait_for('listening')['port']}"
        with lab.get(*SLOW, "--peer", place, "--peer", peer.address):
            meets(seed, peer.address)


# The local network


@part("local discovery", GIVES)
@TRANSMISSION
def test_we_find_it_in_the_local_network(client: StartClient, lab: Lab) -> None:
    """It calls from the address that the route names, the first of the network."""
    lab.share(FILES, tracked=False)
    with lab.foreign_get(client, lpd=True) as peer, lab.get("--lsd") as get:
        meets(get, peer.address)


@part("local discovery", TAKES)
@TRANSMISSION
def test_it_finds_us_in_the_local_network(client: StartClient, lab: Lab) -> None:
    """It is where its own calls do not come from, so that we do not dial it."""
    lab.share(FILES, tracked=False)
    lab.new_address()
    with lab.foreign_get(client, lpd=True) as peer:
        time.sleep(8)  # in the first five seconds it hears nobody
        with lab.seed("--lsd"):
            until(peer.is_complete, "the download")
    assert lab.fetched(client.__name__) == FILES


# Hole punching


@contextmanager
def behind_a_nat(*hosts: str) -> Iterator[None]:
    """Only from where they have sent something does something reach them."""

    def rules(do: str) -> None:
        for host in hosts:
            dropped = ("-d", host, "-m", "conntrack", "--ctstate", "NEW", "-j", "DROP")
            subprocess.run(["iptables", do, "INPUT", *dropped], check=True)

    rules("-A")
    try:
        yield
    finally:
        rules("-D")


@part("hole punching", TAKES)
@pytest.mark.parametrize("client", [libtorrent])
def test_we_introduce_two_of_them(client: StartClient, make_lab: MakeLab) -> None:
    """One of them dials nobody by itself: two that dial each other at once need no third."""
    lab, how = make_lab("10.77.2."), ALONE
    lab.share(FILES, tracked=False)
    one, other = lab.new_address(), lab.new_address()
    waits = {**how, "seed": True, "seeding_outgoing_connections": False}
    with client(lab.home / "waits", lab.torrent, lab.source, one, **waits) as seed:
        slow = ("--transport", "utp", "--peer", seed.address, "--down-limit", "4KiB")
        with lab.get(*slow) as get:
            meets(get, seed.address)
            third = f"{lab.address_of('get')}:{get.wait_for('listening')['port']}"
            dials = {**how, "peer_connect_timeout": 3, "peers": [third]}
            place = (lab.home / "dials", lab.torrent, lab.folder("dials"), other)
            with behind_a_nat(one, other), client(*place, **dials) as peer:
                until(lambda: is_punched(peer, one), "a connection through the holes")


def is_punched(client: Any, host: str) -> bool:
    peers = client.status().get("peers", ())
    return any(peer["holepunched"] and peer["address"].startswith(f"{host}:") for peer in peers)


# The DHT


@pytest.fixture
def nodes() -> Iterator[Sequence[Ours]]:
    with dht_of([f"10.77.1.{number}" for number in range(1, 13)]) as nodes:
        yield nodes


def in_the_dht(client: StartClient, nodes: Sequence[Ours]) -> Mapping[str, Any]:
    if client is transmission:
        return {"dht": [node.address for node in nodes]}
    if client is aria2:
        return {"options": ["--enable-dht=true", f"--dht-entry-point={nodes[0].address}"]}
    return {"enable_dht": True, "dht_bootstrap_nodes": str(nodes[0].address)}


def us_in_the_dht(nodes: Sequence[Ours]) -> Sequence[str]:
    return ("--dht", "--dht-bootstrap", str(nodes[1].address))


@part("a trackerless download by the DHT", GIVES)
@ALL
def test_we_find_it_by_the_dht(client: StartClient, nodes: Sequence[Ours], lab: Lab) -> None:
    lab.share(FILES, tracked=False)
    place = (lab.home / "seeds", lab.torrent, lab.source, lab.new_address())
    seed = client(*place, seed=True, **in_the_dht(client, nodes))
    with seed, lab.get(*us_in_the_dht(nodes)) as get:
        assert get.wait(2 * PATIENCE) == 0, get.stderr
    assert lab.fetched("get") == FILES


@part("a trackerless download by the DHT", TAKES)
@ALL
def test_it_finds_us_by_the_dht(client: StartClient, nodes: Sequence[Ours], lab: Lab) -> None:
    """Nobody looks twice in the first minutes, so we have announced when it looks."""
    lab.share(FILES, tracked=False)
    with lab.seed(*us_in_the_dht(nodes)):
        until(lambda: sum(len(node.dht.store) for node in nodes) >= 8, "our announce")
        with lab.foreign_get(client, **in_the_dht(client, nodes)) as peer:
            until(peer.is_complete, "the download", 2 * PATIENCE)
    assert lab.fetched(client.__name__) == FILES
