"""Sealed datagrams: opened once, by whom they are for."""

from random import Random

import pytest
from hypothesis import given, settings, strategies as st

from p2pswarm.calling.sealing import WINDOW, Opener, Sealer, media_keys
from p2pswarm.errors import LocalProtocolError, RemoteProtocolError
from p2pswarm.wire.calling.frames import CallHello
from p2pswarm.wire.people.marked import Sealed

SESSION = b"0123456789abcdef"
OUT, IN = media_keys(CallHello(SESSION, "call", b"a" * 32), CallHello(SESSION, "call", b"b" * 32))


def test_each_direction_and_each_call_has_a_key_of_its_own() -> None:
    again = media_keys(CallHello(SESSION, "call", b"a" * 32), CallHello(SESSION, "call", b"c" * 32))
    assert len({OUT, IN, *again}) == 4
    assert {len(OUT), len(IN)} == {32}


@settings(max_examples=30)
@given(st.lists(st.binary(max_size=60), min_size=1, max_size=8), st.integers(0, 1 << 32))
def test_in_any_order_each_is_opened_once(said: list[bytes], seed: int) -> None:
    sealer, opener = Sealer(OUT, SESSION), Opener(OUT, SESSION)
    sealed = [sealer.seal(each) for each in said]
    order = list(range(len(said)))
    Random(seed).shuffle(order)
    for each in order:
        assert opener.open(sealed[each]) == said[each]
    for each in order:
        with pytest.raises(RemoteProtocolError):
            opener.open(sealed[each])


def test_what_is_older_than_the_window_is_not_opened() -> None:
    sealer, opener = Sealer(OUT, SESSION), Opener(OUT, SESSION)
    first, second = sealer.seal(b"0"), sealer.seal(b"1")
    for _ in range(WINDOW - 2):
        sealer.seal(b"")
    opener.open(sealer.seal(b"newest"))
    assert opener.open(second) == b"1"
    with pytest.raises(RemoteProtocolError):
        opener.open(first)
    sealer._counter += WINDOW * 3  # a long silence: all that was before is forgotten
    opener.open(sealer.seal(b"after"))
    assert opener._seen == 1


@settings(max_examples=50)
@given(st.integers(0, 100), st.integers(1, 255))
def test_a_changed_bit_anywhere_is_found_and_moves_nothing(at: int, bits: int) -> None:
    opener = Opener(OUT, SESSION)
    sealed = Sealer(OUT, SESSION).seal(b"voice")
    changed = bytearray(sealed)
    changed[at % len(sealed)] ^= bits
    with pytest.raises(RemoteProtocolError):
        opener.open(bytes(changed))
    assert opener.open(sealed) == b"voice"


@settings(max_examples=50)
@given(st.binary(max_size=60))
def test_noise_is_not_opened(noise: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        Opener(IN, SESSION).open(noise)
    with pytest.raises(RemoteProtocolError):
        Opener(IN, SESSION).open(Sealed(SESSION[:8], 1, noise).encode())


def test_no_nonce_is_used_twice() -> None:
    sealer = Sealer(OUT, SESSION)
    sealer._counter = 0xFFFFFFFF
    sealer.seal(b"the last")
    with pytest.raises(LocalProtocolError):
        sealer.seal(b"one too many")
