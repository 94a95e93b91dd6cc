"""Super nodes of the directory together, on virtual time: they find their slots, keep records, answer."""

from random import Random

import pytest
from typing_extensions import override

from p2pswarm.formats.ids import Address
from p2pswarm.lab.people.world import Host, Server, World, make_record
from p2pswarm.overlay.people.questions import Sent
from p2pswarm.overlay.people.shape import LEAST, SPLIT_AT
from p2pswarm.wire.people.dictionary import TokenMessage
from p2pswarm.wire.people.finding import (
    Fault,
    Find,
    Found,
    Put,
    Referral,
    Rejected,
    Stored,
    Unknown,
)
from p2pswarm.wire.people.nodes import WHOLE, Prefix, SuperNode
from tests.support.directories import having, keepers, network, others, slots

HASH = bytes(range(32))


class Asker(Host):
    """Keeps what it is answered."""

    def __init__(self, world: World) -> None:
        super().__init__(world.place())
        world.hosts[self.address] = self
        self.world, self.answers = world, list[TokenMessage]()

    @override
    def heard(self, message: TokenMessage, source: Address, now: float) -> list[Sent]:
        self.answers.append(message)
        return []

    def ask(self, server: Server, question: TokenMessage, seconds: float = 4.0) -> TokenMessage:
        """The one answer."""
        self.answers.clear()
        self.world.send(self, [Sent(server.address, question, request=True)])
        self.world.run(seconds)
        (answer,) = self.answers
        return answer


def test_the_first_one_is_the_whole_directory() -> None:
    world = network(1)
    (server,) = world.servers()
    assert server.directory.ready
    assert server.directory.slot == WHOLE
    asker = Asker(world)
    stored = asker.ask(server, Put(b"12345678", make_record(HASH, 5), 100))
    assert stored == Stored(b"12345678", 1, 1)
    found = asker.ask(server, Find(b"12345678", HASH))
    assert isinstance(found, Found)
    assert found.record == make_record(HASH, 5)
    assert 90 <= found.ttl <= 100
    assert found.authoritative
    assert isinstance(asker.ask(server, Find(b"12345678", bytes(32))), Unknown)


def test_those_who_begin_at_once_and_know_only_each_other_come_together() -> None:
    world = World(Random(3))
    places = [world.place() for _ in range(3)]
    for place in places:
        world.start([each for each in places if each != place], place)
    world.run(60)
    assert slots(world) == {WHOLE: 3}
    assert all(server.directory.membership.size == 3 for server in world.servers())


@pytest.fixture(scope="module")
def thirty() -> World:
    """Slots were split on the way, and everybody knows who is where."""
    return network(30)


def test_slots_are_split_and_everybody_knows_its_own(thirty: World) -> None:
    sizes = slots(thirty)
    assert len(sizes) >= 2
    assert all(LEAST <= size < SPLIT_AT for size in sizes.values()), sizes
    assert sum(0.5**slot.length for slot in sizes) == 1.0  # no gap, and nothing twice
    for server in thirty.servers():
        server.directory.contacts.check()
        assert server.directory.ready
        assert server.directory.membership.size == sizes[server.directory.slot]
        known = {contact.slot for contact in server.directory.contacts.live.values()}
        assert known | {server.directory.slot} >= sizes.keys()


def test_a_record_is_with_its_whole_slot_and_found_from_anywhere(thirty: World) -> None:
    asker = Asker(thirty)
    far, there = others(thirty, HASH)[0], keepers(thirty, HASH)[0]
    referral = asker.ask(far, Put(b"1" * 8, make_record(HASH, 7), 1000))
    assert isinstance(referral, Referral)
    assert referral.nodes[0].slot.covers(Prefix.of(HASH))
    for node in referral.nodes:
        assert node.slot.common(Prefix.of(HASH)) > far.directory.slot.common(Prefix.of(HASH))
    stored = asker.ask(there, Put(b"1" * 8, make_record(HASH, 7), 1000))
    assert isinstance(stored, Stored)
    assert stored.majority
    assert having(thirty, HASH) == len(keepers(thirty, HASH)) == stored.of
    found = asker.ask(keepers(thirty, HASH)[-1], Find(b"1" * 8, HASH))
    assert isinstance(found, Found)
    assert isinstance(asker.ask(far, Find(b"1" * 8, HASH)), Referral)


def test_an_older_record_and_one_that_is_none_are_refused(thirty: World) -> None:
    asker, hash_ = Asker(thirty), b"old" + bytes(29)
    there = keepers(thirty, hash_)[0]
    asker.ask(there, Put(b"1" * 8, make_record(hash_, 9), 1000))
    older = asker.ask(there, Put(b"1" * 8, make_record(hash_, 8), 1000))
    assert older == Rejected(b"1" * 8, Fault.STALE, 9)
    assert asker.ask(there, Put(b"1" * 8, b"nothing", 10)) == Rejected(b"1" * 8, Fault.BAD)
    now = asker.ask(there, Put(b"1" * 8, make_record(hash_, 10), 1000), seconds=1.5)
    assert isinstance(now, Stored)
    often = asker.ask(there, Put(b"1" * 8, make_record(hash_, 11), 1000))
    assert often == Rejected(b"1" * 8, Fault.TOO_OFTEN)


