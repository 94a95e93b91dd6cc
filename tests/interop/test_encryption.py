"""Clients that speak nothing but the obfuscated handshake, with each kind of payload, both directions.

libtorrent's `forced` makes it refuse everything else; `allowed_enc_level` is what the payload may be.
"""

from collections.abc import Callable

import pytest

from tests.interop.lab import ODD_FILES, Lab, kept_by
from tests.support.foreign import aria2, libtorrent, transmission, until

pytestmark = [pytest.mark.interop, pytest.mark.timeout(90)]

FORCED, ENABLED, DISABLED = 0, 1, 2
PLAIN, RC4, BOTH = 1, 2, 3

MODES = {
    "plain payload": ("prefer", FORCED, PLAIN),
    "RC4 payload": ("prefer", FORCED, RC4),
    "RC4 because we require it": ("require", ENABLED, BOTH),
    "none because we refuse it": ("off", ENABLED, BOTH),
    "none because libtorrent refuses it": ("prefer", DISABLED, BOTH),
}


def policies(mode: str) -> tuple[tuple[str, str], dict[str, int]]:
    ours, theirs, level = MODES[mode]
    foreign = {"in_enc_policy": theirs, "out_enc_policy": theirs, "allowed_enc_level": level}
    # Where it may, it speaks in the clear first, and obfuscates when it comes again: after a minute.
    foreign["min_reconnect_time"] = 1
    return ("--encryption", ours), foreign


@pytest.mark.parametrize("mode", MODES)
def test_libtorrent_dials_us(mode: str, make_lab: Callable[..., Lab]) -> None:
    """The seed asked the tracker before, and will not ask again."""
    ours, theirs = policies(mode)
    lab = make_lab(interval=1800)
    lab.share(ODD_FILES)
    with lab.seed(*ours), lab.foreign_get(libtorrent, **theirs) as peer:
        until(peer.is_complete, "the download", 30)
    assert lab.fetched("libtorrent") == ODD_FILES


@pytest.mark.parametrize("mode", MODES)
def test_we_dial_libtorrent(mode: str, make_lab: Callable[..., Lab]) -> None:
    ours, theirs = policies(mode)
    lab = make_lab(interval=1800)
    lab.share(ODD_FILES)
    with lab.foreign_seed(libtorrent, **theirs), lab.get(*ours) as get:
        assert get.wait(30) == 0, get.stderr
    assert lab.fetched("get") == ODD_FILES


ARIA2 = {
    "plain payload": ("--bt-require-crypto=true", "--bt-min-crypto-level=plain"),
    "RC4 payload": ("--bt-force-encryption=true",),
}


@pytest.mark.parametrize("mode", ARIA2)
def test_aria2_that_requires_it(mode: str, make_lab: Callable[..., Lab]) -> None:
    lab = make_lab(interval=1800)
    lab.share(ODD_FILES)
    with lab.seed(), lab.foreign_get(aria2, options=ARIA2[mode]) as peer:
        until(peer.is_complete, "the download", 30)
    with lab.foreign_seed(aria2, options=ARIA2[mode]), lab.get() as get:
        assert get.wait(30) == 0, get.stderr
    assert lab.fetched("aria2") == lab.fetched("get") == ODD_FILES


def test_transmission_that_requires_it(lab: Lab) -> None:
    """It dials nobody on this network."""
    lab.share(ODD_FILES)
    with lab.foreign_get(transmission, encryption="required") as peer:
        until(lambda: lab.counts().incomplete == 1, "the client announces")
        with lab.seed("--encryption", "require"):
            until(peer.is_complete, "the download", 60)
    with lab.foreign_seed(transmission, encryption="required"), lab.get() as get:
        assert get.wait(30) == 0, get.stderr
    assert lab.fetched("transmission") == kept_by(transmission, ODD_FILES)
    assert lab.fetched("get") == ODD_FILES


def test_who_speaks_only_in_the_clear_is_turned_away_by_who_forces_encryption(
    make_lab: Callable[..., Lab],
) -> None:
    """So that the tests above show what they say."""
    _, theirs = policies("RC4 payload")
    lab = make_lab(interval=1800)
    lab.share(ODD_FILES)
    with lab.foreign_seed(libtorrent, **theirs), lab.get("--encryption", "off") as get:
        get.wait_for("tracker_replied")
        with pytest.raises(AssertionError, match="no peer_joined"):
            get.wait_for("peer_joined", within=2)
