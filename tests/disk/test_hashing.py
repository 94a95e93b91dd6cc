"""Pieces hashed in threads: every one once, a bad read blamed on its own piece, no thread left behind."""

import hashlib
import threading
from collections.abc import Iterable
from contextlib import closing
from random import Random

import pytest
from hypothesis import given, strategies as st

from p2pswarm.disk import hashing
from p2pswarm.disk.hashing import Expected, Hashed, Hashing, PieceHash, in_threads
from p2pswarm.errors import DiskError
from p2pswarm.formats import merkle
from p2pswarm.formats.ids import PieceIndex
from p2pswarm.formats.metainfo import Metainfo
from tests.support.disks import SlowStorage, WrappedStorage
from tests.support.generations import generation
from tests.support.memory import MemoryStorage

LENGTH = 1000
DATA = Random(1).randbytes(20 * LENGTH + 7)


class BrokenStorage(WrappedStorage):
    """Cannot read one byte."""

    def __init__(self, broken: int) -> None:
        inner = MemoryStorage(len(DATA))
        inner.write(0, DATA)
        super().__init__(inner)
        self._broken = broken

    def read_into(self, offset: int, into: Iterable[memoryview], *, wait: bool = True) -> bool:
        parts = list(into)
        if offset <= self._broken < offset + sum(map(len, parts)):
            raise DiskError("a bad block")
        return super().read_into(offset, parts, wait=wait)


def expected(piece: int) -> PieceHash:
    return PieceHash(hashlib.sha1(DATA[piece * LENGTH : (piece + 1) * LENGTH]).digest())


def of(pieces: Iterable[int], storage: WrappedStorage) -> Hashing:
    return Hashing(storage, LENGTH, len(DATA), map(PieceIndex, pieces))


def all_of(work: Hashing, threads: int = 2) -> list[Hashed]:
    with closing(in_threads(work, threads)) as parts:
        return [hashed for part in parts for hashed in part]


def threads() -> list[str]:
    return [each.name for each in threading.enumerate() if each.name == "p2pswarm-hash"]


@given(
    st.lists(st.integers(0, 20), unique=True),
    st.sampled_from([300, LENGTH, 3 * LENGTH, 1 << 20]),
    st.integers(1, 3),
)
def test_every_piece_is_hashed_once(pieces: list[int], read: int, count: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hashing, "READ", read)
        patch.setattr(hashing, "SLICE", 2 * LENGTH)
        found = all_of(of(pieces, BrokenStorage(-1)), count)
    assert sorted(piece for piece, _ in found) == sorted(pieces)
    assert all(digest == expected(piece) for piece, digest in found)
    assert not threads()


def test_one_bad_read_spoils_one_piece() -> None:
    found = dict(all_of(of(range(21), BrokenStorage(7 * LENGTH))))
    assert isinstance(found.pop(PieceIndex(7)), DiskError)
    assert all(digest == expected(piece) for piece, digest in found.items())
    assert len(found) == 20


def test_what_a_thread_raises_is_raised_and_ends_the_others() -> None:
    def fail() -> None:
        raise RuntimeError("a bug")

    storage = SlowStorage(MemoryStorage(len(DATA)), fail)
    with pytest.raises(RuntimeError, match="a bug"):
        all_of(of(range(21), storage))
    assert not threads()


def test_whoever_goes_early_leaves_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hashing, "SLICE", LENGTH)
    monkeypatch.setattr(hashing, "READ", LENGTH)
    monkeypatch.setattr(hashing, "TELL_EVERY", 0.0)
    reads = [0]
    first = threading.Event()

    def read() -> None:
        reads[0] += 1
        if reads[0] > 1:
            first.wait()

    work = of(range(21), SlowStorage(MemoryStorage(len(DATA)), read))
    with closing(in_threads(work, 1)) as parts:
        brought = next(part for part in parts if part)
        work.stop()
        first.set()
    assert brought
    assert not threads()
    assert reads[0] < 21
    assert work.work() == []


