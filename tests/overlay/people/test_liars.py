"""Super nodes that lie: found out, and gone around."""

import asyncio
from pathlib import Path

import pytest

from p2pswarm.errors import NetworkError, UnknownNameError
from p2pswarm.formats.ids import Address
from p2pswarm.formats.people.names import name_hash
from p2pswarm.overlay.people.client import People
from p2pswarm.wire.people.dictionary import TokenMessage
from p2pswarm.wire.people.finding import (
    MAX_SEQ,
    Fault,
    Find,
    Found,
    Put,
    Referral,
    Rejected,
    Stored,
    Unknown,
)
from p2pswarm.wire.people.frames import PeopleKind
from p2pswarm.wire.people.nodes import WHOLE, Prefix, SuperNode
from p2pswarm.wire.supernode.frames import Frame
from tests.support.people import NOW, person
from tests.support.people_world import Clerk, Town, play

TTL = 3600


def tell(town: Town, name: str, seq: int = NOW * 1000) -> None:
    """The directory knows somebody."""
    record = person(name).record(seq)
    town.records[record.hash] = record


def finds(clerk: Clerk) -> int:
    return sum(frame.kind == PeopleKind.FIND for frame in clerk.questions)


def test_a_forged_record_is_not_believed(tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        tell(town, "bob")
        forged = bytearray(person("bob").record(NOW * 1000 + 1).encode())
        forged[-10] ^= 1

        def forges(frame: Frame) -> TokenMessage:
            return Found(Find.read(frame.body).token, bytes(forged), TTL)

        for clerk in town.clerks[:2]:
            clerk.answer = forges
        for _ in range(5):
            asker = await town.people()
            assert (await asker.find("bob")).record.seq == NOW * 1000
        assert finds(town.clerks[0]) + finds(town.clerks[1]) > 0

    play(tmp_path, story, supers=3)


def test_the_record_of_somebody_else_is_not_believed(tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        tell(town, "bob")

        def mixes_up(frame: Frame) -> TokenMessage:
            return Found(Find.read(frame.body).token, person("mallory").record().encode(), TTL)

        town.clerks[0].answer = mixes_up
        for _ in range(4):
            asker = await town.people()
            assert (await asker.find("bob")).record.name == "bob"

    play(tmp_path, story, supers=2)


def test_an_older_record_than_we_know_is_not_believed(tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        tell(town, "bob", 2000)
        asker = await town.people()
        assert (await asker.find("bob")).record.seq == 2000
        await asyncio.sleep(1000)

        def is_old(frame: Frame) -> TokenMessage:
            return Found(Find.read(frame.body).token, person("bob").record(1000).encode(), TTL)

        for clerk in town.clerks[:2]:
            clerk.answer = is_old
        assert (await asker.find("bob")).record.seq == 2000
        town.clerks[2].answer = is_old
        await asyncio.sleep(1000)
        with pytest.raises(NetworkError, match="an old record"):
            await asker.find("bob")

    play(tmp_path, story, supers=3)


def test_one_that_knows_nobody_is_overruled(tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        tell(town, "bob")

        def knows_nobody(frame: Frame) -> TokenMessage:
            return Unknown(Find.read(frame.body).token, 60, authoritative=True, slot=WHOLE)

        for clerk in town.clerks[:2]:
            clerk.answer = knows_nobody
        for recursive in (False, True):
            for _ in range(3):
                asker = await town.people()
                if recursive:
                    await asker.join()
                found = await asker.find("bob", recursive=recursive)
                assert found.record.name == "bob"

    play(tmp_path, story, supers=5)


def test_noise_is_no_answer(tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        tell(town, "bob")

        def stores(frame: Frame) -> TokenMessage:
            return Stored(Find.read(frame.body).token, 3, 3)

        town.clerks[0].answer = stores
        town.clerks[1].answer = lambda frame: None
        for _ in range(3):
            assert (await (await town.people()).find("bob")).record.name == "bob"

    play(tmp_path, story, supers=3)


def test_nobody_is_sent_to_a_victim(tmp_path: Path) -> None:
    """Who is named is asked once, and none of those who cannot be where they are said to be."""

    async def story(town: Town) -> None:
        victim = await town.people()
        heard: list[bytes] = []
        place = Address(victim._port.host, 46881)
        victim._heard = lambda data, source: heard.append(data)  # type: ignore[method-assign]
        await victim.open()

        def names(frame: Frame) -> TokenMessage:
            find = Find.read(frame.body)
            slot = Prefix.of(find.hash, 32)
            nodes = tuple(SuperNode(bytes([n]) * 16, place, slot) for n in range(20))
            return Referral(find.token, nodes, WHOLE)

        for clerk in town.clerks:
            clerk.answer = names
        for _ in range(5):
            asker = await town.people()
            with pytest.raises(NetworkError):
                await asker.find("bob")
        assert len(heard) <= 5

    play(tmp_path, story, supers=3)


async def writes(town: Town, people: People) -> None:
    await people.join()
    await town.until(lambda: people.status().published, 120)
    assert town.records[name_hash("bob")].name == "bob"


def test_who_says_to_have_stored_and_told_nobody_is_found_out(tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        def pretends(frame: Frame) -> TokenMessage | None:
            if frame.kind == PeopleKind.PUT:
                return Stored(Put.read(frame.body).token, 9, 10)
            return town.clerks[0].honest(frame)

        for clerk in town.clerks[:2]:
            clerk.answer = pretends
        await writes(town, await town.people("bob"))

    play(tmp_path, story, supers=5)


def test_a_number_that_is_too_low_is_raised(tmp_path: Path) -> None:
    """Another device of ours wrote one, or our clock was put back."""

    async def story(town: Town) -> None:
        newest = (NOW + 5000) * 1000

        def knows_newer(frame: Frame) -> TokenMessage | None:
            if frame.kind == PeopleKind.PUT:
                put = Put.read(frame.body)
                if person("bob").record(newest).seq >= _seq(put.record):
                    return Rejected(put.token, Fault.STALE, newest)
            return town.clerks[0].honest(frame)

        for clerk in town.clerks:
            clerk.answer = knows_newer
        people = await town.people("bob")
        await writes(town, people)
        assert town.records[name_hash("bob")].seq == newest + 1

    play(tmp_path, story)


@pytest.mark.parametrize("number", [MAX_SEQ, (1 << 53) - 1, 1 << 53])
def test_a_liar_does_not_use_up_our_numbers(tmp_path: Path, number: int) -> None:
    """It said that the newest is the last one that there is, and everything ended with an error of ours."""

    async def story(town: Town) -> None:
        def lies(frame: Frame) -> TokenMessage | None:
            if frame.kind == PeopleKind.PUT:
                return Rejected(Put.read(frame.body).token, Fault.STALE, number)
            return town.clerks[0].honest(frame)

        for clerk in town.clerks:
            clerk.answer = lies
        people = await town.people("bob")
        await people.join()
        await town.until(lambda: people.publisher.trouble)
        for clerk in town.clerks:
            clerk.answer = clerk.honest
        await town.until(lambda: people.status().published)
        assert town.records[name_hash("bob")].seq < (NOW + 3600) * 1000

    play(tmp_path, story)


def _seq(record: bytes) -> int:
    from p2pswarm.formats.people.record import Record

    return Record.parse(record).seq


def test_too_few_copies_are_written_again(tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        tries = 0

        def has_few(frame: Frame) -> TokenMessage | None:
            nonlocal tries
            if frame.kind == PeopleKind.PUT:
                tries += 1
                if tries < 20:
                    return Stored(Put.read(frame.body).token, 1, 10)
            return town.clerks[0].honest(frame)

        for clerk in town.clerks:
            clerk.answer = has_few
        people = await town.people("bob")
        await people.join()
        await asyncio.sleep(5)
        assert "only 1 of 10 have our record" in people.publisher.trouble
        await town.until(lambda: people.status().published, 300)

    play(tmp_path, story)


def test_a_directory_that_fails_is_no_unknown_name(tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        for clerk in town.clerks:
            clerk.answer = lambda frame: None
        asker = await town.people()
        with pytest.raises(NetworkError) as told:
            await asker.find("bob")
        assert not isinstance(told.value, UnknownNameError)

    play(tmp_path, story, supers=2)
