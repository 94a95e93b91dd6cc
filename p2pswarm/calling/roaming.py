"""A call whose people walk about: where we may be reached now, told again over the call itself.

An address that changes takes the stream with it. The next one goes over a relay, and brings the new offer:
the same session and secrets, other places. Both sides try them in one moment, so that each opens its NAT.

The one hard thing: to notice it. What an address is worth shows when its stream is lost, and not before: a
router that was changed leaves our own address as it was. So after each change of streams we ask where we are
seen, and tell it if it is another place. An offer names hosts that are sent to, so few are heard.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

from p2pswarm.errors import RemoteProtocolError
from p2pswarm.overlay.limits import Tokens
from p2pswarm.reach.offers import Candidates, Offer

__all__ = ["Roaming"]

EVERY = 10.0  # seconds from one of ours to the next
HEARD = (0.1, 3.0)  # of theirs in a second, and saved up


class Meets(Protocol):
    """What we need of a meeting (`p2pswarm.reach.meeting`)."""

    def renew(self, ours: Offer, theirs: Offer) -> None: ...


class Roaming:
    """One for a call; `run` while it lasts, and `woke` whenever it has another stream."""

    def __init__(
        self,
        meeting: Meets,
        offers: tuple[Offer, Offer],
        gather: Callable[[], Awaitable[Candidates]],
        sign: Callable[[Offer, Candidates], Offer],
        read: Callable[[bytes], Offer],
    ) -> None:
        """`offers` are those that the meeting began with, ours first; `read` raises FormatError."""
        self._meeting, (self._ours, self._theirs) = meeting, offers
        self._gather, self._sign, self._read = gather, sign, read
        self._bell = asyncio.Event()
        self._clock = asyncio.get_running_loop().time
        self._heard = Tokens(*HEARD, self._clock())

    def woke(self) -> None:
        """Perhaps we are elsewhere."""
        self._bell.set()

    async def run(self, say: Callable[[bytes], Awaitable[None]]) -> None:
        """Until it is cancelled."""
        while True:
            await self._bell.wait()
            self._bell.clear()
            found = await self._gather()
            if found[:2] != self._ours.candidates[:2]:
                self._ours = self._sign(self._ours, found)
                await say(self._ours.encode())
                self._meeting.renew(self._ours, self._theirs)
                await asyncio.sleep(EVERY)

    def got(self, body: bytes) -> None:
        """The other side is elsewhere. Raises RemoteError."""
        if not self._heard.take(self._clock()):  # before a signature is checked, which costs more
            return
        theirs = self._read(body)
        if not theirs.renews(self._theirs):
            raise RemoteProtocolError("an offer that belongs to another call")
        self._theirs = theirs
        self._meeting.renew(self._ours, theirs)
