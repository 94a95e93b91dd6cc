import errno
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from p2pswarm.disk import journal as room
from p2pswarm.disk.journal import Journal
from p2pswarm.errors import DiskError, DiskFullError, LocalProtocolError
from p2pswarm.formats.bitfield import Bitfield
from p2pswarm.formats.ids import InfoHash, PieceIndex

HASH = InfoHash(b"i" * 20)
BOOT = "a-boot"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "j"


def opened(path: Path, boot: str = BOOT, info_hash: InfoHash = HASH) -> Journal:
    return Journal(str(path), info_hash, boot)


def begun(path: Path, *pieces: int) -> Journal:
    journal = opened(path)
    journal.restart(Bitfield(), ())
    for piece in pieces:
        journal.note(PieceIndex(piece))
    return journal


def found(path: Path, boot: str = BOOT) -> tuple[list[PieceIndex], bool]:
    journal = opened(path, boot)
    journal.close()
    return journal.before, journal.same_boot


def claimed(*pieces: int) -> Bitfield:
    bits = Bitfield(100)
    bits[list(pieces)] = True
    return bits


def test_notes_survive_without_a_word_of_goodbye(path: Path) -> None:
    begun(path, 5, 3, 99).close()
    assert found(path) == ([5, 3, 99], True)


def test_after_another_boot_they_are_only_hints(path: Path) -> None:
    begun(path, 5).close()
    assert found(path, "another-boot") == ([5], False)
    assert found(path, "") == ([5], False)


def test_an_unknown_boot_is_never_the_same(path: Path) -> None:
    journal = opened(path, "")
    journal.restart(Bitfield(), ())
    journal.note(PieceIndex(5))
    journal.close()
    assert found(path, "") == ([5], False)


def test_notes_of_several_sessions_follow_each_other(path: Path) -> None:
    begun(path, 1).close()
    journal = opened(path)
    journal.note(PieceIndex(7))
    assert (journal.before, journal.notes()) == ([1], [7])
    journal.close()
    assert found(path) == ([1, 7], True)


def test_notes_under_an_old_header_are_hints(path: Path) -> None:
    begun(path, 1).close()
    journal = opened(path, "another-boot")
    journal.note(PieceIndex(7))
    journal.close()
    assert found(path, "another-boot") == ([1, 7], False)


def test_a_restart_keeps_what_is_not_claimed_and_keeps_it_once(path: Path) -> None:
    journal = begun(path, 1, 2, 3)
    journal.restart(claimed(1, 3), ())
    journal.note(PieceIndex(4))
    assert found_in(path) == [2, 4]
    journal.restart(claimed(1, 3), ())
    assert found_in(path) == [4]
    journal.close()


def found_in(path: Path) -> list[int]:
    data = path.read_bytes()[60:]
    return [int.from_bytes(data[at : at + 4], "big") for at in range(0, len(data), 4)]


def test_doubtful_pieces_make_all_notes_hints(path: Path) -> None:
    journal = begun(path, 1, 2)
    journal.restart(claimed(1), {PieceIndex(9)})
    journal.close()
    assert found(path) == ([2, 9], False)


def test_distrust_needs_no_room_and_holds_until_the_next_restart(path: Path) -> None:
    journal = begun(path, 1)
    size = path.stat().st_size
    journal.distrust()
    journal.note(PieceIndex(2))
    journal.close()
    assert path.stat().st_size == size + 4
    assert found(path) == ([1, 2], False)


def test_struck_notes_do_not_come_back(path: Path) -> None:
    begun(path, 1, 2, 3).close()
    journal = opened(path)
    journal.note(PieceIndex(2))
    journal.strike([PieceIndex(2), PieceIndex(50)])
    journal.close()
    assert found(path) == ([1, 3, 2], True)  # what was noted since is another matter
    journal = opened(path, "another-boot")
    journal.strike([PieceIndex(1)])
    journal.close()
    assert found(path) == ([3, 2], True)  # those that stay are as good as they were


