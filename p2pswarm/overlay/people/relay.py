"""What a super node relays: two of its guests that both asked for it are joined, by stream or by datagrams.

A guest that came for a relay proves its key (or brings the ticket of an introduction), says RELAY, and waits
until the other one says the same of it. READY goes to both; then either all bytes of the one connection are
those of the other, or the two connections stay open for as long as their channels. Both sides come to us and
nobody can be named: there is no target, so no open relay and no circle of relays.

The one hard thing: whoever is served here uses up what is others'. Each relay has an account (`quotas`), a
rate, and shares in the rate of all; it ends, and its guests are told why.
"""

import asyncio
import logging
from collections.abc import Callable
from random import Random
from typing import TypeAlias

from p2pswarm.errors import BusyError, RefusedError
from p2pswarm.formats.ids import Address
from p2pswarm.formats.zones import owner_of
from p2pswarm.net.port import Port
from p2pswarm.net.rate import Limiter
from p2pswarm.net.stream import Stream
from p2pswarm.overlay.people.channels import Channel, Channels
from p2pswarm.overlay.people.joined import Joined, JoinedDatagrams, JoinedStreams
from p2pswarm.overlay.people.pairing import Asked, Pairing
from p2pswarm.overlay.people.quotas import Account, Quotas, Terms
from p2pswarm.overlay.people.relay_guest import RelayGuest
from p2pswarm.wire.framer import Scratch
from p2pswarm.wire.people.frames import PeopleFramer
from p2pswarm.wire.people.hello import Reason
from p2pswarm.wire.people.marked import CHANNEL_SIZE, PASS_SIZE
from p2pswarm.wire.people.relaying import Mode, Ready, Relay as Wish
from p2pswarm.wire.people.ringing import KEY_SIZE, Prove

__all__ = ["Check", "Relay"]

log = logging.getLogger(__name__)

TICK = 1.0  # seconds between looks at who waited long enough
MOST_GUESTS = 1024  # connections

_NO_KEY = bytes(KEY_SIZE)

Check: TypeAlias = Callable[[Prove, bytes, Address], bytes]
"""The key that somebody proves with this nonce at this end of ours. Raises RemoteError."""


class Relay:
    """`welcome` each guest that wants to be relayed; `close` at the end."""

    def __init__(self, port: Port, terms: Terms, check: Check, dice: Random) -> None:
        self._port, self._check = port, check
        self._loop = asyncio.get_running_loop()
        self.quotas = Quotas(terms)
        self._total = self._limiter(terms.total)
        self.pairing: Pairing[RelayGuest] = Pairing()
        self.channels = Channels(port.send_datagram, dice)
        self._guests: set[RelayGuest] = set()
        self._joined: set[Joined] = set()
        self._timer: asyncio.TimerHandle | None = None

    def welcome(self, stream: Stream, nonce: bytes) -> None:
        """Somebody was told WELCOME with this nonce, and wants to be relayed."""
        guest = RelayGuest(self, stream, nonce, self._loop.time())
        stream.switch(PeopleFramer(self.scratch, opened=True), guest)
        if len(self._guests) >= MOST_GUESTS:
            guest.refuse(Reason.FULL, "too many want to be relayed")
        elif not stream.over:
            self._guests.add(guest)
            self._keep_time()

    def close(self) -> None:
        """Everybody is told. May be called twice."""
        for joined in list(self._joined):
            joined.end("this super node relays no longer")
        for guest in list(self._guests):
            guest.refuse(Reason.NOT_WANTED, "this super node relays no longer")
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def __len__(self) -> int:
        """Relays that are at work."""
        return len(self._joined)

    @property
    def scratch(self) -> Scratch:
        """The receive buffer of the port."""
        return self._port.scratch

    # What a guest says

    def prove(self, proof: Prove, nonce: bytes, local: Address) -> bytes:
        """Raises RemoteError."""
        return self._check(proof, nonce, local)

    def asked(self, guest: RelayGuest, wish: Wish) -> None:
        """It is joined, or waits, or is refused."""
        peer = b"" if wish.peer == _NO_KEY else wish.peer
        owner = guest.key or owner_of(guest.stream.remote)
        datagrams = wish.mode is Mode.DATAGRAMS
        asked = Asked(wish.session, guest.key, peer, datagrams, owner)
        found, now = None, self._loop.time()
        try:
            found = self.pairing.ask(guest, asked, now)
            if found is not None:
                self._join(guest, found[0], self.quotas.begin(owner, found[1].owner, now), wish)
        except (BusyError, RefusedError) as error:
            reason = Reason.FULL if isinstance(error, BusyError) else Reason.NOT_WANTED
            for each in (guest,) if found is None else (guest, found[0]):
                each.refuse(reason, str(error))

    def left(self, guest: RelayGuest) -> None:
        self._guests.discard(guest)
        self.pairing.give_up(guest)

    # Two are joined

    def _join(self, one: RelayGuest, other: RelayGuest, account: Account, wish: Wish) -> None:
        limiters = [self._limiter(self.quotas.terms.rate), self._total]
        kind = JoinedDatagrams if wish.mode is Mode.DATAGRAMS else JoinedStreams
        joined = kind(self, one, other, account, limiters)
        self._joined.add(joined)
        log.debug("relaying %s between %s and %s", wish.mode, one.stream, other.stream)
        joined.begin(self.quotas.left(account, self._loop.time()))

    def _limiter(self, rate: int) -> Limiter:
        return Limiter(rate, self._loop.time, self._loop.call_later)

    def ended(self, joined: Joined) -> None:
        self._joined.discard(joined)
        self.quotas.end(joined.account)

    def ready(self, guest: RelayGuest, channel: Channel | None, quota: int) -> None:
        """The other one is there."""
        here = Address(guest.stream.local.host, self._port.number)
        name = bytes(CHANNEL_SIZE) if channel is None else channel.id
        secret = bytes(PASS_SIZE) if channel is None else channel.secret
        guest.say(Ready(name, secret, quota, here))

    # Time

    def _keep_time(self) -> None:
        if self._timer is None:
            self._timer = self._loop.call_later(TICK, self._tick)

    def _tick(self) -> None:
        self._timer = None
        now = self._loop.time()
        for guest in self.pairing.late(now):
            guest.refuse(Reason.NOT_WANTED, "the other one did not come")
        for guest in [each for each in self._guests if each.is_late(now)]:
            guest.refuse(Reason.NOT_WANTED, "nothing was asked for")
        for joined in list(self._joined):
            why = joined.account.why_over(now)
            if why is not None:
                joined.end(why)
        if self._guests or self._joined:
            self._keep_time()
