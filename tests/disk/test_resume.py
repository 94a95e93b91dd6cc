import errno
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from p2pswarm.disk import checkpoint as checkpoint_room, journal as journal_room
from p2pswarm.disk.checkpoint import Checkpoint
from p2pswarm.disk.layout import Layout
from p2pswarm.disk.resume import SLACK, Resume, ResumeFolder, Saved, read_boot_id
from p2pswarm.disk.storage import PAD, FileStat
from p2pswarm.errors import DiskError, DiskFullError, InUseError, LocalProtocolError
from p2pswarm.formats import bencode
from p2pswarm.formats.bitfield import Bitfield
from p2pswarm.formats.ids import InfoHash, PieceIndex
from tests.support.disks import ForgetfulStorage
from tests.support.memory import MemoryStorage

HOME = Path(__file__).parents[2]  # other processes find the package there
HASH = InfoHash(b"i" * 20)
BOOT, OTHER_BOOT = "boot-1", "boot-2"
TARGET = Path("/somewhere/downloads")
LENGTHS = [300, 0, 500, 1, 250]
PIECE = 64
LAYOUT = Layout(LENGTHS)
COUNT = -(-LAYOUT.total // PIECE)
CONTENT = Random(7).randbytes(LAYOUT.total)


def content(piece: int) -> bytes:
    return CONTENT[piece * PIECE : (piece + 1) * PIECE]


def bits_of(pieces: Any) -> Bitfield:
    bits = Bitfield(COUNT)
    bits[list(pieces)] = True
    return bits


@pytest.fixture(autouse=True, scope="module")
def _no_real_syncs() -> Iterator[None]:
    """What they would do is simulated here; a thousand real ones take a while."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoint_room.os, "fsync", lambda _fd: None)
        yield


class Disk(MemoryStorage):
    """Says about its files what it is told."""

    def __init__(self, stats: list[FileStat | None]) -> None:
        super().__init__(LAYOUT.total)
        self.now = stats

    def stats(self) -> list[FileStat | None]:  # type: ignore[explicit-override]
        return list(self.now)


def fresh_stats() -> list[FileStat | None]:
    return [FileStat(length, 10**9 * (n + 1)) for n, length in enumerate(LENGTHS)]


def opened(folder: Path, boot: str = BOOT, target: Path = TARGET) -> Resume:
    return ResumeFolder(folder, boot_id=boot).open(HASH, target)


def loaded(
    folder: Path, stats: list[FileStat | None], boot: str = BOOT, dice: int = 1
) -> Saved | None:
    resume = opened(folder, boot)
    saved = resume.load(LAYOUT, PIECE, COUNT, stats, Random(dice))
    resume.close()
    return saved


def must(saved: Saved | None) -> Saved:
    assert saved is not None
    return saved


def written(folder: Path, bits: Bitfield, disk: Disk, *notes: int) -> None:
    """One session that claims `bits`, then notes some pieces and is killed."""
    resume = opened(folder)
    resume.checkpoint(bits, disk, uploaded=11, downloaded=22)
    for piece in notes:
        resume.note(PieceIndex(piece))
    resume.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data" / "resume"


# What comes back


def test_what_was_claimed_is_trusted_after_any_boot(folder: Path) -> None:
    disk = Disk(fresh_stats())
    written(folder, bits_of([0, 3, 16]), disk)
    for boot in (BOOT, OTHER_BOOT, ""):
        saved = must(loaded(folder, disk.now, boot))
        assert saved.trusted == bits_of([0, 3, 16])
        assert saved.to_verify == []
        assert (saved.uploaded, saved.downloaded) == (11, 22)


def test_noted_pieces_are_trusted_until_the_next_boot(folder: Path) -> None:
    disk = Disk(fresh_stats())
    written(folder, bits_of([0]), disk, 5, 7)
    assert must(loaded(folder, disk.now)).trusted == bits_of([0, 5, 7])
    saved = must(loaded(folder, disk.now, OTHER_BOOT))
    assert saved.trusted == bits_of([0])
    assert saved.to_verify == [5, 7]


def test_notes_beyond_the_last_piece_are_ignored(folder: Path) -> None:
    disk = Disk(fresh_stats())
    written(folder, bits_of([0]), disk, COUNT, 2**32 - 1, 1)
    assert must(loaded(folder, disk.now)).trusted == bits_of([0, 1])


def test_a_sample_of_the_trusted_is_to_be_checked(folder: Path) -> None:
    disk = Disk(fresh_stats())
    written(folder, Bitfield.full(COUNT), disk)
    samples = [must(loaded(folder, disk.now, dice=dice)).sample for dice in range(20)]
    assert all(len(set(sample)) == COUNT // 4 for sample in samples)
    assert len({tuple(sample) for sample in samples}) > 10
    written(folder, bits_of([2]), disk)
    assert must(loaded(folder, disk.now)).sample == [2]
    written(folder, bits_of([]), disk)
    assert must(loaded(folder, disk.now)).sample == []


def test_a_sample_of_many_pieces_has_sixteen(folder: Path) -> None:
    layout, disk = Layout([PIECE * 1000]), Disk([FileStat(PIECE * 1000, 5)])
    resume = opened(folder)
    resume.checkpoint(Bitfield.full(1000), disk, uploaded=0, downloaded=0)
    assert len(set(must(resume.load(layout, PIECE, 1000, disk.now, Random(1)).sample))) == 16
    resume.close()


def test_samples_of_large_pieces_are_few(folder: Path) -> None:
    size = 32 << 20
    layout = Layout([size * 10])
    disk = Disk([FileStat(size * 10, 5)])
    resume = opened(folder)
    resume.checkpoint(Bitfield.full(10), disk, uploaded=0, downloaded=0)
    assert len(must(resume.load(layout, size, 10, disk.now, Random(1))).sample) == 2
    resume.close()


def test_a_note_that_failed_its_check_does_not_come_back(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its file looks unchanged, a sample of it was bad, all was checked: killed inside the checkpoint."""
    disk = Disk(fresh_stats())
    written(folder, bits_of([0, 1]), disk, 5, 7)
    resume = opened(folder)
    must(resume.load(LAYOUT, PIECE, COUNT, disk.now, Random(1)))
    monkeypatch.setattr(journal_room.Journal, "restart", full)
    with pytest.raises(OSError, match="No space"):
        resume.checkpoint(bits_of([0, 7]), disk, uploaded=0, downloaded=0)
    resume.close()
    assert must(loaded(folder, disk.now)).trusted == bits_of([0, 7])


def test_there_is_nothing_at_first(folder: Path) -> None:
    resume = opened(folder)
    assert resume.load(LAYOUT, PIECE, COUNT, fresh_stats(), Random(1)) is None
    assert resume.reason == "there is none"
    assert resume.unsafe(bits_of([1])) == bits_of([1])
    resume.close()
    assert loaded(folder, fresh_stats()) is None  # of files that were there, nobody knows anything


def test_where_no_file_was_the_first_note_counts(folder: Path) -> None:
    nothing = [None, FileStat(0, 5), None, PAD, None]
    resume = opened(folder)
    assert resume.load(LAYOUT, PIECE, COUNT, nothing, Random(1)) is None
    resume.note(PieceIndex(8))
    resume.close()
    stats: list[FileStat | None] = [*nothing]
    stats[2] = now_stats(2, 0)[2]
    saved = must(loaded(folder, stats))
    assert saved.trusted == bits_of([8])
    assert saved.to_verify == []


def test_a_journal_without_a_checkpoint_says_nothing(folder: Path) -> None:
    written(folder, bits_of([0]), Disk(fresh_stats()), 5)
    next(folder.glob("*.resume")).unlink()
    assert loaded(folder, fresh_stats()) is None


def test_a_torrent_of_empty_files(folder: Path) -> None:
    disk = Disk([FileStat(0, 5)])
    resume = opened(folder)
    resume.checkpoint(Bitfield(0), disk, uploaded=1, downloaded=0)
    saved = must(resume.load(Layout([0]), PIECE, 0, disk.now, Random(1)))
    assert (len(saved.trusted), saved.to_verify, saved.sample) == (0, [], [])
    resume.close()


# Files that changed


def pieces_of(file: int) -> set[int]:
    start, end = LAYOUT.bytes_of(file)
    return set(range(start // PIECE, (end - 1) // PIECE + 1))


def changed(size: int = 0, mtime: int = 0, file: int = 2) -> list[FileStat | None]:
    stats = fresh_stats()
    before = stats[file]
    assert before is not None
    stats[file] = FileStat(before.size + size, before.mtime_ns + mtime)
    return stats


@pytest.mark.parametrize(("size", "mtime"), [(-1, 0), (1, 0), (0, 1), (0, -1), (-500, 10**12)])
def test_all_pieces_of_a_changed_file_are_verified(folder: Path, size: int, mtime: int) -> None:
    written(folder, bits_of(range(0, COUNT, 2)), Disk(fresh_stats()))
    saved = must(loaded(folder, changed(size, mtime)))
    assert set(saved.to_verify) == pieces_of(2)
    assert saved.trusted == bits_of(set(range(0, COUNT, 2)) - pieces_of(2))


def test_pieces_of_a_missing_file_are_gone(folder: Path) -> None:
    written(folder, Bitfield.full(COUNT), Disk(fresh_stats()), 8)
    stats = fresh_stats()
    stats[2] = None
    saved = must(loaded(folder, stats))
    assert saved.trusted == bits_of(set(range(COUNT)) - pieces_of(2))
    assert saved.to_verify == []


def test_a_file_that_appeared_is_looked_into(folder: Path) -> None:
    stats = fresh_stats()
    stats[2] = None
    written(folder, bits_of([0]), Disk(stats))
    assert set(must(loaded(folder, fresh_stats())).to_verify) == pieces_of(2)
    assert must(loaded(folder, stats)).to_verify == []


def test_a_file_that_was_cut_while_we_ran_is_not_believed(folder: Path) -> None:
    cut = changed(-1)
    written(folder, Bitfield.full(COUNT), Disk(cut))
    assert set(must(loaded(folder, cut)).to_verify) == pieces_of(2)


def test_pad_files_never_change(folder: Path) -> None:
    stats = fresh_stats()
    stats[2] = PAD
    written(folder, Bitfield.full(COUNT), Disk(stats), 8)
    assert must(loaded(folder, stats)).trusted.all()


def now_stats(file: int, later: int) -> list[FileStat | None]:
    """`file` was written when the journal was, give or take."""
    stats = fresh_stats()
    stats[file] = FileStat(LENGTHS[file], time.time_ns() + later)
    return stats


def test_a_file_with_new_notes_may_be_as_young_as_the_last_of_them(folder: Path) -> None:
    written(folder, bits_of([0, 6]), Disk(fresh_stats()), 8)
    assert must(loaded(folder, now_stats(2, 0))).trusted == bits_of([0, 6, 8])
    assert set(must(loaded(folder, now_stats(2, 2 * SLACK))).to_verify) == pieces_of(2)


def test_a_file_without_new_notes_may_not_be_younger(folder: Path) -> None:
    written(folder, bits_of([0, 6]), Disk(fresh_stats()), 8)
    assert set(must(loaded(folder, now_stats(4, 0))).to_verify) == pieces_of(4)


def test_a_file_with_new_notes_may_not_be_older_or_shorter(folder: Path) -> None:
    for stats in (changed(mtime=-1), changed(size=-1)):
        written(folder, bits_of([0, 6]), Disk(fresh_stats()), 8)
        assert set(must(loaded(folder, stats)).to_verify) == pieces_of(2)


def test_what_was_doubted_once_is_never_believed_unseen(folder: Path) -> None:
    """Or our own first write would make a file that others changed look as if only we had."""
    written(folder, bits_of([0, 6]), Disk(fresh_stats()), 8)
    late = now_stats(2, 2 * SLACK)
    assert set(must(loaded(folder, late)).to_verify) == pieces_of(2)
    resume = opened(folder)  # killed while it checked; the next one is killed after a first piece
    resume.load(LAYOUT, PIECE, COUNT, late, Random(1))
    resume.note(PieceIndex(9))
    resume.close()
    for stats in (now_stats(2, 0), fresh_stats(), late):
        saved = must(loaded(folder, stats))
        assert set(saved.to_verify) == pieces_of(2)
        assert saved.trusted == bits_of({0} - pieces_of(2))


def test_a_file_made_since_the_checkpoint_is_believed_with_its_notes(folder: Path) -> None:
    stats = fresh_stats()
    stats[2] = None
    written(folder, bits_of([0]), Disk(stats), 8)
    saved = must(loaded(folder, now_stats(2, 0)))
    assert saved.trusted == bits_of([0, 8])
    assert saved.to_verify == []


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(-(2**70), 2**70), min_size=5, max_size=5), st.booleans())
def test_times_beyond_all_reason_are_no_exception(
    tmp_path_factory: pytest.TempPathFactory, times: list[int], noted: bool
) -> None:
    folder = tmp_path_factory.mktemp("times", numbered=True)
    stats: list[FileStat | None] = [
        FileStat(length, at) for length, at in zip(LENGTHS, times, strict=True)
    ]
    written(folder, Bitfield.full(COUNT), Disk(stats), *([3] if noted else []))
    must(loaded(folder, stats))


# Two at once


def test_two_processes_cannot_work_on_one_download(folder: Path) -> None:
    first = opened(folder)
    with pytest.raises(InUseError, match=f"another process works on the download in {TARGET}"):
        opened(folder)
    first.checkpoint(bits_of([1]), Disk(fresh_stats()), uploaded=0, downloaded=0)
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from p2pswarm.disk.resume import ResumeFolder\n"
        "from p2pswarm.formats.ids import InfoHash\n"
        "ResumeFolder(Path(sys.argv[1])).open(InfoHash(b'i' * 20), Path(sys.argv[2]))\n"
    )
    other = subprocess.run(
        [sys.executable, "-c", code, str(folder), str(TARGET)],
        capture_output=True,
        check=False,
        cwd=HOME,
    )
    assert b"InUseError" in other.stderr
    first.close()
    opened(folder).close()


