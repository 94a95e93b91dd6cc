"""Relays from both ends, in virtual time: streams, channels, who is refused, and what ends them."""

import asyncio
from random import Random

import pytest

from p2pswarm.errors import NetworkError, RefusedError, RemoteProtocolError
from p2pswarm.formats.ids import Address
from p2pswarm.formats.signing import SigningKey
from p2pswarm.net.stream import Stream
from p2pswarm.overlay.people.quotas import Terms
from p2pswarm.reach.channel import RelayChannel
from p2pswarm.reach.offers import RelayAt
from p2pswarm.reach.relayed import NO_KEY, Credential, _UntilReady
from p2pswarm.wire.data import DataFramer
from p2pswarm.wire.people.frames import OPENING, PeopleFramer, PeopleKind
from p2pswarm.wire.people.hello import Hello, Want, Welcome
from p2pswarm.wire.people.marked import Relayed
from p2pswarm.wire.people.relaying import Mode, Ready, Relay
from p2pswarm.wire.people.ringing import Prove, proof
from tests.support.relaying import Hearing, Street, User, on_a_street

SESSION = b"s" * 16


async def stream(
    street: Street, user: User, peer: bytes, session: bytes = SESSION
) -> tuple[Stream, Hearing]:
    hearing = Hearing()
    framer = DataFramer(1 << 40)
    return await user.relays.stream(street.super.at, session, peer, framer, hearing), hearing


async def both_streams(street: Street) -> tuple[tuple[Stream, Hearing], tuple[Stream, Hearing]]:
    ann, bob = street.ann, street.bob
    return await asyncio.gather(
        stream(street, ann, bob.key.public), stream(street, bob, ann.key.public)
    )


async def both_channels(street: Street) -> tuple[RelayChannel, RelayChannel]:
    ann, bob, at = street.ann, street.bob, street.super.at
    return await asyncio.gather(
        ann.relays.channel(at, SESSION, bob.key.public),
        bob.relays.channel(at, SESSION, ann.key.public),
    )


def test_a_stream_is_the_others_in_every_byte() -> None:
    async def story(street: Street) -> None:
        (ann, heard_by_ann), (bob, heard_by_bob) = await both_streams(street)
        data = Random(1).randbytes(3_000_000)
        ann.send(data)
        bob.send(b"hello")
        await asyncio.sleep(60)
        assert heard_by_bob.heard == data
        assert heard_by_ann.heard == b"hello"
        ann.close()
        await asyncio.sleep(1)
        assert heard_by_bob.over
        assert not len(street.super.relay)
        assert street.super.relay.quotas.count == 0

    on_a_street(story)


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_what_comes_behind_ready_is_no_frame(size: int) -> None:
    """It may be in the same packet."""
    ready = Ready(bytes(8), bytes(4), 1, Address("1.2.3.4", 5)).encode()
    data = OPENING + ready.encode() + b"\xff" * 100
    framer, heard = _UntilReady(), list[object]()
    for at in range(0, len(data), size):
        part = data[at : at + size]
        framer.get_buffer()[: len(part)] = part
        heard += framer.received(len(part))
    assert heard == [ready]
    assert framer.unread() == b"\xff" * 100


def test_what_the_first_says_at_once_arrives() -> None:
    async def story(street: Street) -> None:
        street.bob.host.delay = 1.0  # Ann hears READY, and speaks, long before him
        waiting = asyncio.ensure_future(stream(street, street.bob, street.ann.key.public))
        (ann, _) = await stream(street, street.ann, street.bob.key.public)
        ann.send(b"\xff" * 10_000)
        (_, heard) = await waiting
        await asyncio.sleep(5)
        assert heard.heard == b"\xff" * 10_000

    on_a_street(story)


def test_a_pair_has_its_rate() -> None:
    async def story(street: Street) -> None:
        (ann, _), (_, heard) = await both_streams(street)
        ann.send(bytes(1_000_000))
        await asyncio.sleep(10)
        assert 450_000 < len(heard.heard) < 560_000

    on_a_street(story, Terms(rate=50_000))


def test_who_had_his_share_is_cut_and_told_so_the_next_time() -> None:
    async def story(street: Street) -> None:
        (ann, _), (_, heard) = await both_streams(street)
        ann.send(bytes(200_000))
        await asyncio.sleep(10)
        assert heard.over
        assert len(heard.heard) <= 100_000
        with pytest.raises(RefusedError, match="share of today"):
            await both_streams(street)

    on_a_street(story, Terms(of_pair=70_000))


def test_a_relay_that_carries_nothing_ends() -> None:
    async def story(street: Street) -> None:
        _, (_, heard) = await both_streams(street)
        await asyncio.sleep(200)
        assert heard.over

    on_a_street(story)


def test_who_waits_in_vain_is_told() -> None:
    async def story(street: Street) -> None:
        with pytest.raises(RefusedError, match="did not come"):
            await stream(street, street.ann, street.bob.key.public)

    on_a_street(story)


