from collections.abc import Sequence
from random import Random

import pytest
from hypothesis import given, settings, strategies as st

from p2pswarm.errors import RemoteError, RemoteProtocolError
from p2pswarm.formats.ids import InfoHash
from p2pswarm.wire import mse
from p2pswarm.wire.mse import (
    BOTH,
    MOST_INITIAL,
    MOST_PAD,
    PLAIN,
    RC4,
    Agreed,
    KeyFramer,
    MseAnswerer,
    MseAsker,
)
from tests.support.feeding import chunkings, feed, feed_until_error

HASH = InfoHash(b"h" * 20)
P = int(
    "0xFFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74020BBEA63B139B22514A08798E3404DD"
    "EF9519B3CD3A431B302B0A6DF25F14374FE1356D6D51C245E485B576625E7EC6F44C42E9A63A36210000000000090563",
    16,
)
ways = st.sampled_from([PLAIN, RC4, BOTH])


def find(name: bytes) -> InfoHash | None:
    return {HASH.obfuscated: HASH}.get(name)


def said(messages: Sequence[object]) -> bytes:
    return b"".join(message for message in messages if isinstance(message, bytes))


class Pair:
    """Both sides in one room; `speak` carries what one says to the other until nobody says anything."""

    def __init__(
        self, offers: int = BOTH, takes: int = BOTH, initial: bytes = b"hello", seed: int = 1
    ) -> None:
        self.asker = MseAsker(HASH, initial, offers, Random(seed))
        self.answerer = MseAnswerer(find, takes, Random(seed + 1))
        self.asked = self.answered = Agreed(None, None)

    def speak(self, sizes: Sequence[int] = (1 << 20,), after: bytes = b"") -> None:
        """`after` is sent by the answerer together with the end of its handshake."""
        second = said(feed(self.answerer, self.asker.opening(), sizes))
        third = said(feed(self.asker, second, sizes))
        *told, agreed = feed(self.answerer, third, sizes)
        assert isinstance(agreed, Agreed)
        self.answered = agreed
        if agreed.outgoing is not None:
            after = agreed.outgoing.update(after)
        *nothing, agreed = feed(self.asker, said(told) + after, sizes)
        assert nothing == []
        assert isinstance(agreed, Agreed)
        self.asked = agreed


@given(ways, ways, st.binary(max_size=90), st.binary(max_size=50), chunkings, st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_two_sides_agree_and_no_byte_is_lost(
    offers: int, takes: int, initial: bytes, after: bytes, sizes: list[int], seed: int
) -> None:
    pair = Pair(offers, takes, initial, seed)
    if not offers & takes:
        with pytest.raises(RemoteProtocolError, match="offers encryption"):
            pair.speak(sizes)
        return
    pair.speak(sizes, after)
    assert pair.answerer.unread() == initial
    assert pair.asker.unread() == after
    assert pair.asker.unread() == b""
    encrypted = offers & takes == RC4
    for agreed in (pair.asked, pair.answered):
        assert (agreed.incoming is not None) == (agreed.outgoing is not None) == encrypted


def test_the_streams_go_on_where_the_handshake_ended() -> None:
    pair = Pair(offers=RC4)
    pair.speak(after=b"first")
    assert pair.asker.unread() == b"first"
    there, back = pair.asked, pair.answered
    assert there.outgoing
    assert there.incoming
    assert back.outgoing
    assert back.incoming
    for message in (b"one", b"", b"t" * 100_000):
        assert back.incoming.update(there.outgoing.update(message)) == message
        assert there.incoming.update(back.outgoing.update(message)) == message


def test_the_opening_looks_like_noise_of_no_fixed_length() -> None:
    openings = [MseAsker(HASH, b"", BOTH, Random(seed)).opening() for seed in range(300)]
    lengths = {len(opening) - 96 for opening in openings}
    assert min(lengths) < 30
    assert MOST_PAD - 30 < max(lengths) <= MOST_PAD
    assert len({opening[:96] for opening in openings}) == len(openings)
    assert not any(HASH in opening for opening in openings)


def test_the_noise_tells_nothing_of_the_dice() -> None:
    """A stranger that gets many pads must not be able to tell what the node throws next."""
    dice, twin = Random(5), Random(5)
    asker = MseAsker(HASH, b"", BOTH, dice)
    twin.getrandbits(160)
    thrown = twin.randbytes(700)
    pad = asker.opening()[96:]
    assert len(pad) > 8
    assert not any(thrown[at : at + 4] in pad for at in range(len(thrown) - 4))


@pytest.mark.parametrize("key", [0, 1, P - 1, P, P + 2, (1 << 768) - 1])
def test_a_key_with_which_everybody_knows_the_secret_is_refused(key: int) -> None:
    for framer in (Pair().asker, Pair().answerer):
        with pytest.raises(RemoteProtocolError, match="public key"):
            feed(framer, key.to_bytes(96, "big"))


@pytest.mark.parametrize(("key", "by"), [(2, 1), (P - 2, 50)])
def test_a_key_just_inside_is_taken(key: int, by: int) -> None:
    assert len(feed(Pair().answerer, key.to_bytes(96, "big"), [by])) == 1


@given(st.integers(1, 700))
@settings(max_examples=15, deadline=None)
def test_nobody_searches_farther_than_padding_may_reach(chunk: int) -> None:
    pair = Pair()
    noise = Random(3).randbytes(95) + bytes(1)
    for framer, most in ((pair.answerer, 96 + 512 + 20), (pair.asker, 96 + 512 + 8)):
        key = pow(2, 12345, P).to_bytes(96, "big")
        data = key + noise * 6
        assert feed_until_error(framer, data[: most - 1], [chunk])[1] is None
        with pytest.raises(RemoteProtocolError, match="behind the padding"):
            feed(framer, data[most - 1 : most])


@pytest.mark.parametrize("pad", [0, 1, MOST_PAD])
def test_padding_of_every_length_is_passed_over(pad: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mse, "_pad", lambda dice: dice.randbytes(pad))
    pair = Pair(offers=RC4)
    assert len(pair.asker.opening()) == 96 + pad
    pair.speak([7], b"after")
    assert pair.asker.unread() == b"after"
    assert pair.answerer.unread() == b"hello"


def test_longer_padding_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mse, "_pad", lambda dice: bytes(MOST_PAD + 1))
    with pytest.raises(RemoteProtocolError, match="behind the padding"):
        Pair().speak()
    for lie in ("asker", "answerer"):
        pair = Pair()
        keys = [pair.asker.opening()[:96], feed(pair.answerer, pair.asker.opening()[:96])[0]]
        assert isinstance(keys[1], bytes)
        (third,) = feed(pair.asker, keys[1][:96])
        if lie == "asker":
            with pytest.raises(RemoteProtocolError, match="513 bytes where 512"):
                feed(pair.answerer, said([third]))
        else:
            monkeypatch.setattr(mse, "MOST_PAD", MOST_PAD + 1)
            fourth = said(feed(pair.answerer, said([third])))
            monkeypatch.setattr(mse, "MOST_PAD", MOST_PAD)
            with pytest.raises(RemoteProtocolError, match="513 bytes where 512"):
                feed(pair.asker, fourth)


