"""A super node's relay against guests that are slow, silent, rude, or too many."""

import asyncio

import pytest
from hypothesis import given, settings, strategies as st

from p2pswarm.errors import NetworkError
from p2pswarm.net.stream import Stream
from p2pswarm.overlay.people import relay as room
from p2pswarm.overlay.people.quotas import Terms
from p2pswarm.overlay.people.splice import CHUNK
from p2pswarm.wire.data import DataFramer
from p2pswarm.wire.framer import KeepingFramer
from p2pswarm.wire.people.frames import MOST, OPENING, PeopleFrame, PeopleFramer, PeopleKind
from p2pswarm.wire.people.hello import Hello, Ping, Refuse, Want
from tests.support.relaying import Hearing, Street, User, on_a_street

SESSION = b"s" * 16


class Guest:
    """Says what it likes, and keeps the frames that it hears."""

    def __init__(self) -> None:
        self.heard: list[PeopleFrame] = []
        self.over = False

    async def come(self, user: User, street: Street, *words: bytes) -> "Guest":
        at = street.super.at.address
        self.stream = await user.port.dial(at, PeopleFramer(), self)
        hello = Hello(b"h" * 16, Want.RELAY, 46881).encode().encode()
        self.stream.send(OPENING + hello)
        await asyncio.sleep(0.1)
        for word in words:
            self.stream.send(word)
        return self

    def got(self, message: object) -> None:
        assert isinstance(message, PeopleFrame)
        self.heard.append(message)

    @property
    def refused(self) -> str:
        return next(Refuse.read(f.body).text for f in self.heard if f.kind == PeopleKind.REFUSE)

    def caught_up(self) -> None: ...
    def drained(self) -> None: ...
    def closed(self, reason: Exception | None) -> None:
        self.over = True


async def joined(street: Street) -> tuple[Stream, Hearing, Stream, Hearing]:
    ann, bob, at = street.ann, street.bob, street.super.at
    hears = Hearing(), Hearing()
    one, other = await asyncio.gather(
        ann.relays.stream(at, SESSION, bob.key.public, DataFramer(1 << 30), hears[0]),
        bob.relays.stream(at, SESSION, ann.key.public, DataFramer(1 << 30), hears[1]),
    )
    return one, hears[0], other, hears[1]


def test_an_end_that_does_not_read_holds_the_other_back_and_nothing_grows() -> None:
    async def story(street: Street) -> None:
        street.ann.host.up = 1e7  # then it is sent in chunks, and waits where it is not read
        ann, _, bob, heard = await joined(street)
        bob.pause()
        ann.send(bytes(3_000_000))
        await asyncio.sleep(60)
        here = street.super.host
        kept = [t.get_write_buffer_size() for t in street.loop.transports if t.host is here]
        assert sum(kept) <= CHUNK
        assert ann.unsent > 2_800_000
        bob.resume()
        await asyncio.sleep(60)
        assert len(heard.heard) == 3_000_000

    on_a_street(story, Terms(rate=0, total=0))


def test_all_pairs_together_have_their_rate() -> None:
    async def story(street: Street) -> None:
        heard = list[Hearing]()
        ann, bob, at = street.ann, street.bob, street.super.at
        for number in range(4):
            hearing, session = Hearing(), bytes([number]) * 16
            one, _ = await asyncio.gather(
                ann.relays.stream(at, session, bob.key.public, DataFramer(1 << 30), Hearing()),
                bob.relays.stream(at, session, ann.key.public, DataFramer(1 << 30), hearing),
            )
            one.send(bytes(1_000_000))
            heard.append(hearing)
        await asyncio.sleep(10)
        sizes = [len(each.heard) for each in heard]
        assert 900_000 < sum(sizes) < 1_100_000
        assert min(sizes) > 0.8 * max(sizes), "in equal parts"

    on_a_street(story, Terms(total=100_000))


def test_who_wants_nothing_is_sent_away_and_a_ping_is_answered() -> None:
    async def story(street: Street) -> None:
        guest = await Guest().come(street.ann, street, Ping().encode().encode())
        await asyncio.sleep(20)
        assert guest.over
        assert guest.refused == "nothing was asked for"
        assert PeopleKind.PONG in {frame.kind for frame in guest.heard}
        assert not street.super.relay._guests

    on_a_street(story)


def test_who_pings_without_end_and_reads_nothing_costs_nothing() -> None:
    async def story(street: Street) -> None:
        guest = await Guest().come(street.ann, street)
        guest.stream.pause()
        street.ann.host.up = 1e7
        for _ in range(5):
            guest.stream.send(Ping().encode().encode() * 20_000)
            await asyncio.sleep(1)
        here = street.super.host
        kept = [t.get_write_buffer_size() for t in street.loop.transports if t.host is here]
        assert sum(kept) < 10_000
        assert not street.super.relay._guests

    on_a_street(story)


def test_a_crowd_is_turned_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "MOST_GUESTS", 2)

    async def story(street: Street) -> None:
        guests = [await Guest().come(street.ann, street) for _ in range(3)]
        await asyncio.sleep(1)
        assert guests[2].refused == "too many want to be relayed"
        assert len(street.super.relay._guests) == 2
        for guest in guests[:2]:
            guest.stream.close()
        await asyncio.sleep(1)
        assert not street.super.relay._guests

    on_a_street(story)


def test_who_hangs_up_while_it_waits_gives_its_place_back() -> None:
    async def story(street: Street) -> None:
        ann, bob, at = street.ann, street.bob, street.super.at
        waiting = asyncio.ensure_future(
            ann.relays.stream(at, SESSION, bob.key.public, KeepingFramer(), Hearing())
        )
        await asyncio.sleep(1)
        assert len(street.super.relay.pairing) == 1
        waiting.cancel()
        await asyncio.sleep(1)
        assert not len(street.super.relay.pairing)
        await joined(street)

    on_a_street(story)


def test_when_it_ends_everybody_is_told() -> None:
    async def story(street: Street) -> None:
        ann, bob, at = street.ann, street.bob, street.super.at
        _, _, _, heard = await joined(street)
        both = await asyncio.gather(
            ann.relays.channel(at, SESSION, bob.key.public),
            bob.relays.channel(at, SESSION, ann.key.public),
        )
        ended = list[int]()
        both[0].on_closed = lambda: ended.append(1)
        guest = await Guest().come(ann, street)
        street.super.relay.close()
        street.super.relay.close()
        await asyncio.sleep(3)
        assert heard.over
        assert ended == [1]
        assert "relays no longer" in guest.refused
        assert street.super.relay.quotas.count == 0
        assert not len(street.super.relay)
        with pytest.raises(NetworkError):
            await ann.relays.channel(at, SESSION, bob.key.public)

    on_a_street(story)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.binary(max_size=60),
            st.builds(
                lambda kind, body: PeopleFrame(kind, body[: MOST.get(kind, 60)]).encode(),
                st.one_of(st.sampled_from(PeopleKind), st.integers(0, 255)),
                st.binary(max_size=60),
            ),
        ),
        max_size=4,
    )
)
def test_whatever_a_guest_says_it_hurts_nobody_else(words: list[bytes]) -> None:
    """Any complaint of the loop fails the story."""

    async def story(street: Street) -> None:
        guest = await Guest().come(street.ann, street, *words)
        one, _, _, heard = await joined(street)
        one.send(b"hello")
        await asyncio.sleep(60)
        assert heard.heard == b"hello"
        assert guest.over
        assert not street.super.relay._guests

    on_a_street(story)
