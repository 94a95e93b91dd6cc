"""How hits go back to whoever asked: a child, a link, a visitor, or ourselves.

The one hard thing: a hit names a host, and whoever reads it dials there. So nobody sends us, or who asks us,
to hosts nearer to us than he is himself, or to ourselves.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from p2pswarm.errors import RemoteProtocolError
from p2pswarm.formats.ids import Address
from p2pswarm.formats.zones import zone_of
from p2pswarm.overlay.routes import Routes
from p2pswarm.overlay.supernode.asking import Asker, Heard, Neighbour, Ours, Question, Role
from p2pswarm.wire.supernode.frames import FrameKind
from p2pswarm.wire.supernode.hits import Found, Hits
from p2pswarm.wire.supernode.queries import Query

__all__ = ["TTL", "Counts", "Relay"]

TTL = 7  # hops among super nodes, as everybody's in the field

L = TypeVar("L", bound=Neighbour)


@dataclass(slots=True)
class Counts:
    """Messages by their kind, and why some were dropped."""

    sent: Counter[str] = field(default_factory=Counter)
    received: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)


class Relay(Generic[L]):
    """Invariants: a question is open at one asker; bounds as of `Asker` and `Routes`."""

    def __init__(self, is_ours: Callable[[Address], bool], counts: Counts, now: float) -> None:
        self._is_ours, self._counts = is_ours, counts
        self._routes: Routes[L | Ours] = Routes()
        self._askers: dict[L, Asker] = {}
        self._self = Asker(Role.SELF, "", now)

    def joined(self, link: L, role: Role, now: float) -> None:
        self._askers[link] = Asker(role, link.remote.host, now)

    def left(self, link: L) -> None:
        """What it has asked is known, and has no way back."""
        self._askers.pop(link, None)
        self._routes.forget(link)

    def asker(self, origin: L | Ours) -> Asker | None:
        """None for one who has left."""
        return self._self if isinstance(origin, Ours) else self._askers.get(origin)

    def first(self, guid: bytes, origin: L | Ours, now: float) -> bool:
        """Whether nobody asked this before; then hits go back there."""
        return self._routes.first(guid, FrameKind.QUERY, origin, now)

    def opened(self, query: Query, origin: L | Ours, heard: Heard | None = None) -> Question:
        """Hits for it are relayed from now on."""
        question = Question(query.want, heard=heard)
        asker = self.asker(origin)
        if asker is not None:
            asker.ask(query.guid, question)
        return question

    def closed(self, guid: bytes, origin: L | Ours) -> None:
        """Whoever asked has enough."""
        asker = self.asker(origin)
        question = None if asker is None else asker.open.pop(guid, None)
        if question is not None:
            question.left = 0

    def got(self, link: L, asker: Asker, body: bytes, now: float) -> None:
        """Hits. Raises RemoteProtocolError."""
        if asker.role is not Role.LINK:
            raise RemoteProtocolError(f"hits from a {asker.role.value}, which is asked nothing")
        guid, hops = Hits.head(body)
        origin = self._routes.back(guid, FrameKind.QUERY)
        home = None if origin is None else self.asker(origin)
        question = None if home is None else home.open.get(guid)
        if not asker.may_answer(now):
            self._counts.dropped["too many hits"] += 1
        elif origin is None or origin == link:
            self._counts.dropped["not asked"] += 1
        elif question is None:
            self._counts.dropped["ended"] += 1
        elif not asker.was_sent(question, link):
            self._counts.dropped["not asked"] += 1
        elif hops >= TTL:
            self._counts.dropped["too far"] += 1
        else:
            self._relay(origin, question, Hits.read(body), link, asker)

    def _relay(
        self, origin: L | Ours, question: Question, hits: Hits, link: L, teller: Asker
    ) -> None:
        believed = [one for one in hits.found if self._believed(one, teller)]
        if len(believed) < len(hits.found):
            self._counts.dropped["not believed"] += len(hits.found) - len(believed)
        found = question.take(believed, link)
        self.deliver(origin, Hits(hits.guid, hits.hops + 1, found), question)

    def deliver(self, origin: L | Ours, hits: Hits, question: Question) -> None:
        """To whoever asked; when he has enough, it is over."""
        if isinstance(origin, Ours):
            if hits.found and question.heard is not None:
                question.heard(hits)
        else:
            frames = [one.encode().encode() for one in Hits.pack(hits.guid, hits.hops, hits.found)]
            if frames and origin.send(*frames):
                self._counts.sent["hits"] += len(frames)
        if not question.left:
            self.closed(hits.guid, origin)

    def _believed(self, one: Found, teller: Asker) -> bool:
        hosts = (one.host,) if one.supernode is None else (one.host, one.supernode)
        return not any(zone_of(at.host) > teller.zone or self._is_ours(at) for at in hosts)

    def check(self) -> None:
        self._routes.check()
        for asker in (self._self, *self._askers.values()):
            asker.check()
