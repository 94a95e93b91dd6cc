from random import Random

import pytest

from p2pswarm.discovery.dht.ids import Votes, distance, is_secure, place_of, secure_id
from p2pswarm.formats.ids import Address
from p2pswarm.wire.krpc import NodeId

# The example ids of BEP 42.
EXAMPLES = {
    "124.31.75.21": "5fbfbff10c5d6a4ec8a88e4c6ab4c28b95eee401",
    "21.75.31.124": "5a3ce9c14e7a08645677bbd1cfe7d8f956d53256",
    "65.23.51.170": "a5d43220bc8f112a3d426c84764f8c2a1150e616",
    "84.124.73.14": "1b0321dd1bb1fe518101ceef99462b947a01ff41",
    "43.213.53.83": "e56f6cbf5b7c4be0237986d5243b87aa6d51305a",
}


@pytest.mark.parametrize("host", EXAMPLES)
def test_the_ids_of_the_specification_follow_from_their_addresses(host: str) -> None:
    node = NodeId(bytes.fromhex(EXAMPLES[host]))
    assert is_secure(node, host)
    others = [other for other in EXAMPLES if other != host]
    assert not any(is_secure(node, other) for other in others)


@pytest.mark.parametrize("host", ["124.31.75.21", "2a00:1450:4001::7"])
def test_an_id_made_for_an_address_follows_from_it(host: str) -> None:
    dice = Random(1)
    made = {secure_id(host, dice) for _ in range(50)}
    assert len(made) == 50
    assert all(is_secure(node, host) for node in made)
    assert len({node[0] for node in made}) <= 8, "a host has eight places"
    spoiled = bytearray(made.pop())
    spoiled[0] ^= 128
    assert not is_secure(NodeId(bytes(spoiled)), host)


def test_only_the_first_half_of_an_ipv6_address_counts() -> None:
    node = secure_id("2a00:1450:4001:1::7", Random(1))
    assert is_secure(node, "2a00:1450:4001:1:ffff::1")


@pytest.mark.parametrize("host", ["127.0.0.1", "192.168.1.7", "10.0.0.1", "fe80::1"])
def test_near_hosts_may_have_any_id(host: str) -> None:
    assert is_secure(NodeId(b"x" * 20), host)


def test_the_distance_is_xor() -> None:
    assert distance(bytes(19) + b"\x05", bytes(19) + b"\x06") == 3


def test_a_host_of_the_internet_has_one_place_and_near_ones_as_many_as_ports() -> None:
    assert place_of(Address("8.8.8.8", 1)) == place_of(Address("8.8.8.8", 2))
    assert place_of(Address("8.8.8.8", 1)) != place_of(Address("8.8.8.9", 1))
    assert place_of(Address("2a00:1::1", 1)) == place_of(Address("2a00:1::2", 1))
    assert place_of(Address("127.0.0.1", 1)) != place_of(Address("127.0.0.1", 2))


def test_our_address_is_what_most_voters_say_and_each_has_one_vote() -> None:
    votes = Votes()
    for port in range(50):
        votes.cast(Address("8.8.8.8", port + 1), "6.6.6.6")  # a liar, often
    assert votes.winner is None
    votes.cast(Address("9.9.9.1", 1), "5.5.5.5")
    votes.cast(Address("9.9.9.2", 1), "4.4.4.4")
    assert votes.winner is None, "nobody has more than half"
    votes.cast(Address("9.9.9.2", 1), "5.5.5.5")
    assert votes.winner == "5.5.5.5"


def test_old_votes_are_forgotten() -> None:
    votes = Votes()
    for number in range(100):
        votes.cast(Address(f"8.8.8.{number}", 1), "5.5.5.5")
    for number in range(51):
        votes.cast(Address(f"9.9.9.{number}", 1), "4.4.4.4")
    assert votes.winner == "4.4.4.4"