def test_too_much_inside_the_handshake_is_refused() -> None:
    Pair(initial=bytes(MOST_INITIAL)).speak()
    with pytest.raises(RemoteProtocolError, match="where 8192 are the most"):
        Pair(initial=bytes(MOST_INITIAL + 1)).speak()


def test_a_swarm_that_is_not_here_is_answered_nothing_more() -> None:
    asker = MseAsker(InfoHash(b"x" * 20), b"", BOTH, Random(1))
    answerer = MseAnswerer(find, BOTH, Random(2))
    third = said(feed(asker, said(feed(answerer, asker.opening()))))
    messages, error = feed_until_error(answerer, third, [1])
    assert messages == []
    assert isinstance(error, RemoteProtocolError)


@pytest.mark.parametrize("choice", [0, 1, 3, 4, 1 << 31])
def test_a_choice_that_was_not_offered_is_refused(
    choice: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Among them the one that would have our payload plain against our will."""
    pair = Pair(offers=RC4, takes=RC4)
    monkeypatch.setattr(pair.answerer, "_chosen", lambda offers: choice)
    with pytest.raises(RemoteProtocolError, match="chooses encryption"):
        pair.speak()


@pytest.mark.parametrize("offers", [0, 4, 8 | 16])
def test_offers_that_nobody_knows_are_refused(offers: int) -> None:
    with pytest.raises(RemoteProtocolError, match="offers encryption"):
        Pair(offers=offers).speak()


def test_of_what_is_offered_what_nobody_knows_is_passed_over() -> None:
    Pair(offers=BOTH | 4).speak()


@given(st.binary(max_size=800), chunkings, st.booleans())
@settings(max_examples=30, deadline=None)
def test_any_bytes_are_a_handshake_or_a_fault(
    data: bytes, sizes: list[int], is_asker: bool
) -> None:
    pair = Pair()
    framer = pair.asker if is_asker else pair.answerer
    messages, error = feed_until_error(framer, data, sizes)
    assert error is None or isinstance(error, RemoteError)
    assert len(messages) <= 1
    assert len(framer.unread()) < 96 + 532


@given(st.data(), st.sampled_from([2, 3, 4]), chunkings)
@settings(max_examples=40, deadline=None)
def test_a_handshake_with_a_wrong_bit_is_a_fault_or_none(
    data: st.DataObject, message: int, sizes: list[int]
) -> None:
    pair = Pair(offers=RC4)

    def spoil(what: bytes) -> bytes:
        at = data.draw(st.integers(0, len(what) - 1))
        return what[:at] + bytes((what[at] ^ 1 << data.draw(st.integers(0, 7)),)) + what[at + 1 :]

    second = said(feed(pair.answerer, pair.asker.opening()))
    messages, error = feed_until_error(pair.asker, spoil(second) if message == 2 else second, sizes)
    if error is None:
        third = said(messages)
        messages, error = feed_until_error(
            pair.answerer, spoil(third) if message == 3 and third else third, sizes
        )
    if error is None and message == 4 and said(messages):
        messages, error = feed_until_error(pair.asker, spoil(said(messages)), sizes)
    assert error is None or isinstance(error, RemoteError)


def test_a_key_is_told_of_once_and_left_for_the_next() -> None:
    framer = KeyFramer()
    assert feed(framer, bytes(95)) == []
    assert feed(framer, bytes(1)) == [None]
    assert feed(framer, bytes(512)) == []
    assert framer.unread() == bytes(608)


def test_behind_a_key_nobody_waits_for_much() -> None:
    with pytest.raises(RemoteProtocolError, match="longer"):
        feed(KeyFramer(), bytes(2 << 10))