def test_without_proof_or_ticket_nobody_is_relayed() -> None:
    async def story(street: Street) -> None:
        ann, bob = street.ann, street.bob
        with pytest.raises(RefusedError, match="introduced"):
            await stream(street, ann, NO_KEY)
        ann.relays._who = lambda: None
        with pytest.raises(RefusedError, match="prove"):
            await stream(street, ann, bob.key.public)
        other = SigningKey(b"x" * 32)
        ann.relays._who = lambda: Credential(ann.key.public, other.sign)
        with pytest.raises(ConnectionResetError):
            await stream(street, ann, bob.key.public)
        with pytest.raises(RemoteProtocolError, match="another"):
            await bob.relays.channel(RelayAt(b"x" * 16, street.super.at.address), SESSION, NO_KEY)

    on_a_street(story)


def test_two_who_were_introduced_need_no_keys() -> None:
    async def story(street: Street) -> None:
        street.super.relay.pairing.expect(SESSION, street.loop.time())
        both = [stream(street, user, NO_KEY) for user in (street.ann, street.bob)]
        (ann, _), (_, heard) = await asyncio.gather(*both)
        ann.send(b"hello")
        await asyncio.sleep(1)
        assert heard.heard == b"hello"

    on_a_street(story)


def test_a_channel_carries_datagrams_both_ways_and_measures_the_way() -> None:
    async def story(street: Street) -> None:
        ann, bob = await both_channels(street)
        by_ann, by_bob = list[bytes](), list[bytes]()
        ann.on_datagram, bob.on_datagram = by_ann.append, by_bob.append
        ann.send(b"hello")
        bob.send(b"hi")
        await asyncio.sleep(40)  # longer than all silences: both are kept
        ann.send(b"still here")
        await asyncio.sleep(1)
        assert by_bob == [b"hello", b"still here"]
        assert by_ann == [b"hi"]
        assert ann.rtt == pytest.approx(0.02, abs=0.001)
        ended = list[str]()
        bob.on_closed = lambda: ended.append("bob")
        ann.close()
        ann.close()
        ann.send(b"into nothing")
        await asyncio.sleep(3)
        assert ended == ["bob"]
        assert not len(street.super.relay.channels)

    on_a_street(story)


def test_a_relay_that_dies_is_noticed_within_seconds() -> None:
    async def story(street: Street) -> None:
        ann, _ = await both_channels(street)
        ended = list[float]()
        ann.on_closed = lambda: ended.append(street.loop.time())
        died = street.loop.time()
        street.super.host.online = False
        await asyncio.sleep(20)
        assert ended
        assert ended[0] - died <= 4.0

    on_a_street(story)


def test_where_no_datagram_comes_through_there_is_no_channel() -> None:
    async def story(street: Street) -> None:
        for user in (street.ann, street.bob):
            user.host.loss = 1.0
        with pytest.raises(NetworkError, match="no datagram"):
            await both_channels(street)

    on_a_street(story)


def test_more_datagrams_than_the_rate_are_dropped() -> None:
    async def story(street: Street) -> None:
        ann, bob = await both_channels(street)
        heard = list[bytes]()
        bob.on_datagram = heard.append
        for _ in range(100):
            for _ in range(10):
                ann.send(bytes(1000))
            await asyncio.sleep(0.1)
        assert 90 <= len(heard) <= 120

    on_a_street(story, Terms(rate=10_000))


def test_what_others_send_in_the_name_of_the_relay_is_not_heard() -> None:
    async def story(street: Street) -> None:
        ann, _ = await both_channels(street)
        heard = list[bytes]()
        ann.on_datagram = heard.append
        at = Address(street.ann.host.name, 46881)
        right = Relayed(ann.name, ann._secret, b"from Bob's address")
        street.bob.port.send_datagram(right.encode(), at)
        wrong = Relayed(ann.name, b"pass", b"from the relay's")
        street.super.port.send_datagram(wrong.encode(), at)
        await asyncio.sleep(1)
        assert not heard

    on_a_street(story)


class Hasty:
    """Says its wish, and more before it was heard."""

    def __init__(self, user: User, wish: Relay) -> None:
        self.user, self.wish = user, wish
        self.over = False

    def got(self, frame: object) -> None:
        if frame.kind == PeopleKind.WELCOME:  # type: ignore[attr-defined]
            welcome = Welcome.read(frame.body)  # type: ignore[attr-defined]
            at = self.stream.remote
            signature = self.user.key.sign(proof(welcome.nonce, welcome.node, at))
            words = Prove(self.user.key.public, at, signature), self.wish, self.wish
            self.stream.send(*(word.encode().encode() for word in words))

    async def come(self, to: Address) -> None:
        self.stream = await self.user.port.dial(to, PeopleFramer(), self)
        hello = Hello(b"h" * 16, Want.RELAY, 46881).encode()
        self.stream.send(OPENING + hello.encode())

    def caught_up(self) -> None: ...
    def drained(self) -> None: ...
    def closed(self, reason: Exception | None) -> None:
        self.over = True


@pytest.mark.parametrize("first", [True, False])
def test_who_speaks_before_he_is_joined_is_cut(*, first: bool) -> None:
    async def story(street: Street) -> None:
        ann, bob = street.ann, street.bob
        wish = Relay(SESSION, bob.key.public, Mode.STREAM)
        hasty = Hasty(ann, wish)
        waiting = None
        if not first:
            waiting = asyncio.ensure_future(stream(street, bob, ann.key.public))
            await asyncio.sleep(1)
        await hasty.come(street.super.at.address)
        await asyncio.sleep(1)
        assert hasty.over
        assert not len(street.super.relay)
        if waiting is not None:
            _, heard = await waiting
            assert not heard.heard

    on_a_street(story)
