"""The two names of a torrent, and what they name."""

from hashlib import sha1, sha256

import pytest

from p2pswarm.errors import FormatError
from p2pswarm.formats.ids import InfoHash
from p2pswarm.formats.magnet import Magnet
from p2pswarm.formats.metainfo import Metainfo
from p2pswarm.formats.names import Names
from tests.support.generations import contents, generation

INFO = b"d4:name1:xe"
V1, V2 = InfoHash(sha1(INFO).digest()), sha256(INFO).digest()
OTHER = InfoHash(bytes(20))
FILES = {"a": contents(100_000), "b": contents(70_000, 1)}


def test_the_name_of_version_2_is_cut_to_twenty_bytes() -> None:
    assert Names(V1, V2).swarms == (V1, V2[:20])
    assert Names(None, V2).swarms == (V2[:20],)
    assert Names(V1).swarms == (V1,)
    assert Names(V1).short is None


@pytest.mark.parametrize(
    ("names", "fits"),
    [
        (Names(V1), True),
        (Names(None, V2), True),
        (Names(V1, V2), True),
        (Names(OTHER), False),
        (Names(InfoHash(V2[:20])), True),
        (Names(InfoHash(V2[:20]), bytes(32)), False),
        (Names(None, bytes(32)), False),
        (Names(None, V2[:20] + bytes(12)), False),  # no swarm tells these apart
        (Names(OTHER, bytes(32)), False),
    ],
)
def test_both_names_must_be_the_torrents(names: Names, *, fits: bool) -> None:
    assert names.fit(INFO) == fits


@pytest.mark.parametrize("names", [Names(V1, bytes(32)), Names(OTHER, V2)])
def test_names_of_two_torrents_are_a_link_that_leads_nowhere(names: Names) -> None:
    with pytest.raises(FormatError, match="different torrents"):
        names.fit(INFO)


@pytest.mark.parametrize("v1", [True, False])
def test_a_torrent_its_link_and_its_names(*, v1: bool) -> None:
    meta = Metainfo.from_bytes(generation(FILES, v1=v1))
    names = Names.of(meta)
    assert names.swarms == meta.names
    assert names.fit(bytes(meta.info))
    assert (names.v1 is not None) == v1
    assert Magnet.parse(str(Magnet.of(meta))).names == names
    assert str(Magnet.of(meta)).count("xt=urn:bt") == 1 + v1


def test_a_hybrid_is_met_by_either_name() -> None:
    assert Names(V1).met_by(Names(V1, V2))
    assert Names(None, V2).met_by(Names(V1, V2))
    assert Names(V1, V2).met_by(Names(V1, V2))
    assert not Names(V1, V2).met_by(Names(V1))
    assert not Names(OTHER).met_by(Names(V1, V2))
    assert Names(InfoHash(V2[:20])).met_by(Names(V1, V2))
    assert not Names(InfoHash(V2[:20]), V2).met_by(Names(V1, V2))


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (V1.hex(), Names(V1)),
        (V2.hex(), Names(None, V2)),
        ("1220" + V2.hex(), Names(None, V2)),
    ],
)
def test_a_bare_hash_is_a_link(text: str, names: Names) -> None:
    assert Magnet.named(text).names == names


@pytest.mark.parametrize("text", ["", "x" * 40, "x" * 64, "1114" + "0" * 64, "0" * 66])
def test_what_is_no_hash_is_no_link(text: str) -> None:
    with pytest.raises(FormatError):
        Magnet.named(text)
