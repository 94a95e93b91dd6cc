"""Super nodes come, leave and die, and no record that is alive is lost."""

from random import Random

import pytest

from p2pswarm.errors import FormatError
from p2pswarm.lab.people.world import World, judge, make_record
from p2pswarm.overlay.people.records import Judged
from p2pswarm.wire.people.nodes import Prefix
from p2pswarm.wire.people.slots import HELD_MOST
from tests.support.directories import having, keepers, network, slots


def fill(world: World, n: int) -> list[bytes]:
    """Records, each put at one of its slot and copied by repair alone."""
    hashes = [world.dice.randbytes(32) for _ in range(n)]
    for number, hash_ in enumerate(hashes):
        server = keepers(world, hash_)[0]
        record = make_record(hash_, number + 1)
        server.directory._writing.store(record, 72 * 3600, world.now)
    return hashes


def test_members_bring_each_other_to_the_same_records() -> None:
    world = network(6)
    hashes = fill(world, 20 * HELD_MOST)  # so many that sums of sums are compared
    world.run(150)
    assert {having(world, hash_) for hash_ in hashes} == {6}
    for server in world.servers():
        server.directory.records.check()
        assert server.directory.records.digest(Prefix(0, 0))[0] == len(hashes)


def test_a_split_loses_no_record_and_nobody_keeps_what_is_not_its_own() -> None:
    world = network(14)
    hashes = fill(world, 60)
    world.run(60)
    for _ in range(14):
        world.start([server.address for server in world.servers()[:3]])
        world.run(1)
    world.run(200)
    assert len(slots(world)) > 1
    for hash_ in hashes:
        assert having(world, hash_) == len(keepers(world, hash_))


def test_a_merge_loses_no_record() -> None:
    world = network(24)
    assert len(slots(world)) == 2
    hashes = fill(world, 60)
    world.run(60)
    small = min(slots(world), key=lambda slot: slots(world)[slot])
    gone = [each for each in world.servers() if each.directory.slot == small][3:]
    gone += [each for each in world.servers() if each.directory.slot != small][8:]
    for server in gone:
        server.alive = False
    world.run(200)
    assert list(slots(world)) == [Prefix(0, 0)]
    assert {having(world, hash_) for hash_ in hashes} == {len(world.servers())}


def test_one_that_leaves_is_asked_no_more_at_once() -> None:
    world = network(8)
    leaving = world.servers()[3]
    world.send(leaving, leaving.directory.leave(world.now))
    world.run(1)
    leaving.alive = False
    world.run(4)
    for server in world.servers():
        assert leaving.address not in server.directory.contacts.live


def test_one_that_died_is_noticed_and_one_that_comes_back_is_taken_in() -> None:
    world = network(8)
    dead = world.servers()[3]
    dead.alive = False
    world.run(30)
    for server in world.servers():
        assert dead.address not in server.directory.contacts.live
        assert server.directory.membership.size == 7
    world.start([world.servers()[0].address], dead.address)
    world.run(40)
    assert all(server.directory.membership.size == 8 for server in world.servers())


@pytest.mark.parametrize("seed", [1, 2])
def test_a_lossy_network_holds_together(seed: int) -> None:
    world = network(24, seed, loss=0.05)
    world.run(60)
    assert sum(0.5**slot.length for slot in slots(world)) == 1.0
    hashes = fill(world, 30)
    world.run(120)
    for hash_ in hashes:
        assert having(world, hash_) >= len(keepers(world, hash_)) - 1


def test_two_networks_that_meet_become_one() -> None:
    world = World(Random(5))
    for _ in range(2):
        first = world.start()
        world.run(8)
        for _ in range(3):
            world.start([first.address])
        world.run(20)
    one, other = world.servers()[0], world.servers()[4]
    world.start([one.address, other.address])
    world.run(60)
    assert all(server.directory.membership.size == 9 for server in world.servers())


def test_a_newer_revocation_list_comes_to_all_and_records_are_judged_again() -> None:
    world = network(6)
    hashes = fill(world, 5)
    world.run(30)

    def stricter(record: bytes) -> Judged:
        judged = judge(record)
        if judged.hash == hashes[0]:
            raise FormatError("revoked")
        return judged

    for server in world.servers():
        server.directory._judge = server.directory._writing._judge = stricter
    assert world.servers()[2].revoked.take((7).to_bytes(4, "big") + bytes(2500))
    world.run(60)
    assert {server.revoked.number for server in world.servers()} == {7}
    assert {len(server.revoked.newest) for server in world.servers()} == {2504}
    assert having(world, hashes[0]) == 1  # the one that was given the list by hand
    world.servers()[2].directory.judge_again()
    world.run(1)
    assert having(world, hashes[0]) == 0
    assert having(world, hashes[1]) == 6
