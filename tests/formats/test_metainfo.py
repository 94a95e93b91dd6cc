"""Metainfo: a torrent becomes values, the info-hash is over the raw bytes, what we build we can read."""

import errno
from hashlib import sha1
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from p2pswarm.errors import DiskError, FormatError, MetainfoError
from p2pswarm.formats import bencode, files as files_room
from p2pswarm.formats.building import build, default_piece_length
from p2pswarm.formats.ids import PieceIndex
from p2pswarm.formats.metainfo import MAX_PIECE_LENGTH, MAX_PIECES, File, Metainfo
from tests.support.corpus import HASH, ODD, PIECE, multi, single

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30


def read(data: bytes) -> Metainfo:
    return Metainfo.from_bytes(data)


def trackers(top: dict[bytes, Any]) -> tuple[tuple[str, ...], ...]:
    return read(single(top=top)).trackers


def test_a_torrent_of_one_file() -> None:
    metainfo = read(single())
    assert metainfo.name == "f"
    assert metainfo.single_file
    assert metainfo.files == (File(("f",), PIECE + 1, 0),)
    assert metainfo.total == PIECE + 1
    assert metainfo.trackers == (("http://tracker.example/announce",),)
    assert not metainfo.private
    assert (metainfo.comment, metainfo.created_by, metainfo.source) == ("", "", "")
    assert metainfo.creation_date is None
    assert metainfo.web_seeds == ()
    size = f"1 files, {PIECE + 1} bytes, 2 pieces"
    assert repr(metainfo) == f"<Metainfo {metainfo.info_hash} 'f' {size}>"
    assert hash(metainfo) == hash(read(single()))
    assert metainfo == read(single())


def test_a_torrent_of_many_files() -> None:
    metainfo = read(multi([b"a"], {b"length": 0, b"path": [b"d", b"empty"]}, [b"d", b"b"]))
    assert not metainfo.single_file
    assert metainfo.files == (
        File(("folder", "a"), 1, 0),
        File(("folder", "d", "empty"), 0, 1),
        File(("folder", "d", "b"), 1, 1),
    )
    assert metainfo.total == 2
    assert metainfo.files_as_given() == metainfo.files
    assert metainfo.renamed == {}


def test_the_geometry_of_pieces() -> None:
    hashes = bytes(range(60))
    metainfo = read(single({b"length": 2 * PIECE + 5, b"pieces": hashes}))
    first, last = PieceIndex(0), PieceIndex(2)
    assert metainfo.piece_count == 3
    assert (metainfo.piece_size(first), metainfo.piece_size(last)) == (PIECE, 5)
    assert (metainfo.piece_offset(first), metainfo.piece_offset(last)) == (0, 2 * PIECE)
    assert (metainfo.piece_hash(first), metainfo.piece_hash(last)) == (hashes[:20], hashes[40:])
    for piece in (-1, 3):
        with pytest.raises(IndexError, match=f"piece {piece} of 3"):
            metainfo.piece_size(PieceIndex(piece))
        with pytest.raises(IndexError):
            metainfo.piece_hash(PieceIndex(piece))


def test_a_last_piece_that_is_full() -> None:
    metainfo = read(single({b"length": 2 * PIECE}))
    assert metainfo.piece_size(PieceIndex(1)) == PIECE


def test_the_info_hash_is_over_the_raw_bytes() -> None:
    info = b"d12:piece lengthi1e4:name1:f6:pieces20:%b6:lengthi1ee" % HASH  # keys out of order
    data = b"d4:info" + info + b"1:ale" + b"e"
    metainfo = read(data)
    assert (
        metainfo.info_hash
        == sha1(info).digest()
        != sha1(bencode.encode(bencode.decode(info))).digest()
    )
    assert metainfo.raw == data


def test_unknown_keys_are_kept() -> None:
    metainfo = read(ODD["unknown-keys"])
    assert bencode.decode(metainfo.raw)[b"info"][b"x-cross-seed"] == b"abc"


