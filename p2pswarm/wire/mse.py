"""Message stream encryption (MSE/PE): the obfuscated handshake before the real one, either side of it.

Both sides say a Diffie-Hellman key that looks like noise; from what they then share and the info-hash, which
is not said, they make two RC4 streams and agree whether these go on after the handshake. It hides from who
only looks; it proves nothing about the other side, and RC4 is no secret kept. Written after the
specification of Azureus and libtorrent's reading of it.

The one hard thing: noise has no length. Where the other side's padding ends is searched for, at most as far
as padding may reach, and from there on every byte counts, for a cipher that has missed one is lost.
"""

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha1, shake_128
from random import Random
from struct import Struct

from cryptography.hazmat.decrepit.ciphers.algorithms import ARC4
from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext
from typing_extensions import override

from p2pswarm.errors import RemoteProtocolError
from p2pswarm.formats.ids import InfoHash
from p2pswarm.wire.framer import CuttingFramer, Scratch

__all__ = [
    "BOTH",
    "MOST_INITIAL",
    "MOST_PAD",
    "PLAIN",
    "RC4",
    "Agreed",
    "KeyFramer",
    "MseAnswerer",
    "MseAsker",
]

PLAIN, RC4, BOTH = 1, 2, 3
"""How the payload goes on, a bit each: an asker offers, of that an answerer chooses one."""

MOST_PAD = 512
MOST_INITIAL = 8192  # bytes that may come with the handshake; real clients send their 68 of BEP 3

_P = int(
    "FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74"
    "020BBEA63B139B22514A08798E3404DDEF9519B3CD3A431B302B0A6DF25F1437"
    "4FE1356D6D51C245E485B576625E7EC6F44C42E9A63A36210000000000090563",
    16,
)
_G = 2
_KEY = 96  # bytes of a public key
_HASH = 20
_SECRET_BITS = 160
_DROPPED = 1024  # the first bytes of RC4 tell about its key
_VC = bytes(8)  # the verification constant
_CHOICE = Struct(">IH")  # the answerer's choice and how long its padding is
_OFFERS = Struct(">8sIH")  # the constant, what is offered, how long the padding is
_LENGTH = Struct(">H")


@dataclass(frozen=True, slots=True)
class Agreed:
    """The obfuscated handshake is over; without a cipher the payload is plain.

    What the framer holds unread is plain already, whatever was agreed.
    """

    incoming: CipherContext | None
    outgoing: CipherContext | None


_Step = Callable[[memoryview, list[object]], int | None]
"""Takes its part from the start of the view and says how long that was; None while it is not all there."""


class KeyFramer(CuttingFramer):
    """Says once, with None, that a whole key is there, and leaves it for the framer that comes next."""

    def __init__(self, scratch: Scratch | None = None) -> None:
        super().__init__(scratch)
        self._window = min(
            self._window, 2 * (_KEY + MOST_PAD)
        )  # an asker goes no further by itself
        self._told = False

    @override
    def _cut(self, view: memoryview, into: list[object]) -> int:
        if len(view) >= _KEY and not self._told:
            self._told = True
            into.append(None)
        return 0


class _MseFramer(CuttingFramer):
    """What both sides share. Messages are bytes, which are to be sent, and in the end `Agreed`."""

    _incoming: CipherContext
    _outgoing: CipherContext

    def __init__(self, dice: Random, scratch: Scratch | None) -> None:
        super().__init__(scratch)
        self._dice = dice
        self._secret = dice.getrandbits(_SECRET_BITS)
        self._shared = b""
        self._step: _Step | None = self._take_key
        self._goes_on = False  # with RC4, after the handshake
        self._initial = b""  # payload that came inside the handshake

    @override
    def _cut(self, view: memoryview, into: list[object]) -> int:
        """Raises RemoteProtocolError."""
        used = 0
        while self._step is not None:
            n = self._step(view[used:], into)
            if n is None:
                break
            used += n
        return used

    @override
    def unread(self) -> bytes:
        rest, initial = super().unread(), self._initial
        self._initial = b""
        return initial + (self._incoming.update(rest) if self._goes_on else rest)

    def _key(self) -> bytes:
        """Our public key and noise behind it."""
        return pow(_G, self._secret, _P).to_bytes(_KEY, "big") + _pad(self._dice)

    def _take_key(self, view: memoryview, into: list[object]) -> int | None:
        if len(view) < _KEY:
            return None
        key = int.from_bytes(view[:_KEY], "big")
        if not 1 < key < _P - 1:
            raise RemoteProtocolError("a public key with which everybody knows the secret")
        self._shared = pow(key, self._secret, _P).to_bytes(_KEY, "big")
        self._got_key(into)
        return _KEY

    def _got_key(self, into: list[object]) -> None:
        raise NotImplementedError

    def _hash(self, label: bytes, after: bytes = b"") -> bytes:
        return sha1(label + self._shared + after, usedforsecurity=False).digest()

    def _cipher(self, label: bytes, info_hash: InfoHash) -> CipherContext:
        cipher = Cipher(ARC4(self._hash(label, info_hash)), mode=None).encryptor()
        cipher.update(bytes(_DROPPED))
        return cipher

    def _agree(self, how: int) -> Agreed:
        self._step = None
        self._goes_on = how == RC4
        return Agreed(self._incoming, self._outgoing) if how == RC4 else Agreed(None, None)


