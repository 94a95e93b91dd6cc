"""One neighbour, scripted: what comes in any chunks, what leaves in one batch, and how it ends."""

import asyncio
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import cycle, product
from random import Random

import pytest
from hypothesis import given, strategies as st

from p2pswarm.errors import NetworkError, RemoteProtocolError
from p2pswarm.formats.ids import Address
from p2pswarm.net.stream import Stream
from p2pswarm.overlay.gnutella.links import link as room
from p2pswarm.overlay.gnutella.links.agreement import Agreement, Role
from p2pswarm.overlay.gnutella.links.link import BATCH, NOWHERE, Link
from p2pswarm.wire.gnutella.bye import Bye
from p2pswarm.wire.gnutella.descriptor import Descriptor, DescriptorFramer, Kind
from tests.support.feeding import chunkings, feed
from tests.support.transport import Wire
from tests.support.world import VirtualLoop, virtual_loop

GUID = bytes(range(16))
PING = Descriptor(GUID, Kind.PING, 1, 0, b"")


def query(number: int, size: int = 20) -> Descriptor:
    return Descriptor(number.to_bytes(16, "big"), Kind.QUERY, 4, 0, bytes(size))


@dataclass
class Hearer:
    """Keeps what it hears; breaks on a payload that says so."""

    heads: list[Descriptor] = field(default_factory=list)
    pinged: int = 0
    reasons: list[Exception | None] = field(default_factory=list)

    def got(self, link: Link, head: Descriptor) -> None:
        if head.payload == b"broken":
            raise RemoteProtocolError("it is broken")
        self.heads.append(head)

    def left(self, link: Link, reason: Exception | None) -> None:
        self.reasons.append(reason)

    def ping(self, link: Link) -> None:
        self.pinged += 1


class Nobody:
    def got(self, message: object) -> None: ...
    def caught_up(self) -> None: ...
    def drained(self) -> None: ...
    def closed(self, reason: Exception | None) -> None: ...


class Pair:
    """A link, and the other side's view of it."""

    def __init__(
        self,
        *,
        inflate: bool = False,
        deflate: bool = False,
        bye: bool = True,
        leaf: bool = False,
        seen_as: str = "",
    ) -> None:
        theirs = Role.LEAF if leaf else Role.ULTRAPEER
        agreement = Agreement(
            ours=Role.ULTRAPEER,
            theirs=theirs,
            inflate=inflate,
            deflate=deflate,
            bye=bye,
            seen_as=seen_as,
        )
        self.wire, self.hearer = Wire(), Hearer()
        self.stream = Stream(DescriptorFramer(), Nobody())
        self.wire.carry(self.stream)
        self.link = Link(self.stream, agreement, self.hearer)
        self.stream.switch(self.link.framer(), self.link)
        self._packer = zlib.compressobj() if inflate else None
        self._unpacker = zlib.decompressobj() if deflate else None
        self._framer = DescriptorFramer()

    def say(self, *heads: Descriptor, sizes: list[int] | None = None) -> None:
        data = b"".join(head.encode() for head in heads)
        if self._packer is not None:
            data = self._packer.compress(data) + self._packer.flush(zlib.Z_SYNC_FLUSH)
        self.push(data, sizes)

    def push(self, data: bytes, sizes: list[int] | None = None) -> None:
        turn, at = cycle(sizes or [1 << 20]), 0
        while at < len(data) and not self.stream.over:
            buffer = self.stream.get_buffer(-1)
            n = min(next(turn), len(buffer), len(data) - at)
            buffer[:n] = data[at : at + n]
            at += n
            self.stream.buffer_updated(n)

    def hear(self) -> list[Descriptor]:
        """What was sent since the last time."""
        data = bytes(self.wire.taken)
        self.wire.taken.clear()
        if self._unpacker is not None:
            data = self._unpacker.decompress(data)
        return [head for head in feed(self._framer, data) if isinstance(head, Descriptor)]

    def bye(self) -> Bye:
        last = self.hear()[-1]
        assert (last.kind, last.ttl, last.hops) == (Kind.BYE, 1, 0)
        return Bye.read(last.payload)


@pytest.fixture
def loop() -> Iterator[VirtualLoop]:
    with virtual_loop() as loop:
        asyncio.set_event_loop(loop)
        yield loop
        asyncio.set_event_loop(None)
        assert not loop.complaints


async def turn() -> None:
    await asyncio.sleep(0)
    await asyncio.sleep(0)


