"""The obfuscated handshake on a stream, either side; then the handshake of `greeting` goes on inside it.

This room brings the library `cryptography` with it, so a node imports it when the first peer needs it.
What is agreed upon depends on `encryption` in the settings: who requires it takes nothing but RC4; who
prefers it hides the handshake and leaves the payload plain if the other side takes that, too.
"""

from collections.abc import Callable
from random import Random

from p2pswarm.formats.ids import InfoHash
from p2pswarm.net.slices import Slices
from p2pswarm.net.stream import Stream
from p2pswarm.swarm.greeting import Answering, Asking
from p2pswarm.wire.framer import Framer, Scratch
from p2pswarm.wire.mse import BOTH, RC4, Agreed, KeyFramer, MseAnswerer, MseAsker
from p2pswarm.wire.peer import HandshakeFramer

__all__ = ["ObfuscatedAsking", "answer_obfuscated"]

_TAKES = {"prefer": BOTH, "require": RC4}


class _Obfuscated:
    """The conversation until both sides agree; what is said then is for `inner`."""

    def __init__(self, inner: Asking | Answering, scratch: Scratch) -> None:
        self._inner = inner
        self._scratch = scratch
        inner.obfuscated = True

    def _agreed(self, stream: Stream, agreed: Agreed) -> None:
        stream.encrypt(agreed.incoming, agreed.outgoing)
        stream.switch(HandshakeFramer(self._scratch), self._inner)

    def caught_up(self) -> None:
        """A handshake answers each part when it comes."""

    def drained(self) -> None:
        """A handshake sends nothing large."""

    def closed(self, reason: Exception | None) -> None:
        self._inner.closed(reason)


class ObfuscatedAsking(_Obfuscated):
    """We dialed. Our handshake goes inside the other, so that it costs one round trip more and no second."""

    def __init__(self, asking: Asking, encryption: str, dice: Random, scratch: Scratch) -> None:
        super().__init__(asking, scratch)
        self._asking = asking
        self._framer = MseAsker(asking.info_hash, asking.opening, _TAKES[encryption], dice, scratch)
        self._stream: Stream | None = None
        self._early = b""

    @property
    def framer(self) -> Framer:
        return self._framer

    @property
    def heard(self) -> bool:
        """A key is no introduction: Transmission 3 hangs up after it on whom it lets go on in the clear."""
        return self._asking.heard

    def begin(self, stream: Stream) -> None:
        """The connection is there; on uvloop the other side may have spoken before we hear of that."""
        self._stream = stream
        stream.send(self._framer.opening() + self._early)

    def got(self, message: object) -> None:
        if self._stream is None:
            assert isinstance(message, bytes)  # nobody agrees with who has said nothing
            self._early = message
        elif isinstance(message, bytes):
            self._stream.send(message)
        elif isinstance(message, Agreed):
            self._asking.begin(self._stream, said=True)
            self._agreed(self._stream, message)


class _ObfuscatedAnswering(_Obfuscated):
    """We were dialed."""

    def __init__(self, stream: Stream, answering: Answering, scratch: Scratch) -> None:
        super().__init__(answering, scratch)
        self._stream = stream

    def got(self, message: object) -> None:
        if isinstance(message, bytes):
            self._stream.send(message)
        elif isinstance(message, Agreed):
            self._agreed(self._stream, message)


class _Waiting:
    """We were dialed, and to answer a key is dear: whoever has said one waits for a turn."""

    def __init__(self, inner: Answering, slices: Slices, turn: Callable[[], None]) -> None:
        self._inner = inner
        self._slices = slices
        self._turn = turn

    def got(self, _: object) -> None:
        self._inner.stream.pause()
        self._slices.add(self._go_on)

    def _go_on(self) -> None:
        if not self._inner.stream.over:
            self._turn()
            self._inner.stream.resume()

    def caught_up(self) -> None:
        """Its turn will come."""

    def drained(self) -> None:
        """Nothing was sent."""

    def closed(self, reason: Exception | None) -> None:
        self._inner.closed(reason)


def answer_obfuscated(
    stream: Stream,
    answering: Answering,
    find: Callable[[bytes], InfoHash | None],
    encryption: str,
    dice: Random,
    scratch: Scratch,
    slices: Slices,
) -> None:
    """Take care of a guest who said noise. `find` knows our swarms by their `InfoHash.obfuscated`."""

    def answer() -> None:
        framer = MseAnswerer(find, _TAKES[encryption], dice, scratch)
        stream.switch(framer, _ObfuscatedAnswering(stream, answering, scratch))

    stream.switch(KeyFramer(scratch), _Waiting(answering, slices, answer))
