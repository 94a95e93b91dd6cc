"""Clients that speak nothing but the obfuscated handshake, with each kind of payload, both directions.

libtorrent's `forced` makes it refuse everything else; `allowed_enc_level` is what the payload may be.
"""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from tests.interop.lab import ODD_FILES, Lab, StartClient, kept_by
from tests.interop.table import GIVES, TAKES, lacks, part
from tests.support.foreign import aria2, libtorrent, transmission, until

pytestmark = pytest.mark.interop

FORCED, ENABLED, DISABLED = 0, 1, 2
PLAIN, RC4, BOTH = 1, 2, 3
UTP_ALONE = {
    "enable_incoming_utp": True,
    "enable_outgoing_utp": True,
    "enable_incoming_tcp": False,
    "enable_outgoing_tcp": False,
}


def policy(theirs: int, level: int = BOTH) -> dict[str, Any]:
    policies = {"in_enc_policy": theirs, "out_enc_policy": theirs, "allowed_enc_level": level}
    # Where it may, it speaks in the clear first, and obfuscates when it comes again: after a minute.
    return {**policies, "min_reconnect_time": 1}


Ours = tuple[str, ...]
PREFER, REQUIRE, OFF = (("--encryption", mode) for mode in ("prefer", "require", "off"))

HIDES = "MSE, plain payload"
SPEAK: Mapping[str, list[tuple[StartClient, dict[str, Any], Ours]]] = {
    HIDES: [
        (libtorrent, policy(FORCED, PLAIN), PREFER),
        (aria2, {"options": ("--bt-require-crypto=true", "--bt-min-crypto-level=plain")}, PREFER),
    ],
    "MSE, RC4 payload": [
        (libtorrent, policy(FORCED, RC4), PREFER),
        (libtorrent, policy(ENABLED), REQUIRE),
        (aria2, {"options": ("--bt-force-encryption=true",)}, PREFER),
    ],
    "MSE, RC4 payload over uTP": [
        (
            libtorrent,
            {**UTP_ALONE, **policy(FORCED, RC4)},
            ("--transport", "utp", *REQUIRE),
        ),
    ],
    "MSE on one side only": [
        (libtorrent, policy(ENABLED), OFF),
        (libtorrent, policy(DISABLED), PREFER),
    ],
}


NOT_TRIED = {
    GIVES: lacks(
        transmission,
        "3.00 chooses it, and then reads the handshake that came encrypted as if it were in the clear; "
        "we come again without encryption",
    ),
    TAKES: lacks(transmission, "3.00 that hides its handshake offers nothing but RC4"),
}


def cases(way: str) -> list[Any]:
    def marks(name: str) -> list[pytest.MarkDecorator]:
        return [part(name, way), *([NOT_TRIED[way]] if name == HIDES else [])]

    return [
        pytest.param(*case, marks=marks(name), id=f"{name}, {case[0].__name__} {number}")
        for name, several in SPEAK.items()
        for number, case in enumerate(several)
    ]


@pytest.mark.parametrize(("client", "theirs", "ours"), cases(TAKES))
def test_dials_our_seed(
    client: StartClient, theirs: dict[str, Any], ours: Ours, make_lab: Callable[..., Lab]
) -> None:
    """The seed asked the tracker before, and will not ask again."""
    lab = make_lab(interval=1800)
    lab.share(ODD_FILES)
    with lab.seed(*ours), lab.foreign_get(client, **theirs) as peer:
        until(peer.is_complete, "the download")
    assert lab.fetched(client.__name__) == ODD_FILES


@pytest.mark.parametrize(("client", "theirs", "ours"), cases(GIVES))
def test_gives_to_our_get_which_dials_it(
    client: StartClient, theirs: dict[str, Any], ours: Ours, make_lab: Callable[..., Lab]
) -> None:
    lab = make_lab(interval=1800)
    lab.share(ODD_FILES)
    with lab.foreign_seed(client, **theirs), lab.get(*ours) as get:
        assert get.wait() == 0, get.stderr
    assert lab.fetched("get") == ODD_FILES


TRANSMISSION = pytest.mark.parametrize("client", [transmission])


@part("MSE, RC4 payload", GIVES)
@TRANSMISSION
def test_transmission_that_requires_it_gives(client: StartClient, lab: Lab) -> None:
    lab.share(ODD_FILES)
    with lab.foreign_seed(client, encryption="required"), lab.get() as get:
        assert get.wait() == 0, get.stderr
    assert lab.fetched("get") == ODD_FILES


@part("MSE, RC4 payload", TAKES)
@TRANSMISSION
def test_transmission_that_requires_it_takes(client: StartClient, lab: Lab) -> None:
    """From our seed, which dials it: it dials nobody on this network."""
    lab.share(ODD_FILES)
    with lab.foreign_get(client, encryption="required") as peer:
        until(lambda: lab.counts().incomplete == 1, "the client announces")
        with lab.seed(*REQUIRE):
            until(peer.is_complete, "the download")
    assert lab.fetched("transmission") == kept_by(client, ODD_FILES)


def test_who_speaks_only_in_the_clear_is_turned_away_by_who_forces_encryption(
    make_lab: Callable[..., Lab],
) -> None:
    """So that the tests above show what they say."""
    lab = make_lab(interval=1800)
    lab.share(ODD_FILES)
    with lab.foreign_seed(libtorrent, **policy(FORCED, RC4)), lab.get(*OFF) as get:
        get.wait_for("tracker_replied")
        with pytest.raises(AssertionError, match="no peer_joined"):
            get.wait_for("peer_joined", within=2)
