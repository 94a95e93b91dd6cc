"""Queries by UDP: who shows no key, or another's, gets nothing that is larger than what it sent."""

from random import Random

from hypothesis import given, strategies as st

from p2pswarm.formats.ids import Address
from p2pswarm.overlay.gnutella.udp.guess_server import MOST_FOR_A_QUERY, MOST_HIT, Way
from p2pswarm.wire.gnutella.descriptor import Descriptor, Guid, Kind, new_guid, oob_guid
from p2pswarm.wire.gnutella.hit import QueryHit
from p2pswarm.wire.gnutella.pings import Ping, Pong
from p2pswarm.wire.gnutella.query import Query, QueryFlags
from tests.support.gnutella_udp import PORT, Ether, Servent, ping_of

DICE = Random(5)
ASKER, OTHER = Address("81.51.200.7", 4000), Address("81.52.1.1", 4000)


def built(names: int = 30) -> tuple[Ether, Servent]:
    ether = Ether()
    servent = Servent.on(ether, "192.0.3.1")
    servent.names = [
        f"a blue moon of a rather long name, number {number}" for number in range(names)
    ]
    return ether, servent


def key_for(ether: Ether, servent: Servent, asker: Address) -> bytes:
    ping = ping_of(new_guid(DICE), Ping.asking(key=True).encode())
    (pong,) = ether.say(ping, asker, servent.address)
    return Pong.read(pong.payload).key or b""


def ask(
    ether: Ether,
    servent: Servent,
    key: bytes | None,
    asker: Address = ASKER,
    guid: Guid | None = None,
    **more: bytes,
) -> list[Descriptor]:
    ggep = {**more, "QK": key} if key is not None else more
    query = Query("blue", ggep=ggep).encode()
    message = Descriptor(guid or new_guid(DICE), Kind.QUERY, 1, 0, query)
    heard = ether.say(message, asker, servent.address)
    assert all(each.guid == message.guid for each in heard)
    return heard


def test_with_its_key_an_asker_gets_hits_in_small_datagrams_and_an_acknowledgement() -> None:
    ether, servent = built()
    servent.answering = [Address(f"81.53.0.{n}", PORT) for n in range(12)]
    *hits, ack = ask(ether, servent, key_for(ether, servent, ASKER), SCP=b"")
    assert sum(len(QueryHit.read(hit.payload).results) for hit in hits) == 30
    assert all(hit.kind == Kind.HIT and len(hit.payload) <= 1024 for hit in hits)
    pong = Pong.read(ack.payload)
    assert (pong.address, pong.hosts, pong.guess) == (
        servent.answering[0],
        tuple(servent.answering[:10]),
        2,
    )


def test_an_ultrapeer_that_knows_no_other_acknowledges_for_itself() -> None:
    ether, servent = built(0)
    (ack,) = ask(ether, servent, key_for(ether, servent, ASKER))
    pong = Pong.read(ack.payload)
    assert (pong.address, pong.guess, pong.key) == (servent.address, 2, None)
    assert "IPP" not in pong.ggep


def test_without_a_key_there_is_a_key_and_nothing_else() -> None:
    ether, servent = built()
    (pong,) = ask(ether, servent, None)
    key = Pong.read(pong.payload).key
    assert key is not None
    assert not servent.asked
    assert len(ask(ether, servent, key)) > 2


def test_a_key_that_another_address_was_told_is_refused() -> None:
    ether, servent = built()
    key = key_for(ether, servent, OTHER)
    for asker in (ASKER, Address(OTHER.host, OTHER.port + 1)):
        assert [heard.kind for heard in ask(ether, servent, key, asker)] == [Kind.PONG]
    assert not servent.asked


def test_an_old_key_is_refused() -> None:
    ether, servent = built()
    key = key_for(ether, servent, ASKER)
    ether.now += 400
    assert len(ask(ether, servent, key)) > 2
    ether.now += 400
    assert [heard.kind for heard in ask(ether, servent, key)] == [Kind.PONG]


