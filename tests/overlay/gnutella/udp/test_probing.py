"""Pings and pongs by UDP: hosts, keys, and whether datagrams reach us."""

from random import Random

from p2pswarm.formats.ids import Address
from p2pswarm.wire.gnutella.descriptor import Descriptor, Kind, new_guid
from p2pswarm.wire.gnutella.pings import Ping, Pong, pong_ggep
from p2pswarm.wire.gnutella.vendor import UdpConnectBack
from tests.support.gnutella_udp import PORT, Ether, Servent, ping_of

DICE = Random(5)
ASKER = Address("81.51.200.7", 4000)
OTHERS = [Address(f"81.51.{n}.1", PORT) for n in range(101, 120)]


def asked(
    ether: Ether, servent: Servent, ping: Ping, asker: Address = ASKER, ttl: int = 1
) -> list[Pong]:
    message = Descriptor(new_guid(DICE), Kind.PING, ttl, 0, ping.encode())
    heard = ether.say(message, asker, servent.address)
    assert all(each.guid == message.guid and each.kind == Kind.PONG for each in heard)
    return [Pong.read(each.payload) for each in heard]


def test_a_ping_gets_our_pong() -> None:
    ether = Ether()
    servent = Servent.on(ether, "192.0.3.1")
    (pong,) = asked(ether, servent, Ping())
    assert pong.address == servent.address
    assert pong.ggep["UP"] == bytes([1, 5, 3])
    assert pong.guess == 2
    assert pong.key is None
    assert not pong.hosts


def test_a_host_cache_tells_ten_ultrapeers_and_not_the_asker() -> None:
    ether = Ether()
    servent = Servent.on(ether, "192.0.3.1")
    servent.others = [ASKER, *OTHERS]
    (pong,) = asked(ether, servent, Ping.asking(hosts=True))
    assert pong.hosts == tuple(OTHERS[:10])


def test_a_near_ultrapeer_is_not_told_to_who_is_far() -> None:
    ether = Ether()
    servent = Servent.on(ether, "192.0.3.1")
    servent.others = [Address("10.0.0.1", PORT), Address("127.0.0.1", PORT), OTHERS[0]]
    (pong,) = asked(ether, servent, Ping.asking(hosts=True))
    assert pong.hosts == (OTHERS[0],)


def test_a_leaf_tells_no_hosts_and_no_key() -> None:
    ether = Ether()
    servent = Servent.on(ether, "192.0.3.1", ultrapeer=False)
    servent.others = OTHERS
    (pong,) = asked(ether, servent, Ping.asking(hosts=True, key=True))
    assert (pong.hosts, pong.key, pong.guess) == ((), None, None)


def test_a_key_is_for_the_asker_and_for_ttl_1_only() -> None:
    ether = Ether()
    servent = Servent.on(ether, "192.0.3.1")
    (pong,) = asked(ether, servent, Ping.asking(key=True))
    assert pong.key is not None
    assert servent.keys.accepts(pong.key, ASKER, ether.now)
    (pong,) = asked(ether, servent, Ping.asking(key=True), ttl=2)
    assert pong.key is None


def test_an_empty_gue_or_a_wish_for_a_key_asks_for_hosts_to_query() -> None:
    ether = Ether()
    servent = Servent.on(ether, "192.0.3.1")
    servent.others, servent.answering = OTHERS, OTHERS[3:7]
    for ping in (Ping({"GUE": b""}), Ping.asking(hosts=True, key=True)):
        (pong,) = asked(ether, servent, ping)
        assert pong.hosts == tuple(OTHERS[3:7])
    (pong,) = asked(ether, servent, Ping.asking(hosts=True))
    assert pong.hosts == tuple(OTHERS[:10])


def test_when_the_list_is_too_much_there_is_a_pong_without() -> None:
    ether = Ether()
    servent = Servent.on(ether, "192.0.3.1")
    servent.others = OTHERS
    lists = []
    for _ in range(60):
        ether.now += 1
        lists += [len(pong.hosts) for pong in asked(ether, servent, Ping.asking(hosts=True))]
    assert lists[0] == 10
    assert lists.count(0) > 10


