"""Ways through a relay to which both sides come: a stream that is the other's, or a channel for datagrams.

We dial the super node, prove our key, say which session and whose key, and wait until the other side has done
the same. What a relay carries it cannot read: TLS, or the seal of a call, is inside.

The one hard thing: where READY ends, the bytes of the other side begin, often in the same packet. So nothing
behind it is taken for a frame.
"""

import asyncio
from collections.abc import Callable
from typing import ClassVar, NamedTuple

from typing_extensions import override

from p2pswarm.errors import BusyError, NetworkError, RefusedError, RemoteProtocolError
from p2pswarm.formats.ids import Address
from p2pswarm.net.port import Port
from p2pswarm.net.stream import Conversation, Stream
from p2pswarm.reach.channel import RelayChannel
from p2pswarm.reach.offers import RelayAt
from p2pswarm.wire.framer import Framer
from p2pswarm.wire.people.frames import OPENING, PeopleFramer, PeopleKind
from p2pswarm.wire.people.hello import Hello, Reason, Refuse, Want, Welcome
from p2pswarm.wire.people.knocking import NOBODY, Knock
from p2pswarm.wire.people.marked import Relayed
from p2pswarm.wire.people.relaying import Mode, Ready, Relay
from p2pswarm.wire.people.ringing import KEY_SIZE, Prove, proof
from p2pswarm.wire.sniff import DatagramGuest
from p2pswarm.wire.supernode.frames import Frame

__all__ = ["NO_KEY", "Credential", "Relays"]

GREETING_TIME = 8.0  # seconds to dial a relay and be welcomed
READY_TIME = 35.0  # seconds for the other side to come; the relay gives it 30
NO_KEY = bytes(KEY_SIZE)
"""The peer that somebody wants who was introduced in a swarm."""


class Credential(NamedTuple):
    """What proves who we are."""

    certificate: bytes
    sign: Callable[[bytes], bytes]


class Relays:
    """Our side of all relays; see `reach.paths.Relaying`. `open` before channels are wanted."""

    def __init__(self, port: Port, node: bytes, who: Callable[[], Credential | None]) -> None:
        self._port, self._node, self._who = port, node, who
        self._channels: dict[bytes, RelayChannel] = {}
        self.known: Callable[[bytes], Address | None] = _unknown
        """Where the super node of that name is, if we are at home there: whoever names another place may
        show our proof there, and be rung for us."""
        self.others: Callable[[bytes, Address], None] = _nobody
        """Who hears what is of no channel of ours: the relay that we are to others."""

    def open(self) -> None:
        """Hear what relays pass on."""
        self._port.route_datagrams(DatagramGuest.RELAY, self._got)

    def alone(self) -> None:
        """We are no relay to others any more."""
        self.others = _nobody

    def close(self) -> None:
        """Ends all channels; streams are whose they were given to. May be called twice."""
        for channel in list(self._channels.values()):
            channel.close()

    async def stream(
        self,
        relay: RelayAt,
        session: bytes,
        peer: bytes,
        framer: Framer,
        conversation: Conversation,
    ) -> Stream:
        """The other side's bytes, once both are there. Raises OSError, NetworkError, RemoteProtocolError."""
        relay = self._as_known(relay)
        stream, _ = await self._ask(relay, Relay(session, peer, Mode.STREAM))
        stream.switch(framer, conversation)
        stream.resume()
        return stream

    async def channel(self, relay: RelayAt, session: bytes, peer: bytes) -> RelayChannel:
        """Raises OSError, NetworkError, RemoteProtocolError; also where no datagram comes through."""
        relay = self._as_known(relay)
        stream, ready = await self._ask(relay, Relay(session, peer, Mode.DATAGRAMS))
        at = Address(relay.address.host, ready.udp.port)
        channel = RelayChannel(stream, ready, at, self._port.send_datagram, self._forget)
        self._channels[ready.channel] = channel
        stream.switch(PeopleFramer(self._port.scratch, opened=True), channel)
        stream.resume()
        try:
            await channel.proved()
        except BaseException:
            channel.close()
            raise
        return channel

    def _as_known(self, relay: RelayAt) -> RelayAt:
        return relay._replace(address=self.known(relay.node) or relay.address)

    async def _ask(self, relay: RelayAt, wish: Relay) -> tuple[Stream, Ready]:
        """Raises OSError, NetworkError, RemoteProtocolError; then nothing is left open."""
        asking = _Asking(relay, wish, None if wish.peer == NO_KEY else self._who())
        try:
            async with asyncio.timeout(GREETING_TIME):
                framer = _UntilReady(self._port.scratch)
                stream = await self._port.dial(relay.address, framer, asking)
                asking.begin(stream, Hello(self._node, Want.RELAY, self._port.number))
                await asking.welcomed
            async with asyncio.timeout(READY_TIME):
                return stream, await asking.ready
        except TimeoutError as error:
            asking.close()
            raise NetworkError(f"{relay.address} did not relay in time") from error
        except BaseException:
            asking.close()
            raise

    def _forget(self, channel: RelayChannel) -> None:
        self._channels.pop(channel.name, None)

    def _got(self, data: bytes, address: Address) -> None:
        """Raises RemoteProtocolError."""
        message = Relayed.read(data)
        if message.channel == NOBODY:
            knock = Knock.read(message.payload)
            channel = self._channels.get(knock.channel)
            if channel is not None and channel.is_at(address, knock.secret):
                channel.answered(knock)
                return
        else:
            channel = self._channels.get(message.channel)
            if channel is not None and channel.is_at(address, message.secret):
                channel.heard(message.payload)
                return
        self.others(data, address)


