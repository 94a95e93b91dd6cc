"""Datagrams of a call, sealed by ChaCha20-Poly1305 (RFC 8439) and opened once.

Each side gave half of the secret inside TLS, so that nobody else has either; each direction has a key of
its own, and within it the counter is the nonce. A datagram may be lost, late or doubled, but what was opened,
or is older than the window, is not opened again (as RFC 4303, 3.4.3).
"""

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from p2pswarm.errors import LocalProtocolError, RemoteProtocolError
from p2pswarm.wire.calling.frames import CallHello
from p2pswarm.wire.people.marked import SESSION_SIZE, Sealed

__all__ = ["WINDOW", "Opener", "Sealer", "media_keys"]

WINDOW = 1024  # datagrams: twenty seconds of voice
_LAST = 0xFFFFFFFF


def media_keys(caller: CallHello, callee: CallHello) -> tuple[bytes, bytes]:
    """The keys of what the caller sends, and of what it hears."""
    secret = HKDF(SHA256(), 64, salt=caller.session, info=b"p2pswarm media")
    both = secret.derive(caller.key + callee.key)
    return both[:32], both[32:]


def _nonce(counter: int) -> bytes:
    return bytes(8) + counter.to_bytes(4)


class Sealer:
    """One direction, out."""

    def __init__(self, key: bytes, session: bytes) -> None:
        self._aead = ChaCha20Poly1305(key)
        self._session = session[:SESSION_SIZE]
        self._counter = 0

    def seal(self, plain: bytes) -> bytes:
        """Raises LocalProtocolError when the nonces are used up, after two years of voice."""
        if self._counter > _LAST:
            raise LocalProtocolError("a call that has lasted too long")
        head = Sealed(self._session, self._counter, b"").head
        sealed = self._aead.encrypt(_nonce(self._counter), plain, head)
        self._counter += 1
        return head + sealed


class Opener:
    """One direction, in. Invariant: bit n of `_seen` is set when `_newest - n` was opened."""

    def __init__(self, key: bytes, session: bytes) -> None:
        self._aead = ChaCha20Poly1305(key)
        self._session = session[:SESSION_SIZE]
        self._newest = -1
        self._seen = 0

    def open(self, datagram: bytes) -> bytes:
        """Raises RemoteProtocolError for what is not the other side's, and for what was opened before."""
        came = Sealed.read(datagram)
        counter = came.counter
        age = self._newest - counter
        if came.session != self._session or age >= WINDOW or (age >= 0 and self._seen >> age & 1):
            raise RemoteProtocolError("media of another call, or from long ago, or again")
        try:
            plain = self._aead.decrypt(_nonce(counter), came.sealed, came.head)
        except InvalidTag as error:
            raise RemoteProtocolError("media that the other side did not seal") from error
        if age < 0:
            self._seen = (self._seen << min(-age, WINDOW)) & ((1 << WINDOW) - 1)
            self._newest, age = counter, 0
        self._seen |= 1 << age
        return plain
