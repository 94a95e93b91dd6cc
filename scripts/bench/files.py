"""Bytes to share and folders to share them in, such that no run pays for another.

A virtual machine gives memory it has freed back to its host; the first writes to such pages cost several
times as much as later ones. So before every run `warm` writes and removes a file of the run's size, and all
contestants alike find warm pages. What a run wrote to a disk is written out before the next begins.
"""

import filecmp
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scripts.bench.programs import PYTHON, ROOT, BenchError, program

__all__ = ["DISK", "TMPFS", "make_torrent", "random_file", "same", "scratch", "settle", "warm"]

CHUNK = 1 << 20
TMPFS = Path("/dev/shm")  # noqa: S108 - what it is about
DISK = ROOT  # the file system of the project


@contextmanager
def scratch(parent: Path, need: int) -> Iterator[Path]:
    """A folder for one bench, gone at its end. Raises BenchError when it has no room for `need` bytes."""
    free = shutil.disk_usage(parent).free
    if free < need:
        raise BenchError(f"{parent}: {need >> 20} MiB are needed, {free >> 20} are free")
    with tempfile.TemporaryDirectory(prefix=".p2pswarm-bench-", dir=parent) as folder:
        yield Path(folder)


def random_file(path: Path, size: int) -> Path:
    """Bytes that nothing can compress."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        for start in range(0, size, CHUNK):
            file.write(os.urandom(min(CHUNK, size - start)))
    return path


def make_torrent(data: Path, torrent: Path, *options: object) -> Path:
    """By our own `create`; every contestant gets the same one."""
    with program(PYTHON, "-m", "p2pswarm", "create", data, "-o", torrent, *options) as making:
        making.wait()
    return torrent


def same(one: Path, other: Path) -> None:
    """Raises BenchError unless both files hold the same bytes."""
    if not other.is_file() or not filecmp.cmp(one, other, shallow=False):
        raise BenchError(f"{other} is no copy of {one}")


def warm(folder: Path, size: int) -> None:
    """Touch the pages that the next run will write."""
    zeros = bytes(CHUNK)
    path = folder / "warm"
    with path.open("wb") as file:
        for _ in range(0, size, CHUNK):
            file.write(zeros)
    path.unlink()


def settle() -> None:
    """Wait until nothing has still to reach a disk."""
    os.sync()