LEAF = merkle.LEAF
LONG = 4 * LEAF  # bytes of a piece


def roots(piece: int, length: int = LONG) -> bytes:
    """Of a stream whose last piece has bytes of a file up to its third block, and then a pad."""
    leaves = [hashlib.sha256(STREAM[at : at + LEAF]).digest() for at in range(0, len(STREAM), LEAF)]
    mine = b"".join(leaves[piece * length // LEAF : (piece + 1) * length // LEAF])
    return merkle.root(mine, 0, 2)


STREAM = Random(2).randbytes(2 * LONG + 2 * LEAF + 5)
PADDED = STREAM + bytes(-len(STREAM) % LONG)


def subtree(piece: PieceIndex) -> merkle.Subtree:
    return merkle.Subtree(min(LONG, len(STREAM) - piece * LONG), 2)


@pytest.mark.parametrize("read", [LEAF, LONG, 3 * LONG])  # a part of a piece, one, several
@pytest.mark.parametrize("with_sha1", [True, False])
def test_both_hashes_in_one_read(
    monkeypatch: pytest.MonkeyPatch, read: int, with_sha1: bool
) -> None:
    monkeypatch.setattr(hashing, "READ", read)
    storage = MemoryStorage(len(PADDED))
    storage.write(0, PADDED)
    pieces = map(PieceIndex, range(3))
    work = Hashing(storage, LONG, len(PADDED), pieces, sha1=with_sha1, subtrees=subtree)
    sha1s = [hashlib.sha1(PADDED[at : at + LONG]).digest() for at in range(0, len(PADDED), LONG)]
    assert sorted(all_of(work)) == [
        (piece, PieceHash(sha1s[piece] if with_sha1 else None, roots(piece))) for piece in range(3)
    ]


FILES = {"a": STREAM, "b": b"small"}


@pytest.mark.parametrize("v1", [False, True])
def test_what_a_piece_must_be(v1: bool) -> None:
    meta = Metainfo.from_bytes(generation(FILES, v1=v1, piece_length=LONG))
    last, small = Expected.of(meta, PieceIndex(2)), Expected.of(meta, PieceIndex(3))
    assert last is not None
    assert small is not None
    assert (last.sha1 is not None) is v1
    assert last.root == roots(2)
    assert last.holds(memoryview(PADDED[2 * LONG :]))
    assert small.root == hashlib.sha256(b"small").digest()
    assert small.holds(memoryview(b"small".ljust(LONG, b"\0")))
    assert not small.holds(memoryview(b"smell".ljust(LONG, b"\0")))
    # What is in a hole only SHA-1 knows.
    assert small.holds(memoryview(b"small".ljust(LONG, b"?"))) is not v1


def test_a_hybrid_needs_both() -> None:
    right = Expected(b"sha1", b"root", merkle.Subtree(1, 0))
    assert right.fits(PieceHash(b"sha1", b"root"))
    assert not right.fits(PieceHash(b"sha1", b"????"))
    assert not right.fits(PieceHash(b"????", b"root"))
    assert Expected(b"sha1").fits(PieceHash(b"sha1", b"????"))


def test_a_piece_without_a_layer_is_known_by_what_peers_gave() -> None:
    bare = generation(FILES, piece_length=LONG, change=lambda torrent: torrent.pop(b"piece layers"))
    meta, piece = Metainfo.from_bytes(bare), PieceIndex(0)
    assert Expected.of(meta, piece) is None
    assert Expected.of(meta, piece, roots) == Expected(None, roots(0), merkle.Subtree(LONG, 2))
    bare = generation(
        FILES, v1=True, piece_length=LONG, change=lambda torrent: torrent.pop(b"piece layers")
    )
    meta = Metainfo.from_bytes(bare)
    assert Expected.of(meta, piece) == Expected(meta.piece_hash(piece))
