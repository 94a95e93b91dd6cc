"""Every message of the supernode protocol: there and back, junk, and the very bytes of each."""

from collections.abc import Callable

import pytest
from hypothesis import given, strategies as st

from p2pswarm.errors import LocalProtocolError, RemoteProtocolError
from p2pswarm.formats import bencode
from p2pswarm.formats.ids import Address, InfoHash
from p2pswarm.formats.words import Kind
from p2pswarm.wire.supernode import testing
from p2pswarm.wire.supernode.frames import MOST, Frame, FrameKind
from p2pswarm.wire.supernode.hello import Bye, Hello, Reason, Refuse, Want, Welcome
from p2pswarm.wire.supernode.hits import Found, Hits
from p2pswarm.wire.supernode.hosts import Entry, Hosts
from p2pswarm.wire.supernode.keeping import Ping, Pong
from p2pswarm.wire.supernode.pushing import Push
from p2pswarm.wire.supernode.queries import End, Query, Stop
from p2pswarm.wire.supernode.shares import Share, SharedFile, Unshare
from tests.support.supernode_reading import Message, read_frame
from tests.support.supernode_wire import messages

NODE, GUID = bytes(range(16)), bytes(range(0xA0, 0xB0))
HERE, THERE = Address("1.2.3.4", 6346), Address("2001:db8::1", 6347)
HOSTS = (Entry(HERE, 5, 40), Entry(THERE, 255, 100))
FILE = SharedFile(7, 1 << 32, "blue moon.ogg")
HASHED = SharedFile(8, 3, "é", b"\x11" * 20, b"\x22" * 24, InfoHash(b"\x33" * 20))
_ADDRESS, _HEX_HOSTS = (
    b"\1\2\3\4\x18\xca",
    "01 01020304 18ca 05 28 01 20010db8000000000000000000000001 18cb ff 64",
)
HOSTS_WRITTEN = b"5:hosts30:" + bytes.fromhex(_HEX_HOSTS)
FILE_HEX = "00000007 0000000100000000 00 0d 626c7565206d6f6f6e2e6f6767"
HASHED_HEX = f"00000008 0000000000000003 07 02 {'11' * 20} {'22' * 24} {'33' * 20} c3a9"

VECTORS: list[tuple[Message, int, bytes]] = [
    (
        Hello(NODE, 6346, Want.PARENT, "p2pswarm/0.1", willing=True, firewalled=False),
        0x01,
        b"d5:agent12:p2pswarm/0.110:firewalledi0e4:node16:%b4:porti6346e7:versioni1e"
        b"4:want6:parent7:willingi1ee" % NODE,
    ),
    (
        Hello(NODE, 1, Want.TEST, "", willing=False, firewalled=True, nonce=GUID, version=9),
        0x01,
        b"d5:agent0:10:firewalledi1e4:node16:%b5:nonce16:%b4:porti1e7:versioni9e"
        b"4:want4:test7:willingi0ee" % (NODE, GUID),
    ),
    (
        Welcome(NODE, 6346, "p2pswarm/0.1", HERE, True, 100, 40, 50),
        0x02,
        b"d5:agent12:p2pswarm/0.18:childreni100e5:linksi40e4:node16:%b4:porti6346e4:roomi50e"
        b"9:supernodei1e3:you6:%be" % (NODE, _ADDRESS),
    ),
    (
        Refuse(Reason.FULL, "try others", HOSTS, invited=True),
        0x03,
        b"d%b7:invitedi1e6:reason4:full4:text10:try otherse" % HOSTS_WRITTEN,
    ),
    (Bye("the end", HOSTS), 0x04, b"d%b4:text7:the ende" % HOSTS_WRITTEN),
    (Ping(), 0x05, b"de"),
    (Pong(66, 99, 30, 75), 0x06, b"d8:childreni99e5:linksi30e4:loadi66e5:sparei75ee"),
    (Hosts(HOSTS), 0x07, bytes.fromhex(_HEX_HOSTS)),
    (Share((FILE, HASHED)), 0x10, bytes.fromhex(FILE_HEX + HASHED_HEX)),
    (Unshare((7, 0xFFFFFFFF)), 0x11, bytes.fromhex("00000007 ffffffff")),
    (
        Query(GUID, 7, 0, ("blue", "moon"), ("remix",), Kind.AUDIO, 1, None, None, 200),
        0x20,
        GUID
        + bytes.fromhex("07 00 01 00 c8 0000000000000001 ffffffffffffffff 0009")
        + b"blue moonremix",
    ),
    (
        Query(GUID, 1, 255, max_size=2, digest=("btih", b"\x33" * 20), want=1),
        0x20,
        GUID
        + bytes.fromhex("01 ff 00 03 01 0000000000000000 0000000000000002 0000")
        + b"\x33" * 20,
    ),
    (
        Hits(
            GUID,
            3,
            (Found(HERE, NODE, False, None, (FILE,)), Found(THERE, NODE, True, HERE, (HASHED,))),
        ),
        0x21,
        GUID
        + bytes.fromhex(f"03 00 {NODE.hex()} 01 01020304 18ca {FILE_HEX}")
        + bytes.fromhex(f"07 {NODE.hex()} 01 20010db8000000000000000000000001 18cb 01020304 18ca")
        + bytes.fromhex(HASHED_HEX),
    ),
    (End(GUID, 12, HOSTS), 0x22, b"d4:guid16:%b4:hitsi12e%be" % (GUID, HOSTS_WRITTEN)),
    (Stop(GUID), 0x23, b"d4:guid16:%be" % GUID),
    (
        Push(NODE, 7, HERE),
        0x30,
        b"d7:address6:%b4:node16:%b6:numberi7ee" % (_ADDRESS, NODE),
    ),
    (testing.Invite(HOSTS), 0x40, b"d%be" % HOSTS_WRITTEN),
    (testing.Test(6346, GUID), 0x41, b"d5:nonce16:%b4:porti6346ee" % GUID),
    (
        testing.Verdict(True, 20000, "fine"),
        0x42,
        b"d4:ratei20000e9:reachablei1e4:text4:finee",
    ),
    (testing.Probe(65536, GUID), 0x43, b"d4:seed16:%b4:sizei65536ee" % GUID),
    (testing.Data(b"\0\xff"), 0x44, b"\0\xff"),
]
DICTIONARIES = [message for message, _, body in VECTORS if body[:1] == b"d" and body[-1:] == b"e"]


