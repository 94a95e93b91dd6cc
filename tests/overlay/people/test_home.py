"""A super node that we are connected to, and what it may do to us."""

import asyncio
from pathlib import Path
from random import Random

import pytest

from p2pswarm.errors import BusyError, DeclinedError, NetworkError, RemoteError
from p2pswarm.formats.ids import Address
from p2pswarm.net.port import Port
from p2pswarm.net.stream import Stream
from p2pswarm.overlay.people import home as room
from p2pswarm.overlay.people.home import Home
from p2pswarm.overlay.people.proving import Proofs
from p2pswarm.overlay.people.ringing import Rung
from p2pswarm.overlay.supernode.link import Link
from p2pswarm.wire.people.dictionary import PeopleMessage
from p2pswarm.wire.people.finding import Find, Stored
from p2pswarm.wire.people.frames import OPENING, PeopleFrame, PeopleFramer, PeopleKind
from p2pswarm.wire.people.hello import Bye, Ping, Pong, Reason, Refuse, Welcome
from p2pswarm.wire.people.nodes import WHOLE, SuperNode
from p2pswarm.wire.people.ringing import Answer, Cancel, Decline, No, Proved, Rung as WireRung
from p2pswarm.wire.sniff import Guest
from p2pswarm.wire.supernode.frames import Frame
from tests.support.people import NOW
from tests.support.people_world import PORT, Me, Town, play

NODE, SESSION, KEY = b"s" * 16, b"e" * 16, b"k" * 32
THERE = Address("10.8.0.1", PORT)


class Scripted:
    """A super node that says what a test wants, and notes what it hears."""

    def __init__(self, *welcome: PeopleMessage) -> None:
        self.welcome = welcome
        self.heard: list[Frame] = []
        self.link: Link
        self.answers = True

    async def open(self, town: Town) -> "Scripted":
        town.loop.host(THERE.host)
        self.port = Port(THERE.host, PORT)
        self.port.route(Guest.PEOPLE, self._came)
        await self.port.open()
        return self

    def _came(self, stream: Stream) -> None:
        self.port.admitted(stream)
        self.link = Link(stream, self, framer=PeopleFramer)
        stream.switch(PeopleFramer(self.port.scratch), self.link)

    def say(self, *messages: PeopleMessage) -> None:
        self.link.send(*(message.encode().encode() for message in messages))

    def got(self, link: Link, frame: Frame) -> None:
        self.heard.append(frame)
        if frame.kind == PeopleKind.HELLO:
            link.send(OPENING)
            self.say(*self.welcome)
        elif frame.kind == PeopleKind.PROVE:
            self.say(Proved())
        elif frame.kind == PeopleKind.PING and self.answers:
            self.say(Pong())

    def left(self, link: Link, reason: Exception) -> None:
        pass


class Ears:
    """Whoever hears a home."""

    def __init__(self) -> None:
        self.rings: list[Rung] = []
        self.cancels: list[tuple[bytes, Address]] = []
        self.lost_homes: list[Home] = []

    def rung(self, rung: Rung) -> None:
        self.rings.append(rung)

    def cancelled(self, session: bytes, home: Address) -> None:
        self.cancels.append((session, home))

    def lost(self, home: Home) -> None:
        self.lost_homes.append(home)


WELCOME = Welcome(NODE, Address("10.8.0.2", 5), b"n" * 32, relays=True)


async def dialed(town: Town, ears: Ears | None = None) -> Home:
    host = f"10.8.0.{len(town.loop.hosts) + 2}"
    town.loop.host(host)
    port = Port(host, PORT)
    await port.open()
    proofs = Proofs(Me.named("bob"), b"b" * 16, lambda: NOW + 1)
    return await Home.dial(port, THERE, b"b" * 16, proofs, Random(1), ears)


