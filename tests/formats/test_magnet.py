"""Magnet links, as people paste them."""

from contextlib import suppress
from hashlib import sha256

import pytest
from hypothesis import given, settings, strategies as st

from p2pswarm.errors import FormatError, MetainfoError, RemoteError
from p2pswarm.formats.building import build
from p2pswarm.formats.ids import Address, InfoHash
from p2pswarm.formats.magnet import Magnet
from p2pswarm.formats.metainfo import Metainfo
from tests.support.generations import generation

HEX = "0123456789abcdef0123456789abcdef01234567"
NAME = InfoHash(bytes.fromhex(HEX))
V2 = bytes(range(32))


def test_a_link_says_everything() -> None:
    magnet = Magnet.parse(
        f"magnet:?xt=urn:btih:{HEX}&xt=urn:btmh:1220{V2.hex()}&dn=a+b%20c&tr=udp%3A%2F%2Ft%3A80&tr=http://u/a"
        "&ws=http://w/&x.pe=1.2.3.4:5&x.pe=[2001:db8::1]:6&so=0,2,4-8&xl=17&kt=word"
    )
    assert magnet == Magnet(
        NAME,
        V2,
        "a b c",
        ("udp://t:80", "http://u/a"),
        ("http://w/",),
        (Address("1.2.3.4", 5), Address("2001:db8::1", 6)),
        (range(1), range(2, 3), range(4, 9)),
    )


@pytest.mark.parametrize("v1", [True, False])
def test_the_link_to_version_2_has_its_names(v1: bool) -> None:
    metainfo = Metainfo.from_bytes(generation({"f": b"f", "g": b"g"}, v1=v1))
    magnet = Magnet.of(metainfo)
    assert magnet.v2 == metainfo.v2
    assert magnet.info_hash == (metainfo.info_hash if v1 else None)
    assert Magnet.parse(str(magnet)) == magnet
    assert f"xt=urn:btmh:1220{sha256(metainfo.info).hexdigest()}" in str(magnet)


@pytest.mark.parametrize(
    "link",
    [
        f"magnet:?xt=urn:btih:{HEX}",
        f"MAGNET:?xt=urn:btih:{HEX.upper()}",
        "magnet:?xt=urn:btih:AERUKZ4JVPG66AJDIVTYTK6N54ASGRLH",
        "magnet:?xt=urn:btih:aerukz4jvpg66ajdivtytk6n54asgrlh",
        f"magnet:?dn=x&amp;tr=http://x/&amp;xt=urn:btih:{HEX}",
        f"  magnet:?dn=x&xt=urn%3Abtih%3A{HEX}\n",
        f"magnet:?xt.1=urn:sha1:AERUKZ4JVPG66AJDIVTYTK6N54ASGRLH&xt.2=urn:btih:{HEX}",
        f"magnet:?xt=urn:btih:junk&xt=urn:btih:{HEX}&xt=urn:btih:{'00' * 20}",
    ],
)
def test_a_torrent_is_named_in_many_ways(link: str) -> None:
    assert Magnet.parse(link).info_hash == NAME


@pytest.mark.parametrize(
    "link",
    [
        "",
        "magnet:",
        "magnet:?dn=x",
        "http://x/?xt=urn:btih:" + HEX,
        "magnet:?xt=urn:btih:" + HEX[1:],
        "magnet:?xt=urn:sha1:AERUKZ4JVPG66AJDIVTYTK6N54ASGRLH",
        "magnet:?xt=urn:btmh:1219" + V2.hex(),
        "magnet:?xt=urn:btmh:1220" + HEX,
        f"magnet:?xt=urn:btih:{HEX}&dn=" + "x" * (64 << 10),
        f"magnet:?xt=urn:btih:{HEX}" + "&a=b" * 1000,
    ],
)
def test_what_names_no_torrent_is_refused(link: str) -> None:
    with pytest.raises(FormatError):
        Magnet.parse(link)


def test_of_version_2_alone_the_name_is_read() -> None:
    magnet = Magnet.parse(f"magnet:?xt=urn:btmh:1220{V2.hex()}")
    assert (magnet.info_hash, magnet.v2) == (None, V2)


def test_what_is_odd_is_left_out() -> None:
    magnet = Magnet.parse(
        f"magnet:?xt=urn:btih:{HEX}&tr=nonsense&tr=&tr=http://a/&tr=http://a/&x.pe=nobody&x.pe=1.2.3.4:0"
        "&x.pe=224.0.0.1:5&x.pe=1.2.3.4:5&x.pe=name.example:5&so=1,x,3-2,99999999,-1,7&dn=%1b%5b31m"
    )
    assert magnet.trackers == ("http://a/",)
    assert magnet.peers == (Address("1.2.3.4", 5), Address("name.example", 5))
    assert magnet.select == (range(1, 2), range(7, 8))
    assert magnet.name == "[31m"


