"""Channels of a relay: datagrams of one of two for the other, passed on and never kept.

A channel's datagrams are taken from one address, which proved itself by a cookie; when a NAT gives its owner
another one, that proves itself as well, and the channel has moved. Sans-IO.

The one hard thing: an address may be a lie. Nothing but the answer to a knock, of the same length, goes to an
address before it has brought its cookie back, and a cookie is good for its channel and address alone.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import blake2b
from hmac import compare_digest
from random import Random

from p2pswarm.errors import RemoteProtocolError
from p2pswarm.formats.ids import Address
from p2pswarm.wire.people.knocking import COOKIE_SIZE, NOBODY, Knock
from p2pswarm.wire.people.marked import CHANNEL_SIZE, PASS_SIZE, Relayed

__all__ = ["MOST_PAYLOAD", "Channel", "Channels"]

MOST_PAYLOAD = 1280  # bytes, in datagrams that no network of IPv6 has to cut (RFC 8200, 5)

Send = Callable[[bytes, Address], None]


@dataclass(slots=True, eq=False)
class Channel:
    """One end of two."""

    id: bytes
    secret: bytes
    may_pass: Callable[[int], bool]
    address: Address | None = None
    """Where its owner is, once that was proved."""
    opposite: "Channel | None" = field(default=None, repr=False)


class Channels:
    """`open` for two, `close` for both; `got` for each datagram."""

    def __init__(self, send: Send, dice: Random) -> None:
        self._send, self._dice = send, dice
        self._secret = dice.randbytes(32)
        self._channels: dict[bytes, Channel] = {}

    def __len__(self) -> int:
        return len(self._channels)

    def open(self, may_pass: Callable[[int], bool]) -> tuple[Channel, Channel]:
        """The channels of two; `may_pass` says of so many bytes whether they may pass now."""
        one, other = self._new(may_pass), self._new(may_pass)
        one.opposite, other.opposite = other, one
        return one, other

    def _new(self, may_pass: Callable[[int], bool]) -> Channel:
        while True:
            name = self._dice.randbytes(CHANNEL_SIZE)
            if name not in self._channels and name != NOBODY:
                secret = self._dice.randbytes(PASS_SIZE)
                channel = self._channels[name] = Channel(name, secret, may_pass)
                return channel

    def close(self, channel: Channel) -> None:
        """Both of them. May be called twice."""
        for each in (channel, channel.opposite):
            if each is not None:
                self._channels.pop(each.id, None)
                each.opposite = None

    def got(self, data: bytes, address: Address) -> None:
        """Raises RemoteProtocolError."""
        message = Relayed.read(data)
        if message.channel == NOBODY:
            self._knocked(Knock.read(message.payload), address)
        elif len(message.payload) > MOST_PAYLOAD:
            raise RemoteProtocolError(f"{len(message.payload)} bytes to be passed on")
        else:
            channel = self._find(message.channel, message.secret)
            if channel is not None and channel.address == address:
                self._pass_on(channel, message.payload)

    def _find(self, name: bytes, secret: bytes) -> Channel | None:
        channel = self._channels.get(name)
        return channel if channel and compare_digest(channel.secret, secret) else None

    def _knocked(self, knock: Knock, address: Address) -> None:
        channel = self._find(knock.channel, knock.secret)
        if channel is not None:
            cookie = self._cookie(channel.id, address)
            if compare_digest(knock.cookie, cookie):
                channel.address = address
            self._send(knock._replace(cookie=cookie).encode(), address)

    def _pass_on(self, channel: Channel, payload: bytes) -> None:
        there = channel.opposite
        if there is not None and there.address is not None and channel.may_pass(len(payload)):
            self._send(Relayed(there.id, there.secret, payload).encode(), there.address)

    def _cookie(self, channel: bytes, address: Address) -> bytes:
        place = f"{address.host} {address.port}".encode()
        return blake2b(channel + place, key=self._secret, digest_size=COOKIE_SIZE).digest()