def test_one_torrent_in_two_folders_has_two_memories(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "a")
    one = opened(folder, target=tmp_path / "a")
    two = opened(folder, target=tmp_path / "b")
    one.checkpoint(bits_of([1]), Disk(fresh_stats()), uploaded=0, downloaded=0)
    assert two.load(LAYOUT, PIECE, COUNT, fresh_stats(), Random(1)) is None
    with pytest.raises(InUseError):
        opened(folder, target=tmp_path / "link")
    one.close()
    two.close()


def files_in(folder: Path) -> list[Path]:
    """Those of downloads; the locks have files of their own, which stay."""
    return [path for path in folder.iterdir() if not path.name.startswith("locks-")]


def test_forgetting_leaves_nothing(folder: Path) -> None:
    resume = opened(folder)
    resume.checkpoint(bits_of([1]), Disk(fresh_stats()), uploaded=0, downloaded=0)
    resume.note(PieceIndex(2))
    assert len(files_in(folder)) == 2
    resume.forget()
    assert not files_in(folder)
    with pytest.raises(LocalProtocolError):
        resume.note(PieceIndex(1))


def test_what_cannot_be_forgotten_is_an_error_and_unlocked(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    resume = opened(folder)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", full)
        with pytest.raises(DiskError, match="cannot remove"):
            resume.forget()
    opened(folder).close()


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DiskError, match="cannot create"):
        opened(tmp_path / "file" / "resume")


