"""How a command ends: the exit codes, and which error gets which.

| code | meaning |
|---:|---|
| 0 | done |
| 1 | an error of this machine or its user |
| 2 | wrong usage: flags, variables, configuration file |
| 3 | not a torrent, or not one that is accepted; a code that is wrong or over; a name that nobody has |
| 4 | no peers for as long as `--timeout` says, or no host that was not given up; nobody answers a call |
| 5 | the data on disk is not the torrent's, or what came is not what was asked for, or a publisher lied |
| 6 | a tracker or the network failed |
| 9 | stopped while the disk was full |
| 13 | the target exists and is not this torrent's |
| 130 | stopped by Ctrl-C or SIGTERM; `get` goes on from there next time (0 for `seed` and `share`) |
"""

import errno
from enum import IntEnum

from p2pswarm.errors import (
    CodeError,
    DeclinedError,
    DiskFullError,
    FormatError,
    HashMismatchError,
    NoLoginError,
    OfflineError,
    P2PSwarmError,
    RemoteError,
    TargetExistsError,
    TwoStoriesError,
    UnknownNameError,
)

__all__ = ["EXPECTED", "CommandError", "Exit", "UsageError", "exit_code", "one_line", "words_of"]


class Exit(IntEnum):
    """What the shell sees."""

    OK = 0
    ERROR = 1
    USAGE = 2
    BAD_TORRENT = 3
    NO_PEERS = 4
    BAD_DATA = 5
    NETWORK = 6
    DISK_FULL = 9
    TARGET_EXISTS = 13
    STOPPED = 130


class CommandError(Exception):
    """A command came to an end that is not success; the text is one line for the user."""

    def __init__(self, text: str, code: Exit) -> None:
        super().__init__(text)
        self.code = code


class UsageError(CommandError):
    """A flag, a variable, a configuration key or a combination of them is wrong."""

    def __init__(self, text: str) -> None:
        super().__init__(text, Exit.USAGE)


EXPECTED = (CommandError, P2PSwarmError, OSError)
"""What may end a command without being a bug."""


def exit_code(error: BaseException) -> Exit:
    """The code for an error that ends a command."""
    match error:
        case CommandError(code=code):
            return code
        case NoLoginError():
            return Exit.USAGE
        case FormatError() | CodeError():
            return Exit.BAD_TORRENT
        case UnknownNameError():
            return Exit.BAD_TORRENT
        case OfflineError() | DeclinedError():
            return Exit.NO_PEERS
        case HashMismatchError() | TwoStoriesError():
            return Exit.BAD_DATA
        case RemoteError():
            return Exit.NETWORK
        case TargetExistsError():
            return Exit.TARGET_EXISTS
        case DiskFullError():
            return Exit.DISK_FULL
        case OSError(errno=errno.ENOSPC | errno.EDQUOT):
            return Exit.DISK_FULL
        case _:
            assert isinstance(error, P2PSwarmError | OSError)
            return Exit.ERROR


def words_of(error: BaseException) -> str:
    """The error in one line."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return one_line(str(error)) or type(error).__name__


def one_line(text: str) -> str:
    """`text` with every run of white space as one blank."""
    return " ".join(text.split())
