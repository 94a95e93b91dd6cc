"""What a swarm is called where its peers meet: by a hash of its info-hash.

Whoever introduces them learns that two want the same, and not what it is; so it cannot take their obfuscated
handshakes apart either, which need the info-hash.
"""

from hashlib import sha256
from typing import NamedTuple

from p2pswarm.formats.ids import InfoHash

__all__ = ["SwarmName"]


class SwarmName(NamedTuple):
    """`place` says in which slot of the directory it belongs, `name` is what is told there."""

    place: bytes
    name: InfoHash

    @classmethod
    def of(cls, info_hash: InfoHash) -> "SwarmName":
        place = sha256(b"p2pswarm swarm " + info_hash).digest()
        return cls(place, InfoHash(place[: len(info_hash)]))

    @staticmethod
    def member(name: InfoHash, node: bytes) -> bytes:
        """What a guest is called in that swarm by whoever introduces it, and in no other."""
        return sha256(b"p2pswarm member " + name + node).digest()

    def nearness(self, node: bytes) -> bytes:
        """Of the super nodes of that slot, those with the smallest come first, for all who come."""
        return sha256(self.place + node).digest()
