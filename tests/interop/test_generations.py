"""Torrents of version 2 and hybrids (BEP 52), both directions: by file, by each of their names, hidden."""

from collections.abc import Mapping
from typing import Any

import pytest

from p2pswarm.formats.magnet import Magnet
from p2pswarm.formats.metainfo import Metainfo
from tests.interop.lab import ODD_FILES, Lab, StartClient, kept_by
from tests.interop.table import GIVES, TAKES, lacks, part
from tests.support.foreign import aria2, libtorrent, transmission, until

pytestmark = pytest.mark.interop

LIBTORRENT = pytest.mark.parametrize("client", [libtorrent])
V2, HYBRID = "version 2 (BEP 52)", "hybrid of versions 1 and 2 (BEP 52)"
FIRST, SECOND = "hybrid by its first name alone", "hybrid by its second name alone"
LINK = "magnet links of version 2 (btmh)"
KINDS = [
    pytest.param("--v2", marks=part(V2, GIVES)),
    pytest.param("--hybrid", marks=part(HYBRID, GIVES)),
]
TAKEN = [
    pytest.param("--v2", marks=part(V2, TAKES)),
    pytest.param("--hybrid", marks=part(HYBRID, TAKES)),
]
HIDDEN: Mapping[str, Any] = {"out_enc_policy": 0, "in_enc_policy": 0, "allowed_enc_level": 2}


def links(way: str) -> list[Any]:
    """The kind of torrent, and whether a link to it has its names of version 1 and 2."""
    return [
        pytest.param("--v2", False, True, marks=part(LINK, way), id="version 2"),
        pytest.param("--hybrid", True, False, marks=part(FIRST, way), id="btih"),
        pytest.param("--hybrid", False, True, marks=part(SECOND, way), id="btmh"),
        pytest.param("--hybrid", True, True, marks=part(LINK, way), id="both"),
    ]


def link(lab: Lab, first: bool, second: bool) -> str:
    whole = Magnet.of(Metainfo.from_file(lab.torrent))
    names = whole.info_hash if first else None, whole.v2 if second else None
    return str(Magnet(*names, trackers=whole.trackers))


@LIBTORRENT
@lacks(aria2, "it knows version 1, and works out a wrong info-hash of a hybrid")
@lacks(transmission, "it knows version 1, and reads no hybrid")
@pytest.mark.parametrize("kind", KINDS)
def test_gives_to_our_get(client: StartClient, kind: str, lab: Lab) -> None:
    lab.share(ODD_FILES, kind=kind)
    with lab.foreign_seed(client), lab.get() as get:
        assert get.wait() == 0, get.stderr
    assert lab.fetched("get") == ODD_FILES


@LIBTORRENT
@pytest.mark.parametrize("kind", TAKEN)
def test_takes_from_our_seed(client: StartClient, kind: str, lab: Lab) -> None:
    lab.share(ODD_FILES, kind=kind)
    with lab.seed(), lab.foreign_get(client) as peer:
        until(peer.is_complete, "the download")
        for name in Metainfo.from_file(lab.torrent).names:
            until(lambda name=name: lab.counts(name).complete == 2, "both swarms know both")
    assert lab.fetched(client.__name__) == kept_by(client, ODD_FILES)


@LIBTORRENT
@pytest.mark.parametrize(("kind", "first", "second"), links(GIVES))
def test_gives_by_a_link(
    client: StartClient, kind: str, first: bool, second: bool, lab: Lab
) -> None:
    lab.share(ODD_FILES, kind=kind)
    with lab.foreign_seed(client), lab.get(source=link(lab, first, second)) as get:
        assert get.wait() == 0, get.stderr
    assert lab.fetched("get") == ODD_FILES


@LIBTORRENT
@pytest.mark.parametrize(("kind", "first", "second"), links(TAKES))
def test_takes_by_a_link(
    client: StartClient, kind: str, first: bool, second: bool, lab: Lab
) -> None:
    lab.share(ODD_FILES, kind=kind)
    with lab.seed(), lab.foreign_get(client, link(lab, first, second)) as peer:
        until(peer.is_complete, "the download")
    assert lab.fetched(client.__name__) == kept_by(client, ODD_FILES)


@pytest.mark.parametrize("kind", ["--v2", "--hybrid"])
def test_both_ways_with_nothing_in_the_clear(kind: str, lab: Lab) -> None:
    """The name that a hidden handshake is keyed by is the one that it then says."""
    lab.share(ODD_FILES, kind=kind)
    hide = ("--encryption", "require")
    with lab.foreign_seed(libtorrent, **HIDDEN), lab.get(*hide) as get:
        assert get.wait() == 0, get.stderr
    with lab.seed(*hide), lab.foreign_get(libtorrent, **HIDDEN) as peer:
        until(peer.is_complete, "the download")
    assert lab.fetched("get") == lab.fetched("libtorrent") == ODD_FILES


@pytest.mark.parametrize(("first", "second"), [(True, False), (False, True)], ids=["btih", "btmh"])
def test_dials_who_knows_one_name(first: bool, second: bool, lab: Lab) -> None:
    """libtorrent hangs up on an offer to speak version 2 where it does not know of a second name."""
    lab.share(ODD_FILES, kind="--hybrid", tracked=False)
    with (
        lab.foreign_get(libtorrent, link(lab, first, second)) as peer,
        lab.get("-o", lab.source, "--stay", "--peer", peer.address),
    ):
        until(peer.is_complete, "the download")
    assert lab.fetched("libtorrent") == ODD_FILES
