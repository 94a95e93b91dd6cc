"""rTorrent, which announces every ten minutes: who comes second finds the first at the tracker."""

from collections.abc import Callable

import pytest

from tests.interop.lab import ODD_FILES, Lab, StartClient
from tests.interop.table import GIVES, TAKES, part
from tests.support.foreign import until
from tests.support.foreign_rtorrent import rtorrent

pytestmark = pytest.mark.interop

CLIENT = pytest.mark.parametrize("client", [rtorrent])
RC4_ALONE = "allow_incoming,try_outgoing,require,require_RC4"


@pytest.fixture
def lab(make_lab: Callable[..., Lab]) -> Lab:
    """With a tracker that remembers."""
    return make_lab(interval=1800)


def gives(lab: Lab, client: StartClient, source: object = None, **options: object) -> None:
    with lab.foreign_seed(client, **options), lab.get(source=source) as get:
        assert get.wait() == 0, get.stderr
    assert lab.fetched("get") == ODD_FILES


def takes(lab: Lab, client: StartClient, source: object = None, **options: object) -> None:
    """It dials our seed."""
    with lab.seed(), lab.foreign_get(client, source, **options) as peer:
        until(peer.is_complete, "the download")
    assert lab.fetched("rtorrent") == ODD_FILES


@part("BEP 3 over TCP, HTTP tracker", GIVES)
@CLIENT
def test_gives_to_our_get(client: StartClient, lab: Lab) -> None:
    lab.share(ODD_FILES)
    gives(lab, client)


@part("BEP 3 over TCP, HTTP tracker", TAKES)
@CLIENT
def test_takes_from_our_seed_which_dials_it(client: StartClient, lab: Lab) -> None:
    lab.share(ODD_FILES)
    with lab.foreign_get(client) as peer:
        until(lambda: lab.counts().incomplete == 1, "it announces")
        with lab.seed():
            until(peer.is_complete, "the download")
    assert lab.fetched("rtorrent") == ODD_FILES


@part("magnet links and ut_metadata", GIVES)
@CLIENT
def test_gives_its_metadata(client: StartClient, lab: Lab) -> None:
    lab.share(ODD_FILES)
    gives(lab, client, lab.link)


@part("magnet links and ut_metadata", TAKES)
@CLIENT
def test_takes_our_metadata(client: StartClient, lab: Lab) -> None:
    lab.share(ODD_FILES)
    takes(lab, client, lab.link)


@part("MSE, RC4 payload", GIVES)
@part("UDP tracker", GIVES)
@CLIENT
def test_announces_by_udp_and_gives_encrypted(client: StartClient, lab: Lab) -> None:
    lab.share(ODD_FILES, announce=lab.announce_by_udp)
    gives(lab, client, encryption=RC4_ALONE)


@part("MSE, RC4 payload", TAKES)
@part("UDP tracker", TAKES)
@CLIENT
def test_announces_by_udp_and_takes_encrypted(client: StartClient, lab: Lab) -> None:
    lab.share(ODD_FILES, announce=lab.announce_by_udp)
    takes(lab, client, encryption=RC4_ALONE)