def test_a_stranger_is_not_asked_on_for_but_a_guest_is(thirty: World) -> None:
    asker, hash_ = Asker(thirty), b"guest" + bytes(27)
    far = others(thirty, hash_)[0]
    assert isinstance(asker.ask(far, Find(b"1" * 8, hash_, recursive=True)), Referral)
    guest = Guest(thirty, far)
    stored = guest.ask(Put(b"2" * 8, make_record(hash_, 1), 1000, recursive=True))
    assert isinstance(stored, Stored)
    assert stored.majority
    found = guest.ask(Find(b"3" * 8, hash_, recursive=True))
    assert isinstance(found, Found)
    assert found.hops == 1
    assert found.messages == 2
    again = guest.ask(Find(b"4" * 8, hash_, recursive=True))
    assert isinstance(again, Found)
    assert not again.authoritative  # it was kept on the way
    nobody = guest.ask(Find(b"5" * 8, b"nobody" + bytes(26), recursive=True))
    assert isinstance(nobody, Unknown)
    assert 0 < nobody.ttl <= 60


class Guest:
    """Asks by stream."""

    def __init__(self, world: World, server: Server) -> None:
        self.world, self.server = world, server

    def ask(self, question: TokenMessage) -> TokenMessage:
        heard: list[TokenMessage] = []
        self.world.guests[self] = heard.append
        self.world.send(self.server, self.server.directory.asked(question, self, self.world.now))
        self.world.run(6)
        (answer,) = heard
        return answer


def test_a_lying_super_node_is_found_out_and_asked_around(thirty: World) -> None:
    hash_ = b"liar" + bytes(28)
    asker = Asker(thirty)
    asker.ask(keepers(thirty, hash_)[0], Put(b"1" * 8, make_record(hash_, 1), 1000))
    liars = keepers(thirty, hash_)[::2]
    forged = make_record(b"else" + bytes(28), 2)
    was = {liar: liar.heard for liar in liars}
    for liar in liars:
        liar.heard = lambda m, s, n, liar=liar: (  # type: ignore[method-assign]
            [Sent(s, Found(m.token, forged, 10))] if isinstance(m, Find) else was[liar](m, s, n)
        )
    try:
        for far in others(thirty, hash_)[:6]:
            for _ in range(3):  # it may have met liars alone, and says that it does not know
                found = Guest(thirty, far).ask(Find(b"1" * 8, hash_, recursive=True))
                if isinstance(found, Found):
                    break
                assert isinstance(found, Unknown)
                assert found.ttl == 0
            assert isinstance(found, Found)
            assert found.record == make_record(hash_, 1)
    finally:
        for liar in liars:
            del liar.heard


def test_who_floods_is_not_heard(thirty: World) -> None:
    asker, server = Asker(thirty), thirty.servers()[0]
    thirty.send(asker, [Sent(server.address, Find(b"1" * 8, HASH), request=True)] * 500)
    thirty.run(1)
    assert 100 <= len(asker.answers) <= 130


def test_no_answer_is_longer_than_its_question(thirty: World) -> None:
    asker = Asker(thirty)
    for server in thirty.servers()[:10]:
        for question in (Find(b"1" * 8, HASH), Put(b"1" * 8, make_record(HASH, 8), 10)):
            answer = asker.ask(server, question, seconds=2)
            assert World.size(answer, request=False) <= World.size(question, request=True)


def test_one_that_does_not_know_us_names_the_slot_and_we_go_on_by_ourselves() -> None:
    """Contacts are not mutual: who is asked to ask on by somebody it does not know refers him."""
    world, hash_ = network(25, seed=4), b"referred" + bytes(24)
    far, there = others(world, hash_)[0], keepers(world, hash_)[0]
    Asker(world).ask(there, Put(b"1" * 8, make_record(hash_, 1), 1000))
    for server in keepers(world, hash_):
        far.directory.contacts.gone(server.address, world.now)
    for server in others(world, hash_)[1:]:
        server.directory.contacts.gone(far.address, world.now)
        on_the_way = SuperNode(server.directory.contacts.node, server.address, Prefix.of(hash_, 1))
        far.directory.contacts.heard(on_the_way, 9, world.now)
    found = Guest(world, far).ask(Find(b"2" * 8, hash_, recursive=True))
    assert isinstance(found, Found)
    assert found.record == make_record(hash_, 1)
