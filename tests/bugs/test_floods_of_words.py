"""Four peers that said much in few bytes held the loop for ten seconds: megabytes were read at a time."""

import pytest

from p2pswarm.errors import RemoteProtocolError
from p2pswarm.formats import bencode
from p2pswarm.wire.extension.handshake import ExtendedHandshake
from p2pswarm.wire.extension.metadata import read_metadata
from p2pswarm.wire.extension.pex import Pex
from p2pswarm.wire.framer import MOST_KEPT, SCRATCH_SIZE
from p2pswarm.wire.peer import FIRST_PORTION, MAX_MESSAGE, SMALL_PORTION, Extended, KeepAlive
from tests.support.singly import SingleFramer, piece_head


def say(framer: SingleFramer, data: bytes) -> int:
    """Returns how much would be read next."""
    while data:
        buffer = framer.get_buffer()
        part, data = data[: len(buffer)], data[len(buffer) :]
        buffer[: len(part)] = part
        list(framer.received(len(part)))
    return len(framer.get_buffer())


@pytest.mark.parametrize("word", [Extended(0, b"de").encode(), KeepAlive().encode()])
def test_of_who_floods_little_is_read_at_a_time(word: bytes) -> None:
    framer = SingleFramer()
    assert len(framer.get_buffer()) == FIRST_PORTION
    assert say(framer, word * 10_000) <= 2 * SMALL_PORTION


def test_whoever_stops_is_read_as_before() -> None:
    framer = SingleFramer()
    say(framer, Extended(0, b"de").encode() * 10_000)
    for _ in range(20):
        say(framer, KeepAlive().encode())
    assert len(framer.get_buffer()) == MOST_KEPT
    assert say(framer, piece_head(0, 0, 1 << 14) + bytes(1 << 14)) == SCRATCH_SIZE


def test_a_long_message_gets_through_behind_a_flood() -> None:
    framer = SingleFramer()
    say(framer, KeepAlive().encode() * 10_000)
    say(framer, MAX_MESSAGE.to_bytes(4, "big") + b"\x05" + bytes(MAX_MESSAGE - 1))
    assert framer.unread() == b""


def test_blocks_do_not_hide_a_flood() -> None:
    framer = SingleFramer()
    block = piece_head(0, 0, 1) + b"x"
    assert say(framer, (KeepAlive().encode() * 100 + block) * 100) < 2 * SMALL_PORTION


BOMB = b"d1:xl" + b"0:" * 5000 + b"ee"


@pytest.mark.parametrize("read", [ExtendedHandshake.decode, Pex.decode, read_metadata])
def test_thousands_of_values_are_not_read(read: object) -> None:
    assert callable(read)
    assert bencode.decode(BOMB)
    with pytest.raises(RemoteProtocolError, match="values"):
        read(BOMB)