def test_the_limits_are_where_they_are_said_to_be() -> None:
    largest = {b"piece length": MAX_PIECE_LENGTH, b"pieces": HASH}
    assert read(single(largest)).piece_length == MAX_PIECE_LENGTH
    with pytest.raises(MetainfoError, match="piece length"):
        read(single({**largest, b"piece length": MAX_PIECE_LENGTH + 1}))
    with pytest.raises(MetainfoError, match=f"need {MAX_PIECES}"):
        read(single({b"piece length": 1, b"length": MAX_PIECES}))
    with pytest.raises(MetainfoError, match=f"{MAX_PIECES + 1} pieces"):
        read(single({b"piece length": 1, b"length": MAX_PIECES + 1}))


def test_there_are_not_too_many_path_elements(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files_room, "_MAX_PATH_ELEMENTS", 6)
    assert len(read(multi([b"a"], [b"b"], [b"c"])).files) == 3  # "folder" counts
    with pytest.raises(MetainfoError, match="more than 6 path elements up to file 2"):
        read(multi([b"a"], [b"b"], [b"c", b"d"]))


def test_twins_are_renamed_and_their_names_kept() -> None:
    metainfo = read(ODD["twins-of-case"])
    assert [file.path[-1] for file in metainfo.files] == [
        "Makefile",
        "makefile (2)",
        "MAKEFILE (3)",
    ]
    assert metainfo.renamed == {1: ("folder", "makefile"), 2: ("folder", "MAKEFILE")}
    given = metainfo.files_as_given()
    assert [file.path[-1] for file in given] == ["Makefile", "makefile", "MAKEFILE"]
    assert [file.offset for file in given] == [0, 1, 2]


def test_names_in_utf_8_are_preferred() -> None:
    assert read(ODD["gbk-and-utf-8"]).name == "中"
    assert read(ODD["path-utf-8"]).files[0].path == ("folder", "中")
    assert read(ODD["latin-1-name"]).name == "café.txt"


def test_private() -> None:
    assert read(single({b"private": 1})).private
    assert not read(single({b"private": 0})).private


def test_what_decorates_becomes_one_printable_line() -> None:
    top = {
        b"comment": b"one\ntwo\x1b[3m \n",
        b"created by": b"caf\xe9",
        b"creation date": 1_700_000_000,
    }
    metainfo = read(single({b"source": "\u202eX".encode()}, top))
    assert metainfo.comment == "one two [3m"
    assert metainfo.created_by == "café"
    assert metainfo.source == "X"
    assert metainfo.creation_date == 1_700_000_000


@pytest.mark.parametrize("date", [-1, 1 << 62, b"1700000000", []])
def test_a_date_that_is_none_is_dropped(date: object) -> None:
    assert read(single(top={b"creation date": date})).creation_date is None


def test_decoration_of_the_wrong_kind_is_dropped() -> None:
    metainfo = read(ODD["decoration-of-wrong-kind"])
    assert (metainfo.comment, metainfo.created_by, metainfo.source) == ("", "", "")


def test_tiers_take_the_place_of_the_one_tracker() -> None:
    listed = [[b"http://a.example/", b"udp://b.example:80"], [b"http://c.example/"]]
    top = {b"announce": b"http://old.example/", b"announce-list": listed}
    assert trackers(top) == (("http://a.example/", "udp://b.example:80"), ("http://c.example/",))


def test_no_tracker_stands_twice_and_junk_is_dropped() -> None:
    listed = [
        [b"http://a.example/", b"http://a.example/", b" http://b.example/ "],
        [b"http://b.example/"],
        [
            b"\xff",
            5,
            b"",
            b"no url",
            b"http://",
            b"http://a b/",
            b"http://a/\x1b",
            b"http://a/\xe2\x80\xae",
        ],
        [b"http://" + b"a" * 2042],
        b"http://c.example/",
        {},
    ]
    assert trackers({b"announce-list": listed}) == (
        ("http://a.example/", "http://b.example/"),
        ("http://c.example/",),
    )


