"""What a node finds by an info-hash: its torrents, or the magnets that it looks for, each by all its names.

A hybrid has two names (BEP 52) and is one torrent: whoever counts or lists sees it once, by its main name.
"""

from collections.abc import Iterator, Mapping
from typing import TypeVar

from typing_extensions import override

from p2pswarm.formats.ids import InfoHash
from p2pswarm.formats.names import Names

__all__ = ["Roster"]

T = TypeVar("T")


class Roster(Mapping[InfoHash, T]):
    """A mapping by main name, which answers to the other names too."""

    def __init__(self) -> None:
        self._by_name: dict[InfoHash, T] = {}
        self._others: set[InfoHash] = set()  # names that are not the main one
        self._hidden: dict[bytes, InfoHash] = {}  # by what obfuscated handshakes say instead

    def add(self, host: T, names: Names) -> None:
        """Under each name that is not another's; again, when more of its names are known."""
        listed = any(self._by_name.get(name) is host for name in names.swarms)
        for name in names.swarms:
            if name not in self._by_name:
                self._by_name[name] = host
                self._hidden[name.obfuscated] = name
                if listed:
                    self._others.add(name)
                listed = True

    def remove(self, host: T, names: Names) -> None:
        """May be called twice."""
        for name in names.swarms:
            if self._by_name.get(name) is host:
                del self._by_name[name]
                del self._hidden[name.obfuscated]
                self._others.discard(name)

    def revealed(self, mark: bytes) -> InfoHash | None:
        """The name that an obfuscated handshake means."""
        return self._hidden.get(mark)

    def any_of(self, names: Names) -> T | None:
        """Who has one of these names."""
        here = (self._by_name.get(name) for name in names.swarms)
        return next((host for host in here if host is not None), None)

    @override
    def __getitem__(self, name: InfoHash) -> T:
        return self._by_name[name]

    @override
    def __iter__(self) -> Iterator[InfoHash]:
        return (name for name in self._by_name if name not in self._others)

    @override
    def __len__(self) -> int:
        return len(self._by_name) - len(self._others)
