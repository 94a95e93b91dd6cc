"""Out-of-band hits between two servents, and what somebody between or beside them can do; pushes by UDP."""

from random import Random

import pytest

from p2pswarm.errors import LocalProtocolError
from p2pswarm.formats.ids import Address
from p2pswarm.formats.zones import Zone
from p2pswarm.overlay.gnutella.udp.claims import Claims, asking_for_offers
from p2pswarm.overlay.gnutella.udp.offers import Offers, wants_offer
from p2pswarm.wire.gnutella.descriptor import Descriptor, Guid, Kind, new_guid, oob_guid
from p2pswarm.wire.gnutella.push import Push
from p2pswarm.wire.gnutella.query import Query, QueryFlags
from p2pswarm.wire.gnutella.vendor import OobAck, OobHits
from tests.support.gnutella_udp import PORT, Ether, FakeLink, Servent, hit_of

DICE = Random(5)
STRANGER = Address("81.51.200.7", 4000)
NAMES = [f"a blue moon of a rather long name, number {number}" for number in range(40)]


def pair() -> tuple[Ether, Servent, Servent]:
    ether = Ether()
    return ether, Servent.on(ether, "192.0.3.1"), Servent.on(ether, "192.0.3.2")


def asking(servent: Servent, wanted: int = 100, *, token: bool = True) -> tuple[Descriptor, Query]:
    """Its query as it arrives elsewhere, three hops away."""
    query, guid = asking_for_offers(Query("blue"), servent.address, DICE)
    if not token:
        query.ggep = {}
    servent.claims.watch(guid, wanted)
    return Descriptor(guid, Kind.QUERY, 1, 3, query.encode()), Query.read(query.encode())


def offer(ether: Ether, who: Servent, head: Descriptor, query: Query, count: int = 40) -> bool:
    hit = hit_of(who.address, NAMES[:count], who.guid)
    done = who.offers.offer(head, query, [hit], Zone.INTERNET, ether.now)
    ether.deliver()
    return done


def names(servent: Servent) -> list[str]:
    return [result.name for hit, _ in servent.found for result in hit.results]


@pytest.mark.parametrize("token", [True, False])
def test_hits_are_offered_claimed_and_sent_in_small_datagrams(token: bool) -> None:
    ether, asker, owner = pair()
    head, query = asking(asker, token=token)
    assert offer(ether, owner, head, query)
    assert names(asker) == NAMES
    assert len(asker.found) > 3
    assert all(sender == owner.address for _, sender in asker.found)
    assert all((hit.token is not None) == token for hit, _ in asker.found)
    assert len(owner.offers) == 0


def test_the_asker_takes_as_many_as_it_wants() -> None:
    ether, asker, owner = pair()
    head, query = asking(asker, wanted=7)
    offer(ether, owner, head, query)
    assert names(asker) == NAMES[:7]
    third = Servent.on(ether, "192.0.3.3")
    offer(ether, third, head, query)
    assert len(names(asker)) == 7


def test_who_asks_from_near_or_wants_no_offer_gets_none() -> None:
    ether, asker, owner = pair()
    head, query = asking(asker)
    near = Descriptor(head.guid, Kind.QUERY, 1, 1, head.payload)
    plain = Query("blue")
    assert not offer(ether, owner, near, query)
    assert not offer(ether, owner, head, plain)
    assert not offer(ether, owner, head, query, 0)
    assert wants_offer(head, query)
    assert not asker.found


def test_an_offer_ends_after_a_minute() -> None:
    ether, asker, owner = pair()
    head, query = asking(asker)
    del ether.servents[asker.address]
    offer(ether, owner, head, query)
    assert len(owner.offers) == 1
    ether.now += 61
    assert owner.offers.taken(head.guid, OobAck(255), asker.address, ether.now) == 0
    assert len(owner.offers) == 0


