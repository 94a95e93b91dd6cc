"""One tree of blame: whose fault it was decides what happens next.

```
P2PSwarmError
├── RemoteError                 somebody else broke a rule or does not answer
│   ├── FormatError             bytes that are not what they claim to be
│   │   ├── BencodeError        not bencode, or beyond the caps
│   │   └── MetainfoError       bencode, but not a torrent we accept
│   ├── RemoteProtocolError     a peer broke the protocol: drop the connection
│   ├── TrackerError            a tracker refused, failed or cannot be reached
│   ├── NetworkError            a search network refused, failed or cannot be reached
│   │   ├── BusyError           a host has the file, but no place for us now: ask again later
│   │   │   └── PartialError    it fetches the file itself, and has some parts only
│   │   ├── RefusedError        a host does not have it, or does not give it: asking again hardly helps
│   │   ├── ChangedError        a host has another version of it than a moment ago: begin anew
│   │   ├── UnknownNameError    nobody has that name, as most of those say who should know
│   │   ├── OfflineError        somebody has the name, and is at home nowhere
│   │   └── DeclinedError       who was rung does not want to talk to us now
│   ├── CodeError               a short code that nobody gives (any more), or that is wrong
│   ├── TwoStoriesError         a publisher signed what cannot both be true
│   └── HashMismatchError       all of a file came, and it is not the file that was asked for
├── LocalProtocolError          we were about to break the protocol: a bug of ours
└── HostError                   the user's machine or request is in the way
    ├── DiskError               a file cannot be read or written (errno kept)
    │   └── DiskFullError       no room (ENOSPC, EDQUOT): waits until there is some
    ├── TargetExistsError       the target holds something that is not this torrent's
    ├── InUseError              another process works on the same download, or answers for the same user
    ├── PortTakenError          the named port cannot be bound
    ├── NameTakenError          a name is another key's, and the password, if there was one, is not its
    └── NoLoginError            nobody said yet which login service is believed
```

The text of every error is one line written for the person who reads it.
"""

from collections.abc import Sequence

__all__ = [
    "BencodeError",
    "BusyError",
    "ChangedError",
    "CodeError",
    "DeclinedError",
    "DiskError",
    "DiskFullError",
    "FormatError",
    "HashMismatchError",
    "HostError",
    "InUseError",
    "LocalProtocolError",
    "MetainfoError",
    "NameTakenError",
    "NetworkError",
    "NoLoginError",
    "OfflineError",
    "P2PSwarmError",
    "PartialError",
    "PortTakenError",
    "RefusedError",
    "RemoteError",
    "RemoteProtocolError",
    "TargetExistsError",
    "TrackerError",
    "TwoStoriesError",
    "UnknownNameError",
    "first_of",
]


class P2PSwarmError(Exception):
    """The root: everything this project raises on purpose."""


class RemoteError(P2PSwarmError):
    """Somebody else's fault."""


class FormatError(RemoteError):
    """Bytes that are not what they claim to be."""


class BencodeError(FormatError):
    """Not bencode, or bencode beyond the caps on depth, size and tokens."""


class MetainfoError(FormatError):
    """Bencode, but not a torrent that can be accepted."""


class RemoteProtocolError(RemoteError):
    """A peer broke the protocol; its connection is dropped."""


class TrackerError(RemoteError):
    """A tracker refused, failed or could not be reached.

    `retry_in` is what BEP 31 allows it to say: seconds, `inf` for never, None when it said nothing.
    """

    def __init__(self, text: str, retry_in: float | None = None) -> None:
        super().__init__(text)
        self.retry_in = retry_in


class NetworkError(RemoteError):
    """A search network, a host found in one, or a web seed refused, failed or could not be reached."""


class BusyError(NetworkError):
    """A host has the file, but no place for us at this moment; `retry_in` seconds later, if it said so."""

    def __init__(self, text: str, retry_in: float | None = None) -> None:
        super().__init__(text)
        self.retry_in = retry_in


class PartialError(BusyError):
    """A host fetches the file itself: by now it has only these parts, as (start, end)."""

    def __init__(self, text: str, ranges: Sequence[tuple[int, int]]) -> None:
        super().__init__(text)
        self.ranges = ranges


class RefusedError(NetworkError):
    """A host does not have the file, or does not give it to us."""


class CodeError(RemoteError):
    """A short code that nobody gives, or not any more, or whose words are wrong."""


class TwoStoriesError(RemoteError):
    """A publisher signed two things of which one must be false: its feed is over."""


class ChangedError(NetworkError):
    """A host has another version of the file than a moment ago."""


class UnknownNameError(NetworkError):
    """Nobody has that name, as most of those say who should know."""


class OfflineError(NetworkError):
    """Somebody has the name, and is at home nowhere."""


class DeclinedError(NetworkError):
    """Who was rung does not want to talk to us now; `reason` is one word for programs."""

    def __init__(self, text: str, reason: str) -> None:
        super().__init__(text)
        self.reason = reason


class HashMismatchError(RemoteError):
    """Hosts gave all of a file, and as a whole it is not the one that was asked for."""


class LocalProtocolError(P2PSwarmError):
    """We were about to break the protocol: a bug of ours."""


class HostError(P2PSwarmError):
    """The user's machine or request is in the way."""


class DiskError(HostError):
    """A file cannot be read or written; `errno` tells why (0 when the system did not)."""

    def __init__(self, text: str, errno: int = 0) -> None:
        super().__init__(text)
        self.errno = errno


class DiskClosedError(DiskError):
    """Whoever had the files open closed them meanwhile."""


class DiskFullError(DiskError):
    """No room on the disk, or the quota is used up."""


class TargetExistsError(HostError):
    """The target holds something that is not this torrent's."""


class InUseError(HostError):
    """Another process works on the same download, or answers for the same user."""


class PortTakenError(HostError):
    """The named port cannot be bound."""


class NameTakenError(HostError):
    """A name is another key's, and the password, if there was one, is not that of the name."""


class NoLoginError(HostError):
    """Nobody said yet which login service is believed."""


def first_of(error: BaseException) -> BaseException:
    """What ended a group of tasks: the first that was raised in it, however deep the groups are."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
