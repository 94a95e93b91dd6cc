"""Super nodes in memory: floods whose links are queues, and whoever asks them."""

from collections import deque
from collections.abc import Iterable

from typing_extensions import override

from p2pswarm.formats.ids import Address
from p2pswarm.overlay.supernode.asking import OURS, Ours, Role
from p2pswarm.overlay.supernode.flooding import Flood
from p2pswarm.overlay.supernode.index import Index
from p2pswarm.wire.supernode.frames import Frame
from p2pswarm.wire.supernode.hits import Found, Hits
from p2pswarm.wire.supernode.hosts import Entry
from p2pswarm.wire.supernode.queries import Query, Stop
from p2pswarm.wire.supernode.reading import read_frame
from p2pswarm.wire.supernode.shares import SharedFile

__all__ = ["ROLES", "Net", "SuperNode", "Wire", "file", "guid", "public", "question"]

ROLES = (Role.CHILD, Role.LINK, Role.VISITOR)


def public(number: int, port: int = 6346) -> Address:
    """A host of the internet."""
    return Address(f"8.8.{number >> 8}.{number & 255}", port)


def guid(number: int) -> bytes:
    return number.to_bytes(16, "big")


def question(
    number: int, text: str = "moon", ttl: int = 7, hops: int = 0, want: int = 200
) -> Query:
    return Query(guid(number), ttl, hops, tuple(text.split()), want=want)


def file(number: int, name: str = "moon") -> SharedFile:
    return SharedFile(number, 1000, name)


class Wire:
    """One end of a connection: what is sent is kept, or carried to the super node at the other end."""

    def __init__(self, remote: Address) -> None:
        self.remote = remote
        self.congested = False
        self.open = True
        self.sent: list[Frame] = []
        self.other: tuple[SuperNode, Wire] | None = None

    def send(self, *data: bytes) -> bool:
        frames = [Frame(one[2], one[3:]) for one in data]
        assert all(frame.encode() == one for frame, one in zip(frames, data, strict=True))
        if not self.open:
            return False
        if self.other is None:
            self.sent += frames
        else:
            node, end = self.other
            node.net.carried.extend((node, end, frame) for frame in frames)
        return True

    def said(self) -> list[object]:
        """What was sent since the last time, read."""
        frames, self.sent = self.sent, []
        return [read_frame(frame) for frame in frames]

    def found(self) -> list[str]:
        """The names of the hits among it."""
        hits = [message for message in self.said() if isinstance(message, Hits)]
        return [file.name for one in hits for found in one.found for file in found.files]

    @override
    def __repr__(self) -> str:
        return f"<to {self.remote}>"


class SuperNode:
    """A flood with its index. Its children are hosts of the internet, as their wires say."""

    def __init__(self, net: "Net", number: int) -> None:
        self.net, self.address = net, public(number)
        self.index: Index[Wire | Ours] = Index()
        self.flood: Flood[Wire] = Flood(self, self.index, 0.0)
        self.wires: list[Wire] = []
        self.heard: list[Found] = []
        self.known: tuple[Entry, ...] = ()

    def tell(self, owner: Wire | Ours, files: tuple[SharedFile, ...]) -> Found | None:
        host = self.address if isinstance(owner, Ours) else owner.remote
        return Found(host, b"n" * 16, False, None, files)

    def is_ours(self, address: Address) -> bool:
        return address == self.address

    def hosts(self) -> tuple[Entry, ...]:
        return self.known

    def join(self, remote: Address, role: Role, *names: str) -> Wire:
        """Somebody who is connected, and shares files of these names."""
        wire = Wire(remote)
        self.wires.append(wire)
        self.flood.joined(wire, role, self.net.now)
        self.index.add(wire, [file(number, name) for number, name in enumerate(names)])
        return wire

    def leave(self, wire: Wire) -> None:
        wire.open = False
        self.wires.remove(wire)
        self.index.forget(wire)
        self.flood.left(wire)

    def share(self, *names: str) -> None:
        self.index.add(OURS, [file(number, name) for number, name in enumerate(names)])

    def got(self, wire: Wire, message: Query | Hits | Stop) -> None:
        """It says this."""
        self.flood.got(wire, message.encode(), self.net.now)

    def ask(self, query: Query, ttl: int = 7) -> None:
        self.flood.ask(query, self.net.now, lambda hits: self.heard.extend(hits.found), ttl)


class Net:
    """Super nodes and their links; `run` carries what was sent, in its order."""

    def __init__(self, count: int, edges: Iterable[tuple[int, int]] = ()) -> None:
        self.now = 0.0
        self.carried: deque[tuple[SuperNode, Wire, Frame]] = deque()
        self.nodes = [SuperNode(self, number) for number in range(count)]
        for one, other in edges:
            self.link(self.nodes[one], self.nodes[other])

    def link(self, one: SuperNode, other: SuperNode) -> tuple[Wire, Wire]:
        there, back = one.join(other.address, Role.LINK), other.join(one.address, Role.LINK)
        there.other, back.other = (other, back), (one, there)
        one.flood.confirmed(there)
        other.flood.confirmed(back)
        return there, back

    def run(self, now: float | None = None) -> None:
        self.now = self.now if now is None else now
        while self.carried:
            node, wire, frame = self.carried.popleft()
            if wire.open:
                node.flood.got(wire, frame, self.now)

    def sent(self, kind: str) -> int:
        return sum(node.flood.counts.sent[kind] for node in self.nodes)
