import itertools
from collections.abc import Sequence

import pytest
from hypothesis import example, given, settings, strategies as st

from p2pswarm.errors import RemoteProtocolError
from p2pswarm.formats.ids import BLOCK, InfoHash, PeerId, PieceIndex
from p2pswarm.wire.framer import MOST_KEPT, SCRATCH_SIZE, Scratch
from p2pswarm.wire.peer import (
    HANDSHAKE,
    MAX_MESSAGE,
    AllowedFast,
    BitfieldMessage,
    Cancel,
    Choke,
    Extended,
    HandshakeFramer,
    Have,
    HaveAll,
    HaveNone,
    Haves,
    Hello,
    Ident,
    Interested,
    KeepAlive,
    NotInterested,
    PeerFramer,
    PortMessage,
    Reject,
    Request,
    Requests,
    Reserved,
    Suggest,
    Unchoke,
    Unknown,
    encode_haves,
    encode_requests,
)
from tests.support.feeding import chunkings, feed, feed_interleaved, feed_until_error
from tests.support.singly import Piece, SingleFramer, piece_head

HASH = InfoHash(bytes(range(100, 120)))
ME = PeerId(b"-PS0100-abcdefghijkl")
HELLO, IDENT = Hello(Reserved.ours(), HASH), Ident(ME)
ONE = PieceIndex(1)

# Each message as the BEPs write it, by hand.
ON_THE_WIRE = [
    (KeepAlive(), "00000000"),
    (Choke(), "00000001 00"),
    (Unchoke(), "00000001 01"),
    (Interested(), "00000001 02"),
    (NotInterested(), "00000001 03"),
    (Have(PieceIndex(0x01020304)), "00000005 04 01020304"),
    (BitfieldMessage(b"\xff\x80"), "00000003 05 ff80"),
    (Request(ONE, 0x4000, 0x4000), "0000000d 06 00000001 00004000 00004000"),
    (Cancel(ONE, 0x4000, 0x3FFF), "0000000d 08 00000001 00004000 00003fff"),
    (PortMessage(6881), "00000003 09 1ae1"),
    (Suggest(ONE), "00000005 0d 00000001"),
    (HaveAll(), "00000001 0e"),
    (HaveNone(), "00000001 0f"),
    (Reject(ONE, 0, 0x4000), "0000000d 10 00000001 00000000 00004000"),
    (AllowedFast(ONE), "00000005 11 00000001"),
    (Extended(0, b"de"), "00000004 14 00 6465"),
    (Extended(3, b""), "00000002 14 03"),
]
SAMPLES = [message for message, _ in ON_THE_WIRE]

u32 = st.integers(0, 2**32 - 1)
indexes = u32.map(PieceIndex)
messages = st.one_of(
    st.sampled_from(
        [KeepAlive(), Choke(), Unchoke(), Interested(), NotInterested(), HaveAll(), HaveNone()]
    ),
    st.builds(Have, indexes),
    st.builds(Suggest, indexes),
    st.builds(AllowedFast, indexes),
    st.builds(Request, indexes, u32, u32),
    st.builds(Cancel, indexes, u32, u32),
    st.builds(Reject, indexes, u32, u32),
    st.builds(BitfieldMessage, st.binary(max_size=300)),
    st.builds(PortMessage, st.integers(0, 65535)),
    st.builds(Extended, st.integers(0, 255), st.binary(max_size=300)),
)
blocks = st.tuples(st.integers(0, 3), st.integers(0, 7), st.binary(max_size=400))


def frame(body: bytes) -> bytes:
    return len(body).to_bytes(4, "big") + body


class Ground:
    """A landing of four pieces of eight holes; remembers what came."""

    def __init__(self) -> None:
        self.pieces = [bytearray(8 * 400) for _ in range(4)]
        self.landed: list[tuple[int, int, int]] = []

    def landing(self, piece: PieceIndex, begin: int, blocks: Sequence[memoryview | bytes]) -> None:
        for data in blocks:
            self.landed.append((piece, begin, len(data)))
            self.pieces[piece][begin : begin + len(data)] = data
            begin += len(data)


@pytest.mark.parametrize(("message", "wire"), ON_THE_WIRE, ids=lambda value: str(value)[:30])
def test_messages_are_written_as_the_beps_say(message: Choke, wire: str) -> None:
    assert message.encode() == bytes.fromhex(wire)
    assert feed(SingleFramer(), bytes.fromhex(wire)) == [message]


@pytest.mark.parametrize("chunk", [1, 2, 13, 1000, 1 << 20])
def test_every_message_survives_any_chunk(chunk: int) -> None:
    data = b"".join(bytes.fromhex(wire) for _, wire in ON_THE_WIRE)
    assert feed(SingleFramer(), data, [chunk]) == SAMPLES


