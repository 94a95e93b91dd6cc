"""How clients that dial nobody on the loopback, or take their time, find us and we them; run by
scripts/test-interop.

Transmission's DHT needs more than eight nodes before it announces, so some of ours are around it. Both it and
aria2 exchange addresses for the first time after a minute or more: these wait beside each other.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

import pytest

from p2pswarm.formats.ids import Address
from tests.interop.lab import ODD_FILES, Lab, StartClient, kept_by
from tests.interop.table import GIVES, TAKES, part
from tests.interop.test_finding import SLOW, meets
from tests.interop.test_variants import some_files
from tests.support.dht_nodes import dht_of
from tests.support.foreign import aria2, libtorrent, transmission, until

pytestmark = [pytest.mark.interop, pytest.mark.timeout(200)]

NETWORK = "10.77.0."
FILES = some_files(300_000)
ALL = pytest.mark.parametrize("client", [libtorrent, aria2, transmission])
PATIENT = pytest.mark.parametrize("client", [aria2, transmission])
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
        assert get.wait(60) == 0, get.stderr
    assert lab.fetched("get") == FILES


@part("IPv6, HTTP tracker", TAKES)
@ALL
def test_takes_over_ipv6(client: StartClient, make_lab: MakeLab) -> None:
    lab = make_lab("fd77::")
    lab.share(FILES)
    with lab.foreign_get(client) as peer:
        until(lambda: lab.counts().incomplete == 1, "the client announces")
        with lab.seed():
            until(peer.is_complete, "the download", 60)
    assert lab.fetched(client.__name__) == FILES


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
    lab.share(FILES, tracked=False)
    with lab.foreign_get(client, lpd=True) as peer, lab.seed("--lsd"):
        until(peer.is_complete, "the download", 60)
    assert lab.fetched(client.__name__) == FILES


# The DHT


@pytest.fixture(scope="module")
def nodes() -> Iterator[Sequence[Address]]:
    with dht_of([f"10.77.1.{number}" for number in range(1, 13)]) as nodes:
        yield nodes


def in_the_dht(client: StartClient, nodes: Sequence[Address]) -> Mapping[str, Any]:
    if client is transmission:
        return {"dht": nodes}
    if client is aria2:
        return {"options": ["--enable-dht=true", f"--dht-entry-point={nodes[0]}"]}
    return {"enable_dht": True, "dht_bootstrap_nodes": str(nodes[0])}


def us_in_the_dht(nodes: Sequence[Address]) -> Sequence[str]:
    return ("--dht", "--dht-bootstrap", str(nodes[1]))


@part("a trackerless download by the DHT", GIVES)
@ALL
def test_we_find_it_by_the_dht(client: StartClient, nodes: Sequence[Address], lab: Lab) -> None:
    lab.share(FILES, tracked=False)
    place = (lab.home / "seeds", lab.torrent, lab.source, lab.new_address())
    with client(*place, seed=True, **in_the_dht(client, nodes)):
        with lab.get(*us_in_the_dht(nodes)) as get:
            assert get.wait(150) == 0, get.stderr
    assert lab.fetched("get") == FILES


@part("a trackerless download by the DHT", TAKES)
@ALL
def test_it_finds_us_by_the_dht(client: StartClient, nodes: Sequence[Address], lab: Lab) -> None:
    lab.share(FILES, tracked=False)
    with lab.seed(*us_in_the_dht(nodes)), lab.foreign_get(client, **in_the_dht(client, nodes)) as peer:
        until(peer.is_complete, "the download", 150)
    assert lab.fetched(client.__name__) == FILES
