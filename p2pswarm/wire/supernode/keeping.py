"""Keeping a connection that is silent, and how the other side does."""

from dataclasses import dataclass
from typing import ClassVar, Self

from typing_extensions import override

from p2pswarm.wire.supernode.dictionary import (
    BareMessage,
    DictionaryMessage,
    Fields,
    Value,
)
from p2pswarm.wire.supernode.frames import FrameKind
from p2pswarm.wire.supernode.hello import MAX_COUNT

__all__ = ["Ping", "Pong"]


@dataclass(frozen=True, slots=True)
class Ping(BareMessage):
    """Are you there?"""

    kind: ClassVar[int] = FrameKind.PING


@dataclass(frozen=True, slots=True)
class Pong(DictionaryMessage):
    """I am."""

    kind: ClassVar[int] = FrameKind.PONG

    load: int
    """How full it is, in percent."""
    children: int
    links: int
    spare: int
    """Percent of its CPU that is free, as an ordinary node tells its parent."""

    @override
    def _written(self) -> dict[str, Value]:
        return {
            "load": self.load,
            "children": self.children,
            "links": self.links,
            "spare": self.spare,
        }

    @override
    @classmethod
    def read(cls, body: bytes) -> Self:
        fields = Fields(body)
        return cls(
            fields.number("load", 0, 100),
            fields.number("children", 0, MAX_COUNT),
            fields.number("links", 0, MAX_COUNT),
            fields.number("spare", 0, 100),
        )
