"""The one port of a node: who knocks is sniffed and routed, and from here we dial.

A stranger has ten seconds to say who it is and what it wants; until then it costs a socket and a timer,
and when too many stand at the door the one that waited longest is sent away.

The one hard thing: in some protocols who is dialed speaks first, and a sniffer that only listens would wait
for ever. Such guests are announced (`expect`); nobody else is greeted, and nobody who has said something.

Datagrams come and go under the same number, but only of a node that has somebody to hear them.
"""

import asyncio
import errno
import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

from typing_extensions import override

from p2pswarm.errors import LocalProtocolError, PortTakenError, RemoteProtocolError
from p2pswarm.formats.ids import Address
from p2pswarm.net.binding import ANY, Family, bound_addresses, family_of, own_addresses
from p2pswarm.net.punching import dial_from
from p2pswarm.net.stream import Conversation, Stream
from p2pswarm.net.udp import DatagramHandler, Datagrams
from p2pswarm.net.utp import Utp
from p2pswarm.net.whereabouts import Whereabouts
from p2pswarm.wire.framer import Framer, Scratch
from p2pswarm.wire.sniff import DatagramGuest, Guest, SniffFramer

__all__ = ["DEFAULT_PORT", "Port"]

log = logging.getLogger(__name__)

DEFAULT_PORT = 46881  # outside 6881-6889, which some networks slow down
TRIES = 100  # ports tried from there on when none was named
DOOR_TIME = 10.0  # seconds a stranger may take for its handshake
MOST_AT_DOOR = 1000
BACKLOG = 4096  # as many as Linux allows; who finds it full tries again after a second
# Seconds of silence after which a guest is greeted: one whose address was announced, and any other while
# somebody of unknown address is expected. Others speak as soon as they are connected.
SILENCE_OF_EXPECTED = 0.05
SILENCE_OF_OTHERS = 0.3


@dataclass(frozen=True, slots=True, eq=False)
class _Expected:
    """Somebody who waits to be greeted; without a host it can be anybody."""

    host: str | None
    greeting: bytes
    welcome: Callable[[Stream], None]


