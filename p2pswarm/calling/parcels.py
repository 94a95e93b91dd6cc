"""Files given and taken in a call: each is a torrent, and both sides are the only peers of its swarm.

The giver offers names and sizes, the taker takes what he likes and gets the torrents of that; then he opens a
stream in the call for each, on which both speak BitTorrent. So it goes on where it stopped, every piece is
verified, and one torrent may be given to several people at once.

What both sides share is here: streams that come and go in the call, and what is said of a torrent.
"""

from collections.abc import Callable

from typing_extensions import override

from p2pswarm.calling.call import Call
from p2pswarm.calling.session import Session
from p2pswarm.calling.tunnel import Tunnel
from p2pswarm.formats.ids import PeerId
from p2pswarm.formats.metainfo import Metainfo
from p2pswarm.net.stream import Stream
from p2pswarm.swarm.greeting import Greeted
from p2pswarm.wire.calling.frames import CallFrame
from p2pswarm.wire.calling.lists import ParcelKind
from p2pswarm.wire.calling.parcels import Bytes, Parcel, Shut
from p2pswarm.wire.framer import Scratch

__all__ = ["Results", "Side", "described", "let_in"]

Results = dict[str, str]
"""Of each name why it did not arrive; empty where it did."""


class Side(Session):
    """What both sides share: streams come and go."""

    def __init__(self, call: Call, me: PeerId) -> None:
        super().__init__(call)
        self._me = me
        self._scratch = Scratch()
        self._tunnels: dict[int, Tunnel] = {}
        self._holds = False

    @override
    def _heard(self, frame: CallFrame) -> None:
        """Raises RemoteProtocolError."""
        match frame.kind:
            case ParcelKind.BYTES:
                said = Bytes.read(frame.body)
                if said.stream in self._tunnels:  # else it ended here a moment ago
                    self._tunnels[said.stream].got(said.data)
            case ParcelKind.SHUT:
                ended = Shut.read(frame.body)
                if ended.stream in self._tunnels:
                    self._tunnels[ended.stream].shut()
            case _:
                """Of tomorrow."""

    def _begin(self, number: int, stream: Stream) -> Tunnel:
        """Whoever gets it runs it (`_run`)."""
        # Addresses that nobody can have (RFC 6666): one for each, and never dialed.
        tunnel = Tunnel(self._call.line, number, stream, f"100::{number + 1:x}")
        tunnel.held = self._hold_or_free
        self._tunnels[number] = tunnel
        tunnel.begin()
        return tunnel

    async def _run(self, tunnel: Tunnel) -> None:
        """Until that stream is over."""
        try:
            await tunnel.run()
        finally:
            del self._tunnels[tunnel.number]
            self._hold_or_free()

    def _hold_or_free(self) -> None:
        holds = any(tunnel.full for tunnel in self._tunnels.values())
        if holds != self._holds:
            self._holds = holds
            (self._call.line.hold if holds else self._call.line.free)()


def described(metainfo: Metainfo) -> Parcel:
    """As a person counts it, so without pad files."""
    files = [file for file in metainfo.files if not file.pad]
    size = sum(file.length for file in files)
    return Parcel(metainfo.name, size, len(files), len(metainfo.raw))


def let_in(welcome: Callable[[Greeted], object], who: Greeted) -> None:
    """One that has no place is closed by whoever had none."""
    welcome(who)
