import json
from dataclasses import replace

import pytest
from hypothesis import given, strategies as st

from p2pswarm.errors import FormatError
from p2pswarm.formats.ids import Address, InfoHash
from p2pswarm.formats.urns import base32
from p2pswarm.overlay.query import Digest, Hit
from p2pswarm.overlay.tokens import as_fields, from_fields, parse_token, token_of

SHA1, HASH = b"\x11" * 20, InfoHash(b"\x22" * 20)
hits = st.builds(
    Hit,
    name=st.text(max_size=50),
    size=st.integers(0, 2**50),
    network=st.just("napster"),
    host=st.none() | st.builds(Address, st.just("1.2.3.4"), st.integers(1, 65535)),
    nick=st.text(max_size=10),
    md5=st.none() | st.binary(min_size=16, max_size=16),
    sha1=st.none() | st.just(SHA1),
    tth=st.none() | st.just(bytes(24)),
    info_hash=st.none() | st.just(HASH),
    peer=st.none() | st.just(Address("::1", 5)),
    seeds=st.none() | st.integers(0, 1000),
    age=st.none() | st.floats(0, 1e9),
    index=st.none() | st.integers(0, 2**32 - 1),
    firewalled=st.booleans(),
    proxies=st.lists(st.just(Address("1.2.3.4", 6346)), max_size=3).map(tuple),
)


@given(hits)
def test_a_hit_comes_back_from_a_file(hit: Hit) -> None:
    assert from_fields(json.loads(json.dumps(as_fields(hit)))) == hit


@given(hits)
def test_a_word_finds_the_hit_again(hit: Hit) -> None:
    word = token_of(hit)
    if not (hit.nick and hit.name) and not (hit.info_hash or hit.sha1):
        return
    assert set(word) <= set(
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:/%._-~@"
    )
    wanted = parse_token(word)
    if hit.info_hash:
        assert wanted == ("napster", Digest("btih", HASH))
    elif hit.sha1:
        assert wanted == ("napster", Digest("sha1", SHA1))
    else:
        assert isinstance(wanted, Hit)
        host = hit.host if hit.index is not None else None
        known = Hit(hit.name, hit.size, "napster", nick=hit.nick, md5=hit.md5)
        assert wanted == replace(known, host=host, index=hit.index)


def test_gnutella_is_asked_by_the_hash_that_its_foreign_hosts_know() -> None:
    hit = Hit("a", 1, "gnutella", sha1=SHA1, info_hash=HASH)
    assert parse_token(token_of(hit)) == ("gnutella", Digest("sha1", SHA1))


def test_bytes_that_are_no_text_survive() -> None:
    hit = Hit("caf\udce9.mp3", 5, "napster", nick="bob")
    assert parse_token(token_of(hit)) == hit


@pytest.mark.parametrize(
    "text",
    [
        "", "3", "napster", "napster:", "napster:btih:12", "napster:md5:" + "1" * 40,
        "NAPSTER:btih:" + "1" * 40, "napster:btih:" + "1" * 41, "napster://bob/5/-/",
        "napster://bob/-5/-/a", "napster://bob/5/12/a", "napster://bob/5/-/a/b", "napster:///5/-/a",
        "napster://bob/" + "9" * 30 + "/-/a", "napster://bob/5/-/a b", "napster://bob/5/-/" + "a" * 9999,
        "napster:btih:" + "\u0661" * 40, "magnet:?xt=urn:btih:" + "1" * 40,
    ],
)  # fmt: skip
def test_anything_else_is_no_hit(text: str) -> None:
    with pytest.raises(FormatError, match="is not a hit"):
        parse_token(text)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"name": "a", "size": "x", "network": "n"},
        {"name": "a", "size": 1, "network": "n", "md5": "12"},
        {"name": "a", "size": 1, "network": "n", "sha1": 5},
        {"name": "a", "size": 1, "network": "n", "host": "1.2.3.4:5"},
        {"name": "a", "size": 1, "network": "n", "peer": ["1.2.3.4", None]},
        {"name": "a", "size": 1, "network": "n", "seeds": "many"},
    ],
)
def test_a_file_that_was_changed_is_an_error(fields: dict[str, object]) -> None:
    with pytest.raises(FormatError, match="not a hit"):
        from_fields(fields)


@pytest.mark.parametrize(
    "text",
    [
        f"urn:sha1:{base32(SHA1)}",
        f"magnet:?xt=urn:sha1:{base32(SHA1)}&dn=blue+moon.ogg",
        f"magnet:?dn=a&XT=urn:bitprint:{base32(SHA1)}.{base32(bytes(24))}",
        f"MAGNET:?xt.1=urn:btih:{HASH.hex()}&xt.2=urn%3Asha1%3A{base32(SHA1).lower()}&xt=urn:ed2k:1",
    ],
)
def test_magnet_links_and_urns_name_a_file(text: str) -> None:
    assert parse_token(text) == ("gnutella", Digest("sha1", SHA1))


@given(st.text(max_size=50).map("magnet:?xt=".__add__) | st.text(max_size=50).map("urn:".__add__))
def test_any_magnet_is_a_file_or_an_error(text: str) -> None:
    try:
        assert parse_token(text)
    except FormatError:
        return
