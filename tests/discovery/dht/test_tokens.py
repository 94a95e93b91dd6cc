from random import Random

from p2pswarm.discovery.dht.tokens import Tokens
from p2pswarm.formats.ids import Address

HERE, THERE = Address("8.8.8.8", 6881), Address("8.8.4.4", 6881)


def test_a_token_is_good_for_its_host_on_any_port() -> None:
    tokens = Tokens(Random(1), 0.0)
    token = tokens.make(HERE, 0.0)
    assert tokens.valid(token, HERE, 0.0)
    assert tokens.valid(token, Address(HERE.host, 1), 0.0)
    assert not tokens.valid(token, THERE, 0.0)
    assert not tokens.valid(b"", HERE, 0.0)
    assert not tokens.valid(token + b"x", HERE, 0.0)


def test_a_token_lives_for_five_to_ten_minutes() -> None:
    tokens = Tokens(Random(1), 0.0)
    early, late = tokens.make(HERE, 0.0), tokens.make(HERE, 299.0)
    assert early == late
    assert tokens.valid(early, HERE, 599.0), "the last secret counts"
    assert tokens.make(HERE, 599.0) != early
    assert not tokens.valid(early, HERE, 900.0)


def test_after_a_long_silence_no_old_token_counts() -> None:
    tokens = Tokens(Random(1), 0.0)
    token = tokens.make(HERE, 0.0)
    assert not tokens.valid(token, HERE, 700.0)


def test_two_nodes_make_different_tokens() -> None:
    assert Tokens(Random(1), 0.0).make(HERE, 0.0) != Tokens(Random(2), 0.0).make(HERE, 0.0)
