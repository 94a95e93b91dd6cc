"""The handshake, either side of it: who are you, and which torrent is it about?

A torrent may have two names (BEP 52): that of version 1, and the first 20 bytes of version 2's. The name that
both sides said last is the version that they speak. Who asks by the first and has the second says so in its
reserved bytes, and an answer by the second takes both over to version 2.

Ends by handing the stream on with the bytes that came after the handshake still unread.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from typing_extensions import override

from p2pswarm.errors import RemoteProtocolError
from p2pswarm.formats.ids import InfoHash, PeerId
from p2pswarm.net.stream import Stream
from p2pswarm.swarm.heard import Heard
from p2pswarm.wire.peer import Hello, Ident, Reserved

__all__ = ["HANDSHAKE_TIME", "Answering", "Asking", "Greeted", "Host", "Name", "Rival"]

HANDSHAKE_TIME = 10.0  # seconds for the whole of it; libtorrent's number


class Name(NamedTuple):
    """What tells peers apart. An id alone is no secret: who says it from another host is another peer."""

    peer_id: PeerId
    host: str


class Rival(NamedTuple):
    """Another connection with the same peer."""

    stream: Stream
    outgoing: bool


@dataclass(frozen=True, slots=True)
class Greeted:
    """A peer that has introduced itself."""

    stream: Stream
    peer_id: PeerId
    reserved: Reserved
    outgoing: bool
    obfuscated: bool = False  # its handshake was
    v2: bool = False  # it speaks version 2 (BEP 52): hashes may be asked for
    heard: Heard | None = None  # what it said meanwhile to a magnet, which hands it on

    @property
    def name(self) -> Name:
        return Name(self.peer_id, self.stream.remote.host)

    def replaces(self, rival: Rival, me: PeerId) -> bool:
        """A direct connection stays, not a relay's. Both sides dialed: the connection made by the greater id
        stays, so that both keep the same."""
        if self.stream.relayed != rival.stream.relayed:
            return rival.stream.relayed
        if self.outgoing == rival.outgoing:
            return False
        return self.outgoing == (me > self.peer_id)


class Host(NamedTuple):
    """Who takes in the peers of a torrent, and the torrent's name in version 2, if it has one."""

    welcome: Callable[[Greeted], None]
    v2: InfoHash | None = None


class _Greeting:
    """What both sides share: the stream, and silence for what does not concern a handshake."""

    stream: Stream
    obfuscated = False
    """This handshake is inside another (`obfuscation`)."""
    v2: InfoHash | None = None
    """The torrent's name in version 2, if it has one."""

    def __init__(self, me: PeerId, lost: Callable[[Exception | None], None]) -> None:
        self._me = me
        self._lost = lost
        self._hello: Hello | None = None

    def got(self, message: object) -> None:
        """Raises RemoteProtocolError for whom we do not want to talk to."""
        if isinstance(message, Hello):
            self._hello = message
            self._got_hello(message)
        elif isinstance(message, Ident) and self._hello is not None:
            if message.peer_id == self._me:
                raise RemoteProtocolError("that is ourselves")
            self._got_ident(self._hello, message)

    def _greeted(self, hello: Hello, ident: Ident, agreed: InfoHash, *, outgoing: bool) -> Greeted:
        return Greeted(
            self.stream,
            ident.peer_id,
            hello.reserved,
            outgoing,
            obfuscated=self.obfuscated,
            v2=agreed == self.v2,
        )

    def _got_hello(self, hello: Hello) -> None:
        raise NotImplementedError

    def _got_ident(self, hello: Hello, ident: Ident) -> None:
        raise NotImplementedError

    def caught_up(self) -> None:
        """A handshake answers each part when it comes."""

    def drained(self) -> None:
        """A handshake sends nothing large."""

    def closed(self, reason: Exception | None) -> None:
        self._lost(reason)


class Asking(_Greeting):
    """We dialed: we speak first. `opening` is all that we say."""

    def __init__(
        self,
        info_hash: InfoHash,
        me: PeerId,
        done: Callable[[Greeted], None],
        lost: Callable[[Exception | None], None],
        *,
        dht: bool = False,
        v2: InfoHash | None = None,
    ) -> None:
        super().__init__(me, lost)
        self.info_hash, self.v2 = info_hash, v2
        ours = Reserved.ours(dht=dht, v2=v2 not in (None, info_hash))
        self.opening = Hello(ours, info_hash).encode() + Ident(me).encode()
        self._done = done
        self._begun = False
        self._early: tuple[Hello, Ident] | None = None

    @property
    def heard(self) -> bool:
        """Whether the other side began to introduce itself."""
        return self._hello is not None

    def begin(self, stream: Stream, *, said: bool = False) -> None:
        """The connection is there. On uvloop the other side may have spoken before we hear of that."""
        self.stream = stream
        self._begun = True
        if not said:
            stream.send(self.opening)
        if self._early is not None:
            self._got_ident(*self._early)

    @override
    def _got_hello(self, hello: Hello) -> None:
        if hello.info_hash not in (self.info_hash, self.v2):
            raise RemoteProtocolError(f"answers for {hello.info_hash}, not {self.info_hash}")

    @override
    def _got_ident(self, hello: Hello, ident: Ident) -> None:
        if self._begun:
            self._done(self._greeted(hello, ident, hello.info_hash, outgoing=True))
        else:
            self._early = hello, ident


class Answering(_Greeting):
    """We were dialed: we say nothing before we know the torrent, and nothing at all when we do not."""

    def __init__(
        self,
        stream: Stream,
        me: PeerId,
        find: Callable[[InfoHash], Host | None],
        lost: Callable[[Exception | None], None],
        *,
        dht: bool = False,
    ) -> None:
        super().__init__(me, lost)
        self.stream = stream
        self._find = find
        self._dht = dht
        self._host: Host | None = None

    @override
    def _got_hello(self, hello: Hello) -> None:
        self._host = self._find(hello.info_hash)
        if self._host is None:
            raise RemoteProtocolError(f"asks for {hello.info_hash}, which is not here")
        self.v2 = self._host.v2
        self._agreed = self.v2 if self.v2 and hello.reserved.v2 else hello.info_hash
        ours = Reserved.ours(dht=self._dht, v2=self.v2 not in (None, self._agreed))
        self.stream.send(Hello(ours, self._agreed).encode() + Ident(self._me).encode())

    @override
    def _got_ident(self, hello: Hello, ident: Ident) -> None:
        assert self._host is not None
        self._host.welcome(self._greeted(hello, ident, self._agreed, outgoing=False))