# Damaged, old, foreign


def test_every_flipped_bit_is_noticed(folder: Path) -> None:
    written(folder, bits_of([1]), Disk(fresh_stats()))
    path = next(folder.glob("*.resume"))
    whole = bytearray(path.read_bytes())
    for at in range(len(whole)):
        whole[at] ^= 0x10
        path.write_bytes(whole)
        assert loaded(folder, fresh_stats()) is None
        whole[at] ^= 0x10


def test_cut_anywhere_it_is_as_if_absent(folder: Path) -> None:
    written(folder, bits_of([1]), Disk(fresh_stats()))
    path = next(folder.glob("*.resume"))
    whole = path.read_bytes()
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        assert loaded(folder, fresh_stats()) is None


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=300), st.binary(max_size=100))
def test_any_bytes_are_no_exception(
    tmp_path_factory: pytest.TempPathFactory, resume: bytes, journal: bytes
) -> None:
    folder = tmp_path_factory.getbasetemp() / "any-resume"
    written(folder, bits_of([1]), Disk(fresh_stats()))
    path = next(folder.glob("*.resume"))
    path.write_bytes(resume)
    path.with_suffix(".journal").write_bytes(journal)
    assert loaded(folder, fresh_stats()) is None


values: st.SearchStrategy[Any] = st.one_of(
    st.integers(-(10**18), 10**18), st.binary(max_size=90), st.lists(st.integers(0, 3), max_size=3)
)
keys = st.sampled_from(
    [b"downloaded", b"files", b"info_hash", b"pieces", b"target", b"uploaded", b"version"]
)


