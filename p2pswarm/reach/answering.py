"""What a super node tells whoever asks: where it sees him, and, from elsewhere, whether that comes through.

The one hard thing: who is named in a datagram may not have sent it. No answer is longer than its request.
And one that comes from another number or another super node goes only to a place that has shown a sign which
was sent there before, few a second; what other super nodes want sent is counted for each of them as well.
"""

import hashlib
import hmac
from collections import Counter
from collections.abc import Callable, Sequence
from random import Random
from typing import NamedTuple

from p2pswarm.errors import FormatError
from p2pswarm.formats.ids import Address
from p2pswarm.formats.zones import zone_of
from p2pswarm.reach import stun

__all__ = ["CHANGE_HOST", "CHANGE_PORT", "Answering", "Reply"]

CHANGE_PORT, CHANGE_HOST = 2, 4  # RFC 5780, 7.2
MOST_A_SECOND = 500
MOST_OF_ONE = 20  # a second, of one host
MOST_ELSEWHERE = 20  # a second, from another number or for another super node
_SIGN_LETTERS = 16


class Reply(NamedTuple):
    """A datagram to send; `elsewhere` from a socket with another number."""

    data: bytes
    to: Address
    elsewhere: bool = False


class Answering:
    """`others` are super nodes that we know."""

    def __init__(self, dice: Random, others: Callable[[], Sequence[Address]]) -> None:
        self._dice, self._others = dice, others
        self._secret = dice.randbytes(16)
        self._second = -1.0
        self._asked: Counter[str] = Counter()
        self._elsewhere = 0

    def asked(self, request: stun.Message, size: int, source: Address, now: float) -> list[Reply]:
        """What to send. Raises FormatError."""
        if not self._has_turn(source, now):
            return []
        for_other = request.attributes.get("XOR-PEER-ADDRESS")
        if for_other is not None:
            return self._for_another(request, size, source, Address(*for_other).normal)
        change = request.attributes.get("CHANGE-REQUEST", 0)
        if not change:
            sign = self._sign(source)
            return _short([Reply(stun.answer(request, source, NONCE=sign.encode()), source)], size)
        shown = request.attributes.get("NONCE", b"")
        if not hmac.compare_digest(shown, self._sign(source).encode()):
            raise FormatError("somebody asks for an answer from elsewhere without a sign")
        if not self._may_elsewhere():
            return []
        if change & CHANGE_HOST:
            return self._ask_another(request, source)
        return _short([Reply(stun.answer(request, source), source, elsewhere=True)], size)

    def _ask_another(self, request: stun.Message, source: Address) -> list[Reply]:
        not_there = {source.host, request.attributes.get("OTHER-ADDRESS", ("",))[0]}
        others = [each for each in self._others() if each.host not in not_there]
        if not others:
            return []
        there = others[self._dice.randrange(len(others))]
        peer = (source.host, source.port)
        return [Reply(stun.ask(request.transaction_id, XOR_PEER_ADDRESS=peer), there)]

    def _for_another(
        self, request: stun.Message, size: int, source: Address, whom: Address
    ) -> list[Reply]:
        """A super node has the sign of somebody who wants to know whether we reach him."""
        known = any(source == each.normal for each in self._others())
        nearer = zone_of(whom.host) > zone_of(source.host)
        if not known or nearer or not whom.dialable or not self._may_elsewhere():
            return []
        return _short([Reply(stun.answer(request, whom), whom)], size)

    def _sign(self, place: Address) -> str:
        digest = hmac.new(self._secret, str(place).encode(), hashlib.sha256)
        return digest.hexdigest()[:_SIGN_LETTERS]

    def _has_turn(self, source: Address, now: float) -> bool:
        if now - self._second >= 1.0:
            self._second, self._elsewhere = now, 0
            self._asked.clear()
        if self._asked.total() >= MOST_A_SECOND or self._asked[source.host] >= MOST_OF_ONE:
            return False
        self._asked[source.host] += 1
        return True

    def _may_elsewhere(self) -> bool:
        self._elsewhere += 1
        return self._elsewhere <= MOST_ELSEWHERE


def _short(replies: list[Reply], size: int) -> list[Reply]:
    """Those that are no longer than what was asked."""
    return [reply for reply in replies if len(reply.data) <= size]
