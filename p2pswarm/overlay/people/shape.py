"""When a slot is split or goes together with its sibling, and who goes where.

Every member decides for itself, from whom it knows to be alive, by rules that give all of them nearly the
same answer; where two see it differently, both still have the records, and whoever stayed behind follows the
others. Nothing is agreed upon, so there is nobody whose death or lie holds it up. Sans-IO, and without state.
"""

from collections import Counter
from collections.abc import Iterable, Sequence

from p2pswarm.overlay.people.places import bits
from p2pswarm.wire.people.nodes import MAX_DEPTH, Prefix, SuperNode

__all__ = ["FOLLOWED", "LEAST", "MERGED", "SPLIT_AT", "followed", "halves", "shaped"]

SPLIT_AT = 14  # so that there are nine or ten in one on the average
LEAST = 5  # members, below which a slot goes together with its sibling
MERGED = 12  # at most so many go together: below what would be split again
FOLLOWED = 10  # so many make it worth to follow most of them


def followed(us: SuperNode, others: Iterable[SuperNode]) -> Prefix:
    """Where most of our slot have gone down to, when we stayed behind; else our own."""
    slot, near = us.slot, list(others)
    while slot.length < MAX_DEPTH:
        mine = [each for each in near if slot.covers(each.slot)]
        mine.append(us._replace(slot=slot))
        gone = [each.slot.bit(slot.length) for each in mine if each.slot.length > slot.length]
        if len(mine) < FOLLOWED or 2 * len(gone) < len(mine) or not _even(gone):
            break
        slot = slot.down(halves(slot, mine)[us.node])
    return slot


def shaped(us: SuperNode, others: Iterable[SuperNode]) -> Prefix:
    """The slot that we should be in, as we see those under what is above ours."""
    slot, above = us.slot, us.slot.up()
    near = [each for each in others if above.covers(each.slot)] + [us]
    mine = [each for each in near if slot.covers(each.slot)]
    if slot.length < MAX_DEPTH and len(mine) >= SPLIT_AT and _even(halves(slot, mine).values()):
        return slot.down(halves(slot, mine)[us.node])
    return above if slot.length and _merges(slot, above, near) else slot


def _even(chosen: Iterable[int]) -> bool:
    counts = Counter(chosen)
    return min(counts[0], counts[1]) >= LEAST


def _merges(slot: Prefix, above: Prefix, near: Sequence[SuperNode]) -> bool:
    """Nobody beside, or most are above, or too few here or there; unless others are deeper."""
    if not any(each.slot.covers(slot.sibling) or slot.sibling.covers(each.slot) for each in near):
        return True
    if any(each.slot.length > slot.length for each in near):
        return False
    counts = Counter(each.slot for each in near)
    if 2 * counts[above] > len(near):
        return True
    return len(near) <= MERGED and min(counts[slot], counts[slot.sibling]) < LEAST


def halves(slot: Prefix, mine: Iterable[SuperNode]) -> dict[bytes, int]:
    """For each node of a slot the half that it goes to: where it may, and evenly where it has the choice."""
    chosen: dict[bytes, int] = {}
    free: list[bytes] = []
    for each in mine:
        may = bits(each.address, slot)
        if each.slot.length > slot.length:
            chosen[each.node] = each.slot.bit(slot.length)
        elif len(may) == 1:
            chosen[each.node] = may.pop()
        else:
            free.append(each.node)
    counts = Counter(chosen.values())
    for node in sorted(free):
        bit = int(counts[1] < counts[0])
        chosen[node] = bit
        counts[bit] += 1
    return chosen
