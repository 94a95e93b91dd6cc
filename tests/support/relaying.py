"""A super node that does nothing but relay, in virtual time, and who proves a key without a certificate."""

from collections.abc import Awaitable, Callable
from random import Random

from p2pswarm.errors import RemoteProtocolError
from p2pswarm.formats.ids import Address
from p2pswarm.formats.signing import SigningKey, is_signed
from p2pswarm.lab.loop import VirtualLoop, play
from p2pswarm.lab.wires import Host
from p2pswarm.net.port import Port
from p2pswarm.net.stream import Stream
from p2pswarm.overlay.people.quotas import Terms
from p2pswarm.overlay.people.relay import Relay
from p2pswarm.reach.offers import RelayAt
from p2pswarm.reach.relayed import Credential, Relays
from p2pswarm.wire.data import Chunk
from p2pswarm.wire.people.frames import OPENING, PeopleFramer
from p2pswarm.wire.people.hello import Hello, Welcome
from p2pswarm.wire.people.ringing import Prove, proof
from p2pswarm.wire.sniff import DatagramGuest, Guest

__all__ = ["Hearing", "Street", "User", "on_a_street"]

NONCE = b"n" * 32


class Hearing:
    """A conversation that keeps what it heard."""

    def __init__(self) -> None:
        self.heard = bytearray()
        self.over: Exception | bool | None = False

    def got(self, message: object) -> None:
        assert isinstance(message, Chunk)
        self.heard += message.data

    def caught_up(self) -> None: ...
    def drained(self) -> None: ...
    def closed(self, reason: Exception | None) -> None:
        self.over = reason or True


class _Door:
    """The first words at a super node."""

    def __init__(self, super_node: "SuperNode", stream: Stream) -> None:
        self._super, self._stream = super_node, stream

    def got(self, frame: object) -> None:
        Hello.read(frame.body)  # type: ignore[attr-defined]
        us, stream = self._super, self._stream
        us.port.admitted(stream)
        welcome = Welcome(us.at.node, stream.remote, NONCE, True)
        stream.send(OPENING + welcome.encode().encode())
        us.relay.welcome(stream, NONCE)

    def caught_up(self) -> None: ...
    def drained(self) -> None: ...
    def closed(self, reason: Exception | None) -> None: ...


class SuperNode:
    """A port, and the relay behind it."""

    def __init__(self, host: Host, number: int, terms: Terms) -> None:
        self.host, self.port = host, Port(host.name, 46881)
        self.at = RelayAt(bytes([number]) * 16, Address(host.name, 46881))
        self.relay = Relay(self.port, terms, self._check, Random(number))
        self.port.route(Guest.PEOPLE, self._came)
        self.port.route_datagrams(DatagramGuest.RELAY, self.relay.channels.got)

    def _check(self, prove: Prove, nonce: bytes) -> bytes:
        if not is_signed(proof(nonce, self.at.node), prove.signature, prove.certificate):
            raise RemoteProtocolError("that is not your key")
        return prove.certificate

    def _came(self, stream: Stream) -> None:
        stream.switch(PeopleFramer(self.port.scratch), _Door(self, stream))


class User:
    """Somebody with a key, and how he asks for relays."""

    def __init__(self, host: Host, number: int) -> None:
        self.host, self.port = host, Port(host.name, 46881)
        self.key = SigningKey(bytes([number]) * 32)
        who = Credential(self.key.public, self.key.sign)
        self.relays = Relays(self.port, bytes([number]) * 16, lambda: who)
        self.relays.open()


class Street:
    """Two users and a super node, ten milliseconds from each other."""

    def __init__(self, loop: VirtualLoop, terms: Terms) -> None:
        hosts = [loop.host(f"10.0.0.{number}") for number in (1, 2, 3)]
        self.loop = loop
        self.ann, self.bob = User(hosts[0], 1), User(hosts[1], 2)
        self.super = SuperNode(hosts[2], 3, terms)

    async def open(self) -> None:
        for each in (self.ann, self.bob, self.super):
            await each.port.open()

    async def close(self) -> None:
        self.super.relay.close()
        for each in (self.ann, self.bob):
            each.relays.close()
            await each.port.close()
        await self.super.port.close()


def on_a_street(story: Callable[[Street], Awaitable[None]], terms: Terms | None = None) -> None:
    """Run the story in virtual time."""

    async def tell(loop: VirtualLoop) -> None:
        street = Street(loop, terms or Terms())
        await street.open()
        try:
            await story(street)
        finally:
            await street.close()

    play(tell)
