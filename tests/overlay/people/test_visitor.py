"""A super node's side of a connection, byte by byte: strangers, guests, and who says nonsense."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from p2pswarm.errors import RemoteError
from p2pswarm.formats.ids import Address
from p2pswarm.net.port import Port
from p2pswarm.overlay.people import door, visitor
from p2pswarm.overlay.people.greeting import TurnedDownError, greet
from p2pswarm.overlay.people.homes import RING_TIME
from p2pswarm.overlay.supernode.meeting import Meeting
from p2pswarm.wire.people.frames import OPENING, PeopleFrame, PeopleFramer, PeopleKind
from p2pswarm.wire.people.hello import Bye, Hello, Ping, Reason, Refuse, Want, Welcome
from p2pswarm.wire.people.ringing import Answer, Decline, No, Prove, Ring, Rung, proof
from tests.support.people import Person, person
from tests.support.people_world import PORT, Town, play

SESSION = b"s" * 16
Story = Callable[[Town], Awaitable[None]]


class Stranger:
    """Somebody with a port, who speaks as he likes."""

    def __init__(self, town: Town, number: int = 0) -> None:
        self.town, self.host = town, f"10.9.0.{number + 1}"
        town.loop.host(self.host)
        self.port = Port(self.host, PORT)
        self.node = bytes([number]) * 16
        self.welcome: Welcome
        self.meeting: Meeting

    @property
    def there(self) -> Address:
        return self.town.clerks[0].place.address

    async def greeted(self, want: Want = Want.HOME) -> "Stranger":
        await self.port.open()
        self.meeting, self.welcome = await greet(self.port, self.there, self.node, want)
        return self

    async def proved(self, who: Person) -> "Stranger":
        await self.greeted()
        self.meeting.say(self.proof(who))
        await self.meeting.hear(PeopleKind.PROVED, patience=5)
        return self

    def proof(self, who: Person, node: bytes = b"") -> Prove:
        text = proof(self.welcome.nonce, node or self.welcome.node, self.there)
        return Prove(who.certificate.der, self.there, who.key.sign(text))

    async def refused(self) -> Refuse:
        frame = await self.meeting.hear(PeopleKind.REFUSE, patience=5)
        return Refuse.read(frame.body)

    async def hung_up(self) -> None:
        with pytest.raises(RemoteError, match="hung up"):
            await self.meeting.hear(PeopleKind.PROVED, patience=5)


def test_a_proof_of_another_nonce_or_for_another_super_node_is_none(tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        thief = await Stranger(town).greeted()
        thief.meeting.say(thief.proof(person("bob"), b"n" * 16))
        refusal = await thief.refused()
        assert refusal.reason is Reason.NOT_WANTED
        assert "has not signed it" in refusal.text
        other = await Stranger(town, 1).greeted()
        other.welcome = thief.welcome
        other.meeting.say(other.proof(person("bob")))
        assert (await other.refused()).reason is Reason.NOT_WANTED
        assert not len(town.clerks[0].people.door.homes)

    play(tmp_path, story, supers=1)


def test_a_certificate_of_another_service_or_one_that_is_none(tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        foreign = await Stranger(town).greeted()
        foreign.meeting.say(foreign.proof(Person("bob", by=1)))
        assert "another login service" in (await foreign.refused()).text
        broken = await Stranger(town, 1).greeted()
        broken.meeting.say(Prove(b"0\x82nonsense", broken.there, b"s" * 64))
        assert (await broken.refused()).reason is Reason.NOT_WANTED

    play(tmp_path, story, supers=1)


def test_a_super_node_that_believes_nobody_says_so(tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        from tests.support.people_world import me_of

        me_of(town.clerks[0].people).authority = None
        guest = await Stranger(town).greeted()
        guest.meeting.say(guest.proof(person("bob")))
        assert "no login service" in (await guest.refused()).text

    play(tmp_path, story, supers=1)


def test_whoever_proves_again_and_again_is_left(tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        guest = await Stranger(town).proved(person("bob"))
        for _ in range(visitor.PROOFS):
            guest.meeting.say(guest.proof(person("bob")))
        await asyncio.sleep(1)
        assert not len(town.clerks[0].people.door)

    play(tmp_path, story, supers=1)


def test_rings_and_their_answers_by_bytes(tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        bob = await Stranger(town).proved(person("bob"))
        alice = await Stranger(town, 1).proved(person("alice"))
        alice.meeting.say(Ring(person("bob").key.public, SESSION, b"hello"))
        frame = await bob.meeting.hear(PeopleKind.RUNG, patience=5)
        assert Rung.read(frame.body) == Rung(SESSION, b"hello")
        bob.meeting.say(Answer(SESSION, b"here"))
        frame = await alice.meeting.hear(PeopleKind.ANSWER, patience=5)
        assert Answer.read(frame.body) == Answer(SESSION, b"here")
        alice.meeting.say(Ring(b"k" * 32, SESSION, b"hello"))
        frame = await alice.meeting.hear(PeopleKind.DECLINE, patience=5)
        assert Decline.read(frame.body).reason is No.OFFLINE

    play(tmp_path, story, supers=1)


def test_who_proved_nothing_rings_nobody_and_is_not_rung(tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        bob = await Stranger(town).proved(person("bob"))
        nobody = await Stranger(town, 1).greeted()
        nobody.meeting.say(Ring(person("bob").key.public, SESSION, b"hello"))
        frame = await nobody.meeting.hear(PeopleKind.DECLINE, patience=5)
        assert Decline.read(frame.body).reason is No.REFUSED
        with pytest.raises(RemoteError):
            await bob.meeting.hear(PeopleKind.RUNG, patience=RING_TIME)

    play(tmp_path, story, supers=1)


def test_a_visit_ends(tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        guest = await Stranger(town).greeted(Want.VISIT)
        for _ in range(10):
            guest.meeting.say(Ping())
            await asyncio.sleep(visitor.VISIT_TIME / 8)
        frame = await guest.meeting.hear(PeopleKind.BYE, patience=5)
        assert "a visit ends" in Bye.read(frame.body).text

    play(tmp_path, story, supers=1)


def test_a_guest_that_says_nothing_more_is_left(tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        await Stranger(town).proved(person("bob"))
        people = town.clerks[0].people
        assert people.door.homes.has(person("bob").key.public)
        await asyncio.sleep(60)
        assert not people.door.homes.has(person("bob").key.public)

    play(tmp_path, story, supers=1)


def test_who_comes_by_another_connection_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        old = await Stranger(town).proved(person("bob"))
        await Stranger(town, 1).proved(person("bob"))
        frame = await old.meeting.hear(PeopleKind.BYE, patience=5)
        assert "another connection" in Bye.read(frame.body).text

    play(tmp_path, story, supers=1)


def test_a_full_super_node_names_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "MOST_VISITORS", 1)

    async def story(town: Town) -> None:
        await Stranger(town).greeted()
        with pytest.raises(TurnedDownError) as told:
            await Stranger(town, 1).greeted()
        assert told.value.refusal.reason is Reason.FULL
        assert [each.address for each in told.value.refusal.nodes] == town.supers[1:]

    play(tmp_path, story, supers=3)


def test_one_host_does_not_take_all_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nearer hosts are several nodes: as in `owner_of`, each of their addresses stands for itself."""
    monkeypatch.setattr(door, "MOST_OF_OWNER", 2)
    monkeypatch.setattr(door, "_owner", lambda remote: remote.host)

    async def story(town: Town) -> None:
        first, *others = [Stranger(town), Stranger(town, 1), Stranger(town, 2)]
        await first.greeted()
        meetings = [first.meeting]
        meeting, _ = await greet(first.port, first.there, b"2" * 16, Want.HOME)
        meetings.append(meeting)
        with pytest.raises(TurnedDownError) as told:
            await greet(first.port, first.there, b"3" * 16, Want.HOME)
        assert told.value.refusal.reason is Reason.FULL
        await others[0].greeted()
        for each in meetings:
            each.close()
        await asyncio.sleep(1)
        await greet(first.port, first.there, b"3" * 16, Want.HOME)
        assert sum(town.clerks[0].people.door._owners.values()) == 2

    play(tmp_path, story, supers=1)


