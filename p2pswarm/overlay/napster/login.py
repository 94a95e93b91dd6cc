"""Coming in: as a guest, with an account, or with a new one, and what to do when the name is taken.

Servers differ. Some let anybody in under any free name, some want an account first; what they say when they
refuse is for people. So whoever is refused tries to register, and whoever had no wish tries another name.
Each try is a connection of its own, because servers hang up after a refusal.
"""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from random import Random

from p2pswarm.errors import NetworkError
from p2pswarm.overlay.napster.session import Session
from p2pswarm.wire.napster import Error, Login, LoginAck, Register

__all__ = ["Account", "Another", "log_in"]

log = logging.getLogger(__name__)

CLIENT = "p2pswarm/0.1"
TRIES = 3  # names
SPEED = 0  # unknown; who wants to know measures

Another = Callable[[str], Awaitable[tuple[str, str] | None]]
"""Another name and its password, instead of one that was refused."""


@dataclass
class Account:
    """Who we want to be. Without a nick it is a guest's, made up; `port` 0 says that nobody can dial us."""

    nick: str = ""
    password: str = ""
    port: int = 0

    def made_up(self, dice: Random) -> "Account":
        """The same with a name and a password that nobody else has."""
        nick = self.nick or f"swarm{dice.getrandbits(32):08x}"
        password = self.password or f"{dice.getrandbits(64):016x}"
        return Account(nick, password, self.port)


async def log_in(
    wish: Account,
    connect: Callable[[], Awaitable[Session]],
    dice: Random,
    another: Another | None = None,
) -> tuple[Session, Account]:
    """A session, and who we are in it. Raises NetworkError with the words of the server."""
    names_left = 1 if wish.nick else TRIES
    while True:
        account = wish.made_up(dice)
        came = await _come_in(account, connect)
        if isinstance(came, Session):
            return came, account
        names_left -= 1
        if names_left:
            continue
        other = await another(account.nick) if another is not None else None
        if other is None:
            raise NetworkError(f"the server refuses {account.nick}: {came}")
        wish, names_left = Account(*other, wish.port), 1


async def _come_in(account: Account, connect: Callable[[], Awaitable[Session]]) -> Session | str:
    """The session, or why not: what the server said first."""
    refusal = ""
    for kind in (Login, Register):
        session = await connect()
        answer = await _try(session, kind, account)
        if isinstance(answer, LoginAck):
            return session
        session.close()
        refusal = refusal or answer.text or "it does not say why"
    return refusal


async def _try(
    session: Session, kind: type[Login] | type[Register], account: Account
) -> LoginAck | Error:
    message = kind(account.nick, account.password, account.port, CLIENT, SPEED)
    try:
        answer = await session.answer(message, LoginAck, Error)
    except BaseException:
        session.close()
        raise
    assert isinstance(answer, LoginAck | Error)
    return answer
