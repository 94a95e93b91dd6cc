"""Routers that translate addresses, for hosts of a virtual world (RFC 4787: how they map, what they filter).

A router has one public address. What leaves gets a public number, and what enters has to fit: any sender, a
host that was sent something, or exactly the place that was sent something. A symmetric one gives a number of
its own to each destination. TCP is mapped and filtered by the same rules; who blocks UDP lets TCP through.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, auto
from itertools import count

__all__ = ["Kind", "Name", "Router"]

Name = tuple[str, int]


class Kind(Enum):
    """How a router maps and filters."""

    FULL = auto()
    ADDRESS = auto()
    PORT = auto()
    SYMMETRIC = auto()
    BLOCKED = auto()  # as PORT, without UDP


@dataclass(eq=False)
class Router:
    """What stands between hosts and the world."""

    public: str
    kind: Kind
    passed: int = 0
    """Datagrams that it let in."""
    lets_in: Callable[[str, Name], bool] = lambda protocol, source: True
    """What a test forbids besides."""
    _numbers: "count[int]" = field(default_factory=lambda: count(20_000, 7))
    _out: dict[tuple[str, Name, Name | None], int] = field(default_factory=dict)
    _in: dict[tuple[str, int], Name] = field(default_factory=dict)
    _sent: set[tuple[str, int, str, int]] = field(default_factory=set)

    def leaves(self, protocol: str, name: Name, to: Name) -> Name | None:
        """As whom the host with this name is seen there; None when it cannot leave."""
        if protocol == "udp" and self.kind is Kind.BLOCKED:
            return None
        key = (protocol, name, to if self.kind is Kind.SYMMETRIC else None)
        if key not in self._out:
            self._out[key] = next(self._numbers)
            self._in[protocol, self._out[key]] = name
        number = self._out[key]
        self._sent.add((protocol, number, to[0], to[1]))
        return self.public, number

    def enters(self, protocol: str, number: int, source: Name) -> Name | None:
        """Whom it reaches; None when it is dropped."""
        name = self._in.get((protocol, number))
        if name is None or not self._fits(protocol, number, source):
            return None
        self.passed += protocol == "udp"
        return name

    def _fits(self, protocol: str, number: int, source: Name) -> bool:
        if not self.lets_in(protocol, source):
            return False
        if self.kind is Kind.FULL:
            return True
        if self.kind is Kind.ADDRESS:
            mine = (protocol, number, source[0])
            return any(sent[:3] == mine for sent in self._sent)
        return (protocol, number, *source) in self._sent

    def forget(self) -> None:
        """Restarted: nothing is mapped."""
        self._out.clear()
        self._in.clear()
        self._sent.clear()
