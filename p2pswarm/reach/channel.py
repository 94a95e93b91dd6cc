"""A channel through a relay, our end: datagrams to the other side, and the way to the relay kept open.

We knock twice a second: that keeps the way through our NAT, tells the relay when our address has become
another, measures the way, and shows within four seconds that the relay, or the way to it, is gone.
"""

import asyncio
from collections.abc import Callable

from p2pswarm.errors import NetworkError, RefusedError
from p2pswarm.formats.ids import Address
from p2pswarm.net.stream import Stream
from p2pswarm.wire.people.frames import PeopleKind
from p2pswarm.wire.people.hello import Ping, Refuse
from p2pswarm.wire.people.knocking import NO_COOKIE, Knock
from p2pswarm.wire.people.marked import Relayed
from p2pswarm.wire.people.relaying import Ready
from p2pswarm.wire.supernode.frames import Frame

__all__ = ["RelayChannel"]

PROOF_TIME = 3.0  # seconds for the first answer; where UDP is blocked none comes
EVERY = 0.5  # seconds between knocks
SILENCE = 3.0  # seconds without a word from the relay after which it is gone: six answers were lost
PING_EVERY = 30.0  # seconds; the connection is idle otherwise


class RelayChannel:
    """A conversation as well: with the relay, for as long as the channel lasts."""

    def __init__(
        self,
        stream: Stream,
        ready: Ready,
        address: Address,
        send: Callable[[bytes, Address], None],
        over: "Callable[[RelayChannel], None]",
    ) -> None:
        self.name = ready.channel
        self.on_datagram: Callable[[bytes], None] = lambda data: None
        self.on_closed: Callable[[], None] = lambda: None
        self.rtt: float | None = None
        """Seconds to the relay and back."""
        self.why: Exception | None = None
        """Why it is over; None while it is not."""
        self._stream, self._address, self._send, self._over = stream, address.normal, send, over
        self._secret, self._cookie = ready.secret, NO_COOKIE
        self._loop = asyncio.get_running_loop()
        self._proved: asyncio.Future[None] = self._loop.create_future()
        self._heard = self._pinged = self._loop.time()
        self._knocked: float | None = None  # when, if that was not answered yet
        self._due = self._heard
        self._timer: asyncio.Handle = self._loop.call_soon(self._tick)

    async def proved(self) -> None:
        """Until the relay believes where we are. Raises NetworkError."""
        try:
            async with asyncio.timeout(PROOF_TIME):
                await self._proved
        except TimeoutError as error:
            raise NetworkError(f"no datagram comes from the relay {self._address}") from error

    def send(self, data: bytes) -> None:
        """Dropped when it cannot be sent."""
        if self.why is None:
            self._send(Relayed(self.name, self._secret, data).encode(), self._address)

    def close(self, why: Exception | None = None) -> None:
        """May be called twice. `on_closed` is told nothing of an end that was our own wish."""
        if self.why is None:
            self.why = why or NetworkError("closed")
            self._timer.cancel()
            self._over(self)
            self._stream.close(self.why)
            if not self._proved.done():
                self._proved.set_exception(self.why)
                self._proved.exception()  # nobody may be waiting
            if why is not None:
                self.on_closed()

    # What the relay says by datagrams

    def is_at(self, address: Address, secret: bytes) -> bool:
        """Whether the relay of this channel said that."""
        return address == self._address and secret == self._secret

    def heard(self, payload: bytes) -> None:
        """From the other side."""
        self._heard = self._loop.time()
        self.on_datagram(payload)

    def answered(self, knock: Knock) -> None:
        """The cookie that we brought was right, or here is the right one."""
        self._heard = self._loop.time()
        if knock.cookie != self._cookie:
            self._cookie = knock.cookie
            self._knock()
            return
        if self._knocked is not None:
            self.rtt, self._knocked = self._heard - self._knocked, None
        if not self._proved.done():
            self._proved.set_result(None)

    def _knock(self) -> None:
        self._knocked = self._loop.time()
        self._send(Knock(self.name, self._secret, self._cookie).encode(), self._address)

    def _tick(self) -> None:
        now = self._loop.time()
        # While we stood still ourselves, we could hear nobody.
        self._heard = min(now, self._heard + now - self._due)
        if now - self._heard > SILENCE:
            self.close(NetworkError(f"the relay {self._address} is gone"))
            return
        if now - self._pinged >= PING_EVERY:
            self._pinged = now
            self._stream.send(Ping().encode().encode())
        self._knock()
        self._due = now + EVERY
        self._timer = self._loop.call_at(self._due, self._tick)

    # What it says by the connection

    def got(self, message: object) -> None:
        """Raises RemoteError."""
        assert isinstance(message, Frame)
        if message.kind == PeopleKind.REFUSE:
            raise RefusedError(f"the relay says: {Refuse.read(message.body).text}")

    def caught_up(self) -> None:
        """There is nothing to answer."""

    def drained(self) -> None:
        """Nothing large is sent."""

    def closed(self, reason: Exception | None) -> None:
        self.close(reason or NetworkError(f"the relay {self._address} hung up"))