def test_only_the_one_who_was_told_can_claim_and_only_once() -> None:
    ether, asker, owner = pair()
    head, query = asking(asker)
    del ether.servents[asker.address]
    offer(ether, owner, head, query)
    ack = Descriptor(head.guid, Kind.VENDOR, 1, 0, OobAck(255, b"token").encode())
    assert not ether.say(ack, STRANGER, owner.address)
    assert len(ether.say(ack, asker.address, owner.address)) > 3
    assert not ether.say(ack, asker.address, owner.address)


def test_a_claim_with_a_token_that_swells_the_hits_is_none() -> None:
    ether, asker, owner = pair()
    head, query = asking(asker)
    del ether.servents[asker.address]
    offer(ether, owner, head, query)
    for size, sent in ((60_000, False), (65, False), (64, True)):
        ack = Descriptor(head.guid, Kind.VENDOR, 1, 0, OobAck(255, b"t" * size).encode())
        assert bool(ether.say(ack, asker.address, owner.address)) == sent


def test_a_victim_that_many_queries_name_gets_one_small_datagram() -> None:
    ether, _, owner = pair()
    victim, told = STRANGER, 0
    for _ in range(500):
        query = Query("blue", flags=QueryFlags.OOB)
        head = Descriptor(oob_guid(victim, DICE), Kind.QUERY, 1, 3, query.encode())
        told += offer(ether, owner, head, query)
        ether.now += 1
    assert told == 1
    assert ether.received[victim] < 60


def test_a_victim_whose_claims_are_forged_gets_16_kib_a_minute() -> None:
    ether, _, owner = pair()
    victim, began = STRANGER, ether.now
    for _ in range(600):
        query = Query("blue", flags=QueryFlags.OOB)
        head = Descriptor(oob_guid(victim, DICE), Kind.QUERY, 1, 3, query.encode())
        offer(ether, owner, head, query)
        ack = Descriptor(head.guid, Kind.VENDOR, 1, 0, OobAck(255).encode())
        ether.say(ack, victim, owner.address)
        ether.now += 1
    assert ether.received[victim] <= 16384 * (1 + (ether.now - began) / 60)


def test_nobody_far_makes_us_write_to_our_own_network() -> None:
    ether, _, owner = pair()
    for near in ("10.0.0.1", "127.0.0.1", "224.0.0.1", "0.0.0.0"):
        query = Query("blue", flags=QueryFlags.OOB)
        head = Descriptor(oob_guid(Address(near, PORT), DICE), Kind.QUERY, 1, 3, query.encode())
        assert not offer(ether, owner, head, query)
    ether.deliver()
    assert sum(ether.received.values()) == 0


@pytest.mark.parametrize("pace", [100, 10])
def test_offers_have_a_bound(pace: int) -> None:
    sent: list[Descriptor] = []
    offers = Offers(lambda message, to: sent.append(message), 0.0)
    for number in range(5000):
        target = Address(f"80.0.{number >> 8}.{number & 255}", PORT)
        query = Query("blue", flags=QueryFlags.OOB)
        head = Descriptor(oob_guid(target, DICE), Kind.QUERY, 1, 3, query.encode())
        offers.offer(head, query, [hit_of(STRANGER, ["blue"])], Zone.INTERNET, number / pace)
    assert len(offers) <= Offers.MOST
    assert len(offers._targets) <= Offers.MOST
    assert len(sent) <= 100 + 20 * 5000 / pace


def spoofed(guid: Guid, count: int = 9, version: int = 3) -> Descriptor:
    return Descriptor(guid, Kind.VENDOR, 1, 0, OobHits(count, True, version).encode())


def test_offers_for_no_query_of_ours_are_not_claimed() -> None:
    ether, asker, _ = pair()
    asking(asker)
    assert not ether.say(spoofed(new_guid(DICE)), STRANGER, asker.address)


