"""What goes beside the stream of a call: 20 ms of voice, and twice a second what was heard of the other's.

In a datagram it is sealed (`wire/people/marked.Sealed`); where no datagrams get through, the same messages go
as frames of the stream.

```
voice      1 · number 4 · an Opus packet
report     2 · sent 4 · heard 4 · lost 4 · jitter 4 · clock 4 · echo 4 · held 4
```
"""

from dataclasses import dataclass
from struct import Struct

from p2pswarm.errors import RemoteProtocolError

__all__ = ["MOST_OPUS", "Report", "Voice", "read_media"]

MOST_OPUS = 1275  # bytes of a frame; RFC 6716, 3.2.1
_VOICE, _REPORT = 1, 2
_VOICE_HEAD = Struct(">BI")
_REPORT_BODY = Struct(">B7I")


@dataclass(frozen=True, slots=True)
class Voice:
    """20 ms of the sender's voice; `number` counts them from 0."""

    number: int
    opus: bytes

    def encode(self) -> bytes:
        return _VOICE_HEAD.pack(_VOICE, self.number) + self.opus


@dataclass(frozen=True, slots=True)
class Report:
    """As in RTCP (RFC 3550, 6.4): what one side heard, and what the other needs to measure the way."""

    sent: int
    """Frames of voice that the sender has sent."""
    heard: int
    """Those of the other side that came in time,"""
    lost: int
    """and those that did not, lost or late."""
    jitter: int
    """Of what came, in microseconds."""
    clock: int
    """The sender's, in milliseconds; means nothing to anybody else."""
    echo: int
    """The `clock` of the other side's last report, 0 when there was none,"""
    held: int
    """and how many milliseconds ago it came."""

    def encode(self) -> bytes:
        fields = (self.sent, self.heard, self.lost, self.jitter, self.clock, self.echo, self.held)
        return _REPORT_BODY.pack(_REPORT, *(min(max(each, 0), 0xFFFFFFFF) for each in fields))


def read_media(body: bytes) -> Voice | Report | None:
    """None for a kind from tomorrow. Raises RemoteProtocolError."""
    match body[:1]:
        case b"\x01":
            if not _VOICE_HEAD.size < len(body) <= _VOICE_HEAD.size + MOST_OPUS:
                raise RemoteProtocolError(f"voice in {len(body)} bytes")
            return Voice(_VOICE_HEAD.unpack_from(body)[1], body[_VOICE_HEAD.size :])
        case b"\x02":
            if len(body) != _REPORT_BODY.size:
                raise RemoteProtocolError(f"a report in {len(body)} bytes")
            return Report(*_REPORT_BODY.unpack(body)[1:])
        case b"":
            raise RemoteProtocolError("media without anything")
        case _:
            return None