def test_torn_at_every_byte(path: Path) -> None:
    begun(path, 1, 2, 3).close()
    whole = path.read_bytes()
    assert len(whole) == 60 + 3 * 4
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        expected = [1, 2, 3][: (length - 60) // 4] if length >= 60 else []
        assert found(path)[0] == expected
        journal = begun(path, 8)
        journal.close()
        assert found(path) == ([8], True)


def test_a_new_note_takes_the_place_of_a_torn_one(path: Path) -> None:
    journal = begun(path, 1)
    os.truncate(path, 60 + 3)
    journal.close()
    journal = opened(path)
    journal.note(PieceIndex(2))
    journal.close()
    assert found(path) == ([2], True)


def test_a_bad_header_is_as_no_journal(path: Path) -> None:
    begun(path, 1).close()
    whole = bytearray(path.read_bytes())
    for at in range(60):
        whole[at] ^= 1
        path.write_bytes(whole)
        journal = opened(path)
        assert (journal.before, journal.same_boot, journal.mtime_ns) == ([], True, 0)
        journal.note(PieceIndex(7))
        journal.close()
        assert found(path) == ([7], True)
        whole[at] ^= 1
    path.write_bytes(whole)
    other = opened(path, info_hash=InfoHash(b"o" * 20))
    assert other.before == []
    other.close()


@settings(max_examples=50, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_read_without_an_exception(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "any-journal"
    path.write_bytes(data)
    assert found(path) == ([], True)


def test_removing_leaves_nothing(path: Path) -> None:
    journal = begun(path, 1)
    journal.remove()
    journal.close()
    journal.close()
    assert not list(path.parent.iterdir())
    with pytest.raises(LocalProtocolError, match="closed"):
        journal.note(PieceIndex(1))


def test_without_notes_there_is_neither_a_file_nor_a_descriptor(path: Path) -> None:
    journal = opened(path)
    journal.restart(claimed(), ())
    journal.distrust()
    assert not path.exists()
    journal.note(PieceIndex(1))
    assert (path.exists(), is_open(path)) == (True, True)
    journal.restart(claimed(1), ())
    assert (path.exists(), is_open(path)) == (False, False)
    journal.note(PieceIndex(2))
    journal.restart(claimed(), ())
    assert (path.exists(), is_open(path)) == (True, False)
    journal.close()
    assert found(path) == ([2], True)


def is_open(path: Path) -> bool:
    links = [Path(f"/proc/self/fd/{fd.name}") for fd in Path("/proc/self/fd").iterdir()]
    return str(path) in [str(link.readlink()) for link in links if link.is_symlink()]


def test_what_was_noted_first_after_a_distrust_is_a_hint(path: Path) -> None:
    journal = opened(path)
    journal.distrust()
    journal.note(PieceIndex(1))
    journal.close()
    assert found(path) == ([1], False)


def test_a_folder_in_the_way_is_an_error(path: Path) -> None:
    path.mkdir()
    with pytest.raises(DiskError, match="cannot read"):
        opened(path)


def test_what_cannot_be_read_is_an_error(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun(path, 1).close()
    monkeypatch.setattr(room.os, "pread", fail)
    with pytest.raises(DiskError, match="cannot read"):
        opened(path)
    monkeypatch.undo()
    opened(path).close()


def fail(*_args: Any) -> None:
    raise OSError(errno.ENOSPC, "full")


def test_without_room_a_note_is_not_made(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = begun(path, 1)
    with monkeypatch.context() as patch:
        patch.setattr(room, "write_all", fail)
        with pytest.raises(DiskFullError, match="cannot write"):
            journal.note(PieceIndex(2))
        with pytest.raises(DiskFullError):
            journal.distrust()
        with pytest.raises(DiskFullError):
            journal.restart(claimed(), ())
    assert [entry.name for entry in path.parent.iterdir()] == ["j"]
    journal.note(PieceIndex(3))
    journal.close()
    assert found(path) == ([1, 3], True)


def test_what_cannot_be_removed_is_an_error(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = begun(path, 1)
    monkeypatch.setattr(Path, "unlink", lambda *_args, **_more: fail())
    with pytest.raises(DiskError, match="cannot remove"):
        journal.remove()
    opened(path).close()
