"""What is shared, by whom, and how it is found: the door behind which an index keeps it.

Owners are numbers that the server gives to its members; whether somebody is online, and where, is not the
index's business. No verb waits: what is asked comes back through `done`, at once or, where a disk is
asked, later, always on the event loop, always in the order of asking. The contract is
`tests/tracker/napster/test_index.py`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from p2pswarm.formats.words import Kind
from p2pswarm.wire.fields import as_bytes
from p2pswarm.wire.napster import Bounds

__all__ = ["ANY", "FileIndex", "Found", "Query", "SharedFile", "readable"]

ANY = Bounds()


class SharedFile(NamedTuple):
    """One file as its owner describes it; digests are bytes, empty when not known."""

    name: str
    md5: bytes
    size: int
    bitrate: int = 0
    frequency: int = 0
    seconds: int = 0
    sha1: bytes = b""
    info_hash: bytes = b""


class Found(NamedTuple):
    """A file, and whose it is."""

    owner: int
    file: SharedFile


@dataclass(slots=True)
class Query:
    """All of `words` and none of `without` in the name, the numbers within their bounds.

    `speed` is the owner's; `but_not` an owner whose files are not wanted, the asker's own.
    """

    words: Sequence[str]
    without: Sequence[str] = ()
    most: int = 100
    kind: Kind = Kind.ANY
    speed: Bounds = ANY
    size: Bounds = ANY
    bitrate: Bounds = ANY
    frequency: Bounds = ANY
    seconds: Bounds = ANY
    but_not: int = field(default=0)


class FileIndex(Protocol):
    """Where files are kept. `files` and `size` (bytes) are what is shared in all."""

    files: int
    size: int

    @property
    def weight(self) -> int:
        """How many ordinary files would need as much memory."""

    def arrive(self, owner: int, speed: int) -> None:
        """Somebody who may share; again, when their speed has changed."""

    def leave(self, owner: int) -> None:
        """Forget them and all their files; no search that is asked from now on finds one."""

    def add(self, owner: int, files: Sequence[SharedFile], done: Callable[[int], None]) -> None:
        """How many were new: a name that its owner shares already stays as it is."""

    def note(self, owner: int, name: str, sha1: bytes, info_hash: bytes) -> None:
        """More about a file that is shared; nothing when it is not. What is known already stays."""

    def remove(self, owner: int, name: str, done: Callable[[bool], None]) -> None:
        """Whether it was shared."""

    def clear(self, owner: int, done: Callable[[int], None]) -> None:
        """Forget all files of an owner who stays; how many."""

    def find(self, owner: int, name: str, done: Callable[[SharedFile | None], None]) -> None: ...

    def listing(
        self, owner: int, most: int, done: Callable[[Sequence[SharedFile]], None]
    ) -> None: ...

    def search(self, query: Query, done: Callable[[Sequence[Found]], None]) -> None:
        """At most `query.most`, in no order that anybody may rely on.

        The work of one search is bounded: one that rejects very many files by its bounds may miss some.
        """

    def lookup(
        self,
        kind: str,
        digest: bytes,
        most: int,
        done: Callable[[Sequence[Found]], None],
        size: Bounds = ANY,
    ) -> None:
        """Files with this digest of this kind: `md5`, `sha1` or `btih`."""

    def tidy(self) -> None:
        """A little housekeeping, called often; what is long is done in parts."""

    async def aclose(self) -> None: ...


def readable(name: str) -> str:
    """A name for people and for words: bytes that are no UTF-8 are taken for Latin-1, as they mostly are."""
    if name.isascii():
        return name
    data = as_bytes(name)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1")
