from contextlib import suppress

import pytest
from hypothesis import example, given, strategies as st

from p2pswarm.errors import FormatError
from p2pswarm.formats.ids import InfoHash
from p2pswarm.formats.urns import (
    Named,
    base32,
    btih_urn,
    read_base32,
    read_urn,
    sha1_urn,
)

SHA1, TTH = bytes(range(20)), bytes(range(24))


def test_what_is_written() -> None:
    assert sha1_urn(SHA1) == "urn:sha1:AAAQEAYEAUDAOCAJBIFQYDIOB4IBCEQT"
    assert base32(TTH) == "AAAQEAYEAUDAOCAJBIFQYDIOB4IBCEQTCQKRMFY"
    assert btih_urn(InfoHash(SHA1)) == "urn:btih:000102030405060708090a0b0c0d0e0f10111213"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (sha1_urn(SHA1), Named(sha1=SHA1)),
        (sha1_urn(SHA1).lower(), Named(sha1=SHA1)),
        (f" URN:SHA1:{base32(SHA1)}\r", Named(sha1=SHA1)),
        (f"urn:bitprint:{base32(SHA1)}.{base32(TTH)}", Named(sha1=SHA1, tth=TTH)),
        (f"urn:bitprint:{base32(SHA1)}", Named(sha1=SHA1)),
        (f"urn:tree:tiger:{base32(TTH)}", Named(tth=TTH)),
        (f"urn:tree:tiger/:{base32(TTH)}", Named(tth=TTH)),
        (f"urn:tree:TIGER/{base32(TTH)}", Named(tth=TTH)),
        (f"urn:ttroot:{base32(TTH)}", Named(tth=TTH)),
        (f"urn:btih:{SHA1.hex().upper()}", Named(info_hash=InfoHash(SHA1))),
        (f"urn:btih:{base32(SHA1).lower()}", Named(info_hash=InfoHash(SHA1))),
    ],
)
def test_what_is_read(text: str, named: Named) -> None:
    assert read_urn(text) == named


@pytest.mark.parametrize(
    "text",
    [
        "",
        "urn:",
        "urn:sha1:",
        "sha1:" + base32(SHA1),
        "urn:md5:" + "A" * 26,
        "urn:sha1:" + base32(TTH),
        "urn:sha1:" + base32(SHA1)[:-1] + "1",
        "urn:sha1:" + base32(SHA1)[:-1] + "=",
        "urn:sha1:" + base32(SHA1)[:-1] + "ä",
        "urn:bitprint:" + base32(SHA1) + ".",
        "urn:tree:md5:" + base32(TTH),
        "urn:btih:" + "g" * 40,
        "urn:btih:" + " 0" * 20,
        "urn:sha1:" + " " * 300 + base32(SHA1),
    ],
)
def test_what_is_refused(text: str) -> None:
    with pytest.raises(FormatError):
        read_urn(text)


@given(st.text(max_size=300) | st.text("urnshabtiptg1:./= AB", max_size=60))
@example("urn:tree:tiger")
@example("urn:bitprint:.")
def test_any_text_is_a_urn_or_a_format_error(text: str) -> None:
    with suppress(FormatError):
        assert any(read_urn(text))


@given(st.binary(min_size=24, max_size=24))
def test_base32_comes_back(value: bytes) -> None:
    assert read_base32(base32(value).lower(), 24) == value
