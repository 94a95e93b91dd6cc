"""Who is between us and a super node where we are at home shows our proof there, and is rung in our place."""

import asyncio
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest

from p2pswarm.errors import RemoteError, RemoteProtocolError
from p2pswarm.formats.ids import Address
from p2pswarm.net.port import Port
from p2pswarm.net.stream import Stream
from p2pswarm.overlay.people.home import AlreadyHomeError, Home
from p2pswarm.overlay.people.proving import Proofs
from p2pswarm.overlay.people.visitor import PROOF_TIME
from p2pswarm.reach.offers import RelayAt
from p2pswarm.wire.data import Chunk, DataFramer
from p2pswarm.wire.sniff import Guest
from tests.overlay.people.test_visitor import Stranger
from tests.support.people import NOW, person
from tests.support.people_world import PORT, Me, Town, play
from tests.support.relaying import Street, on_a_street


class Pipe:
    """What one end says is said at the other."""

    to: Stream | None = None

    def __init__(self) -> None:
        self.before = b""

    def got(self, message: object) -> None:
        assert isinstance(message, Chunk)
        if self.to is None:
            self.before += message.data
        else:
            self.to.send(message.data)

    def caught_up(self) -> None: ...
    def drained(self) -> None: ...
    def closed(self, reason: Exception | None) -> None:
        if self.to is not None:
            self.to.close()


async def between(town: Town, there: Address) -> Address:
    """Somebody who passes on everything."""
    town.loop.host("10.66.0.1")
    port = Port("10.66.0.1", PORT)
    await port.open()

    async def join(stream: Stream, pipe: Pipe) -> None:
        back = Pipe()
        back.to = stream
        pipe.to = await port.dial(there, DataFramer(1 << 30), back)
        pipe.to.send(pipe.before)

    def came(stream: Stream) -> None:
        port.admitted(stream)
        pipe = Pipe()
        stream.switch(DataFramer(1 << 30), pipe)
        joins.append(asyncio.ensure_future(join(stream, pipe)))

    joins: list[asyncio.Future[None]] = []
    port.route(Guest.PEOPLE, came)
    return Address("10.66.0.1", PORT)


def test_nobody_between_takes_our_place(tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        there = town.supers[0]
        bob = await town.people("bob", there)
        await bob.join()
        (home,) = bob.homes
        false = await between(town, there)
        bob._known.told(false, "10.1.1.1", bob.visits._zone)
        with pytest.raises(AlreadyHomeError):
            await Home.dial(bob._port, false, bob._node, bob.proofs, town.dice, homes=bob.homes)
        with pytest.raises(AlreadyHomeError):
            await bob.visits.visit(false)
        await asyncio.sleep(60)
        assert list(bob.homes) == [home]
        assert not home.over

    play(tmp_path, story, supers=1)


def test_a_proof_is_not_kept_for_later(tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        thief = await Stranger(town).proved(person("mallory"))
        late = await Stranger(town, 1).greeted()
        await asyncio.sleep(PROOF_TIME + 1)
        thief.meeting.say(thief.proof(person("mallory")))  # a renewed one
        thief.meeting.say(thief.proof(person("bob")))
        late.meeting.say(late.proof(person("bob")))
        await asyncio.sleep(1)
        homes = town.clerks[0].people.door.homes
        assert not homes.has(person("bob").key.public)
        with pytest.raises(RemoteError):
            await late.meeting.hear(patience=1)

    play(tmp_path, story, supers=1)


def test_a_relay_that_we_know_is_dialed_where_we_know_it() -> None:
    async def story(street: Street) -> None:
        ann, bob, at = street.ann, street.bob, street.super.at
        false = RelayAt(at.node, Address("10.0.0.77", 46881))
        for each in (ann, bob):
            each.relays.known = lambda node: at.address if node == at.node else None
        channels = await asyncio.gather(
            ann.relays.channel(false, b"s" * 16, bob.key.public),
            bob.relays.channel(false, b"s" * 16, ann.key.public),
        )
        for each in channels:
            each.close()

    on_a_street(story)


PUBLIC, FALSE = Address("20.0.0.1", PORT), Address("20.0.0.66", PORT)
INSIDE = Address("10.0.0.1", PORT)


@pytest.mark.parametrize(
    ("dialed", "local", "told", "good"),
    [
        (PUBLIC, PUBLIC, None, True),
        (FALSE, PUBLIC, None, False),
        (PUBLIC, INSIDE, PUBLIC, True),  # behind a router that gives it an address
        (FALSE, INSIDE, PUBLIC, False),
        (PUBLIC, INSIDE, None, True),  # and nobody told it which
        (Address("2600::1", PORT), PUBLIC, None, True),  # nor of that kind
        (Address("2600::66", PORT), Address("2600::1", PORT), PUBLIC, False),
        (Address("192.168.7.7", PORT), PUBLIC, PUBLIC, True),  # a container's port on its host
        (PUBLIC._replace(port=1), PUBLIC, None, True),
    ],
)
def test_a_proof_is_for_the_host_that_was_dialed(
    dialed: Address, local: Address, told: Address | None, *, good: bool
) -> None:
    node, nonce = b"s" * 16, b"n" * 32
    shown = Proofs(Me.named("bob"), b"b" * 16, lambda: NOW + 1).show(nonce, node, dialed)
    there = Proofs(Me.named(""), node, lambda: NOW + 1)
    there.here = lambda: () if told is None else (told,)
    assert shown is not None
    with nullcontext() if good else pytest.raises(RemoteProtocolError, match="not here"):
        there.check(shown, nonce, local)
    other = replace(shown, at=local if dialed != local else FALSE)
    with pytest.raises(RemoteProtocolError, match="has not signed it"):
        there.check(other, nonce, local)
