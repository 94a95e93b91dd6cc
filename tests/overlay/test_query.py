import pytest
from hypothesis import given, strategies as st

from p2pswarm.formats.ids import InfoHash
from p2pswarm.formats.paths import safe_path
from p2pswarm.formats.words import Kind
from p2pswarm.overlay.query import Digest, Hit, Query

SHA1 = b"\x11" * 20


@pytest.mark.parametrize(
    ("name", "filename"),
    [
        ("Blue Moon.mp3", "Blue Moon.mp3"),
        (r"\music\Artist\Blue Moon.mp3", "Blue Moon.mp3"),
        ("/etc/passwd", "passwd"),
        (r"C:\..\..\boot.ini", "boot.ini"),
        ("a/..", "file"),
        ("..", "file"),
        ("", "file"),
        ("dir/", "file"),
        ("what?: a <title>.mp3", "what?: a <title>.mp3"),
        ("nul.mp3", "file"),
        ("a\nb\x1b[31m.txt", "a_b_[31m.txt"),
        ("photo\u202egpj.exe", "photo_gpj.exe"),
        ("trailing. ", "trailing"),
        ("x" * 300 + ".mp3", "x" * 251 + ".mp3"),
    ],
)
def test_a_name_from_a_network_becomes_one_safe_element(name: str, filename: str) -> None:
    assert Hit(name, 1, "net").filename == filename


@given(
    st.text(max_size=400) | st.text(st.sampled_from("./\\:%2e\0 aA\u202e\uff0e\ud800"), max_size=40)
)
def test_no_name_leads_anywhere(name: str) -> None:
    filename = Hit(name, 1, "net").filename
    assert safe_path([filename.encode()], "name") == (filename,)
    assert "/" not in filename
    assert filename not in {"", ".", ".."}


def test_only_what_answers_a_query_fits_it() -> None:
    hit = Hit(r"music\Blue Moon (live).mp3", 1000, "net", sha1=SHA1)
    for query in (
        Query(),
        Query.parse("moon BLUE -remix"),
        Query(kind=Kind.AUDIO, min_size=1000, max_size=1000),
        Query(digest=Digest("sha1", SHA1)),
    ):
        assert query.fits(hit)
    for query in (
        Query.parse("blue train"),
        Query.parse("blue -live"),
        Query(kind=Kind.VIDEO),
        Query(min_size=1001),
        Query(max_size=999),
        Query(digest=Digest("sha1", bytes(20))),
        Query(digest=Digest("md5", SHA1)),
    ):
        assert not query.fits(hit)


def test_hashes_come_strongest_first() -> None:
    hit = Hit("a", 1, "net", md5=bytes(16), tth=bytes(24), sha1=SHA1, info_hash=InfoHash(SHA1))
    assert [digest.algorithm for digest in hit.digests()] == ["btih", "sha1", "tth", "md5"]
    assert list(Hit("a", 1, "net").digests()) == []
