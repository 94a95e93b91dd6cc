"""The Napster index server as a whole: settings, port, the tick, and how the rooms are joined.

There is no task here: sockets call sessions, one timer ticks once a second, and what takes long is in
threads that call back.
"""

import asyncio
import itertools
import os
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from p2pswarm.errors import HostError
from p2pswarm.formats.ids import Address
from p2pswarm.wire.napster import Login, Ping, Register
from tracker.listening import bind, is_every_address, own_address
from tracker.napster.accounts import Accounts
from tracker.napster.audit import Audit
from tracker.napster.downloads import Downloads
from tracker.napster.index.memory import MemoryIndex
from tracker.napster.index.sqlite import SqliteIndex
from tracker.napster.limits import Caps, Guests, allowances
from tracker.napster.lobby import Lobby
from tracker.napster.metaserver import Metaserver
from tracker.napster.pages import WebSearch
from tracker.napster.people import Duties, Member, People
from tracker.napster.profile import Profile
from tracker.napster.searching import Searching
from tracker.napster.session import Later, Session
from tracker.napster.sharing import Sharing
from tracker.napster.talk import SERVER, Talk
from tracker.napster.visitor import Reception, Visitor

__all__ = ["NapsterServer", "NapsterSettings"]

_BACKLOG = 1024
_TICK = 1.0  # seconds
_STATS_EVERY = 300.0
_TIDY_EVERY = 60.0
_LONGEST_CLIENT = 64  # characters
_OURS = "p2pswarm/"
_MOTD_LINES, _MOTD_LINE = 100, 400  # and characters
_KEEPALIVE = {
    "TCP_KEEPIDLE": 60,
    "TCP_KEEPINTVL": 20,
    "TCP_KEEPCNT": 4,
    "TCP_USER_TIMEOUT": 120_000,
}


@dataclass(frozen=True, slots=True)
class NapsterSettings:
    """`index` None is memory; without `accounts` everybody is a guest; `idle` is seconds of silence."""

    host: str = "0.0.0.0"  # noqa: S104 - a server is there for everybody
    port: int = 8888
    version: str = ""
    caps: Caps = field(default_factory=Caps)
    index: Path | None = None
    accounts: Path | None = None
    deny: Path | None = None
    audit: Path | None = None
    motd: Path | None = None
    idle: float = 1800.0
    meta: int | None = None  # the port of the metaserver, if there is to be one


