"""What a torrent is called: in version 1, in version 2 (BEP 52), or in both.

The name of version 1 is the SHA-1 of the info dictionary, that of version 2 its SHA-256. Wherever a name has
twenty bytes (handshakes, trackers, DHT, local discovery) the first twenty of the latter stand for it. A
hybrid has both names, and a swarm under each.
"""

from hashlib import sha1, sha256
from typing import NamedTuple, Self

from p2pswarm.errors import FormatError
from p2pswarm.formats.ids import InfoHash
from p2pswarm.formats.metainfo import Metainfo

__all__ = ["Names"]


class Names(NamedTuple):
    """At least one of the two."""

    v1: InfoHash | None = None
    """Alone, it may as well be what stands for the name of version 2: DHT and trackers tell no more."""
    v2: bytes | None = None
    """32 bytes."""

    @classmethod
    def of(cls, metainfo: Metainfo) -> Self:
        return cls(metainfo.info_hash if metainfo.has_v1 else None, metainfo.v2)

    @property
    def short(self) -> InfoHash | None:
        """What stands for the name of version 2."""
        return None if self.v2 is None else InfoHash(self.v2[:20])

    @property
    def swarms(self) -> tuple[InfoHash, ...]:
        """The names of its swarms; the first is the torrent's main name."""
        return tuple(name for name in (self.v1, self.short) if name is not None)

    def fit(self, info: bytes) -> bool:
        """Whether this is the info dictionary that they name.

        Raises FormatError when one is its name and the other is not: then nothing has both.
        """
        verdicts = []
        if self.v1 is not None:
            fits = sha1(info, usedforsecurity=False).digest() == self.v1
            verdicts.append(fits or (self.v2 is None and sha256(info).digest()[:20] == self.v1))
        if self.v2 is not None:
            verdicts.append(sha256(info).digest() == self.v2)
        if any(verdicts) and not all(verdicts):
            raise FormatError("its version 1 and its version 2 name are of different torrents")
        return all(verdicts)

    def met_by(self, other: "Names") -> bool:
        """Whether a torrent of these other names is the one that these name."""
        if self.v2 is None:
            return self.v1 in (None, other.v1, other.short)
        return self.v1 in (None, other.v1) and self.v2 == other.v2
