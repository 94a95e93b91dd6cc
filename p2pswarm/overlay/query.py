"""What is asked of a network, and what comes back.

A hit is somebody's claim that a host has a file. Its name goes no further than `filename`, its address is
dialed within a budget, and its bytes are believed once they hash.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from p2pswarm.errors import MetainfoError
from p2pswarm.formats import paths
from p2pswarm.formats.ids import Address, InfoHash
from p2pswarm.formats.words import Asked, Kind, kind_of, words_of

__all__ = ["Digest", "Hit", "Lookup", "Query"]

_ODD = re.compile(r"[^\w ()\[\]{}&,;!#$%+=@'~^.-]+")


class Lookup(StrEnum):
    """Who does the asking, in the words of DNS; a network that knows one way only takes that."""

    RECURSIVE = "recursive"  # the network asks on for us
    ITERATIVE = "iterative"  # we ask one after the other


class Digest(NamedTuple):
    """The hash of a file, and which: `sha1`, `md5` (Napster's, of the beginning), `tth` or `btih`."""

    algorithm: str
    value: bytes


@dataclass(frozen=True, slots=True)
class Query:
    """What somebody looks for. An empty one asks for anything; a network may refuse that."""

    words: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    kind: Kind = Kind.ANY
    min_size: int = 0
    max_size: int | None = None  # bytes
    digest: Digest | None = None
    limit: int = 100  # hits wanted of each network
    lookup: Lookup = Lookup.RECURSIVE

    @classmethod
    def parse(cls, text: str) -> "Query":
        """`blue moon -remix`."""
        return cls(*Asked.parse(text))

    def fits(self, hit: "Hit") -> bool:
        """Whether this hit answers us. Spammers answer every query with the same file."""
        return (
            Asked(self.words, self.without).matches(words_of(hit.name))
            and self.kind in (Kind.ANY, kind_of(hit.name))
            and self.min_size <= hit.size
            and (self.max_size is None or hit.size <= self.max_size)
            and (self.digest is None or self.digest in hit.digests())
        )


@dataclass(frozen=True, slots=True)
class Hit:
    """One host says that it has one file."""

    name: str
    """As the network spells it, perhaps with folders. Never a path of ours: see `filename`."""
    size: int
    """Bytes."""
    network: str
    host: Address | None = None
    """Where the host takes transfers; port 0 where the network does not tell."""
    nick: str = ""
    """Who the host is within the network: Gnutella's servent GUID in hex."""
    index: int | None = None
    """The host's own number for the file, where the network asks for it by that."""
    firewalled: bool = False
    """Nobody can dial the host; it brings what it is asked for."""
    proxies: tuple[Address, ...] = ()
    """Who passes that request on to it."""
    md5: bytes | None = None
    """Of the first 299008 bytes, as Napster has it: it tells files apart and proves nothing."""
    sha1: bytes | None = None
    tth: bytes | None = None
    info_hash: InfoHash | None = None
    peer: Address | None = None
    """Where the host speaks BitTorrent."""
    seeds: int | None = None
    age: float | None = None
    """Seconds since the network learned of it."""

    @property
    def filename(self) -> str:
        """The last element of the name, safe to create in a folder of ours."""
        last = re.split(r"[/\\]", self.name)[-1]
        for name in (last, _ODD.sub("_", last).strip(" ."), "file"):
            try:
                return paths.safe_path([name.encode(errors="replace")], "name")[0]
            except MetainfoError:
                continue
        raise AssertionError("'file' is a safe name")

    def digests(self) -> Iterator[Digest]:
        """What is known of its bytes, strongest first."""
        known = {"btih": self.info_hash, "sha1": self.sha1, "tth": self.tth, "md5": self.md5}
        return (Digest(name, value) for name, value in known.items() if value is not None)
