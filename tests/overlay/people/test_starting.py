"""Super nodes and users that begin in the same moment: compose, a demonstration, everybody's first try."""

import asyncio
from itertools import permutations
from pathlib import Path
from random import Random

import pytest

from p2pswarm.errors import NetworkError, UnknownNameError
from p2pswarm.formats.ids import Address
from p2pswarm.lab.nats import Kind
from p2pswarm.lab.people.world import Server, World, make_record
from p2pswarm.overlay.people.client import People
from p2pswarm.overlay.people.questions import Sent
from p2pswarm.overlay.people.serving import Serving
from p2pswarm.wire.people.finding import Find, Found, Put, Unknown
from p2pswarm.wire.people.nodes import WHOLE, Prefix, SuperNode
from p2pswarm.wire.people.slots import Digest, Gossip
from tests.overlay.people.test_directory import Asker, Guest
from tests.support.directories import having, keepers, network, others, slots
from tests.support.people_world import PORT, Town, play

HOSTS = tuple(f"40.0.{n}.1" for n in range(1, 4))
LISTED = tuple(Address(host, PORT) for host in HOSTS)  # by the operator
NAMES = ("alice", "bob", "carol")
TOKEN = b"12345678"


# Super nodes alone


def begun(*after: float, seed: int = 3) -> tuple[World, list[Server]]:
    """Some of an operator's list of three; each has its own record when it begins."""
    world, made = World(Random(seed)), list[Server]()

    def begin(address: Address, number: int) -> None:
        server = world.start(LISTED, address)
        made.append(server)
        put = Put(TOKEN, make_record(bytes([64 * number]) * 32, 1), 1000)
        world.guests[number] = lambda answer: None
        world.send(server, server.directory.asked(put, number, world.now))

    for number, when in enumerate(after):
        address = LISTED[number]
        world.later(when, lambda address=address, number=number: begin(address, number))
    return world, made


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("after", [(0, 0, 0), (0, 1.5, 3), (0, 0, 3), (0, 2.2, 2.4), (0, 40, 41)])
def test_all_have_all_records_within_five_seconds(
    after: tuple[float, float, float], seed: int
) -> None:
    world, made = begun(*after, seed=seed)
    world.run(max(after) + 5)
    assert slots(world) == {WHOLE: 3}
    for number in range(3):
        assert having(world, bytes([64 * number]) * 32) == 3
    assert all(each.directory.ready for each in made)


@pytest.mark.parametrize("seed", range(6))
def test_no_final_no_is_said_to_a_name_that_one_of_them_knows(seed: int) -> None:
    world, made = begun(0, 1.5, 3, seed=seed)
    asker = Asker(world)
    while world.now < 12:
        world.run(0.2)
        for server in made:
            for number in range(len(made)):
                hash_ = bytes([64 * number]) * 32
                for find in (Find(TOKEN, hash_), Find(TOKEN, hash_, recursive=True)):
                    answer = asker.ask(server, find, seconds=0.2)
                    if isinstance(answer, Unknown):
                        assert answer.ttl < 2, world.now  # it is asked again
                    else:
                        assert isinstance(answer, Found)


def test_the_first_of_an_operators_list_serves_alone_within_three_seconds() -> None:
    world, _ = begun(0)
    world.run(3)
    (server,) = world.servers()
    assert server.directory.ready
    world.run(1)
    answer = Asker(world).ask(server, Find(TOKEN, bytes(31) + b"1"), seconds=1)
    assert isinstance(answer, Unknown)
    assert answer.authoritative
    assert 0 < answer.ttl < 3  # users are still coming
    world.run(90)
    assert server.directory.slot == WHOLE


def test_who_only_says_that_he_begins_is_not_waited_for_for_ever() -> None:
    world, _ = begun(0)
    pest = Asker(world)
    world.run(0.1)
    (server,) = world.servers()
    said = Gossip(TOKEN, b"pest" * 4, WHOLE, 0, server.address, (), 0, True)
    while world.now < 10:
        world.send(pest, [Sent(server.address, said)])
        world.run(0.5)
    assert not server.directory.ready
    while world.now < 17:
        world.send(pest, [Sent(server.address, said)])
        world.run(0.5)
    assert server.directory.ready


@pytest.mark.parametrize("seed", range(6))
def test_one_that_was_asked_in_vain_and_comes_late_is_met_at_once(seed: int) -> None:
    """Strangers who did not answer are asked again in ten minutes; the operator's are no strangers."""
    world, _ = begun(0, 40, seed=seed)
    world.run(10)
    (server,) = world.servers()
    server.directory.contacts.told([SuperNode(bytes(16), LISTED[1], WHOLE)], LISTED[1], world.now)
    world.run(32.5)
    assert list(server.directory.contacts.live) == [LISTED[1]]


