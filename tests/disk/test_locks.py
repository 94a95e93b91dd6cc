import errno
import hashlib
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from p2pswarm.disk import locks as room
from p2pswarm.disk.locks import FILES, Locks
from p2pswarm.errors import DiskError, InUseError

HOME = Path(__file__).parents[2]  # other processes find the package there


def name(of: object) -> bytes:
    return hashlib.sha1(str(of).encode()).digest()


@pytest.fixture(params=["of the opened file", "of the process"])
def how(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Linux's locks, and those of other systems."""
    if request.param == "of the process":
        monkeypatch.setattr(room, "sys", SimpleNamespace(platform="darwin"))


def open_in(folder: Path) -> int:
    links = [Path(f"/proc/self/fd/{fd.name}") for fd in Path("/proc/self/fd").iterdir()]
    return sum(str(folder) in str(link.readlink()) for link in links if link.is_symlink())


ASK = """
import sys
from pathlib import Path
from p2pswarm.disk.locks import Locks
Locks(Path(sys.argv[1])).take(bytes.fromhex(sys.argv[2]))
print("taken", flush=True)
sys.stdin.read()
"""


def other_process(folder: Path, lock: bytes) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", ASK, str(folder), lock.hex()],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=HOME,
    )


@pytest.mark.usefixtures("how")
def test_a_node_has_a_lock_once_and_gives_it_back(tmp_path: Path) -> None:
    locks = Locks(tmp_path / "new" / "folder")
    locks.take(name(1))
    locks.take(name(2))
    with pytest.raises(InUseError):
        locks.take(name(1))
    locks.give(name(1))
    locks.give(name(1))
    locks.take(name(1))
    locks.give(name(3))  # never taken


def test_two_nodes_of_one_process_keep_each_other_off(tmp_path: Path) -> None:
    one, two = Locks(tmp_path), Locks(tmp_path)
    one.take(name(1))
    with pytest.raises(InUseError):
        two.take(name(1))
    two.take(name(2))
    one.give(name(1))
    two.take(name(1))


@pytest.mark.usefixtures("how")
def test_two_processes_keep_each_other_off_until_one_dies(tmp_path: Path) -> None:
    locks = Locks(tmp_path)
    locks.take(name(1))
    _, said = other_process(tmp_path, name(1)).communicate()
    assert "InUseError" in said
    other = other_process(tmp_path, name(2))
    assert other.stdout is not None
    assert other.stdout.readline() == "taken\n"
    with pytest.raises(InUseError):
        locks.take(name(2))
    other.kill()
    other.communicate()
    locks.take(name(2))


@pytest.mark.usefixtures("how")
def test_ten_thousand_locks_need_few_descriptors_and_none_when_they_are_given_back(
    tmp_path: Path,
) -> None:
    locks = Locks(tmp_path)
    names = [name(n) for n in range(10_000)]
    for each in names:
        locks.take(each)
    assert open_in(tmp_path) == FILES
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) == 0
    for each in names:
        locks.give(each)
    assert open_in(tmp_path) == 0


@pytest.mark.parametrize("call", ["mkdir", "open", "fcntl"])
def test_what_stands_in_the_way_is_an_error_and_nothing_stays_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    def refuse(*_args: Any, **_more: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    locks = Locks(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr({"mkdir": Path, "open": room.os, "fcntl": room.fcntl}[call], call, refuse)
        words = {"mkdir": "create", "open": "open", "fcntl": "lock"}[call]
        with pytest.raises(DiskError, match=f"cannot {words} .*: No space left on device"):
            locks.take(name(1))
    assert open_in(tmp_path) == 0
    locks.take(name(1))


def test_who_may_not_write_there_is_not_told_that_it_is_in_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_args: Any) -> int:
        raise PermissionError(errno.EACCES, "no")

    monkeypatch.setattr(room.os, "open", refuse)
    with pytest.raises(DiskError, match=r"cannot open .*: Permission denied"):
        Locks(tmp_path).take(name(1))