@given(st.lists(st.binary(max_size=20), min_size=1, max_size=30))
def test_forged_keys_bring_no_hits(keys: list[bytes]) -> None:
    ether, servent = built()
    for key in keys:
        assert all(heard.kind == Kind.PONG for heard in ask(ether, servent, key))
    assert not servent.asked


def test_queries_in_a_victims_name_bring_it_no_more_than_they_cost() -> None:
    ether, servent = built()
    servent.answering = [Address(f"81.53.0.{n}", PORT) for n in range(12)]
    cost = 0
    for number in range(3000):  # for five minutes
        ether.now += 0.1
        payload = Query("blue", ggep={"QK": b"forgedkey", "SCP": b""}).encode()
        message = Descriptor(number.to_bytes(16, "big"), Kind.QUERY, 1, 0, payload)
        cost += len(message.encode())
        ether.say(message, ASKER, servent.address)
    assert 0 < ether.received[ASKER] < cost


def test_the_same_query_is_answered_once() -> None:
    ether, servent = built()
    key, guid = key_for(ether, servent, ASKER), new_guid(DICE)
    assert ask(ether, servent, key, guid=guid)
    assert not ask(ether, servent, key, guid=guid)


def test_a_flood_of_queries_with_a_key_has_an_end() -> None:
    ether, servent = built()
    key = key_for(ether, servent, ASKER)
    for _ in range(1000):
        ask(ether, servent, key)
    assert len(servent.asked) <= 40


def test_a_leaf_answers_no_queries_by_udp() -> None:
    ether = Ether()
    leaf = Servent.on(ether, "192.0.3.1", ultrapeer=False)
    assert not ask(ether, leaf, leaf.keys.issue(ASKER, ether.now))
    assert not leaf.asked


def test_leaves_offer_hits_only_to_who_asks() -> None:
    ether, servent = built(0)
    key = key_for(ether, servent, ASKER)
    for target in (ASKER, OTHER):
        ggep = {"QK": key, "SO": b"", "Z": b""}
        query = Query("blue", ggep=ggep, flags=QueryFlags.OOB | QueryFlags.FIREWALLED)
        message = Descriptor(oob_guid(target, DICE), Kind.QUERY, 1, 0, query.encode())
        ether.say(message, ASKER, servent.address)
    (_, own, _), (_, aimed, _) = servent.asked
    assert (own.flags, own.ggep) == (QueryFlags.OOB | QueryFlags.FIREWALLED, {"SO": b""})
    assert (aimed.flags, aimed.ggep) == (QueryFlags.FIREWALLED, {})


def test_hits_of_leaves_go_back_for_a_minute_up_to_a_bound() -> None:
    ether, servent = built(0)
    guid = new_guid(DICE)
    way = Way(servent.udp, ASKER)
    hit = Descriptor(guid, Kind.HIT, 1, 1, bytes(4000))
    assert not way.tell(Descriptor(guid, Kind.HIT, 1, 1, bytes(MOST_HIT)))
    assert not way.tell(Descriptor(guid, Kind.QUERY, 1, 1, bytes(50)))
    told = [way.tell(hit) for _ in range(50)]
    ether.deliver()
    assert sum(told) == MOST_FOR_A_QUERY // 4023
    assert ether.received[ASKER] <= MOST_FOR_A_QUERY
    late = Way(servent.udp, ASKER)
    ether.now += 61
    assert not late.tell(hit)


def test_who_shows_its_key_gets_every_acknowledgement() -> None:
    ether, servent = built(0)
    servent.answering = [Address(f"81.53.0.{n}", PORT) for n in range(12)]
    key = key_for(ether, servent, ASKER)
    for _ in range(200):
        ether.now += 1
        (ack,) = ask(ether, servent, key, SCP=b"")
        assert len(Pong.read(ack.payload).hosts) == 10
