"""A torrent of very many files as long as one that is here had that one read again for each of them: a
stranger's link of ten megabytes kept the disk busy for days before anybody was asked."""

from pathlib import Path
from random import Random

import pytest

from p2pswarm.disk import reuse
from p2pswarm.disk.candidates import Candidate, Candidates
from p2pswarm.disk.reuse import VAIN, VAIN_TIMES, Reuse
from p2pswarm.formats.bitfield import Bitfield
from p2pswarm.formats.building import build
from tests.support.memory import MemoryStorage
from tests.support.world import _hashes

PIECE, SIZE, FILES = 16 << 10, 40_000, 500


@pytest.mark.parametrize("of_several", [False, True], ids=["pieces of one file", "of several"])
def test_what_is_read_for_nothing_has_an_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, of_several: bool
) -> None:
    size = 12_000 if of_several else SIZE
    files = [((f"{n}",), size) for n in range(FILES)]
    stream = Random(1).randbytes(size * FILES)
    meta = build(name="t", piece_length=PIECE, pieces=_hashes(stream, PIECE), files=files)
    (tmp_path / "ours").write_bytes(bytes(size))
    here = (tmp_path / "ours").stat()
    found = Candidates(meta.files)
    found.add(Candidate(tmp_path, ("ours",), here.st_size, here.st_mtime_ns))
    read = [0]
    real = reuse.Reading.read_into

    def counted(self: reuse.Reading, at: int, buffer: memoryview) -> None:
        read[0] += len(buffer)
        real(self, at, buffer)

    monkeypatch.setattr(reuse.Reading, "read_into", counted)
    monkeypatch.setattr(reuse, "VAIN", 100_000)
    good = Bitfield(meta.piece_count)
    missing = Bitfield.full(meta.piece_count)
    work = Reuse(MemoryStorage(meta.total), meta, missing, found, lambda piece, data: False, good)
    while work.work():
        pass
    assert not good.any()
    assert read[0] <= 100_000 + (VAIN_TIMES + 1) * size + PIECE
    assert VAIN == 1 << 20
