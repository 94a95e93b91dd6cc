"""Pieces hashed in threads: every one once, a bad read blamed on its own piece, no thread left behind."""

import hashlib
import threading
from collections.abc import Iterable
from contextlib import closing
from random import Random

import pytest
from hypothesis import given, strategies as st

from p2pswarm.disk import hashing
from p2pswarm.disk.hashing import Hashed, Hashing, in_threads
from p2pswarm.disk.storage import MemoryStorage
from p2pswarm.errors import DiskError
from p2pswarm.formats.ids import PieceIndex
from tests.support.disks import SlowStorage, WrappedStorage

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


def expected(piece: int) -> bytes:
    return hashlib.sha1(DATA[piece * LENGTH : (piece + 1) * LENGTH]).digest()


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
