"""One lookup in one network: who is asked next, and when is it over (BEP 5).

The nearest nodes that we know of are asked, they name nearer ones, until the eight nearest have answered.
In a hurry, as libtorrent: five questions are open among the nearest at any time, and who has not answered
after a second is waited for, but no longer instead of another.

The one hard thing: those who answer may lie. Nearer and nearer nodes can be made up, so a neighbourhood of
addresses is asked once, no more than a hundred are asked, and of those who may store something for us, ids
that follow from addresses come first. Sans-IO.
"""

from bisect import insort
from collections.abc import Iterable
from enum import Enum, auto
from ipaddress import IPv4Address

from p2pswarm.discovery.dht.ids import distance, is_secure, place_of
from p2pswarm.discovery.dht.routing import BUCKET
from p2pswarm.formats.ids import Address
from p2pswarm.formats.zones import Zone, zone_of
from p2pswarm.wire.krpc import Contact, NodeId

__all__ = ["Lookup"]

BRANCHING = 5
_MOST_ASKED = 100
_MOST_KNOWN = 200


class _State(Enum):
    FRESH = auto()
    ASKED = auto()
    SLOW = auto()
    ANSWERED = auto()
    FAILED = auto()


class _Candidate:
    __slots__ = ("contact", "depth", "distance", "state", "token")

    def __init__(self, contact: Contact, away: int, depth: int) -> None:
        self.contact, self.distance, self.depth = contact, away, depth
        self.state = _State.FRESH
        self.token: bytes | None = None


class Lookup:
    """Around `target`; we are `own`."""

    def __init__(self, target: bytes, own: NodeId) -> None:
        self._target, self._own = target, own
        self._candidates: list[_Candidate] = []  # nearest first
        self._by_id: dict[NodeId, _Candidate] = {}
        self._neighbourhoods: set[str] = set()
        self.asked = 0
        self.answers = 0

    def add(self, contacts: Iterable[Contact], namer: Contact | None = None) -> None:
        """Somebody named them; without a namer they are from our table."""
        above = None if namer is None else self._by_id.get(namer.id)
        depth = 0 if above is None else above.depth + 1
        for contact in contacts:
            neighbourhood = _neighbourhood(contact.address)
            if (
                contact.id == self._own
                or contact.id in self._by_id
                or neighbourhood in self._neighbourhoods
            ):
                continue
            candidate = _Candidate(contact, distance(contact.id, self._target), depth)
            insort(self._candidates, candidate, key=lambda each: each.distance)
            self._by_id[contact.id] = candidate
            self._neighbourhoods.add(neighbourhood)
        self._trim()

    def next(self) -> list[Contact]:
        """Whom to ask now; they are asked."""
        asking = []
        waiting = answered = 0
        for each in self._candidates:
            enough = answered + waiting == BUCKET or waiting == BRANCHING
            if enough or self.asked == _MOST_ASKED:
                break
            if each.state is _State.FRESH:
                each.state = _State.ASKED
                self.asked += 1
                asking.append(each.contact)
            answered += each.state is _State.ANSWERED
            waiting += each.state is _State.ASKED
        return asking

    def answered(self, contact: Contact, token: bytes | None) -> None:
        candidate = self._by_id[contact.id]
        candidate.state, candidate.token = _State.ANSWERED, token
        self.answers += 1

    def slow(self, contact: Contact) -> None:
        """No answer for a second: another one is asked as well."""
        self._by_id[contact.id].state = _State.SLOW

    def failed(self, contact: Contact) -> None:
        self._by_id[contact.id].state = _State.FAILED

    @property
    def over(self) -> bool:
        """Nobody is left who could change the result; slow ones only count while there are too few."""
        answered, asked, slow = self._left()
        return not asked and (answered == BUCKET or not slow)

    @property
    def stuck(self) -> bool:
        """Some have answered, and only slow ones are left."""
        answered, asked, slow = self._left()
        return not asked and answered > 0 and slow > 0

    def _left(self) -> tuple[int, int, int]:
        """Of the nearest, until eight have answered: these, those asked or to be asked, and slow ones."""
        answered = asked = slow = 0
        for each in self._candidates:
            if answered == BUCKET:
                break
            answered += each.state is _State.ANSWERED
            asked += each.state is _State.ASKED
            asked += each.state is _State.FRESH and self.asked < _MOST_ASKED
            slow += each.state is _State.SLOW
        return answered, asked, slow

    @property
    def hops(self) -> int:
        """By how many others, one after the other, the nearest that answered was found."""
        return next((e.depth for e in self._candidates if e.state is _State.ANSWERED), 0)

    def nearest(self) -> list[Contact]:
        """The nearest that answered."""
        return [each.contact for each in self._candidates if each.state is _State.ANSWERED][:BUCKET]

    def holders(self) -> list[tuple[Contact, bytes]]:
        """The eight that are to store something, with their tokens: of the nearest, secure ids first."""
        found = [
            (each.contact, each.token)
            for each in self._candidates
            if each.state is _State.ANSWERED and each.token is not None
        ][: 2 * BUCKET]
        found.sort(key=lambda each: not is_secure(each[0].id, each[0].address.host))
        return found[:BUCKET]

    def _trim(self) -> None:
        """Who is too far away is forgotten, unless it was asked."""
        extra = len(self._candidates) - _MOST_KNOWN
        if extra > 0:
            fresh = [each for each in self._candidates if each.state is _State.FRESH]
            for each in fresh[-extra:]:
                self._candidates.remove(each)
                del self._by_id[each.contact.id]
                self._neighbourhoods.discard(_neighbourhood(each.contact.address))


def _neighbourhood(address: Address) -> str:
    """The 256 addresses around one in IPv4."""
    if isinstance(address.ip, IPv4Address) and zone_of(address.host) is Zone.INTERNET:
        return address.host.rpartition(".")[0]
    return place_of(address)
