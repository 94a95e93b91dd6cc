"""A lookup by a user's homes: asked one after the other, by stream, each asks on for him."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

from p2pswarm.formats.ids import Address
from p2pswarm.lab.people.world import Server, World, delay_of, judge
from p2pswarm.wire.people.datagrams import TOKEN_SIZE
from p2pswarm.wire.people.dictionary import TokenMessage
from p2pswarm.wire.people.finding import Find, Found

__all__ = ["Outcome", "Recursion", "Then"]

PATIENCE = 10.0  # seconds for a home that asks on
FRAME_OVER = 43  # bytes of IP, TCP and the frame's head


@dataclass(slots=True)
class Outcome:
    """What a lookup gave, and what it cost who asked."""

    found: bool
    hops: int
    messages: int
    size: int
    seconds: float


Then = Callable[[Outcome], None]


class Recursion:
    """`begin`; `then` is told when one of them has found him, or none."""

    def __init__(
        self,
        world: World,
        asker: Address,
        name: bytes,
        homes: Sequence[Server],
        then: Then,
        dice: Random,
    ) -> None:
        self._world, self._asker, self._name, self._dice = world, asker, name, dice
        self._left, self._then = list(homes), then
        self._began, self._messages, self._size = world.now, 0, 0
        self._token = b""  # of the question that waits for an answer

    def begin(self) -> None:
        """Ask the next one."""
        if not self._left:
            self._tell(found=False, hops=0)
            return
        server, token = self._left.pop(0), self._dice.randbytes(TOKEN_SIZE)
        self._token = token
        question = Find(token, self._name, recursive=True)
        self._messages += 1
        self._size += FRAME_OVER + len(question.encode().body)
        trip = delay_of(self._asker, server.address)
        self._world.later(trip, lambda: self._ask(server, question, trip))
        self._world.later(2 * trip + PATIENCE, lambda: self._answered(token, None))

    def _ask(self, server: Server, question: Find, trip: float) -> None:
        world, token = self._world, question.token
        if not server.alive:
            world.later(trip, lambda: self._answered(token, None))
            return
        world.guests[token] = lambda answer: world.later(
            trip, lambda: self._answered(token, answer)
        )
        world.send(server, server.directory.asked(question, token, world.now))

    def _answered(self, token: bytes, answer: TokenMessage | None) -> None:
        if token != self._token:
            return
        self._token = b""
        self._world.guests.pop(token, None)
        if answer is not None:
            self._messages += 1
            self._size += FRAME_OVER + len(answer.encode().body)
        if isinstance(answer, Found) and judge(answer.record).hash == self._name:
            self._tell(found=True, hops=answer.hops + 1)
        else:
            self.begin()

    def _tell(self, *, found: bool, hops: int) -> None:
        took = self._world.now - self._began
        self._then(Outcome(found, hops, self._messages, self._size, took))