def test_a_space_behind_the_host_is_written_as_it_must_be() -> None:
    assert trackers({b"announce": b"http://a.example/my files?of=a b"}) == (
        ("http://a.example/my%20files?of=a%20b",),
    )


@pytest.mark.parametrize("listed", [[], [[]], [[b"junk"]], b"junk", 5, {}])
def test_a_list_without_a_tracker_leaves_the_one(listed: object) -> None:
    assert trackers({b"announce-list": listed}) == (("http://tracker.example/announce",),)


@pytest.mark.parametrize("announce", [5, b"", b"junk", []])
def test_no_tracker_at_all(announce: object) -> None:
    assert trackers({b"announce": announce}) == ()


@pytest.mark.parametrize(
    ("listed", "kept"),
    [
        (b"http://a.example/f", ("http://a.example/f",)),
        ([b"http://a.example/f", b"ftp://b.example/f", b"http://a.example/f"], 2),
        (b"", ()),
        ([b"", 7], ()),
        (7, ()),
    ],
)
def test_web_seeds_are_kept(listed: object, kept: object) -> None:
    found = read(single(top={b"url-list": listed})).web_seeds
    assert found == kept or len(found) == kept


def test_a_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "f.torrent"
    path.write_bytes(single())
    assert Metainfo.from_file(path) == read(single())


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(DiskError, match=r"cannot read .*none\.torrent: No such file") as caught:
        Metainfo.from_file(tmp_path / "none.torrent")
    assert caught.value.errno == errno.ENOENT
    with pytest.raises(DiskError, match="Is a directory"):
        Metainfo.from_file(tmp_path)
    with pytest.raises(DiskError, match="null") as caught:
        Metainfo.from_file(Path("a\0b"))
    assert caught.value.errno == 0


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "huge.torrent"
    with path.open("wb") as file:
        file.truncate(1 << 40)  # sparse: reading it whole would end the test
    with pytest.raises(MetainfoError, match="larger than 10 MiB"):
        Metainfo.from_file(path)


@pytest.mark.parametrize(
    ("total", "length"),
    [
        (0, 256 * KIB),
        (1, 256 * KIB),
        (GIB, 256 * KIB),
        (GIB + 1, 512 * KIB),
        (2 * GIB, MIB),
        (100 * GIB, 32 * MIB),
        (10 << 40, 32 * MIB),
    ],
)
def test_the_default_piece_length(total: int, length: int) -> None:
    assert default_piece_length(total) == length


