"""A Napster network behind the common door: search and be found, fetch and give.

The place at the server and the transfers live apart. When the server goes, transfers go on, searches fail
with a clear message, and we come back by ourselves.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing

from p2pswarm.errors import NetworkError
from p2pswarm.formats.bencode import MAX_SIZE
from p2pswarm.formats.ids import Address
from p2pswarm.formats.thex import TigerTree
from p2pswarm.overlay.catalog import Catalog
from p2pswarm.overlay.napster.connection import Connection
from p2pswarm.overlay.napster.downloads import Wish
from p2pswarm.overlay.napster.giving import Giving
from p2pswarm.overlay.napster.login import Account, Another
from p2pswarm.overlay.napster.results import NAME, Results, question_for
from p2pswarm.overlay.napster.session import Session
from p2pswarm.overlay.napster.sharing import Announcing
from p2pswarm.overlay.napster.transfers import Transfers
from p2pswarm.overlay.network import Cost, NetworkStatus, Part
from p2pswarm.overlay.query import Hit, Query
from p2pswarm.overlay.talk import Sink
from p2pswarm.overlay.tools import Tools
from p2pswarm.wire.napster import (
    Browse,
    BrowseEnd,
    BrowseResult,
    Greeting,
    HashEnd,
    HashMatch,
    HitNote,
    NoSuch,
    SearchEnd,
    SearchResult,
    Whois,
    WhoisReply,
    WhowasReply,
    torrent_name,
)

__all__ = ["Napster"]


class Napster:
    """A `FileNetwork`. `firewalled`: tell everybody that nobody can dial us."""

    name = NAME

    def __init__(
        self,
        server: Address,
        tools: Tools,
        *,
        nick: str = "",
        password: str = "",
        firewalled: bool = False,
        another: Another | None = None,
    ) -> None:
        self._tools = tools
        account = Account(nick, password, 0 if firewalled else tools.port.number)
        self._connection = Connection(
            tools.port,
            server,
            account,
            tools.dice,
            another=another,
            hear=self._hear,
            serve=self._announce,
            lost=self._lost,
        )
        self._transfers = Transfers(tools.port, self._connection, firewalled=firewalled)
        self._catalog: asyncio.Future[Catalog] = asyncio.get_running_loop().create_future()
        self._announcing: Announcing | None = None
        self._life: asyncio.Task[None] | None = None

    @property
    def nick(self) -> str:
        """Who we are; a guest knows once it is in."""
        return self._connection.account.nick

    @property
    def announced(self) -> int:
        """Files that the server was told of."""
        return self._announcing.files if self._announcing else 0

    async def join(self) -> None:
        """Raises NetworkError when the first attempt fails; others follow until `leave`."""
        if self._life is None:
            self._life = asyncio.create_task(self._transfers.run())
        await self._connection.session()

    async def leave(self) -> None:
        life, self._life = self._life, None
        if life is not None:
            life.cancel()
            await asyncio.wait([life])

    def share(self, catalog: Catalog) -> None:
        """Once. Raises InvalidStateError the second time."""
        self._catalog.set_result(catalog)
        tools = self._tools
        giving = Giving(catalog, tools.disk, tools.up, tools.seed)
        self._transfers.give(catalog, giving, tools.slots)

    def status(self) -> NetworkStatus:
        """Whether the server has us."""
        return NetworkStatus(NAME, role="client", links=int(self._connection.is_up))

    # Looking for files and people

    async def search(self, query: Query, cost: Cost) -> AsyncGenerator[Hit, None]:
        """Raises NetworkError."""
        session = await self._connection.session()
        cost.hops = 1
        question = question_for(query, greeted=session.greeted)
        parts, ends = (HitNote, SearchResult, HashMatch), (SearchEnd, HashEnd, NoSuch)
        results = Results()
        async with aclosing(session.ask([question], parts, ends, cost)) as answers:
            async for answer in answers:
                _refused(answer)
                hit = results.hit(answer)
                if hit is not None and hit.nick != self.nick:
                    yield hit

    async def browse(self, nick: str) -> AsyncGenerator[Hit, None]:
        """Everything that somebody shares. Raises NetworkError."""
        session = await self._connection.session()
        parts, ends = (BrowseResult,), (BrowseEnd, NoSuch)
        results = Results()
        async with aclosing(session.ask([Browse(nick)], parts, ends)) as answers:
            async for answer in answers:
                _refused(answer)
                hit = results.hit(answer)
                if hit is not None:
                    yield hit

    async def whois(self, nick: str) -> WhoisReply | WhowasReply:
        """Who somebody is, or was when last here. Raises NetworkError."""
        session = await self._connection.session()
        answer = await session.answer(Whois(nick), WhoisReply, WhowasReply, NoSuch)
        _refused(answer)
        assert isinstance(answer, WhoisReply | WhowasReply)
        return answer

    # Getting them

    async def fetch(
        self, hit: Hit, offset: int, sink: Sink, gate: asyncio.Event | None = None
    ) -> int:
        """The bytes of a hit from `offset` on, read while the gate is open; returns how many.

        Raises BusyError, NetworkError.
        """
        wish = Wish(hit.nick, hit.name, hit.size)
        return await self._transfers.downloads.fetch(wish, offset, sink, gate)

    async def torrent(self, hit: Hit) -> bytes:
        """The .torrent of a hit with an info-hash, from its host, which is one of us. Raises NetworkError.

        Nothing says yet that it is what it should be.
        """
        assert hit.info_hash is not None
        data = bytearray()

        def sink(more: bytes) -> bool:
            data.extend(more)
            return len(data) <= MAX_SIZE

        wish = Wish(hit.nick, torrent_name(hit.info_hash), None)
        await self._transfers.downloads.fetch(wish, 0, sink)
        return bytes(data)

    async def tree(self, hit: Hit) -> TigerTree | None:
        """Napster knows none."""
        return None

    def others(self, hit: Hit) -> Sequence[Hit]:
        """Nobody names others here."""
        return ()

    def judge(self, hit: Hit, *, good: bool) -> None:
        """Nobody hears of it here."""

    def lend(self, part: Part) -> Callable[[], None]:
        """Only whole files can be told of here."""
        return lambda: None

    def answers(self, address: Address) -> bool:
        """Whether a host of this network was found there when we dialed it. A hit alone is only a claim."""
        return self._transfers.answers(address)

    # What the connection tells

    def _hear(self, message: object) -> None:
        if isinstance(message, Greeting) and self._announcing is not None:
            self._announcing.greet()
        self._transfers.heard(message)

    async def _announce(self, session: Session) -> None:
        self._announcing = Announcing(session, await asyncio.shield(self._catalog))
        await self._announcing.run()

    def _lost(self, error: NetworkError) -> None:
        self._announcing = None
        self._transfers.lost(error)


def _refused(answer: object) -> None:
    if isinstance(answer, NoSuch):
        raise NetworkError(f"the server says: {answer.text}")
