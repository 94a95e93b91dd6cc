"""What the demo shares, and how it compares: real files of every size, byte by byte."""

import os
import shutil
import sysconfig
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from p2pswarm.config import format_size

LARGE_FILE = 256 << 20  # bytes
STEP = 4 << 20  # bytes generated or compared at a time


class DemoError(Exception):
    """The demo cannot go on; one line says why."""


def make_data(folder: Path) -> Path:
    """Python's own library, thousands of files of every size, and one large file."""
    data = folder / "demo"
    library = Path(sysconfig.get_path("stdlib"))
    skipped = shutil.ignore_patterns("site-packages", "dist-packages")
    shutil.copytree(library, data / library.name, ignore=skipped, ignore_dangling_symlinks=True)
    with (data / "large.bin").open("wb") as file:
        for _ in range(LARGE_FILE // STEP):
            file.write(os.urandom(STEP))
    return data


def need_room(path: Path, folder: Path, copies: int) -> None:
    """Raises DemoError rather than fill the user's disk."""
    if not path.exists():
        raise DemoError(f"{path} does not exist")
    size = sum(each.stat().st_size for each in [path, *path.rglob("*")] if each.is_file())
    free = shutil.disk_usage(folder).free
    if free < copies * size + (64 << 20):
        need = format_size(copies * size)
        raise DemoError(f"{need} are needed in {folder}, {format_size(free)} are free; set TMPDIR")


def compare(original: Path, copy: Path, files: Sequence[dict[str, Any]]) -> list[str]:
    """What differs, in words; nothing when every byte is the same and nothing is too much."""
    faults = []
    for file in files:
        path = Path(*file["path"].split("/"))
        if not same_bytes(original.parent / path, copy / path):
            faults.append(f"{path} differs")
    there = sum(1 for path in copy.rglob("*") if path.is_file())
    if there != len(files):
        faults.append(f"{there} files instead of {len(files)}")
    return faults


def same_bytes(one: Path, other: Path) -> bool:
    if not other.is_file() or one.stat().st_size != other.stat().st_size:
        return False
    with one.open("rb") as left, other.open("rb") as right:
        while part := left.read(STEP):
            if part != right.read(STEP):
                return False
    return True