@given(st.lists(messages, max_size=20), chunkings)
def test_back_to_back(sent: list[Have], sizes: list[int]) -> None:
    framer = SingleFramer()
    assert feed(framer, b"".join(message.encode() for message in sent), sizes) == sent
    assert framer.unread() == b""


def test_messages_of_different_kinds_are_never_equal() -> None:
    same_numbers = [Have(ONE), Suggest(ONE), AllowedFast(ONE)]
    same_numbers_too = [Request(ONE, 0, 1), Cancel(ONE, 0, 1), Reject(ONE, 0, 1)]
    bare = [Choke(), Unchoke(), Interested(), NotInterested(), HaveAll(), HaveNone()]
    for group in (same_numbers, same_numbers_too, bare):
        assert all(a != b for a, b in itertools.combinations(group, 2))


# Blocks


def test_a_block_is_written_as_bep_3_says() -> None:
    assert piece_head(1, 0x4000, 0x4000) == bytes.fromhex("00004009 07 00000001 00004000")


@given(st.lists(blocks, max_size=12), chunkings)
def test_blocks_land_where_the_landing_says(
    sent: list[tuple[int, int, bytes]], sizes: list[int]
) -> None:
    ground, expected = Ground(), Ground()
    data = b""
    for piece, n, block in sent:
        data += piece_head(piece, n * 400, len(block)) + block
        expected.landing(PieceIndex(piece), n * 400, [block])
    assert feed(PeerFramer(ground.landing), data, sizes) == []
    assert ground.landed == expected.landed
    assert ground.pieces == expected.pieces


@pytest.mark.parametrize(
    ("sent", "rows"),
    [
        pytest.param([(0, 0, 9), (0, 9, 9), (0, 18, 9)], [3], id="neighbours"),
        pytest.param([(0, 0, 9), (0, 18, 9)], [1, 1], id="a gap"),
        pytest.param([(0, 0, 9), (1, 9, 9)], [1, 1], id="another piece"),
        pytest.param([(0, 0, 9), (0, 9, 9), (0, 18, 4)], [2, 1], id="a short one"),
        pytest.param([(0, 0, 0)] * 300, [128, 128, 44], id="nothing, again and again"),
    ],
)
def test_neighbours_land_together(sent: list[tuple[int, int, int]], rows: list[int]) -> None:
    landed: list[int] = []
    framer = PeerFramer(lambda _piece, _begin, blocks: landed.append(len(blocks)))
    data = b"".join(piece_head(*each) + bytes(each[2]) for each in sent)
    assert feed(framer, data, [1 << 20]) == []
    assert landed == rows


@given(st.lists(messages | blocks, max_size=20), chunkings)
def test_blocks_and_messages_keep_their_order(
    sent: list[Have | tuple[int, int, bytes]], sizes: list[int]
) -> None:
    """A message is taken before the next block lands: what it changes, the block meets changed."""
    data, expected = b"", []
    for each in sent:
        if isinstance(each, tuple):
            data += piece_head(each[0], each[1], len(each[2])) + each[2]
            expected.append(Piece(PieceIndex(each[0]), each[1], each[2]))
        else:
            data += each.encode()
            expected.append(each)
    assert feed(SingleFramer(), data, sizes) == expected


def test_what_a_landing_refuses_ends_the_reading() -> None:
    def refuse(piece: PieceIndex, _begin: int, _blocks: list[memoryview]) -> None:
        raise RemoteProtocolError(f"piece {piece}, not asked for")

    data = Choke().encode() + piece_head(7, 2, 3) + b"abc" + Unchoke().encode()
    told, error = feed_until_error(PeerFramer(refuse), data, [1000])
    assert told == [Choke()]
    assert str(error) == "piece 7, not asked for"


@given(st.lists(st.lists(blocks, max_size=4), min_size=2, max_size=4), st.data())
def test_framers_that_share_a_scratch_do_not_mix_their_blocks(
    streams: list[list[tuple[int, int, bytes]]], data: st.DataObject
) -> None:
    scratch = Scratch()
    grounds = [Ground() for _ in streams]
    framers = [PeerFramer(ground.landing, scratch) for ground in grounds]
    sent = [b"".join(piece_head(p, n * 400, len(b)) + b for p, n, b in s) for s in streams]
    who = st.integers(0, len(streams) - 1)
    turns = data.draw(st.lists(st.tuples(who, st.integers(1, 500)), max_size=40))
    feed_interleaved(framers, sent, turns)
    for ground, stream in zip(grounds, streams, strict=True):
        expected = Ground()
        for piece, n, block in stream:
            expected.landing(PieceIndex(piece), n * 400, [block])
        assert ground.pieces == expected.pieces


