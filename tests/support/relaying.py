"""A super node that does nothing but relay, in virtual time, and who proves a key without a certificate."""

import asyncio
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
from p2pswarm.overlay.people.swarms import Swarms
from p2pswarm.reach.offers import RelayAt
from p2pswarm.reach.relayed import Credential, Relays
from p2pswarm.wire.data import Chunk
from p2pswarm.wire.people.dictionary import PeopleMessage
from p2pswarm.wire.people.frames import OPENING, PeopleFramer, PeopleKind
from p2pswarm.wire.people.hello import Hello, Want, Welcome
from p2pswarm.wire.people.relaying import Swarm
from p2pswarm.wire.people.ringing import Prove, proof
from p2pswarm.wire.sniff import DatagramGuest, Guest
from p2pswarm.wire.supernode.frames import Frame

__all__ = ["Hearing", "Street", "SuperNode", "User", "on_a_street"]

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
    """The first words at a super node; who does not want to be relayed is in swarms."""

    def __init__(self, super_node: "SuperNode", stream: Stream) -> None:
        self._super, self._stream = super_node, stream

    def got(self, frame: object) -> None:
        assert isinstance(frame, Frame)
        us, stream = self._super, self._stream
        match frame.kind:
            case PeopleKind.HELLO:
                us.port.admitted(stream)
                self._node = Hello.read(frame.body).node
                welcome = Welcome(us.at.node, stream.remote, NONCE, us.consents)
                stream.send(OPENING + welcome.encode().encode())
                if Hello.read(frame.body).want is Want.RELAY:
                    us.relay.welcome(stream, NONCE)
            case PeopleKind.SWARM:
                swarm, host = Swarm.read(frame.body), stream.remote.host
                us.swarms.told(self, self._node, swarm, host, us.clock())
            case _:
                pass

    def say(self, message: PeopleMessage) -> None:
        self._stream.send(message.encode().encode())

    def caught_up(self) -> None: ...
    def drained(self) -> None: ...
    def closed(self, reason: Exception | None) -> None:
        self._super.swarms.left(self)


class SuperNode:
    """A port, the relay and the introductions behind it."""

    def __init__(self, host: Host, number: int, terms: Terms, *, consents: bool = True) -> None:
        self.host, self.port, self.consents = host, Port(host.name, 46881), consents
        self.at = RelayAt(bytes([number]) * 16, Address(host.name, 46881))
        self.clock = asyncio.get_running_loop().time
        self.relay = Relay(self.port, terms, self._check, Random(number))
        tickets = self.relay.pairing.expect if consents else None
        self.swarms = Swarms(Random(number), tickets)
        self.port.route(Guest.PEOPLE, self._came)
        self.port.route_datagrams(DatagramGuest.RELAY, self.relay.channels.got)

    def _check(self, prove: Prove, nonce: bytes, local: Address) -> bytes:
        signed = proof(nonce, self.at.node, prove.at)
        if not is_signed(signed, prove.signature, prove.certificate):
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
