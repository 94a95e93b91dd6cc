"""Super nodes asked by UDP: one question for each step of a walk, until that has its verdict.

The one hard thing: whom to ask is told by strangers, and each question is 1200 bytes long. So who never
answered is asked once in ten minutes, whoever names it (`DialBudget`), but for those that we knew; and an
answer counts when it comes from whom we asked, with the token that only that one saw.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from random import Random
from typing import Generic, TypeVar

from p2pswarm.errors import RemoteError
from p2pswarm.formats.ids import Address
from p2pswarm.formats.zones import Zone
from p2pswarm.net.port import Port
from p2pswarm.overlay.budget import DialBudget
from p2pswarm.overlay.people.lookup import Verdict, Walk, Way
from p2pswarm.overlay.people.places import may_be
from p2pswarm.wire.people.datagrams import TOKEN_SIZE, pack_datagram
from p2pswarm.wire.people.dictionary import TokenMessage
from p2pswarm.wire.people.finding import Referral, Unknown
from p2pswarm.wire.people.frames import PeopleKind
from p2pswarm.wire.people.nodes import Prefix, SuperNode
from p2pswarm.wire.supernode.frames import Frame

__all__ = ["Question", "Walks"]

MOST_WALKS = 50  # at a time; more wait for their turn

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Question(Generic[T]):
    """What a walk asks on its way."""

    target: bytes
    """Whose slot it goes to: a name's hash."""
    ask: Callable[[bytes], TokenMessage]
    """The question under this token."""
    heard: Callable[[Walk[T], Address, Frame], None]
    """An answer of a kind that only the asker knows, told to the walk. Raises RemoteError for a lie."""

    def ways(self, nodes: Sequence[SuperNode]) -> list[Way]:
        """Super nodes as the walk sees them; nobody is where it may not be."""
        whole = Prefix.of(self.target)
        return [Way.to(each, whole) for each in nodes if may_be(each.address, each.slot)]

    def tell(self, walk: Walk[T], address: Address, frame: Frame) -> Sequence[SuperNode]:
        """Whom the answer names. Raises RemoteError for a lie."""
        match frame.kind:
            case PeopleKind.REFERRAL:
                nodes = Referral.read(frame.body).nodes
                walk.referred(address, self.ways(nodes))
                return nodes
            case PeopleKind.UNKNOWN:
                unknown = Unknown.read(frame.body)
                covers = unknown.slot.covers(Prefix.of(self.target))
                authoritative = unknown.authoritative and covers
                ways, ttl = self.ways(unknown.nodes), unknown.ttl
                walk.unknown(address, ways, authoritative=authoritative, ttl=ttl)
                return unknown.nodes
            case _:
                self.heard(walk, address, frame)
                return ()


class Walks:
    """`walk`; whoever has the port's datagrams tells `got` of answers.

    `known` says whom we have met, or were told of by the user; `answered` hears who is there, and `named`
    whom the others name.
    """

    def __init__(
        self,
        port: Port,
        dice: Random,
        known: Callable[[Address], bool],
        answered: Callable[[Address], None],
        named: Callable[[Sequence[SuperNode], Address], None],
    ) -> None:
        self._port, self._dice = port, dice
        self._known, self._answered, self._named = known, answered, named
        self._clock = asyncio.get_running_loop().time
        self._budget = DialBudget()
        self._asked: dict[bytes, tuple[Address, Callable[[Frame], None]]] = {}
        self._turns = asyncio.Semaphore(MOST_WALKS)

    async def walk(self, walk: Walk[T], question: Question[T]) -> Verdict[T]:
        """To whoever holds what is looked for."""
        bell = asyncio.Event()
        tokens: list[bytes] = []
        async with self._turns:
            try:
                while (verdict := walk.verdict) is None:
                    bell.clear()
                    for address in walk.step(self._clock()):
                        tokens.append(self._ask(address, walk, question, bell))  # noqa: PERF401
                    if walk.verdict is None:
                        with suppress(TimeoutError):
                            async with asyncio.timeout_at(walk.due):
                                await bell.wait()
            finally:
                for token in tokens:
                    self._asked.pop(token, None)
        return verdict

    def got(self, frame: Frame, source: Address) -> bool:
        """Whether that is the answer to a question of ours."""
        address, hear = self._asked.get(frame.body[:TOKEN_SIZE], (None, None))
        if hear is None or address != source.normal:
            return False
        del self._asked[frame.body[:TOKEN_SIZE]]
        self._budget.answered(source)
        self._answered(source)
        hear(frame)
        return True

    def _ask(
        self, address: Address, walk: Walk[T], question: Question[T], bell: asyncio.Event
    ) -> bytes:
        def hear(frame: Frame) -> None:
            try:
                self._named(question.tell(walk, address, frame), address)
            except RemoteError:
                walk.lied(address)
            bell.set()

        token = self._dice.randbytes(TOKEN_SIZE)
        # The walk believed nobody who is farther away than whom he names, so the zone is settled.
        known = self._known(address)
        if not known and not self._budget.may_dial(address, Zone.THIS_MACHINE, self._clock()):
            walk.lied(address)
            bell.set()
            return token
        self._asked[token] = address, hear
        data = pack_datagram(question.ask(token).encode(), request=True)
        self._port.send_datagram(data, address)
        return token
