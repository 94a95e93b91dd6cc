"""Whose nick is whose: first come, first served, with passwords that even the file does not tell.

The protocol sends passwords in clear text; all that can be done is to keep nothing but a slow hash. Hashes
and database are a thread's work. Who was not seen for half a year has lost the nick.
"""

import hmac
import os
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from hashlib import scrypt
from pathlib import Path

from p2pswarm.errors import HostError
from tracker.worker import Worker

__all__ = ["Account", "Accounts", "Refused", "Seen"]

_FORGET_AFTER = 180 * 86400.0  # seconds
_QUEUE = 256  # logins that wait for their hash, some fifteen seconds of them
_SCHEMA = """
CREATE TABLE IF NOT EXISTS accounts (
    nick TEXT PRIMARY KEY COLLATE NOCASE, salt BLOB NOT NULL, hash BLOB NOT NULL,
    email TEXT NOT NULL, seen REAL NOT NULL
) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class Account:
    """Somebody is who they say; `new` when that was settled just now."""

    nick: str
    email: str
    new: bool


@dataclass(frozen=True, slots=True)
class Refused:
    """Why not; `guess` when the password was wrong."""

    why: str
    guess: bool = False


@dataclass(frozen=True, slots=True)
class Seen:
    """An account, and when its owner was last here, in seconds since 1970."""

    nick: str
    at: int


class Accounts:
    """`start` before use. Answers come through `done`, on the event loop."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self._path, self._clock = path, clock
        self._worker = Worker("napster-accounts")
        self._database: sqlite3.Connection | None = None

    async def start(self) -> None:
        """Raises HostError when the file cannot be used."""
        await self._worker.run(self._open)

    @property
    def busy(self) -> bool:
        return self._worker.waiting >= _QUEUE

    def log_in(
        self,
        nick: str,
        password: str,
        email: str | None,
        *,
        may_register: bool,
        done: Callable[[Account | Refused], None],
    ) -> None:
        """Who is new gets the account; with an `email` (message 6) only who is new comes in."""
        job = partial(self._log_in, nick, password, email, may_register)
        self._worker.do(job, done, lambda: done(_BROKEN))

    def look_up(self, nick: str, done: Callable[[Seen | None], None]) -> None:
        self._worker.do(partial(self._look_up, nick), done, lambda: done(None))

    def change_password(self, nick: str, password: str, done: Callable[[bool], None]) -> None:
        """Whether it could be done."""
        job = partial(self._change_password, nick, password)
        self._worker.do(job, done, lambda: done(False))

    def change_email(self, nick: str, email: str) -> None:
        self._worker.do(partial(self._change_email, nick, email), _nothing, _nobody)

    def leave(self, nick: str) -> None:
        """They were here until now."""
        self._worker.do(partial(self._touch, nick), _nothing, _nobody)

    async def aclose(self) -> None:
        await self._worker.aclose()
        if self._database is not None:
            self._database.close()

    # In the thread

    @property
    def _db(self) -> sqlite3.Connection:
        assert self._database is not None
        return self._database

    def _open(self) -> None:
        try:
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            database = sqlite3.connect(self._path, check_same_thread=False, isolation_level=None)
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = NORMAL")
            database.executescript(_SCHEMA)
        except (sqlite3.Error, OSError) as error:
            raise HostError(f"{self._path} cannot hold the accounts: {error}") from error
        self._database = database

    def _log_in(
        self, nick: str, password: str, email: str | None, may_register: bool
    ) -> Account | Refused:
        row = self._row(nick)
        if row is None:
            return self._register(nick, password, email or "", may_register)
        if email is not None:
            return Refused("Nick registered to another user")
        known, salt, digest, known_email, _ = row
        if not hmac.compare_digest(digest, _hash(password, salt)):
            return Refused("Invalid Password", guess=True)
        self._touch(nick)
        return Account(known, known_email, new=False)

    def _register(
        self, nick: str, password: str, email: str, may_register: bool
    ) -> Account | Refused:
        if not may_register:
            return Refused("too many new accounts from your address, try again later")
        salt = os.urandom(16)
        row = (nick, salt, _hash(password, salt), email, self._clock())
        self._db.execute("INSERT OR REPLACE INTO accounts VALUES (?, ?, ?, ?, ?)", row)
        return Account(nick, email, new=True)

    def _look_up(self, nick: str) -> Seen | None:
        row = self._row(nick)
        return None if row is None else Seen(row[0], int(row[4]))

    def _row(self, nick: str) -> tuple[str, bytes, bytes, str, float] | None:
        row: tuple[str, bytes, bytes, str, float] | None = self._db.execute(
            "SELECT nick, salt, hash, email, seen FROM accounts WHERE nick = ? AND seen > ?",
            (nick, self._clock() - _FORGET_AFTER),
        ).fetchone()
        return row

    def _change_password(self, nick: str, password: str) -> bool:
        salt = os.urandom(16)
        self._db.execute(
            "UPDATE accounts SET salt = ?, hash = ? WHERE nick = ?",
            (salt, _hash(password, salt), nick),
        )
        return True

    def _change_email(self, nick: str, email: str) -> None:
        self._db.execute("UPDATE accounts SET email = ? WHERE nick = ?", (email, nick))

    def _touch(self, nick: str) -> None:
        self._db.execute("UPDATE accounts SET seen = ? WHERE nick = ?", (self._clock(), nick))


_BROKEN = Refused("the accounts cannot be read, try again later")


def _hash(password: str, salt: bytes) -> bytes:
    """About 50 ms and 16 MiB."""
    data = password.encode("utf-8", "surrogateescape")
    return scrypt(data, salt=salt, n=1 << 14, r=8, p=1, dklen=32)


def _nothing(_: object) -> None:
    """Nobody waits for it."""


def _nobody() -> None:
    """Nobody waits for it, and why it failed is in the log."""
