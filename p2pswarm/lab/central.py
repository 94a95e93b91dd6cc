"""The central index in the laboratory: one Napster server, and everybody logged in at it.

The server is the product's own (`tracker/napster`), with its limits, and so are the sessions, one for each
peer, from an address of its own: they log in, announce their files and ask, as `overlay/napster` does. Only
the catalog is a list in memory, and nobody takes transfers. In Napster each hit is a message, and so is the
end of the answer.

The one hard thing: a server that is started listens on a real socket. So it is not started: its lobby gets a
door in the virtual network, and its tick is ours.
"""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from hashlib import md5

from p2pswarm.formats.ids import Address
from p2pswarm.lab.architecture import Outcome, Question
from p2pswarm.lab.loop import VirtualLoop
from p2pswarm.net.port import Port
from p2pswarm.overlay.napster.login import Account, log_in
from p2pswarm.overlay.napster.results import Results, question_for
from p2pswarm.overlay.napster.session import Session
from p2pswarm.overlay.query import Query
from p2pswarm.wire.framer import Scratch
from p2pswarm.wire.napster import NoSuch, PingServer, SearchEnd, SearchResult, Share
from tracker.napster.limits import Caps
from tracker.napster.server import NapsterServer, NapsterSettings

__all__ = ["Central"]

_SERVER = Address("10.255.255.254", 8888)
_DATE = 1_000_000_000.0  # when virtual time begins
_TOGETHER = 500  # logins at one time; the server lets a thousand stand at its door
_SIZE = 4_000_000  # bytes of a file; nobody asks
_TICK = 1.0  # seconds


class Central:
    """An `Architecture`; `close` at the end."""

    name = "central index"

    def __init__(self, loop: VirtualLoop, peers: int) -> None:
        self._loop = loop
        caps = Caps(clients=max(Caps().clients, peers))
        self.server = NapsterServer(
            NapsterSettings(caps=caps), loop.time, lambda: _DATE + loop.time()
        )
        self._scratch = Scratch()
        self._sessions: dict[int, Session] = {}
        self._asked: list[int] = [0] * peers  # messages for questions, of each peer
        self._timer: asyncio.TimerHandle | None = None

    async def build(self, shelves: Sequence[Sequence[str]]) -> None:
        """Everybody logs in and announces what it has. Raises NetworkError."""
        self._loop.host(_SERVER.host)
        await self._loop.create_server(self.server.lobby.knock, *_SERVER)
        self._tick()
        peers = range(len(shelves))
        for first in peers[::_TOGETHER]:
            async with asyncio.TaskGroup() as tasks:
                for peer in peers[first : first + _TOGETHER]:
                    tasks.create_task(self._come(peer, shelves[peer]))

    async def close(self) -> None:
        """May be called twice."""
        if self._timer is not None:
            self._timer.cancel()
        for session in self._sessions.values():
            session.close()
        await self.server.aclose()

    async def ask(self, question: Question) -> Outcome:
        """Raises NetworkError."""
        session, query = self._sessions[question.origin], Query.parse(question.thing.words)
        before = session.messages
        said = question_for(query, greeted=session.greeted)
        results, found = Results(), set[int]()
        async with aclosing(session.ask([said], (SearchResult,), (SearchEnd, NoSuch))) as answers:
            async for answer in answers:
                hit = results.hit(answer)
                if hit is not None and query.fits(hit):
                    found.add(_peer(hit.nick))
        took = session.messages - before
        self._asked[question.origin] += took
        found &= question.thing.holders
        return Outcome(
            messages={"query": 1, "hit": took - 2, "end": 1},
            found=len(found),
            copies=len(question.thing.holders),
            hops=1 if found else None,
            first=2 if found else None,
        )

    def loads(self) -> Mapping[str, Sequence[int]]:
        """All that anybody says is said to the server, or by it."""
        return {"server": [sum(self._asked)], "client": list(self._asked)}

    async def _come(self, peer: int, names: Sequence[str]) -> None:
        port = Port(f"10.{peer >> 16}.{peer >> 8 & 255}.{peer & 255}", None, self._scratch)
        self._loop.host(port.host)
        session, _ = await log_in(
            Account(_nick(peer), "secret"),
            lambda: Session.connect(port, _SERVER, lambda _: None),
            self._loop.dice,
        )
        self._sessions[peer] = session
        await self._announce(session, names)

    async def _announce(self, session: Session, names: Sequence[str]) -> None:
        """A ping is answered after all that was said before it."""
        said = [
            Share(name, md5(name.encode(), usedforsecurity=False).hexdigest(), _SIZE)
            for name in names
        ]
        async with aclosing(session.ask([*said, PingServer()], (), (PingServer,))) as answers:
            async for _ in answers:
                pass

    def _tick(self) -> None:
        self.server.tick()
        self._timer = self._loop.call_later(_TICK, self._tick)


def _nick(peer: int) -> str:
    return f"peer{peer}"


def _peer(nick: str) -> int:
    return int(nick.removeprefix("peer"))
