"""Whatever comes by UDP is a message for somebody, or changes nothing."""

from random import Random

import pytest
from hypothesis import given, strategies as st

from p2pswarm.errors import LocalProtocolError, RemoteError
from p2pswarm.formats.ids import Address
from p2pswarm.overlay.gnutella.udp.datagrams import MOST_EXPECTED, Datagrams, Heard
from p2pswarm.wire.gnutella.descriptor import Descriptor, Kind, new_guid
from tests.support.gnutella_udp import PORT, Ether, Servent

STRANGER = Address("81.51.100.7", 4000)
kinds = st.sampled_from([*Kind, 0x77])
payloads = st.one_of(
    st.binary(max_size=300),
    st.builds(
        lambda vendor, selector, version, data: (
            vendor + selector.to_bytes(2, "little") + version.to_bytes(2, "little") + data
        ),
        st.sampled_from([b"LIME", b"GTKG", b"BEAR"]),
        st.integers(0, 25),
        st.integers(0, 4),
        st.binary(max_size=30),
    ),
    st.binary(max_size=40).map(lambda data: b"\x90\x00words\x00\xc3\x82QK" + data),
)
messages = st.builds(
    Descriptor,
    st.binary(min_size=16, max_size=16),
    kinds,
    st.integers(0, 255),
    st.integers(0, 255),
    payloads,
)


@given(
    st.lists(st.one_of(st.binary(max_size=100), messages.map(Descriptor.encode)), max_size=20),
    st.booleans(),
)
def test_garbage_is_answered_or_blamed_on_who_sent_it(
    datagrams: list[bytes], ultrapeer: bool
) -> None:
    ether = Ether()
    servent = Servent.on(ether, "192.0.3.1", ultrapeer=ultrapeer)
    for data in datagrams:
        try:
            servent.udp.got(data, STRANGER)
        except RemoteError:
            continue
    ether.deliver()
    assert not servent.asked
    assert not servent.found
    assert not servent.tellings or all(teller == STRANGER for _, teller, _ in servent.tellings)
    assert len(servent.offers) == 0


def test_what_is_expected_goes_to_who_waits_until_it_is_forgotten() -> None:
    sent: list[bytes] = []
    udp = Datagrams(lambda data, to: sent.append(data), lambda: 5.0)
    heard: list[Heard] = []
    room: list[Heard] = []
    guid = new_guid(Random(1))
    pong = Descriptor(guid, Kind.PONG, 1, 0, bytes(14))

    def listen(message: Heard) -> bool:
        heard.append(message)
        return message.address == STRANGER

    udp.expect(guid, listen)
    udp.route(Kind.PONG, room.append)
    udp.got(pong.encode(), STRANGER)
    udp.got(pong.encode(), Address("81.51.100.8", PORT))
    assert [message.address.host for message in heard] == ["81.51.100.7", "81.51.100.8"]
    assert [message.address.host for message in room] == ["81.51.100.8"]
    udp.forget(guid)
    udp.got(pong.encode(), STRANGER)
    assert len(room) == 2
    assert (udp.bytes_in, udp.bytes_out) == (3 * 37, 0)


def test_nobody_waits_for_more_than_can_be_remembered() -> None:
    udp = Datagrams(lambda data, to: None, lambda: 5.0)
    for number in range(MOST_EXPECTED):
        udp.expect(number.to_bytes(16, "big"), lambda heard: True)
    with pytest.raises(LocalProtocolError):
        udp.expect(b"\xff" * 16, lambda heard: True)


def test_a_flood_of_one_source_leaves_room_for_another() -> None:
    ether = Ether()
    servent = Servent.on(ether, "192.0.3.1")
    for number in range(5000):
        ether.send(
            Descriptor(number.to_bytes(16, "big"), Kind.PING, 1, 0, b"").encode(),
            STRANGER,
            servent.address,
        )
    ether.deliver()
    assert ether.received[STRANGER] < 5000 * 23 / 10
    assert servent.udp.dropped["flood"] > 4900
    other = Address("81.51.100.9", PORT)
    assert ether.say(Descriptor(bytes(16), Kind.PING, 1, 0, b""), other, servent.address)


def test_a_sender_that_cannot_be_is_not_answered() -> None:
    ether = Ether()
    servent = Servent.on(ether, "192.0.3.1")
    nowhere_at_all = (
        Address("224.0.0.1", PORT),
        Address("192.0.3.9", 0),
        Address("2001:db8::1", PORT),
    )
    for nowhere in nowhere_at_all:
        assert not ether.say(Descriptor(bytes(16), Kind.PING, 1, 0, b""), nowhere, servent.address)
    assert servent.udp.dropped["nowhere"] == 3
