"""Super nodes, children and liars in any order: what was promised holds after every step."""

from collections import Counter

from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from p2pswarm.errors import RemoteProtocolError
from p2pswarm.overlay.supernode.asking import OF_HOST, Role
from p2pswarm.wire.supernode.frames import Frame, FrameKind
from p2pswarm.wire.supernode.hits import Found, Hits
from p2pswarm.wire.supernode.queries import Stop
from tests.support.floods import ROLES, Net, SuperNode, Wire, file, guid, public, question

COUNT = 4
LIAR = public(5000)

nodes = st.integers(0, COUNT - 1)
texts = st.sampled_from(["moon", "sun", "blue moon", "nothing"])
numbers = st.integers(0, 12)
picks = st.integers(0, 1000)


class Network(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.net = Net(COUNT)
        self.hosts = 1000
        self.asked: dict[tuple[Wire, bytes], int] = {}  # by children: how many results they want
        self.results: Counter[tuple[Wire, bytes]] = Counter()
        self.of_host: Counter[tuple[Wire, bytes, str]] = Counter()
        self.stopped: set[tuple[Wire, bytes]] = set()

    def node(self, number: int) -> SuperNode:
        return self.net.nodes[number]

    def wire(self, number: int, pick: int, role: Role | None = None) -> Wire | None:
        """One of its wires."""
        node = self.node(number)
        wires = [wire for wire in node.wires if role is None or self.role(node, wire) is role]
        return wires[pick % len(wires)] if wires else None

    def role(self, node: SuperNode, wire: Wire) -> Role:
        asker = node.flood._relay.asker(wire)
        assert asker is not None
        return asker.role

    @rule(number=nodes, names=st.lists(texts, max_size=30), role=st.sampled_from(ROLES))
    def join(self, number: int, names: list[str], role: Role) -> None:
        self.hosts += 1
        if role is not Role.SELF:
            self.node(number).join(public(self.hosts), role, *names if role is Role.CHILD else ())

    @rule(number=nodes, names=st.lists(texts, max_size=4))
    def share(self, number: int, names: list[str]) -> None:
        self.node(number).share(*names)

    @rule(one=nodes, other=nodes)
    def link(self, one: int, other: int) -> None:
        if one != other:
            self.net.link(self.node(one), self.node(other))

    @rule(number=nodes, pick=picks)
    def confirm(self, number: int, pick: int) -> None:
        wire = self.wire(number, pick)
        if wire is not None:
            self.node(number).flood.confirmed(wire)

    @rule(number=nodes, pick=picks)
    def leave(self, number: int, pick: int) -> None:
        wire = self.wire(number, pick)
        if wire is not None:
            self.node(number).leave(wire)
            if wire.other is not None and wire.other[1].open:
                wire.other[0].leave(wire.other[1])

    @rule(number=nodes, pick=picks)
    def clog(self, number: int, pick: int) -> None:
        wire = self.wire(number, pick)
        if wire is not None:
            wire.congested = not wire.congested

    @rule(seconds=st.sampled_from([0.1, 1.0, 60.0, 700.0]))
    def wait(self, seconds: float) -> None:
        self.net.now += seconds

    @rule(number=nodes, pick=picks, query=numbers, text=texts, want=st.sampled_from([1, 5, 200]))
    def child_asks(self, number: int, pick: int, query: int, text: str, want: int) -> None:
        wire = self.wire(number, pick, Role.CHILD)
        if wire is not None:
            self.asked.setdefault((wire, guid(query)), want)
            self.asked[wire, guid(query)] = max(want, self.asked[wire, guid(query)])
            self.node(number).got(wire, question(query, text, ttl=pick % 256, want=want))

    @rule(number=nodes, query=numbers, text=texts)
    def we_ask(self, number: int, query: int, text: str) -> None:
        self.node(number).ask(question(query, text))

    @rule(number=nodes, query=numbers)
    def we_stop(self, number: int, query: int) -> None:
        self.node(number).flood.stop(guid(query))

    @rule(number=nodes, pick=picks, query=numbers)
    def somebody_stops(self, number: int, pick: int, query: int) -> None:
        wire = self.wire(number, pick)
        if wire is not None:
            self.node(number).got(wire, Stop(guid(query)))
            if (wire, guid(query)) in self.asked:
                self.read_children()
                self.stopped.add((wire, guid(query)))

    @rule(number=nodes, pick=picks, query=numbers, count=st.integers(1, 40), hops=st.integers(0, 9))
    def somebody_lies(self, number: int, pick: int, query: int, count: int, hops: int) -> None:
        files = tuple(file(n) for n in range(count))
        found = Found(LIAR, b"n" * 16, False, None, files)
        self.say(number, pick, Hits(guid(query), hops, (found,)).encode())

    @rule(
        number=nodes, pick=picks, query=numbers, ttl=st.integers(0, 255), hops=st.integers(0, 255)
    )
    def somebody_asks(self, number: int, pick: int, query: int, ttl: int, hops: int) -> None:
        wire = self.wire(number, pick)
        if wire is not None and self.role(self.node(number), wire) is not Role.CHILD:
            self.say(number, pick, question(query, "moon", ttl, hops).encode())

    @rule(number=nodes, pick=picks, kind=st.sampled_from(FrameKind), body=st.binary(max_size=40))
    def somebody_babbles(self, number: int, pick: int, kind: int, body: bytes) -> None:
        self.say(number, pick, Frame(kind, body))

    def say(self, number: int, pick: int, frame: Frame) -> None:
        wire = self.wire(number, pick)
        if wire is not None:
            try:
                self.node(number).flood.got(wire, frame, self.net.now)
            except RemoteProtocolError:
                self.leave(number, pick)

    @precondition(lambda self: self.net.carried)
    @rule()
    def carry(self) -> None:
        self.net.run()

    @invariant()
    def tables_hold(self) -> None:
        for node in self.net.nodes:
            node.flood.check()
            node.index.check()
            assert all(
                owner in node.wires for owner in node.index._collections if owner in self.wires()
            )
            assert set(node.flood._links) <= set(node.wires)

    def wires(self) -> set[object]:
        return {wire for wire, _ in self.asked}

    @invariant()
    def read_children(self) -> None:
        """A child gets what it asked for, as much as it wants and until it says stop."""
        for node in self.net.nodes:
            for wire in node.wires:
                if self.role(node, wire) is Role.CHILD:
                    self.read(wire)

    def read(self, wire: Wire) -> None:
        for message in wire.said():
            assert isinstance(message, Hits)
            key = (wire, message.guid)
            assert key in self.asked
            assert key not in self.stopped
            for found in message.found:
                self.results[key] += len(found.files)
                self.of_host[*key, found.host.host] += len(found.files)
                assert self.of_host[*key, found.host.host] <= OF_HOST * self.rounds()
            assert self.results[key] <= self.asked[key] * self.rounds()

    def rounds(self) -> int:
        """After ten minutes a GUID is new again."""
        return 1 + int(self.net.now / 600)


TestNetwork = Network.TestCase
TestNetwork.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
