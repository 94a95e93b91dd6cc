"""Files that we fetch: arranged through the server, then byte after byte from the host that has it.

Where the host can be dialed, we dial it; where it cannot, it is asked through the server to dial us. Between
two that nobody can dial there is no way. Nobody else's connection is taken for it: the host comes from the
address that the server named, and says which file it brings.

The one hard thing: what the server answers carries no number. It names host and file, so that is what whoever
waits for an answer is found by.
"""

import asyncio
import logging
from typing import NamedTuple, TypeVar

from p2pswarm.errors import BusyError, NetworkError, RefusedError
from p2pswarm.formats.ids import Address
from p2pswarm.overlay.napster.around import Surroundings
from p2pswarm.overlay.napster.results import fits
from p2pswarm.overlay.talk import Sink, Talk
from p2pswarm.wire.napster import (
    DataPortError,
    Download,
    DownloadAck,
    Downloaded,
    DownloadError,
    Downloading,
    Message,
    NoSuch,
    PushRequest,
    QueueLimited,
    UploadRefuse,
)
from p2pswarm.wire.napster.peer import GetFile, Refusal, SendFile, SizeFramer, StatedNumber

__all__ = ["Downloads", "Wish"]

log = logging.getLogger(__name__)

T = TypeVar("T")

ANSWER_TIME = 30.0  # seconds for the server and the host to agree
MOMENT = 1.0  # seconds for a host that hears of its firewall to tell the server, which else refuses a push
PUSH_TIME = 60.0  # seconds for the host to dial us


class Wish(NamedTuple):
    """A file of somebody's, under the name that the network has for it; `size` None: whatever it has."""

    nick: str
    name: str
    size: int | None

    @property
    def key(self) -> tuple[str, str]:
        return self.nick.lower(), self.name


class _Awaited(NamedTuple):
    """A host that was asked to dial us, and where it must come from."""

    host: str
    comes: asyncio.Future[tuple[Talk, SendFile]]


