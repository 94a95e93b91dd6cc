"""What stands between us and the others, as far as super nodes' answers tell (RFC 5780, RFC 4787).

How we are mapped: two super nodes see the same number, or each another one. What is filtered: an answer came
from a super node that we never wrote to, or at least from another number of one that we did, or neither.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from p2pswarm.formats.ids import Address
from p2pswarm.reach.offers import Nat

__all__ = ["Findings"]


@dataclass
class Findings:
    """What was asked and seen."""

    asked: int = 0
    """Super nodes."""
    seen: list[Address] = field(default_factory=list)
    """Where we are, each as one super node sees it."""
    from_other_host: bool = False
    from_other_port: bool = False

    def nat(self, own: Collection[str]) -> Nat:
        """`own` are the addresses of our interfaces."""
        if not self.seen:
            return Nat.BLOCKED if self.asked else Nat.UNKNOWN
        # There is hardly ever a NAT for IPv6, so what there is for IPv4 is told.
        seen = [address for address in self.seen if ":" not in address.host] or self.seen
        if all(address.host in own for address in seen):
            return Nat.NONE
        if len(set(seen)) > 1:
            return Nat.SYMMETRIC
        if self.from_other_host:
            return Nat.FULL_CONE
        if self.from_other_port:
            return Nat.ADDRESS
        return Nat.PORT if len(seen) > 1 else Nat.UNKNOWN

    @property
    def reflexive(self) -> Sequence[Address]:
        return list(dict.fromkeys(self.seen))
