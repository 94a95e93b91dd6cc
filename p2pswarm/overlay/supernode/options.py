"""What the user decides about this node's part in the supernode network. Checked once, here.

The figures are those every description of FastTrack gives: 60 to 150 children and 30 to 50 links of a super
node (OVERLAYS.md, 3.3).
"""

from dataclasses import dataclass
from enum import StrEnum

from p2pswarm.formats.ids import Address

__all__ = [
    "CHILDREN",
    "LINKS",
    "MOST_CHILDREN",
    "MOST_LINKS",
    "PROMOTE_AFTER",
    "REWIRE",
    "Options",
    "Wish",
    "check_bounds",
]

CHILDREN, LINKS = (60, 150), (30, 50)  # how many are enough, and how many are the most
MOST_CHILDREN, MOST_LINKS = 10_000, 1000  # that anybody may choose
REWIRE = 600.0  # seconds
PROMOTE_AFTER = 600.0  # seconds


class Wish(StrEnum):
    """What this node would like to be; what it becomes, others have a say in.

    A visitor asks one super node after the other, and is nobody's child.
    """

    AUTO = "auto"
    ORDINARY = "ordinary"
    SUPER = "super"
    VISITOR = "visitor"


@dataclass(frozen=True, slots=True)
class Options:
    """Of children and links: how many are enough, and how many are the most.

    With `supernodes` the operator decides: only those serve and are believed. Raises ValueError.
    """

    wish: Wish = Wish.AUTO
    children: tuple[int, int] = CHILDREN
    links: tuple[int, int] = LINKS
    rewire: float = REWIRE
    promote_after: float = PROMOTE_AFTER
    supernodes: tuple[Address, ...] = ()
    connect: tuple[Address, ...] = ()
    firewalled: bool = False
    wait: float = 10.0

    def __post_init__(self) -> None:
        check_bounds(self.children, MOST_CHILDREN)
        check_bounds(self.links, MOST_LINKS)
        for name in ("rewire", "wait"):
            if not 0 < getattr(self, name) < float("inf"):
                raise ValueError(f"{name} must be a number of seconds above 0")
        if not 0 <= self.promote_after < float("inf"):
            raise ValueError("promote_after must be a number of seconds, 0 or more")
        if self.firewalled and self.wish is Wish.SUPER:
            raise ValueError("a firewalled node cannot be a super node: nobody can dial it")
        for address in (*self.supernodes, *self.connect):
            if not address.dialable:
                raise ValueError(f"nobody can be dialed at {address}")

    @property
    def willing(self) -> bool:
        """Whether this node may ever be promoted. Opting out is final."""
        return self.wish in {Wish.AUTO, Wish.SUPER} and not self.firewalled

    def listed(self, address: Address) -> bool:
        """Whether the operator's list names it."""
        return address.normal in {named.normal for named in self.supernodes}


def check_bounds(bounds: tuple[int, int], most: int) -> None:
    """Raises ValueError."""
    low, high = bounds
    if not 1 <= low <= high <= most:
        raise ValueError(f"{low}-{high} is not a range from 1 to {most}, the smaller one first")