def test_lists_have_an_end() -> None:
    many = "".join(f"&tr=http://t{n}/&x.pe=1.2.3.4:{n + 1}" for n in range(400))
    runs = ",".join(str(n) for n in range(1000))
    magnet = Magnet.parse(f"magnet:?xt=urn:btih:{HEX}{many}&so={runs}")
    assert len(magnet.trackers) == len(magnet.peers) == len(magnet.select) == 100


def test_few_peers_have_names() -> None:
    """Whoever reads the link has to look each of them up."""
    many = "".join(f"&x.pe=host{n}.example:{n + 1}" for n in range(400)) + "&x.pe=1.2.3.4:5"
    peers = Magnet.parse(f"magnet:?xt=urn:btih:{HEX}{many}").peers
    assert peers == (
        *(Address(f"host{n}.example", n + 1) for n in range(10)),
        Address("1.2.3.4", 5),
    )


PORTS = st.integers(1, 65535)
URLS = st.text("ab/&=?+%é", max_size=8).map("http://t/".__add__)
MAGNETS = st.builds(
    Magnet,
    info_hash=st.binary(min_size=20, max_size=20).map(InfoHash),
    v2=st.none() | st.binary(min_size=32, max_size=32),
    name=st.text("aß &=+%#?", max_size=20).map(str.strip),
    trackers=st.lists(URLS, max_size=3, unique=True).map(tuple),
    web_seeds=st.lists(URLS, max_size=3, unique=True).map(tuple),
    peers=st.lists(
        st.builds(Address, st.sampled_from(["10.0.0.1", "2001:db8::2", "a-b.example"]), PORTS),
        max_size=3,
        unique=True,
    ).map(tuple),
    select=st.lists(
        st.tuples(st.integers(0, 99), st.integers(1, 9)).map(lambda run: range(run[0], sum(run))),
        max_size=3,
    ).map(tuple),
)


def test_half_characters_are_none() -> None:
    magnet = Magnet.parse(f"magnet:?xt=urn:btih:{HEX}&dn=\udcff&x.pe=\udcff.org:1")
    assert Magnet.parse(str(magnet)) == magnet


@settings(max_examples=50)
@given(MAGNETS)
def test_what_is_written_is_read(magnet: Magnet) -> None:
    assert Magnet.parse(str(magnet)) == magnet


@settings(max_examples=100)
@given(st.text(max_size=60))
def test_any_text_is_a_link_or_an_error(text: str) -> None:
    for link in (text, f"magnet:?{text}", f"magnet:?xt=urn:btih:{HEX}&{text}"):
        with suppress(FormatError):
            magnet = Magnet.parse(link)
            assert Magnet.parse(str(magnet)) == magnet


def torrent(**more: object) -> Metainfo:
    return build(name="x", piece_length=16384, pieces=bytes(20), length=5, **more)  # type: ignore[arg-type]


def info_of(meta: Metainfo) -> bytes:
    start = meta.raw.index(b"4:info") + 6
    return meta.raw[start:-1]


def test_a_torrent_has_a_link() -> None:
    meta = torrent(trackers=[["http://a/", "udp://b/"], ["http://c/"]])
    magnet = Magnet.of(meta, [Address("10.0.0.1", 7)])
    assert str(magnet) == (
        f"magnet:?xt=urn:btih:{meta.info_hash}&dn=x"
        "&tr=http%3A%2F%2Fa%2F&tr=udp%3A%2F%2Fb%2F&tr=http%3A%2F%2Fc%2F&x.pe=10.0.0.1:7"
    )


def test_a_torrent_is_made_around_its_info() -> None:
    meta = torrent()
    again = Metainfo.from_info(
        info_of(meta), trackers=[["http://a/"], ["udp://b/"]], web_seeds=["http://w/"]
    )
    assert again.info_hash == meta.info_hash
    assert again.trackers == (("http://a/",), ("udp://b/",))
    assert again.web_seeds == ("http://w/",)
    assert Metainfo.from_bytes(again.raw) == again
    assert Metainfo.from_info(info_of(meta)) == meta


@pytest.mark.parametrize("extra", [b"3:zzzi1e", b"junk"])
def test_an_info_is_all_there_is(extra: bytes) -> None:
    with pytest.raises(RemoteError):
        Metainfo.from_info(info_of(torrent()) + extra)


def test_what_follows_an_info_has_another_name() -> None:
    with pytest.raises(MetainfoError):
        Metainfo.from_info(info_of(torrent()) + b"3:zzzi1e")
