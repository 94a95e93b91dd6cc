"""Two guests of a relay that were joined: their account, what becomes of what they say, and their end."""

import asyncio
from abc import ABC, abstractmethod
from functools import partial
from typing import Protocol

from typing_extensions import override

from p2pswarm.errors import NetworkError
from p2pswarm.net.rate import Limiter
from p2pswarm.overlay.people.channels import Channel, Channels
from p2pswarm.overlay.people.quotas import Account
from p2pswarm.overlay.people.relay_guest import RelayGuest
from p2pswarm.overlay.people.splice import Splice
from p2pswarm.wire.framer import Scratch
from p2pswarm.wire.people.hello import Reason

__all__ = ["Joined", "JoinedDatagrams", "JoinedStreams"]


class Desk(Protocol):
    """Whose guests they are."""

    channels: Channels

    @property
    def scratch(self) -> Scratch:
        """The receive buffer of the port."""

    def ready(self, guest: RelayGuest, channel: Channel | None, quota: int) -> None:
        """Tell it that the other one is there."""

    def left(self, guest: RelayGuest) -> None:
        """It is no guest any more, but one end of a stream."""

    def ended(self, joined: "Joined") -> None:
        """May be called twice."""


class Joined(ABC):
    """Two guests, their account, and an end."""

    def __init__(
        self,
        desk: Desk,
        one: RelayGuest,
        other: RelayGuest,
        account: Account,
        limiters: list[Limiter],
    ) -> None:
        self.account = account
        self._desk, self._guests, self._limiters = desk, (one, other), limiters
        self._clock = asyncio.get_running_loop().time

    @abstractmethod
    def begin(self, quota: int) -> None:
        """Both are told."""

    @abstractmethod
    def end(self, why: str) -> None:
        """May be called twice."""

    def _spend(self, size: int) -> bool:
        return self.account.spend(size, self._clock())


class JoinedStreams(Joined):
    """What one says is what the other hears."""

    @override
    def begin(self, quota: int) -> None:
        one, other = self._guests
        for guest in self._guests:
            self._desk.ready(guest, None, quota)
        ended = partial(self._desk.ended, self)
        self._splice = Splice(one.stream, other.stream, self._spend, self._limiters, ended)
        for guest in self._guests:
            self._desk.left(guest)
        self._splice.begin(self._desk.scratch)

    @override
    def end(self, why: str) -> None:
        self._splice.close(NetworkError(why))


class JoinedDatagrams(Joined):
    """Two channels, for as long as both connections."""

    @override
    def begin(self, quota: int) -> None:
        self._channel, there = self._desk.channels.open(self._may_pass)
        for guest, channel in zip(self._guests, (self._channel, there), strict=True):
            guest.ended = partial(self.end, "the other one left")
            self._desk.ready(guest, channel, quota)

    def _may_pass(self, size: int) -> bool:
        """What there is no room for is dropped, as the network would."""
        return all(limiter.take_now(size) for limiter in self._limiters) and self._spend(size)

    @override
    def end(self, why: str) -> None:
        self._desk.channels.close(self._channel)
        self._desk.ended(self)
        for guest in self._guests:
            guest.refuse(Reason.NOT_WANTED, why)