def sealed(body: bytes) -> bytes:
    return bencode.encode({b"body": body, b"sha1": checkpoint_room._sha1(body)})


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(keys, values, max_size=3), st.sets(keys, max_size=2))
def test_any_well_sealed_nonsense_is_no_exception(
    tmp_path_factory: pytest.TempPathFactory, changes: dict[bytes, Any], gone: set[bytes]
) -> None:
    folder = tmp_path_factory.getbasetemp() / "sealed-resume"
    written(folder, bits_of([1]), Disk(fresh_stats()))
    path = next(folder.glob("*.resume"))
    body = bencode.decode(bencode.decode(path.read_bytes())[b"body"])
    body.update(changes)
    for key in gone:
        body.pop(key, None)
    path.write_bytes(sealed(bencode.encode(body)))
    loaded(folder, fresh_stats())


def test_the_reason_is_given(folder: Path) -> None:
    disk = Disk(fresh_stats())
    written(folder, bits_of([1]), disk)
    path = next(folder.glob("*.resume"))
    good = Checkpoint(bits_of([1]), disk.now, 0, 0)
    place = os.fsencode(os.path.realpath(TARGET))
    cases = {
        b"junk": "not bencode",
        b"le": "something else",
        sealed(b"le"): "something else",
        b"de": "has no body",
        good.encode(InfoHash(b"o" * 20), place): "another download",
        good.encode(HASH, b"/elsewhere"): "another download",
        good.encode(HASH, place).replace(b"i1e", b"i2e"): "damaged",
        sealed(b"d7:versioni2ee"): "another version",
        Checkpoint(Bitfield(5), disk.now, 0, 0).encode(HASH, place): "a bitfield of 1 bytes",
        Checkpoint(bits_of([1]), disk.now[1:], 0, 0).encode(HASH, place): "list of files",
    }
    for data, words in cases.items():
        path.write_bytes(data)
        resume = opened(folder)
        assert resume.load(LAYOUT, PIECE, COUNT, disk.now, Random(1)) is None
        assert words in resume.reason
        resume.close()
    path.unlink()
    path.mkdir()
    resume = opened(folder)
    assert resume.load(LAYOUT, PIECE, COUNT, disk.now, Random(1)) is None
    assert "cannot be read" in resume.reason
    resume.close()


