"""Which error gets which exit code, and in which words."""

import errno

import pytest

from p2pswarm.cli.exits import CommandError, Exit, UsageError, exit_code, words_of
from p2pswarm.cli.transfer import stopped_code
from p2pswarm.errors import (
    BencodeError,
    DiskError,
    DiskFullError,
    HashMismatchError,
    HostError,
    InUseError,
    MetainfoError,
    NameTakenError,
    NoLoginError,
    PortTakenError,
    RemoteProtocolError,
    TargetExistsError,
    TrackerError,
)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (HostError("x"), 1),
        (DiskError("x"), 1),
        (InUseError("x"), 1),
        (PortTakenError("x"), 1),
        (PermissionError(errno.EACCES, "x"), 1),
        (NameTakenError("x"), 1),
        (NoLoginError("x"), 2),
        (UsageError("x"), 2),
        (BencodeError("x"), 3),
        (MetainfoError("x"), 3),
        (CommandError("x", Exit.NO_PEERS), 4),
        (CommandError("x", Exit.BAD_DATA), 5),
        (HashMismatchError("x"), 5),
        (TrackerError("x"), 6),
        (RemoteProtocolError("x"), 6),
        (DiskFullError("x"), 9),
        (OSError(errno.ENOSPC, "x"), 9),
        (TargetExistsError("x"), 13),
    ],
)
def test_codes(error: Exception, code: int) -> None:
    assert exit_code(error) == code


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ENOENT, "No such file or directory", "x"), "x: No such file or directory"),
        (OSError(errno.ENOENT, "No such file or directory"), "No such file or directory"),
        (OSError("odd\nwords"), "odd words"),
        (HostError("one\nline "), "one line"),
        (HostError(), "HostError"),
    ],
)
def test_words_are_one_line(error: Exception, words: str) -> None:
    assert words_of(error) == words


def test_stopped_while_the_disk_was_full() -> None:
    assert stopped_code(DiskFullError("no room")) is Exit.DISK_FULL
    assert stopped_code(DiskError("broken")) is Exit.STOPPED
    assert stopped_code(None) is Exit.STOPPED
