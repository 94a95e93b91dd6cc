"""Files with the secret of a key: 64 hexadecimal digits in a line, for their owner's eyes only."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from p2pswarm.cli.exits import UsageError
from p2pswarm.disk.handles import sync_folder

if TYPE_CHECKING:
    from p2pswarm.cli.report import Report
    from p2pswarm.formats.signing import SigningKey

__all__ = ["key_in", "warn_of_readers"]

_LONGEST = 200  # characters that are read; a line has 65


def key_in(path: Path) -> "SigningKey":
    """The key of this file; a new one, and the file, where there is none. Raises UsageError, OSError."""
    from p2pswarm.formats.signing import SigningKey

    try:
        file = path.open(encoding="ascii", errors="replace")
    except FileNotFoundError:
        key = SigningKey.new()
        _write(path, key.seed)
        return key
    with file:
        words = file.read(_LONGEST).split()
    if len(words) != 1 or len(words[0]) != 64 or not _is_hex(words[0]):
        raise UsageError(f"{path} is no key: that is a line of 64 hexadecimal digits")
    return SigningKey(bytes.fromhex(words[0]))


def warn_of_readers(path: Path, report: "Report") -> None:
    """We make keys for their owner only, but this one may have been copied or made elsewhere."""
    if os.name == "posix" and path.stat().st_mode & 0o077:
        report.note(f"others can read {path}, and sign with it: chmod 600 makes it yours")


def _write(path: Path, seed: bytes) -> None:
    """Never over another file, never readable by others, and on the disk before it signs anything."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with open(descriptor, "w", encoding="ascii") as file:  # noqa: PTH123 - has no path any more
        file.write(seed.hex() + "\n")
        file.flush()
        os.fsync(descriptor)
    sync_folder(path.parent)


def _is_hex(text: str) -> bool:
    return not set(text) - set("0123456789abcdefABCDEF")
