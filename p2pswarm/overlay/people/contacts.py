"""The other super nodes that one knows: enough of them that no lookup takes more than three.

Of its own slot and the other half of what is above it, it knows everybody; of each other slot of its block
(eight neighbouring slots, those that differ in the last three bits) some, and of each other block some. So
from anywhere it is one step into the right block, and from there one into the slot.

The one hard thing: who is here has answered us, from the address that it is known by, and may be where it
says it is; what is merely told waits in a queue to be asked, some each second, each address once in ten
minutes. Who is known stays while it answers: new ones only fill gaps, so a flood of them moves nobody out
(Kademlia, 2.2). Sans-IO.
"""

from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import cycle
from random import Random

from p2pswarm.formats.ids import Address
from p2pswarm.formats.zones import zone_of
from p2pswarm.overlay.budget import DialBudget
from p2pswarm.overlay.people.places import MOST_OF_NETWORK, may_be, network_of
from p2pswarm.overlay.remembering import remember
from p2pswarm.wire.people.nodes import WHOLE, Prefix, SuperNode

__all__ = ["BLOCK_BITS", "Contact", "Contacts"]

BLOCK_BITS = 3
MOST_NEAR = 64  # of the own slot and its sibling: more than four times what one is split at
MOST_FAR = 4  # of each other slot of the block, and of each other block
MOST_TOLD = 400
STALE = 5.0  # seconds; what was heard since is not doubted for what somebody else says
MISSES = 3  # questions without an answer, after which one is gone
GONE_FOR = 120.0  # seconds for which one that is gone is not asked when others still tell of it


@dataclass(slots=True, eq=False)
class Contact:
    """A super node that answered us."""

    node: bytes
    address: Address
    slot: Prefix
    size: int
    """Of its slot, as it says."""
    heard: float
    due: float = 0.0
    """When it is to be asked again."""
    misses: int = 0

    @property
    def told(self) -> SuperNode:
        """As others are told of it."""
        return SuperNode(self.node, self.address, self.slot)