def test_many_requests_are_one_string() -> None:
    asked = [(1, 0, BLOCK), (1, BLOCK, BLOCK), (2, 0, 77)]
    requests = [Request(PieceIndex(piece), begin, length) for piece, begin, length in asked]
    assert encode_requests(asked) == b"".join(request.encode() for request in requests)
    assert encode_requests([]) == b""


@pytest.mark.parametrize(
    ("chunk", "rows"), [(1, [[3], [1], [4], [1], [5]]), (1000, [[3, 1, 4], [1, 5]])]
)
def test_haves_in_a_row_are_one_message(chunk: int, rows: list[list[int]]) -> None:
    data = encode_haves([3, 1, 4]) + Unchoke().encode() + encode_haves([1, 5])
    got = feed(PeerFramer(lambda *_: None), data, [chunk])
    assert [message.pieces for message in got if isinstance(message, Haves)] == rows


def test_many_haves_are_one_string() -> None:
    assert encode_haves([1, 2]) == Have(ONE).encode() + Have(PieceIndex(2)).encode()
    assert encode_haves([]) == b""


@pytest.mark.parametrize("chunk", [1, 17, 1000])
def test_requests_in_a_row_are_one_message(chunk: int) -> None:
    asked = [(ONE, n * BLOCK, BLOCK) for n in range(5)]
    data = encode_requests(asked[:3]) + Cancel(ONE, 0, BLOCK).encode() + encode_requests(asked[3:])
    got = feed(PeerFramer(lambda *_: None), data, [chunk])
    rows = [message.blocks for message in got if isinstance(message, Requests)]
    assert [block for row in rows for block in row] == asked
    if chunk == 1000:
        assert got == [Requests(asked[:3]), Cancel(ONE, 0, BLOCK), Requests(asked[3:])]


# What is wrong


@pytest.mark.parametrize(
    ("numbers", "right"),
    [([0, 1, 2, 3, 14, 15], 0), ([9], 2), ([4, 13, 17], 4), ([6, 8, 16], 12)],
)
def test_a_body_of_the_wrong_length_is_refused(numbers: list[int], right: int) -> None:
    sizes = {0, 1, 3, 5, right + 1} - {right}
    for number, size in itertools.product(numbers, sizes):
        with pytest.raises(RemoteProtocolError, match=f"message {number} with {size} bytes"):
            feed(SingleFramer(), frame(bytes((number,)) + bytes(size)))


def test_an_extended_message_without_its_number_is_refused() -> None:
    with pytest.raises(RemoteProtocolError, match="message 20 with 0 bytes"):
        feed(SingleFramer(), frame(b"\x14"))


@pytest.mark.parametrize("size", range(8))
def test_a_block_without_its_numbers_is_refused(size: int) -> None:
    with pytest.raises(RemoteProtocolError, match="without its numbers"):
        feed(SingleFramer(), frame(b"\x07" + bytes(size)))


@pytest.mark.parametrize("number", [10, 11, 12, 18, 19, 24, 255])
def test_a_number_from_the_future_is_told_and_skipped(number: int) -> None:
    data = frame(bytes((number,)) + b"whatever") + Choke().encode()
    assert feed(SingleFramer(), data, [3]) == [Unknown(number), Choke()]


@pytest.mark.parametrize("length", [MAX_MESSAGE + 1, SCRATCH_SIZE, 1 << 31, 2**32 - 1])
def test_a_huge_length_is_refused_before_the_rest_comes(length: int) -> None:
    framer = SingleFramer()
    assert feed(framer, length.to_bytes(4, "big")[:3]) == []
    with pytest.raises(RemoteProtocolError, match=f"a message of {length} bytes"):
        feed(framer, length.to_bytes(4, "big")[3:])


@pytest.mark.parametrize("number", [5, 7, 20, 99])
@pytest.mark.parametrize("chunk", [1 << 16, SCRATCH_SIZE])
def test_the_limit_does_not_depend_on_the_chunks(number: int, chunk: int) -> None:
    longest = frame(bytes((number,)) + bytes(MAX_MESSAGE - 1))
    assert len(feed(SingleFramer(), longest, [chunk])) == 1
    with pytest.raises(RemoteProtocolError, match="a message of"):
        feed(SingleFramer(), frame(bytes((number,)) + bytes(MAX_MESSAGE)), [chunk])


def test_the_limit_lets_the_largest_bitfield_pass() -> None:
    assert MAX_MESSAGE >= 1 + 2_097_152 // 8


