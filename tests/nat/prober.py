"""What a NAT does, measured with bare sockets: it proves the laboratory, and shares no line with the product.

All sockets are in one process, each in the namespace of its host, so a measurement is written down as a
conversation: one sends, another looks at where that came from, and answers. Words are those of RFC 4787.
"""

import errno
import select
import socket
import struct
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from itertools import count
from typing import NamedTuple

from tests.nat.world import Host

__all__ = ["Behaviour", "behaviour", "number", "opens_tcp", "punches", "udp"]

Place = tuple[str, int]

_numbers = count(20_000)  # no two measurements meet in one mapping
_PATIENCE = 0.25  # everything here is one machine: what has not come by then was dropped


def number() -> int:
    """A port that no measurement had."""
    return next(_numbers)


class Behaviour(NamedTuple):
    """What mapping and filtering depend on."""

    mapping: str
    filtering: str


@contextmanager
def udp(host: Host, port: int = 0) -> Iterator[socket.socket]:
    with host.inside():
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with made:
        made.bind((host.address, port))
        yield made


def heard(one: socket.socket, patience: float = _PATIENCE) -> Place | None:
    """Who the next datagram is from, if one comes."""
    while select.select([one], [], [], patience)[0]:
        with suppress(ConnectionError):  # that somebody is out of reach
            return one.recvfrom(64)[1]
    return None


def seen(one: socket.socket, server: socket.socket) -> Place:
    """The address that a server sees; its answer is waited for."""
    one.sendto(b"?", server.getsockname())
    place = heard(server, 2)
    assert place is not None, "UDP does not come through"
    server.sendto(b"!", place)
    assert heard(one, 2) == server.getsockname()
    return place


def behaviour(host: Host, first: Host, second: Host) -> Behaviour | None:
    """Of the NAT before a host that never spoke to these two; nothing where UDP does not come through."""
    with udp(first) as a, udp(first) as b, udp(second) as c, udp(host, number()) as one:
        one.sendto(b"?", a.getsockname())
        place = heard(a)
        if place is None:
            return None
        a.sendto(b"!", place)
        b.sendto(b"from another port", place)
        c.sendto(b"from another address", place)
        let_in = set(iter(lambda: heard(one), None))
        seen_by = [seen(one, each) for each in (a, b, c)]
    return Behaviour(
        depends(seen_by[0] == seen_by[2], seen_by[0] == seen_by[1]),
        depends(len(let_in) == 3, len(let_in) == 2),
    )


def depends(on_nothing: bool, on_address: bool) -> str:
    return "nothing" if on_nothing else "address" if on_address else "address and port"


def punches(one: Host, other: Host, server: Host, *, together: bool = True) -> bool:
    """Whether datagrams go both ways, when each knows where the server sees the other, and both begin.

    Not together, the first's datagrams have been under way for a while when the second begins.
    """
    with ExitStack() as stack:
        public = stack.enter_context(udp(server))
        ends = [stack.enter_context(udp(host, number())) for host in (one, other)]
        for end in ends:
            end.sendto(b"?", public.getsockname())
        found = [heard(public), heard(public)]
        if None in found:
            return False
        by_host = {place[0]: place for place in found if place}
        targets = [by_host[other.public], by_host[one.public]]
        if not together:
            ends[0].sendto(b"too early", targets[0])
        return _both_hear(ends, targets)


def _both_hear(ends: list[socket.socket], targets: list[Place]) -> bool:
    """Each sends where it believes the other to be, then where it hears it from."""
    for _ in range(4):
        for end, target in zip(ends, targets, strict=True):
            end.sendto(b"punch", target)
        came = [_from_peer(end, target) for end, target in zip(ends, targets, strict=True)]
        if all(came):
            return True
        targets = [place or target for place, target in zip(came, targets, strict=True)]
    return False


def _from_peer(end: socket.socket, target: Place) -> Place | None:
    """Its last sign; the server's answer is none."""
    places = [
        place for place in iter(lambda: heard(end, _PATIENCE / 2), None) if place[0] == target[0]
    ]
    return places[-1] if places else None


def opens_tcp(one: Host, other: Host, server: Host) -> bool:
    """Whether a connection comes about when both listen and dial at once.

    Each does both from one port; the server sees where, by a connection from that very port, which is kept.
    """
    with ExitStack() as stack:
        with server.inside():
            public = stack.enter_context(socket.create_server((server.address, 0)))
        ends = [_Dialer(stack, host, number()) for host in (one, other)]
        places = [end.learn(public) for end in ends]
        ends[0].dial(places[1])
        ends[1].dial(places[0])
        return any(end.is_through() for end in ends)


class _Dialer:
    """One local port with a listener on it, and connections from it."""

    def __init__(self, stack: ExitStack, host: Host, port: int) -> None:
        self._stack, self._host, self._port = stack, host, port
        self.listener = self._socket()
        self.listener.listen()
        self.outgoing: socket.socket | None = None

    def _socket(self) -> socket.socket:
        with self._host.inside():
            made = self._stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        made.bind((self._host.address, self._port))
        made.setblocking(False)
        return made

    def learn(self, public: socket.socket) -> Place:
        out = self._socket()
        out.connect_ex(public.getsockname())
        connection, place = public.accept()
        self._stack.enter_context(connection)
        return place

    def dial(self, place: Place) -> None:
        self.outgoing = self._socket()
        code = self.outgoing.connect_ex(place)
        # The last: the other's connection came to our listener before, between the same two places.
        assert code in (0, errno.EINPROGRESS, errno.EADDRNOTAVAIL), errno.errorcode[code]

    def is_through(self) -> bool:
        """Ours is connected, or theirs came to our listener, within a retransmission (a second, RFC 6298)."""
        assert self.outgoing is not None
        ready = select.select([self.listener], [self.outgoing], [], 1.3)
        if ready[0]:
            return True
        return bool(ready[1]) and self.outgoing.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
