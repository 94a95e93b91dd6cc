"""The examples in docs/protocols/supernode.md are what is sent, and its table is what is read."""

import re
from pathlib import Path

from p2pswarm.wire.supernode.datagrams import MAGIC, UdpPing, UdpPong, read_datagram
from p2pswarm.wire.supernode.frames import MOST, OPENING, Frame, FrameFramer, FrameKind
from tests.support.feeding import feed
from tests.support.supernode_reading import read_frame

DOCUMENT = (Path(__file__).parents[3] / "docs/protocols/supernode.md").read_text("utf-8")
EXAMPLES = [bytes.fromhex(text) for text in re.findall(r"```hex\n(.+?)```", DOCUMENT, re.DOTALL)]


def test_there_is_an_example_of_every_kind() -> None:
    stream = OPENING + b"".join(data for data in EXAMPLES if data[:4] != MAGIC)
    frames = [frame for frame in feed(FrameFramer(), stream) if isinstance(frame, Frame)]
    assert [frame.kind for frame in frames] == [*FrameKind]
    for frame in frames:
        message = read_frame(frame)
        assert message is not None
        assert message.encode() == frame


def test_there_is_an_example_of_both_datagrams() -> None:
    ping, pong = (read_datagram(data) for data in EXAMPLES if data[:4] == MAGIC)
    assert isinstance(ping, UdpPing)
    assert isinstance(pong, UdpPong)
    assert ping.token == pong.token


def test_the_table_of_kinds_is_the_one_we_go_by() -> None:
    rows = re.findall(
        r"^\| ([0-9a-f]{2}) \| ([A-Z]+) \| \w+ \| ([0-9 ]+) \|$", DOCUMENT, re.MULTILINE
    )
    told = {int(kind, 16): (name, int(most.replace(" ", ""))) for kind, name, most in rows}
    assert told == {kind: (kind.name, MOST[kind]) for kind in FrameKind}
