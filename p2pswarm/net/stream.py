"""One TCP connection: a framer that understands it and a conversation that answers.

The stream is blind to meaning and the framer to sockets. All of it runs in the socket's callback; nothing
here awaits. One of the four rooms that carry the speed.

Ciphers that two sides agreed upon work here, between the socket and the framer, in the receive buffer itself.

The one hard thing: buffers given to `send` belong to the transport until `drained()` was called, or until
`send` said that everything is with the kernel already.
"""

import asyncio
import logging
from typing import Protocol, cast

from typing_extensions import override

from p2pswarm.errors import RemoteError
from p2pswarm.formats.ids import Address
from p2pswarm.wire.framer import Framer

__all__ = ["Conversation", "Stream", "StreamCipher"]

log = logging.getLogger(__name__)

_NOTHING = memoryview(b"")


class Conversation(Protocol):
    """Whoever answers on a stream."""

    def got(self, message: object) -> None:
        """One message. Raises RemoteError to have the connection dropped."""

    def caught_up(self) -> None:
        """All messages that came in one go were given: now answer in one go."""

    def drained(self) -> None:
        """Everything given to `send` is with the kernel."""

    def closed(self, reason: Exception | None) -> None:
        """The connection is gone; called exactly once, and last."""


class StreamCipher(Protocol):
    """One direction of an encryption that adds no bytes; has the names of the library `cryptography`."""

    def update(self, data: bytes | bytearray | memoryview) -> bytes: ...

    def update_into(self, data: memoryview, buf: memoryview) -> int: ...


class Stream(asyncio.BufferedProtocol):
    """Invariant: after `closed` was told, the conversation hears nothing more."""

    def __init__(self, framer: Framer, conversation: Conversation) -> None:
        self._framer = framer
        self._conversation = conversation
        self._transport: asyncio.Transport | None = None
        self._gathers = False
        self._incoming: StreamCipher | None = None
        self._outgoing: StreamCipher | None = None
        self._buffer = _NOTHING  # where the kernel writes next
        self._reason: Exception | None = None
        self._over = False
        self.idle = True  # everything sent is with the kernel
        self.remote = Address("?", 0)
        self.local = Address("?", 0)
        self.relayed = False  # a relay carries it to where it says to be

    # What a conversation may do

    def send(self, *buffers: bytes | bytearray | memoryview) -> bool:
        """Send these in order. True when the kernel has them all, so that they may be written to again."""
        transport = self._transport
        if transport is None or self._over:
            return True
        if self._outgoing is not None:
            buffers = tuple(map(self._outgoing.update, buffers))
        if len(buffers) == 1:
            transport.write(buffers[0])
        elif self._gathers:
            transport.writelines(buffers)
        else:
            # asyncio's own writelines joins before 3.12 and forgets to pause in 3.12.0-8 and 3.13.0-1.
            transport.write(b"".join(buffers))
        return transport.get_write_buffer_size() == 0

    def switch(self, framer: Framer, conversation: Conversation) -> None:
        """Another protocol from here on; what the old framer had not understood is given to the new one."""
        rest = self._framer.unread()
        self._framer, self._conversation = framer, conversation
        while rest and not self._over:
            buffer = (
                self._framer.get_buffer()
            )  # whose it is by now: what it is fed may switch again
            n = min(len(rest), len(buffer))
            buffer[:n] = rest[:n]
            rest = rest[n:]
            self._understand(n)

    def encrypt(self, incoming: StreamCipher | None, outgoing: StreamCipher | None) -> None:
        """From here on decrypt what comes and encrypt what is sent; None leaves a direction as it is.

        What the framer had received and not understood must be plain already.
        """
        self._incoming, self._outgoing = incoming, outgoing

    def close(self, reason: Exception | None = None) -> None:
        """Drop the connection now; what was not sent is lost."""
        if self._reason is None:
            self._reason = reason
        if self._transport is None:
            self._end()
        elif not self._over:
            self._transport.abort()
            self._end()

    def pause(self) -> None:
        """Read nothing more until `resume`; what came together with this message is still given."""
        if self._transport is not None and not self._over:
            self._transport.pause_reading()

    def resume(self) -> None:
        if self._transport is not None and not self._over:
            self._transport.resume_reading()

    @property
    def over(self) -> bool:
        return self._over

    @property
    def unsent(self) -> int:
        """Bytes given to `send` that the kernel has not taken."""
        transport = self._transport
        return 0 if transport is None or self._over else transport.get_write_buffer_size()

    # What the event loop tells

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports have the interface of asyncio.Transport, but are none of its subclasses.
        self._transport = cast("asyncio.Transport", transport)
        if self._over:  # closed while the connection was on its way
            self._transport.abort()
            return
        self._gathers = type(transport).__module__.startswith("uvloop")
        # `drained` then means exactly: nothing of ours is left on this side of the kernel.
        self._transport.set_write_buffer_limits(high=0, low=0)
        self.remote = _address(transport.get_extra_info("peername"))
        self.local = _address(transport.get_extra_info("sockname"))
        self.utp = bool(transport.get_extra_info("utp"))

    @override
    def get_buffer(self, sizehint: int) -> memoryview:
        self._buffer = self._framer.get_buffer(sizehint)
        return self._buffer

    @override
    def buffer_updated(self, nbytes: int) -> None:
        if self._over:
            return
        if self._incoming is not None:
            came = self._buffer[:nbytes]
            self._incoming.update_into(came, came)
        self._understand(nbytes)

    def _understand(self, n: int) -> None:
        try:
            for message in self._framer.received(n):
                self._conversation.got(message)
                if self.over:
                    return
            self._conversation.caught_up()
        except RemoteError as error:
            log.debug("dropping %s: %s", self.remote, error)
            self.close(_forgetful(error))

    @override
    def pause_writing(self) -> None:
        self.idle = False

    @override
    def resume_writing(self) -> None:
        self.idle = True
        if not self._over:
            self._conversation.drained()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        if self._reason is None:
            self._reason = exc
        self._end()

    def _end(self) -> None:
        if not self._over:
            self._over = True
            # A conversation knows its stream: here the circle ends, or churn would leave much garbage.
            conversation, self._conversation = self._conversation, _NOBODY
            conversation.closed(self._reason)

    @override
    def __repr__(self) -> str:
        return f"<Stream {self.remote} {'over' if self._over else 'open'}>"


class _Nobody:
    """Who answers when it is over."""

    def got(self, message: object) -> None:
        """Nothing is heard any more."""

    def caught_up(self) -> None:
        """Nor has anything been."""

    def drained(self) -> None:
        """Nothing was sent."""

    def closed(self, reason: Exception | None) -> None:
        """Somebody else was told."""


_NOBODY = _Nobody()


def _forgetful(error: RemoteError) -> RemoteError:
    """Without its traceback, whose frames would keep all that was heard until garbage is collected."""
    error.__cause__ = error.__context__ = None
    return error.with_traceback(None)


def _address(name: object) -> Address:
    """A socket's name; a unix socket or a test double has none."""
    if isinstance(name, tuple) and len(name) >= 2:
        return Address(str(name[0]), int(name[1])).normal
    return Address("?", 0)