def name(value: object) -> str:
    return type(value).__name__


@pytest.mark.parametrize(("message", "kind", "body"), VECTORS, ids=name)
def test_the_bytes_of_each(message: Message, kind: int, body: bytes) -> None:
    frame = message.encode()
    assert (frame.kind, frame.body) == (kind, body)
    assert frame.encode() == len(body).to_bytes(2, "big") + bytes((kind,)) + body
    assert read_frame(Frame(kind, body)) == message


def test_there_are_bytes_of_every_kind() -> None:
    assert {kind for _, kind, _ in VECTORS} == {*FrameKind}


@given(messages)
def test_there_and_back(message: Message) -> None:
    assert read_frame(message.encode()) == message


@given(st.sampled_from(FrameKind), st.binary(max_size=200))
def test_any_bytes(kind: FrameKind, body: bytes) -> None:
    understood_or_refused(Frame(kind, body))


@given(messages, st.data())
def test_what_was_damaged_on_its_way(message: Message, data: st.DataObject) -> None:
    frame = message.encode()
    at = data.draw(st.integers(0, len(frame.body)))
    end = data.draw(st.integers(at, min(len(frame.body), at + 4)))
    frame.body = frame.body[:at] + data.draw(st.binary(max_size=4)) + frame.body[end:]
    understood_or_refused(frame)


def understood_or_refused(frame: Frame) -> None:
    """And what is understood can be said again."""
    try:
        message = read_frame(frame)
    except RemoteProtocolError:
        return
    assert message is not None
    assert read_frame(message.encode()) == message


@given(st.integers(0, 255).filter(lambda kind: kind not in MOST), st.binary(max_size=40))
def test_kinds_of_tomorrow_say_nothing(kind: int, body: bytes) -> None:
    assert read_frame(Frame(kind, body)) is None


# Dictionaries


@pytest.mark.parametrize("message", DICTIONARIES, ids=name)
def test_keys_of_tomorrow_are_passed_over(message: Message) -> None:
    frame = message.encode()
    table = bencode.decode(frame.body) | {b"aaa": [[1], b"x"], b"zzz": {b"a": -5}}
    assert read_frame(Frame(frame.kind, bencode.encode(table))) == message