def test_one_host_is_claimed_from_three_times_and_each_address_once() -> None:
    ether, asker, _ = pair()
    head, _ = asking(asker)
    for number in range(20):
        sender = Address(STRANGER.host, 1000 + number)
        said = [len(ether.say(spoofed(head.guid), sender, asker.address)) for _ in range(2)]
        assert said == ([1, 0] if number < 3 else [0, 0])


def test_an_offer_of_nothing_is_not_claimed() -> None:
    ether, asker, _ = pair()
    head, _ = asking(asker)
    assert not ether.say(spoofed(head.guid, 0), STRANGER, asker.address)


def test_claims_in_a_victims_name_are_smaller_than_the_offers_with_their_headers() -> None:
    ether, asker, _ = pair()
    head, _ = asking(asker)
    said = spoofed(head.guid)
    (claim,) = ether.say(said, STRANGER, asker.address)
    assert len(claim.encode()) <= len(said.encode()) + 28


def test_hits_without_the_token_or_from_elsewhere_are_not_taken() -> None:
    ether, asker, _ = pair()
    head, _ = asking(asker)
    (claim,) = ether.say(spoofed(head.guid), STRANGER, asker.address)
    token = OobAck.read(claim.payload).token
    assert token is not None

    def say(sender: Address, **more: object) -> int:
        hit = hit_of(more.pop("address", sender), ["blue"], **more)
        message = Descriptor(head.guid, Kind.HIT, 1, 0, hit.encode())
        ether.say(message, sender, asker.address)
        return len(asker.found)

    assert say(STRANGER) == 0
    assert say(STRANGER, ggep={"SO": b"forged"}) == 0
    assert say(Address(STRANGER.host, 1), ggep={"SO": token}) == 0
    assert say(STRANGER, address=Address("81.9.9.9", 1), ggep={"SO": token}) == 0
    assert say(STRANGER, ggep={"SO": token}) == 1
    assert say(STRANGER, address=Address("10.0.0.9", 1), push=True, ggep={"SO": token}) == 2
    asker.claims.forget(head.guid)
    assert say(STRANGER, ggep={"SO": token}) == 2


def test_hits_for_no_query_of_ours_are_not_taken() -> None:
    ether, asker, owner = pair()
    hit = hit_of(owner.address, ["blue"])
    ether.say(
        Descriptor(new_guid(DICE), Kind.HIT, 1, 0, hit.encode()), owner.address, asker.address
    )
    assert not asker.found


def test_searches_that_wait_have_a_bound() -> None:
    _, asker, _ = pair()
    for _ in range(Claims.MOST):
        asker.claims.watch(new_guid(DICE), 10)
    with pytest.raises(LocalProtocolError):
        asker.claims.watch(new_guid(DICE), 10)


def push_of(servent: Guid, address: Address) -> Descriptor:
    return Descriptor(new_guid(DICE), Kind.PUSH, 3, 0, Push(servent, 7, address).encode())


def test_a_push_is_for_us_when_it_names_its_sender() -> None:
    ether, _, owner = pair()
    ether.say(push_of(owner.guid, Address(STRANGER.host, 80)), STRANGER, owner.address)
    ether.say(push_of(owner.guid, Address("81.9.9.9", 80)), STRANGER, owner.address)
    assert [push.address for push, _ in owner.pushes] == [Address(STRANGER.host, 80)]
    assert owner.udp.dropped["lies"] == 1


def test_a_push_for_a_leaf_goes_one_hop_and_for_others_nowhere() -> None:
    ether, _, owner = pair()
    leaf, servent = FakeLink(), new_guid(DICE)
    owner.proxies.asked(leaf, servent, owner.address)
    push = push_of(servent, STRANGER)
    assert not ether.say(push, STRANGER, owner.address)
    ether.say(push_of(new_guid(DICE), STRANGER), STRANGER, owner.address)
    assert leaf.told == [Descriptor(push.guid, Kind.PUSH, 1, 1, push.payload)]
    assert not owner.pushes
