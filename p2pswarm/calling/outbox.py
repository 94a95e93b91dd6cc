"""What was written to people who are not there, until they have it; and what of others' we heard already.

Each message is a file of its own, so that a command may add one while another delivers. Numbers only grow,
also when the clock does not: whoever hears a number that is not higher than the last one has it already.
What is damaged is left out, so that it does not keep what comes after it. Plain calls that wait for the disk;
everything raises DiskError.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from p2pswarm.disk.handles import disk_error, read_kept, sync_folder
from p2pswarm.errors import FormatError, HostError
from p2pswarm.formats.people.names import parse_name
from p2pswarm.wire.calling.letters import MOST_TEXT, Message

__all__ = ["MOST_WAITING", "Heard", "Outbox"]

MOST_WAITING = 100  # messages for one person
MOST_HEARD = 2_000  # senders that are remembered
_LAST = "last"
_DIGITS = 16
_HIGHEST = 1 << 53
_LONGEST_HEARD = 100 * MOST_HEARD  # bytes


class Outbox:
    """A folder for each name. Names are in their one spelling, and none can leave the folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def names(self) -> list[str]:
        """For whom something waits."""
        with _told(self._folder):
            if not self._folder.is_dir():
                return []
            names = [each.name for each in self._folder.iterdir() if _is_name(each.name)]
            return sorted(name for name in names if self.waiting(name))

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
            read = [self._read(folder, number) for number in self._numbers(folder)]
            return [message for message in read if message is not None]

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
        return sorted(int(each.name) for each in folder.iterdir() if _is_number(each.name))

    def _last(self, folder: Path) -> int:
        """The highest number that was ever used."""
        last = ""
        with suppress(FileNotFoundError):
            last = _text(folder / _LAST, _DIGITS + 1)
        return max([int(last) if _is_number(last) else 0, *self._numbers(folder)])

    def _read(self, folder: Path, number: int) -> Message | None:
        """None for what the other side would not take."""
        written, _, text = _text(_path(folder, number), MOST_TEXT + 100).partition("\n")
        if not 0 < len(text.encode()) <= MOST_TEXT:
            return None
        return Message(number, int(written) if _is_number(written) else 0, text)


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
            lines = _text(self._path, _LONGEST_HEARD).splitlines()
        except FileNotFoundError:
            return {}
        words = [line.split() for line in lines]
        return {each[0]: int(each[1]) for each in words if len(each) == 2 and _is_number(each[1])}


def _is_name(text: str) -> bool:
    try:
        return parse_name(text) == text
    except FormatError:
        return False


def _is_number(text: str) -> bool:
    """Of one of ours: the other side takes none that is higher."""
    return text.isascii() and text.isdigit() and len(text) <= _DIGITS and int(text) <= _HIGHEST


def _text(path: Path, most: int) -> str:
    return read_kept(path, most).decode("utf-8", "replace")


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
