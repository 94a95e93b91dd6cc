"""What is shared, and how it is listed and looked up; keyword search is in `wire/napster/search.py`."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

from typing_extensions import override

from p2pswarm.wire.fields import quoted, split
from p2pswarm.wire.napster.frames import Bare, Count, Message

__all__ = [
    "MD5_SPAN",
    "NO_MD5",
    "Browse",
    "BrowseEnd",
    "BrowseResult",
    "DirectBrowse",
    "DirectBrowseAck",
    "DirectBrowseError",
    "HashEnd",
    "HashLookup",
    "HashMatch",
    "SearchEnd",
    "SearchResult",
    "Share",
    "ShareDirectory",
    "ShareTyped",
    "Unshare",
    "UnshareAll",
]

MD5_SPAN = 299_008  # the first so many bytes of a file are what its MD5 is of
NO_MD5 = "0" * 32


@dataclass(slots=True)
class Share(Message):
    """A file of mine. Bit rate in kbit/s, frequency in Hz, length in seconds; zeros for what is no sound."""

    number = 100
    layout = '"name" md5 #size #bitrate #frequency #seconds'

    name: str
    md5: str
    size: int
    bitrate: int = 0
    frequency: int = 0
    seconds: int = 0


@dataclass(slots=True)
class ShareDirectory(Message):
    """Many files of one directory, which their names do not repeat."""

    number = 870

    directory: str
    files: list[Share]

    @override
    def written(self) -> str:
        return " ".join([quoted(self.directory), *[file.written() for file in self.files]])

    @classmethod
    @override
    def read(cls, text: str) -> Self:
        directory, *pieces = split(text) or [""]
        if not pieces or len(pieces) % 6:
            raise ValueError("not a directory and six fields a file")
        sixes = zip(*[iter(pieces)] * 6, strict=True)
        return cls(directory, [Share.read(" ".join([f'"{name}"', *rest])) for name, *rest in sixes])

    def shares(self) -> Iterator[Share]:
        """The files under their full names."""
        joint = "" if self.directory.endswith(("\\", "/")) else "\\"
        for file in self.files:
            full = f"{self.directory}{joint}{file.name}"
            yield Share(full, file.md5, file.size, file.bitrate, file.frequency, file.seconds)


@dataclass(slots=True)
class ShareTyped(Message):
    """OpenNap's own: a file that is no sound, with its content type."""

    number = 10300
    layout = '"name" #size md5 type'

    name: str
    size: int
    md5: str
    type: str


# Sharing


@dataclass(slots=True)
class Unshare(Message):
    """Not any more. The name stands without quotes; OpenNap ignores it with quotes."""

    number = 102
    layout = "name..."

    name: str


class UnshareAll(Count):
    """Nothing any more; the server answers with how many files that were."""

    number = 110


# Searching


@dataclass(slots=True)
class SearchResult(Message):
    """One file of somebody's."""

    number = 201
    layout = '"name" md5 #size #bitrate #frequency #seconds nick @ip #speed'

    name: str
    md5: str
    size: int
    bitrate: int
    frequency: int
    seconds: int
    nick: str
    ip: str
    speed: int


class SearchEnd(Bare):
    """That was all."""

    number = 202


@dataclass(slots=True)
class HashLookup(Message):
    """Who else has this file?"""

    number = 215
    layout = "md5 #size"

    md5: str
    size: int


@dataclass(slots=True)
class HashMatch(Message):
    """One of them."""

    number = 216
    layout = 'nick @ip #port "name" md5 #size #speed'

    nick: str
    ip: str
    port: int
    name: str
    md5: str
    size: int
    speed: int


class HashEnd(Bare):
    """That was all."""

    number = 217


@dataclass(slots=True)
class Browse(Message):
    """All files of somebody."""

    number = 211
    layout = "nick [#most]"

    nick: str
    most: int | None = None


@dataclass(slots=True)
class BrowseResult(Message):
    """One of them."""

    number = 212
    layout = 'nick "name" md5 #size #bitrate #frequency #seconds'

    nick: str
    name: str
    md5: str
    size: int
    bitrate: int
    frequency: int
    seconds: int


@dataclass(slots=True)
class BrowseEnd(Message):
    """That was all."""

    number = 213
    layout = "nick [@ip]"

    nick: str
    ip: str | None = None


@dataclass(slots=True)
class DirectBrowse(Message):
    """I want your list itself. With an address: you are firewalled, connect to me."""

    number = 640
    layout = "nick [@ip] [#port]"

    nick: str
    ip: str | None = None
    port: int | None = None


@dataclass(slots=True)
class DirectBrowseAck(Message):
    """You may have it, from here."""

    number = 641
    layout = "nick [@ip] [#port]"

    nick: str
    ip: str | None = None
    port: int | None = None


@dataclass(slots=True)
class DirectBrowseError(Message):
    """You may not."""

    number = 642
    layout = 'nick "why"'

    nick: str
    why: str
