"""TLS 1.3 over any stream: TCP, uTP or what a relay joins, for who does not care by which it goes.

Both sides show a certificate of one authority, and whoever dials knows which key has to answer; the name of
the protocol (ALPN) says what the connection is for. `Core` is the machine: bytes of the wire go in, plain
ones come out, it has no socket and waits for nothing. `TlsTransport` stands between two streams: the outer
one carries records, and the inner one, which is like any other, hears and says what is in them.

The one hard thing: in TLS 1.3 whoever dials is done before the other side has looked at its certificate. That
`open` returned says who the other one is; that he takes us, only his first message says.
"""

import asyncio
import ssl
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

from typing_extensions import override

from p2pswarm.errors import RemoteError, RemoteProtocolError
from p2pswarm.net.stream import Stream
from p2pswarm.wire.framer import CuttingFramer, Scratch

__all__ = ["Core", "TlsTransport", "tls_context"]

HANDSHAKE_TIME = 10.0  # seconds, as strangers have at the door
_CLOSED = "the connection was closed during its TLS handshake"


def tls_context(
    certificate: Path, key: Path, authority: bytes, *, purposes: Sequence[str], server: bool
) -> ssl.SSLContext:
    """For many connections of one side. `authority` is its certificate (DER); the files are PEM.

    Nobody resumes: each connection shows its certificate again. Raises OSError, ssl.SSLError.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False  # keys are compared, not the names of hosts
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(cadata=authority)
    context.load_cert_chain(certificate, key)
    context.set_alpn_protocols(list(purposes))
    if server:
        context.num_tickets = 0
    return context


class Core:
    """One end of a connection. Everything raises RemoteProtocolError for what the other side did wrong."""

    def __init__(self, context: ssl.SSLContext, *, server: bool) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=server)
        self.ended = False
        """Whether the other side said that there is no more."""

    def feed(self, data: bytes) -> None:
        """What came by the wire."""
        self._incoming.write(data)

    def take(self) -> bytes:
        """What is to go by the wire."""
        return self._outgoing.read()

    def shake(self) -> bool:
        """Go on with the handshake; whether it is done."""
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return False
        except ssl.SSLError as error:
            raise RemoteProtocolError(f"TLS: {_reason(error)}") from error
        if self.purpose is None:
            raise RemoteProtocolError("TLS: the other side wants something else of us")
        return True

    @property
    def purpose(self) -> str | None:
        """What both want of this connection, once the handshake is done."""
        return self._tls.selected_alpn_protocol()

    @property
    def certificate(self) -> bytes:
        """The other side's (DER), once the handshake is done."""
        shown = self._tls.getpeercert(binary_form=True)
        if shown is None:
            raise RemoteProtocolError("TLS: the other side shows no certificate")
        return shown

    def read_into(self, buffer: memoryview) -> int:
        """How many plain bytes there were; 0 when more must come first."""
        try:
            # With a buffer it says how many there were, whatever typeshed believes.
            n = cast("int", self._tls.read(len(buffer), buffer))
        except ssl.SSLWantReadError:
            return 0
        except ssl.SSLZeroReturnError:
            n = 0
        except ssl.SSLError as error:
            raise RemoteProtocolError(f"TLS: {_reason(error)}") from error
        self.ended = self.ended or n == 0
        return n

    def write(self, data: bytes | bytearray | memoryview) -> None:
        view = memoryview(data).cast("B")
        while view:
            view = view[self._tls.write(view) :]


