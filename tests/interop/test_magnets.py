"""Magnet links (BEP 9): a client that has only the link gets the metadata of ours, and ours of it."""

import pytest

from tests.interop.lab import ODD_FILES, Lab, StartClient, kept_by
from tests.interop.table import GIVES, TAKES, part
from tests.support.foreign import aria2, libtorrent, transmission, until

pytestmark = [pytest.mark.interop, pytest.mark.timeout(120)]

ALL = pytest.mark.parametrize("client", [libtorrent, aria2, transmission])
# 2000 pieces: metadata of 40 000 bytes, which goes from peer to peer in three parts.
MANY_PIECES = {"large": bytes(range(256)) * (2000 * 64)}


@part("magnet links and ut_metadata", GIVES)
@ALL
def test_gives_its_metadata_to_our_get(client: StartClient, lab: Lab) -> None:
    lab.share(ODD_FILES)
    with lab.foreign_seed(client), lab.get(source=lab.link) as get:
        assert get.wait(60) == 0, get.stderr
    assert lab.fetched("get") == ODD_FILES


@part("magnet links and ut_metadata", TAKES)
@pytest.mark.parametrize("client", [libtorrent, transmission])
def test_takes_the_metadata_of_our_seed_which_dials_it(client: StartClient, lab: Lab) -> None:
    """aria2 with a link alone tells the tracker that it is a seed, and so is told of none."""
    lab.share(ODD_FILES)
    with lab.foreign_get(client, lab.link) as peer:
        until(lambda: lab.counts().incomplete == 1, "the client announces")
        with lab.seed():
            until(peer.is_complete, "the download", 40)
    assert lab.fetched(client.__name__) == kept_by(client, ODD_FILES)


def test_metadata_of_many_parts(lab: Lab) -> None:
    lab.share(MANY_PIECES, "16KiB")
    with lab.foreign_seed(libtorrent), lab.get(source=lab.link) as get:
        assert get.wait(60) == 0, get.stderr
    with lab.seed(), lab.foreign_get(libtorrent, lab.link) as peer:
        until(peer.is_complete, "the download", 60)
    assert lab.fetched("libtorrent") == lab.fetched("get") == MANY_PIECES