almost = st.one_of(
    messages.map(lambda message: message.encode()),
    st.builds(lambda p, n, block: piece_head(p, n, len(block)) + block, u32, u32, st.binary()),
    st.binary(max_size=30).map(frame),
    st.builds(
        lambda n, body: frame(bytes((n,)) + body), st.integers(0, 24), st.binary(max_size=20)
    ),
    st.binary(max_size=30),
)


@given(st.lists(almost, max_size=8).map(b"".join), chunkings)
@example(b"\xff" * 40, [1])
def test_any_bytes_are_messages_or_a_fault(data: bytes, sizes: list[int]) -> None:
    whole = feed_until_error(SingleFramer(), data, [len(data) or 1])
    framer = SingleFramer()
    told, error = feed_until_error(framer, data, sizes)
    assert error is None or isinstance(error, RemoteProtocolError)
    assert str(error) == str(whole[1])
    assert told[: len(whole[0])] == whole[0]
    assert len(framer.unread()) < 4 + MAX_MESSAGE


# The handshake


def test_the_handshake_is_written_as_bep_3_says() -> None:
    wire = "13426974546f7272656e742070726f746f636f6c 0000000000100004" + HASH.hex() + ME.hex()
    assert HELLO.encode() + IDENT.encode() == bytes.fromhex(wire)
    assert len(HELLO.encode()) == 48
    assert HANDSHAKE == b"\x13BitTorrent protocol"


@pytest.mark.parametrize("chunk", [1, 2, 13, 48, 1000])
def test_a_handshake_comes_in_two_halves(chunk: int) -> None:
    framer = HandshakeFramer()
    assert feed(framer, HELLO.encode(), [chunk]) == [HELLO]
    assert framer.unread() == b""
    assert feed(framer, IDENT.encode(), [chunk]) == [IDENT]
    assert framer.unread() == b""


@given(st.binary(max_size=300), chunkings)
def test_what_follows_the_handshake_is_kept(rest: bytes, sizes: list[int]) -> None:
    framer = HandshakeFramer()
    assert feed(framer, HELLO.encode() + IDENT.encode() + rest, sizes) == [HELLO, IDENT]
    assert framer.unread() == rest


@given(st.lists(messages, max_size=5), chunkings)
def test_nothing_is_lost_between_handshake_and_messages(sent: list[Have], sizes: list[int]) -> None:
    scratch = Scratch()
    first, second = HandshakeFramer(scratch), SingleFramer(scratch)
    handshake = HELLO.encode() + IDENT.encode()
    data = handshake + b"".join(message.encode() for message in sent)
    feed(first, data[:100], sizes)
    assert feed(second, first.unread() + data[100:], sizes) == sent


def test_reserved_bits_are_read_where_the_beps_put_them() -> None:
    assert Reserved.ours().extended
    assert Reserved.ours().fast
    for byte, bit in itertools.product(range(8), range(8)):
        reserved = Reserved(bytes(1 << bit if n == byte else 0 for n in range(8)))
        assert reserved.extended == ((byte, bit) == (5, 4))  # BEP 10: 20th bit from the right
        assert reserved.fast == ((byte, bit) == (7, 2))  # BEP 6: third least significant bit
        assert reserved.v2 == ((byte, bit) == (7, 4))  # BEP 52: fourth most significant bit
    assert Reserved.ours(v2=True) == Reserved(b"\0\0\0\0\0\x10\0\x14")
    assert not Reserved.ours(dht=True).v2


@settings(max_examples=60)
@given(st.binary(max_size=120) | st.binary(max_size=120).map(lambda b: HANDSHAKE + b), chunkings)
def test_any_bytes_are_a_handshake_or_a_fault(data: bytes, sizes: list[int]) -> None:
    framer = HandshakeFramer()
    told, error = feed_until_error(framer, data, sizes)
    assert (error is None) == HANDSHAKE.startswith(data[:20])
    if error is not None:
        assert isinstance(error, RemoteProtocolError)
        assert told == []
    else:
        assert len(told) == (len(data) >= 48) + (len(data) >= 68)


@settings(max_examples=20)
@given(st.integers(100, 70_000))
def test_endless_bytes_after_a_handshake_are_refused(chunk: int) -> None:
    """Whoever switches late must not be made to keep everything."""
    framer = HandshakeFramer()
    endless = HELLO.encode() + IDENT.encode() + bytes(MOST_KEPT + chunk)
    _, error = feed_until_error(framer, endless, [chunk])
    assert isinstance(error, RemoteProtocolError)
    assert len(framer.unread()) <= MOST_KEPT