class Downloads:
    """`fetch` does all of it; the network passes on what it hears."""

    def __init__(self, around: Surroundings) -> None:
        self._around = around
        self._agreed: dict[tuple[str, str], asyncio.Future[DownloadAck]] = {}
        self._awaited: dict[tuple[str, str], _Awaited] = {}

    async def fetch(
        self, wish: Wish, offset: int, sink: Sink, gate: asyncio.Event | None = None
    ) -> int:
        """Its bytes from `offset` on into the sink, until that has enough; returns how many.

        Nothing is read while the gate is closed.
        Raises BusyError when the host has no place for us now, RefusedError when it does not give it,
        NetworkError when it cannot be had.
        """
        talk, size = await self._connected(wish, await self._agreement(wish), offset)
        self._around.tell(Downloading())
        try:
            return await talk.receive(max(size - offset, 0), sink, gate)
        finally:
            talk.close()
            self._around.tell(Downloaded())

    async def _agreement(self, wish: Wish) -> DownloadAck:
        """Where the host is, now that it agrees."""
        question = Download(wish.nick, wish.name)
        if not fits(question):  # a person may have written the hit, or a server with longer lines
            raise RefusedError(f"no Napster server can be asked for {wish.name} of {wish.nick}")
        agreed = self._wait_for(self._agreed, wish)
        try:
            self._around.send(question)
            return await _within(ANSWER_TIME, agreed, f"{wish.nick} does not answer")
        finally:
            del self._agreed[wish.key]

    def _wait_for(
        self, waiting: dict[tuple[str, str], asyncio.Future[T]], wish: Wish
    ) -> asyncio.Future[T]:
        if wish.key in waiting:
            raise NetworkError(f"{wish.name} of {wish.nick} is being fetched already")
        future = waiting[wish.key] = asyncio.get_running_loop().create_future()
        return future

    async def _connected(self, wish: Wish, ack: DownloadAck, offset: int) -> tuple[Talk, int]:
        """A connection on which the file comes next, and its size."""
        if ack.port:
            try:
                talk = await self._around.dial(Address(ack.ip, ack.port))
            except NetworkError as error:
                # Perhaps it cannot be dialed, and does not know.
                log.debug("napster: %s", error)
                self._around.tell(DataPortError(wish.nick))
                if self._around.firewalled:
                    raise
                await asyncio.sleep(MOMENT)
            else:
                return await self._asked(talk, wish, offset)
        if self._around.firewalled:
            raise RefusedError(f"{wish.nick} and we are both behind firewalls: no way in Napster")
        return await self._pushed(wish, ack.ip, offset)

    async def _asked(self, talk: Talk, wish: Wish, offset: int) -> tuple[Talk, int]:
        """We dialed, so we say what we want."""
        try:
            talk.send(GetFile(self._around.nick, wish.name, offset).encode())
            return talk, _stated_size(wish, await talk.hear(SizeFramer(wish.size, talk.scratch)))
        except BaseException:
            talk.close()
            raise

    async def _pushed(self, wish: Wish, ip: str, offset: int) -> tuple[Talk, int]:
        """It dials us and says what it brings."""
        talk, head = await self._visit(wish, Address(ip, 0).normal.host)
        try:
            _check_size(wish, head.size)
            talk.send(b"%d" % offset)
        except BaseException:
            talk.close()
            raise
        return talk, head.size

    async def _visit(self, wish: Wish, host: str) -> tuple[Talk, SendFile]:
        comes: asyncio.Future[tuple[Talk, SendFile]] = asyncio.get_running_loop().create_future()
        self._awaited[wish.key] = _Awaited(host, comes)
        stop_expecting = self._around.expect(host)
        try:
            self._around.send(PushRequest(wish.nick, wish.name))
            return await _within(PUSH_TIME, comes, f"{wish.nick} does not connect to us")
        except BaseException:
            if comes.done() and not comes.cancelled() and not comes.exception():
                comes.result()[0].close()  # it came in the moment in which we gave up
            raise
        finally:
            stop_expecting()
            del self._awaited[wish.key]

    # What the network hears

    def heard(self, message: Message) -> None:
        """The server, or the host through it, about a file that we may have asked for."""
        match message:
            case DownloadAck(nick=nick, name=name):
                agreed = self._agreed.get((nick.lower(), name))
                if agreed is not None and not agreed.done():
                    agreed.set_result(message)
            case DownloadError(nick=nick, name=name):
                self._fail(nick, name, RefusedError(f"{nick} does not have {name} any more"))
            case UploadRefuse(nick=nick, name=name):
                self._fail(nick, name, RefusedError(f"{nick} does not give {name}"))
            case QueueLimited(nick=nick, name=name):
                self._fail(nick, name, BusyError(f"{nick} has no place for us now"))
            case NoSuch(text=text):
                self._complained(text)
            case _:
                pass

    def _complained(self, text: str) -> None:
        """A refusal in words is about whoever it names."""
        words = {word.strip(".,:") for word in text.lower().split()}
        for nick, name in {*self._agreed, *self._awaited}:
            if nick in words:
                self._fail(nick, name, RefusedError(text))

    def _fail(self, nick: str, name: str, error: NetworkError) -> None:
        key = nick.lower(), name
        awaited = self._awaited.get(key)
        for future in (self._agreed.get(key), awaited and awaited.comes):
            if future is not None and not future.done():
                future.set_exception(error)

    def lost(self, error: NetworkError) -> None:
        """The server is gone: what was not agreed on will not be. What runs goes on."""
        for nick, name in {*self._agreed, *self._awaited}:
            self._fail(nick, name, error)

    def brought(self, talk: Talk, head: SendFile) -> bool:
        """Somebody dialed us with a file; False when it was not asked for."""
        awaited = self._awaited.get((head.nick.lower(), head.name))
        if awaited is None or awaited.comes.done() or talk.remote.host != awaited.host:
            return False
        awaited.comes.set_result((talk, head))
        return True


async def _within(seconds: float, future: asyncio.Future[T], else_say: str) -> T:
    try:
        async with asyncio.timeout(seconds):
            return await future
    except TimeoutError as error:
        raise NetworkError(else_say) from error


def _stated_size(wish: Wish, answer: object) -> int:
    if isinstance(answer, Refusal):
        raise RefusedError(f"{wish.nick} says: {answer.text}")
    assert isinstance(answer, StatedNumber)
    _check_size(wish, answer.value)
    return answer.value


def _check_size(wish: Wish, size: int) -> None:
    if wish.size is not None and size != wish.size:
        raise RefusedError(f"{wish.nick} has another file under the name {wish.name} by now")
