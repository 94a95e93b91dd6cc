import os
from hashlib import md5, sha1
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from p2pswarm.disk import digests as room
from p2pswarm.disk.create import create
from p2pswarm.disk.digests import (
    MD5_SPAN,
    Digesting,
    Digests,
    beginning_has,
    napster_md5,
    torrent_of,
)
from p2pswarm.disk.reading import Reading
from p2pswarm.errors import DiskError
from p2pswarm.formats.thex import TigerTree
from tests.support.tiger import needs_tiger

MUSIC = bytes(range(256)) * 1200  # 307200 bytes


def reading(path: Path) -> Reading:
    here = path.stat()
    return Reading(path.parent, [path.name], here.st_size, here.st_mtime_ns)


def fingerprint(path: Path, data: bytes) -> bytes:
    path.write_bytes(data)
    return napster_md5(reading(path))


def id3(length: int, flags: int = 0) -> bytes:
    sizes = bytes(length >> shift & 0x7F for shift in (21, 14, 7, 0))
    return b"ID3\x04\x00" + bytes([flags]) + sizes + b"\xff" * length


@pytest.mark.parametrize("tag", [b"", id3(0), id3(300), id3(20_000), id3(5, 0x10) + b"3DI-------"])
def test_napster_hashes_the_beginning_of_the_music(tmp_path: Path, tag: bytes) -> None:
    expected = md5(MUSIC[:MD5_SPAN]).digest()
    assert fingerprint(tmp_path / "song", tag + MUSIC) == expected
    assert fingerprint(tmp_path / "song", tag + MUSIC[:MD5_SPAN] + b"other") == expected


@pytest.mark.parametrize("data", [b"", b"ID3", b"short", b"ID3\x04\0\0\xff\xff\xff\xff" + MUSIC])
def test_what_has_no_tag_is_hashed_from_its_start(tmp_path: Path, data: bytes) -> None:
    assert fingerprint(tmp_path / "song", data) == md5(data[:MD5_SPAN]).digest()


def test_a_tag_that_claims_more_than_there_is_leaves_nothing(tmp_path: Path) -> None:
    assert fingerprint(tmp_path / "song", id3(1 << 20)[:100]) == md5(b"").digest()


def digested(path: Path, step: int) -> Digests:
    hashing = Digesting(reading(path))
    while (result := hashing.step(step)) is None:
        pass
    return result


@given(data=st.binary(min_size=1, max_size=300), piece=st.integers(1, 400), step=st.integers(1, 70))
@settings(max_examples=60)
def test_whole_and_pieces_in_any_steps(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, piece: int, step: int
) -> None:
    path = tmp_path_factory.mktemp("digests") / "file"
    path.write_bytes(data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(room, "default_piece_length", lambda _: piece)
        whole, pieces, tree = digested(path, step)
    assert tree is None or tree == TigerTree.of(data)
    assert whole == sha1(data).digest()
    cuts = range(0, len(data), piece)
    assert pieces == b"".join(sha1(data[at : at + piece]).digest() for at in cuts)


@needs_tiger()
def test_the_tree_is_made_in_the_same_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = os.urandom(600_001)
    (tmp_path / "file").write_bytes(data)
    with_tree = digested(tmp_path / "file", 100_000)
    assert with_tree.tree == TigerTree.of(data)
    monkeypatch.setattr(room, "available", lambda: False)
    assert digested(tmp_path / "file", 100_000) == (*with_tree[:2], None)


def test_the_torrent_depends_on_nothing_but_the_bytes(tmp_path: Path) -> None:
    data = os.urandom(600_000)
    for name in ("one", "another"):
        (tmp_path / name).write_bytes(data)
    one, another = (
        torrent_of(digested(tmp_path / name, 1 << 20), 600_000) for name in ("one", "another")
    )
    assert one.info_hash == another.info_hash
    named = tmp_path / sha1(data).hexdigest()
    named.write_bytes(data)
    assert create(named).info_hash == one.info_hash


def test_a_file_that_changes_meanwhile_has_no_hashes(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * 10)
    hashing = Digesting(reading(path))
    assert hashing.step(9) is None
    os.utime(path, (1, 1))
    with pytest.raises(DiskError, match="is not what it was"):
        hashing.step(1)


@pytest.mark.parametrize("tag", [b"", id3(300)])
@pytest.mark.parametrize("span", [MD5_SPAN, 300000, 300032])
@pytest.mark.parametrize("skips_tag", [True, False])
def test_a_beginning_is_recognized_however_a_client_hashes_it(
    tag: bytes, span: int, skips_tag: bool
) -> None:
    data = tag + MUSIC
    start = len(tag) if skips_tag else 0
    digest = md5(data[start : start + span]).digest()
    view = memoryview(data)
    assert beginning_has(view, len(data) + 5, digest)
    assert beginning_has(memoryview(b"x" + data[1:]), len(data), bytes(16)) is False
    assert beginning_has(view[: start + span - 1], len(data), digest) is None


def test_a_beginning_behind_a_huge_tag_cannot_be_told() -> None:
    data = id3(2_000_000)[: 1 << 20]
    assert beginning_has(memoryview(data), 5_000_000, bytes(16)) is None


def test_a_short_file_is_its_own_beginning() -> None:
    assert beginning_has(memoryview(b"short"), 5, md5(b"short").digest())
    assert beginning_has(memoryview(b"other"), 5, md5(b"short").digest()) is False
