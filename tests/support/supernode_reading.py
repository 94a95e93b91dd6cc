"""Any frame of the supernode protocol, read: a node itself asks each body by its kind, where it is heard."""

from typing import TypeAlias

from p2pswarm.wire.supernode.frames import Frame, FrameKind
from p2pswarm.wire.supernode.hello import Bye, Hello, Refuse, Welcome
from p2pswarm.wire.supernode.hits import Hits
from p2pswarm.wire.supernode.hosts import Hosts
from p2pswarm.wire.supernode.keeping import Ping, Pong
from p2pswarm.wire.supernode.pushing import Push
from p2pswarm.wire.supernode.queries import End, Query, Stop
from p2pswarm.wire.supernode.shares import Share, Unshare
from p2pswarm.wire.supernode.testing import Data, Invite, Probe, Test, Verdict

__all__ = ["Message", "read_frame"]

Message: TypeAlias = (
    Hello
    | Welcome
    | Refuse
    | Bye
    | Ping
    | Pong
    | Hosts
    | Share
    | Unshare
    | Query
    | Hits
    | End
    | Stop
    | Push
    | Invite
    | Test
    | Verdict
    | Probe
    | Data
)

_READERS: dict[int, type[Message]] = {
    FrameKind.HELLO: Hello,
    FrameKind.WELCOME: Welcome,
    FrameKind.REFUSE: Refuse,
    FrameKind.BYE: Bye,
    FrameKind.PING: Ping,
    FrameKind.PONG: Pong,
    FrameKind.HOSTS: Hosts,
    FrameKind.SHARE: Share,
    FrameKind.UNSHARE: Unshare,
    FrameKind.QUERY: Query,
    FrameKind.HITS: Hits,
    FrameKind.END: End,
    FrameKind.STOP: Stop,
    FrameKind.PUSH: Push,
    FrameKind.INVITE: Invite,
    FrameKind.TEST: Test,
    FrameKind.VERDICT: Verdict,
    FrameKind.PROBE: Probe,
    FrameKind.DATA: Data,
}


def read_frame(frame: Frame) -> Message | None:
    """What it says; None for a kind of tomorrow. Raises RemoteProtocolError."""
    reader = _READERS.get(frame.kind)
    return None if reader is None else reader.read(frame.body)
