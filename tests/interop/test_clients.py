"""Every foreign client takes from our seed and gives to our `get`, byte for byte."""

from collections.abc import Callable

import pytest

from tests.interop.lab import ODD_FILES, Lab, StartClient, kept_by
from tests.interop.table import GIVES, TAKES, part
from tests.support.foreign import aria2, libtorrent, transmission, until

pytestmark = pytest.mark.interop

ALL = pytest.mark.parametrize("client", [libtorrent, aria2, transmission])


@part("BEP 3 over TCP, HTTP tracker", GIVES)
@ALL
def test_gives_to_our_get(client: StartClient, lab: Lab) -> None:
    lab.share(ODD_FILES)
    with lab.foreign_seed(client), lab.get() as get:
        assert get.wait() == 0, get.stderr
    assert lab.fetched("get") == ODD_FILES


@part("BEP 3 over TCP, HTTP tracker", TAKES)
@ALL
def test_takes_from_our_seed_which_dials_it(client: StartClient, lab: Lab) -> None:
    lab.share(ODD_FILES)
    with lab.foreign_get(client) as peer:
        until(lambda: lab.counts().incomplete == 1, "the client announces")
        with lab.seed():
            until(peer.is_complete, "the download")
    assert lab.fetched(client.__name__) == kept_by(client, ODD_FILES)


@pytest.mark.parametrize("client", [libtorrent, aria2])
def test_dials_our_seed(client: StartClient, make_lab: Callable[..., Lab]) -> None:
    """The seed asked the tracker before, and will not ask again."""
    lab = make_lab(interval=1800)
    lab.share(ODD_FILES)
    with lab.seed(), lab.foreign_get(client) as peer:
        until(peer.is_complete, "the download")
    assert lab.fetched(client.__name__) == ODD_FILES
