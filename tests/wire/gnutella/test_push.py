"""Push requests."""

import pytest
from hypothesis import given, strategies as st

from p2pswarm.errors import LocalProtocolError, RemoteProtocolError
from p2pswarm.formats.ids import Address
from p2pswarm.wire.gnutella.ggep import Ggep
from p2pswarm.wire.gnutella.push import Push
from tests.support.gnutella_wire import addresses, ggeps, guids

GUID = bytes.fromhex("087b31023c077ffb07b6382689065ff0")
U32 = 0xFFFFFFFF


def test_a_push_byte_by_byte() -> None:
    wire = GUID + bytes.fromhex("05000000 01020304 ca18")
    assert Push(GUID, 5, Address("1.2.3.4", 6346)).encode() == wire
    assert Push.read(wire + b"later") == Push(GUID, 5, Address("1.2.3.4", 6346))


@given(guids, st.integers(0, U32), addresses, ggeps)
def test_every_push(guid: bytes, index: int, address: Address, ggep: Ggep) -> None:
    push = Push(guid, index, address, ggep)
    assert Push.read(push.encode()) == push


@given(st.binary(max_size=60))
def test_any_bytes(data: bytes) -> None:
    if len(data) < 26:
        with pytest.raises(RemoteProtocolError):
            Push.read(data)
    else:
        push = Push.read(data)
        assert Push.read(push.encode()) == push


@pytest.mark.parametrize(
    "push",
    [
        Push(b"short", 0, Address("1.2.3.4", 1)),
        Push(GUID, 1 << 32, Address("1.2.3.4", 1)),
        Push(GUID, 0, Address("1.2.3.4", 65536)),
        Push(GUID, 0, Address("::1", 1)),
    ],
)
def test_pushes_that_cannot_be(push: Push) -> None:
    with pytest.raises(LocalProtocolError):
        push.encode()
