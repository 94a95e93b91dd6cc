"""Users and super nodes in virtual time: found, rung, and back at home when homes die."""

import asyncio
from pathlib import Path

import pytest

from p2pswarm.errors import (
    DeclinedError,
    NetworkError,
    NoLoginError,
    OfflineError,
    UnknownNameError,
)
from p2pswarm.overlay.people.client import People
from p2pswarm.overlay.people.ringing import Rung
from tests.support.people import NOW, issuer, person
from tests.support.people_world import Town, me_of, play

SESSION = b"s" * 16


async def at_home(town: Town, name: str) -> People:
    """Somebody who is in the network and in the directory."""
    people = await town.people(name)
    await people.join()
    await town.until(lambda: people.status().published)
    return people


def answering(people: People, offer: bytes = b"here") -> list[Rung]:
    rings: list[Rung] = []

    def ring(rung: Rung) -> None:
        rings.append(rung)
        rung.answer(offer)

    people.on_ring = ring
    return rings


def test_found_and_rung(tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        bob = await at_home(town, "bob")
        rings = answering(bob)
        alice = await at_home(town, "alice")
        found = await alice.find("Bob")
        assert found.record.name == "bob"
        assert set(found.record.homes) == set(bob.keeping.homes)
        assert len(found.record.homes) == 3
        assert (found.hops, found.messages) == (1, 2)
        assert (await alice.find("bob")).messages == 0
        assert await alice.ring(found.record, b"hello", session=SESSION) == b"here"
        assert [(rung.session, rung.offer) for rung in rings] == [(SESSION, b"hello")]

    play(tmp_path, story)


def test_nobody_of_that_name(tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        alice = await at_home(town, "alice")
        with pytest.raises(UnknownNameError, match="nobody is called carol"):
            await alice.find("carol")
        asked = sum(len(clerk.questions) for clerk in town.clerks)
        with pytest.raises(UnknownNameError):
            await alice.find("carol")
        assert sum(len(clerk.questions) for clerk in town.clerks) == asked
        await asyncio.sleep(61)
        await at_home(town, "carol")
        assert (await alice.find("carol")).record.name == "carol"

    play(tmp_path, story)


def test_who_has_no_name_finds_and_is_not_let_ring(tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        rings = answering(await at_home(town, "bob"))
        nobody = await town.people()
        found = await nobody.find("bob")
        with pytest.raises(DeclinedError):
            await nobody.ring(found.record, b"hello", session=SESSION)
        assert rings == []
        await nobody.leave()

    play(tmp_path, story)


def test_without_a_login_service_nobody_can_be_believed(tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        people = await town.people()
        me_of(people).authority = None
        with pytest.raises(NoLoginError, match="no login service"):
            await people.find("bob")

    play(tmp_path, story, supers=1)


def test_found_without_udp_by_way_of_the_homes(tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        await at_home(town, "bob")
        alice = await at_home(town, "alice")
        for clerk in town.clerks:
            clerk.deaf = True
        found = await alice.find("bob")
        assert found.record.name == "bob"
        began = town.loop.time()
        with pytest.raises(UnknownNameError):
            await alice.find("carol")
        assert town.loop.time() - began < 1.0  # it does not wait for UDP again

    play(tmp_path, story)


def test_found_by_way_of_the_homes_when_asked_to(tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        await at_home(town, "bob")
        visitor = await town.people()
        found = await visitor.find("bob", recursive=True)
        assert found.record.name == "bob"
        with pytest.raises(UnknownNameError):
            await visitor.find("carol", recursive=True)

    play(tmp_path, story)


def test_published_without_udp(tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        for clerk in town.clerks:
            clerk.deaf = True
        bob = await at_home(town, "bob")
        assert bob.publisher.stored is not None
        assert set(bob.publisher.stored.homes) == set(bob.keeping.homes)

    play(tmp_path, story)


def test_declined_with_the_reason(tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        bob = await at_home(town, "bob")
        bob.on_ring = lambda rung: rung.decline("busy")
        alice = await at_home(town, "alice")
        record = (await alice.find("bob")).record
        with pytest.raises(DeclinedError) as told:
            await alice.ring(record, b"hello", session=SESSION)
        assert told.value.reason == "busy"

    play(tmp_path, story)


def test_a_ring_that_nobody_answers_ends(tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        bob = await at_home(town, "bob")
        bob.on_ring = lambda rung: None
        alice = await at_home(town, "alice")
        record = (await alice.find("bob")).record
        with pytest.raises(DeclinedError, match="nobody answers"):
            await alice.ring(record, b"hello", session=SESSION)

    assert play(tmp_path, story) < 60.0


def test_who_gives_up_is_no_longer_heard_within_a_round_trip(tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        bob = await at_home(town, "bob")
        rings: list[Rung] = []
        gave_up: list[float] = []

        def ring(rung: Rung) -> None:
            rung.on_cancelled = lambda: gave_up.append(town.loop.time())
            rings.append(rung)

        bob.on_ring = ring
        alice = await at_home(town, "alice")
        record = (await alice.find("bob")).record
        ringing = asyncio.ensure_future(alice.ring(record, b"hello", session=SESSION))
        await town.until(lambda: rings)
        other = next(home.address for home in bob.homes if home.address != rings[0].home)
        bob.cancelled(SESSION, other)  # it did not ring
        bob.cancelled(bytes(16), rings[0].home)
        assert not gave_up
        ringing.cancel()
        began = town.loop.time()
        await town.until(lambda: gave_up)
        assert town.loop.time() - began < 0.5
        rings[0].answer(b"too late")

    play(tmp_path, story)


@pytest.mark.parametrize("answers", ["late", "at once"])
def test_a_home_that_dies_while_it_rings_takes_no_answer_with_it(
    tmp_path: Path, answers: str
) -> None:
    async def story(town: Town) -> None:
        bob = await at_home(town, "bob")
        rings: list[Rung] = []
        bob.on_ring = rings.append
        alice = await at_home(town, "alice")
        record = (await alice.find("bob")).record
        ringing = asyncio.ensure_future(alice.ring(record, b"hello", session=SESSION))
        await town.until(lambda: rings)
        [first] = [clerk for clerk in town.clerks if clerk.place.address == rings[0].home]
        town.unplug(first.people)
        if answers == "at once":
            rings[0].answer(b"here")
        await town.kill(first.people)
        await asyncio.sleep(10)
        rings[0].answer(b"here")
        assert await ringing == b"here"
        assert len(rings) == 1

    play(tmp_path, story)


def test_who_rings_again_as_its_connection_broke_is_heard_again(tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        bob = await at_home(town, "bob")
        rings: list[Rung] = []
        bob.on_ring = rings.append
        heard: list[bytes] = []
        homes = [home.address for home in bob.homes]
        for home in homes[:2]:
            bob.rung(Rung(SESSION, b"hello", home, heard.append, lambda reason: None))
            bob.cancelled(SESSION, home)
        assert len(rings) == 2
        bob.rung(Rung(SESSION, b"hello", homes[2], heard.append, lambda reason: None))
        rings[2].answer(b"here")
        bob.rung(Rung(SESSION, b"hello", homes[0], heard.append, lambda reason: None))
        assert heard == [b"here", b"here"]
        assert len(rings) == 3

    play(tmp_path, story)


def test_who_left_is_offline_and_still_found(tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        bob = await at_home(town, "bob")
        alice = await at_home(town, "alice")
        await bob.leave()
        await bob.leave()
        record = (await alice.find("bob")).record
        with pytest.raises(OfflineError):
            await alice.ring(record, b"hello", session=SESSION)

    play(tmp_path, story)


def test_homes_that_die_are_replaced_and_the_record_says_so(tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        bob = await at_home(town, "bob")
        rings = answering(bob)
        alice = await at_home(town, "alice")
        old = (await alice.find("bob")).record
        dead = list(bob.keeping.homes)
        for clerk in town.clerks:
            if clerk.place.address in dead:
                await town.kill(clerk.people)
        assert await alice.ring(old, b"hello", session=SESSION) == b"here"
        assert not set(bob.keeping.homes) & set(dead)
        await town.until(lambda: len(bob.keeping.homes) == 3)
        assert len(rings) == 1

    play(tmp_path, story, supers=8)


def test_homes_that_fall_silent_are_replaced_within_half_a_minute(tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        bob = await at_home(town, "bob")
        rings = answering(bob)
        alice = await at_home(town, "alice")
        old = (await alice.find("bob")).record
        dead = list(bob.keeping.homes)
        for clerk in town.clerks:
            if clerk.place.address in dead:
                town.unplug(clerk.people)
        await town.until(lambda: not set(bob.keeping.homes) & set(dead), 32)
        await town.until(lambda: bob.status().published, 20)
        assert await alice.ring(old, b"hello", session=SESSION) == b"here"
        assert len(rings) == 1

    play(tmp_path, story, supers=8)


def test_a_ring_by_way_of_a_silent_home_goes_on_by_another(tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        bob = await at_home(town, "bob")
        answering(bob)
        alice = await at_home(town, "alice")
        record = (await alice.find("bob")).record
        for clerk in town.clerks:
            if clerk.place.address in record.homes[:2]:
                town.unplug(clerk.people)
        began = town.loop.time()
        assert await alice.ring(record, b"hello", session=SESSION) == b"here"
        assert town.loop.time() - began < 2 * 6.0

    play(tmp_path, story)


def test_who_knows_one_super_node_finds_others(tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        bob = await town.people("bob", town.supers[0])
        await bob.join()
        await town.until(lambda: len(bob.keeping.homes) == 3, 30)
        assert bob.status().known == 5

    play(tmp_path, story, supers=5)


def test_the_homes_are_known_from_before(tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        bob = await at_home(town, "bob")
        host = bob._port.host
        await bob.leave()
        await bob._port.close()
        town.everybody.remove((bob, bob._port))
        again = await town.people("bob", *town.supers[:1], host=host)
        await town.kill(town.clerks[0].people)
        await again.join()
        assert again.keeping.homes

    play(tmp_path, story)


def test_a_super_node_that_steps_down_sends_its_guests_elsewhere(tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        bob = await at_home(town, "bob")
        (first, *_) = [clerk for clerk in town.clerks if clerk.place.address in bob.keeping.homes]
        await town.rest(first.people)
        await town.until(lambda: first.place.address not in bob.keeping.homes, 5)
        await town.until(lambda: len(bob.keeping.homes) == 3)
        assert not len(first.people.door.homes)

    play(tmp_path, story, supers=5)


def test_nobody_takes_us_in(tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        await town.rest(town.clerks[0].people)
        bob = await town.people("bob")
        with pytest.raises(NetworkError, match="I am no super node"):
            await bob.join()
        assert "I am no super node" in bob.status().trouble

    play(tmp_path, story, supers=1)


def test_a_super_node_that_begins_in_the_same_moment_takes_us_in(tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        (only,) = town.clerks
        await town.rest(only.people)
        bob = await town.people("bob")
        joining = asyncio.ensure_future(bob.join())
        await asyncio.sleep(5)
        town.serving[only.people] = asyncio.create_task(only.people.serve(only))
        await joining
        assert list(bob.keeping.homes) == town.supers

    play(tmp_path, story, supers=1)


@pytest.mark.parametrize("recursive", [False, True])
def test_a_super_node_that_begins_in_the_same_moment_is_asked(
    tmp_path: Path, *, recursive: bool
) -> None:
    async def story(town: Town) -> None:
        (only,) = town.clerks
        record = person("bob").record(homes=town.supers)
        town.records[record.hash] = record
        await town.rest(only.people)
        visitor = await town.people()
        finding = asyncio.ensure_future(visitor.find("bob", recursive=recursive))
        await asyncio.sleep(3)
        town.serving[only.people] = asyncio.create_task(only.people.serve(only))
        assert (await finding).record == record
        await town.rest(only.people)
        began = town.loop.time()
        late = await town.people()
        with pytest.raises(NetworkError, match="I am no super node"):
            await late.find("bob", recursive=True)
        assert town.loop.time() - began < 8

    play(tmp_path, story, supers=1)


def test_a_revoked_certificate_is_told(tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        mallory = await town.people("mallory")
        for clerk in town.clerks:
            serial = person("mallory").certificate.serial
            me_of(clerk.people).revoked = issuer().revoke([serial], 1, NOW)
        with pytest.raises(NetworkError, match="has been revoked"):
            await mallory.join()

    play(tmp_path, story)
