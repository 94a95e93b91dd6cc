"""Our place at the server: logged in, kept, lost, and taken again by itself.

A server that comes back after a failure is not met by everybody at one moment: each failure in a row doubles
the pause, and dice spread it.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from random import Random
from socket import AF_UNSPEC

from p2pswarm.errors import NetworkError, P2PSwarmError, RemoteError
from p2pswarm.formats.ids import Address
from p2pswarm.net.port import Port
from p2pswarm.overlay.napster.login import Account, Another, log_in
from p2pswarm.overlay.napster.session import Session

__all__ = ["Connection"]

log = logging.getLogger(__name__)

FIRST_PAUSE = 1.0  # seconds after a connection was lost
LONGEST_PAUSE = 60.0
# Seconds after which a session was no failure: two programs with one account push each other out.
SETTLED = 60.0
NAME_TIME = 10.0  # seconds for looking up the server's name


class Connection:
    """`run` in a task of the owner's; `session()` is the current one.

    `another` knows what to be called where the server refuses the name.

    `hear` is given what the server says by itself, `serve` runs for as long as each session lasts, and
    `lost` is told why it ended.
    """

    def __init__(
        self,
        port: Port,
        server: Address,
        account: Account,
        dice: Random,
        *,
        another: Another | None = None,
        hear: Callable[[object], None],
        serve: Callable[[Session], Awaitable[None]],
        lost: Callable[[NetworkError], None],
    ) -> None:
        self.account = account
        self._port = port
        self._server = server
        self._dice = dice
        self._another = another
        self._hear, self._serve, self._lost = hear, serve, lost
        self._session: Session | None = None
        self._trouble = "not joined"
        self._tried = asyncio.Event()  # no attempt is under way
        self._failures = 0
        self._was_in = False

    async def session(self) -> Session:
        """The current one, after an attempt under way. Raises NetworkError that says what is wrong."""
        await self._tried.wait()
        return self.current()

    @property
    def is_up(self) -> bool:
        return self._session is not None and not self._session.over.is_set()

    def current(self) -> Session:
        """Raises NetworkError."""
        if self._session is None:
            raise NetworkError(self._trouble)
        if self._session.over.is_set():
            raise self._session.lost()
        return self._session

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                await self._come_and_stay()
            except RemoteError as error:
                self._failed(error)
            pause = min(FIRST_PAUSE * 2 ** min(self._failures - 1, 20), LONGEST_PAUSE)
            await asyncio.sleep(pause * self._dice.uniform(0.5, 1.5))

    def _failed(self, error: RemoteError) -> None:
        was_in, self._session = self._session is not None, None
        self._trouble = str(error)
        self._tried.set()
        self._lost(NetworkError(self._trouble))
        # What became of an attempt, whoever waits for it is told.
        log.log(logging.WARNING if was_in else logging.INFO, "napster: %s", error)
        self._failures += 1

    async def _come_and_stay(self) -> None:
        """Raises RemoteError, always."""
        self._tried.clear()
        where = await self._look_up()
        session, self.account = await log_in(
            self.account, lambda: self._connect(where), self._dice, self._another
        )
        self._session = session
        self._tried.set()
        settled = asyncio.get_running_loop().time() + SETTLED
        self._tell_of_login()
        try:
            await self._stay(session)
        finally:
            session.close()
        if asyncio.get_running_loop().time() >= settled:
            self._failures = 0
        raise session.lost()

    def _tell_of_login(self) -> None:
        """Whoever was told of a failure hears that it is over."""
        level = logging.WARNING if self._failures else logging.INFO
        verb = "logged in again" if self._was_in else "logged in"
        log.log(level, "napster: %s at %s as %s", verb, self._server, self.account.nick)
        self._was_in = True

    async def _stay(self, session: Session) -> None:
        async with asyncio.TaskGroup() as tasks:
            running = [
                tasks.create_task(session.keep_alive()),
                tasks.create_task(self._serve_until_over(session)),
            ]
            await session.over.wait()
            for task in running:
                task.cancel()

    async def _serve_until_over(self, session: Session) -> None:
        try:
            await self._serve(session)
        except NetworkError as error:
            session.close(error)
        except P2PSwarmError as error:  # of our own disk; what was announced stays true for a while
            log.warning("napster: our files are not announced any more: %s", error)

    async def _connect(self, where: Address) -> Session:
        return await Session.connect(self._port, where, self._hear)

    async def _look_up(self) -> Address:
        if self._server.ip is not None:
            return self._server
        from p2pswarm.discovery.names import SystemNames  # and with it the HTTP library

        try:
            async with asyncio.timeout(NAME_TIME):
                found = await SystemNames().resolve(*self._server, AF_UNSPEC)
        except (OSError, UnicodeError, TimeoutError) as error:
            raise NetworkError(f"{self._server.host} is no name that can be found") from error
        return Address(found[0]["host"], self._server.port)
