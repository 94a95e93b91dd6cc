from random import Random

from p2pswarm.discovery.dht.store import PeerStore
from p2pswarm.formats.ids import Address, InfoHash
from p2pswarm.wire.krpc import Family

HASH = InfoHash(b"h" * 20)
V4, V6 = Address("8.8.8.8", 6881), Address("2a00:1::7", 6881)


def peers(
    store: PeerStore, now: float, family: Family = Family.IPV4, most: int = 100
) -> set[Address]:
    return set(store.peers(HASH, family, now, Random(1), most))


def test_a_peer_is_kept_for_half_an_hour_after_it_was_heard() -> None:
    store = PeerStore()
    store.add(HASH, V4, 0.0, seed=False)
    store.add(HASH, V4, 900.0, seed=False)
    assert peers(store, 2699.0) == {V4}
    assert peers(store, 2700.0) == set()
    assert store.info_hashes(Family.IPV4, 2700.0) == []
    assert len(store) == 0


def test_each_network_has_its_own_peers() -> None:
    store = PeerStore()
    store.add(HASH, V4, 0.0, seed=False)
    store.add(HASH, V6, 0.0, seed=False)
    assert peers(store, 1.0) == {V4}
    assert peers(store, 1.0, Family.IPV6) == {V6}
    assert store.info_hashes(Family.IPV6, 1.0) == [HASH]


def test_a_seed_is_told_of_no_seeds() -> None:
    store = PeerStore()
    store.add(HASH, V4, 0.0, seed=True)
    other = Address("8.8.4.4", 1)
    store.add(HASH, other, 0.0, seed=False)
    assert store.peers(HASH, Family.IPV4, 1.0, Random(1), 9, noseed=True) == [other]
    assert dict(store.members(HASH, Family.IPV4, 1.0)) == {V4: True, other: False}


def test_of_a_large_swarm_the_last_five_hundred_are_kept_and_some_are_told() -> None:
    store = PeerStore()
    for port in range(1, 701):
        store.add(HASH, Address("8.8.8.8", port), 0.0, seed=False)
    assert {peer.port for peer in peers(store, 1.0, most=1000)} == set(range(201, 701))
    assert len(peers(store, 1.0, most=7)) == 7


def test_a_flood_of_names_pushes_out_its_own() -> None:
    store = PeerStore()
    for port in range(1, 4):
        store.add(HASH, Address("8.8.8.8", port), 0.0, seed=False)
    dice = Random(1)
    for _ in range(3000):
        store.add(InfoHash(dice.randbytes(20)), V4, 1.0, seed=False)
    assert len(store) == PeerStore.SWARMS
    assert len(peers(store, 2.0)) == 3
