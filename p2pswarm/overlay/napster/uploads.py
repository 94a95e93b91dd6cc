"""Who may have one of our files, who has to wait, and who has come for it.

A request comes through the server and names a file of the catalog, exactly; there is a place for so many at a
time. Then the other side dials us and says what it came for, or, when nobody can dial us, the server tells us
whom to dial. Whoever comes without having asked through the server gets nothing.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

from p2pswarm.errors import BusyError, DiskError, NetworkError, P2PSwarmError
from p2pswarm.formats.ids import Address
from p2pswarm.overlay.giving import Gift
from p2pswarm.overlay.napster.around import Surroundings
from p2pswarm.overlay.napster.giving import Giving
from p2pswarm.overlay.talk import Talk
from p2pswarm.wire.napster import (
    ChangePort,
    PushAck,
    QueueLimit,
    UploadAccept,
    Uploaded,
    Uploading,
    UploadRefuse,
    UploadRequest,
)
from p2pswarm.wire.napster.peer import GetFile, NumberFramer, SendFile, StatedNumber

__all__ = ["Uploads"]

log = logging.getLogger(__name__)

COME_TIME = 120.0  # seconds that somebody who may have a file has to come for it
MOST_OF_ONE = 3  # places that one nick can hold
MOST_PROMISED = 200  # of what needs no place
NOT_ASKED = b"INVALID REQUEST"


class _Promise(NamedTuple):
    """Somebody may have it, until it is fetched or `forget` is called."""

    gift: Gift
    forget: Callable[[], None]


class Uploads:
    """`slots` files are given at a time. Names and nicks are those of the network."""

    def __init__(self, giving: Giving, around: Surroundings, slots: int) -> None:
        self._giving = giving
        self._around = around
        self._slots = slots
        self._promises: dict[tuple[str, str], _Promise] = {}
        self._running: Counter[str] = Counter()  # by nick
        self._visited = False  # somebody could connect to us
        self._told = False  # and the server knows that nobody can

    # What the server says

    def requested(self, message: UploadRequest) -> None:
        self._around.spawn(self._consider(message.nick, message.name))

    def pushed(self, message: PushAck) -> None:
        self._around.spawn(self._push(message))

    def unreachable(self, nick: str) -> None:
        """Somebody says that nobody can connect to us.

        It is believed of who may come for a file, as long as nobody ever came: then the server is told that
        we are behind a firewall, and from now on we go to those who want something. Once is enough.
        """
        if self._told or self._visited or all(who != nick.lower() for who, _ in self._promises):
            return
        log.warning("napster: %s cannot connect to us: files are brought (see --firewalled)", nick)
        self._around.tell(ChangePort(0))
        self._told = True

    def lost(self) -> None:
        """The server is gone; the next one, or the same, is told again which port is ours."""
        self._told = False

    async def _consider(self, nick: str, name: str) -> None:
        gift = await self._found(nick, name)
        if gift is not None:
            self._promise(nick, name, gift)
            self._around.tell(UploadAccept(nick, name))

    async def _found(self, nick: str, name: str) -> Gift | None:
        """What there is a place for now; whoever gets nothing is told so."""
        try:
            gift = await self._find(nick, name)
        except BusyError as error:
            log.info("napster: %s is asked for by %s: %s", name, nick, error)
            self._put_off(nick, name)
            return None
        if gift is None:
            self._around.tell(UploadRefuse(nick, name))
        elif self._has_place(nick, name, gift):
            return gift
        else:
            self._put_off(nick, name)
        return None

    def _put_off(self, nick: str, name: str) -> None:
        self._around.tell(QueueLimit(nick, name, min(self._slots, MOST_OF_ONE)))

    async def _find(self, nick: str, name: str) -> Gift | None:
        """Raises BusyError."""
        try:
            return await self._giving.find(name, nick)
        except BusyError:
            raise
        except P2PSwarmError as error:
            log.info("napster: %s is asked for: %s", name, error)
            return None

    def _has_place(self, nick: str, name: str, gift: Gift) -> bool:
        if (nick.lower(), name) in self._promises:
            return True  # asked twice
        if not gift.large:
            return len(self._promises) < MOST_PROMISED
        taken = Counter(who for (who, _), promise in self._promises.items() if promise.gift.large)
        taken += self._running
        return taken.total() < self._slots and taken[nick.lower()] < MOST_OF_ONE

    def _promise(self, nick: str, name: str, gift: Gift) -> None:
        key = (nick.lower(), name)
        self._take(key)
        close_door = self._around.expect(None)  # from where they come, nobody says
        timer = asyncio.get_running_loop().call_later(COME_TIME, self._take, key)

        def forget() -> None:
            timer.cancel()
            close_door()

        self._promises[key] = _Promise(gift, forget)

    def _take(self, key: tuple[str, str]) -> Gift | None:
        promise = self._promises.pop(key, None)
        if promise is None:
            return None
        promise.forget()
        return promise.gift

    # Those who come, and those to whom we go

    async def came(self, talk: Talk, head: GetFile) -> None:
        """Somebody dialed us. Raises NetworkError, DiskError."""
        self._visited = True
        gift = self._take((head.nick.lower(), head.name))
        if gift is None or head.offset > gift.size:
            talk.send(NOT_ASKED)
            await talk.hung_up()
            return
        talk.send(b"%d" % gift.size)
        await self._give(talk, head.nick, gift, head.offset)

    async def _push(self, message: PushAck) -> None:
        gift = self._take((message.nick.lower(), message.name))
        gift = gift or await self._found(message.nick, message.name)
        if gift is None:
            return
        try:
            talk = await self._around.dial(Address(message.ip, message.port))
        except NetworkError as error:
            log.info("napster: %s cannot be given to %s: %s", message.name, message.nick, error)
            return
        try:
            talk.send(SendFile(self._around.nick, message.name, gift.size).encode())
            offset = await talk.hear(NumberFramer(talk.scratch))
            if isinstance(offset, StatedNumber) and offset.value <= gift.size:
                await self._give(talk, message.nick, gift, offset.value)
        except (NetworkError, DiskError) as error:
            log.info("napster: %s was not given to %s: %s", message.name, message.nick, error)
        finally:
            talk.close()

    async def _give(self, talk: Talk, nick: str, gift: Gift, offset: int) -> None:
        place = nick.lower() if gift.large else ""
        self._running[place] += gift.large
        self._around.tell(Uploading())
        try:
            sent = await self._giving.give(talk, gift, offset)
            log.debug("napster: gave %d bytes to %s", sent, nick)
        finally:
            self._running[place] -= gift.large
            self._around.tell(Uploaded())

    def close(self) -> None:
        for key in list(self._promises):
            self._take(key)
