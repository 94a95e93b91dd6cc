"""What waits to be sent to one neighbour, and in which order: flow control.

A neighbour reads as fast as it can, not as fast as we forward. When more than half of the queue is used the
link is in flow control until less than a quarter is: its own queries are then dropped, as it could not take
their hits. A full queue drops what matters least. A PUSH or a hit has cost others most already, a ping
nothing; a broadcast is worth more near its source, a reply the farther it has come. What we say for
ourselves (route tables, vendor messages, BYE) goes first, in order, and is never dropped: if there is too
much of it, the neighbour has stopped reading. The usual case is one message put and taken at once. Sans-IO.
"""

from collections import deque

from typing_extensions import override

from p2pswarm.wire.gnutella.descriptor import Kind

__all__ = ["HIGH", "MOST_CONTROL", "Outbox"]

HIGH = 64 * 1024  # bytes of forwarded messages; about a second of a slow line
MOST_CONTROL = 256 * 1024  # bytes; a route table of 65536 slots without compression is 32 KiB

_CLASSES = 16  # of hops
_CONTROL = -1
_ORDER = (Kind.PUSH, Kind.HIT, Kind.PONG, Kind.QUERY, Kind.PING)
_RANKS = {int(kind): rank * _CLASSES for rank, kind in enumerate(_ORDER)}
_BROADCASTS = (Kind.QUERY, Kind.PING)


def _rank(kind: int, hops: int) -> int:
    """The smaller, the sooner."""
    base = _RANKS.get(kind)
    if base is None:
        return _CONTROL
    hops = min(hops, _CLASSES - 1)
    return base + (hops if kind in _BROADCASTS else _CLASSES - 1 - hops)


class _Line:
    """Messages of one rank, first come, first served."""

    __slots__ = ("messages", "size")

    def __init__(self) -> None:
        self.messages: deque[bytes] = deque()
        self.size = 0

    def append(self, data: bytes) -> None:
        self.messages.append(data)
        self.size += len(data)

    def popleft(self) -> bytes:
        data = self.messages.popleft()
        self.size -= len(data)
        return data


class Outbox:
    """`put` what is to be sent, `take` as much as the socket wants.

    Invariants: no line is empty; `size` counts what may be dropped, at most `high` or one message.
    """

    __slots__ = ("_control", "_high", "_lines", "dropped", "in_flow_control", "overflow", "size")

    def __init__(self, high: int = HIGH) -> None:
        self._high = high
        self._lines: dict[int, _Line] = {}
        self._control = 0  # bytes
        self.size = 0
        self.dropped = 0  # messages
        self.in_flow_control = False
        self.overflow = False  # the neighbour is to be told BYE 502

    def __bool__(self) -> bool:
        return bool(self._lines)

    def put(self, kind: int, hops: int, data: bytes) -> bool:
        """Whether it will be sent; False when there is no place, or `overflow`."""
        rank = _rank(kind, hops)
        if rank == _CONTROL:
            return self._put_control(kind, data)
        if (
            self.size
            and self.size + len(data) > self._high
            and not self._make_room(rank, len(data))
        ):
            self.dropped += 1
            return False
        self._append(rank, data)
        self.size += len(data)
        if self.size * 2 > self._high:
            self.in_flow_control = True
        return True

    def take(self, budget: int) -> list[bytes]:
        """The next messages: as many as `budget` bytes allow, at least one."""
        taken: list[bytes] = []
        while self._lines and budget > 0:
            rank = min(self._lines)
            line = self._lines[rank]
            if taken and len(line.messages[0]) > budget:
                break
            data = self._pop(rank, line)
            budget -= len(data)
            taken.append(data)
        if self.in_flow_control and self.size * 4 < self._high:
            self.in_flow_control = False
        return taken

    def _put_control(self, kind: int, data: bytes) -> bool:
        if kind == Kind.BYE:
            self._drop_what_nobody_will_read()
        elif self._control + len(data) > MOST_CONTROL:
            self.overflow = True
            return False
        self._append(_CONTROL, data)
        self._control += len(data)
        return True

    def _drop_what_nobody_will_read(self) -> None:
        """Nothing behind a BYE is looked at; and what was too much to be sent would keep it back."""
        control = self._lines.get(_CONTROL)
        self._lines.clear()
        self.size = 0
        if control is not None and not self.overflow:
            self._lines[_CONTROL] = control
        else:
            self._control = 0

    def _append(self, rank: int, data: bytes) -> None:
        line = self._lines.get(rank)
        if line is None:
            line = self._lines[rank] = _Line()
        line.append(data)

    def _pop(self, rank: int, line: _Line) -> bytes:
        data = line.popleft()
        if rank == _CONTROL:
            self._control -= len(data)
        else:
            self.size -= len(data)
        if not line.messages:
            del self._lines[rank]
        return data

    def _make_room(self, rank: int, need: int) -> bool:
        """Drop what matters less, the least and the oldest first; nothing if that would not be enough."""
        least = sum(line.size for other, line in self._lines.items() if other > rank)
        kept = self.size - least
        if kept and kept + need > self._high:
            return False
        while self.size and self.size + need > self._high:
            worst = max(self._lines)
            self._pop(worst, self._lines[worst])
            self.dropped += 1
        return True

    def check(self) -> None:
        for line in self._lines.values():
            assert line.messages
            assert line.size == sum(map(len, line.messages))
        droppable = [line for rank, line in self._lines.items() if rank != _CONTROL]
        assert self.size == sum(line.size for line in droppable)
        assert self.size <= self._high or sum(len(line.messages) for line in droppable) == 1
        control = self._lines.get(_CONTROL)
        assert self._control == (control.size if control else 0)

    @override
    def __repr__(self) -> str:
        state = " in flow control" if self.in_flow_control else ""
        return f"<Outbox {self.size} of {self._high} bytes, {self.dropped} dropped{state}>"
