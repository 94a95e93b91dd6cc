"""Hashes of version 2 (BEP 52) between libtorrent and us: piece layers and leaves; in the clear, hidden."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import libtorrent as lt
import pytest

from p2pswarm.formats.magnet import Magnet
from p2pswarm.formats.metainfo import Metainfo
from tests.interop.lab import ODD_FILES, Lab, StartClient
from tests.interop.table import GIVES, TAKES, lacks, part
from tests.support.foreign import libtorrent, until

pytestmark = pytest.mark.interop

LIBTORRENT = pytest.mark.parametrize("client", [libtorrent])
ROW = "hash messages (BEP 52)"
LOG = int(lt.alert.category_t.peer_log_notification | lt.alert.category_t.status_notification)


MODES = pytest.mark.parametrize(
    "ours",
    [("--encryption", mode) for mode in ("off", "prefer", "require")],
    ids=lambda ours: ours[1],
)
OVERLOOKS = (
    "of a hybrid it overlooks an offer of version 2 that comes in a hidden handshake, so we come again by "
    "the second name; and where it trusts its data it rejects leaves of pieces that it has not read yet"
)
LAYER, LEAVES = 2, 0  # from below: a piece has four blocks


def link(lab: Lab, *, first: bool = False) -> str:
    """By which nobody learns a layer, as those are outside of the metadata; with the `first` name or not."""
    whole = Magnet.of(Metainfo.from_file(lab.torrent))
    return str(Magnet(whole.info_hash if first else None, whole.v2, trackers=whole.trackers))


def said(client: Any) -> set[tuple[str, str, int]]:
    """By whom, which message, of which layer; as libtorrent logs it, of which that is the left side."""
    told = [event["text"].split() for event in client.program.events if event["event"] == "hashes"]
    sides = {"<==": "we", "==>": "it"}
    return {(sides[t[3]], t[4], int(t[t.index("base:") + 1])) for t in told if t[3] in sides}


@contextmanager
def checked_seed(lab: Lab, client: StartClient, **settings: object) -> Iterator[Any]:
    """One that has read what it has, and so knows the leaves; one that trusts its data rejects most."""
    place = (lab.home / "seed", lab.torrent, lab.source, lab.new_address())
    with client(*place, alert_mask=LOG, **settings) as seed:
        until(seed.is_complete, "it has checked the data")
        yield seed


@LIBTORRENT
@lacks(libtorrent, OVERLOOKS)
@MODES
@part(ROW, GIVES)
def test_gives_layers_and_leaves(client: StartClient, ours: tuple[str, ...], lab: Lab) -> None:
    lab.share(ODD_FILES, kind="--v2", tracked=False)
    with checked_seed(lab, client) as seed:
        with lab.get(*ours, "--peer", seed.address, source=link(lab)) as get:
            assert get.wait() == 0, get.stderr
        asked = {("we", "HASH_REQUEST", LAYER), ("we", "HASH_REQUEST", LEAVES)}
        given = {("it", "HASHES", LAYER), ("it", "HASHES", LEAVES)}
        until(lambda: said(seed) == asked | given, "hashes of both layers, and no reject")
    assert lab.fetched("get") == ODD_FILES


@LIBTORRENT
@lacks(
    libtorrent,
    "it asks for no leaves, not even where a piece of ours was bad (with several senders: not tried)",
)
@part(ROW, TAKES)
def test_takes_layers(client: StartClient, lab: Lab) -> None:
    lab.share(ODD_FILES, kind="--v2")
    with lab.seed(), lab.foreign_get(client, link(lab), alert_mask=LOG) as peer:
        until(peer.is_complete, "the download")
        expected = {("it", "HASH_REQUEST", LAYER), ("we", "HASHES", LAYER)}
        until(lambda: said(peer) == expected, "hashes of the layer, and no others")
    assert lab.fetched(client.__name__) == ODD_FILES


@MODES
def test_gives_them_of_a_hybrid_too(ours: tuple[str, ...], lab: Lab) -> None:
    """It overlooks an offer of version 2 that comes hidden, and is asked again by the second name."""
    lab.share(ODD_FILES, kind="--hybrid", tracked=False)
    with checked_seed(lab, libtorrent, allow_multiple_connections_per_ip=False) as seed:
        with lab.get(*ours, "--peer", seed.address, source=link(lab, first=True)) as get:
            assert get.wait() == 0, get.stderr
        until(lambda: ("it", "HASHES", LAYER) in said(seed), "hashes of the layer")
    assert lab.fetched("get") == ODD_FILES