@dataclass(slots=True, eq=False)
class Contacts:
    """`heard` of who answered, `told` of the others, `missed` when one does not answer.

    Invariants: at most MOST_NEAR near ones and MOST_FAR of each other part; no two of one address; nobody
    where it may not be.
    """

    node: bytes
    dice: Random
    believed: Callable[[Address], bool] = lambda _: True
    slot: Prefix = WHOLE
    live: dict[Address, Contact] = field(default_factory=dict)
    _told: OrderedDict[Address, SuperNode] = field(default_factory=OrderedDict)
    _spoke: OrderedDict[Address, SuperNode] = field(default_factory=OrderedDict)
    _turns: "cycle[bool]" = field(default_factory=lambda: cycle((True, False)))
    _gone: OrderedDict[Address, float] = field(default_factory=OrderedDict)
    _counts: Counter[Prefix | None] = field(default_factory=Counter)
    _networks: Counter[tuple[Prefix, bytes]] = field(default_factory=Counter)
    _budget: DialBudget = field(default_factory=DialBudget)

    def members(self) -> list[Contact]:
        """The others of the own slot."""
        return [contact for contact in self.live.values() if contact.slot == self.slot]

    def near(self) -> list[Contact]:
        """Those under what is above the own slot."""
        return [contact for contact in self.live.values() if _part(self.slot, contact.slot) is None]

    def holders(self, at: Prefix) -> list[Contact]:
        """The others whose slot has this place; more than one slot while it is split or put together."""
        return [contact for contact in self.live.values() if contact.slot.covers(at)]

    def deeper(self, at: Prefix) -> list[Contact]:
        """Those who have it in a slot that was split off ours: we stayed behind."""
        return [c for c in self.holders(at) if c.slot.length > self.slot.length]

    def size(self, slot: Prefix) -> int:
        """How many are in a slot, as far as we and those in it know; without ourselves."""
        there = [contact.size for contact in self.live.values() if contact.slot == slot]
        return len(there) if _part(self.slot, slot) is None else max(there, default=0)

    def heard(self, told: SuperNode, size: int, now: float) -> Contact | None:
        """It answered us; None when there is no place for it."""
        known = self.live.get(told.address)
        if told.node == self.node or not self._may_be(told):
            self._drop(told.address)
            return None
        self._budget.answered(told.address)
        self._forget(told.address)
        if known is None or known.node != told.node or known.slot != told.slot:
            self._drop(told.address)
            if not self._has_room(told):
                return None
            known = Contact(*told, size, now)
            self._add(known)
        known.size, known.heard, known.misses = size, now, 0
        self._gone.pop(told.address, None)
        return known

    def spoke(self, node: SuperNode, now: float) -> None:
        """It says so itself: it is not lost among the many that one other may name."""
        if node.address not in self.live and self._worth(node, now):
            remember(self._spoke, node.address, node, MOST_TOLD)

    def told(self, nodes: Iterable[SuperNode], teller: Address, now: float) -> None:
        """Somebody says that these are there."""
        zone = zone_of(teller.host)
        for each in nodes:
            known = self.live.get(each.address)
            if known is not None and known.slot != each.slot:
                if now - known.heard > STALE:  # it moved, or somebody lies: it is asked
                    known.due = min(known.due, now)
            elif known is None and self._worth(each, now) and zone_of(each.address.host) <= zone:
                remember(self._told, each.address, each, MOST_TOLD)

    def take_told(self, now: float) -> SuperNode | None:
        """One of those to be asked now, the newest first: by turns who spoke and who was named."""
        rows = (self._spoke, self._told) if next(self._turns) else (self._told, self._spoke)
        for row in rows:
            while row:
                address, told = row.popitem()
                self._forget(address)
                if self._worth(told, now) and self._budget.may_dial(
                    address, zone_of(address.host), now
                ):
                    return told
        return None

    def _forget(self, address: Address) -> None:
        """It is not merely told any more."""
        self._told.pop(address, None)
        self._spoke.pop(address, None)

    def may_ask(self, address: Address, teller: Address, now: float) -> bool:
        """Whether one is asked whom somebody names; then it counts as asked, until `answered`."""
        if address in self.live:
            return True
        return self._budget.may_dial(address, zone_of(teller.host), now)

    def answered(self, address: Address) -> None:
        """One of those is there."""
        self._budget.answered(address)

    def missed(self, contact: Contact, now: float) -> bool:
        """It did not answer; whether it is gone."""
        contact.misses += 1
        if contact.misses < MISSES or self.live.get(contact.address) is not contact:
            return False
        self.gone(contact.address, now)
        return True

    def gone(self, address: Address, now: float) -> None:
        self._drop(address)
        self._forget(address)
        remember(self._gone, address, now + GONE_FOR, MOST_TOLD)

    def left(self, address: Address) -> None:
        """It says so itself."""
        self._drop(address)

    def back(self, address: Address) -> None:
        """Somebody speaks from there again."""
        self._gone.pop(address, None)

    def moved(self, slot: Prefix) -> None:
        """We are in another slot: who is too many there is forgotten."""
        known = list(self.live.values())
        self.slot = slot
        self.live.clear()
        self._counts.clear()
        self._networks.clear()
        for contact in known:
            if self._has_room(contact.told):
                self._add(contact)

    def nearest(self, at: Prefix, n: int, *, beyond: int = -1) -> list[Contact]:
        """The best to ask for a place: those of its slot, of its block, then what has most bits in common."""
        there = [contact for contact in self.live.values() if contact.slot.common(at) > beyond]
        self.dice.shuffle(there)
        there.sort(key=lambda contact: (contact.misses > 0, -_nearness(contact.slot, at)))
        return there[:n]

    def chosen(self, n: int, slot: Prefix) -> list[SuperNode]:
        """Whom to tell somebody of that slot: its near ones first, then any."""
        above = slot.up()
        near: list[Contact] = []
        far: list[Contact] = []
        for contact in self.live.values():
            if not contact.misses:
                (near if above.covers(contact.slot) else far).append(contact)
        near = self.dice.sample(near, min(n, len(near)))
        far = self.dice.sample(far, min(n - len(near), len(far)))
        return [contact.told for contact in (*near, *far)]

    def _has_room(self, told: SuperNode) -> bool:
        part = _part(self.slot, told.slot)
        if self._counts[part] >= (MOST_NEAR if part is None else MOST_FAR):
            return False
        return self._networks[self._like(told)] < MOST_OF_NETWORK

    def _like(self, told: SuperNode) -> tuple[Prefix, bytes]:
        """What must not be there three times."""
        return _part(self.slot, told.slot) or told.slot, network_of(told.address)

    def _worth(self, told: SuperNode, now: float) -> bool:
        """Whether it would be taken in if it answered."""
        if told.node == self.node or self._gone.get(told.address, now) > now:
            return False
        return self._has_room(told) and told.address.dialable and self._may_be(told)

    def _may_be(self, told: SuperNode) -> bool:
        return self.believed(told.address) and may_be(told.address, told.slot)

    def _add(self, contact: Contact) -> None:
        self.live[contact.address] = contact
        self._count(contact, 1)

    def _drop(self, address: Address) -> None:
        contact = self.live.pop(address, None)
        if contact is not None:
            self._count(contact, -1)

    def _count(self, contact: Contact, by: int) -> None:
        self._counts[_part(self.slot, contact.slot)] += by
        like = self._like(contact.told)
        self._networks[like] += by
        if not self._networks[like]:
            del self._networks[like]

    def check(self) -> None:
        counts: Counter[Prefix | None] = Counter()
        for address, contact in self.live.items():
            assert contact.address == address
            assert may_be(address, contact.slot)
            counts[_part(self.slot, contact.slot)] += 1
        for part, count in counts.items():
            assert count <= (MOST_NEAR if part is None else MOST_FAR), part
        assert counts == self._counts
        assert all(0 < n <= MOST_OF_NETWORK for n in self._networks.values())
        assert max(len(self._told), len(self._spoke)) <= MOST_TOLD


@lru_cache(maxsize=1 << 16)
def _part(ours: Prefix, slot: Prefix) -> Prefix | None:
    """Which part of the directory that is, seen from our slot; None for what is near."""
    above, block = ours.up(), ours.up(BLOCK_BITS)
    if above.covers(slot) or slot.covers(above):
        return None
    return slot if block.covers(slot) else slot.up(BLOCK_BITS)


def _nearness(slot: Prefix, at: Prefix) -> int:
    """A slot that has the place is nearest, then one of its block, then what has most bits in common."""
    if slot.covers(at):
        return 100 + slot.length
    return 50 + slot.common(at) if slot.up(BLOCK_BITS).covers(at) else slot.common(at)
