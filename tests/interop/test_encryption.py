"""Clients that speak nothing but the obfuscated handshake, with each kind of payload, both directions.

libtorrent's `forced` makes it refuse everything else; `allowed_enc_level` is what the payload may be.
"""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from tests.interop.lab import ODD_FILES, Lab, StartClient, kept_by
from tests.interop.table import GIVES, TAKES, lacks, part
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


@pytest.mark.parametrize("mode", list(MODES)[2:])
def test_we_dial_libtorrent(mode: str, make_lab: Callable[..., Lab]) -> None:
    ours, theirs = policies(mode)
    lab = make_lab(interval=1800)
    lab.share(ODD_FILES)
    with lab.foreign_seed(libtorrent, **theirs), lab.get(*ours) as get:
        assert get.wait(30) == 0, get.stderr
    assert lab.fetched("get") == ODD_FILES


REQUIRES: Mapping[StartClient, Mapping[str, Mapping[str, Any]]] = {
    libtorrent: {"RC4": policies("RC4 payload")[1], "plain": policies("plain payload")[1]},
    aria2: {
        "RC4": {"options": ["--bt-force-encryption=true"]},
        "plain": {"options": ["--bt-require-crypto=true", "--bt-min-crypto-level=plain"]},
    },
    transmission: {"RC4": {"encryption": "required"}},
}
ALL = pytest.mark.parametrize("client", REQUIRES)
TWO = pytest.mark.parametrize("client", [libtorrent, aria2])


def takes(client: StartClient, payload: str, lab: Lab, *ours: str) -> None:
    lab.share(ODD_FILES)
    with lab.foreign_get(client, **REQUIRES[client][payload]) as peer:
        until(lambda: lab.counts().incomplete == 1, "the client announces")
        with lab.seed(*ours):
            until(peer.is_complete, "the download", 60)
    assert lab.fetched(client.__name__) == kept_by(client, ODD_FILES)


def gives(client: StartClient, payload: str, lab: Lab, *ours: str) -> None:
    lab.share(ODD_FILES)
    with lab.foreign_seed(client, **REQUIRES[client][payload]), lab.get(*ours) as get:
        assert get.wait(60) == 0, get.stderr
    assert lab.fetched("get") == ODD_FILES


@part("MSE required, RC4 payload", GIVES)
@ALL
def test_who_requires_it_gives(client: StartClient, lab: Lab) -> None:
    gives(client, "RC4", lab, "--encryption", "require")


@part("MSE required, RC4 payload", TAKES)
@ALL
def test_who_requires_it_takes(client: StartClient, lab: Lab) -> None:
    takes(client, "RC4", lab, "--encryption", "require")


@part("MSE, plain payload", GIVES)
@lacks(
    transmission,
    "3.00 chooses it, and then reads the handshake that came encrypted as if it were in the clear; "
    "we come again without encryption",
)
@TWO
def test_who_requires_the_handshake_alone_gives(client: StartClient, lab: Lab) -> None:
    gives(client, "plain", lab)


@part("MSE, plain payload", TAKES)
@lacks(transmission, "3.00 that hides its handshake offers nothing but RC4")
@TWO
def test_who_requires_the_handshake_alone_takes(client: StartClient, lab: Lab) -> None:
    takes(client, "plain", lab)


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
