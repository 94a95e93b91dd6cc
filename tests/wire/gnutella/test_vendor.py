"""Vendor messages as their documents write them."""

from dataclasses import fields

import pytest
from hypothesis import given, strategies as st

from p2pswarm.errors import LocalProtocolError, RemoteProtocolError
from p2pswarm.wire.gnutella.vendor import (
    STOP_QUERY,
    SUPPORTED,
    HopsFlow,
    MessageName,
    MessagesSupported,
    OobAck,
    OobHits,
    PushProxyAck,
    PushProxyRequest,
    QueryStatusRequest,
    QueryStatusResponse,
    TcpConnectBack,
    UdpConnectBack,
    Vendor,
    VendorMessage,
    read_vendor,
)

GUID = bytes(range(16))

ON_THE_WIRE: list[tuple[bytes, VendorMessage]] = [
    (b"\0\0\0\0\0\0\0\0\0\0", MessagesSupported(())),
    (
        b"\0\0\0\0\0\0\0\0\x02\0BEAR\x04\0\x01\0LIME\x0c\0\x03\0",
        MessagesSupported((MessageName(b"BEAR", 4, 1), MessageName(b"LIME", 12, 3))),
    ),
    (b"BEAR\x04\0\x01\0\x05", HopsFlow(5)),
    (b"BEAR\x07\0\x01\0\xca\x18", TcpConnectBack(6346)),
    (b"GTKG\x07\0\x01\0\xca\x18" + GUID, UdpConnectBack(6346, GUID)),
    (b"GTKG\x07\0\x02\0\xca\x18", UdpConnectBack(6346)),
    (b"BEAR\x0b\0\x01\0", QueryStatusRequest()),
    (b"BEAR\x0c\0\x01\0\x05\0", QueryStatusResponse(5)),
    (b"BEAR\x0c\0\x01\0\xff\xff", QueryStatusResponse(STOP_QUERY)),
    (b"LIME\x0c\0\x02\0\x07\x01", OobHits(7, reachable=True, version=2)),
    (b"LIME\x0c\0\x03\0\xff\0", OobHits(255, reachable=False)),
    (b"LIME\x0b\0\x02\0\x07", OobAck(7)),
    (b"LIME\x0b\0\x03\0\x07\xc3\x82SO\x42ab", OobAck(7, b"ab")),
    (b"LIME\x15\0\x02\0", PushProxyRequest()),
    (b"LIME\x15\0\x01\0", PushProxyRequest(1)),
    (b"LIME\x16\0\x01\0\xca\x18", PushProxyAck(6346)),
    (b"LIME\x16\0\x02\0\x01\x02\x03\x04\xca\x18", PushProxyAck(6346, "1.2.3.4")),
]


@pytest.mark.parametrize(("wire", "message"), ON_THE_WIRE)
def test_on_the_wire(wire: bytes, message: VendorMessage) -> None:
    assert message.encode() == wire
    assert read_vendor(wire) == message
    assert type(message).read(wire) == message


@pytest.mark.parametrize(("wire", "message"), ON_THE_WIRE)
def test_what_later_versions_add_is_ignored(wire: bytes, message: VendorMessage) -> None:
    if not isinstance(message, UdpConnectBack):
        assert read_vendor(wire + b"later") == message


@pytest.mark.parametrize(("wire", "message"), ON_THE_WIRE)
def test_what_is_cut_off(wire: bytes, message: VendorMessage) -> None:
    """Every byte but those of lists and extensions is needed."""
    for end in range(8):
        with pytest.raises(RemoteProtocolError):
            read_vendor(wire[:end])
    if len(wire) > 8 and fields(message)[0].name != "names":  # type: ignore[arg-type]
        with pytest.raises(RemoteProtocolError):
            read_vendor(wire[:8])


@given(
    st.sampled_from([wire[:8] for wire, _ in ON_THE_WIRE]) | st.binary(max_size=12),
    st.binary(max_size=40),
)
def test_any_bytes(head: bytes, data: bytes) -> None:
    try:
        message = read_vendor(head + data)
    except RemoteProtocolError:
        return
    assert read_vendor(message.encode()) == message


def test_a_message_nobody_knows() -> None:
    vendor = Vendor(b"GTKG", 22, 1, b"data")
    assert vendor.encode() == b"GTKG\x16\0\x01\0data"
    assert read_vendor(vendor.encode()) == vendor


def test_a_version_nobody_knows() -> None:
    assert read_vendor(b"BEAR\x04\0\x09\0\x05") == Vendor(b"BEAR", 4, 9, b"\x05")
    with pytest.raises(RemoteProtocolError):
        HopsFlow.read(b"BEAR\x04\0\x09\0\x05")
    with pytest.raises(RemoteProtocolError):
        HopsFlow.read(b"BEAR\x07\0\x01\0\x05")


def test_a_list_that_counts_more_than_there_is() -> None:
    wire = b"\0\0\0\0\0\0\0\0\xff\xffBEAR\x04\0\x01\0BEA"
    assert read_vendor(wire) == MessagesSupported((MessageName(b"BEAR", 4, 1),))


def test_a_long_list_is_not_read_to_its_end() -> None:
    wire = b"\0\0\0\0\0\0\0\0\xff\x1f" + b"BEAR\x04\0\x01\0" * 0x1FFF
    message = read_vendor(wire)
    assert isinstance(message, MessagesSupported)
    assert len(message.names) == 256


def test_what_we_say_we_understand() -> None:
    assert MessageName(b"BEAR", 4, 1) in SUPPORTED
    assert MessageName(bytes(4), 0, 0) not in SUPPORTED
    assert read_vendor(MessagesSupported(SUPPORTED).encode()) == MessagesSupported(SUPPORTED)


def test_the_token_as_the_document_places_it() -> None:
    assert read_vendor(b"LIME\x0b\0\x03\0\x07\x00\xc3\x82SO\x42ab") == OobAck(7, b"ab")
    assert read_vendor(b"LIME\x0b\0\x02\0\x07\xc3\x82SO\x42ab") == OobAck(7)


def test_a_udp_connect_back_of_the_first_document() -> None:
    assert read_vendor(b"GTKG\x07\0\x01\0\xca\x18") == UdpConnectBack(6346)


@pytest.mark.parametrize(
    "message",
    [
        Vendor(b"X", 1, 1),
        Vendor(b"BEAR", 65536, 1),
        Vendor(b"BEAR", 1, -1),
        HopsFlow(256),
        HopsFlow(-1),
        TcpConnectBack(65536),
        UdpConnectBack(1, b"short"),
        QueryStatusResponse(65536),
        OobHits(256),
        OobHits(1, version=4),
        OobAck(1, b""),
        OobAck(256),
        PushProxyRequest(3),
        PushProxyAck(65536, "1.2.3.4"),
        PushProxyAck(1, "host"),
        MessagesSupported((MessageName(b"BEAR", 4, 1),) * 257),
    ],
)
def test_messages_that_cannot_be(message: VendorMessage | Vendor) -> None:
    with pytest.raises(LocalProtocolError):
        message.encode()
