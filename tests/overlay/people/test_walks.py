"""Questions by UDP: whose answers count."""

import asyncio
from pathlib import Path
from random import Random

from p2pswarm.formats.ids import Address
from p2pswarm.net.port import Port
from p2pswarm.overlay.people.lookup import Verdict, Walk
from p2pswarm.overlay.people.walks import Question, Walks
from p2pswarm.wire.people.datagrams import TOKEN_SIZE, read_datagram
from p2pswarm.wire.people.finding import Find, Found, Referral
from p2pswarm.wire.people.nodes import WHOLE, Prefix, SuperNode
from p2pswarm.wire.supernode.frames import Frame
from tests.support.people_world import PORT, Town, play

HASH = b"h" * 32
THERE, ELSEWHERE = Address("203.0.113.1", 5), Address("203.0.113.2", 5)


class Asker:
    """What is asked is noted, and answered by the test."""

    def __init__(self, *known: Address) -> None:
        self.sent: list[tuple[Frame, Address]] = []
        self.answered: list[Address] = []
        self.named: list[SuperNode] = []
        port = Port("203.0.113.9", PORT)
        port.send_datagram = lambda data, to: self.sent.append((read_datagram(data), to))  # type: ignore[method-assign]
        self.walks = Walks(
            port,
            Random(1),
            lambda address: address in known,
            self.answered.append,
            lambda nodes, teller: self.named.extend(nodes),
        )

    async def walk(self, *starts: Address) -> Verdict[str]:
        def heard(walk: Walk[str], address: Address, frame: Frame) -> None:
            walk.found(address, Found.read(frame.body).record.decode(), 1)

        question: Question[str] = Question(HASH, lambda token: Find(token, HASH), heard)
        return await self.walks.walk(Walk(starts, Random(1)), question)

    def token(self, nth: int = -1) -> bytes:
        return self.sent[nth][0].body[:TOKEN_SIZE]


def test_an_answer_comes_from_whom_was_asked_with_its_token_and_once(tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        asker = Asker(THERE)
        walking = asyncio.ensure_future(asker.walk(THERE))
        await asyncio.sleep(0.1)
        answer = Found(asker.token(), b"record", 60).encode()
        assert not asker.walks.got(answer, ELSEWHERE)
        assert not asker.walks.got(Found(b"another!", b"record", 60).encode(), THERE)
        assert asker.walks.got(answer, THERE)
        assert not asker.walks.got(answer, THERE)
        assert (await walking).record == "record"
        assert asker.answered == [THERE]

    play(tmp_path, story, supers=0)


def test_an_answer_that_comes_too_late_is_none(tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        asker = Asker(THERE)
        assert not (await asker.walk(THERE)).known
        assert not asker.walks.got(Found(asker.token(), b"record", 60).encode(), THERE)

    play(tmp_path, story, supers=0)


def test_a_stranger_is_asked_once_in_ten_minutes(tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        asker = Asker()
        for _ in range(3):
            await asker.walk(THERE)
        assert [to for _, to in asker.sent] == [THERE]
        await asyncio.sleep(600)
        await asker.walk(THERE)
        assert len(asker.sent) == 2

    play(tmp_path, story, supers=0)


def test_who_cannot_be_where_it_is_said_to_be_is_not_asked(tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        asker = Asker(THERE)
        walking = asyncio.ensure_future(asker.walk(THERE))
        await asyncio.sleep(0.1)
        liar = SuperNode(b"l" * 16, ELSEWHERE, Prefix.of(HASH, 30))
        assert asker.walks.got(Referral(asker.token(), (liar,), WHOLE).encode(), THERE)
        assert not (await walking).known
        assert [to for _, to in asker.sent] == [THERE]

    play(tmp_path, story, supers=0)


def test_whoever_stops_waiting_leaves_nothing_behind(tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        asker = Asker(THERE)
        walking = asyncio.ensure_future(asker.walk(THERE))
        await asyncio.sleep(0.1)
        walking.cancel()
        await asyncio.wait([walking])
        assert not asker.walks._asked

    play(tmp_path, story, supers=0)
