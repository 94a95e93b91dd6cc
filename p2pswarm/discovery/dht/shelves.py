"""The items that this node keeps for others (BEP 44), within bounds.

An item stays for two hours after somebody put it; whoever wants it to stay puts it again, each hour say.
The one hard thing: anybody may put. When there is no room, an item goes that few hosts put, and among those
the one that is farthest from us, as libtorrent does it. One host alone cannot fill all shelves: beyond its
part, one of its own goes.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field

from p2pswarm.discovery.dht.ids import distance
from p2pswarm.discovery.dht.items import ImmutableItem, Item, ItemError
from p2pswarm.wire.krpc import ErrorCode, NodeId

__all__ = ["LIFE", "MAX_ITEMS", "MAX_OF_ONE", "Shelves"]

MAX_ITEMS = 700  # libtorrent's
MAX_OF_ONE = 70  # of one host
LIFE = 2 * 3600.0  # seconds; BEP 44 wants at least that
_MOST_HOSTS = 8  # beyond them an item is wanted by many, however many


@dataclass(slots=True)
class _Kept:
    """An item, who put it first and when somebody did last, and how far it was from us then."""

    item: Item
    owner: str
    put_at: float
    distance: int
    hosts: set[str] = field(default_factory=set)


class Shelves:
    """Never more than MAX_ITEMS, and of one owner's never more than MAX_OF_ONE."""

    def __init__(self, ids: Callable[[], Collection[NodeId]]) -> None:
        self._ids = ids  # ours, one in each network
        self._kept: dict[NodeId, _Kept] = {}  # the one that was put last stands last
        self._owned: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._kept)

    def __iter__(self) -> Iterator[NodeId]:
        return iter(self._kept)

    def get(self, target: NodeId, now: float) -> Item | None:
        kept = self._kept.get(target)
        return kept.item if kept and now < kept.put_at + LIFE else None

    def put(self, item: Item, host: str, now: float, cas: int | None = None) -> None:
        """Raises ItemError when a mutable item is not newer, or not put onto what `cas` says."""
        self.expire(now)
        target = item.target
        kept = self._kept.get(target)
        if kept is None:
            self._make_room(host)
            self._owned[host] += 1
            kept = _Kept(item, host, now, self._distance(target))
        else:
            kept.item = _newer(kept.item, item, cas)
            kept.put_at = now
            del self._kept[target]
        if len(kept.hosts) < _MOST_HOSTS:
            kept.hosts.add(host)
        self._kept[target] = kept

    def expire(self, now: float) -> None:
        """Forget what nobody put for two hours."""
        for target, kept in list(self._kept.items()):
            if now < kept.put_at + LIFE:
                break
            self._drop(target)

    def check(self) -> None:
        assert len(self._kept) <= MAX_ITEMS
        assert self._owned == Counter(kept.owner for kept in self._kept.values())
        assert all(count <= MAX_OF_ONE for count in self._owned.values())

    def _make_room(self, host: str) -> None:
        if self._owned[host] >= MAX_OF_ONE:
            self._drop_worst([each for each, kept in self._kept.items() if kept.owner == host])
        elif len(self._kept) >= MAX_ITEMS:
            self._drop_worst(self._kept)

    def _drop_worst(self, targets: Iterable[NodeId]) -> None:
        self._drop(min(targets, key=self._worth))

    def _worth(self, target: NodeId) -> tuple[int, int]:
        kept = self._kept[target]
        return len(kept.hosts), -kept.distance

    def _distance(self, target: NodeId) -> int:
        return min((distance(each, target) for each in self._ids()), default=0)

    def _drop(self, target: NodeId) -> None:
        owner = self._kept.pop(target).owner
        self._owned[owner] -= 1
        if not self._owned[owner]:
            del self._owned[owner]


def _newer(old: Item, new: Item, cas: int | None) -> Item:
    """Which of two with the same target stays. Raises ItemError."""
    if isinstance(old, ImmutableItem) or isinstance(new, ImmutableItem):
        return old
    if cas is not None and cas != old.sequence:
        raise ItemError(ErrorCode.CAS_MISMATCH, f"the item here has the number {old.sequence}")
    if new.sequence < old.sequence:
        text = f"the item here is newer, it has the number {old.sequence}"
        raise ItemError(ErrorCode.SEQUENCE_TOO_LOW, text)
    return new if new.sequence > old.sequence else old
