"""Over uTP alone: nobody here listens to TCP or dials by it."""

import random
from collections.abc import Callable, Mapping

import pytest

from tests.interop.lab import ODD_FILES, Lab, StartClient, kept_by
from tests.interop.table import GIVES, TAKES, part
from tests.support.foreign import libtorrent, transmission, until

pytestmark = [pytest.mark.interop, pytest.mark.timeout(120)]

LIBTORRENT = pytest.mark.parametrize("client", [libtorrent])
ALONE: Mapping[StartClient, Mapping[str, bool]] = {
    libtorrent: {
        "enable_incoming_utp": True,
        "enable_outgoing_utp": True,
        "enable_incoming_tcp": False,
        "enable_outgoing_tcp": False,
    },
    transmission: {"utp": True},  # it cannot do without TCP, but we can
}
BOTH = pytest.mark.parametrize("client", ALONE)
OURS = ("--transport", "utp")
MANY_PACKETS = {**ODD_FILES, "large": random.Random(9).randbytes(30 << 20)}


@part("BEP 29, uTP only", GIVES)
@BOTH
def test_gives_to_our_get(client: StartClient, lab: Lab) -> None:
    files = MANY_PACKETS if client is libtorrent else ODD_FILES
    lab.share(files)
    with lab.foreign_seed(client, **ALONE[client]), lab.get(*OURS) as get:
        assert get.wait(60) == 0, get.stderr
    assert lab.fetched("get") == files


@part("BEP 29, uTP only", TAKES)
@LIBTORRENT
def test_dials_our_seed(client: StartClient, make_lab: Callable[..., Lab]) -> None:
    """The seed asked the tracker before, and will not ask again."""
    lab = make_lab(interval=1800)
    lab.share(MANY_PACKETS)
    with lab.seed(*OURS), lab.foreign_get(client, **ALONE[client]) as peer:
        until(peer.is_complete, "the download", 60)
    assert lab.fetched(client.__name__) == MANY_PACKETS


@part("BEP 29, uTP only", TAKES)
@BOTH
def test_takes_from_our_seed_which_dials_it(client: StartClient, lab: Lab) -> None:
    lab.share(ODD_FILES)
    with lab.foreign_get(client, **ALONE[client]) as peer:
        until(lambda: lab.counts().incomplete == 1, "the client announces")
        with lab.seed(*OURS):
            until(peer.is_complete, "the download", 90)
    assert lab.fetched(client.__name__) == kept_by(client, ODD_FILES)
