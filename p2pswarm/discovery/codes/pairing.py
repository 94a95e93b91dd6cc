"""Two who know the same code, and a stranger between them: SPAKE2, proofs, one sealed message. Sans-IO.

SPAKE2 (Abdalla and Pointcheval 2005, RFC 9382) turns a short password into a strong key. Whoever does not
know the password, the rendezvous among them, learns nothing from what is said and may try one password each
time. Its first messages show nothing, so the taker proves first that it has the same key: a wrong guess is
heard by the giver before anything that fits the right one has been said.

The key is one of this pairing alone, and so is each of the four that are made of it.
"""

import hmac

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from spake2 import SPAKE2_A, SPAKE2_B, SPAKEError
from spake2.ed25519_basic import NotOnCurve

from p2pswarm.errors import RemoteProtocolError
from p2pswarm.formats.code import Code

__all__ = ["FIRST_SIZE", "PROOF_SIZE", "Giver", "Taker", "derived"]

FIRST_SIZE = 33  # bytes: the side's letter and an element of the group
PROOF_SIZE = 32
_GIVER, _TAKER = b"p2pswarm code, giver", b"p2pswarm code, taker"
_ABOUT, _USES = b"p2pswarm code 1: ", (b"taker", b"giver", b"seal", b"place")
_NONCE = bytes(12)  # a key seals one message
# What the library raises at an element that is none; it has no common root for that.
_WRONG = (SPAKEError, NotOnCurve, ValueError, AssertionError)
_PAD = 256  # bytes; the sealed message tells its length to nobody but in such steps


def derived(key: bytes, use: bytes) -> bytes:
    """One of the keys of a pairing, of the key that SPAKE2 found."""
    return HKDF(SHA256(), PROOF_SIZE, salt=None, info=_ABOUT + use).derive(key)


class _Side:
    """`first` goes to the other side, `meet` takes the other's."""

    def __init__(self, code: Code, side: type[SPAKE2_A | SPAKE2_B]) -> None:
        self._pake = side(code.secret, idA=_GIVER, idB=_TAKER)
        self.first: bytes = self._pake.start()
        self._taker = self._giver = self._seal = self._place = b""

    def meet(self, first: bytes) -> None:
        """Raises RemoteProtocolError for what no honest one says."""
        if len(first) != FIRST_SIZE:
            raise RemoteProtocolError(f"a first message of {len(first)} bytes")
        try:
            key: bytes = self._pake.finish(first)
        except _WRONG as error:
            raise RemoteProtocolError("a first message that is none") from error
        keys = (derived(key, each) for each in _USES)
        self._taker, self._giver, self._seal, self._place = keys


class Giver(_Side):
    """Of the share; one for each taker."""

    def __init__(self, code: Code) -> None:
        super().__init__(code, SPAKE2_A)

    def proves(self, proof: bytes) -> bool:
        """Whether the taker knows the code."""
        return bool(self._taker) and hmac.compare_digest(proof[:PROOF_SIZE], self._taker)

    def place(self, proof: bytes) -> bytes:
        """Where the taker says it is; nothing when that is not sealed by who knows the code."""
        try:
            return ChaCha20Poly1305(self._place).decrypt(_NONCE, proof[PROOF_SIZE:], None)
        except InvalidTag:
            return b""

    def sealed(self, link: bytes) -> bytes:
        """Our own proof, and the link for nobody but this taker."""
        padded = len(link).to_bytes(2, "big") + link
        padded += bytes(-len(padded) % _PAD)
        return self._giver + ChaCha20Poly1305(self._seal).encrypt(_NONCE, padded, None)


class Taker(_Side):
    """Of the link."""

    def __init__(self, code: Code) -> None:
        super().__init__(code, SPAKE2_B)

    def proof(self, place: bytes) -> bytes:
        """That we know the code, and where we are, for nobody but who knows it; said after `meet`."""
        return self._taker + ChaCha20Poly1305(self._place).encrypt(_NONCE, place, None)

    def opened(self, sealed: bytes) -> bytes:
        """The link. Raises RemoteProtocolError when whoever sealed it does not know the code."""
        if not hmac.compare_digest(sealed[:PROOF_SIZE], self._giver):
            raise RemoteProtocolError("whoever answered does not know the code")
        try:
            padded = ChaCha20Poly1305(self._seal).decrypt(_NONCE, sealed[PROOF_SIZE:], None)
        except InvalidTag as error:
            raise RemoteProtocolError("what was sealed has been changed on its way") from error
        return padded[2 : 2 + int.from_bytes(padded[:2], "big")]
