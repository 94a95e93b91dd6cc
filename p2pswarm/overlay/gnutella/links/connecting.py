"""From a connection to a neighbour: the greeting run on a stream, from either side.

Whoever ends a greeting with a refusal gives it a moment to leave, because the addresses in it are what the
other side came for. The port's clock runs until both have agreed.
"""

import asyncio
from collections.abc import Callable
from typing import TypeAlias

from p2pswarm.errors import NetworkError, RemoteProtocolError
from p2pswarm.formats.ids import Address
from p2pswarm.net.port import Port
from p2pswarm.net.stream import Stream
from p2pswarm.overlay.gnutella.links.agreement import Agreement, RefusedGreetingError, Standing
from p2pswarm.overlay.gnutella.links.greeting import Answerer, Dialer
from p2pswarm.wire.http.heads import ConnectHead, HeadFramer, StatusHead

__all__ = ["LINGER", "Made", "accept", "dial", "leave"]

CONNECT_TIME = 10.0  # seconds for all of it
LINGER = 1.0  # seconds in which last words may leave

Made: TypeAlias = Callable[[Stream, Agreement], None]
"""Makes the stream a link; raises NetworkError when it cannot be one any more."""


async def dial(port: Port, address: Address, standing: Standing, made: Made) -> None:
    """Greet whoever is there. Raises NetworkError, of which RefusedGreetingError names others."""
    dialing = _Dialing(standing, made)
    try:
        async with asyncio.timeout(CONNECT_TIME):
            framer = HeadFramer(StatusHead.read, port.scratch)
            dialing.greet(await port.dial(address, framer, dialing))
            await dialing.done
    except TimeoutError as error:
        raise NetworkError(f"{address} does not answer") from error
    except OSError as error:
        raise NetworkError(f"cannot reach {address}: {error.strerror or error}") from error
    finally:
        dialing.close()


def accept(port: Port, stream: Stream, standing: Standing, made: Made) -> None:
    """Greet who knocked; the stream is theirs from here on."""
    framer = HeadFramer(ConnectHead.read, port.scratch)
    stream.switch(framer, _Answering(port, stream, standing, made))


def leave(stream: Stream) -> None:
    """Close it when what was said has had time to leave."""
    asyncio.get_running_loop().call_later(LINGER, stream.close)


class _Quiet:
    """A conversation that answers where it hears."""

    def caught_up(self) -> None:
        """Nothing is put off."""

    def drained(self) -> None:
        """A greeting is short."""


class _Dialing(_Quiet):
    """Our side when we dialed. `done` is set when there is a link, or none will be."""

    def __init__(self, standing: Standing, made: Made) -> None:
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._standing, self._made = standing, made
        self._stream: Stream | None = None

    def greet(self, stream: Stream) -> None:
        self._stream = stream
        self._dialer = Dialer(self._standing, stream.local, stream.remote)
        stream.send(self._dialer.hello().encode())

    def close(self) -> None:
        """Nobody waits any more, which cancels what was waited for; what was agreed or refused stands."""
        done = self.done
        if done.done() and not done.cancelled():
            done.exception()  # it counts as heard
        elif self._stream is not None:
            self._stream.close()

    def got(self, message: object) -> None:
        """Raises RemoteError."""
        stream = self._stream
        if stream is None:
            raise RemoteProtocolError("an answer before there was a question")
        if self.done.done() or not isinstance(message, StatusHead):
            return
        head, agreement = self._dialer.answered(message)
        stream.send(head.encode())
        if agreement is None:
            self._end(RefusedGreetingError(head.code, head.reason))
            leave(stream)
        else:
            self._made(stream, agreement)
            self._end(None)

    def closed(self, reason: Exception | None) -> None:
        self._end(reason or ConnectionResetError("hung up"))

    def _end(self, reason: Exception | None) -> None:
        if self.done.done():
            return
        if reason is None:
            self.done.set_result(None)
        elif isinstance(reason, NetworkError):
            self.done.set_exception(reason)
        else:
            self.done.set_exception(NetworkError(f"the greeting failed: {reason}"))


class _Answering(_Quiet):
    """Our side when we were dialed."""

    def __init__(self, port: Port, stream: Stream, standing: Standing, made: Made) -> None:
        self._port, self._stream, self._made = port, stream, made
        self._answerer = Answerer(standing, stream.local, stream.remote)

    def got(self, message: object) -> None:
        """Raises RemoteError."""
        answerer, stream = self._answerer, self._stream
        if isinstance(message, ConnectHead):
            stream.send(answerer.asked(message).encode())
            if answerer.waiting:
                stream.switch(HeadFramer(StatusHead.read, self._port.scratch), self)
            elif answerer.agreement is None:
                leave(stream)
            else:
                self._admit(answerer.agreement)
        elif isinstance(message, StatusHead):
            self._admit(answerer.concluded(message))

    def _admit(self, agreement: Agreement) -> None:
        self._made(self._stream, agreement)
        self._port.admitted(self._stream)

    def closed(self, reason: Exception | None) -> None:
        self._port.admitted(self._stream)
