"""Whom the user has called, or sent something to: a file with a name in each line.

Plain calls that wait for the disk; everything raises DiskError.
"""

from pathlib import Path

from p2pswarm.disk.handles import disk_error, read_kept

__all__ = ["Contacts"]

MOST = 10_000  # names
_LONGEST = 64 * MOST  # bytes that are read


class Contacts:
    """The file need not be there."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __contains__(self, name: str) -> bool:
        return name in self._names()

    def add(self, name: str) -> None:
        """Once; where there are too many, no more."""
        names = self._names()
        if name in names or len(names) >= MOST:
            return
        try:
            self._path.parent.mkdir(0o700, parents=True, exist_ok=True)
            with self._path.open("a", encoding="ascii") as file:
                file.write(f"{name}\n")
        except OSError as error:
            raise disk_error("write", self._path, error) from error

    def _names(self) -> set[str]:
        try:
            return set(read_kept(self._path, _LONGEST).decode("ascii", "replace").split())
        except FileNotFoundError:
            return set()
        except OSError as error:
            raise disk_error("read", self._path, error) from error
