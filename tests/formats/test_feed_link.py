"""Links to feeds, with the vectors of BEP 46."""

import pytest
from hypothesis import given, settings, strategies as st

from p2pswarm.discovery.dht.items import target_of
from p2pswarm.errors import FormatError
from p2pswarm.formats.feed import FeedName
from p2pswarm.formats.feed_link import FeedLink
from p2pswarm.formats.ids import Address

KEY = "8543d3e6115f0f98c944077a4493dcd543e49c739fd998550a1f614ab36ed63e"


@pytest.mark.parametrize(
    ("link", "target"),
    [
        (f"magnet:?xs=urn:btpk:{KEY}", "cc3f9d90b572172053626f9980ce261a850d050b"),
        (f"magnet:?xs=urn:btpk:{KEY}&s=6e", "59ee7c2cb9b4f7eb1986ee2d18fd2fdb8a56554f"),
        (KEY.upper(), "cc3f9d90b572172053626f9980ce261a850d050b"),
    ],
)
def test_the_vectors_of_bep_46(link: str, target: str) -> None:
    feed = FeedLink.parse(link).feed
    assert target_of(feed.key, feed.salt).hex() == target


@pytest.mark.parametrize(
    "text",
    [
        "",
        "magnet:?",
        KEY[:-1],
        KEY + "00",
        f"magnet:?xs=urn:btpk:{KEY[:-2]}",
        f"magnet:?xt=urn:btih:{KEY[:40]}",
        f"magnet:?xs=urn:btpk:{KEY}&s=x",
        f"magnet:?xs=urn:btpk:{KEY}&s=" + "00" * 65,
        f"magnet:?xs=urn:btpk:{KEY}" + "&x=y" * 300,
    ],
)
def test_what_names_no_feed_is_refused(text: str) -> None:
    with pytest.raises(FormatError):
        FeedLink.parse(text)


def test_peers_that_are_no_addresses_are_left_out() -> None:
    link = FeedLink.parse(f"magnet:?xs=urn:btpk:{KEY}&x.pe=name.org:1&x.pe=1.2.3.4:5&x.pe=junk")
    assert link.peers == (Address("1.2.3.4", 5),)


@settings(max_examples=50)
@given(st.binary(min_size=32, max_size=32), st.binary(max_size=64))
def test_a_link_is_read_as_it_was_written(key: bytes, salt: bytes) -> None:
    link = FeedLink(FeedName(key, salt), (Address("10.0.0.1", 46881), Address("2001:db8::1", 1)))
    assert FeedLink.parse(str(link)) == link


@settings(max_examples=50)
@given(st.text(max_size=100))
def test_any_text_is_a_link_or_an_error(text: str) -> None:
    for each in (text, "magnet:?" + text, f"magnet:?xs=urn:btpk:{KEY}&{text}"):
        try:
            link = FeedLink.parse(each)
        except FormatError:
            continue
        assert FeedLink.parse(str(link)).feed == link.feed
