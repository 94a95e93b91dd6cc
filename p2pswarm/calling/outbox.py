"""What was written to people who are not there, until they have it; and what of others' we heard already.

Each message is a file of its own, so that a command may add one while another delivers. Numbers only grow,
also when the clock does not: whoever hears a number that is not higher than the last one has it already.
Plain calls that wait for the disk; everything raises DiskError.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from p2pswarm.disk.handles import disk_error, sync_folder
from p2pswarm.errors import HostError
from p2pswarm.formats.people.names import parse_name
from p2pswarm.wire.calling.letters import MOST_TEXT, Message

__all__ = ["MOST_WAITING", "Heard", "Outbox"]

MOST_WAITING = 100  # messages for one person
MOST_HEARD = 2_000  # senders that are remembered
_LAST = "last"
_DIGITS = 16


class Outbox:
    """A folder for each name. Names are in their one spelling, and none can leave the folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def names(self) -> list[str]:
        """For whom something waits."""
        with _told(self._folder):
            if not self._folder.is_dir():
                return []
            return sorted(each.name for each in self._folder.iterdir() if self.waiting(each.name))

    def add(self, name: str, text: str, now: float) -> Message:
        """Raises HostError when the text cannot be one, or too many wait."""
        size = len(text.encode("utf-8", "replace"))
        if not 0 < size <= MOST_TEXT:
            raise HostError(f"a message has 1 to {MOST_TEXT} bytes, not {size}")
        folder = self._folder / parse_name(name)
        with _told(folder):
            folder.mkdir(0o700, parents=True, exist_ok=True)
            if len(self._numbers(folder)) >= MOST_WAITING:
                raise HostError(f"{MOST_WAITING} messages wait for {name} already")
            new = folder / f".{os.getpid()}"
            _write(new, f"{int(now)}\n{text}")
            number = _placed(new, folder, max(int(now * 1000), self._last(folder) + 1))
            sync_folder(folder)
        return Message(number, int(now), text)

    def waiting(self, name: str) -> list[Message]:
        """In order."""
        folder = self._folder / parse_name(name)
        with _told(folder):
            return [self._read(folder, number) for number in self._numbers(folder)]

    def kept(self, name: str, number: int) -> None:
        """The other side has all up to this one."""
        folder = self._folder / parse_name(name)
        with _told(folder):
            gone = [each for each in self._numbers(folder) if each <= number]
            if gone:
                _replace(folder / _LAST, str(max(gone[-1], self._last(folder))))
            for each in gone:
                _path(folder, each).unlink(missing_ok=True)

    def _numbers(self, folder: Path) -> list[int]:
        if not folder.is_dir():
            return []
        return sorted(int(each.name) for each in folder.iterdir() if each.name.isdigit())

    def _last(self, folder: Path) -> int:
        """The highest number that was ever used."""
        with suppress(FileNotFoundError, ValueError):
            return max([int((folder / _LAST).read_text()), *self._numbers(folder)])
        return max(self._numbers(folder), default=0)

    def _read(self, folder: Path, number: int) -> Message:
        written, _, text = _path(folder, number).read_text("utf-8", "replace").partition("\n")
        return Message(number, int(written) if written.isdigit() else 0, text)


class Heard:
    """The number of the last message of each key, as lines of a file; the oldest are forgotten."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def last(self, key: bytes) -> int:
        with _told(self._path):
            return self._all().get(key.hex(), 0)

    def note(self, key: bytes, number: int) -> None:
        """On the disk when this returns."""
        with _told(self._path):
            heard = self._all()
            heard.pop(key.hex(), None)
            heard[key.hex()] = number
            lines = [f"{each} {last}\n" for each, last in heard.items()][-MOST_HEARD:]
            self._path.parent.mkdir(0o700, parents=True, exist_ok=True)
            _replace(self._path, "".join(lines))

    def _all(self) -> dict[str, int]:
        try:
            lines = self._path.read_text("ascii", "replace").splitlines()
        except FileNotFoundError:
            return {}
        words = [line.split() for line in lines]
        return {each[0]: int(each[1]) for each in words if len(each) == 2 and each[1].isdigit()}


def _path(folder: Path, number: int) -> Path:
    return folder / f"{number:0{_DIGITS}}"


def _placed(new: Path, folder: Path, number: int) -> int:
    """Under the first number that nobody else took meanwhile."""
    try:
        while True:
            with suppress(FileExistsError):
                _path(folder, number).hardlink_to(new)
                return number
            number += 1
    finally:
        new.unlink()


def _write(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with open(descriptor, "w", encoding="utf-8", errors="replace", newline="") as file:  # noqa: PTH123 - has no path
        file.write(text)
        file.flush()
        os.fsync(descriptor)


def _replace(path: Path, text: str) -> None:
    new = path.with_name(f".{path.name}.{os.getpid()}")
    _write(new, text)
    new.replace(path)
    sync_folder(path.parent)


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise disk_error("use", path, error) from error