class _UntilReady(PeopleFramer):
    """What comes behind READY is left for the framer that comes next."""

    last: ClassVar[int | None] = PeopleKind.READY


class _Asking:
    """The conversation with a relay until the other side is there."""

    def __init__(self, relay: RelayAt, wish: Relay, who: Credential | None) -> None:
        loop = asyncio.get_running_loop()
        self.welcomed: asyncio.Future[None] = loop.create_future()
        self.ready: asyncio.Future[Ready] = loop.create_future()
        self._relay, self._wish, self._who = relay, wish, who
        self._stream: Stream | None = None

    def begin(self, stream: Stream, hello: Hello) -> None:
        """The connection is there."""
        self._stream = stream
        stream.send(OPENING + hello.encode().encode())

    def close(self) -> None:
        if self._stream is not None:
            self._stream.close()
        for future in (self.welcomed, self.ready):
            future.cancel()

    def got(self, message: object) -> None:
        """Raises RemoteError."""
        assert isinstance(message, Frame)
        if self._stream is None:
            raise RemoteProtocolError("it speaks before it was spoken to")
        match message.kind:
            case PeopleKind.WELCOME if not self.welcomed.done():
                self._welcomed(Welcome.read(message.body), self._stream)
            case PeopleKind.READY if self.welcomed.done() and not self.ready.done():
                self._stream.pause()
                self.ready.set_result(Ready.read(message.body))
            case PeopleKind.REFUSE:
                raise _refusal(self._relay.address, Refuse.read(message.body))
            case _:
                """PROVED, or something of tomorrow."""

    def _welcomed(self, welcome: Welcome, stream: Stream) -> None:
        """Raises RemoteProtocolError, RefusedError."""
        if welcome.node != self._relay.node:
            raise RemoteProtocolError("it is another super node")
        if not welcome.relays:
            raise RefusedError(f"{self._relay.address} relays nothing")
        words = self._wish.encode().encode()
        if self._who is not None:
            at = self._relay.address
            signature = self._who.sign(proof(welcome.nonce, welcome.node, at))
            words = Prove(self._who.certificate, at, signature).encode().encode() + words
        stream.send(words)
        self.welcomed.set_result(None)

    def caught_up(self) -> None:
        """Each frame is answered when it comes."""

    def drained(self) -> None:
        """Nothing large is sent."""

    def closed(self, reason: Exception | None) -> None:
        why = reason or NetworkError(f"{self._relay.address} hung up")
        for future in (self.welcomed, self.ready):
            if not future.done():
                future.set_exception(why)
                future.exception()  # nobody may be waiting for this one

    @override
    def __repr__(self) -> str:
        return f"<asking {self._relay.address} for a relay>"


def _refusal(relay: Address, refuse: Refuse) -> NetworkError:
    kind = BusyError if refuse.reason in (Reason.FULL, Reason.TOO_OFTEN) else RefusedError
    return kind(f"the relay {relay} says: {refuse.text or refuse.reason}")


def _unknown(node: bytes) -> Address | None:
    """We are at home nowhere."""
    return None


def _nobody(data: bytes, address: Address) -> None:
    """We are no relay."""
