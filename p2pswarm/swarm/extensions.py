"""What one peer and we say beyond the base protocol (BEP 10).

Which extensions the peer speaks, and under which numbers, is in `hello`, all its handshakes together. What
it says comes in through `got` under *our* numbers; what we say goes out through `say` under the peer's, or
not at all when it does not speak that. A number that we did not offer is nobody's: it is ignored.

The one hard thing: a torrent may be private (BEP 27). Then its info is for nobody who does not have it, and
no address of a peer is told or believed; what is not offered is not listened to either.
"""

from collections.abc import Callable, Mapping
from functools import cache
from ipaddress import ip_address
from typing import Protocol

from p2pswarm.discovery.pex import PexListener, PexTeller
from p2pswarm.errors import RemoteProtocolError
from p2pswarm.formats.ids import Address, PieceIndex
from p2pswarm.net.rate import Limiter
from p2pswarm.net.stream import Stream
from p2pswarm.swarm.info import InfoUpload
from p2pswarm.wire.extension.handshake import REQQ, ExtendedHandshake
from p2pswarm.wire.extension.holepunch import Holepunch
from p2pswarm.wire.extension.metadata import MetadataRequest, read_metadata
from p2pswarm.wire.extension.news import DontHave, UploadOnly
from p2pswarm.wire.extension.numbers import (
    DONT_HAVE,
    HOLEPUNCH,
    METADATA,
    NUMBERS,
    PEX,
    UPLOAD_ONLY,
)
from p2pswarm.wire.extension.pex import Pex, PexFlag
from p2pswarm.wire.peer import Extended

__all__ = ["ExtensionHome", "Extensions", "Talker", "offered"]

VERSION = "p2pswarm 0.1.0"
# Messages and, of large ones, half kilobytes: that many at once and so many a second. Who asks for all of
# the largest info dictionary says 640, and who lost pieces some hundreds.
MOST_SAID, SAID_RATE = 3000, 100.0


@cache
def offered(*, private: bool, pex: bool, utp: bool) -> frozenset[str]:
    """The extensions that a torrent speaks. Of a private one peers tell nothing but their pieces (BEP 27)."""
    names = frozenset(_HANDLERS)
    if private:
        names -= {METADATA, PEX, HOLEPUNCH}
    if not utp:
        names -= {HOLEPUNCH}
    return names if pex else names - {PEX}


class Talker(Protocol):
    """What the extensions need of the peer whose they are."""

    stream: Stream
    address: Address  # where it listens
    upload_only: bool
    extensions: "Extensions"

    def send(self, *buffers: bytes | memoryview) -> bool: ...
    def introduced(self, hello: ExtendedHandshake) -> None: ...
    def has_lost(self, piece: PieceIndex) -> None: ...


class ExtensionHome(Protocol):
    """What the extensions need of the torrent."""

    up: Limiter
    info: memoryview | None  # None: not for others
    offered: frozenset[str]  # the extensions that this torrent speaks
    hides: bool  # whether we like our connections encrypted

    @property
    def port(self) -> int: ...
    @property
    def upload_only(self) -> bool: ...

    def clock(self) -> float: ...
    def neighbours(self) -> Mapping[Address, PexFlag]: ...
    def found(self, address: Address) -> None: ...
    def hole_punched(self, peer: Talker, message: Holepunch) -> None: ...
    def seen_as(self, voter: Address, ip: bytes) -> None: ...