class NapsterServer:
    """`start` before use, `aclose` at the end; that may be called twice."""

    def __init__(
        self,
        settings: NapsterSettings,
        clock: Callable[[], float] = time.monotonic,
        date: Callable[[], float] = time.time,
        later: Later | None = None,
    ) -> None:
        self._settings, self._clock, self._date = settings, clock, date
        self._later = later or _later
        self._sqlite = None if settings.index is None else SqliteIndex(settings.index)
        self.index = self._sqlite or MemoryIndex()
        self._accounts = Accounts(settings.accounts, date) if settings.accounts else None
        self._guests, self.people = Guests(settings.caps), People()
        self.audit = Audit(settings.deny, settings.audit, date)
        self.searching = Searching(self.index, self.people, self.audit)
        self._sharing = Sharing(self.index, self.audit, settings.caps, self._guests)
        self._downloads = Downloads(self.index, self.people, self.audit, clock, self._later)
        self._talk = Talk(self.people, self._accounts, clock)
        self._profile = Profile(self.index, self.people, self._accounts)
        rooms = (self._sharing, self.searching, self._downloads, self._talk, self._profile)
        self._duties: Duties = {k: duty for room in rooms for k, duty in room.duties().items()}
        self._reception = Reception(
            self.people,
            self._accounts,
            self._guests,
            self._profile,
            self._admit,
            f"{_OURS}{settings.version} 1",
            os.urandom(32),
            clock,
        )
        self.web = WebSearch(self.index, self.searching, self.audit, self._guests, clock)
        self.lobby = Lobby(
            self._guests, settings.idle, clock, self._later, self._newcomer, self._visit
        )
        self._meta = Metaserver(lambda: self.port)
        self._numbers = itertools.count(1)
        self._next_tidy = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._listeners: list[asyncio.Server] = []
        self._closed = False
        self.port = self.meta_port = 0

    async def start(self) -> None:
        """Listen. Raises PortTakenError, or HostError for files that cannot be used."""
        try:
            await self._start()
        except BaseException:
            await self.aclose()
            raise

    async def aclose(self) -> None:
        """Hang up, and forget everybody and all that they shared."""
        if self._closed:
            return
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        for listener in self._listeners:
            listener.close()
        self.lobby.hang_up()
        self._meta.hang_up()
        for listener in self._listeners:
            await listener.wait_closed()
        if self._accounts is not None:
            await self._accounts.aclose()
        await self.index.aclose()
        await self.audit.aclose()

    @property
    def url(self) -> str:
        """Where clients connect; this machine's own address where we listen on all of them."""
        host = self._settings.host
        return f"napster://{Address(own_address() if is_every_address(host) else host, self.port)}"

    def reload(self) -> None:
        """Read the deny-list again, if it has changed."""
        self.audit.reload()

    def report(self) -> dict[str, int]:
        """For `/stats`."""
        return {
            "napster_users": len(self.people),
            "napster_files": self.index.files,
            "napster_bytes": self.index.size,
            "napster_connections": len(self.lobby),
            "napster_searches": self.searching.count,
            "napster_rules": len(self.audit.rules),
        }

    def check(self) -> None:
        """The invariants, for tests."""
        self.people.check()
        self.lobby.check()

    async def _start(self) -> None:
        await self.audit.start()
        if self._sqlite is not None:
            await self._sqlite.start()
        if self._accounts is not None:
            await self._accounts.start()
        self._profile.motd_lines = await asyncio.to_thread(_motd, self._settings)
        await self._listen()
        self._tick_on()

    async def _listen(self) -> None:
        place, _ = await asyncio.to_thread(bind, self._settings.host, self._settings.port)
        self.port = place.getsockname()[1]
        # Connections inherit it: a peer that has vanished is noticed, though it says nothing.
        place.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in _KEEPALIVE.items():
            if hasattr(socket, name):
                place.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
        loop = asyncio.get_running_loop()
        self._listeners = [await loop.create_server(self.lobby.knock, sock=place, backlog=_BACKLOG)]
        if self._settings.meta is not None:
            meta, _ = await asyncio.to_thread(bind, self._settings.host, self._settings.meta)
            self.meta_port = meta.getsockname()[1]
            knock = self._meta.knock
            self._listeners.append(await loop.create_server(knock, sock=meta, backlog=_BACKLOG))

    def _newcomer(self, session: Session, host: str) -> Visitor:
        return Visitor(session, host, self._reception)

    def _admit(self, visitor: Visitor, message: Login | Register, proof: bytes) -> Member:
        now = self._clock()
        member = Member(
            number=next(self._numbers),
            nick=message.nick,
            host=visitor.host,
            port=message.port,
            speed=message.speed,
            program=message.client[:_LONGEST_CLIENT],
            ours=message.client.startswith(_OURS),
            since=now,
            proof=proof,
            session=visitor.session,
            clock=self._clock,
            later=self._later,
            duties=self._duties,
            allowances=allowances(self._settings.caps, now),
            leave=self._leave,
            informed=now,
        )
        self.lobby.logged_in(visitor.session)
        visitor.session.state = member
        self.people.arrive(member)
        self.index.arrive(member.number, member.speed)
        return member

    def _leave(self, member: Member) -> None:
        self._sharing.left(member)
        self._downloads.left(member)
        self.people.leave(member, self._date())
        if self._accounts is not None:
            self._accounts.leave(member.nick)

    def tick(self) -> None:
        """Once a second."""
        now = self._clock()
        self.lobby.tick()
        self.index.tidy()
        self.audit.tick()
        if now >= self._next_tidy:
            self._next_tidy = now + _TIDY_EVERY
            self._guests.tidy(now)

    def _tick_on(self) -> None:
        self.tick()
        self._timer = asyncio.get_running_loop().call_later(_TICK, self._tick_on)

    def _visit(self, session: Session, now: float) -> None:
        """Who has been silent for long is asked whether they live; from time to time all get the numbers."""
        member = session.state
        if not isinstance(member, Member):
            return
        if now - session.heard > self._settings.idle / 2 and member.asked < session.heard:
            member.asked = now
            member.relay(Ping(SERVER))
        if now - member.informed >= _STATS_EVERY:
            member.informed = now
            member.relay(self._profile.stats())


def _later(delay: float, call: Callable[[], None]) -> object:
    return asyncio.get_running_loop().call_later(delay, call)


def _motd(settings: NapsterSettings) -> list[str]:
    """Raises HostError when the file cannot be read."""
    if settings.motd is None:
        return [f"p2pswarm index server {settings.version}".strip()]
    try:
        lines = settings.motd.read_text("utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise HostError(f"the message of the day {settings.motd}: {error}") from error
    return [line[:_MOTD_LINE] for line in lines[:_MOTD_LINES]]