def test_whose_connections_count_together() -> None:
    one, two = "2001:4860:4860::8888", "2001:4860:4860:0:1::1"
    assert door._owner(Address(one, 1)) == door._owner(Address(two, 2))
    assert door._owner(Address(one, 1)) != door._owner(Address("2001:4860:4860:1::1", 1))
    assert door._owner(Address("8.8.8.8", 1)) == door._owner(Address("8.8.8.8", 2))
    assert door._owner(Address("10.0.0.1", 1)) != door._owner(Address("10.0.0.1", 2))


def test_who_asks_too_much_is_cut(tmp_path: Path) -> None:
    from p2pswarm.wire.people.finding import Find

    async def story(town: Town) -> None:
        guest = await Stranger(town).greeted()
        for number in range(60):
            guest.meeting.say(Find(bytes(8), number.to_bytes(32, "big")))
        await guest.hung_up()
        assert len(town.clerks[0].questions) <= 20

    play(tmp_path, story, supers=1)


def test_ourselves_is_told(tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        stranger = Stranger(town)
        stranger.node = town.clerks[0].place.node
        with pytest.raises(TurnedDownError) as told:
            await stranger.greeted()
        assert told.value.refusal.reason is Reason.SELF

    play(tmp_path, story, supers=1)


def frames() -> st.SearchStrategy[list[bytes]]:
    kinds = st.sampled_from([*PeopleKind, 0x7F])
    bodies = st.one_of(st.binary(max_size=100), st.just(b"de"), st.just(b"d3:key5:valuee"))
    frame = st.builds(lambda kind, body: PeopleFrame(kind, body).encode(), kinds, bodies)
    return st.lists(frame, max_size=6)


@settings(max_examples=40, deadline=None)
@given(frames(), st.booleans())
def test_whatever_a_stranger_says_the_super_node_goes_on(said: list[bytes], greets: bool) -> None:
    async def story(town: Town) -> None:
        stranger = Stranger(town)
        await stranger.port.open()
        meeting = Meeting(stranger.there, stranger.port.scratch, 1 << 20, PeopleFramer)
        framer = PeopleFramer(stranger.port.scratch)
        stream = await stranger.port.dial(stranger.there, framer, meeting)
        hello = Hello(stranger.node, Want.HOME, PORT).encode().encode() if greets else b""
        stream.send(OPENING + hello + b"".join(said))
        await asyncio.sleep(0.5)
        guest = await Stranger(town, 1).proved(person("bob"))
        assert not guest.meeting.stream.over
        town.clerks[0].people.door.homes.check()
        stream.close()
        await stranger.port.close()
        await guest.port.close()

    play(Path("/dev/null/nowhere"), story, supers=1)