def test_one_that_came_and_compares_with_nobody_makes_us_doubt_for_some_seconds() -> None:
    world, _ = begun(0)
    world.run(10)
    (server,) = world.servers()
    assert server.directory.ready
    mute = world.start(LISTED, LISTED[1])
    heard = mute.heard
    mute.heard = lambda m, s, n: [] if isinstance(m, Digest) else heard(m, s, n)  # type: ignore[method-assign]
    world.run(5)
    assert server.directory.membership.size == 2
    assert not server.directory.ready
    world.run(10)
    assert server.directory.ready


def test_who_does_not_know_yet_is_no_witness() -> None:
    world, hash_ = network(25, seed=4), b"referred" + bytes(24)
    far = others(world, hash_)[0]
    for server in keepers(world, hash_):
        server.lie = lambda find: Unknown(find.token, 0, False, Prefix.of(hash_))
    answer = Guest(world, far).ask(Find(TOKEN, hash_, recursive=True))
    assert isinstance(answer, Unknown)
    assert (answer.ttl, answer.authoritative) == (0, False)
    for server in keepers(world, hash_):
        server.lie = lambda find: Unknown(find.token, 20, True, Prefix.of(hash_))
    answer = Guest(world, far).ask(Find(TOKEN, hash_, recursive=True))
    assert isinstance(answer, Unknown)
    assert (answer.ttl, answer.authoritative) == (20, True)
    world.run(10)
    answer = Guest(world, far).ask(Find(TOKEN, hash_, recursive=True))
    assert isinstance(answer, Unknown)
    assert 0 < answer.ttl < 10  # remembered on the way, and no longer than they said


# With users


def _nothing(revoked: object) -> None:
    """What was taken back is no matter here."""


async def serving(town: Town, host: str, after: float) -> None:
    people = await town.people("", *LISTED, host=host)
    await asyncio.sleep(after)
    await people._life.begin(people.open, people._live)
    here = Address(host, PORT)
    serving = Serving(
        people, people._port, people._node, lambda: here, lambda: list(LISTED), _nothing, town.dice
    )
    await serving.run()


async def user(town: Town, name: str, after: float, *, blocked: bool) -> People:
    host = f"10.9.0.{len(name)}"
    people = await town.people(name, *LISTED, host=host)
    if blocked:
        town.loop.behind(town.loop.hosts[host], Kind.BLOCKED, f"30.9.0.{len(name)}")
    await asyncio.sleep(after)
    await people.join()
    return people


def found_after(folder: Path, after: tuple[float, ...], *, blocked: bool, recursive: bool) -> float:
    """Seconds from the last beginning of all five until the one call of `find` has brought him."""
    took = float("inf")

    async def story(town: Town) -> None:
        nonlocal took
        town.dice = Random(repr(after))
        *supers, first, second = after
        tasks = [
            asyncio.create_task(serving(town, host, when))
            for host, when in zip(HOSTS, supers, strict=True)
        ]
        callee = asyncio.create_task(user(town, "bob", second, blocked=blocked))
        alice = await user(town, "alice", first, blocked=blocked)
        await alice.find("bob", recursive=recursive)
        took = town.loop.time() - max(after)
        await callee
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)

    play(folder, story, supers=0)
    return took


ORDERS = [
    (0.0, 0.0, 0.0, 0.0, 0.0),
    *dict.fromkeys((*supers, 0.0, 0.0) for supers in permutations((0.0, 1.5, 3.0))),
    (0.0, 0.4, 3.0, 3.0, 0.0),
    (3.0, 0.0, 0.4, 0.0, 3.0),
]


@pytest.mark.parametrize("blocked", [False, True])
@pytest.mark.parametrize("recursive", [False, True])
def test_somebody_who_came_with_us_is_found_at_the_first_try(
    tmp_path: Path, *, blocked: bool, recursive: bool
) -> None:
    for number, after in enumerate(ORDERS):
        took = found_after(tmp_path / str(number), after, blocked=blocked, recursive=recursive)
        assert took < 5.0, after


def test_nobody_of_that_name_is_said_when_it_is_known(tmp_path: Path) -> None:
    """It takes some seconds in a network that has just begun, and none in one that has not."""

    async def story(town: Town) -> None:
        tasks = [asyncio.create_task(serving(town, host, 0.0)) for host in HOSTS]
        alice = await user(town, "alice", 0.0, blocked=False)
        began = town.loop.time()
        with pytest.raises(UnknownNameError):
            await alice.find("carol")
        assert 2.0 < town.loop.time() - began < 14.0
        await asyncio.sleep(60)
        began = town.loop.time()
        with pytest.raises(UnknownNameError):
            await alice.find("dave")
        assert town.loop.time() - began < 0.5
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)

    play(tmp_path, story, supers=0)


def test_super_nodes_that_cannot_say_are_asked_again_and_nobody_is_no_name(tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        for clerk in town.clerks:
            clerk.answer = lambda frame: Unknown(Find.read(frame.body).token, 0, False, WHOLE)
        alice = await town.people()
        began = town.loop.time()
        with pytest.raises(NetworkError, match="nobody could say who bob is") as told:
            await alice.find("bob")
        assert not isinstance(told.value, UnknownNameError)
        assert 7.0 < town.loop.time() - began < 12.0
        await alice.leave()

    play(tmp_path, story)
