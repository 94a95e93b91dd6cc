"""Version 2 and hybrids on the disk: stored when all hashes agree, and not while none is known."""

from pathlib import Path
from random import Random

import pytest

from p2pswarm.disk.pool import DiskPool, Stored
from p2pswarm.disk.resume import ResumeFolder
from p2pswarm.disk.storage import FileStorage
from p2pswarm.errors import DiskError, LocalProtocolError
from p2pswarm.formats.bitfield import Bitfield
from p2pswarm.formats.ids import PieceIndex
from p2pswarm.formats.metainfo import Metainfo
from p2pswarm.swarm.data import TorrentData
from tests.support.generations import PIECE, contents, generation, stream_of

FILES = {"a": contents(2 * PIECE + 5), "b": contents(PIECE, 1), "c": b"tiny"}
STREAM = stream_of(FILES)
BOTH = pytest.mark.parametrize("v1", [False, True])


def opened(root: Path, meta: Metainfo) -> TorrentData:
    storage = FileStorage(root, meta.files, writable=True)
    resume = ResumeFolder(root / "state", boot_id="now").open(meta.info_hash, root, synced=True)
    data = TorrentData(meta, storage, DiskPool(threads=0), resume, writable=True, dice=Random(1))
    data.recall()
    return data


def bare(*, v1: bool) -> Metainfo:
    return Metainfo.from_bytes(generation(FILES, v1=v1, change=lambda t: t.pop(b"piece layers")))


def stored(data: TorrentData, piece: int, stream: bytes = STREAM) -> Stored | DiskError:
    told: list[Stored | DiskError] = []
    content = memoryview(bytearray(stream[piece * PIECE : (piece + 1) * PIECE]))
    data.store(PieceIndex(piece), content, told.append, digests=False)
    return told[0]


def silent(done: int, total: int) -> None:
    pass


@BOTH
async def test_stored_checked_and_found_again(tmp_path: Path, v1: bool) -> None:
    meta = Metainfo.from_bytes(generation(FILES, v1=v1))
    data = opened(tmp_path, meta)
    assert not (await data.load(silent)).any()
    await data.prepare(Bitfield(5))
    assert all(stored(data, piece) == Stored(True, None) for piece in range(5))
    assert (await data.check(range(5), silent)).all()
    await data.close(Bitfield.full(5), 0, 0)
    assert {path.name: path.read_bytes() for path in (tmp_path / "t").iterdir()} == FILES
    again = opened(tmp_path, meta)
    assert (await again.load(silent)).all()
    await again.close(None, 0, 0)


@BOTH
async def test_a_wrong_bit_is_seen_in_every_piece(tmp_path: Path, v1: bool) -> None:
    data = opened(tmp_path, Metainfo.from_bytes(generation(FILES, v1=v1)))
    await data.load(silent)
    await data.prepare(Bitfield(5))
    for piece in range(5):
        wrong = bytearray(STREAM)
        wrong[piece * PIECE + 3] ^= 1
        result = stored(data, piece, wrong)
        assert isinstance(result, Stored)
        assert (result.ok, result.contradicts) == (False, False)
    await data.close(None, 0, 0)


async def test_what_nobody_can_verify_is_not_stored(tmp_path: Path) -> None:
    data, full = opened(tmp_path, bare(v1=False)), Metainfo.from_bytes(generation(FILES))
    await data.load(silent)
    await data.prepare(Bitfield(5))
    assert [data.expect(PieceIndex(piece)) is None for piece in range(5)] == [True] * 3 + [
        False
    ] * 2
    with pytest.raises(LocalProtocolError, match="piece 1 cannot be verified yet"):
        stored(data, 1)
    data.expected = full.piece_root
    assert stored(data, 1) == Stored(True, None)
    assert list((await data.check(range(5), silent)).pieces()) == [1]
    await data.close(None, 0, 0)


async def test_a_hybrid_is_checked_by_both_as_soon_as_they_are_known(tmp_path: Path) -> None:
    data = opened(tmp_path, bare(v1=True))
    await data.load(silent)
    await data.prepare(Bitfield(5))
    assert stored(data, 0) == Stored(True, None)
    data.expected = lambda piece: bytes(32)
    result = stored(data, 1)
    assert isinstance(result, Stored)
    assert (result.ok, result.contradicts) == (False, True)
    await data.close(None, 0, 0)