def test_an_ultrapeer_introduces_itself_with_its_own_address() -> None:
    ether = Ether()
    servent = Servent.on(ether, "192.0.3.1")
    ping = Ping({"QK": b"", "GUE": bytes([2]) + (7000).to_bytes(2, "little")})
    asked(ether, servent, ping)
    assert servent.tellings == [(Address(ASKER.host, 7000), ASKER, True)]


def test_a_cheap_ping_does_not_become_a_large_pong_for_ever() -> None:
    ether = Ether()
    servent = Servent.on(ether, "192.0.3.1")
    servent.others = OTHERS
    cost = 0
    for _ in range(600):  # ten minutes, one a second: the rate that is always looked at
        ether.now += 1
        ping = ping_of(new_guid(DICE), Ping.asking(hosts=True).encode())
        cost += len(ping.encode())
        ether.say(ping, ASKER, servent.address)
    assert ether.received[ASKER] <= cost + 2048 * 11
    assert servent.udp.dropped["too large"] > 100


def test_host_caches_are_asked_and_only_they_are_believed() -> None:
    ether = Ether()
    client, cache = Servent.on(ether, "192.0.3.1", ultrapeer=False), Servent.on(ether, "192.0.3.2")
    cache.others = [*OTHERS[:3], Address("127.0.0.1", PORT)]
    liar = Address("81.51.100.66", PORT)
    lie = Pong(liar, 1, 8, pong_ggep(hosts=[*OTHERS, Address("127.0.0.1", PORT)]))
    ether.say(Descriptor(new_guid(DICE), Kind.PONG, 1, 0, lie.encode()), liar, client.address)
    assert not client.tellings
    client.probing.ask_host_caches([cache.address, liar])
    ether.deliver()
    (question,) = ether.caught[liar]
    assert [told[0] for told in client.tellings] == [cache.address, *OTHERS[:3]]
    # The cache's own answer under another name, and an answer that comes twice.
    ether.say(
        Descriptor(question.guid, Kind.PONG, 1, 0, lie.encode()),
        Address("81.51.9.9", 1),
        client.address,
    )
    assert len(client.tellings) == 4
    for _ in range(2):
        ether.say(Descriptor(question.guid, Kind.PONG, 1, 0, lie.encode()), liar, client.address)
    assert len(client.tellings) == 4 + 1 + len(OTHERS)


def test_a_late_pong_of_a_host_cache_is_not_believed() -> None:
    ether = Ether()
    client, silent = Servent.on(ether, "192.0.3.1"), Address("81.51.100.66", PORT)
    client.probing.ask_host_caches([silent])
    ether.deliver()
    ether.now += 31
    pong = Descriptor(ether.caught[silent][0].guid, Kind.PONG, 1, 0, Pong(silent, 1, 8).encode())
    ether.say(pong, silent, client.address)
    assert not client.tellings


def test_a_ping_with_our_guid_of_whom_we_never_wrote_to_shows_that_datagrams_reach_us() -> None:
    ether = Ether()
    client, neighbour = Servent.on(ether, "192.0.3.1"), Servent.on(ether, "192.0.3.2")
    message = client.probing.test(PORT)
    assert isinstance(message, UdpConnectBack)
    assert not client.probing.reachable
    assert neighbour.probing.connect_back(message, new_guid(DICE), client.address.host)
    ether.deliver()
    assert client.probing.reachable
    ether.now += 3601
    assert not client.probing.reachable


def test_an_answer_to_a_datagram_of_ours_shows_nothing() -> None:
    ether = Ether()
    client, neighbour = Servent.on(ether, "192.0.3.1"), Servent.on(ether, "192.0.3.2")
    client.probing.ask_host_caches([neighbour.address])
    ether.deliver()
    neighbour.probing.connect_back(client.probing.test(PORT), new_guid(DICE), client.address.host)
    ether.deliver()
    assert not client.probing.reachable


def test_any_other_ping_shows_nothing() -> None:
    ether = Ether()
    client = Servent.on(ether, "192.0.3.1")
    client.probing.test(PORT)
    ether.say(ping_of(new_guid(DICE)), ASKER, client.address)
    assert not client.probing.reachable


def test_connect_backs_are_few() -> None:
    ether = Ether()
    servent = Servent.on(ether, "192.0.3.1")
    done = [
        servent.probing.connect_back(UdpConnectBack(80), bytes(16), "81.51.100.66")
        for _ in range(50)
    ]
    assert 0 < sum(done) <= 20