@given(chunkings, st.booleans(), st.integers(0, 1 << 30))
def test_all_that_comes_is_heard(sizes: list[int], inflate: bool, seed: int) -> None:
    dice = Random(seed)
    heads = [query(number, dice.randrange(200)) for number in range(30)]

    async def story() -> None:
        pair = Pair(inflate=inflate)
        pair.say(*heads[:10], sizes=sizes)
        pair.say(*heads[10:], sizes=sizes)
        assert pair.hearer.heads == heads
        assert pair.link.received.messages == {Kind.QUERY: 30}
        assert pair.link.received.bytes[Kind.QUERY] == sum(map(len, map(Descriptor.encode, heads)))
        assert (pair.link.received.wire < pair.link.received.bytes.total()) or not inflate

    asyncio.run(story())


@pytest.mark.parametrize(("inflate", "deflate"), [*product([False, True], repeat=2)])
async def test_what_is_put_in_one_turn_leaves_in_one_write(inflate: bool, deflate: bool) -> None:
    pair = Pair(inflate=inflate, deflate=deflate)
    heads = [query(number) for number in range(10)]
    for head in heads:
        pair.link.tell(head)
    assert not pair.wire.taken
    await turn()
    assert pair.link.sent.messages == {Kind.QUERY: 10}
    assert pair.link.sent.wire == len(pair.wire.taken)
    assert (len(pair.wire.taken) < pair.link.sent.bytes.total()) is deflate
    assert pair.hear() == heads


async def test_an_answer_leaves_with_the_batch_that_asked() -> None:
    pair = Pair()
    pair.hearer.got = lambda link, head: link.tell(head) and None  # type: ignore[method-assign]
    pair.say(query(1), query(2))
    assert pair.hear() == [query(1), query(2)]  # no turn of the loop was needed


async def test_no_more_than_a_batch_lies_with_the_kernel() -> None:
    pair = Pair()
    pair.wire.room = 1000
    heads = [query(number, 1000) for number in range(50)]
    assert all(pair.link.tell(head) for head in heads)
    await turn()
    assert len(pair.wire.taken) == 1000
    assert pair.stream.unsent <= BATCH
    assert pair.link.outbox.in_flow_control
    pair.link.tell(Descriptor(GUID, Kind.HIT, 4, 0, b"overtakes"))
    pair.wire.take(1 << 20)
    heard = pair.hear()
    assert len(heard) == 51
    assert [head.kind for head in heard].index(Kind.HIT) < 20
    assert not pair.link.outbox.in_flow_control


async def test_a_neighbour_that_takes_it_gets_any_amount_in_one_turn() -> None:
    pair = Pair()
    assert all(pair.link.tell(query(number, 1000)) for number in range(1000))
    await turn()
    assert len(pair.hear()) == 1000


async def test_what_nobody_takes_is_dropped_and_not_kept() -> None:
    pair = Pair()
    pair.wire.room = 0
    kept = [pair.link.tell(query(number, 1000)) for number in range(1000)]
    assert kept.count(True) == 80  # a batch with the kernel, and the queue
    assert pair.link.outbox.size <= 64 << 10
    assert not pair.link.over


async def test_who_reads_nothing_of_what_matters_is_left(loop: VirtualLoop) -> None:
    pair = Pair()
    pair.wire.room = 0
    for _ in range(400):
        pair.link.tell(Descriptor(GUID, Kind.ROUTES, 1, 0, bytes(1000)))
    assert str(pair.link.reason) == "502 You do not read what I send"
    assert not pair.link.tell(PING)


# The end


async def test_bye_is_said_before_the_end() -> None:
    pair = Pair(deflate=True)
    pair.link.tell(query(1))
    pair.link.bye(200, "I leave")
    pair.link.bye(400, "once is enough")
    assert not pair.link.tell(query(2))
    await turn()
    assert pair.bye() == Bye(200, "I leave")
    assert pair.stream.over
    assert [str(reason) for reason in pair.hearer.reasons] == ["200 I leave"]


async def test_who_does_not_know_bye_hears_none() -> None:
    pair = Pair(bye=False)
    pair.link.bye(200, "I leave")
    assert pair.stream.over
    assert not pair.wire.taken


def test_who_takes_nothing_does_not_keep_us(loop: VirtualLoop) -> None:
    async def story() -> None:
        pair = Pair()
        pair.wire.room = 0
        pair.link.bye(200, "I leave")
        await asyncio.sleep(0.9)
        assert not pair.stream.over
        await asyncio.sleep(0.2)
        assert pair.stream.over

    loop.run_until_complete(story())


async def test_they_say_bye() -> None:
    pair = Pair()
    pair.say(Descriptor(GUID, Kind.BYE, 1, 0, Bye(415, "Hostile Peer").encode()), query(1))
    assert pair.link.told == Bye(415, "Hostile Peer")
    assert str(pair.hearer.reasons[0]) == "they left: 415 Hostile Peer"
    assert not pair.hearer.heads


