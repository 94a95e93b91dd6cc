"""Which URL has which bytes of a torrent (BEP 19)."""

from dataclasses import replace

import pytest
from hypothesis import given, settings, strategies as st

from p2pswarm.formats.building import build
from p2pswarm.formats.metainfo import File, Metainfo
from p2pswarm.formats.webseeds import MOST_USED, Part, parts, usable

PIECE = 16 << 10


def single(name: str = "a b.iso", length: int = 100) -> Metainfo:
    return build(name=name, piece_length=PIECE, pieces=bytes(20), length=length)


def several(*files: tuple[str, int]) -> Metainfo:
    total = sum(length for _, length in files)
    listed = [(tuple(name.split("/")), length) for name, length in files]
    hashes = bytes(20 * -(-total // PIECE))
    return build(name="the folder", piece_length=PIECE, pieces=hashes, files=listed)


def urls(meta: Metainfo, seed: str) -> list[str]:
    return [part.url for part in parts(meta, seed, 0, meta.total)]


@pytest.mark.parametrize(
    ("seed", "url"),
    [
        ("http://a/some.iso", "http://a/some.iso"),
        ("http://a/get?id=7", "http://a/get?id=7"),
        ("http://a/folder/", "http://a/folder/a%20b.iso"),
        ("http://a/", "http://a/a%20b.iso"),
    ],
)
def test_a_single_file_is_the_url_or_lies_in_the_folder(seed: str, url: str) -> None:
    assert urls(single(), seed) == [url]


@pytest.mark.parametrize("seed", ["http://a/x", "http://a/x/"])
def test_of_several_files_the_url_is_the_folder_of_their_folder(seed: str) -> None:
    meta = several(("1", 10), ("sub/2", 10))
    assert urls(meta, seed) == ["http://a/x/the%20folder/1", "http://a/x/the%20folder/sub/2"]


def test_names_are_escaped_whatever_they_hold() -> None:
    meta = several(("a?b#c%20", 1), ("ü/&+;=.txt", 1))
    assert urls(meta, "http://a/") == [
        "http://a/the%20folder/a%3Fb%23c%2520",
        "http://a/the%20folder/%C3%BC/%26%2B%3B%3D.txt",
    ]


def test_a_twin_is_asked_for_under_the_name_that_the_torrent_gives() -> None:
    meta = several(("File", 5), ("file", 5))
    assert meta.renamed
    assert urls(meta, "http://a/") == ["http://a/the%20folder/File", "http://a/the%20folder/file"]


def test_a_row_goes_over_several_files_and_over_empty_ones() -> None:
    meta = several(("a", 10), ("none", 0), ("b", 20), ("c", 30))
    found = list(parts(meta, "http://a/", 7, 35))
    folder = "http://a/the%20folder/"
    assert found == [
        Part(folder + "a", 0, 7, 10, 10),
        Part(folder + "b", 2, 0, 20, 20),
        Part(folder + "c", 3, 0, 5, 30),
    ]


def test_pads_are_nowhere() -> None:
    meta = several(("a", 10), ("b", 10))
    pad = File((".pad", "6"), 6, 10, pad=True)
    meta = replace(meta, files=(meta.files[0], pad, meta.files[1]._replace(offset=16)))
    assert urls(meta, "http://a/") == ["http://a/the%20folder/a", "", "http://a/the%20folder/b"]


@given(st.lists(st.integers(0, 50), min_size=1, max_size=8).filter(any), st.data())
@settings(max_examples=50)
def test_parts_are_the_row_without_gaps(lengths: list[int], data: st.DataObject) -> None:
    meta = several(*((f"f{n}", length) for n, length in enumerate(lengths)))
    start = data.draw(st.integers(0, meta.total))
    end = data.draw(st.integers(start, meta.total))
    row = [
        meta.files[part.file].offset + at
        for part in parts(meta, "http://a", start, end)
        for at in range(part.start, part.end)
    ]
    assert row == list(range(start, end))


def test_only_http_is_asked_and_not_by_the_thousand() -> None:
    assert usable(["ftp://a/", "HTTP://b/", "https://c/", "file:///etc"]) == (
        "HTTP://b/",
        "https://c/",
    )
    assert len(usable([f"http://a/{n}" for n in range(5000)])) == MOST_USED
