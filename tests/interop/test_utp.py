"""Over uTP alone: nobody here listens to TCP or dials by it."""

import random
from collections.abc import Callable

import pytest

from tests.interop.lab import ODD_FILES, Lab, StartClient, kept_by
from tests.interop.table import GIVES, TAKES, part
from tests.support.foreign import libtorrent, transmission, until

pytestmark = pytest.mark.interop

LIBTORRENT = pytest.mark.parametrize("client", [libtorrent])
BOTH = pytest.mark.parametrize("client", [libtorrent, transmission])
ALONE = {
    "enable_incoming_utp": True,
    "enable_outgoing_utp": True,
    "enable_incoming_tcp": False,
    "enable_outgoing_tcp": False,
}
FORCED = {**ALONE, "in_enc_policy": 0, "out_enc_policy": 0, "allowed_enc_level": 2}
"""RC4 for everything."""
OURS = ("--transport", "utp")


def by_utp(client: StartClient) -> dict[str, bool]:
    """Transmission listens to TCP too, but we do not dial by it, and it dials nobody here."""
    return {"utp": True} if client is transmission else ALONE


MANY_PACKETS = {**ODD_FILES, "large": random.Random(9).randbytes(30 << 20)}


@part("BEP 29, uTP only", GIVES)
@BOTH
def test_gives_to_our_get(client: StartClient, lab: Lab) -> None:
    lab.share(MANY_PACKETS)
    with lab.foreign_seed(client, **by_utp(client)), lab.get(*OURS) as get:
        assert get.wait() == 0, get.stderr
    assert lab.fetched("get") == MANY_PACKETS


@part("BEP 29, uTP only", TAKES)
@LIBTORRENT
def test_dials_our_seed(client: StartClient, make_lab: Callable[..., Lab]) -> None:
    """The seed asked the tracker before, and will not ask again."""
    lab = make_lab(interval=1800)
    lab.share(MANY_PACKETS)
    with lab.seed(*OURS), lab.foreign_get(client, **ALONE) as peer:
        until(peer.is_complete, "the download")
    assert lab.fetched(client.__name__) == MANY_PACKETS


@part("BEP 29, uTP only", TAKES)
@BOTH
def test_takes_from_our_seed_which_dials_it(client: StartClient, lab: Lab) -> None:
    lab.share(ODD_FILES)
    with lab.foreign_get(client, **by_utp(client)) as peer:
        until(lambda: lab.counts().incomplete == 1, "the client announces")
        with lab.seed(*OURS):
            until(peer.is_complete, "the download")
    assert lab.fetched(client.__name__) == kept_by(client, ODD_FILES)


@part("BEP 29, uTP only, encryption required", GIVES)
@LIBTORRENT
def test_gives_encrypted(client: StartClient, lab: Lab) -> None:
    lab.share(ODD_FILES)
    with lab.foreign_seed(client, **FORCED), lab.get(*OURS, "--encryption", "require") as get:
        assert get.wait() == 0, get.stderr
    assert lab.fetched("get") == ODD_FILES


@part("BEP 29, uTP only, encryption required", TAKES)
@LIBTORRENT
def test_takes_encrypted(client: StartClient, make_lab: Callable[..., Lab]) -> None:
    lab = make_lab(interval=1800)
    lab.share(ODD_FILES)
    with lab.seed(*OURS, "--encryption", "require"), lab.foreign_get(client, **FORCED) as peer:
        until(peer.is_complete, "the download")
    assert lab.fetched(client.__name__) == ODD_FILES