@given(st.integers(GIB + 1, 32 * MIB * 4000))
def test_a_large_torrent_has_two_to_four_thousand_pieces(total: int) -> None:
    length = default_piece_length(total)
    assert length & (length - 1) == 0
    assert 2000 < -(-total // length) <= 4000


ELEMENTS = st.lists(
    st.text("abé. ", min_size=1, max_size=5).map(lambda s: s + "x"), min_size=1, max_size=3
)


@given(
    st.lists(st.tuples(ELEMENTS, st.integers(0, 3 * PIECE)), min_size=1, max_size=8).filter(
        lambda files: any(size for _, size in files)
    ),
    st.booleans(),
    st.text("ab\u00e9 ", max_size=5),
)
def test_what_is_built_is_read(
    files: list[tuple[list[str], int]], private: bool, text: str
) -> None:
    total = sum(size for _, size in files)
    pieces = HASH * -(-total // PIECE)
    tiers = (("http://a.example/", "udp://b.example"), ("http://c.example/",))
    metainfo = build(
        name="folder", piece_length=PIECE, pieces=pieces, files=files, trackers=tiers, private=private,
        comment=text, source=text, created_by=text, creation_date=5, web_seeds=["http://w.example/"],
    )  # fmt: skip
    assert [file.length for file in metainfo.files] == [size for _, size in files]
    assert [file.path for file in metainfo.files_as_given()] == [
        ("folder", *path) for path, _ in files
    ]
    assert metainfo.trackers == tiers
    assert metainfo.private is private
    assert metainfo.comment == metainfo.source == metainfo.created_by == text.strip()
    assert metainfo.creation_date == 5
    assert metainfo.web_seeds == ("http://w.example/",)
    assert bencode.encode(bencode.decode(metainfo.raw)) == metainfo.raw


def test_little_is_written_where_little_is_given() -> None:
    metainfo = build(name="f", piece_length=PIECE, pieces=HASH, length=5)
    info = {b"length": 5, b"name": b"f", b"piece length": PIECE, b"pieces": HASH}
    assert metainfo.raw == bencode.encode({b"info": info})
    alone = build(
        name="f", piece_length=PIECE, pieces=HASH, length=5, trackers=[["http://a.example/"], []]
    )
    assert bencode.decode(alone.raw) == {b"announce": b"http://a.example/", b"info": info}
    assert alone.info_hash == metainfo.info_hash


def test_what_is_no_url_is_not_written() -> None:
    for junk in ("example.org", "http://a b/", "http://a/\udcff", ""):
        with pytest.raises(ValueError, match="is not a URL"):
            build(name="f", piece_length=PIECE, pieces=HASH, length=5, trackers=[[junk]])
        with pytest.raises(ValueError, match="is not a URL"):
            build(name="f", piece_length=PIECE, pieces=HASH, length=5, web_seeds=[junk])


def test_what_could_not_be_read_is_not_built() -> None:
    with pytest.raises(MetainfoError, match="lead out"):
        build(name="..", piece_length=PIECE, pieces=HASH, length=5)
    with pytest.raises(MetainfoError, match="need 1"):
        build(name="f", piece_length=PIECE, pieces=b"", length=5)


JUNK = st.recursive(
    st.integers(-2, 1 << 65)
    | st.sampled_from([b"", b"a", b"..", b"l", b"p", HASH, HASH * 2, b"x/y", b"\xff"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from([b"length", b"path", b"attr", b"path.utf-8"]), inner, max_size=3
        )
    ),
    max_leaves=8,
)
INFO_KEYS = [
    b"name", b"name.utf-8", b"piece length", b"pieces", b"length", b"files", b"private", b"source",
    b"meta version", b"file tree", b"attr",
]  # fmt: skip
TOP_KEYS = [
    b"announce",
    b"announce-list",
    b"url-list",
    b"comment",
    b"created by",
    b"creation date",
    b"info",
]


@given(
    st.booleans(),
    st.dictionaries(st.sampled_from(INFO_KEYS), JUNK | st.none(), max_size=3),
    st.dictionaries(st.sampled_from(TOP_KEYS), JUNK, max_size=2),
)
@settings(max_examples=250)
def test_any_values_give_a_torrent_or_our_error(
    alone: bool, changes: dict[bytes, Any], top: dict[bytes, Any]
) -> None:
    good = bencode.decode(single() if alone else multi([b"a"], [b"d", b"b"]))
    info = {key: value for key, value in {**good[b"info"], **changes}.items() if value is not None}
    try:
        metainfo = read(bencode.encode({**good, b"info": info, **top}))
    except FormatError:
        return
    assert metainfo.total == sum(file.length for file in metainfo.files)
    assert metainfo.piece_count > 0
    sizes = [metainfo.piece_size(PieceIndex(piece)) for piece in range(metainfo.piece_count)]
    assert sum(sizes) == metainfo.total
    assert all(".." not in file.path and file.path[0] == metainfo.name for file in metainfo.files)


@given(st.binary(max_size=200), st.integers(0, 150))
def test_any_bytes_and_any_part_give_our_error(data: bytes, cut: int) -> None:
    for bad in (data, single()[:cut], multi([b"a"])[:cut]):
        with pytest.raises(FormatError):
            read(bad)
