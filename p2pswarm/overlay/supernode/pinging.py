"""Super nodes asked by UDP how full they are, and our answers to who asks us.

The one hard thing: an answer counts when it carries the token that only the asked one saw, and comes from it.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from random import Random

from p2pswarm.formats.ids import Address
from p2pswarm.net.port import Port
from p2pswarm.overlay.limits import Tokens
from p2pswarm.overlay.remembering import remember
from p2pswarm.wire.sniff import DatagramGuest
from p2pswarm.wire.supernode.datagrams import TOKEN_SIZE, UdpPing, UdpPong, read_datagram

__all__ = ["Answered", "Pinging", "State"]

MOST_ASKED = 100  # pings that wait for their pong; the oldest is forgotten
ANSWERS = (500.0, 2000.0)  # a second, and saved up: each is no longer than what was asked

Answered = Callable[[Address, UdpPong, float], None]
"""Who answered, what, and the round trip in seconds."""
State = Callable[[bytes], UdpPong]
"""How we are, for who sent this token."""


class Pinging:
    """`open`, then `ping`."""

    def __init__(self, port: Port, dice: Random, state: State, answered: Answered) -> None:
        self._port, self._dice = port, dice
        self._state, self._answered = state, answered
        self._clock = asyncio.get_running_loop().time
        self._asked: OrderedDict[bytes, tuple[Address, float]] = OrderedDict()
        self._answers = Tokens(*ANSWERS, self._clock())

    async def open(self) -> None:
        """Raises PortTakenError."""
        self._port.route_datagrams(DatagramGuest.SUPERNODE, self._heard)
        await self._port.open_datagrams()

    def ping(self, address: Address) -> None:
        token = self._dice.randbytes(TOKEN_SIZE)
        remember(self._asked, token, (address.normal, self._clock()), MOST_ASKED)
        self._port.send_datagram(UdpPing(token).encode(), address)

    def _heard(self, data: bytes, source: Address) -> None:
        """Raises RemoteProtocolError."""
        now = self._clock()
        match read_datagram(data):
            case UdpPing(token):
                if self._answers.take(now):
                    self._port.send_datagram(self._state(token).encode(), source)
            case UdpPong() as pong:
                asked = self._asked.get(pong.token)
                if asked is not None and asked[0] == source.normal:
                    del self._asked[pong.token]
                    self._answered(source.normal, pong, now - asked[1])
            case None:
                pass
