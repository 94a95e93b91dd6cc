from hypothesis import given, settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from p2pswarm.overlay.gnutella.links.outbox import HIGH, MOST_CONTROL, Outbox
from p2pswarm.wire.gnutella.descriptor import Kind

RELAYED = (Kind.PUSH, Kind.HIT, Kind.PONG, Kind.QUERY, Kind.PING)


def drain(box: Outbox) -> list[bytes]:
    taken = []
    while box:
        taken += box.take(1)
        box.check()
    return taken


def test_what_matters_more_leaves_first() -> None:
    box = Outbox()
    for kind in reversed(RELAYED):
        box.put(kind, 1, kind.name.encode())
    assert drain(box) == [kind.name.encode() for kind in RELAYED]


def test_broadcasts_near_their_source_and_replies_from_afar_go_first() -> None:
    box = Outbox()
    for hops in (3, 0, 200, 5):
        for kind in (Kind.QUERY, Kind.HIT):
            box.put(kind, hops, b"%s %d" % (kind.name.encode(), hops))
    assert drain(box) == [
        *(b"HIT 200", b"HIT 5", b"HIT 3", b"HIT 0"),
        *(b"QUERY 0", b"QUERY 3", b"QUERY 5", b"QUERY 200"),
    ]


def test_our_own_words_go_first_and_in_order() -> None:
    box = Outbox()
    box.put(Kind.PUSH, 0, b"push")
    for n in range(5):
        box.put((Kind.ROUTES, Kind.VENDOR)[n % 2], n, b"%d" % n)
    assert drain(box) == [b"0", b"1", b"2", b"3", b"4", b"push"]


def test_flow_control_begins_above_half_and_ends_below_a_quarter() -> None:
    box = Outbox(1000)
    for _ in range(5):
        box.put(Kind.QUERY, 0, bytes(100))
    assert not box.in_flow_control
    box.put(Kind.QUERY, 0, bytes(1))
    assert box.in_flow_control
    box.take(201)
    assert box.size == 301
    assert box.in_flow_control
    box.take(100)
    assert box.size == 201
    assert not box.in_flow_control


def test_a_full_queue_drops_what_matters_least() -> None:
    box = Outbox(1000)
    for n in range(10):
        assert box.put(Kind.PING, n, bytes([n]) * 100)
    assert not box.put(Kind.PING, 9, b"x" * 100)  # no better than what is there
    assert box.put(Kind.HIT, 0, b"h" * 250)  # instead of the three pings that came farthest
    assert box.dropped == 4
    assert drain(box) == [b"h" * 250, *(bytes([n]) * 100 for n in range(7))]


def test_nothing_is_dropped_for_what_would_not_fit_anyway() -> None:
    box = Outbox(1000)
    box.put(Kind.PUSH, 0, bytes(600))
    box.put(Kind.PING, 0, bytes(300))
    assert not box.put(Kind.HIT, 0, bytes(500))
    assert box.size == 900
    assert not box.overflow


def test_a_single_message_larger_than_the_queue_passes() -> None:
    box = Outbox(1000)
    assert box.put(Kind.HIT, 0, bytes(5000))
    assert not box.put(Kind.HIT, 0, bytes(5000))
    assert box.take(1) == [bytes(5000)]
    box.put(Kind.PING, 0, bytes(300))
    assert box.put(Kind.HIT, 0, bytes(5000))
    assert box.take(1) == [bytes(5000)]
    assert not box


def test_too_much_of_our_own_is_an_overflow_and_the_bye_still_leaves() -> None:
    box = Outbox()
    box.put(Kind.HIT, 0, b"hit")
    piece = bytes(4096)
    sent = [box.put(Kind.ROUTES, 0, piece) for _ in range(MOST_CONTROL // 4096 + 1)]
    assert sent == [True] * (len(sent) - 1) + [False]
    assert box.overflow
    assert box.put(Kind.BYE, 0, b"bye")
    box.check()
    assert drain(box) == [b"bye"]


def test_before_a_bye_our_own_words_leave_and_behind_it_nothing() -> None:
    box = Outbox()
    box.put(Kind.VENDOR, 0, b"status")
    box.put(Kind.HIT, 0, b"hit")
    assert box.put(Kind.BYE, 0, b"bye")
    assert drain(box) == [b"status", b"bye"]


def test_one_in_one_out_is_the_usual_case() -> None:
    box = Outbox()
    for n in range(10):
        assert box.put(Kind.QUERY, 1, b"%d" % n)
        assert box.take(1 << 16) == [b"%d" % n]
        assert not box
    assert box.size == 0
    assert repr(box) == f"<Outbox 0 of {HIGH} bytes, 0 dropped>"


def test_a_take_gives_no_more_than_was_asked_but_for_the_first() -> None:
    box = Outbox()
    for _ in range(5):
        box.put(Kind.QUERY, 0, bytes(100))
    assert list(map(len, box.take(250))) == [100, 100]
    assert list(map(len, box.take(1))) == [100]
    assert box.take(0) == []


@given(st.lists(st.tuples(st.sampled_from(RELAYED), st.integers(0, 255)), max_size=50))
def test_the_order_is_total(messages: list[tuple[Kind, int]]) -> None:
    """Whatever is put in whatever order leaves by kind, then hops, then time."""

    def rank(each: tuple[int, tuple[Kind, int]]) -> tuple[int, int, int]:
        n, (kind, hops) = each
        far = min(hops, 15)
        return RELAYED.index(kind), far if kind in (Kind.QUERY, Kind.PING) else -far, n

    box = Outbox()
    for n, (kind, hops) in enumerate(messages):
        assert box.put(kind, hops, b"%d" % n)
    expected = [b"%d" % n for n, _ in sorted(enumerate(messages), key=rank)]
    assert drain(box) == expected


class Neighbour(RuleBasedStateMachine):
    """Anything put, anything taken."""

    def __init__(self) -> None:
        super().__init__()
        self.box = Outbox(1000)
        self.put_in = self.taken = 0

    @rule(kind=st.integers(0, 255), hops=st.integers(0, 255), size=st.integers(1, 1200))
    def put(self, kind: int, hops: int, size: int) -> None:
        before = self.box.dropped
        if kind != Kind.BYE:
            kept = self.box.put(kind, hops, bytes(size))
            assert kept or self.box.overflow or self.box.dropped > before
            self.put_in += kept
            self.put_in -= self.box.dropped - before - (not kept and kind in RELAYED)

    @rule(budget=st.integers(0, 3000))
    def take(self, budget: int) -> None:
        taken = self.box.take(budget)
        assert len(taken) <= 1 or sum(map(len, taken)) <= budget
        self.taken += len(taken)

    @invariant()
    def right(self) -> None:
        self.box.check()
        waiting = sum(len(line.messages) for line in self.box._lines.values())
        assert waiting == self.put_in - self.taken
        if self.box.size > 500:
            assert self.box.in_flow_control
        if not self.box:
            assert not self.box.size


TestNeighbour = Neighbour.TestCase
TestNeighbour.settings = settings(max_examples=50, stateful_step_count=60, deadline=None)
