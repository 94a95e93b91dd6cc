"""UDP trackers (BEP 15): foreign clients ask ours, and our client asks a foreign one."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from p2pswarm.formats.metainfo import Metainfo
from tests.interop.lab import Lab, StartClient
from tests.interop.table import GIVES, TAKES, part
from tests.support.foreign import aria2, libtorrent, opentracker, transmission, until
from tests.support.processes import program

pytestmark = pytest.mark.interop

# aria2 asks UDP trackers from the socket of its DHT.
NEEDS: Mapping[object, Mapping[str, Sequence[str]]] = {aria2: {"options": ["--enable-dht=true"]}}
FILES = {"a": bytes(range(256)) * 2000}


@part("UDP tracker", GIVES)
@pytest.mark.parametrize("client", [libtorrent, aria2, transmission])
def test_who_announces_by_udp_gives_to_our_get(client: StartClient, lab: Lab) -> None:
    lab.share(FILES, announce=lab.announce_by_udp)
    with lab.foreign_seed(client, **NEEDS.get(client, {})), lab.get() as get:
        assert get.wait() == 0, get.stderr
    assert lab.fetched("get") == FILES


@part("UDP tracker", TAKES)
@pytest.mark.parametrize("client", [libtorrent, aria2, transmission])
def test_who_announces_by_udp_takes_from_our_seed(client: StartClient, lab: Lab) -> None:
    lab.share(FILES, announce=lab.announce_by_udp)
    with lab.foreign_get(client, **NEEDS.get(client, {})) as peer:
        until(lambda: lab.counts().incomplete == 1, "the client announces")
        with lab.seed():
            until(peer.is_complete, "the download")
    assert lab.fetched(client.__name__) == FILES


@part("UDP tracker over IPv6", GIVES)
@pytest.mark.parametrize("client", [libtorrent])
def test_over_ipv6(client: StartClient, tmp_path: Path) -> None:
    """The tracker is the only one who knows everybody, and it hears IPv6 only."""
    with program(tmp_path / "tracker", "--host", "::1", "--port", 0, module="tracker") as tracker:
        lab = Lab(tmp_path, tracker, "")
        lab.share(FILES, announce=lab.announce_by_udp)
        with client(tmp_path / "seeds", lab.torrent, lab.source, "::1", seed=True) as seed:
            until(lambda: lab.counts().complete == 1, "the client announces")
            place = ("--bind", "::1", "--port", 0, "-o", lab.folder("get"))
            with program(tmp_path / "get", "get", lab.torrent, *place) as get:
                assert get.wait() == 0, get.stderr + seed.said()
    assert lab.fetched("get") == FILES


def test_a_foreign_tracker_brings_us_together(lab: Lab, tmp_path: Path) -> None:
    lab.share(FILES)
    info_hash = Metainfo.from_file(lab.torrent).info_hash
    with opentracker(tmp_path / "opentracker", info_hash, lab.new_address()) as announce:
        lab.torrent.unlink()
        lab.share(FILES, announce=announce)
        with lab.seed(), lab.get() as get:
            assert get.wait() == 0, get.stderr
    assert lab.fetched("get") == FILES