def test_the_boot_id_is_the_systems() -> None:
    assert read_boot_id() == read_boot_id()
    assert len(read_boot_id()) in (0, 36)


def test_without_a_boot_id_nothing_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_args: object) -> str:
        raise OSError(errno.ENOENT, "no /proc")

    monkeypatch.setattr(Path, "read_text", fail)
    assert read_boot_id() == ""


# The disk in the way


def full(*_args: Any, **_more: Any) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("where", ["resume", "sync", "rename", "journal"])
def test_a_full_disk_loses_no_memory(
    folder: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    disk = Disk(fresh_stats())
    resume = opened(folder)
    resume.checkpoint(bits_of([0]), disk, uploaded=1, downloaded=2)
    resume.note(PieceIndex(5))
    with monkeypatch.context() as patch:
        if where == "rename":
            patch.setattr(Path, "replace", full)
        elif where == "sync":
            patch.setattr(checkpoint_room.os, "fsync", full)
        else:
            room = checkpoint_room if where == "resume" else journal_room
            patch.setattr(room, "write_all", full)
        claimed = [0] if where == "journal" else [0, 5]  # else there is nothing to write there
        with pytest.raises(DiskFullError, match=r"cannot write .*: No space left on device"):
            resume.checkpoint(bits_of(claimed), disk, uploaded=3, downloaded=4)
    resume.close()
    assert must(loaded(folder, disk.now)).trusted == bits_of([0, 5])
    assert len(files_in(folder)) == 2


def test_what_is_said_already_is_not_written_again(folder: Path) -> None:
    disk = Disk(fresh_stats())
    resume = opened(folder)
    resume.checkpoint(bits_of([0]), disk, uploaded=1, downloaded=2)
    path = next(folder.glob("*.resume"))
    before = path.stat()
    for _ in range(2):
        resume.checkpoint(bits_of([0]), disk, uploaded=1, downloaded=2)
        assert path.stat() == before
        resume.close()
        resume = opened(folder)
        must(resume.load(LAYOUT, PIECE, COUNT, disk.now, Random(1)))
    resume.checkpoint(bits_of([0]), disk, uploaded=1, downloaded=3)
    assert path.stat().st_ino != before.st_ino
    disk.now = changed(mtime=1)
    before = path.stat()
    resume.checkpoint(bits_of([0]), disk, uploaded=1, downloaded=3)
    assert path.stat().st_ino != before.st_ino
    resume.close()


def test_of_data_that_is_only_read_nothing_is_synced(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint_room.os, "fsync", full)
    resume = ResumeFolder(folder, boot_id=BOOT).open(HASH, TARGET, synced=False)
    resume.checkpoint(bits_of([0]), Disk(fresh_stats()), uploaded=0, downloaded=0)
    resume.close()
    assert must(loaded(folder, fresh_stats())).trusted == bits_of([0])


def test_whether_a_checkpoint_would_say_anything_new(folder: Path) -> None:
    disk = Disk(fresh_stats())
    written(folder, bits_of([0]), disk)
    assert must(loaded(folder, disk.now)).exact
    assert not must(loaded(folder, changed(mtime=1, file=1))).exact  # of a file without a byte
    written(folder, bits_of([0]), disk, 1)
    assert not must(loaded(folder, disk.now)).exact


def test_after_a_sync_that_failed_nothing_new_is_claimed_before_it_is_written_again(
    folder: Path,
) -> None:
    disk = Disk(fresh_stats())
    resume = opened(folder)
    resume.checkpoint(bits_of([0]), disk, uploaded=0, downloaded=0)
    resume.note(PieceIndex(5))
    resume.note(PieceIndex(6))

    def fail() -> None:
        raise DiskError("cannot sync file: Input/output error", errno.EIO)

    disk.sync = fail  # type: ignore[method-assign]
    with pytest.raises(DiskError, match="cannot sync"):
        resume.checkpoint(bits_of([0, 5, 6]), disk, uploaded=0, downloaded=0)
    assert resume.unsafe(bits_of([0, 5, 6])) == bits_of([5, 6])
    del disk.sync
    resume.checkpoint(bits_of([0, 5, 6]), disk, uploaded=0, downloaded=0)
    resume.note(PieceIndex(6))  # fetched or written again
    resume.note(PieceIndex(7))
    resume.checkpoint(bits_of([0, 5, 6, 7]), disk, uploaded=0, downloaded=0)
    resume.close()
    saved = must(loaded(folder, disk.now))
    assert saved.trusted == bits_of([0, 6, 7])
    assert saved.to_verify == [5]


# Crashes at every instant


@dataclass
class Instant:
    """All that outlives a crash at one moment: files, data, and what was noted by then."""

    folder: Path
    storage: ForgetfulStorage
    noted: set[int]
    resumes: list[bytes]  # the one before, which may come back while the folder is not synced
    journals: list[bytes]  # one that was removed, the same


class Session:
    """A download that works at random, and is photographed at every step of the disk."""

    def __init__(self, place: Path, seed: int, wanted: Callable[[int], bool]) -> None:
        self.dice = Random(seed)
        self.place = place
        self.folder = place / "resume"
        self.storage = ForgetfulStorage(LENGTHS, time.time_ns, self.step)
        self.instants: list[Instant] = []
        self.wanted = wanted
        self.steps = 0
        self.have: set[int] = set()
        self.noted: set[int] = set()
        self.resumes: list[bytes] = []
        self.journals: list[bytes] = []
        self.claiming = False

    def step(self) -> None:
        self.steps += 1
        if self.wanted(self.steps):
            copy = self.place / f"at-{self.steps}"
            shutil.copytree(self.folder, copy)
            storage, noted = self.storage.copy(), set(self.noted)
            old = list(self.resumes), list(self.journals)
            self.instants.append(Instant(copy, storage, noted, *old))
        if self.claiming and self.dice.random() < 0.2:
            self.claiming = False  # a piece that comes while a checkpoint runs
            self.store()
            self.claiming = True

    def live(self, *, tamper: bool = False) -> None:
        for _ in range(3):
            self.resume = opened(self.folder)
            self.recall()
            if self.dice.random() < 0.5:
                self.checkpoint()
            for _ in range(5):
                self.store()
                if self.dice.random() < 0.3:
                    self.checkpoint()
            self.resume.close()
            if tamper and self.dice.random() < 0.7:
                file = self.dice.choice([0, 2, 4])
                if self.storage.mtimes[file] is not None:
                    self.storage.tamper(file, self.dice.randrange(LENGTHS[file]))
        self.step()

    def recall(self) -> None:
        self.remember()
        saved = self.resume.load(LAYOUT, PIECE, COUNT, self.storage.stats(), self.dice)
        self.resumes = []
        believed = set(saved.trusted.pieces()) | set(saved.to_verify) if saved else set()
        self.have = {piece for piece in believed if good(self.storage, piece)}
        self.noted &= self.have

    def remember(self) -> None:
        self.resumes = [path.read_bytes() for path in self.folder.glob("*.resume")]

    def store(self) -> None:
        missing = [piece for piece in range(COUNT) if piece not in self.have]
        if missing:
            piece = self.dice.choice(missing)
            self.storage.write(piece * PIECE, content(piece))
            self.resume.note(PieceIndex(piece))
            self.noted.add(piece)
            self.have.add(piece)

    def checkpoint(self) -> None:
        self.remember()
        self.claiming = True
        self.resume.checkpoint(bits_of(self.have), self.storage, uploaded=0, downloaded=0)
        self.claiming = False
        self.resumes = []


def good(storage: ForgetfulStorage, piece: int) -> bool:
    return storage.read(piece * PIECE, len(content(piece))) == content(piece)


class Steps:
    """Makes every act on the memory's own files two acts, with a step in the middle."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.session: Session | None = None
        for room in (checkpoint_room, journal_room):
            patch.setattr(room, "write_all", self.halved(room.write_all))
        patch.setattr(Path, "replace", self.surrounded(Path.replace))
        patch.setattr(Path, "unlink", self.surrounded(self.removing(Path.unlink)))
        patch.setattr(checkpoint_room, "sync_folder", self.synced)

    def step(self) -> None:
        if self.session is not None:
            claiming, self.session.claiming = self.session.claiming, False
            self.session.step()
            self.session.claiming = claiming

    def halved(self, write_all: Callable[..., None]) -> Callable[..., None]:
        def write(fd: int, at: int, data: memoryview) -> None:
            half = len(data) // 2
            write_all(fd, at, data[:half])
            self.step()
            write_all(fd, at + half, data[half:])
            self.step()

        return write

    def surrounded(self, act: Callable[..., None]) -> Callable[..., None]:
        def surrounding(*args: Any, **more: Any) -> None:
            self.step()
            act(*args, **more)
            self.step()

        return surrounding

    def removing(self, unlink: Callable[..., None]) -> Callable[..., None]:
        def remove(path: Path, **more: Any) -> None:
            if self.session is not None:
                self.session.journals = [path.read_bytes()]
            unlink(path, **more)

        return remove

    def synced(self, _folder: Path) -> None:
        if self.session is not None:
            self.session.journals = []

    def run(self, place: Path, seed: int, *, tamper: bool = False) -> Session:
        place.mkdir()
        wanted = Random(seed).choices([True, False], [1, 4], k=4000)
        self.session = session = Session(place, seed, wanted.__getitem__)
        session.live(tamper=tamper)
        self.session = None
        return session


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> Steps:
    return Steps(monkeypatch)


def after(instant: Instant, boot: str) -> Saved | None:
    return loaded(instant.folder, instant.storage.stats(), boot)


def scramble(instant: Instant, dice: Random) -> None:
    """What a power cut does to files that were not synced."""
    folder, old = instant.folder, instant.resumes
    for path in folder.glob("*.journal"):
        data = path.read_bytes()
        cut = dice.randrange(len(data) + 1)
        how = dice.choice(["whole", "cut", "zeros", "gone"])
        changed = {"whole": data, "cut": data[:cut], "zeros": data[:cut] + bytes(len(data) - cut)}
        if how == "gone":
            path.unlink()
        else:
            path.write_bytes(changed[how])
    for path in folder.glob("*.resume"):
        if old and dice.random() < 0.5:
            path.write_bytes(old[0])
        journal = path.with_suffix(".journal")
        if instant.journals and not journal.exists() and dice.random() < 0.5:
            journal.write_bytes(instant.journals[0])


def test_power_cuts_at_1000_instants_never_make_us_claim_a_bad_piece(
    tmp_path: Path, steps: Steps
) -> None:
    instants = trusted = 0
    seed = 0
    while instants < 1000:
        session = steps.run(tmp_path / str(seed), seed, tamper=seed % 3 == 0)
        for instant in session.instants:
            instant.storage.power_cut(session.dice)
            scramble(instant, session.dice)
            saved = after(instant, OTHER_BOOT)
            if saved is not None:
                assert all(good(instant.storage, piece) for piece in saved.trusted.pieces()), seed
                trusted += saved.trusted.count()
        instants += len(session.instants)
        shutil.rmtree(tmp_path / str(seed))
        seed += 1
    assert trusted > 1000  # it does claim something


def test_a_kill_at_any_instant_loses_nothing_that_was_noted(tmp_path: Path, steps: Steps) -> None:
    for seed in range(8):
        session = steps.run(tmp_path / str(seed), seed)
        assert session.instants
        for instant in session.instants:
            saved = after(instant, BOOT)
            trusted = set(saved.trusted.pieces()) if saved else set()
            believed = trusted | (set(saved.to_verify) if saved else set())
            assert instant.noted <= believed, seed
            assert all(good(instant.storage, piece) for piece in trusted), seed


def test_a_kill_between_changes_by_others_never_makes_us_claim_a_bad_piece(
    tmp_path: Path, steps: Steps
) -> None:
    for seed in range(8):
        session = steps.run(tmp_path / str(seed), seed, tamper=True)
        for instant in session.instants:
            saved = after(instant, BOOT)
            if saved is not None:
                assert all(good(instant.storage, piece) for piece in saved.trusted.pieces()), seed


@pytest.mark.parametrize("seed", range(20))
def test_data_that_a_failed_sync_lost_is_never_claimed(folder: Path, seed: int) -> None:
    dice = Random(seed)
    storage = ForgetfulStorage(LENGTHS, time.time_ns)
    resume = opened(folder)
    resume.checkpoint(Bitfield(COUNT), storage, uploaded=0, downloaded=0)
    have: set[int] = set()
    for piece in dice.sample(range(COUNT), COUNT):
        storage.write(piece * PIECE, content(piece))
        resume.note(PieceIndex(piece))
        have.add(piece)
        if dice.random() < 0.4:
            storage.lose_next_sync = dice.random() < 0.4
            try:
                resume.checkpoint(bits_of(have), storage, uploaded=0, downloaded=0)
            except DiskError:
                storage.drop_clean()
            killed = storage.copy()
            if dice.random() < 0.5:
                killed.power_cut(dice)
            copy = folder.with_name(f"copy-{piece}")
            shutil.copytree(folder, copy)
            saved = must(loaded(copy, killed.stats(), dice.choice([BOOT, OTHER_BOOT])))
            assert all(good(killed, piece) for piece in saved.trusted.pieces())
    resume.close()


# A real process, really killed

DOWNLOAD = """
import sys
from pathlib import Path
from random import Random
from p2pswarm.disk.layout import Layout
from p2pswarm.disk.resume import ResumeFolder
from p2pswarm.disk.storage import FileStorage
from p2pswarm.formats.bitfield import Bitfield
from p2pswarm.formats.ids import InfoHash
from p2pswarm.formats.metainfo import File

root, size, count = Path(sys.argv[1]), 1 << 14, 400
lengths = [size * 100 + 1, size * 300 - 1]
files = [File(("a",), lengths[0], 0), File(("b",), lengths[1], lengths[0])]
storage = FileStorage(root / "target", files, writable=True)
resume = ResumeFolder(root / "resume").open(InfoHash(b"i" * 20), root / "target")
saved = resume.load(Layout(lengths), size, count, storage.stats(), Random(1))
have = saved.trusted if saved else Bitfield(count)
for piece in saved.to_verify if saved else ():
    have[piece] = storage.read(piece * size, size) == Random(piece).randbytes(size)
print("loaded", have.count(), flush=True)
storage.prepare()
for piece in range(count):
    if not have[piece]:
        storage.write(piece * size, Random(piece).randbytes(size))
        resume.note(piece)
        have[piece] = True
        print("noted", piece, flush=True)
        if piece % 50 == 0:
            resume.checkpoint(have, storage, uploaded=0, downloaded=0)
"""


def test_a_process_that_is_killed_goes_on_where_it_was(tmp_path: Path) -> None:
    noted = 0
    for kill_after in (1, 60, 90):
        process = subprocess.Popen(
            [sys.executable, "-c", DOWNLOAD, str(tmp_path)],
            stdout=subprocess.PIPE,
            text=True,
            cwd=HOME,
        )
        assert process.stdout is not None
        loaded, had = process.stdout.readline().split()
        assert loaded == "loaded"
        assert int(had) >= noted
        for _ in range(kill_after):
            process.stdout.readline()
        process.kill()
        rest = process.stdout.read()  # what it did until it was dead
        process.stdout.close()
        process.wait()
        noted = int(had) + kill_after + rest.count("\n")
    data = (tmp_path / "target/a").read_bytes() + (tmp_path / "target/b").read_bytes()
    for piece in range(noted):
        assert data[piece << 14 : (piece + 1) << 14] == Random(piece).randbytes(1 << 14)