class MseAsker(_MseFramer):
    """The side that dialed and speaks first (`opening`); `initial` goes out with what it says then."""

    def __init__(
        self,
        info_hash: InfoHash,
        initial: bytes,
        offers: int,
        dice: Random,
        scratch: Scratch | None = None,
    ) -> None:
        super().__init__(dice, scratch)
        self._info_hash = info_hash
        self._payload = initial
        self._offers = offers
        self._constant = b""
        self._choice = self._pad_length = 0

    def opening(self) -> bytes:
        """To be sent once; made now, because it is dear and many whom one dials do not answer."""
        return self._key()

    @override
    def _got_key(self, into: list[object]) -> None:
        self._outgoing = self._cipher(b"keyA", self._info_hash)
        self._incoming = self._cipher(b"keyB", self._info_hash)
        self._constant = self._incoming.update(_VC)  # as it will look
        which = _xor(self._info_hash.obfuscated, self._hash(b"req3"))
        pad = _pad(self._dice)
        offers = _OFFERS.pack(_VC, self._offers, len(pad)) + pad + _LENGTH.pack(len(self._payload))
        into.append(self._hash(b"req1") + which + self._outgoing.update(offers + self._payload))
        self._step = self._take_constant

    def _take_constant(self, view: memoryview, into: list[object]) -> int | None:
        end = _end_of(self._constant, view)
        if end is not None:
            self._step = self._take_choice
        return end

    def _take_choice(self, view: memoryview, into: list[object]) -> int | None:
        if len(view) < _CHOICE.size:
            return None
        choice, pad = _CHOICE.unpack(self._incoming.update(view[: _CHOICE.size]))
        if choice not in (PLAIN, RC4) or not choice & self._offers:
            raise RemoteProtocolError(f"chooses encryption {choice} of {self._offers}")
        self._choice, self._pad_length = choice, _checked(pad, MOST_PAD)
        self._step = self._take_pad
        return _CHOICE.size

    def _take_pad(self, view: memoryview, into: list[object]) -> int | None:
        if len(view) < self._pad_length:
            return None
        self._incoming.update(view[: self._pad_length])
        into.append(self._agree(self._choice))
        return self._pad_length


class MseAnswerer(_MseFramer):
    """The side that was dialed. `find` knows the info-hash by what MSE says instead of it.

    `takes` are the ways in which the payload may go on; of two the plain one is chosen.
    """

    def __init__(
        self,
        find: Callable[[bytes], InfoHash | None],
        takes: int,
        dice: Random,
        scratch: Scratch | None = None,
    ) -> None:
        super().__init__(dice, scratch)
        self._find = find
        self._takes = takes
        self._choice = self._pad_length = self._initial_length = 0

    @override
    def _got_key(self, into: list[object]) -> None:
        into.append(self._key())
        self._step = self._take_mark

    def _take_mark(self, view: memoryview, into: list[object]) -> int | None:
        end = _end_of(self._hash(b"req1"), view)
        if end is not None:
            self._step = self._take_offers
        return end

    def _take_offers(self, view: memoryview, into: list[object]) -> int | None:
        size = _HASH + _OFFERS.size
        if len(view) < size:
            return None
        info_hash = self._find(_xor(view[:_HASH].tobytes(), self._hash(b"req3")))
        if info_hash is None:
            raise RemoteProtocolError("asks in secret for what is not here")
        self._incoming = self._cipher(b"keyA", info_hash)
        self._outgoing = self._cipher(b"keyB", info_hash)
        constant, offers, pad = _OFFERS.unpack(self._incoming.update(view[_HASH:size]))
        if constant != _VC:
            raise RemoteProtocolError("encrypts with another key")
        self._choice = self._chosen(offers)
        self._pad_length = _checked(pad, MOST_PAD)
        self._step = self._take_pad
        return size

    def _chosen(self, offers: int) -> int:
        """Exactly one bit."""
        for way in (PLAIN, RC4):
            if way & offers & self._takes:
                return way
        raise RemoteProtocolError(f"offers encryption {offers}, {self._takes} is wanted")

    def _take_pad(self, view: memoryview, into: list[object]) -> int | None:
        size = self._pad_length + _LENGTH.size
        if len(view) < size:
            return None
        told = self._incoming.update(view[:size])
        (initial,) = _LENGTH.unpack_from(told, self._pad_length)
        self._initial_length = _checked(initial, MOST_INITIAL)
        self._step = self._take_initial
        return size

    def _take_initial(self, view: memoryview, into: list[object]) -> int | None:
        size = self._initial_length
        if len(view) < size:
            return None
        self._initial = self._incoming.update(view[:size])
        pad = _pad(self._dice)
        into.append(self._outgoing.update(_VC + _CHOICE.pack(self._choice, len(pad)) + pad))
        into.append(self._agree(self._choice))
        return size


def _end_of(mark: bytes, view: memoryview) -> int | None:
    """Where `mark` ends, behind padding; None while it may still come. Raises RemoteProtocolError."""
    most = MOST_PAD + len(mark)
    at = view[:most].tobytes().find(mark)
    if at >= 0:
        return at + len(mark)
    if len(view) >= most:
        raise RemoteProtocolError("nothing that was agreed upon behind the padding")
    return None


def _checked(length: int, most: int) -> int:
    if length > most:
        raise RemoteProtocolError(f"{length} bytes where {most} are the most")
    return length


def _pad(dice: Random) -> bytes:
    """0 to 512 bytes. Not the dice's own: from enough of those everything else they give could be told."""
    noise = shake_128(dice.randbytes(16)).digest(2 + MOST_PAD)
    return noise[2 : 2 + int.from_bytes(noise[:2], "big") % (MOST_PAD + 1)]


def _xor(a: bytes, b: bytes) -> bytes:
    return bytes(x ^ y for x, y in zip(a, b, strict=True))
