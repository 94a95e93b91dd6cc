"""All connections: who may come in, and who has to go because they say nothing or take nothing.

Everybody is looked at once in half a minute, some in each tick, so that ten thousand members are no burden.
"""

import asyncio
from collections.abc import Callable, Iterator
from itertools import islice

from typing_extensions import override

from p2pswarm.net.stream import Stream
from p2pswarm.wire.framer import Scratch
from p2pswarm.wire.napster import MAX_COMMAND, Error, NapsterFramer
from tracker.napster.limits import Guests
from tracker.napster.session import Later, Session, State

__all__ = ["Lobby"]

_SCRATCH = 32 << 10  # what one client may say in one go, and so the most that its inbox holds
_MOST_VISITORS = 1000  # connections without a login
_LOGIN_WITHIN = 15.0  # seconds
_TAKE_WITHIN = 60.0  # seconds in which somebody has to read what was sent
_ROUND = 30  # ticks in which everybody is looked at once


class Lobby:
    """`newcomer` gives a session its first state; `visit` is called for everybody once a round."""

    def __init__(
        self,
        guests: Guests,
        idle: float,
        clock: Callable[[], float],
        later: Later,
        newcomer: Callable[[Session, str], State],
        visit: Callable[[Session, float], None],
    ) -> None:
        self._guests, self._idle, self._clock, self._later = guests, idle, clock, later
        self._newcomer, self._visit = newcomer, visit
        self._scratch = Scratch(_SCRATCH)
        self._sessions: dict[Session, None] = {}
        self._visitors: dict[Session, float] = {}
        self._round: Iterator[Session] = iter(())
        self._closed = False

    def __len__(self) -> int:
        return len(self._sessions)

    def knock(self) -> Stream:
        """Somebody connects."""
        session = Session(self._clock, self._later, self._left)
        framer = NapsterFramer(self._scratch, MAX_COMMAND)
        session.stream = _Connection(framer, session, self._welcome)
        return session.stream

    def logged_in(self, session: Session) -> None:
        self._visitors.pop(session, None)

    def tick(self) -> None:
        now = self._clock()
        for session, since in list(self._visitors.items()):
            if now - since < _LOGIN_WITHIN:
                break
            if not session.asking:
                session.close(f"no login within {_LOGIN_WITHIN:.0f} s")
        share = 1 + len(self._sessions) // _ROUND
        some = list(islice(self._round, share))
        if len(some) < share:
            self._round = iter(list(self._sessions))
        for session in some:
            self._look_at(session, now)

    def hang_up(self) -> None:
        self._closed = True
        for session in list(self._sessions):
            session.close("the server ends")

    def check(self) -> None:
        """The invariants, for tests."""
        assert len(self._sessions) == self._guests.connections
        assert self._visitors.keys() <= self._sessions.keys()
        for session in self._sessions:
            session.check()

    def _welcome(self, session: Session) -> None:
        remote, now = session.stream.remote, self._clock()
        session.state = self._newcomer(session, remote.host)
        self._sessions[session] = None
        self._visitors[session] = now
        why = self._guests.enter(remote.host, now)
        if self._closed:
            session.close("the server ends")
        elif remote.ip is None or remote.ip.version != 4:
            session.refuse(Error("the Napster protocol knows IPv4 addresses only"))
        elif why is not None:
            session.refuse(Error(why))
        if len(self._visitors) > _MOST_VISITORS:
            next(iter(self._visitors)).close("too many at the door")

    def _look_at(self, session: Session, now: float) -> None:
        if session.stream.over:
            return
        if session.stuck is not None and now - session.stuck > _TAKE_WITHIN:
            session.close("takes nothing of what was sent")
        elif now - session.heard > self._idle:
            session.close(f"silent for {self._idle:.0f} s")
        else:
            self._visit(session, now)

    def _left(self, session: Session) -> None:
        if session in self._sessions:
            del self._sessions[session]
            self._visitors.pop(session, None)
            self._guests.leave(session.stream.remote.host, self._clock())


class _Connection(Stream):
    """A stream that says when it is there: limits count connections that have said nothing yet, too."""

    def __init__(
        self, framer: NapsterFramer, session: Session, made: Callable[[Session], None]
    ) -> None:
        super().__init__(framer, session)
        self._session, self._made = session, made

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._made(self._session)