def _reason(error: ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    return (error.reason or "broken").lower().replace("_", " ")


class _Records(CuttingFramer):
    """Hands on what comes as it comes."""

    @override
    def _cut(self, view: memoryview, into: list[object]) -> int:
        into.append(view.tobytes())
        return len(view)


class TlsTransport(asyncio.Transport):
    """The inner stream's transport, and the outer stream's conversation.

    Dial with `framer` and this, or switch a stream to them; then `open`. Invariant: the inner stream hears
    nothing before the other side's certificate was looked at.
    """

    def __init__(
        self,
        core: Core,
        inner: Stream,
        check: Callable[[bytes], None],
        scratch: Scratch | None = None,
    ) -> None:
        """`check` looks at the other side's certificate (DER) and raises RemoteError."""
        super().__init__()
        self.framer = _Records(scratch or Scratch(32 << 10))  # two records
        self._core, self._inner, self._check = core, inner, check
        self._loop = asyncio.get_running_loop()
        self._opened: asyncio.Future[None] = self._loop.create_future()
        self._outer: Stream | None = None
        self._made = self._over = self._stuffed = False
        self._reads = True

    async def open(self, outer: Stream) -> Stream:
        """The inner stream, when the other side has shown who it is. Raises RemoteError, OSError."""
        if self._over:
            raise ConnectionResetError(_CLOSED)
        self._outer = outer
        try:
            self._pump()
            async with asyncio.timeout(HANDSHAKE_TIME):
                await self._opened
        except BaseException:
            outer.close()
            raise
        return self._inner

    # What the outer stream tells

    def got(self, message: object) -> None:
        assert isinstance(message, bytes)
        self._core.feed(message)

    def caught_up(self) -> None:
        if self._outer is not None:
            self._pump()

    def drained(self) -> None:
        if self._stuffed and self._made:
            self._stuffed = False
            self._inner.resume_writing()

    def closed(self, reason: Exception | None) -> None:
        self._over = True
        if self._made:
            self._loop.call_soon(self._inner.connection_lost, reason)
        elif not self._opened.done():
            told = isinstance(reason, RemoteError | OSError)
            self._opened.set_exception(reason if told and reason else ConnectionResetError(_CLOSED))
            self._opened.exception()  # whoever was cancelled does not ask

    def _pump(self) -> None:
        """Do whatever what came allows. Raises RemoteError."""
        try:
            if self._made or self._is_known():
                self._deliver()
        finally:
            self._flush()
        if self._core.ended:
            self.close()

    def _is_known(self) -> bool:
        if not self._core.shake():
            return False
        self._check(self._core.certificate)
        if not self._opened.done():
            self._made = True
            self._inner.connection_made(self)
            self._opened.set_result(None)
        return self._made

    def _deliver(self) -> None:
        while self._reads and not self._over and not self._core.ended:
            n = self._core.read_into(self._inner.get_buffer(-1))
            if not n:
                return
            self._inner.buffer_updated(n)

    def _flush(self) -> None:
        data = self._core.take()
        if data and self._outer is not None:
            self._outer.send(data)

    # What the inner stream may do

    @override
    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self._over or not data:
            return
        self._core.write(data)
        self._flush()
        if self.get_write_buffer_size() and not self._stuffed:
            self._stuffed = True
            self._inner.pause_writing()

    @override
    def get_write_buffer_size(self) -> int:
        return 0 if self._outer is None else self._outer.unsent

    @override
    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """They are the outer stream's: 0 and 0."""

    @override
    def pause_reading(self) -> None:
        self._reads = False
        if self._outer is not None:
            self._outer.pause()

    @override
    def resume_reading(self) -> None:
        self._reads = True
        if self._outer is not None:
            self._outer.resume()
            self._loop.call_soon(self._go_on)

    def _go_on(self) -> None:
        """What came before the pause is still to be given."""
        if self._over or self._outer is None:
            return
        try:
            self._pump()
        except RemoteError as error:
            self._outer.close(error)

    @override
    def get_extra_info(self, name: str, default: Any = None) -> Any:
        if self._outer is None:
            return default
        names = {"peername": self._outer.remote, "sockname": self._outer.local, "tls": True}
        return names.get(name, default)

    @override
    def is_closing(self) -> bool:
        return self._over

    @override
    def close(self) -> None:
        if self._outer is not None and not self._over:
            self._outer.close()

    @override
    def abort(self) -> None:
        self.close()