async def test_who_hangs_up_has_left() -> None:
    pair = Pair()
    pair.stream.connection_lost(None)
    assert isinstance(pair.link.reason, NetworkError)
    assert len(pair.hearer.reasons) == 1
    pair.link.close()
    pair.link.bye(200, "too late")
    assert len(pair.hearer.reasons) == 1


# Who breaks rules


@given(st.binary(min_size=23, max_size=23), chunkings)
def test_a_length_that_cannot_be(start: bytes, sizes: list[int]) -> None:
    async def story() -> None:
        pair = Pair()
        pair.push(query(1).encode() + start[:19] + b"\xff\xff\xff\x7f" + bytes(100), sizes)
        await turn()
        assert pair.hearer.heads in ([query(1)], [])  # what came in one go with it is lost with it
        assert pair.bye().code == 501
        assert pair.stream.over

    asyncio.run(story())


async def test_what_is_no_zlib_stream() -> None:
    pair = Pair(inflate=True)
    pair.push(b"this is not deflated")
    await turn()
    assert pair.bye().code == 501


async def test_an_inflate_bomb() -> None:
    pair = Pair(inflate=True)
    packer = zlib.compressobj(9)
    data = packer.compress(bytes(100 << 20)) + packer.flush()
    pair.push(data)
    await turn()
    assert pair.stream.over
    assert pair.link.received.wire <= len(data)


async def test_some_mistakes_are_forgiven() -> None:
    pair = Pair()
    broken = Descriptor(GUID, Kind.QUERY, 1, 0, b"broken")
    pair.say(*[broken] * 5)
    assert not pair.link.over
    pair.say(*[broken] * 20)
    await turn()
    assert pair.bye() == Bye(400, "it is broken")


@pytest.mark.parametrize("leaf", [False, True])
async def test_what_others_broke_is_no_fault_of_who_passes_it_on_but_a_leaf_passes_on_nothing(
    leaf: bool,
) -> None:
    pair = Pair(leaf=leaf)
    pair.say(*[Descriptor(GUID, Kind.QUERY, 1, 2, b"broken")] * 25)
    await turn()
    assert pair.link.over is leaf


async def test_too_many_messages_are_dropped_and_in_the_end_too_much() -> None:
    pair = Pair(leaf=True)
    for number in range(200):
        pair.say(query(number))
    assert 30 <= len(pair.hearer.heads) <= 40
    assert not pair.link.over
    for number in range(6000):
        pair.say(query(number))
    await turn()
    assert pair.bye() == Bye(400, "Too many messages")


@given(st.binary(max_size=2000), chunkings, st.booleans())
def test_whatever_comes(data: bytes, sizes: list[int], inflate: bool) -> None:
    """Nothing is raised, and what is cut off is told why."""

    async def story() -> None:
        pair = Pair(inflate=inflate)
        pair.push(data, sizes)
        await turn()

    asyncio.run(story())


# Silence


def test_who_is_silent_is_asked_and_then_left(loop: VirtualLoop) -> None:
    async def story() -> None:
        pair = Pair()
        for _ in range(int(room.SILENCE) + 5):
            await asyncio.sleep(1)
            pair.link.tick(loop.time())
        assert pair.hearer.pinged == 1
        pair.say(PING)
        for _ in range(int(room.SILENCE) - 5):
            await asyncio.sleep(1)
            pair.link.tick(loop.time())
        assert pair.hearer.pinged == 1
        for _ in range(int(room.PATIENCE) + 10):
            await asyncio.sleep(1)
            pair.link.tick(loop.time())
        assert pair.hearer.pinged == 2
        assert pair.bye().code == 405

    loop.run_until_complete(story())


async def test_a_line_says_it_all() -> None:
    pair = Pair()
    pair.say(query(1), query(2))
    assert repr(pair.link) == "<Link 10.0.0.2:6881 ultrapeer of 2 in, 0 out>"
    assert pair.link.host == "10.0.0.1"


@pytest.mark.parametrize(
    ("seen_as", "host"),
    [
        ("", "10.0.0.1"),
        ("1.2.3.4", "1.2.3.4"),
        ("::ffff:1.2.3.4", "1.2.3.4"),
        ("::1", "10.0.0.1"),
        ("0.0.0.0", "10.0.0.1"),
        ("nonsense", "10.0.0.1"),
    ],
)
async def test_our_host_is_what_they_see(seen_as: str, host: str) -> None:
    assert Pair(seen_as=seen_as).link.host == host


async def test_who_is_reached_by_ipv6_has_no_address_to_tell() -> None:
    pair = Pair(seen_as="2001:db8::1")
    pair.stream.local = Address("2001:db8::2", 1)
    assert pair.link.host == NOWHERE
