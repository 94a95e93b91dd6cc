"""What cannot be tried on 127.0.0.0/8, where Transmission dials nobody: run by scripts/test-interop."""

from collections.abc import Callable

import pytest

from tests.interop.lab import ODD_FILES, Lab, kept_by
from tests.support.foreign import aria2, libtorrent, transmission, until

pytestmark = pytest.mark.interop

NETWORK = "10.77.0."


def test_transmission_dials_our_seed(make_lab: Callable[..., Lab]) -> None:
    """The seed asked the tracker before, and will not ask again."""
    lab = make_lab(NETWORK, interval=1800)
    lab.share(ODD_FILES)
    with lab.seed(), lab.foreign_get(transmission) as peer:
        until(peer.is_complete, "the download")
    assert lab.fetched("transmission") == kept_by(transmission, ODD_FILES)


def test_all_makes_in_one_swarm(make_lab: Callable[..., Lab]) -> None:
    lab = make_lab(NETWORK)
    lab.share(ODD_FILES)
    with (
        lab.seed("--up-limit", "1MB"),
        lab.get("--stay") as get,
        lab.foreign_get(libtorrent) as one,
        lab.foreign_get(aria2) as two,
        lab.foreign_get(transmission) as three,
    ):
        for peer in (one, two, three):
            until(peer.is_complete, "the download")
        get.wait_for("completed")
    assert lab.fetched("get") == lab.fetched("libtorrent") == lab.fetched("aria2") == ODD_FILES
    assert lab.fetched("transmission") == kept_by(transmission, ODD_FILES)
