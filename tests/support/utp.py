"""Two uTP machines and the path between them, on a clock of their own.

The path has a delay, a rate with a queue in front of it, an MTU, and dice that lose, repeat and overtake.
Each side has a clock that is set differently and may drift.
"""

import heapq
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from random import Random

from p2pswarm.formats.ids import Address
from p2pswarm.wire.utp.connection import Connection, Phase
from p2pswarm.wire.utp.door import Door
from p2pswarm.wire.utp.packet import SYN, read

__all__ = ["Path", "Side", "World"]

TICK = 0.05
HOME = Address("192.0.2.1", 1)


@dataclass
class Path:
    """One direction."""

    delay: float = 0.02
    rate: float = float("inf")  # bytes per second
    queue: int = 1 << 30  # bytes that wait for the line; more are dropped
    loss: float = 0.0
    repeats: float = 0.0
    overtakes: float = 0.0  # share of the packets that are late
    mtu: int = 1500
    free_at: float = 0.0
    dropped: int = 0
    carried: int = 0

    def arrivals(self, size: int, now: float, dice: Random) -> list[float]:
        """When it arrives: never, once or more often."""
        if size + 28 > self.mtu or dice.random() < self.loss:
            return []
        waiting = max(0.0, self.free_at - now)
        if self.rate != float("inf"):
            if waiting * self.rate > self.queue:
                self.dropped += 1
                return []
            self.free_at = now + waiting + size / self.rate
        self.carried += size
        when = now + waiting + self.delay
        if dice.random() < self.overtakes:
            when += self.delay * 3 * dice.random()
        return [when] + [when + self.delay] * (dice.random() < self.repeats)


class Side:
    """One machine with its reader and writer."""

    def __init__(self, connection: Connection | None, offset: float, drift: float) -> None:
        self.connection = connection
        self.door = Door(Random(7))
        self.heard = bytearray()
        self.reads = True
        self.closes = False  # when the other side has
        self.sent = 0
        self.most_sent = 0  # bytes of one datagram
        self._offset, self._drift = offset, drift

    def clock(self, now: float) -> float:
        return self._offset + now * (1 + self._drift)

    def got(self, data: bytes, now: float) -> list[bytes]:
        """What it answers at once."""
        packet, clock = read(data), self.clock(now)
        if packet.kind == SYN:
            return [self.door.knocked(packet, HOME, clock)]
        if self.connection is None:
            self.connection = self.door.proved(packet, HOME, 4)
        if self.connection is None:
            return []
        self.connection.got(packet, clock)
        return self.flush(now)

    def tick(self, now: float) -> list[bytes]:
        if self.connection is None:
            return []
        self.connection.tick(self.clock(now))
        return self.flush(now)

    def flush(self, now: float) -> list[bytes]:
        assert self.connection is not None
        if self.reads:
            for part in self.connection.receiver.take():
                self.heard += part
            if self.closes and self.connection.receiver.ended:
                self.connection.close()
        out = self.connection.flush(self.clock(now))
        while self.connection.sender.hurries:
            out += self.connection.flush(self.clock(now))
        self.sent += len(out)
        self.most_sent = max([self.most_sent, *map(len, out)])
        return out


class World:
    """`near` dials `far`."""

    def __init__(self, to: Path, back: Path, *, seed: int = 1, drift: float = 0.0) -> None:
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self.dice = Random(seed)
        self.now = 0.0
        self.near = Side(None, 100.0, 0.0)
        self.far = Side(None, 5000.0, drift)
        self.near.connection = Connection.dial(self.dice, self.near.clock(0.0))
        self.paths = {id(self.near): (to, self.far), id(self.far): (back, self.near)}
        for side in (self.near, self.far):
            self._tick(side)

    def run(self, until: float, stop: Callable[[], bool] = bool) -> None:
        """Until so many seconds, or until `stop()` is true."""
        while self._events and self._events[0][0] <= until:
            self.now, _, happens = heapq.heappop(self._events)
            happens()
            if stop():
                return
        self.now = until

    def at(self, when: float, happens: Callable[[], None]) -> None:
        heapq.heappush(self._events, (when, next(self._order), happens))

    def _tick(self, side: Side) -> None:
        self.send(side, side.tick(self.now))
        self.at(self.now + TICK, partial(self._tick, side))

    def _arrive(self, side: Side, data: bytes) -> None:
        self.send(side, side.got(data, self.now))

    def send(self, side: Side, datagrams: list[bytes]) -> None:
        path, other = self.paths[id(side)]
        for data in datagrams:
            for when in path.arrivals(len(data), self.now, self.dice):
                self.at(when, partial(self._arrive, other, data))

    def write(self, side: Side, data: bytes) -> None:
        assert side.connection is not None
        side.connection.write(data)
        self.send(side, side.flush(self.now))

    def close(self, side: Side) -> None:
        assert side.connection is not None
        side.connection.close()
        self.send(side, side.flush(self.now))

    def open(self) -> None:
        """Until the dialer is connected."""
        near = self.near.connection
        assert near is not None
        self.run(self.now + 10, lambda: near.phase is Phase.OPEN)
        assert near.phase is Phase.OPEN