class Port:
    """Listener and dialer under one number. `open` before use, `close` at the end.

    `host` is an address, the name of an interface, or `any`. Ports of one event loop may share a scratch
    buffer.
    """

    def __init__(self, host: str, port: int | None, scratch: Scratch | None = None) -> None:
        self.host = host
        self.number = port or 0
        self.scratch = scratch or Scratch()
        self._wish = port
        self._routes: dict[Guest, Callable[[Stream], None]] = {}
        self._at_door: dict[Stream, asyncio.TimerHandle] = {}
        self._expected: list[_Expected] = []
        self._hosts: tuple[str, ...] = ()  # once open: whose addresses are bound
        self._servers: tuple[asyncio.Server, ...] = ()
        self._datagrams = Datagrams()
        self._utp: Utp | None = None
        self.whereabouts = Whereabouts(lambda: own_addresses(self._hosts))

    def route(self, guest: Guest, welcome: Callable[[Stream], None]) -> None:
        """Who takes care of this kind of guest."""
        self._routes[guest] = welcome

    def expect(
        self, host: str | None, greeting: bytes, welcome: Callable[[Stream], None]
    ) -> Callable[[], None]:
        """Somebody will dial us and wait for `greeting`, from `host` or, None, from anywhere.

        Once greeted it is handed to `welcome`, the door's clock running on. What is returned ends it.
        """
        expected = _Expected(host and Address(host, 0).normal.host, greeting, welcome)
        self._expected.append(expected)

        def forget() -> None:
            if expected in self._expected:
                self._expected.remove(expected)

        return forget

    def route_datagrams(self, guest: DatagramGuest, handler: DatagramHandler) -> None:
        """Who takes care of datagrams of this kind; before `open`, or `open_datagrams` afterwards."""
        self._datagrams.route(guest, handler)

    def speak_utp(self, dice: Random) -> None:
        """Let people come by uTP too, and dial them so; before `open`. May be called again."""
        if self._utp is None:
            self._utp = Utp(self._datagrams.send_row, self.knock, dice)
            self._datagrams.take = self._utp.take
            self.route_datagrams(DatagramGuest.UTP, self._utp.got)

    async def open(self) -> None:
        """Listen, and hear datagrams if they are routed.

        Raises PortTakenError when the named port, or every default one, is in use.
        """
        wishes = self._wishes()
        for number in wishes:
            if await self._listens(number):
                self.whereabouts.begin()
                return
        raise PortTakenError(f"no free port from {wishes[0]} to {wishes[-1]} on {self.host}")

    def _wishes(self) -> Sequence[int]:
        if self._wish is None:
            return range(DEFAULT_PORT, DEFAULT_PORT + TRIES)
        return [self._wish] * (1 if self._wish else TRIES)

    async def _listens(self, number: int) -> bool:
        """False when another number should be tried. Raises PortTakenError when that is of no use."""
        self.number = number  # 0 until the first address has any, which the others then take
        for host in bound_addresses(self.host):
            try:
                await self._listen_on(host)
            except OSError as error:
                if self.host == ANY and self._servers and error.errno != errno.EADDRINUSE:
                    continue  # a machine without IPv6
                await self._withdraw()
                self._cannot_listen(number, error)
                return False
        try:
            if self._datagrams.routed:
                await self.open_datagrams()
        except PortTakenError:
            await self._withdraw()
            if self._wish:
                raise
            return False
        return True

    async def _listen_on(self, host: str) -> None:
        """Raises OSError."""
        loop = asyncio.get_running_loop()
        server = await loop.create_server(self.knock, host, self.number, backlog=BACKLOG)
        if None in server.sockets:  # uvloop, when another program took the number in this moment
            server.close()
            raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
        self._servers += (server,)
        self._hosts += (host,)
        self.number = server.sockets[0].getsockname()[1]

    def _cannot_listen(self, number: int, error: OSError) -> None:
        if error.errno != errno.EADDRINUSE:
            reason = error.strerror or str(error)
            raise PortTakenError(f"cannot listen on {Address(self.host, number)}: {reason}")
        if self._wish:
            raise PortTakenError(f"port {number} on {self.host} is in use") from error

    async def open_datagrams(self) -> None:
        """Hear and send datagrams from now on; may be called again.

        Raises PortTakenError when somebody else has our number for them.
        """
        servers = self._servers
        if not servers:
            raise LocalProtocolError("datagrams come after the listener, which says the number")
        try:
            for host in self._hosts:
                await self._datagrams.open(host, self.number)
        except OSError as error:  # which uvloop does not number
            raise PortTakenError(
                f"port {self.number} on {self.host} is in use for UDP by another program"
            ) from error
        if self._servers is not servers:  # closed meanwhile
            await self._datagrams.close()

    def claim_datagrams(self, ours: Callable[[bytes, Address], bool]) -> None:
        """Who knows whether a datagram is the answer of a tracker that somebody waits for."""
        self._datagrams.claim = ours

    def send_datagram(self, data: bytes, address: Address) -> None:
        """Whatever cannot be sent now is dropped."""
        self._datagrams.send(data, address)

    async def dial(self, address: Address, framer: Framer, conversation: Conversation) -> Stream:
        """Connect by TCP. Raises OSError."""
        loop = asyncio.get_running_loop()
        here = self._source_for(address)
        _, stream = await loop.create_connection(
            lambda: Stream(framer, conversation),
            address.host,
            address.port,
            local_addr=(here, 0) if here else None,
        )
        return self.whereabouts.watch(stream)

    async def dial_from(
        self, number: int, address: Address, framer: Framer, conversation: Conversation
    ) -> Stream:
        """Connect by TCP from a number that other connections begin at, too; 0 for any. Raises OSError."""
        here = self._source_for(address)
        stream = Stream(framer, conversation)
        await dial_from((here or "", number), address, stream)
        return self.whereabouts.watch(stream)

    @property
    def speaks_utp(self) -> bool:
        return self._utp is not None

    async def dial_utp(
        self, address: Address, framer: Framer, conversation: Conversation
    ) -> Stream:
        """Connect by uTP. Raises OSError."""
        if self._utp is None:
            raise OSError(errno.EPROTONOSUPPORT, "uTP is off")
        stream = Stream(framer, conversation)
        await self._utp.dial(address, stream)
        return stream

    def _source_for(self, address: Address) -> str | None:
        """The address that a connection begins at: the one that is bound; None when any will do.

        Raises OSError when none of that family is ours to use.
        """
        family = family_of(address.host)
        fitting = [host for host in self._bound() if family in (None, family_of(host))]
        if not fitting:
            raise OSError(errno.EAFNOSUPPORT, f"{self.host} has no address like {address.host}")
        ip = Address(fitting[0], self.number).ip
        return None if ip is None or ip.is_unspecified else fitting[0]

    def _bound(self) -> tuple[str, ...]:
        return self._hosts or bound_addresses(self.host)

    @property
    def families(self) -> frozenset[Family]:
        """Of which addresses we can be; known once it is open."""
        return frozenset(filter(None, map(family_of, self._hosts)))

    @property
    def hosts(self) -> tuple[str, ...]:
        """The addresses we listen on, of which `0.0.0.0` and `::` mean every one; once it is open."""
        return self._hosts

    @property
    def bound(self) -> str | None:
        """The one address we use, so that both directions show the same; None when any will do."""
        first = self._bound()[0]
        ip = Address(first, self.number).ip
        return None if ip is None or ip.is_unspecified else first

    def admitted(self, stream: Stream) -> None:
        """The guest has said who it is; the door's clock stops."""
        timer = self._at_door.pop(stream, None)
        if timer is not None:
            timer.cancel()

    async def close(self) -> None:
        """Stop listening and send away who still stands at the door."""
        if self._utp is not None:
            self._utp.close()
        await self._withdraw()

    async def _withdraw(self) -> None:
        """Nobody can come in by this number any more; another one may be tried."""
        self.whereabouts.end()
        servers, self._servers, self._hosts = self._servers, (), ()
        for server in servers:
            server.close()
        for stream in list(self._at_door):
            stream.close()
        for server in servers:
            await server.wait_closed()
        await self._datagrams.close()

    def knock(self) -> Stream:
        """Somebody connects, by TCP or uTP: what the new connection speaks with."""
        knocking = _Knocking(self, SniffFramer(self.scratch))
        stream = _Guest(knocking)
        knocking.stream = stream
        self.stand(self.whereabouts.watch(stream))
        if not self._servers:  # accepted before we closed, connected after
            stream.close()
        return stream

    def stand(self, stream: Stream) -> None:
        """One that came another way, as through a relay, has as much time at the door as any other."""
        loop = asyncio.get_running_loop()
        late = RemoteProtocolError(f"no handshake within {DOOR_TIME:.0f} s")
        self._at_door[stream] = loop.call_later(DOOR_TIME, stream.close, late)
        if len(self._at_door) > MOST_AT_DOOR:
            oldest = next(iter(self._at_door))
            oldest.close(RemoteProtocolError("too many at the door"))

    def patience_with(self, remote: Address) -> float | None:
        """Seconds of silence after which this guest is greeted; None for never."""
        hosts = {expected.host for expected in self._expected}
        if remote.host in hosts:
            return SILENCE_OF_EXPECTED
        return SILENCE_OF_OTHERS if None in hosts else None

    def greet(self, stream: Stream) -> None:
        """Somebody is silent: if such a guest is still expected, speak first."""
        for host in (stream.remote.host, None):
            for expected in self._expected:
                if expected.host == host:
                    stream.send(expected.greeting)
                    expected.welcome(stream)
                    return

    def welcome(self, guest: Guest, stream: Stream) -> None:
        """Hand a sniffed guest on. Raises RemoteProtocolError when nobody takes care of its kind."""
        if guest not in self._routes:
            raise RemoteProtocolError(f"no {guest.name} here")
        self._routes[guest](stream)


class _Guest(Stream):
    """A stream that tells the door when it is connected."""

    def __init__(self, knocking: "_Knocking") -> None:
        super().__init__(knocking.framer, knocking)
        self._knocking: _Knocking | None = knocking

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        knocking, self._knocking = self._knocking, None  # which knows us
        if knocking is not None:
            knocking.connected()


class _Knocking:
    """The conversation while nobody knows who it is."""

    stream: Stream

    def __init__(self, port: Port, framer: SniffFramer) -> None:
        self.framer = framer
        self._port = port

    def connected(self) -> None:
        patience = self._port.patience_with(self.stream.remote)
        if patience is not None and not self.stream.over:
            asyncio.get_running_loop().call_later(patience, self._greet)

    def _greet(self) -> None:
        if not self.framer.heard and not self.stream.over:
            self._port.greet(self.stream)

    def got(self, message: object) -> None:
        if isinstance(message, Guest):
            self._port.welcome(message, self.stream)

    def caught_up(self) -> None:
        """There is nothing to answer yet."""

    def drained(self) -> None:
        """Nothing was sent."""

    def closed(self, reason: Exception | None) -> None:
        self._port.admitted(self.stream)
        log.debug("%s left at the door: %s", self.stream.remote, reason)