class Extensions:
    """One peer's. Raises RemoteProtocolError out of `got` when the peer broke the rules."""

    def __init__(self, peer: Talker, home: ExtensionHome) -> None:
        self.hello = ExtendedHandshake()
        self.info = InfoUpload(home.info, peer.stream, home.up, self._say_metadata)
        self._peer = peer
        self._home = home
        self._heard = PexListener(peer.stream.remote)
        self._said, self._said_at = 0.0, home.clock()
        # From its first handshake on, which says where it listens
        self._teller: PexTeller | None = None

    def introduction(self) -> bytes:
        """Our own handshake, as a message."""
        ip = self._peer.stream.remote.ip
        info = self._home.info
        hello = ExtendedHandshake(
            messages={name: NUMBERS[name] for name in NUMBERS if name in self._home.offered},
            version=VERSION,
            port=self._home.port,
            reqq=REQQ,
            yourip=ip.packed if ip else b"",
            upload_only=self._home.upload_only or None,
            metadata_size=len(info) if info is not None else None,
            encryption=self._home.hides or None,
        )
        return Extended(0, hello.encode()).encode()

    def speaks(self, name: str) -> bool:
        """Whether both of us speak this extension."""
        return name in self._home.offered and self.hello.number(name) > 0

    def say(self, name: str, payload: bytes) -> None:
        """Nothing is said to a peer that does not speak it."""
        if self.speaks(name):
            self._peer.send(Extended(self.hello.number(name), payload).encode())

    def got(self, message: Extended) -> None:
        """A handshake, or what one of our extensions says."""
        self.count(len(message.payload))
        if message.id == 0:
            self._got_hello(ExtendedHandshake.decode(message.payload))
            return
        name = _NAMES.get(message.id)
        if name is not None and name in self._home.offered:
            _HANDLERS[name](self, message.payload)

    def count(self, size: int) -> None:
        """These are dear to hear, and none of them is needed often. Raises RemoteProtocolError."""
        now = self._home.clock()
        self._said = max(0.0, self._said - (now - self._said_at) * SAID_RATE) + 1 + size // 512
        self._said_at = now
        if self._said > MOST_SAID:
            raise RemoteProtocolError("a flood of extended messages")

    def _got_hello(self, hello: ExtendedHandshake) -> None:
        self.hello = self.hello.and_then(hello)
        self._peer.introduced(self.hello)
        if hello.yourip:
            self._home.seen_as(self._peer.stream.remote, hello.yourip)
        if self._teller is None:
            self._teller = PexTeller(self._peer.address)

    def got_metadata(self, payload: bytes) -> None:
        """Pieces and refusals are of no use to us: we have the info."""
        message = read_metadata(payload)
        if isinstance(message, MetadataRequest):
            self.info.asked(message.piece)

    def _say_metadata(self, payload: bytes) -> None:
        self.say(METADATA, payload)

    def got_pex(self, payload: bytes) -> None:
        for address, flags in self._heard.heard(Pex.decode(payload), self._home.clock()):
            of_no_use = self._home.upload_only and flags & PexFlag.SEED
            if not of_no_use and not self._is_us(address):
                self._home.found(address)

    def _is_us(self, address: Address) -> bool:
        """Transmission 3 names us to ourselves."""
        seen, here = self.hello.yourip, self._peer.stream.local.host
        ours = {here, str(ip_address(seen))} if seen else {here}
        return address.port == self._home.port and address.host in ours

    def got_dont_have(self, payload: bytes) -> None:
        self._peer.has_lost(DontHave.decode(payload).piece)

    def got_upload_only(self, payload: bytes) -> None:
        self._peer.upload_only = UploadOnly.decode(payload).on

    def got_holepunch(self, payload: bytes) -> None:
        message = Holepunch.decode(payload)
        if message is not None:
            self._home.hole_punched(self._peer, message)

    def may_introduce(self, address: Address) -> bool:
        """Whether it said that it is connected there, to one that takes part in this (BEP 55)."""
        flags = self._heard.flags(address)
        return bool(flags and flags & PexFlag.HOLEPUNCH) and self.speaks(HOLEPUNCH)

    def tick(self, now: float) -> None:
        """Once a second: who is new, and what still waits."""
        teller = self._teller
        if teller is not None and self.speaks(PEX) and teller.is_due(now):
            news = teller.news(now, self._home.neighbours())
            if news is not None:
                self.say(PEX, news.encode())
        self.info.serve()

    def closed(self) -> None:
        self.info.closed()


_NAMES = {number: name for name, number in NUMBERS.items()}
_HANDLERS: dict[str, Callable[[Extensions, bytes], None]] = {
    DONT_HAVE: Extensions.got_dont_have,
    HOLEPUNCH: Extensions.got_holepunch,
    METADATA: Extensions.got_metadata,
    PEX: Extensions.got_pex,
    UPLOAD_ONLY: Extensions.got_upload_only,
}
