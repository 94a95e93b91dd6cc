from contextlib import suppress

import pytest
from hypothesis import given, settings, strategies as st

from p2pswarm.errors import LocalProtocolError, RemoteProtocolError
from p2pswarm.formats import bencode
from p2pswarm.wire.rendezvous import (
    MOST_BODY,
    MOST_MESSAGE,
    MOST_TTL,
    Ask,
    Claim,
    Claimed,
    Left,
    Refused,
    Said,
    Why,
    decode,
    encode,
)

NUMBERS = st.integers(1, 99_999)
TOKENS = st.binary(min_size=16, max_size=16)
VISITS = st.integers(0, 1 << 32)
MESSAGES = st.one_of(
    st.builds(Claim, st.integers(1, MOST_TTL)),
    st.builds(Claim, st.integers(1, MOST_TTL), NUMBERS, TOKENS),
    st.builds(Claimed, NUMBERS, TOKENS, st.sampled_from(["", "192.0.2.1", "2001:db8::1"])),
    st.builds(Ask, NUMBERS, st.binary(max_size=100)),
    st.builds(Said, VISITS, st.binary(max_size=100), st.sampled_from(["", "192.0.2.1"])),
    st.builds(Left, VISITS),
    st.builds(Refused, st.sampled_from(Why), st.integers(0, 3600)),
)


@given(MESSAGES)
@settings(max_examples=60)
def test_what_is_written_is_read(message: object) -> None:
    assert decode(encode(message)) == message  # type: ignore[arg-type]


@given(
    st.binary(max_size=80) | st.builds(lambda k, b: bytes([k]) + b, st.integers(0, 8), st.binary())
)
@settings(max_examples=60)
def test_any_bytes_are_a_message_or_a_remote_error(data: bytes) -> None:
    try:
        message = decode(data)
    except RemoteProtocolError:
        return
    assert decode(encode(message)) == message


@given(
    st.integers(0, 8),
    st.dictionaries(
        st.sampled_from(
            [b"ttl", b"number", b"token", b"you", b"body", b"visit", b"why", b"retry", b"host"]
        ),
        st.integers(-2, 1 << 40) | st.binary(max_size=20) | st.just([]),
    ),
)
@settings(max_examples=60)
def test_keys_of_any_kind_are_a_message_or_a_remote_error(kind: int, table: object) -> None:
    with suppress(RemoteProtocolError):
        decode(bytes([kind]) + bencode.encode(table))  # type: ignore[arg-type]


def test_there_are_bounds() -> None:
    assert len(encode(Said(1 << 32, bytes(MOST_BODY), "h" * 64))) <= MOST_MESSAGE
    with pytest.raises(LocalProtocolError, match="cannot be said"):
        encode(Said(1, bytes(MOST_BODY + 1)))
    with pytest.raises(RemoteProtocolError, match="a message of 0 bytes"):
        decode(b"")
    with pytest.raises(RemoteProtocolError, match=f"a message of {MOST_MESSAGE + 1} bytes"):
        decode(bytes(MOST_MESSAGE + 1))
    with pytest.raises(LocalProtocolError):
        encode(Claim(60, 7))  # the number of before, without its proof