@pytest.mark.parametrize("message", DICTIONARIES, ids=name)
@pytest.mark.parametrize(
    "instead", [None, [], {}, -1, 1 << 63, b"\xff", b"\n", b"x" * 300], ids=str
)
def test_every_key_must_be_there_and_be_right(message: Message, instead: object) -> None:
    frame = message.encode()
    table = bencode.decode(frame.body)
    for key in table:
        wrong = {k: v for k, v in table.items() if k != key}
        if instead is not None:
            wrong[key] = instead
        with pytest.raises(RemoteProtocolError):
            read_frame(Frame(frame.kind, bencode.encode(wrong)))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"i1e",
        b"le",
        b"d",
        b"dee",
        b"d3:abce",
        b"d1:ad1:ad1:ad1:ad1:adeeeeee",
        b"l" * 1000,
        b"d1:al" + b"i1e" * 300 + b"ee",
    ],
)
def test_what_is_no_small_dictionary(body: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        Ping.read(body)


HELLO = Hello(NODE, 1, Want.LINK, "us", willing=True, firewalled=False)


@pytest.mark.parametrize(
    "message",
    [
        Hello(b"short", 1, Want.LINK, "us", True, False),
        Hello(NODE, 0, Want.LINK, "us", True, False),
        Hello(NODE, 65536, Want.LINK, "us", True, False),
        Hello(NODE, 1, Want.LINK, "u" * 65, True, False),
        Hello(NODE, 1, Want.LINK, "u\x9bs", True, False),
        Hello(NODE, 1, Want.LINK, "\ud800", True, False),
        Hello(NODE, 1, Want.LINK, "us", True, False, GUID),
        Hello(NODE, 1, Want.TEST, "us", True, False),
        Hello(NODE, 1, Want.TEST, "us", True, False, b"short"),
        Hello(NODE, 1, Want.LINK, "us", True, False, version=0),
        Welcome(NODE, 1, "us", Address("a.name", 1), True, 1, 1, 1),
        Welcome(NODE, 1, "us", Address("1.2.3.4", 65536), True, 1, 1, 1),
        Welcome(NODE, 1, "us", HERE, True, 65536, 1, 1),
        Refuse(Reason.SELF, "two\nlines"),
        Bye("é" * 128),
        Bye("", (Entry(Address("a.name", 1), 0, 0),)),
        Pong(101, 0, 0, 0),
        Pong(0, 0, 0, -1),
        End(GUID, 1 << 32),
        Stop(b""),
        Push(NODE, 1 << 32, HERE),
        testing.Test(0, GUID),
        testing.Test(1, b""),
        testing.Verdict(True, -1),
        testing.Probe(65537, GUID),
        testing.Probe(0, GUID),
    ],
    ids=name,
)
def test_what_cannot_be_is_not_said(message: Message) -> None:
    with pytest.raises(LocalProtocolError):
        message.encode()


def with_word(message: Message, key: bytes) -> Frame:
    frame = message.encode()
    table = bencode.decode(frame.body) | {key: b"tomorrow"}
    return Frame(frame.kind, bencode.encode(table))


@pytest.mark.parametrize(
    ("message", "key"), [(HELLO, b"want"), (Refuse(Reason.FULL, ""), b"reason")]
)
def test_only_known_words(message: Message, key: bytes) -> None:
    with pytest.raises(RemoteProtocolError, match="tomorrow"):
        read_frame(with_word(message, key))


# The largest


@pytest.mark.parametrize(
    "make",
    [
        lambda: Refuse(Reason.NOT_WANTED, "x" * 255, (Entry(THERE, 0, 0),) * 200),
        lambda: Bye("x" * 255, (Entry(THERE, 0, 0),) * 200),
        lambda: End(GUID, 0xFFFFFFFF, (Entry(THERE, 0, 0),) * 200),
        lambda: testing.Invite((Entry(THERE, 0, 0),) * 200),
        lambda: Hosts((Entry(THERE, 0, 0),) * 200),
        lambda: Hello(NODE, 65535, Want.TEST, "x" * 64, True, True, GUID, 65535),
        lambda: Welcome(NODE, 65535, "x" * 64, THERE, True, 65535, 65535, 65535),
        lambda: testing.Verdict(True, (1 << 63) - 1, "x" * 255),
        lambda: Query(GUID, 1, 1, ("x" * 64,) * 15, ("y" * 49,), digest=("tth", bytes(24))),
    ],
)
def test_the_largest_of_each_may_be_sent(make: Callable[[], Message]) -> None:
    message = make()
    frame = message.encode()
    assert frame.encode()
    assert read_frame(frame) == message
