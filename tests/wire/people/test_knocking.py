"""Knocks at a relay: round trips, and any bytes from anybody."""

import pytest
from hypothesis import given, settings, strategies as st

from p2pswarm.errors import LocalProtocolError, RemoteProtocolError
from p2pswarm.wire.people.knocking import NOBODY, Knock
from p2pswarm.wire.people.marked import Relayed


@settings(max_examples=50)
@given(st.binary(min_size=20, max_size=20))
def test_what_is_written_is_read(data: bytes) -> None:
    knock = Knock(data[:8], data[8:12], data[12:])
    relayed = Relayed.read(knock.encode())
    assert relayed.channel == NOBODY
    assert Knock.read(relayed.payload) == knock


@settings(max_examples=50)
@given(st.binary(max_size=40))
def test_anything_is_read_or_refused(data: bytes) -> None:
    try:
        knock = Knock.read(data)
    except RemoteProtocolError:
        assert len(data) != 20
    else:
        assert Relayed.read(knock.encode()).payload == data


def test_what_is_no_knock_is_not_said() -> None:
    with pytest.raises(LocalProtocolError):
        Knock(b"short", b"pass").encode()