def test_it_is_told_who_we_are_and_tells_where_we_are(tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        await Scripted(WELCOME).open(town)
        home = await dialed(town, Ears())
        assert (home.node, home.you, home.relays, home.proved) == (NODE, WELCOME.you, True, True)

    play(tmp_path, story, supers=0)


@pytest.mark.parametrize(
    "said",
    [
        [Refuse(Reason.FULL, "full")],
        [Bye("")],
        [],
    ],
)
def test_one_that_does_not_welcome_us_is_no_home(tmp_path: Path, said: list[PeopleMessage]) -> None:
    async def story(town: Town) -> None:
        await Scripted(*said).open(town)
        with pytest.raises(RemoteError):
            await dialed(town, Ears())

    assert play(tmp_path, story, supers=0) < 10.0


def test_a_ring_and_what_we_say(tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        there, ears = await Scripted(WELCOME).open(town), Ears()
        await dialed(town, ears)
        there.say(WireRung(SESSION, b"hello"))
        await town.until(lambda: ears.rings)
        ears.rings[0].answer(b"here")
        await asyncio.sleep(1)
        assert Answer.read(there.heard[-1].body) == Answer(SESSION, b"here")
        ears.rings[0].decline("busy")
        await asyncio.sleep(1)
        assert there.heard[-1].kind == PeopleKind.ANSWER

    play(tmp_path, story, supers=0)


def test_who_gives_up_says_so_and_hears_of_it(tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        there, ears = await Scripted(WELCOME).open(town), Ears()
        home = await dialed(town, ears)
        there.say(Cancel(SESSION))
        await town.until(lambda: ears.cancels)
        assert ears.cancels == [(SESSION, THERE)]
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(home.ring(KEY, b"hello", SESSION), 5)
        await asyncio.sleep(1)
        assert Cancel.read(there.heard[-1].body) == Cancel(SESSION)

    play(tmp_path, story, supers=0)


def test_a_home_that_rings_too_often_is_left(tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        there, ears = await Scripted(WELCOME).open(town), Ears()
        home = await dialed(town, ears)
        there.say(*(WireRung(bytes([number]) * 16, b"x") for number in range(40)))
        await town.until(lambda: home.over)
        assert len(ears.rings) == 20
        assert ears.lost_homes == [home]

    play(tmp_path, story, supers=0)


def test_a_home_that_goes_names_others(tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        there, ears = await Scripted(WELCOME).open(town), Ears()
        home = await dialed(town, ears)
        other = SuperNode(b"o" * 16, Address("203.0.113.9", 9), WHOLE)
        there.say(Bye("enough", (other,)))
        await town.until(lambda: ears.lost_homes)
        assert home.others == (other,)
        home.close()
        home.close()
        assert ears.lost_homes == [home]

    play(tmp_path, story, supers=0)


def test_what_was_not_asked_is_not_heard(tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        there = await Scripted(WELCOME).open(town)
        home = await dialed(town, Ears())
        there.say(Stored(bytes(8), 1, 1), Answer(SESSION, b"here"), Decline(SESSION, No.BUSY))
        there.link.send(PeopleFrame(0x7F, b"of tomorrow").encode())
        await asyncio.sleep(1)
        assert not home.over

    play(tmp_path, story, supers=0)


def test_a_ring_at_a_home_that_hangs_up_ends(tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        there = await Scripted(WELCOME).open(town)
        home = await dialed(town)
        ringing = asyncio.ensure_future(home.ring(KEY, b"hello", SESSION))
        await asyncio.sleep(1)
        there.link.close()
        with pytest.raises(NetworkError, match="hung up"):
            await ringing
        with pytest.raises(NetworkError, match="is gone"):
            await home.ring(KEY, b"hello", SESSION)

    play(tmp_path, story, supers=0)


def test_a_home_that_is_there_and_says_nothing_of_the_ring(tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        await Scripted(WELCOME).open(town)
        home = await dialed(town)
        with pytest.raises(DeclinedError) as told:
            await home.ring(KEY, b"hello", SESSION)
        assert told.value.reason == "no-answer"

    assert play(tmp_path, story, supers=0) < room.RING_TIME + 1


def test_a_home_that_is_not_there_is_found_out_soon(tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        there = await Scripted(WELCOME).open(town)
        home = await dialed(town)
        there.answers = False
        with pytest.raises(NetworkError, match="says nothing"):
            await home.ring(KEY, b"hello", SESSION)
        assert home.over

    assert play(tmp_path, story, supers=0) < room.ALIVE + 1


def test_so_many_questions_at_once(tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        await Scripted(WELCOME).open(town)
        home = await dialed(town)
        asked = [
            asyncio.ensure_future(home.ask(lambda token: Find(token, KEY)))
            for _ in range(room.MOST_ASKED)
        ]
        await asyncio.sleep(1)
        with pytest.raises(BusyError):
            await home.ask(lambda token: Find(token, KEY))
        told = await asyncio.gather(*asked, return_exceptions=True)
        assert all(isinstance(each, NetworkError) for each in told)

    play(tmp_path, story, supers=0)


def test_it_is_asked_whether_it_is_there(tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        there = await Scripted(WELCOME).open(town)
        home = await dialed(town, Ears())
        for _ in range(20):
            await asyncio.sleep(1)
            home.tick(town.loop.time())
        assert Ping().encode() in there.heard
        assert not home.over
        there.answers = False
        for _ in range(32):
            await asyncio.sleep(1)
            home.tick(town.loop.time())
        assert home.over

    play(tmp_path, story, supers=0)
